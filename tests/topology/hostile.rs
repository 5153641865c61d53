//! Tables of the kernel's that lie, loop, vanish or are very large: each ends in a refusal that says what and where.
#![cfg(all(feature = "linux", target_os = "linux"))]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use swap_dio::linux::{Topology, Tree};
use swap_dio::topology::{Consumer, Layer, MAX_LINKS, NbdClient, Override, Place, Told};
use tempfile::TempDir;

/// A /sys and a /proc made by hand.
struct Fake(TempDir);

impl Fake {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("sys/dev/block")).expect("a folder");
        std::fs::create_dir_all(folder.path().join("proc/self")).expect("a folder");
        std::fs::write(folder.path().join("proc/self/mountinfo"), "").expect("a table");
        Self(folder)
    }

    fn tree(&self) -> Tree {
        Tree::at(self.0.path().join("sys"), self.0.path().join("proc"))
    }

    /// A device at a place in /sys/devices, with attributes.
    fn device(&self, number: (u32, u32), place: &str, attributes: &[(&str, &str)]) -> PathBuf {
        let dir = self.0.path().join("sys/devices").join(place);
        std::fs::create_dir_all(&dir).expect("a folder");
        let text = format!("{}:{}", number.0, number.1);
        write(&dir, "dev", &format!("{text}\n"));
        attributes.iter().for_each(|(name, value)| write(&dir, name, value));
        symlink(&dir, self.0.path().join("sys/dev/block").join(text)).expect("a link");
        dir
    }

    fn proc(&self, name: &str, text: &[u8]) {
        let path = self.0.path().join("proc").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

fn write(dir: &Path, name: &str, value: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, value).expect("an attribute");
}

fn stack(upper: &Path, lower: &Path) {
    let slaves = upper.join("slaves");
    std::fs::create_dir_all(&slaves).expect("a folder");
    symlink(lower, slaves.join(lower.file_name().expect("a name"))).expect("a link");
}

fn refused(topology: &Topology) -> &'static str {
    // Neither another kernel's swap nor any risk accepted makes up for what is not known.
    let judged = topology.judge(Consumer::OtherKernel, Override::all());
    let reason = judged.outcome.expect_err("refused");
    assert!(!reason.to_string().contains('\n'));
    reason.code()
}

