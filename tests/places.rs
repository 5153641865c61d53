//! Where a file's blocks lie, by each source that can say so: btrfs chunks, FIBMAP, XFS realtime, the file under a loop
//! device; with privilege exact, without it `None`.
//!
//! Needs root and loop devices; says so and compares nothing without them.
#![cfg(all(feature = "linux", target_os = "linux"))]

mod built;
mod machine;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine::{ACTIVE_AREAS, Answer, Mounted, ready, sh, swapon};
use swap_dio::linux::{Depth, Examination, examine, extents, predict};
use swap_dio::{FileExtent, Verdict};

const NOCOW: &str = "touch f; chattr +C f; ";
/// A file of so many MiB, at `f`, with a header.
const WRITE: &str = "dd if=/dev/zero of=f bs=1M count=$MIB status=none; chmod 600 f; mkswap f >&2; sync f";

fn make(fs: &Mounted, folder: &str, script: &str) -> PathBuf {
    let folder = fs.root.join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    fs.run(&folder, script).expect("a file");
    folder.join("f")
}

/// What is foretold is what comes, to the extent.
fn agree(path: &Path, what: &str) -> (Examination, Answer) {
    let _shared = ACTIVE_AREAS.read();
    let found = examine(path, Depth::First).expect("an examination");
    assert_eq!(predict(path).expect("a prediction"), found.kernel);
    let answer = swapon(path, 4096);
    let kernel = found.kernel;
    match &answer {
        Answer::Accepted { pages, extents } => {
            assert_eq!(kernel.accepts, Some(true), "{what}: {answer:?}, {found:?}");
            assert_eq!(kernel.pages.map(|pages| pages.get()), Some(*pages), "{what}: {found:?}");
            assert!(extents.is_none() || kernel.extents == *extents, "{what}: {answer:?}, {found:?}");
        }
        Answer::Refused(errno) => {
            assert_eq!(kernel.errno.map(|errno| errno.number()), Some(*errno), "{what}: {answer:?}, {found:?}");
        }
    }
    (found, answer)
}

fn claims(path: &Path) -> Vec<FileExtent> {
    let mut claims = Vec::new();
    extents(path, |claim| claims.push(claim.expect("an honest filesystem"))).expect("extents");
    claims
}

#[test]
fn btrfs_over_two_devices() {
    if !ready(&["mkfs.btrfs"]) {
        return;
    }
    let make_fs = "mkfs.btrfs -q -d single -m single $DEV $DEV2";
    let fs = Mounted::new(&[256, 256], make_fs, "btrfs -q device scan $DEV $DEV2; mount $DEV $M");
    // Small files lie on one device, some on the first and some on the second; a large one on both.
    let mut devices = BTreeSet::new();
    for index in 0..6 {
        let path = make(&fs, &format!("small{index}"), &format!("MIB=20; {NOCOW}{WRITE}"));
        let (found, _) = agree(&path, "a small file");
        if found.kernel.accepts == Some(true) {
            let own: BTreeSet<u64> = claims(&path).iter().map(|claim| claim.device.get()).collect();
            assert_eq!(own.len(), 1);
            devices.extend(own);
        }
    }
    assert_eq!(devices.len(), 2, "files on both devices are accepted");
    sh(&format!("rm -r {}/small[0-4]; sync -f {0}", fs.root.display())).expect("room");
    let path = make(&fs, "large", &format!("MIB=200; {NOCOW}{WRITE}"));
    let (found, answer) = agree(&path, "a file over both");
    assert_eq!(answer, Answer::Refused(22));
    assert_eq!(found.bio.reasons().first().map(|why| why.code()), Some("multi-device"), "{found:?}");
}

