//! The program `make` on real filesystems: what it makes passes, here, by the kernel's own swapon(2) and without
//! mkswap; what it cannot make it refuses and writes nothing; whatever stops it on the way, nothing is left.
//!
//! Needs root and loop devices; says so and tests nothing without them. In CI `SWAP_DIO_REQUIRE_KERNEL=1` makes that a
//! failure.
#![cfg(all(feature = "linux", target_os = "linux"))]

mod built;
#[path = "make/convert.rs"]
mod convert;
// Of which the tests of swapon(2) use more.
#[allow(dead_code)]
mod machine;
#[path = "make/program.rs"]
mod program;
#[path = "make/refuse.rs"]
mod refuse;
#[path = "make/stop.rs"]
mod stop;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use machine::{ACTIVE_AREAS, Answer, Mounted, ready, swapon};
use program::{entries, header, make, said, words};
use swap_dio::linux::{Depth, Examination, examine, page_size};
use swap_dio::{Model, PageCount, Verdict};

/// A filesystem, the options of its mount, what is done to the folder before, and the models that it serves.
struct Case {
    name: &'static str,
    tool: &'static str,
    images: &'static [u64],
    mkfs: &'static str,
    mount: &'static str,
    folder: &'static str,
    models: &'static [Model],
    /// Whether blocks can be allocated without being written.
    allocates: bool,
}

const PLAIN: Case = Case {
    name: "",
    tool: "mkfs.ext4",
    images: &[192],
    mkfs: "",
    mount: "mount $DEV $M",
    folder: "",
    models: BOTH,
    allocates: true,
};
const XFS: Case = Case { tool: "mkfs.xfs", images: &[320], ..PLAIN };
const BTRFS: Case = Case { tool: "mkfs.btrfs", images: &[320], models: BIO, ..PLAIN };

#[test]
fn what_is_made_on_ext4_passes() {
    pass(&[
        Case { name: "ext4", mkfs: "mkfs.ext4 -q -b 4096 $DEV", ..PLAIN },
        Case { name: "ext4, 2 KiB blocks", mkfs: "mkfs.ext4 -q -b 2048 $DEV", ..PLAIN },
        Case { name: "ext4, 1 KiB blocks", mkfs: "mkfs.ext4 -q -b 1024 $DEV", ..PLAIN },
        Case { name: "ext4, bigalloc", mkfs: "mkfs.ext4 -q -b 4096 -O bigalloc -C 65536 $DEV", ..PLAIN },
        Case { name: "ext4, inline data", mkfs: "mkfs.ext4 -q -b 4096 -O inline_data $DEV", ..PLAIN },
        Case {
            name: "ext4, data=journal",
            mkfs: "mkfs.ext4 -q -b 4096 $DEV",
            mount: "mount -o data=journal $DEV $M",
            models: BIO,
            ..PLAIN
        },
        // A new file has the flag of its folder: for swapon it does not matter, for a server it is cleared.
        Case { name: "ext4, folder +j", mkfs: JOURNALED, models: if may_clear_j() { BOTH } else { BIO }, ..PLAIN },
        Case {
            name: "ext4, folder of an access list",
            mkfs: "mkfs.ext4 -q -b 4096 $DEV",
            folder: "if command -v setfacl >/dev/null; then setfacl -d -m u:1:rw,g:1:r,o:r .; fi",
            ..PLAIN
        },
        Case { name: "ext4, folder 2777", mkfs: "mkfs.ext4 -q -b 4096 $DEV", folder: "chmod 2777 .", ..PLAIN },
    ]);
}

#[test]
fn what_is_made_without_fallocate_passes() {
    pass(&[
        Case {
            name: "ext3",
            mkfs: "mkfs.ext3 -q -b 4096 $DEV",
            mount: "mount -t ext3 $DEV $M",
            allocates: false,
            ..PLAIN
        },
        Case {
            name: "ext2",
            mkfs: "mkfs.ext2 -q -b 4096 $DEV",
            mount: "mount -t ext2 $DEV $M",
            allocates: false,
            ..PLAIN
        },
        Case {
            name: "ext2, 1 KiB blocks",
            mkfs: "mkfs.ext2 -q -b 1024 $DEV",
            mount: "mount -t ext2 $DEV $M",
            allocates: false,
            models: BIO,
            ..PLAIN
        },
    ]);
}

