//! The kernel as the second implementation of [`Operation::ruling`]: each operation, tried on an active swap file.
//!
//! Needs root, loop devices and xfs_io; says so and compares nothing without them. In CI `SWAP_DIO_REQUIRE_KERNEL=1`
//! makes that a failure. Left out, since nothing here can try them: exchange of ranges and extents of XFS, the ioctls
//! of ext4, shrinking below the file, fs-verity, f2fs, NFS, a resume device.
#![cfg(all(feature = "linux", target_os = "linux"))]

// Of which the tests of swapon(2) use more.
#[allow(dead_code)]
mod machine;

use std::path::Path;

use machine::{Mounted, ready};
use swap_dio::guard::{Operation, Ruling};
use swap_dio::reason::Errno;

/// An operation, and a script that does it to the active file `f` beside a plain file `g`.
type Row = (Operation, &'static str);

/// What every filesystem answers alike.
const COMMON: &[Row] = &[
    (Operation::Write, "xfs_io -c 'pwrite 64k 4k' f"),
    (Operation::Write, "xfs_io -d -c 'pwrite 64k 4k' f"),
    (Operation::TruncateDown, "truncate -s 4096 f"),
    (Operation::TruncateDown, "truncate -s $(stat -c %s f) f"),
    (Operation::TruncateDown, ": > f"),
    (Operation::Allocate, "fallocate -l 8M f"),
    (Operation::Allocate, "fallocate -p -o 64k -l 4k f"),
    (Operation::Allocate, "fallocate -z -o 64k -l 4k f"),
    (Operation::MapSharedWritable, "xfs_io -c 'mmap -rw 0 4k' f"),
    (Operation::MapOther, "xfs_io -c 'mmap -r 0 4k' -c 'mread 0 16' f"),
    (Operation::CopyRange, "xfs_io -c 'copy_range g' f"),
    (Operation::CopyRange, "xfs_io -c 'copy_range f' g"),
    (Operation::Unlink, "rm -f f"),
    (Operation::Rename, "mv f h"),
    (Operation::Rename, "mv -f g f"),
    (Operation::Link, "ln f h && ! rm h 2>/dev/null"),
    (Operation::SetAttributes, "chmod 0640 f && chown 1:1 f && touch f && chattr +i f && chattr -i f"),
    (Operation::Open, ": 1<>f"),
    (
        Operation::Read,
        "dd if=f of=/dev/null bs=64k status=none && dd if=f of=/dev/null bs=64k iflag=direct status=none",
    ),
    (Operation::Inspect, "filefrag f && sync f"),
    (Operation::Execute, "chmod +x f && ./f"),
    (Operation::Activate, "swapon f"),
    (Operation::Unmount, "umount $M"),
    (Operation::Unmount, "mount -o remount,ro $M"),
    (Operation::TruncateUp, "truncate -s +1M f"),
];

#[test]
fn ext4() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mkfs.ext4") else { return };
    compare("ext4", &fs, WRITTEN, &[COMMON]);
}

#[test]
fn xfs() {
    let Some(fs) = mounted(&[320], "mkfs.xfs -q -m reflink=1 $DEV", "mkfs.xfs") else { return };
    let own: &[Row] = &[
        (Operation::Remap, "cp --reflink=always f k"),
        (Operation::Remap, "xfs_io -c 'reflink f' g"),
        (Operation::Remap, "xfs_io -c 'reflink g' f"),
    ];
    compare("xfs", &fs, WRITTEN, &[COMMON, own]);
}

#[test]
fn btrfs() {
    let make = "mkfs.btrfs -q -d single -m single $DEV";
    let Some(fs) = mounted(&[256, 256], make, "mkfs.btrfs") else { return };
    let setup = "btrfs -q subvolume create s; cd s; touch f; chattr +C f; dd if=/dev/zero of=f bs=64k count=64 status=none; \
        dd if=/dev/zero of=g bs=64k count=64 status=none; btrfs device add -fK $DEV2 $M";
    let own: &[Row] = &[
        (Operation::Defragment, "btrfs filesystem defragment f"),
        (Operation::SetCompression, "chattr +c f"),
        (Operation::Snapshot, "btrfs subvolume snapshot . $M/snap"),
        (Operation::DeleteSubvolume, "btrfs subvolume delete $M/s"),
        (Operation::Scrub, "btrfs scrub start -B $M"),
        (Operation::Balance, "btrfs balance start --full-balance $M"),
        (Operation::RemoveDevice, "btrfs device remove $DEV $M"),
    ];
    compare("btrfs", &fs, setup, &[COMMON, own]);
}