#[test]
fn btrfs_addresses_are_not_the_devices() {
    if !ready(&["mkfs.btrfs"]) {
        return;
    }
    let fs = Mounted::new(&[512], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M");
    let path = make(&fs, "moved", &format!("MIB=8; {NOCOW}{WRITE}"));
    fs.run(&fs.root, "btrfs balance start --full-balance $M >&2").expect("a balance");
    let offset = fs.run(&fs.root, "btrfs inspect-internal map-swapfile -r moved/f");
    let (found, _) = agree(&path, "after a balance");
    assert!(found.kernel.extents.is_some());
    let Ok(offset) = offset else { return println!("skipped: these btrfs-progs have no map-swapfile") };
    let first = claims(&path).first().and_then(|claim| claim.physical).expect("a place");
    assert_eq!(first.get() / 4096, offset.parse::<u64>().expect("a number"), "P-089: as btrfs-progs maps it");
}

#[test]
fn btrfs_scrub_is_told() {
    if !ready(&["mkfs.btrfs"]) {
        return;
    }
    let fs = Mounted::new(&[512], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M");
    let fill = "dd if=/dev/urandom of=$M/fill bs=1M count=100 status=none; sync -f .";
    let path = make(&fs, "f", &format!("MIB=8; {NOCOW}{WRITE}; {fill}"));
    // At this speed it takes ten seconds, if it is let; it goes on behind the call.
    let start = "U=$(findmnt -no UUID $M); echo 10m > /sys/fs/btrfs/$U/devinfo/1/scrub_speed_max; btrfs scrub start $M >/dev/null 2>&1";
    if let Err(why) = fs.run(&fs.root, start) {
        return println!("skipped: no scrub that can be slowed down: {why}");
    }
    // The command returns before the scrub has begun.
    let mut looks = (0..100).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        examine(&path, Depth::First).expect("an examination")
    });
    let found = looks.find(|found| found.kernel.accepts.is_none()).expect("a scrub that is seen");
    fs.run(&fs.root, "btrfs scrub cancel $M >&2").expect("it was still running");
    assert_eq!((found.kernel.accepts, found.bio.verdict()), (None, Verdict::Retry), "{found:?}");
    agree(&path, "after the scrub");
}

#[test]
fn fuse_over_a_block_device_is_asked_by_fibmap() {
    if !ready(&["mkntfs", "ntfs-3g"]) {
        return;
    }
    let fs = Mounted::new(&[64], "mkntfs -Q -q -F $DEV >&2", "ntfs-3g -o big_writes,fmask=177 $DEV $M");
    let written = make(&fs, "written", &format!("MIB=8; {WRITE}"));
    let (found, answer) = agree(&written, "a written file");
    assert!(matches!(answer, Answer::Accepted { .. }));
    assert_eq!((found.bio.verdict(), found.file.verdict()), (Verdict::Refuse, Verdict::Refuse), "{found:?}");
    assert_eq!(found.bio.reasons().first().map(|why| why.code()), Some("user-space-server"));

    let sparse = make(&fs, "sparse", "truncate -s 8M f; mkswap f >&2");
    assert_eq!(agree(&sparse, "a sparse file").1, Answer::Refused(22));
    let script = "for i in $(seq 0 40); do dd if=/dev/zero of=f bs=4k count=1 seek=$i conv=notrunc status=none; \
                  dd if=/dev/zero of=g bs=4k count=1 seek=$i conv=notrunc status=none; done; mkswap f >&2";
    agree(&make(&fs, "interleaved", script), "an interleaved file");
    assert!(claims(&written).iter().all(|claim| claim.physical.is_some()));
}