#[test]
fn what_is_made_on_xfs_passes() {
    pass(&[
        Case { name: "xfs", mkfs: "mkfs.xfs -q $DEV", ..XFS },
        Case { name: "xfs, 1 KiB blocks", mkfs: "mkfs.xfs -q -b size=1024 $DEV", ..XFS },
        Case { name: "xfs, 2 KiB blocks", mkfs: "mkfs.xfs -q -b size=2048 $DEV", ..XFS },
        Case { name: "xfs, extent size hint", mkfs: "mkfs.xfs -q $DEV", folder: "xfs_io -c 'extsize 1m' .", ..XFS },
        Case {
            name: "xfs, realtime",
            images: &[320, 192],
            mkfs: "mkfs.xfs -q -m reflink=0 -r rtdev=$DEV2 $DEV",
            mount: "mount -o rtdev=$DEV2 $DEV $M || mount -t ramfs none $M",
            folder: "xfs_io -c 'chattr +t' .",
            ..XFS
        },
    ]);
}

#[test]
fn what_is_made_on_btrfs_passes() {
    let single = "mkfs.btrfs -q -d single -m single $DEV >/dev/null";
    pass(&[
        Case { name: "btrfs", mkfs: single, ..BTRFS },
        Case { name: "btrfs, folder +c", mkfs: single, folder: "chattr +c .", ..BTRFS },
        Case {
            name: "btrfs, folder of compression zstd",
            mkfs: single,
            folder: "btrfs property set . compression zstd",
            ..BTRFS
        },
        Case { name: "btrfs, compress-force", mkfs: single, mount: "mount -o compress-force=zstd $DEV $M", ..BTRFS },
        Case { name: "btrfs, nodatacow", mkfs: single, mount: "mount -o nodatacow $DEV $M", ..BTRFS },
        Case {
            name: "btrfs, two devices",
            images: &[256, 256],
            mkfs: "mkfs.btrfs -q -d single -m single $DEV $DEV2 >/dev/null",
            mount: "btrfs -q device scan $DEV $DEV2 >/dev/null; mount $DEV $M",
            ..BTRFS
        },
        Case { name: "btrfs, subvolume", mkfs: single, folder: "btrfs -q subvolume create s", ..BTRFS },
    ]);
}

const BIO: &[Model] = &[Model::Bio];
const BOTH: &[Model] = &[Model::Bio, Model::File];

/// The flag j on the root folder, set from outside: not everybody may set it.
pub(crate) const JOURNALED: &str =
    "mkfs.ext4 -q -b 4096 $DEV; debugfs -w -R 'set_inode_field <2> flags 0x84000' $DEV 2>/dev/null";

/// CAP_SYS_RESOURCE, which root of a container may lack.
pub(crate) fn may_clear_j() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).is_some_and(|bits| bits & 1 << 24 != 0)
}

fn pass(cases: &[Case]) {
    for case in cases {
        if !ready(&[case.tool, "filefrag"]) {
            return;
        }
        let _shared = ACTIVE_AREAS.read();
        let fs = Mounted::new(case.images, case.mkfs, case.mount);
        let folder = fs.root.join("folder");
        std::fs::create_dir(&folder).expect("a folder");
        if fs.run(&fs.root, "findmnt -no FSTYPE $M | grep -qx ramfs").is_ok() {
            println!("skipped: this kernel does not mount {}", case.name);
            continue;
        }
        fs.run(&folder, case.folder).unwrap_or_else(|why| panic!("{}: the folder: {why}", case.name));
        let folder = if folder.join("s").is_dir() { folder.join("s") } else { folder };
        for model in case.models {
            one(case, *model, &folder);
        }
    }
}

/// Makes a file, and holds every promise about it against the kernel.
fn one(case: &Case, model: Model, folder: &Path) {
    let told = format!("{}, {}", case.name, model.word());
    let path = folder.join(format!("area for {}", model.word()));
    let uuid = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
    // Three bytes more than whole pages: rounded down.
    let options = ["--size", "41943043", "--model", model.word(), "--label", "swap-dio's label", "--uuid", uuid];
    let output = make(&path, &options);
    assert_eq!(output.status.code(), Some(0), "{told}: {output:?}");
    let text = said(&output.stdout);
    assert!(text.contains(uuid) && text.contains("40 MiB on "), "{told}: {text}");
    let is_next = text.contains("swapon ") && text.contains("area\\040for\\040bio none swap defaults 0 0");
    assert_eq!(is_next, model == Model::Bio, "{told}: {text}");

    let meta = std::fs::metadata(&path).expect("the file");
    let mode = meta.permissions().mode() & 0o7777;
    assert_eq!((mode, meta.uid(), meta.len(), meta.nlink()), (0o600, 0, 40 << 20, 1), "{told}");
    let (found_uuid, label, last) = header(&path);
    let pages = (40 << 20) / page_bytes();
    assert_eq!(
        (found_uuid, label.as_slice(), last),
        (uuid.replace('-', ""), &b"swap-dio's label"[..], pages - 1),
        "{told}"
    );

    let found = examine(&path, Depth::All).expect("an examination");
    assert_eq!(verdict(&found, model), Verdict::Admit, "{told}: {found:?}");
    assert_eq!(found.bio.verdict(), Verdict::Admit, "{told}: what serves the file model serves swapon: {found:?}");
    // The filesystem is on a loop device, which is a warning of its own.
    assert!(found.warnings.iter().all(|why| why.code() == "loop-below"), "{told}: {found:?}");
    let is_unwritten =
        machine::sh(&format!("filefrag -v '{}'", path.display())).expect("filefrag").contains("unwritten");
    assert_eq!(is_unwritten, model == Model::Bio && case.allocates, "{told}");

    match swapon(&path, page_bytes()) {
        Answer::Accepted { pages, extents } => {
            assert_eq!(found.kernel.pages.map(PageCount::get), Some(pages), "{told}");
            let is_same = found.kernel.extents.is_none() || extents.is_none() || found.kernel.extents == extents;
            assert!(is_same, "{told}: {extents:?}, foretold {:?}", found.kernel.extents);
            println!("{told}: {pages} pages, extents {extents:?}");
        }
        Answer::Refused(errno) => panic!("{told}: swapon(2) says {errno}"),
    }
    let others: Vec<String> = entries(folder).into_iter().filter(|name| !name.starts_with("area for ")).collect();
    assert!(others.is_empty(), "{told}: {others:?}");

    // What is there now is never touched again.
    let before = (meta.mtime(), meta.mtime_nsec(), std::fs::read(&path).expect("its bytes"));
    let output = make(&path, &["--size", "1M"]);
    assert_eq!(output.status.code(), Some(2), "{told}: {output:?}");
    let meta = std::fs::metadata(&path).expect("the file");
    assert!(before == (meta.mtime(), meta.mtime_nsec(), std::fs::read(&path).expect("its bytes")), "{told}");
}