#[test]
fn a_store_through_an_older_mapping_is_a_signal() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mkfs.ext4") else { return };
    fs.run(&fs.root, &format!("{WRITTEN}; mkswap -q f")).expect("a swap file");
    // The mapping is there before the file is active, and the store comes after.
    let store = "mkfifo p; xfs_io f < p & x=$!; exec 3> p; echo 'mmap -rw 0 64k' >&3
        for i in $(seq 100); do grep -q '/f$' /proc/$x/maps && break; sleep 0.05; done
        swapon f; echo 'mwrite 4k 1' >&3; exec 3>&-; set +e; wait $x; echo status $?; swapoff f";
    let answer = fs.run(&fs.root, store);
    // Of the shell: 128 and the number of the signal.
    assert!(answer.as_ref().is_ok_and(|text| text.contains("status 135")), "{answer:?}");
    assert_eq!(Operation::StoreShared.ruling(), Ruling::Signal);
}

#[test]
fn a_device() {
    let Some(fs) = mounted(&[64, 16], "mkfs.ext4 -q $DEV; mkswap -q $DEV2", "mkfs.ext4") else { return };
    let write = "swapon $DEV2; dd if=/dev/zero of=$DEV2 bs=4k seek=9 count=1 conv=notrunc status=none";
    assert_eq!(told(&fs.run(&fs.root, write)), Operation::WriteDevice.ruling());
    fs.run(&fs.root, "swapoff $DEV2").expect("it was active");
}

const WRITTEN: &str = "dd if=/dev/zero of=f bs=64k count=64 status=none; cp --reflink=never f g";

fn mounted(images: &[u64], mkfs: &str, tool: &str) -> Option<Mounted> {
    ready(&[tool, "xfs_io", "mkswap", "swapon", "filefrag"]).then(|| Mounted::new(images, mkfs, "mount $DEV $M"))
}

/// Tries every operation, each on a file that is active.
fn compare(name: &str, fs: &Mounted, setup: &str, tables: &[&[Row]]) {
    fs.run(&fs.root, &format!("{setup}; chmod 0600 f; mkswap -q f; sync -f .; swapon f")).expect("an active swap file");
    let folder = if fs.root.join("s").is_dir() { fs.root.join("s") } else { fs.root.clone() };
    for (operation, script) in tables.iter().copied().flatten() {
        // A file that stayed behind from the row before would be another one. Some tools fail with status 0, and `run`
        // gives one stream: both get everything.
        let tried = format!("{{ {script}; }} > log 2>&1 && status=0 || status=$?; tee /dev/stderr < log; exit $status");
        let answer = fs.run(&folder, &format!("rm -f h 2>/dev/null || true; cp --reflink=never f g; {tried}"));
        assert_eq!(told(&answer), heard(*operation), "{name}: {operation:?} by {script}: {answer:?}");
    }
    assert!(is_active(&folder.join("f")), "{name}: still active after all that");
    fs.run(&folder, "swapoff f").expect("it was active");
}

fn is_active(path: &Path) -> bool {
    let swaps = std::fs::read_to_string("/proc/swaps").expect("/proc/swaps");
    swaps.lines().any(|line| line.starts_with(&format!("{} ", path.display())))
}

/// A ruling, as a tool hears it: what is passed over is done with the rest.
fn heard(operation: Operation) -> Ruling {
    match operation.ruling() {
        Ruling::Skipped => Ruling::Allowed,
        other => other,
    }
}

/// What the tool's words say of the errno.
fn told(answer: &Result<String, String>) -> Ruling {
    let words = [
        ("Text file busy", Errno::ETXTBSY),
        ("Operation not permitted", Errno::EPERM),
        ("busy", Errno::EBUSY),
        ("Invalid argument", Errno::EINVAL),
    ];
    let text = match answer {
        Ok(text) | Err(text) => text,
    };
    // xfs_io says what went wrong and ends well.
    match words.into_iter().find(|(words, _)| text.contains(words)) {
        Some((_, errno)) => Ruling::Refused(errno),
        None if answer.is_ok() => Ruling::Allowed,
        None => Ruling::Skipped,
    }
}
