//! What can never be made is refused at once, with the reason that `check` would give, and nothing is written.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::machine::{ACTIVE_AREAS, Mounted, ready, sh};
use crate::program::{entries, free, make, said};

/// A filesystem by name and tools, images, mkfs, mount; the folder below `$M`; models and the code of the reason.
struct Case {
    name: &'static str,
    tools: &'static [&'static str],
    images: &'static [u64],
    mkfs: &'static str,
    mount: &'static str,
    folder: &'static str,
    refused: &'static [(&'static str, &'static str)],
}

const EXT4: Case = Case {
    name: "",
    tools: &["mkfs.ext4"],
    images: &[64],
    mkfs: "mkfs.ext4 -q -b 4096 $DEV",
    mount: "mount $DEV $M",
    folder: "",
    refused: &[],
};
const BTRFS: Case = Case { tools: &["mkfs.btrfs"], images: &[256], ..EXT4 };

const CASES: &[Case] = &[
    Case {
        name: "tmpfs",
        images: &[],
        mkfs: "",
        mount: "mount -t tmpfs none $M",
        refused: &[("bio", "no-page-read"), ("file", "no-page-read")],
        ..EXT4
    },
    Case {
        name: "ramfs",
        images: &[],
        mkfs: "",
        mount: "mount -t ramfs none $M",
        refused: &[("bio", "no-block-map"), ("file", "no-block-map")],
        ..EXT4
    },
    Case {
        name: "overlayfs",
        mount: "mount $DEV $M; mkdir $M/l $M/u $M/w $M/o; mount -t overlay none -o lowerdir=$M/l,upperdir=$M/u,workdir=$M/w $M/o",
        folder: "o",
        refused: &[("bio", "no-page-read"), ("file", "no-page-read")],
        ..EXT4
    },
    Case {
        name: "fuse",
        tools: &["mkfs.ext4", "bindfs"],
        mount: "mount $DEV $M; mkdir $M/a $M/b; bindfs $M/a $M/b",
        folder: "b",
        refused: &[("bio", "no-block-map"), ("file", "no-block-map")],
        ..EXT4
    },
    Case {
        name: "ntfs-3g",
        tools: &["mkfs.ntfs", "ntfs-3g"],
        mkfs: "mkfs.ntfs -Q -q -F $DEV >/dev/null 2>&1",
        mount: "ntfs-3g $DEV $M",
        refused: &[("bio", "user-space-server"), ("file", "filesystem-unknown")],
        ..EXT4
    },
    Case {
        name: "ext4, read-only",
        mount: "mount -o ro $DEV $M",
        refused: &[("bio", "read-only"), ("file", "read-only")],
        ..EXT4
    },
    Case {
        name: "ext4, read-only bind mount",
        mount: "mount $DEV $M; mkdir $M/a $M/b; mount --bind $M/a $M/b; mount -o remount,ro,bind $M/b",
        folder: "b",
        refused: &[("bio", "read-only"), ("file", "read-only")],
        ..EXT4
    },
    Case {
        name: "ext4, data=journal",
        mount: "mount -o data=journal $DEV $M",
        refused: &[("file", "journaled-data")],
        ..EXT4
    },
    Case {
        name: "ext4, fscrypt",
        tools: &["mkfs.ext4", "xfs_io"],
        mkfs: "mkfs.ext4 -q -b 4096 -O encrypt $DEV",
        mount: "mount $DEV $M; mkdir $M/e; k=$(head -c 64 /dev/urandom | xfs_io -c add_enckey $M | grep -o '[0-9a-f]*$'); \
            xfs_io -c \"set_encpolicy $k\" $M/e",
        folder: "e",
        refused: &[("bio", "encrypted"), ("file", "encrypted")],
        ..EXT4
    },
    Case {
        name: "ext4, folder +j, which may not be cleared",
        mkfs: crate::JOURNALED,
        refused: &[("file", "journaled-data")],
        ..EXT4
    },
    Case {
        name: "ext2, 1 KiB blocks",
        mkfs: "mkfs.ext2 -q -b 1024 $DEV",
        mount: "mount -t ext2 $DEV $M",
        refused: &[("file", "misaligned")],
        ..EXT4
    },
    Case {
        name: "xfs, 16 KiB blocks",
        tools: &["mkfs.xfs"],
        images: &[320],
        mkfs: "mkfs.xfs -q -b size=16384 $DEV",
        refused: &[("bio", "block-size-above-page-size"), ("file", "block-size-above-page-size")],
        ..EXT4
    },
    Case {
        name: "btrfs",
        mkfs: "mkfs.btrfs -q -d single $DEV >/dev/null",
        refused: &[("file", "transaction")],
        ..BTRFS
    },
    Case {
        name: "btrfs, dup",
        mkfs: "mkfs.btrfs -q -d dup $DEV >/dev/null",
        refused: &[("bio", "profile-not-single"), ("file", "transaction")],
        ..BTRFS
    },
    Case {
        name: "btrfs, raid1",
        images: &[256, 256],
        mkfs: "mkfs.btrfs -q -d raid1 $DEV $DEV2 >/dev/null",
        mount: "btrfs -q device scan $DEV $DEV2 >/dev/null; mount $DEV $M",
        refused: &[("bio", "profile-not-single"), ("file", "transaction")],
        ..BTRFS
    },
    Case {
        name: "btrfs, read-only subvolume",
        mkfs: "mkfs.btrfs -q -d single $DEV >/dev/null",
        mount: "mount $DEV $M; btrfs -q subvolume create $M/s; btrfs property set $M/s ro true",
        folder: "s",
        refused: &[("bio", "read-only")],
        ..BTRFS
    },
];