const MAPPED: Layer = Layer::DeviceMapper { in_place: Told::Yes };
const DISK: &str = "pci0000:00/virtio1/block/vda";

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
        ("virtual/block/vdb", vec![], "unknown"),
        ("pci0000:00/nvme/nvme0/nvme0n1", nvme("pcie\n"), "disk"),
        ("virtual/nvme-fabrics/ctl/nvme1/nvme1n1", nvme("tcp\n"), "network"),
        ("virtual/nvme-fabrics/ctl/nvme2/nvme2n1", nvme("loop\n"), "unknown"),
        (
            "virtual/nvme-subsystem/nvme-subsys3/nvme3n1",
            vec![("device/nvme3/transport", "pcie\n"), ("device/nvme4/transport", "rdma\n")],
            "network",
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

#[test]
fn what_is_not_there_is_unknown() {
    let fake = Fake::new();
    assert_eq!(refused(&fake.tree().device(7, 0)), "layer-unknown", "no such device");
    // A partition without its disk; an array whose disk went; another device in its place.
    fake.device((8, 1), "virtual/block/sda1", &[("partition", "1\n")]);
    assert_eq!(refused(&fake.tree().device(8, 1)), "layer-unknown");
    let md = fake.device((9, 1), "virtual/block/md1", &[("md/metadata_version", "1.2\n")]);
    assert_eq!(refused(&fake.tree().device(9, 1)), "layer-unknown", "an array of nothing");
    stack(&md, Path::new("/nonexistent/device"));
    assert_eq!(refused(&fake.tree().device(9, 1)), "layer-unknown");
    let disk = fake.device((254, 7), DISK, &[("device/vendor", "x")]);
    write(&disk, "dev", "254:8\n");
    let topology = fake.tree().device(254, 7);
    assert_eq!(refused(&topology), "layer-unknown");
    assert!(topology.to_string().contains("254:7"), "says which: {topology}");
    // No mount table at all, and one of garbage.
    let path = std::env::current_exe().expect("a file");
    assert!(Tree::at("/nonexistent", "/nonexistent").path(&path).is_err());
    fake.proc("self/mountinfo", b"\xff\xfe - - -\n\n1 2 3\n");
    assert_eq!(refused(&fake.tree().path(&path).expect("a chain")), "layer-unknown");
}

#[test]
fn chains_that_loop_or_do_not_end() {
    let fake = Fake::new();
    let dm = |minor: u32| fake.device((252, minor), &format!("virtual/block/dm-{minor}"), &[("dm/name", "x")]);
    let (a, b) = (dm(0), dm(1));
    stack(&a, &b);
    stack(&b, &a);
    let topology = fake.tree().device(252, 0);
    assert_eq!(refused(&topology), "layer-unknown");
    assert!(topology.to_string().contains("252:0 stands on itself"), "{topology}");
    assert!(topology.layers().count() < 8);

    // Deep: each on the next.
    let deep: Vec<PathBuf> = (100..200).map(dm).collect();
    deep.windows(2).for_each(|pair| stack(&pair[0], &pair[1]));
    let topology = fake.tree().device(252, 100);
    assert_eq!(refused(&topology), "layer-unknown");
    assert!(topology.layers().count() < 20, "{topology}");

    // Wide at each of three levels: 20 * 20 * 20.
    let level = |first: u32| -> Vec<PathBuf> { (first..first + 20).map(dm).collect() };
    let levels = [level(1000), level(2000), level(3000)];
    for pair in levels.windows(2) {
        pair[0].iter().for_each(|upper| pair[1].iter().for_each(|lower| stack(upper, lower)));
    }
    let top = dm(4000);
    levels[0].iter().for_each(|lower| stack(&top, lower));
    let topology = fake.tree().device(252, 4000);
    assert_eq!(refused(&topology), "layer-unknown");
    assert!(topology.layers().count() <= MAX_LINKS + 1);
}

#[test]
fn names_and_numbers_that_are_none() {
    let fake = Fake::new();
    let long = "x".repeat(100_000);
    for (minor, name) in
        (0u32..).zip(["/a b", "/a\nb\n", "/gone (deleted)", "", "\n", "relative", &long, "/\u{fffd}\u{1b}[31m"])
    {
        let attributes = [("loop/backing_file", name), ("loop/dio", "yes\n")];
        fake.device((7, 5000 + minor), &format!("virtual/block/loop{}", 5000 + minor), &attributes);
        let topology = fake.tree().device(7, 5000 + minor);
        assert_eq!(refused(&topology), "layer-unknown", "{name:.20?}");
        assert_eq!(topology.layers().next().map(|(link, _)| link.layer), Some(Layer::Loop { direct: Told::Unknown }));
        let printed = topology.to_string();
        assert!(printed.lines().count() == 2 && !printed.contains('\u{1b}'), "{printed:?}");
    }
    for dev in ["", "x", "7", "7:", ":7", "-1:-1", "99999999999:1", "7:0:0", "0x7:0"] {
        let fake = Fake::new();
        let dir = fake.device((7, 0), "virtual/block/vda", &[("device/x", "")]);
        write(&dir, "dev", dev);
        assert_eq!(refused(&fake.tree().device(7, 0)), "layer-unknown", "{dev:?}");
    }
}

/// One process that connected an NBD device, with a socket or without.
fn nbd(pid: Option<&str>, command: &[u8], locked: &str, tables: &[(&str, &str)]) -> (Place, NbdClient) {
    let fake = Fake::new();
    let dir = fake.device((43, 0), "virtual/block/nbd0", &[]);
    if let Some(pid) = pid {
        write(&dir, "pid", pid);
    }
    fake.proc("77/cmdline", command);
    fake.proc("77/status", format!("Name:\tx\nVmLck:\t{locked} kB\n").as_bytes());
    let fds = fake.0.path().join("proc/77/fd");
    std::fs::create_dir_all(&fds).expect("a folder");
    symlink("socket:[4711]", fds.join("3")).expect("a link");
    tables.iter().for_each(|(name, text)| fake.proc(&format!("77/net/{name}"), text.as_bytes()));
    let topology = fake.tree().device(43, 0);
    match topology.layers().next().map(|(link, _)| link.layer) {
        Some(Layer::Nbd { place, client, .. }) => (place, client),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nbd_clients_and_where_they_lead() {
    let client = b"/usr/sbin/nbd-client\0-swap\0";
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let line = |from: [u8; 4], to: [u8; 4]| {
        let (from, to) = (word(from), word(to));
        format!("head\n 0: {from}:AAAA {to}:2A39 01 00000000:00000000 00:00000000 00000000 0 0 4711 1\n")
    };
    let (here, there) = (line([127, 0, 0, 1], [127, 0, 0, 1]), line([10, 0, 0, 1], [10, 0, 0, 2]));
    let unix = "head\n0000: 00000003 00000000 00000000 0001 03 4711 /run/nbd\n";
    let hardened = NbdClient::Hardened;
    assert_eq!(nbd(Some("77\n"), client, "8192", &[("tcp", &here)]), (Place::Local, hardened));
    assert_eq!(nbd(Some("77\n"), client, "8192", &[("tcp", &there)]), (Place::Remote, hardened));
    assert_eq!(nbd(Some("77\n"), client, "8192", &[("unix", unix)]), (Place::Local, hardened));
    assert_eq!(nbd(Some("77\n"), client, "0", &[("tcp", &there)]), (Place::Remote, NbdClient::Plain));
    // Nothing shows, or nonsense does: nothing is told.
    assert_eq!(nbd(Some("77\n"), client, "8192", &[]), (Place::Unknown, hardened));
    assert_eq!(nbd(Some("77\n"), client, "much", &[("tcp", "4711 4711\n")]), (Place::Unknown, NbdClient::Unknown));
    assert_eq!(nbd(Some("77\n"), b"/bin/sh\0", "0", &[("tcp", &there)]), (Place::Unknown, NbdClient::Netlink));
    assert_eq!(nbd(Some("78\n"), client, "0", &[]), (Place::Unknown, NbdClient::Netlink));
    assert_eq!(nbd(Some("x"), client, "0", &[]), (Place::Unknown, NbdClient::Unknown));
    assert_eq!(nbd(None, client, "0", &[]), (Place::Unknown, NbdClient::Unknown));
}
