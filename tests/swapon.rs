//! The kernel as the second implementation: files of peer-cases A to E, H, I and J, judged here and by swapon(2).
//!
//! Needs root and loop devices; says so and compares nothing without them. In CI `SWAP_DIO_REQUIRE_KERNEL=1` makes
//! that a failure. Each case is made by a shell script in an empty folder of a fresh filesystem; its file is `f`.
#![cfg(all(feature = "linux", target_os = "linux"))]

#[path = "swapon/btrfs.rs"]
mod btrfs;
#[path = "swapon/cases.rs"]
mod cases;
#[path = "swapon/complete.rs"]
mod complete;
#[path = "swapon/doubt.rs"]
mod doubt;
#[path = "swapon/encryption.rs"]
mod encryption;
#[path = "swapon/header.rs"]
mod header;
mod machine;
#[path = "swapon/path.rs"]
mod path;
#[path = "swapon/stacked.rs"]
mod stacked;
#[path = "swapon/tools.rs"]
mod tools;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cases::Kernel::{self, Accepts, Either, Refuses, Some as SomePages};
use cases::{BLOCKS_OF_2K, BTRFS, Case, EINVAL, LAYOUTS, NOCOW_40, REFLINKS, SMALL_BLOCKS, WRITE_40};
use machine::{ACTIVE_AREAS, Answer, Mounted, ready, sh, swapon};
use swap_dio::header::{Endian, Label, NewHeader};
use swap_dio::linux::{Depth, Examination, examine, page_size};
use swap_dio::{PageCount, Verdict};

#[test]
fn ext4() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    compare("ext4", &fs, LAYOUTS);
}

#[test]
fn p_061_ext4_without_delayed_allocation() {
    let mount = "mount -o nodelalloc $DEV $M";
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", mount, &["mkfs.ext4"]) else { return };
    compare("ext4, nodelalloc", &fs, LAYOUTS);
}

#[test]
fn ext4_1k_blocks() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 1024 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    compare("ext4, 1 KiB blocks", &fs, SMALL_BLOCKS);
}

#[test]
fn ext4_journaled_data_and_2k_blocks() {
    let make = "mkfs.ext4 -q -b 2048 $DEV";
    let Some(fs) = mounted(&[64], make, "mount -o data=journal $DEV $M", &["mkfs.ext4"]) else { return };
    compare("ext4, data=journal", &fs, BLOCKS_OF_2K);
}

#[test]
fn ext4_bigalloc_and_inline() {
    let make = "mkfs.ext4 -q -b 4096 -O bigalloc,inline_data -C 65536 $DEV";
    let Some(fs) = mounted(&[128], make, "mount $DEV $M", &["mkfs.ext4"]) else { return };
    compare(
        "ext4, bigalloc and inline_data",
        &fs,
        &[
            (
                "P-059 a hole beside whole clusters",
                "dd if=/dev/zero of=f bs=4k count=30 status=none; truncate -s 240k f; dd if=/dev/zero of=f bs=4k seek=50 count=10 conv=notrunc status=none",
                59,
                "",
                Refuses(EINVAL),
            ),
            ("P-061 plain", WRITE_40, 39, "", Accepts(156)),
            ("P-061 inline", "printf x > f", 0, "", Refuses(EINVAL)),
        ],
    );
}

#[test]
fn ext2_and_ext3_by_the_ext4_driver() {
    for kind in ["ext2", "ext3"] {
        let make = format!("mkfs.{kind} -q -b 1024 $DEV");
        let Some(fs) = mounted(&[64], &make, &format!("mount -t {kind} $DEV $M"), &["mkfs.ext2"]) else { return };
        compare(
            kind,
            &fs,
            &[
                ("P-061 plain", WRITE_40, 39, "", SomePages),
                ("P-061 sparse", "truncate -s 160k f", 39, "", Refuses(EINVAL)),
                (
                    "a hole past the header's pages",
                    "dd if=/dev/zero of=f bs=4k count=20 status=none; truncate -s 160k f",
                    9,
                    "",
                    Refuses(EINVAL),
                ),
            ],
        );
    }
}

#[test]
fn xfs() {
    let Some(fs) = mounted(&[320], "mkfs.xfs -q $DEV", "mount $DEV $M", &["mkfs.xfs", "xfs_io"]) else { return };
    compare("xfs", &fs, LAYOUTS);
    compare("xfs", &fs, REFLINKS);
}