#[test]
fn filesystems_that_never_serve_are_told_at_once() {
    for case in CASES {
        if !ready(case.tools) {
            return;
        }
        if case.name.contains("may not") && crate::may_clear_j() {
            println!("skipped: here it may be cleared");
            continue;
        }
        let _shared = ACTIVE_AREAS.read();
        if case.name.contains("16 KiB") && !mounts_large_blocks() {
            println!("skipped: this kernel mounts no XFS with 16 KiB blocks");
            continue;
        }
        let fs = Mounted::new(case.images, case.mkfs, case.mount);
        let folder = fs.root.join(case.folder);
        for (model, code) in case.refused {
            let told = format!("{}, {model}", case.name);
            let before = (entries(&folder), stamp(&folder), free(&folder));
            let output = make(&folder.join("f"), &["--size", "16M", "--model", model]);
            assert_eq!(output.status.code(), Some(1), "{told}: {output:?}");
            let text = said(&output.stderr);
            // Where blocks begin shows only when there are some: what was made for a look is gone again.
            let ending = if *code == "misaligned" { "[misaligned]" } else { &format!("[{code}]; nothing was written") };
            assert!(text.contains(ending) && !text.contains("FILE"), "{told}: {text}");
            assert!(!text.contains("100 %"), "{told}: {text}");
            assert_eq!((entries(&folder), stamp(&folder), free(&folder)), before, "{told}");
            println!("{told}: {}", text.trim().replace('\n', " "));
        }
    }
}

/// Everything that is at the folder's name already: a file, a folder, a link that leads somewhere, one that does not.
#[test]
fn what_is_there_is_never_touched() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let _shared = ACTIVE_AREAS.read();
    let fs = Mounted::new(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
    let folder = fs.root.join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    fs.run(&folder, "echo precious > file; mkdir dir; ln -s file link; ln -s nowhere dangling; mkfifo fifo; : > empty")
        .expect("entries");
    let look =
        || fs.run(&folder, "stat -c '%n %i %F %s %y %z %h' *; cat file; readlink link dangling").expect("a look");
    let before = (look(), stamp(&folder));
    for name in ["file", "dir", "link", "dangling", "fifo", "empty"] {
        let output = make(&folder.join(name), &["--size", "1M"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        assert!(said(&output.stderr).contains("already there"), "{name}: {output:?}");
    }
    assert_eq!((look(), stamp(&folder)), before);
}

/// With so many areas active, whether another fits depends on how the kernel was built: told at once.
#[test]
fn a_full_table_is_told_at_once() {
    if !ready(&["mkfs.ext4", "swapon"]) {
        return;
    }
    // Nobody's prediction is asked for meanwhile.
    let _alone = ACTIVE_AREAS.write();
    let fs = Mounted::new(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
    // Others may have areas active, too: they count, and may go.
    let areas = || std::fs::read_to_string("/proc/swaps").map_or(0, |text| text.lines().count().saturating_sub(1));
    for index in (0..22).take_while(|_| areas() < 22) {
        let path = fs.root.join(format!("area{index}"));
        assert!(make(&path, &["--size", "64K"]).status.success(), "area {index}");
        sh(&format!("swapon {}", path.display())).expect("swapon");
    }
    let before = (entries(&fs.root), stamp(&fs.root), free(&fs.root));
    let output = make(&fs.root.join("f"), &["--size", "1M"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output.stderr).contains("[table-full]; nothing was written"), "{output:?}");
    assert_eq!((entries(&fs.root), stamp(&fs.root), free(&fs.root)), before);
}

/// XFS with blocks larger than a page, since 6.12.
fn mounts_large_blocks() -> bool {
    let release = sh("uname -r").ok().and_then(|text| swap_dio::Release::parse(&text));
    release.is_some_and(|release| release >= swap_dio::Release::new(6, 12))
}

fn stamp(folder: &Path) -> (i64, i64) {
    let meta = std::fs::metadata(folder).expect("the folder");
    (meta.mtime(), meta.mtime_nsec())
}
