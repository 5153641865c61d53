//! Disks and what the kernel makes of them: device-mapper, md, zram, partitions; which disks are hardware.
#![cfg(all(feature = "linux", target_os = "linux"))]

use swap_dio::topology::{Consumer, Layer, Override, Told};

use crate::fake::{DISK, Fake, MAPPED, refused, stack, words, write};

#[test]
fn a_disk_and_what_is_made_of_it() {
    let fake = Fake::new();
    let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
    fake.device((254, 1), &format!("{DISK}/vda1"), &[("partition", "1\n")]);
    let dm = fake.device((252, 0), "virtual/block/dm-0", &[("dm/name", "x\n"), ("dm/uuid", "LVM-x\n")]);
    stack(&dm, &disk.join("vda1"));
    let md = fake.device((9, 0), "virtual/block/md0", &[("md/metadata_version", "1.2\n"), ("md/level", "raid1\n")]);
    stack(&md, &dm);
    let topology = fake.tree().device(9, 0);
    let layers: Vec<Layer> = topology.layers().map(|(link, _)| link.layer).collect();
    assert_eq!(layers, [Layer::Md { external: Told::No }, MAPPED, Layer::Partition, Layer::Disk]);
    assert!(topology.judge(Consumer::SameKernel, Override::empty()).outcome.is_ok(), "{topology}");

    write(&md, "md/metadata_version", "external:imsm\n");
    let judged = fake.tree().device(9, 0).judge(Consumer::SameKernel, Override::empty());
    assert_eq!(judged.outcome.map_err(|why| why.code()), Err("user-space-server"));
}

#[test]
fn device_mapper_is_told_by_the_names_of_its_makers() {
    let fake = Fake::new();
    let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
    let cases = [
        ("LVM-vg-lv", None, Told::Yes),
        ("CRYPT-LUKS2-1-swap", None, Told::Yes),
        ("part1-mpath-3600", None, Told::Yes),
        ("LVM-vg-thin", Some("LVM-vg-pool-tpool"), Told::No),
        ("LVM-vg-vdo", Some("LVM-vg-pool-vpool"), Told::No),
        ("LVM-vg-snapshot", Some("LVM-vg-snapshot-cow"), Told::No),
        ("LVM-vg-origin", Some("LVM-vg-origin-real"), Told::No),
        ("", None, Told::Unknown),
        ("stratis-1-private", None, Told::Unknown),
    ];
    for (minor, (uuid, below, expected)) in (0u32..).zip(cases) {
        let top = fake.device((252, 2 * minor), &format!("virtual/block/dm-{}", 2 * minor), &[("dm/uuid", uuid)]);
        let lower = below.map(|uuid| {
            let place = format!("virtual/block/dm-{}", 2 * minor + 1);
            let lower = fake.device((252, 2 * minor + 1), &place, &[("dm/uuid", uuid)]);
            stack(&lower, &disk);
            lower
        });
        stack(&top, lower.as_ref().unwrap_or(&disk));
        let topology = fake.tree().device(252, 2 * minor);
        let first = topology.layers().next().map(|(link, _)| link.layer);
        assert_eq!(first, Some(Layer::DeviceMapper { in_place: expected }), "{uuid}");
    }
    // A name below that cannot be read may be a pool's.
    let top = fake.device((252, 100), "virtual/block/dm-100", &[("dm/uuid", "LVM-vg-thin")]);
    let lower = fake.device((252, 101), "virtual/block/dm-101", &[("dm/uuid/x", "")]);
    stack(&lower, &disk);
    stack(&top, &lower);
    let topology = fake.tree().device(252, 100);
    assert_eq!(
        topology.layers().next().map(|(link, _)| link.layer),
        Some(Layer::DeviceMapper { in_place: Told::Unknown })
    );
}