#[test]
fn xfs_1k_blocks() {
    let Some(fs) = mounted(&[320], "mkfs.xfs -q -b size=1024 $DEV", "mount $DEV $M", &["mkfs.xfs"]) else { return };
    compare("xfs, 1 KiB blocks", &fs, SMALL_BLOCKS);
}

#[test]
fn xfs_blocks_larger_than_a_page() {
    let make = "mkfs.xfs -q -b size=16384 $DEV";
    if !ready(&["mkfs.xfs"]) {
        return;
    }
    // Before 6.12 such a filesystem cannot be mounted: then there is nothing to compare.
    let fs = Mounted::new(&[320], make, "mount $DEV $M || mount -t ramfs none $M");
    if sh(&format!("findmnt -no FSTYPE {} | grep -qx xfs", fs.root.display())).is_err() {
        return println!("skipped: this kernel mounts no XFS with 16 KiB blocks");
    }
    compare(
        "xfs, 16 KiB blocks",
        &fs,
        &[("1.1 #11", WRITE_40, 39, "", if release_is_at_least_6_18() { Refuses(EINVAL) } else { Either })],
    );
}

#[test]
fn btrfs_one_device_single() {
    let Some(fs) = mounted(&[256], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    compare("btrfs, single", &fs, BTRFS);
}

#[test]
fn btrfs_other_profiles_are_refused_or_not_foretold() {
    let plain: &[Case] =
        &[("P-079 profile", NOCOW_40, 39, "", Refuses(EINVAL)), ("P-074 cow", WRITE_40, 39, "", Refuses(EINVAL))];
    for profile in ["dup", "raid1", "raid0"] {
        let make = format!("mkfs.btrfs -q -d {profile} $DEV $DEV2");
        let Some(fs) = mounted(&[256, 256], &make, "btrfs -q device scan $DEV $DEV2; mount $DEV $M", &["mkfs.btrfs"])
        else {
            return;
        };
        compare(&format!("btrfs, {profile}"), &fs, plain);
    }
    let make = "mkfs.btrfs -q -d single -m single $DEV $DEV2";
    let Some(fs) = mounted(&[256, 256], make, "btrfs -q device scan $DEV $DEV2; mount $DEV $M", &["mkfs.btrfs"]) else {
        return;
    };
    compare("btrfs, two devices", &fs, &[("P-081 small file", NOCOW_40, 39, "", Accepts(156))]);
}

#[test]
fn btrfs_mount_options() {
    let make = "mkfs.btrfs -q -d single $DEV";
    let Some(fs) = mounted(&[256], make, "mount -o nodatacow $DEV $M", &["mkfs.btrfs"]) else { return };
    compare("btrfs, nodatacow", &fs, &[("P-076 inherits nocow", WRITE_40, 39, "", Accepts(156))]);
    let Some(fs) = mounted(&[256], make, "mount -o compress-force=zstd $DEV $M", &["mkfs.btrfs"]) else { return };
    compare(
        "btrfs, compress-force",
        &fs,
        &[
            ("P-078 compressed", "yes | head -c 1M > f; sync f", 255, "", Refuses(EINVAL)),
            ("nocow", NOCOW_40, 39, "", Accepts(156)),
        ],
    );
}

#[test]
fn btrfs_paused_balance_is_busy() {
    let make = "mkfs.btrfs -q -d single $DEV";
    let Some(fs) = mounted(&[256], make, "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    let path = make_case(&fs, "busy", NOCOW_40, 39, "").expect("a file");
    let pause = "dd if=/dev/urandom of=$M/fill bs=1M count=100 status=none; sync -f .; \
                 (btrfs balance start --full-balance $M >/dev/null 2>&1 &) ; \
                 for i in $(seq 200); do btrfs balance pause $M 2>/dev/null && break; sleep 0.01; done; \
                 btrfs balance status $M || true";
    let status = fs.run(&fs.root, pause).unwrap_or_default();
    if !status.contains("paused") {
        println!("btrfs: the balance was over before it could be paused, nothing was compared");
        return;
    }
    judge("btrfs, balance paused", "P-085", &path, Refuses(16)).expect("agreement");
    let found = examine(&path, Depth::First).expect("an examination");
    assert_eq!(found.bio.verdict(), Verdict::Retry, "a balance passes");
    let _ = fs.run(&fs.root, "btrfs balance cancel $M");
}

#[test]
fn filesystems_that_never_serve_swap() {
    for (kind, mount) in [("tmpfs", "mount -t tmpfs none $M"), ("ramfs", "mount -t ramfs none $M")] {
        let Some(fs) = mounted(&[], "", mount, &[]) else { return };
        compare(
            kind,
            &fs,
            &[("P-117", WRITE_40, 39, "", Refuses(EINVAL)), ("no header", WRITE_40, 0, "", Refuses(EINVAL))],
        );
    }
    let mount =
        "mount $DEV $M; mkdir $M/u $M/w $M/o; mount -t overlay none -o lowerdir=/mnt,upperdir=$M/u,workdir=$M/w $M/o";
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", mount, &["mkfs.ext4"]) else { return };
    let path = make_case(&fs, "o", WRITE_40, 39, "").expect("a file on overlayfs");
    judge("overlayfs", "P-117", &path, Refuses(EINVAL)).expect("agreement");
}

#[test]
fn mounts_and_names() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    let path = make_case(&fs, "plain", WRITE_40, 39, "ln f link").expect("a file");
    let folder = path.parent().expect("a folder");
    judge("bind mount", "writable", &path, Accepts(156)).expect("agreement");
    fs.run(&fs.root, "mkdir $M/b; mount --bind $M/plain $M/b; mount -o remount,ro,bind $M/b").expect("a bind mount");
    judge("bind mount", "read-only", &fs.root.join("b/f"), Refuses(30)).expect("agreement");

    for (name, made) in [("fifo", "mkfifo x"), ("folder", "mkdir x"), ("character device", "mknod x c 1 3")] {
        fs.run(folder, &format!("rm -rf x; {made}")).expect(name);
        let expected = match name {
            "folder" => Refuses(21),
            "character device" => Either, // its driver answers
            _ => Refuses(EINVAL),
        };
        judge("names", name, &folder.join("x"), expected).expect("agreement");
    }
    let socket = folder.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    judge("names", "socket", &socket, Refuses(6)).expect("agreement");
}

#[test]
fn block_devices() {
    let Some(fs) = mounted(&[1], "", "", &[]) else { return };
    let device = fs.device();
    let bad = |pages: &[u64]| pages.iter().copied().map(swap_dio::PageIndex::new).collect::<Vec<_>>();
    let cases: &[(&str, u64, &[u64], Kernel)] = &[
        ("P-139 256 pages", 255, &[], Accepts(1020)),
        ("P-139 one bad page", 255, &[7], Accepts(1016)),
        ("P-139 a duplicate counts twice", 255, &[7, 7], Accepts(1012)),
        ("P-139 every page but one", 2, &[1], Accepts(4)),
        ("every page bad", 2, &[1, 2], Refuses(EINVAL)),
        ("P-141 past the device", 256, &[], Refuses(EINVAL)),
    ];
    for (name, last, pages, expected) in cases {
        write_header(&device, *last, &bad(pages)).expect("a header");
        judge("loop device", name, &device, *expected).unwrap_or_else(|why| panic!("{why}"));
    }
    // A bad page that our writer refuses to write: poked in by hand.
    for (name, page) in [("bad page 0", 0u32), ("bad page past the last", 300)] {
        write_header(&device, 255, &bad(&[7])).expect("a header");
        let file = OpenOptions::new().write(true).open(&device).expect("the device");
        file.write_all_at(&page.to_ne_bytes(), 1536).expect("a poke");
        drop(file);
        judge("loop device", name, &device, Refuses(EINVAL)).unwrap_or_else(|why| panic!("{why}"));
    }

    sh(&format!("mkfs.ext4 -q {}; mkdir -p {r}; mount {0} {r}", device.display(), r = fs.root.display()))
        .expect("a mount");
    judge("loop device", "P-141 mounted", &device, Refuses(16)).unwrap_or_else(|why| panic!("{why}"));
}

/// Kernels before that were read and do not have every check.
fn release_is_at_least_6_18() -> bool {
    let release = sh("uname -r").ok().and_then(|text| swap_dio::Release::parse(&text));
    release.is_some_and(|release| release >= swap_dio::Release::new(6, 18))
}

fn mounted(images: &[u64], mkfs: &str, mount: &str, tools: &[&str]) -> Option<Mounted> {
    ready(tools).then(|| Mounted::new(images, mkfs, mount))
}

/// Makes every case, asks both, and says at the end which disagreed.
fn compare(filesystem: &str, fs: &Mounted, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (index, (name, script, last, after, expected)) in cases.iter().enumerate() {
        let folder = format!("{filesystem}-{index}").replace([' ', ','], "_");
        let outcome =
            make_case(fs, &folder, script, *last, after).and_then(|path| judge(filesystem, name, &path, *expected));
        wrong.extend(outcome.err());
    }
    assert!(wrong.is_empty(), "{} of {} disagree:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Runs a recipe in a folder of its own.
fn make_case(fs: &Mounted, folder: &str, script: &str, last: u64, after: &str) -> Result<PathBuf, String> {
    let folder = fs.root.join(folder);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let failed = |why: String| format!("{}: the recipe failed: {why}", folder.display());
    fs.run(&folder, script).map_err(failed)?;
    let source = if after == "CLONE" { folder.join("g") } else { folder.join("f") };
    if last > 0 {
        write_header(&source, last, &[])?;
    }
    let after = if after == "CLONE" { "cp --reflink=always g f" } else { after };
    fs.run(&folder, after).map_err(failed)?;
    Ok(folder.join("f"))
}

/// Writes a header that may claim anything, through the page cache and without a sync.
fn write_header(path: &Path, last: u64, bad_pages: &[swap_dio::PageIndex]) -> Result<(), String> {
    let page_size = page_size().ok_or("a page size")?;
    let mut page = vec![0; 64 << 10];
    let header = NewHeader {
        page_size,
        endian: Endian::NATIVE,
        pages: PageCount::new(last + 1),
        uuid: *b"swap-dio's tests",
        label: Label::NONE,
        bad_pages,
    };
    header.write(&mut page).map_err(|error| error.to_string())?;
    page.truncate(usize::try_from(page_size.bytes().get()).map_err(|error| error.to_string())?);
    let file = OpenOptions::new().write(true).open(path).map_err(|error| error.to_string())?;
    let keep = 1024; // the boot bits stay as the recipe left them
    file.write_all_at(&page[keep..], 1024).map_err(|error| error.to_string())
}

/// Holds our answer against the kernel's, and the kernel's against the reference.
fn judge(filesystem: &str, name: &str, path: &Path, expected: Kernel) -> Result<(), String> {
    let _shared = ACTIVE_AREAS.read();
    let page_size = page_size().ok_or("a page size")?.bytes().get();
    let found = examine(path, Depth::First).map_err(|error| format!("{filesystem}, {name}: {error}"))?;
    let answer = swapon(path, page_size);
    let told = |what: &str| Err(format!("{filesystem}, {name}: {what}: the kernel {answer:?}, we {found:?}"));
    let as_expected = match (expected, &answer) {
        (Accepts(kib), Answer::Accepted { pages, .. }) => pages * page_size / 1024 == kib,
        (SomePages, Answer::Accepted { .. }) | (Either, _) => true,
        (Refuses(errno), Answer::Refused(got)) => errno == *got,
        (Accepts(_) | SomePages, Answer::Refused(_)) | (Refuses(_), Answer::Accepted { .. }) => false,
    };
    if !as_expected {
        return told("the kernel differs from the reference");
    }
    // Only where the reference says that it depends may nothing be foretold.
    if found.kernel.accepts.is_none() && expected != Either {
        return told("nothing foretold");
    }
    if !agrees(&found, &answer) {
        return told("disagree");
    }
    let lax = |verdict: Verdict| verdict == Verdict::Admit && matches!(answer, Answer::Refused(_));
    if lax(found.bio.verdict()) || lax(found.file.verdict()) {
        return told("a verdict is laxer than the kernel");
    }
    let all = examine(path, Depth::All).map_err(|error| error.to_string())?;
    if all.kernel != found.kernel || all.bio.reasons().first() != found.bio.reasons().first() {
        return told(&format!("a full list gives another answer: {all:?}"));
    }
    println!("{filesystem}, {name}: {answer:?}, foretold {:?}", found.kernel.accepts);
    Ok(())
}

fn agrees(found: &Examination, answer: &Answer) -> bool {
    let kernel = found.kernel;
    match (kernel.accepts, answer) {
        (None, _) => kernel.errno.is_none() && kernel.pages.is_none() && kernel.extents.is_none(),
        (Some(true), Answer::Accepted { pages, extents }) => {
            let same_extents = kernel.extents.is_none() || extents.is_none() || kernel.extents == *extents;
            kernel.pages.map(PageCount::get) == Some(*pages) && same_extents
        }
        (Some(false), Answer::Refused(errno)) => match kernel.errno {
            Some(foretold) => foretold.number() == *errno,
            // Where some process hides what it runs, a file with an execute bit may be that: no errno is foretold.
            None => found.bio.reasons().first().is_some_and(|why| why.code() == "open-for-execution"),
        },
        (Some(true), Answer::Refused(_)) | (Some(false), Answer::Accepted { .. }) => false,
    }
}
