//! Chains of this machine: loop devices over files, over FUSE, over each other; partitions; fuseblk; btrfs.
#![cfg(all(feature = "linux", target_os = "linux"))]

use std::path::{Path, PathBuf};

use swap_dio::Verdict;
use swap_dio::linux::{Depth, Examination, TopologyError, Tree, examine, examine_accepting};
use swap_dio::topology::{Consumer, Layer, Override, Posture, Told};

use crate::fake::words;
use crate::machine::{Mounted, ready, sh};

/// A loop device over a file, detached when dropped.
pub(crate) struct Attached(pub(crate) String);

impl Attached {
    pub(crate) fn over(file: &str, options: &str) -> Self {
        Self(sh(&format!("losetup -f --show {options} {file}")).expect("a loop device"))
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let detached = sh(&format!("losetup -d {}", self.0));
        assert!(detached.is_ok() || std::thread::panicking(), "{} is left attached: {detached:?}", self.0);
    }
}

/// A mount or a server of it, taken away when dropped.
pub(crate) struct Mount(pub(crate) PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let umount = || sh(&format!("umount {}", self.0.display()));
        let mut done = umount();
        // A child that another test has just forked has our files open until it runs its program.
        for _ in 0..100 {
            if !done.as_ref().is_err_and(|why| why.contains("busy")) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            done = umount();
        }
        assert!(done.is_ok() || std::thread::panicking(), "{} is left mounted: {done:?}", self.0.display());
    }
}

fn layers(path: &Path) -> Vec<&'static str> {
    words(&Tree::running().path(path).expect("a chain"))
}

fn codes(found: &Examination) -> Vec<&'static str> {
    found.bio.reasons().iter().map(|why| why.code()).collect()
}

pub(crate) const EXT4: &str = "mkfs.ext4 -q -b 4096 $DEV";
/// A swap file that is written in full.
const FILE: &str = "dd if=/dev/zero of=s bs=1M count=4 status=none; chmod 600 s; mkswap s >&2; sync s";
pub(crate) const LOOP: &str = "a loop device through the page cache";

