//! Which block devices are hardware of this machine, and which another machine serves: by driver, from a list.
//!
//! A name alone proves nothing: a SCSI disk may be an iSCSI session, or a process behind the target driver; NVMe may be
//! a network. What is not on the list is unknown.
//!
//! A transport shows in the folders above a disk: `rport-7:0-5` on Fibre Channel, whatever carries it; `net` and `ctlr_0`
//! too where Ethernet does; `port-0:0` and `end_device-0:0` on SAS. SRP puts its port beside the disk's target, not above
//! it, so there the host tells, by its `srp_host`. ATA, USB and controllers of disks of their own show no port. An adapter
//! for Fibre Channel (`fc_host`) counts as hardware: it speaks to the disks by itself, with no packet of this kernel's.
//!
//! Source: Linux v6.18, `Documentation/admin-guide/devices.txt`, `drivers/nvme/host/sysfs.c` (`transport`),
//! `drivers/scsi/scsi_transport_iscsi.c` (`session`), `drivers/target/loopback/tcm_loop.c`, `drivers/usb/usbip/vhci_hcd.c`,
//! `drivers/usb/gadget/udc/dummy_hcd.c`, `drivers/scsi/scsi_transport_{fc,sas,srp}.c`, `drivers/scsi/fcoe/fcoe_sysfs.c`,
//! `drivers/infiniband/ulp/srp/ib_srp.c:srp_add_target`.

use std::path::{Component, Path};

use crate::linux::sysfs;
use crate::topology::Layer;

/// What the driver of a whole disk serves it from; `dir` is its real folder, `place` the same from /sys down.
pub(super) fn layer(name: &str, dir: &Path, place: &Path) -> Layer {
    if is_numbered(name, "rbd") {
        return Layer::NetworkDevice("a RADOS block device");
    }
    if name.starts_with("etherd") {
        return Layer::NetworkDevice("ATA over Ethernet");
    }
    if is_numbered(name, "drbd") {
        return Layer::NetworkDevice("DRBD");
    }
    // Each kind of hardware is a device of its own, which the disk is on.
    if !dir.join("device").exists() {
        return Layer::Unknown(UNKNOWN);
    }
    if name.starts_with("nvme") {
        return nvme(dir);
    }
    let part = |wanted: &str| place.components().any(|part| starts(part, wanted));
    if part("session") {
        return Layer::NetworkDevice("iSCSI");
    }
    // A target driver on this machine, whose backstore may be a process; a disk that the kernel makes up.
    if part("tcm_loop") || part("pseudo_") || part("dummy_hcd") {
        return Layer::Unknown("a SCSI disk that this machine serves itself");
    }
    if part("vhci_hcd") {
        return Layer::NetworkDevice("USB over IP");
    }
    let port = |wanted: &str| place.components().any(|part| is_port(part, wanted));
    if place.components().any(|part| part.as_os_str() == "net") || port("ctlr_") {
        return Layer::NetworkDevice("Fibre Channel over Ethernet");
    }
    let has = |class: &str| host(dir, place).is_some_and(|host| host.join(class).exists());
    let is_remote = (port("rport-") && !has("fc_host")) || (port("port-") && !port("end_device-"));
    if is_remote || has("srp_host") {
        return Layer::Unknown("a SCSI disk behind a port whose other end does not show");
    }
    let is_hardware = PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !part("virtual");
    if is_hardware { Layer::Disk } else { Layer::Unknown(UNKNOWN) }
}

/// By PCI, or over a network; with several paths, each of them counts.
fn nvme(dir: &Path) -> Layer {
    let device = dir.join("device");
    let transport = |path: &Path| sysfs::word(&path.join("transport"));
    let paths = || sysfs::all(&device)?.iter().filter_map(|path| transport(path).transpose()).collect();
    // One that is there and cannot be read may be any.
    let transports: std::io::Result<Vec<String>> = match transport(&device) {
        Ok(None) => paths(),
        Ok(Some(own)) => Ok(vec![own]),
        Err(error) => Err(error),
    };
    let transports = transports.unwrap_or_default();
    let is_one = |wanted: &[&str]| !transports.is_empty() && transports.iter().all(|it| wanted.contains(&it.as_str()));
    if is_one(&["pcie", "apple-nvme"]) {
        Layer::Disk
    } else if transports.iter().any(|transport| ["tcp", "rdma", "fc"].contains(&transport.as_str())) {
        Layer::NetworkDevice("NVMe over fabrics")
    } else {
        Layer::Unknown("an NVMe disk by a transport that is not known")
    }
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

fn starts(part: Component<'_>, wanted: &str) -> bool {
    part.as_os_str().to_string_lossy().starts_with(wanted)
}

/// A name of that kind, with its number.
fn is_port(part: Component<'_>, wanted: &str) -> bool {
    let part = part.as_os_str().to_string_lossy();
    part.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The folder of a disk's SCSI host.
fn host<'d>(dir: &'d Path, place: &Path) -> Option<&'d Path> {
    let mut folders = dir.ancestors().zip(place.ancestors());
    folders.find(|(_, place)| is_numbered(&sysfs::name(place), "host")).map(|(dir, _)| dir)
}

const UNKNOWN: &str = "a block device of another driver";

/// SCSI, SATA and USB; virtio; Xen; eMMC and SD; persistent memory; DASD.
const PREFIXES: [&str; 6] = ["sd", "vd", "xvd", "mmcblk", "pmem", "dasd"];