#[test]
fn who_may_not_ask_is_told_nothing() {
    if !ready(&["mkntfs", "ntfs-3g", "mkfs.btrfs", "setpriv"]) {
        return;
    }
    let ntfs = Mounted::new(&[64], "mkntfs -Q -q -F $DEV >&2", "ntfs-3g -o big_writes,fmask=133,dmask=22 $DEV $M");
    let raid = Mounted::new(
        &[256, 256],
        "mkfs.btrfs -q -d single -m single $DEV $DEV2",
        "btrfs -q device scan $DEV $DEV2; mount $DEV $M",
    );
    let program = built::example("check", &[]);
    for (fs, script) in [(&ntfs, WRITE.to_owned()), (&raid, format!("{NOCOW}{WRITE}; chmod 644 f"))] {
        let path = make(fs, "plain", &format!("MIB=8; {script}"));
        sh(&format!("chmod 755 {}", fs.root.parent().expect("a folder").display()))
            .expect("a folder that others may enter");
        let call = format!(
            "cp {program} {root}/../check; cd /; setpriv --reuid 65534 --regid 65534 --clear-groups {root}/../check --json {path} || true",
            program = program.display(),
            root = fs.root.display(),
            path = path.display()
        );
        let line = sh(&call).expect("an answer");
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(answer["kernel"]["accepts"].is_null() && answer["kernel"]["extents"].is_null(), "{line}");
        assert_eq!(answer["bio"]["reasons"][0]["code"], "placement-unknown", "{line}");
    }
}

#[test]
fn xfs_files_on_the_realtime_device() {
    if !ready(&["mkfs.xfs", "xfs_io"]) {
        return;
    }
    let mount = "mount -o rtdev=$DEV2 $DEV $M || mount -t ramfs none $M";
    let fs = Mounted::new(&[320, 320], "mkfs.xfs -q -r rtdev=$DEV2 $DEV", mount);
    if sh(&format!("findmnt -no FSTYPE {} | grep -qx xfs", fs.root.display())).is_err() {
        return println!("skipped: this kernel mounts no XFS with a realtime device");
    }
    let script = format!("MIB=20; touch f; xfs_io -c 'chattr +t' f; {WRITE}");
    let (found, _) = agree(&make(&fs, "realtime", &script), "a realtime file");
    assert_eq!((found.kernel.accepts, found.bio.verdict()), (Some(true), Verdict::Admit), "P-064: {found:?}");
    let holes = format!("{script}; fallocate -p -o 1M -l 1M f");
    assert_eq!(agree(&make(&fs, "holes", &holes), "a realtime file with a hole").1, Answer::Refused(22));
}

#[test]
fn the_file_under_a_loop_device_is_looked_at() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let fs = Mounted::new(&[128, 16], "mkfs.ext4 -q -b 4096 $DEV; mkswap $DEV2 >&2", "mount $DEV $M");
    // Its backing file is sparse but for the header: it was made by truncate.
    let devices = fs.devices();
    let device = PathBuf::from(devices.split("DEV2=").nth(1).expect("a second device").trim());
    let found = examine(&device, Depth::All).expect("an examination");
    assert_eq!(fs.device().exists(), found.backing.is_some());
    assert_eq!(found.kernel.accepts, Some(true), "P-128: the kernel takes it: {found:?}");
    assert_eq!(found.bio.verdict(), Verdict::Refuse);
    let backing = found.backing.expect("a file below");
    assert!(backing.path.ends_with("image1"), "{backing:?}");
    let below = backing.file.expect("a judgement");
    assert!(below.reasons().iter().any(|why| why.code() == "hole"), "{below:?}");
    agree(&device, "the device");
    assert_eq!(claims(&device).len(), 1);
}

/// The device is accepted, and nothing is activated here: an area on memory that is swapped out waits for itself.
#[test]
fn a_loop_device_over_memory_is_told() {
    if !ready(&[]) {
        return;
    }
    let fs = Mounted::new(&[], "", "mount -t tmpfs -o size=8m none $M");
    let attach = "truncate -s 4M i; mkswap i >&2; losetup -f --show i";
    let device = fs.run(&fs.root, attach).expect("a loop device");
    let found = examine(Path::new(&device), Depth::All);
    sh(&format!("losetup -d {device}")).expect("detached");
    let found = found.expect("an examination");
    let below = found.backing.as_ref().and_then(|backing| backing.file.as_ref()).expect("a judgement");
    assert_eq!(below.reasons().first().map(|why| why.code()), Some("in-memory"), "{found:?}");
    assert_eq!((found.kernel.accepts, found.bio.verdict()), (Some(true), Verdict::Refuse), "{found:?}");
}