#[test]
fn md_with_a_bitmap_elsewhere() {
    let (internal, none) = (("md/bitmap/metadata", "internal\n"), ("md/bitmap/location", "none\n"));
    let cases: [(&str, &[(&str, &str)]); 10] = [
        ("", &[]),
        ("", &[none, internal]),
        ("", &[("md/bitmap/location", "+8\n"), internal]),
        ("", &[("md/bitmap/location", "-16\n"), ("md/bitmap/metadata", "external\n")]),
        ("a write-intent bitmap in a file", &[("md/bitmap/location", "file\n"), internal]),
        ("a write-intent bitmap that other machines share", &[none, ("md/bitmap/metadata", "clustered\n")]),
        ("a write-intent bitmap of which it cannot be told where it is", &[("md/bitmap/location", "\n")]),
        ("a write-intent bitmap of which it cannot be told where it is", &[("md/bitmap/location/x", "")]),
        ("a write-intent bitmap of which it cannot be told where it is", &[none, ("md/bitmap/metadata", "other\n")]),
        ("a write-intent bitmap of which it cannot be told where it is", &[none, ("md/bitmap/metadata/x", "")]),
    ];
    for (unknown, bitmap) in cases {
        let fake = Fake::new();
        let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
        let md = fake.device((9, 0), "virtual/block/md0", &[("md/metadata_version", "1.2\n"), ("md/level", "raid1\n")]);
        bitmap.iter().for_each(|(name, value)| write(&md, name, value));
        stack(&md, &disk);
        let topology = fake.tree().device(9, 0);
        let expected = if unknown.is_empty() { vec![] } else { vec![unknown] };
        assert_eq!(words(&topology)[2..], expected, "{bitmap:?}");
        let outcome = topology.judge(Consumer::OtherKernel, Override::all()).outcome;
        assert_eq!(outcome.is_ok(), unknown.is_empty(), "{topology}");
    }
}

#[test]
fn zram_and_what_it_writes_back_to() {
    let fake = Fake::new();
    let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
    fake.named("vda", &disk);
    let outside = "what zram writes back to";
    let long = format!("/dev/{}", "x".repeat(10_000));
    let cases: [(Option<&str>, &[&str]); 8] = [
        (None, &["zram"]),
        (Some("none\n"), &["zram"]),
        (Some("/dev/vda\n"), &["zram", "a disk"]),
        (Some("/dev/vdb\n"), &["zram", outside]),
        (Some("/dev/../dev/vda\n"), &["zram", outside]),
        // A file of this machine, and none of the copy's.
        (Some("/proc/self/exe\n"), &["zram", outside]),
        (Some("\n"), &["zram", outside]),
        (Some(&long), &["zram", outside]),
    ];
    for (minor, (backing, expected)) in (0u32..).zip(cases) {
        let dir = fake.device((252, minor), &format!("virtual/block/zram{minor}"), &[]);
        if let Some(backing) = backing {
            write(&dir, "backing_dev", backing);
        }
        let topology = fake.tree().device(252, minor);
        assert_eq!(words(&topology), expected, "{backing:?}");
    }
    // There, and not to be read.
    fake.device((252, 100), "virtual/block/zram100", &[("backing_dev/x", "")]);
    assert_eq!(refused(&fake.tree().device(252, 100)), "layer-unknown");
}

