//! Devices that a process serves, by what /sys and /proc show of it: NBD, ublk; and what a copy of them does not hold.
#![cfg(all(feature = "linux", target_os = "linux"))]

use swap_dio::linux::TopologyError;
use swap_dio::topology::{Layer, NbdClient, Place, Posture, Told};

use crate::fake::{DISK, Fake, refused, words, write};

/// A process that connected an NBD device: the file that it runs, its memory that is locked and that is resident.
struct Client(&'static str, &'static str, &'static str);

/// One NBD device, its client with a socket, and the tables of sockets.
fn nbd(pid: Option<&str>, Client(program, locked, resident): Client, tables: &[(&str, &str)]) -> (Place, NbdClient) {
    let fake = Fake::new();
    let dir = fake.device((43, 0), "virtual/block/nbd0", &[]);
    if let Some(pid) = pid {
        write(&dir, "pid", pid);
    }
    for (number, device) in [(77, "/dev/nbd0"), (79, "/dev/nbd1")] {
        // What it calls itself is nothing to go by.
        fake.proc(&format!("{number}/cmdline"), b"/usr/sbin/nbd-client\0-swap\0");
        let status = format!("Name:\tnbd-client\nVmLck:\t{locked} kB\nVmRSS:\t{resident} kB\n");
        fake.proc(&format!("{number}/status"), status.as_bytes());
        fake.link(&format!("{number}/exe"), program);
        fake.link(&format!("{number}/fd/3"), "socket:[4711]");
        fake.link(&format!("{number}/fd/4"), device);
        tables.iter().for_each(|(name, text)| fake.proc(&format!("{number}/net/{name}"), text.as_bytes()));
    }
    let topology = fake.tree().device(43, 0);
    match topology.layers().next().map(|(link, _)| link.layer) {
        Some(Layer::Nbd { place, client, .. }) => (place, client),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nbd_clients_and_where_they_lead() {
    let client = |locked, resident| Client("/usr/sbin/nbd-client", locked, resident);
    let locked = || client("8192", "4096");
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let line = |from: [u8; 4], to: [u8; 4]| {
        let (from, to) = (word(from), word(to));
        format!("head\n 0: {from}:AAAA {to}:2A39 01 00000000:00000000 00:00000000 00000000 0 0 4711 1\n")
    };
    let (here, there) = (line([127, 0, 0, 1], [127, 0, 0, 1]), line([10, 0, 0, 1], [10, 0, 0, 2]));
    let unix = "head\n0000: 00000003 00000000 00000000 0001 03 4711 /run/nbd\n";
    let hardened = NbdClient::Hardened;
    assert_eq!(nbd(Some("77\n"), locked(), &[("tcp", &here)]), (Place::Local, hardened));
    assert_eq!(nbd(Some("77\n"), locked(), &[("tcp", &there)]), (Place::Remote, hardened));
    assert_eq!(nbd(Some("77\n"), locked(), &[("unix", unix)]), (Place::Local, hardened));
    assert_eq!(nbd(Some("77\n"), client("4096", "4096"), &[("tcp6", &there)]), (Place::Remote, hardened));
    let updated = Client("/usr/sbin/nbd-client (deleted)", "8192", "4096");
    assert_eq!(nbd(Some("77\n"), updated, &[("tcp", &there)]), (Place::Remote, hardened));
    // One page, or all but one, is not the memory.
    for (locked, resident) in [("0", "4096"), ("4", "4096"), ("4092", "4096"), ("0", "0")] {
        assert_eq!(nbd(Some("77\n"), client(locked, resident), &[("tcp", &there)]), (Place::Remote, NbdClient::Plain));
    }
    // Nothing shows, or nonsense does: nothing is told.
    let unknown = (Place::Unknown, NbdClient::Unknown);
    assert_eq!(nbd(Some("77\n"), locked(), &[]), (Place::Unknown, hardened));
    assert_eq!(nbd(Some("77\n"), client("much", "4096"), &[("tcp", "4711 4711\n")]), unknown);
    assert_eq!(nbd(Some("77\n"), Client("/home/x/nbd-client/sh", "8192", "0"), &[("tcp", &there)]), unknown);
    assert_eq!(nbd(Some("79\n"), locked(), &[("tcp", &there)]), unknown, "of another device");
    assert_eq!(nbd(Some("78\n"), locked(), &[]), (Place::Unknown, NbdClient::Netlink));
    assert_eq!(nbd(Some("x"), locked(), &[]), unknown);
    assert_eq!(nbd(None, locked(), &[]), unknown);
    let long = format!("{there}{}", "x".repeat(14 << 20));
    assert_eq!(nbd(Some("77\n"), locked(), &[("tcp", &long)]), (Place::Unknown, hardened), "no table is that long");
}

/// A ublk device, and two processes that have its character device open.
fn ublk() -> Fake {
    let fake = Fake::new();
    let dir = fake.device((259, 3), "virtual/block/ublkb3", &[("queue/max_sectors_kb", "16\n")]);
    fake.named("ublkb3", &dir);
    for pid in [77, 78] {
        fake.proc(&format!("{pid}/status"), b"Name:\tx\nVmSize:\t8 kB\n");
        fake.link(&format!("{pid}/fd/5"), "/dev/ublkc3");
    }
    fake.link("79/fd/5", "/dev/ublkc33");
    // A file of this machine, and none of the one that the tables are of.
    fake.link("77/fd/6", "/proc/self/exe");
    fake.proc("77/fdinfo/6", b"flags:\t0100002\n");
    fake
}

#[test]
fn a_ublk_device_and_its_servers() {
    let fake = ublk();
    let topology = fake.tree().device(259, 3);
    let (link, name) = topology.layers().next().expect("a layer");
    let Layer::Ublk { device: None, max_sectors: Some(32), server } = link.layer else { panic!("{topology}") };
    assert_eq!((server.posture, server.direct), (Posture::Unknown, Told::Unknown));
    assert!(name.ends_with("by process 77, 78"), "{name}");
    // What they have open is not in a copy, and nothing here stands in for it.
    let unseen = "a descriptor of the server that may not be looked at";
    assert_eq!(words(&topology), ["a ublk device", unseen, unseen], "{topology}");
    assert_eq!(refused(&topology), "layer-unknown");

    // From the server to what it serves.
    for pid in [77, 78] {
        let served = fake.tree().process(pid).expect("a server");
        assert_eq!(served, std::slice::from_ref(&topology));
    }
    assert!(fake.tree().process(79).is_err(), "the device of another number");
    for (attribute, expected) in [("4\n", Some(8)), ("x\n", None), ("4294967295\n", None)] {
        let dir = fake.path().join("sys/devices/virtual/block/ublkb3");
        write(&dir, "queue/max_sectors_kb", attribute);
        let layer = fake.tree().device(259, 3).layers().next().map(|(link, _)| link.layer);
        assert!(matches!(layer, Some(Layer::Ublk { max_sectors, .. }) if max_sectors == expected), "{layer:?}");
    }
}

#[test]
fn a_copy_says_nothing_of_this_machine() {
    let fake = Fake::new();
    // Both are there on this machine, and may be everything else on another.
    let exe = std::env::current_exe().expect("a file");
    let name = exe.display().to_string();
    let attributes = [("loop/backing_file", name.as_str()), ("loop/dio", "1\n"), ("size", "8\n")];
    fake.device((7, 0), "virtual/block/loop0", &attributes);
    let table = std::fs::read("/proc/self/mountinfo").expect("a table");
    fake.proc("self/mountinfo", &table);
    for topology in [fake.tree().device(7, 0), fake.tree().path(&exe).expect("a chain")] {
        assert_eq!(refused(&topology), "layer-unknown", "{topology}");
        assert!(topology.to_string().contains("a copy of tables does not hold"), "{topology}");
    }
    // A name of the kernel's leads to the copy's own tables.
    let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
    fake.named("vda", &disk);
    assert_eq!(words(&fake.tree().path("/dev/vda".as_ref()).expect("a chain")), ["a disk"]);
    assert_eq!(refused(&fake.tree().path("/dev/null".as_ref()).expect("a chain")), "layer-unknown");
    // /proc of this machine with /sys of another is a copy too.
    let mixed = swap_dio::linux::Tree::at(fake.path().join("sys"), "/proc");
    assert!(mixed.device(7, 0).to_string().contains("a copy of tables does not hold"));

    // A FUSE server of the copy: which mount it serves shows, what it has open does not.
    let line = b"41 29 0:57 / /mnt/b rw shared:9 - fuse.x x rw,user_id=0\n";
    fake.proc("self/mountinfo", line);
    fake.proc("77/fdinfo/3", b"pos:\t0\nflags:\t02\nfuse_connection:\t57\n");
    fake.link("77/fd/3", "/dev/fuse");
    let served = fake.tree().process(77).expect("a server");
    let [topology] = served.as_slice() else { panic!("{served:?}") };
    let unseen = "a descriptor of the server that may not be looked at";
    assert_eq!(words(topology), ["FUSE without a block device", unseen], "{topology}");
}

#[test]
fn processes_that_serve_nothing_are_told_apart() {
    let fake = Fake::new();
    let process = |pid: u32, status: &str| fake.proc(&format!("{pid}/status"), status.as_bytes());
    process(2, "Name:\tkthreadd\nKthread:\t1\n");
    process(3, "Name:\tx\nVmSize:\t8 kB\n");
    process(4, "Name:\tx\nVmSize:\t8 kB\n");
    fake.link("4/fd/0", "/dev/null");
    process(5, "Name:\tx\nVmSize:\t8 kB\n");
    fake.link("5/fd/3", "/dev/fuse");
    fake.proc("5/fdinfo/3", b"pos:\t0\nflags:\t02\n");
    let said = |pid| fake.tree().process(pid).expect_err("no server");
    assert!(matches!(said(1), TopologyError::NoProcess { pid: 1 }));
    assert!(matches!(said(2), TopologyError::NoMemory { pid: 2 }));
    assert!(matches!(said(3), TopologyError::NotShown { pid: 3, .. }));
    assert!(matches!(said(4), TopologyError::ServesNothing { pid: 4 }));
    assert!(matches!(said(5), TopologyError::WhichMount { pid: 5 }));
    for pid in 1..=5 {
        let words = said(pid).to_string();
        assert_eq!(words.contains("try as root"), pid == 3, "{words}");
        assert!(words.contains(&pid.to_string()) && !words.contains('\n'), "{words}");
    }
}