fn verdict(found: &Examination, model: Model) -> Verdict {
    match model {
        Model::Bio => found.bio.verdict(),
        Model::File => found.file.verdict(),
    }
}

fn page_bytes() -> u64 {
    page_size().expect("a page size").bytes().get()
}

#[test]
fn usage_and_random_identity() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let _shared = ACTIVE_AREAS.read();
    let fs = Mounted::new(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
    let folder = fs.root.join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    let help = program::run(&[]);
    assert!(help.status.success() && said(&help.stdout).contains("Usage: make"), "{help:?}");
    let at = |name: &str| folder.join(name).display().to_string();
    // Nine pages are too few, as for mkswap; a size is needed; what is to be made cannot be a folder.
    for arguments in [
        words(&[&at("f")]),
        words(&["--size", "1M"]),
        words(&[&at("f"), "--size", "40959"]),
        words(&[&at("f"), "--size", "much"]),
        words(&[&at("f"), "--size", "1M", "--label", "seventeen letters"]),
        words(&[&at("f"), "--size", "1M", "--uuid", "none"]),
        words(&[&at("f"), "--size", "1M", "--convert"]),
        words(&[&at("f/"), "--size", "1M"]),
        words(&[&at(".."), "--size", "1M"]),
        words(&[&at("no/f"), "--size", "1M"]),
        words(&[&at("f"), "--convert"]),
        words(&[&at("f"), "--size", "64T"]),
    ] {
        let output = program::run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!said(&output.stderr).contains("panicked"), "{output:?}");
    }
    assert_eq!(entries(&folder), Vec::<String>::new());

    // Ten pages do; the name may be anything, and is given by any path; the identity is random, of version 4.
    let mut uuids = Vec::new();
    for name in ["-dash", "a b'c\nd", "f"] {
        let output = program::run_in(&folder, &words(&["--size", "40960", "--", name]));
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let (uuid, label, last) = header(&folder.join(name));
        assert_eq!((label, last), (vec![0; 16], 9), "{name}");
        assert!(uuid.as_bytes()[12] == b'4' && matches!(uuid.as_bytes()[16], b'8' | b'9' | b'a' | b'b'), "{uuid}");
        assert!(!uuids.contains(&uuid), "{uuid} again");
        uuids.push(uuid);
    }
}

/// As a user, in a folder of his own: the area is made, and that it is not root's is said.
#[test]
fn a_user_makes_one_too() {
    if !ready(&["mkfs.ext4", "setpriv"]) {
        return;
    }
    let _shared = ACTIVE_AREAS.read();
    let fs = Mounted::new(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
    let folder = fs.root.join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).expect("an owner");
    let copy = program::copy_for_everybody();
    // The folder of the mount is root's alone: the user is put into his folder.
    let script = format!(
        "cd {} && exec setpriv --reuid 65534 --regid 65534 --clear-groups {} f --size 8M",
        folder.display(),
        copy.path().join("make").display()
    );
    let answer = machine::sh(&script);
    assert!(answer.as_ref().is_ok_and(|text| text.contains("chown 0:0 ")), "{answer:?}");
    assert!(matches!(swapon(&folder.join("f"), page_bytes()), Answer::Accepted { pages: 2047, .. }));
}
