//! Which block devices are hardware of this machine, and which another machine serves: by driver, from a list.
//!
//! A name alone proves nothing: a SCSI disk may be an iSCSI session, or a process behind the target driver; NVMe may be
//! a network. What is not on the list is unknown.
//!
//! Source: Linux v6.18, `Documentation/admin-guide/devices.txt`, `drivers/nvme/host/sysfs.c` (`transport`),
//! `drivers/scsi/scsi_transport_iscsi.c` (`session`), `drivers/target/loopback/tcm_loop.c`, `drivers/usb/usbip/vhci_hcd.c`,
//! `drivers/usb/gadget/udc/dummy_hcd.c`.

use std::path::{Component, Path};

use super::sysfs;
use crate::topology::Layer;

/// What the driver of a whole disk serves it from; `dir` is its real folder in /sys.
pub(super) fn layer(name: &str, dir: &Path) -> Layer {
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
    let part = |wanted: &str| dir.components().any(|part| starts(part, wanted));
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
    let is_hardware = PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !part("virtual");
    if is_hardware { Layer::Disk } else { Layer::Unknown(UNKNOWN) }
}

/// By PCI, or over a network; with several paths, each of them counts.
fn nvme(dir: &Path) -> Layer {
    let device = dir.join("device");
    let own = sysfs::text(&device.join("transport"));
    let paths = || sysfs::entries(&device).into_iter().filter_map(|path| sysfs::text(&path.join("transport")));
    let transports: Vec<String> = own.map_or_else(|| paths().collect(), |own| vec![own]);
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

const UNKNOWN: &str = "a block device of another driver";

/// SCSI, SATA and USB; virtio; Xen; eMMC and SD; persistent memory; DASD.
const PREFIXES: [&str; 6] = ["sd", "vd", "xvd", "mmcblk", "pmem", "dasd"];
