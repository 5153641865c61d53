//! Tables of the kernel's that lie, loop, vanish or are very large: each ends in a refusal that says what and where.
#![cfg(all(feature = "linux", target_os = "linux"))]

use std::path::{Path, PathBuf};

use swap_dio::linux::Tree;
use swap_dio::topology::{Consumer, Layer, MAX_LINKS, Override, Told};

use crate::fake::{DISK, Fake, refused, stack, write};

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
    // No tables at all, and a mount table of garbage.
    assert_eq!(refused(&Tree::at("/nonexistent", "/nonexistent").device(254, 7)), "layer-unknown");
    assert!(Tree::at("/nonexistent", "/nonexistent").process(1).is_err());
    fake.proc("self/mountinfo", b"\xff\xfe - - -\n\n1 2 3\n");
    assert!(fake.tree().process(1).is_err());
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

#[test]
fn attributes_that_block_or_never_end() {
    let fake = Fake::new();
    let pipe = |path: &Path| rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).expect("a pipe");
    let disk = fake.device((254, 0), DISK, &[("device/vendor", "x")]);
    // Nobody writes to these: an opening would wait for ever.
    let (place, none) = ("virtual/block/zram0", Override::empty());
    let zram = fake.device((252, 0), place, &[]);
    pipe(&zram.join("backing_dev"));
    assert_eq!(refused(&fake.tree().device(252, 0)), "layer-unknown");
    let dm = fake.device((253, 0), "virtual/block/dm-0", &[("dm/name", "x")]);
    stack(&dm, &disk);
    pipe(&dm.join("dm/uuid"));
    let judged = fake.tree().device(253, 0).judge(Consumer::SameKernel, none);
    assert!(judged.findings.iter().any(|found| found.reason().is_some_and(|why| why.code() == "device-allocates")));
    let loops = fake.device((7, 0), "virtual/block/loop0", &[]);
    std::fs::create_dir(loops.join("loop")).expect("a folder");
    pipe(&loops.join("loop/backing_file"));
    assert_eq!(refused(&fake.tree().device(7, 0)), "layer-unknown");
    // The table of mounts too, and one without an end.
    let (table, link) = ("self/mountinfo", |name: &str| fake.path().join("proc").join(name));
    std::fs::remove_file(link(table)).expect("removed");
    pipe(&link(table));
    let error = fake.tree().process(1).expect_err("no table").to_string();
    assert!(error.contains("no regular file"), "{error}");
    std::fs::remove_file(link(table)).expect("removed");
    std::fs::File::create(link(table)).and_then(|file| file.set_len(65 << 20)).expect("a table");
    let error = fake.tree().process(1).expect_err("no table").to_string();
    assert!(error.contains("longer than 67108864 bytes"), "{error}");
    // As the largest that there may be it is read, and holds no mount.
    std::fs::File::create(link(table)).and_then(|file| file.set_len(64 << 20)).expect("a table");
    assert!(fake.tree().process(1).is_err_and(|error| error.to_string().contains("no process 1")));
}

#[test]
fn links_of_a_copy_lead_to_nothing_outside_it() {
    let (fake, other) = (Fake::new(), Fake::new());
    let outside = other.device((254, 0), DISK, &[("device/vendor", "x")]);
    std::os::unix::fs::symlink(outside, fake.path().join("sys/dev/block/254:0")).expect("a link");
    assert_eq!(refused(&fake.tree().device(254, 0)), "layer-unknown");
    // Nor does the copy's own folder say what its disks are: it may have any name.
    let folder = fake.path().join("net/session1/virtual");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::rename(other.path().join("sys"), folder.join("sys")).expect("moved");
    let link = folder.join("sys/dev/block/254:0");
    std::fs::remove_file(&link).expect("removed");
    std::os::unix::fs::symlink(format!("../../devices/{DISK}"), link).expect("a link");
    let topology = Tree::at(folder.join("sys"), fake.path().join("proc")).device(254, 0);
    assert_eq!(topology.layers().map(|(link, _)| link.layer).collect::<Vec<_>>(), [Layer::Disk], "{topology}");
}