#[test]
fn a_file_on_ext4_on_a_loop_device() {
    if !ready(&["mkfs.ext4", "mkswap"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    fs.run(&fs.root, FILE).expect("a file");
    let path = fs.root.join("s");
    let found = examine(&path, Depth::All).expect("an examination");
    assert_eq!((found.bio.verdict(), found.kernel.accepts), (Verdict::Admit, Some(true)), "{found:?}");
    assert!(found.warnings.iter().any(|why| why.code() == "loop-below"), "{found:?}");
    assert_eq!(&layers(&path)[..2], ["ext4", LOOP], "{:?}", layers(&path));
    // Accepted by its name, it is a warning no more, and is told.
    let accepted = examine_accepting(&path, Depth::All, Override::FILE_BACKED).expect("an examination");
    assert!(accepted.warnings.is_empty(), "{accepted:?}");
    assert_eq!(accepted.accepted().map(|(by, _)| by).collect::<Vec<_>>(), [Override::FILE_BACKED]);
}

#[test]
fn a_loop_device_over_a_file_and_over_a_loop_device() {
    if !ready(&["mkfs.ext4", "mkswap"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    let make = "mkdir 'a b'; dd if=/dev/zero of='a b/i' bs=1M count=4 status=none; mkswap 'a b/i' >&2; sync -f .";
    fs.run(&fs.root, make).expect("an image");
    let image = format!("'{}/a b/i'", fs.root.display());
    let below = Attached::over(&image, "");
    let above = Attached::over(&below.0, "");
    for (device, count) in [(&below, 2), (&above, 3)] {
        let found = examine(device.path(), Depth::All).expect("an examination");
        assert!(codes(&found).iter().all(|code| *code == "loop-backing"), "{found:?}");
        assert_eq!(found.bio.verdict(), Verdict::Refuse, "{found:?}");
        assert_eq!(found.file.verdict(), Verdict::Refuse, "{found:?}");
        let layers = layers(device.path());
        assert_eq!(layers.iter().position(|word| *word == "ext4"), Some(count - 1), "{layers:?}");
    }
    let found = examine_accepting(below.path(), Depth::All, Override::FILE_BACKED).expect("an examination");
    assert_eq!((found.bio.verdict(), found.accepted().count()), (Verdict::Admit, 2), "{found:?}");
    // Through another loop device the file is not looked at, so nobody says that it is written in place.
    let found = examine_accepting(above.path(), Depth::All, Override::FILE_BACKED).expect("an examination");
    assert_eq!(codes(&found), ["loop-backing"; 2], "and nobody accepts its page cache: {found:?}");
    // What was accepted is the pool of requests, not that blocks are allocated.
    fs.run(&fs.root, "fallocate -p -o 1M -l 1M 'a b/i'").expect("a hole");
    let found = examine_accepting(below.path(), Depth::All, Override::FILE_BACKED).expect("an examination");
    assert_eq!(codes(&found), ["loop-backing"], "{found:?}");
    // The file moves away, and another comes: the chain is the device's, not the name's.
    fs.run(&fs.root, "mv 'a b/i' 'a b/j'; echo > 'a b/i'").expect("moved");
    let topology = Tree::running().path(below.path()).expect("a chain");
    assert_eq!(words(&topology)[1], "ext4", "{topology}");
    fs.run(&fs.root, "rm 'a b/j'").expect("removed");
    let topology = Tree::running().path(below.path()).expect("a chain");
    assert_eq!(words(&topology)[1], "ext4", "{topology}");
    assert!(topology.to_string().contains("(deleted)"), "{topology}");
}

#[test]
fn names_of_backing_files_may_hold_anything() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    for name in [r"$'a\nb'", r"$'end\n'", r"$'x (deleted)'", r"$'a\\040b'", r"$'\xff\xfe'", r"$'tab\t \e[31m'"] {
        fs.run(&fs.root, &format!("truncate -s 1M {name}")).expect("a file");
        let attached = Attached::over(&format!("{}/{name}", fs.root.display()), "");
        let topology = Tree::running().path(attached.path()).expect("a chain");
        assert_eq!(words(&topology)[1], "ext4", "{name}: {topology}");
        assert!(!topology.to_string().contains("not there any more"), "{name}: {topology}");
        assert!(!topology.to_string().contains('\u{1b}'), "{name}");
    }
}

#[test]
fn a_partition_of_a_loop_device() {
    if !ready(&["mkfs.ext4", "losetup"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    // One partition of type 83 from sector 2048 on, 4096 sectors.
    let table = r"truncate -s 4M d; printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0' | dd of=d bs=1 seek=446 conv=notrunc status=none; printf '\125\252' | dd of=d bs=1 seek=510 conv=notrunc status=none";
    fs.run(&fs.root, table).expect("a table");
    let attached = Attached::over(&fs.root.join("d").display().to_string(), "-P");
    let partition = PathBuf::from(format!("{}p1", attached.0));
    if !partition.exists() {
        return println!("skipped: no partition device appeared");
    }
    assert_eq!(&layers(&partition)[..3], ["a partition", LOOP, "ext4"]);
    sh(&format!("mkswap {} >&2", partition.display())).expect("a header");
    let found = examine(&partition, Depth::All).expect("an examination");
    assert_eq!(codes(&found), ["loop-backing", "loop-backing"], "its worker, and its file's holes: {found:?}");
}

/// A FUSE filesystem that hands on a folder of another: `m/b` shows `m/a`.
pub(crate) fn bound(fs: &Mounted) -> Mount {
    fs.run(&fs.root, "mkdir a b; bindfs $M/a $M/b").expect("a FUSE mount");
    Mount(fs.root.join("b"))
}

/// The process that serves it.
pub(crate) fn server(fs: &Mounted) -> u32 {
    // The brackets keep out whoever looks for it, whose own command line has the name too.
    let pid = sh(&format!("pgrep -f '[b]indfs {}/a'", fs.root.display())).expect("a process");
    pid.lines().next().and_then(|pid| pid.parse().ok()).expect("a number")
}

#[test]
fn loop_devices_over_fuse() {
    if !ready(&["mkfs.ext4", "bindfs"]) {
        return;
    }
    let fs = Mounted::new(&[128], EXT4, "mount $DEV $M");
    let bound = bound(&fs);
    let make = "dd if=/dev/zero of=a/i bs=1M count=48 status=none; mkswap a/i >&2; sync -f .";
    fs.run(&fs.root, make).expect("an image");
    let attached = Attached::over(&bound.0.join("i").display().to_string(), "");
    let found = examine(attached.path(), Depth::All).expect("an examination");
    assert_eq!(found.bio.reasons().first().map(|why| why.code()), Some("loop-backing"), "{found:?}");
    assert!(codes(&found).contains(&"posture"), "{found:?}");
    let topology = found.topology.as_ref().expect("a chain");
    assert_eq!(&words(topology)[..2], [LOOP, "FUSE without a block device"], "{topology}");
    // Since 6.16 the server can be found, and what it has open.
    let sees_server = topology.to_string().contains("by process") && !topology.to_string().contains("does not show");
    if sees_server {
        assert!(words(topology).contains(&"ext4"), "{topology}");
        assert!(codes(&found).contains(&"file-backed-server"), "{found:?}");
    }
    // Each name that is missing refuses; the posture cannot be accepted, the absence of global reclaim can.
    let with = |risks| examine_accepting(attached.path(), Depth::All, risks).expect("an examination");
    let both = with(Override::LOOP_OVER_FUSE | Override::FILE_BACKED);
    // Neither does anybody accept that the server goes through the page cache.
    let left = vec!["posture", "user-space-server", "user-space-server"];
    assert_eq!((both.bio.verdict(), codes(&both)), (Verdict::Refuse, left), "{both:?}");
    let reclaim = with(Override::GLOBAL_RECLAIM_EXCLUDED);
    assert_eq!(reclaim.bio.verdict() == Verdict::Admit, sees_server, "{reclaim:?}");
    assert!(reclaim.accepted().all(|(by, _)| by == Override::GLOBAL_RECLAIM_EXCLUDED));
    let known = with(Override::GLOBAL_RECLAIM_EXCLUDED | Override::DATA_PATH);
    assert_eq!(known.bio.verdict(), Verdict::Admit, "{known:?}");

    // A file on ext4 on that loop device: bios to the same device.
    std::fs::create_dir(fs.root.join("n")).expect("a mount point");
    let make = format!("mkfs.ext4 -q -b 4096 {0}; mount {0} $M/n; cd $M/n; {FILE}", attached.0);
    fs.run(&fs.root, &make).expect("a filesystem on it");
    let nested = Mount(fs.root.join("n"));
    let found = examine(&nested.0.join("s"), Depth::First).expect("an examination");
    assert_eq!(codes(&found), ["loop-backing"], "{found:?}");
    assert_eq!(found.kernel.accepts, Some(true), "the kernel takes it: {found:?}");
}

#[test]
fn a_running_server_is_asked() {
    if !ready(&["mkfs.ext4", "bindfs"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    let bound = bound(&fs);
    let pid = server(&fs);
    // What is written through it, it has open itself.
    let written = std::fs::File::create(bound.0.join("f")).expect("a file");
    let served = Tree::running().process(pid);
    if sh(&format!("grep -q fuse_connection: /proc/{pid}/fdinfo/*")).is_err() {
        assert!(matches!(served, Err(TopologyError::WhichMount { .. })), "{served:?}");
    } else {
        let served = served.expect("a server");
        let [topology] = served.as_slice() else { panic!("{served:?}") };
        assert_eq!(&words(topology)[..3], ["FUSE without a block device", "ext4", LOOP], "{topology}");
        let Some(Layer::Fuse(server)) = topology.layers().next().map(|(link, _)| link.layer) else {
            panic!("{topology}")
        };
        // Nobody took the posture in it, and it opens files as it is told to.
        assert_eq!((server.posture, server.direct), (Posture::Missing, Told::No));
        let judged = topology.judge(Consumer::SameKernel, Override::empty());
        assert!(judged.outcome.is_err_and(|why| why.verdict() == Verdict::Refuse));
        let codes: Vec<&str> = judged.findings.iter().filter_map(|found| Some(found.reason()?.code())).collect();
        assert!(codes.contains(&"posture") && codes.contains(&"file-backed-server"), "{codes:?}");
        let other = topology.judge(Consumer::OtherKernel, Override::empty());
        assert!(other.outcome.is_ok_and(|allowed| allowed.depends_on().is_empty()), "{topology}");
    }
    drop(written);
    let own = Tree::running().process(std::process::id());
    assert!(matches!(own, Err(TopologyError::ServesNothing { .. })), "{own:?}");
    let none = Tree::running().process(u32::MAX);
    assert!(matches!(none, Err(TopologyError::NoProcess { .. })), "{none:?}");
    drop(bound);
}

#[test]
fn fuseblk_is_admitted_by_promises_alone() {
    if !ready(&["mkntfs", "ntfs-3g", "mkswap"]) {
        return;
    }
    let fs = Mounted::new(&[64], "mkntfs -Q -q -F $DEV >&2", "ntfs-3g -o big_writes,fmask=177 $DEV $M");
    fs.run(&fs.root, FILE).expect("a file");
    let path = fs.root.join("s");
    let found = examine(&path, Depth::All).expect("an examination");
    assert_eq!(codes(&found), ["user-space-server", "server-death", "file-backed-server"], "{found:?}");
    let topology = found.topology.as_ref().expect("a chain");
    let first = topology.layers().next().map(|(link, _)| link.layer);
    assert!(matches!(first, Some(Layer::Fuseblk { device: Told::Yes, keeps_blocks: Told::Unknown, .. })), "{topology}");
    // Its device here is a loop device over a file; on a disk the two promises are enough.
    let promised = Override::BLOCKS_STAY | Override::SERVER_DEATH;
    let with = |risks| examine_accepting(&path, Depth::All, risks).expect("an examination");
    assert_eq!(codes(&with(promised)), ["file-backed-server"]);
    let all = with(promised | Override::FILE_BACKED);
    assert_eq!((all.bio.verdict(), all.accepted().count()), (Verdict::Admit, 3), "{all:?}");
}

#[test]
fn a_file_on_btrfs_on_loop_devices() {
    if !ready(&["mkfs.btrfs", "mkswap"]) {
        return;
    }
    let make = "mkfs.btrfs -q -d single -m single $DEV $DEV2";
    let fs = Mounted::new(&[160, 160], make, "btrfs -q device scan $DEV $DEV2; mount $DEV $M");
    let make = format!("btrfs -q subvolume create v; cd v; touch s; chattr +C s; {FILE}");
    fs.run(&fs.root, &make).expect("a file in a subvolume");
    let path = fs.root.join("v/s");
    let words = layers(&path);
    assert_eq!(words.iter().filter(|word| **word == LOOP).count(), 2, "each of its devices: {words:?}");
    let found = examine(&path, Depth::All).expect("an examination");
    assert_eq!((found.bio.verdict(), found.kernel.accepts), (Verdict::Admit, Some(true)), "{found:?}");
}