#[test]
fn hardware_is_told_from_what_only_looks_like_it() {
    let nvme = |transport: &'static str| vec![("device/transport", transport)];
    let device = vec![("device/vendor", "x")];
    type Attributes = Vec<(&'static str, &'static str)>;
    let cases: Vec<(&str, Attributes, &str)> = vec![
        ("pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda", device.clone(), "disk"),
        ("platform/host2/session1/target2:0:0/2:0:0:0/block/sdb", device.clone(), "network"),
        ("tcm_loop_0/tcm_loop_adapter_0/host3/target3:0:1/3:0:1:0/block/sdc", device.clone(), "unknown"),
        ("pseudo_0/adapter0/host4/target4:0:0/4:0:0:0/block/sdd", device.clone(), "unknown"),
        ("virtual/block/sde", device.clone(), "unknown"),
        // As the drivers put them: USB over IP, a USB gadget of this machine's own, ATA over Ethernet.
        ("platform/vhci_hcd.0/usb3/3-1/3-1:1.0/host5/target5:0:0/5:0:0:0/block/sdf", device.clone(), "network"),
        ("platform/dummy_hcd.0/usb4/4-1/4-1:1.0/host6/target6:0:0/6:0:0:0/block/sdg", device.clone(), "unknown"),
        ("pci0000:00/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdh", device.clone(), "disk"),
        ("virtual/block/etherd!e1.1", vec![], "network"),
        // Fibre Channel: over Ethernet by software, by half of it, through a tagged network; by an adapter.
        ("virtual/net/eth4.802-fcoe/host3/rport-3:0-4/target3:0:1/3:0:1:0/block/sdi", device.clone(), "network"),
        (
            "pci0000:00/0000:04:00.3/net/eth3/ctlr_0/host5/rport-5:0-3/target5:0:1/5:0:1:147/block/sdj",
            device.clone(),
            "network",
        ),
        ("virtual/net/p2p1.802-fcoe/ctlr_0/host7/rport-7:0-5/target7:0:2/7:0:2:0/block/sdk", device.clone(), "network"),
        ("pci0000:00/0000:05:00.0/host8/rport-8:0-2/target8:0:0/8:0:0:0/block/sdl", device.clone(), "unknown"),
        (
            "pci0000:00/0000:05:00.1/host9/target9:0:0/9:0:0:0/block/sdm",
            vec![("device/vendor", "x"), ("../../../../fc_host/host9/port_name", "x")],
            "disk",
        ),
        // SRP, whose port is beside the target.
        (
            "pci0000:00/0000:06:00.0/host10/target10:0:0/10:0:0:0/block/sdn",
            vec![
                ("device/vendor", "x"),
                ("../../../../srp_host/host10/uevent", ""),
                ("../../../../port-10:1/uevent", ""),
            ],
            "unknown",
        ),
        ("pci0000:00/0000:06:00.0/host11/port-11:1/target11:0:0/11:0:0:0/block/sdo", device.clone(), "unknown"),
        // SAS has ports that are cables, also behind an expander; a controller of RAID has none.
        (
            "pci0000:00/0000:07:00.0/host12/port-12:0/end_device-12:0/target12:0:0/12:0:0:0/block/sdp",
            device.clone(),
            "disk",
        ),
        (
            "pci0000:00/0000:07:00.0/host12/port-12:1/expander-12:0/port-12:0:3/end_device-12:0:3/target12:0:9/12:0:9:0/block/sdq",
            device.clone(),
            "disk",
        ),
        ("pci0000:00/0000:08:00.0/host13/target13:2:0/13:2:0:0/block/sdr", device.clone(), "disk"),
        ("virtual/block/vdb", vec![], "unknown"),
        ("pci0000:00/nvme/nvme0/nvme0n1", nvme("pcie\n"), "disk"),
        ("virtual/nvme-fabrics/ctl/nvme1/nvme1n1", nvme("tcp\n"), "network"),
        ("virtual/nvme-fabrics/ctl/nvme2/nvme2n1", nvme("loop\n"), "unknown"),
        (
            "virtual/nvme-subsystem/nvme-subsys3/nvme3n1",
            vec![("device/nvme3/transport", "pcie\n"), ("device/nvme4/transport", "rdma\n")],
            "network",
        ),
        // What is there and cannot be read may be any transport.
        (
            "virtual/nvme-subsystem/nvme-subsys5/nvme5n1",
            vec![("device/transport/x", ""), ("device/nvme5/transport", "pcie\n")],
            "unknown",
        ),
        (
            "virtual/nvme-subsystem/nvme-subsys6/nvme6n1",
            vec![("device/nvme6/transport", "pcie\n"), ("device/nvme7/transport/x", "")],
            "unknown",
        ),
        ("rbd/0/block/rbd0", vec![], "network"),
        ("virtual/block/drbd0", vec![], "network"),
        ("virtual/block/zd0", vec![], "unknown"),
        ("virtual/block/ram0", vec![], "unknown"),
        ("virtual/block/nullb0", vec![], "unknown"),
        ("virtual/block/loop0", vec![], "unknown"),
        ("virtual/block/bcache0", vec![], "unknown"),
    ];
    let fake = Fake::new();
    for (minor, (place, attributes, expected)) in (0u32..).zip(&cases) {
        fake.device((100, minor), place, attributes);
        let topology = fake.tree().device(100, minor);
        let last = topology.layers().last().map(|(link, _)| link.layer);
        let found = match last {
            Some(Layer::Disk) => "disk",
            Some(Layer::NetworkDevice(_)) => "network",
            _ => "unknown",
        };
        assert_eq!(found, *expected, "{place}: {topology}");
    }
}
