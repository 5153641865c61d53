//! Family I, what mkswap(8) and swapon(8) have rules of their own for: asked, and held against the kernel and us.
//!
//! The installed util-linux is asked, whichever it is; what it cannot do yet is skipped with a line.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use swap_dio::header::{Endian, Header, Label, NewHeader};
use swap_dio::linux::{Depth, Examination, examine, page_size};
use swap_dio::reason::Errno;
use swap_dio::{PageCount, PageIndex, PageSize, Verdict};

use crate::cases::Kernel::{Accepts, Refuses};
use crate::cases::{EINVAL, WRITE_40};
use crate::machine::{ACTIVE_AREAS, Mounted, ready, sh, swaps};
use crate::{judge, make_case, mounted, write_header};

const UUID: [u8; 16] = *b"\x11\x11\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x55\x55\x55\x5a";
const UUID_TEXT: &str = "11111111-2222-3333-4444-55555555555a";

fn ext4() -> Option<Mounted> {
    mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4", "mkswap"])
}

/// Runs a tool in a folder, in English: whether it said that all is well, and what else it said.
fn tool(folder: &Path, command: &str) -> (bool, String) {
    let mut bash = Command::new("timeout");
    bash.args(["60", "bash", "-c", command]).current_dir(folder).env("LC_ALL", "C");
    let output = bash.output().expect("bash");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn mkswap_has(option: &str) -> bool {
    let has = sh("mkswap --help").is_ok_and(|help| help.contains(option));
    if !has {
        println!("skipped: this mkswap has no {option}");
    }
    has
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a folder")
}

/// The code of the first reason, if there is one.
fn first_code(path: &Path) -> Option<&'static str> {
    examine(path, Depth::First).expect("an examination").bio.reasons().first().map(|why| why.code())
}

/// KiB of the area in /proc/swaps; `None` if it is not there.
fn listed(path: &Path) -> Option<u64> {
    let swaps = swaps();
    let wanted = path.display().to_string();
    let line = swaps.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    line.into_iter().find(|columns| columns.first() == Some(&wanted.as_str()))?.get(2)?.parse().ok()
}

#[test]
fn p_129_ten_pages_are_the_tools_minimum() {
    let Some(fs) = ext4() else { return };
    for (pages, expected) in [(9, Refuses(EINVAL)), (10, Accepts(36))] {
        let script = format!("dd if=/dev/zero of=f bs=4k count={pages} status=none; chmod 600 f");
        let path = make_case(&fs, "f", &script, 0, "").expect("a file");
        let (done, said) = tool(folder(&path), "mkswap f");
        assert_eq!((done, said.contains("at least 40 KiB")), (pages == 10, pages == 9), "P-129 {pages}: {said}");
        judge("ext4", &format!("P-129 {pages} pages by mkswap"), &path, expected).expect("agreement");
    }
    // Neither the kernel nor we have such a rule.
    let path = make_case(&fs, "f", "dd if=/dev/zero of=f bs=4k count=9 status=none", 8, "").expect("a file");
    judge("ext4", "P-129 nine pages by us", &path, Accepts(32)).expect("agreement");
}

#[test]
fn p_131_a_false_alarm_for_the_tail() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", WRITE_40, 0, "truncate -s 163940 f; chmod 600 f").expect("a file");
    let (done, said) = tool(folder(&path), "mkswap --verbose f");
    assert!(done && said.contains("hole") && said.contains("163840"), "P-131: {said}");
    judge("ext4", "P-131", &path, Accepts(156)).expect("agreement");
}

#[test]
fn p_132_what_mkswap_makes_of_a_file() {
    let Some(fs) = mounted(&[256], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M", &["mkfs.btrfs", "mkswap"]) else {
        return;
    };
    let path = make_case(&fs, "cow", WRITE_40, 0, "chmod 644 f").expect("a file");
    let (done, said) = tool(folder(&path), "mkswap f");
    assert!(done && said.contains("insecure permissions"), "P-132: no word of copy-on-write: {said}");
    judge("btrfs", "P-132 an existing file keeps copy-on-write", &path, Refuses(EINVAL)).expect("agreement");
    assert_eq!(first_code(&path), Some("copy-on-write"));
    if mkswap_has("--file") {
        let path = fs.root.join("new");
        let (done, said) = tool(&fs.root, "mkswap --file --size 163840 new");
        assert!(done, "P-132: {said}");
        judge("btrfs", "P-132 a new file", &path, Accepts(156)).expect("agreement");
        let found = examine(&path, Depth::All).expect("an examination");
        // The filesystem is on a loop device, which is a warning of its own.
        let codes: Vec<&str> = found.warnings.iter().map(|why| why.code()).collect();
        assert_eq!(codes, ["loop-below"], "P-132: mode 0600, owned by root: {found:?}");
    }
}

/// The same bytes, for every page size, from mkswap and from us; and what we read of them.
#[test]
fn p_134_mkswaps_bytes_are_ours() {
    if !ready(&["mkswap"]) {
        return;
    }
    let orders: &[(&str, Endian)] = if mkswap_has("--endianness") {
        &[("-e native", Endian::NATIVE), ("-e little", Endian::Little), ("-e big", Endian::Big)]
    } else {
        &[("", Endian::NATIVE)]
    };
    let running = page_size().expect("a page size");
    let work = tempfile::tempdir().expect("a folder");
    for page_size in PageSize::ALL {
        for (order, endian) in orders {
            let (bytes, label) = (page_size.bytes().get(), Label::new("label").expect("short"));
            let make = format!("dd if=/dev/zero of=f bs={bytes} count=10 status=none; chmod 600 f");
            let format = format!("mkswap -q -p {bytes} {order} -L label -U {UUID_TEXT} f");
            // Again over the first: the same path, and the same bytes.
            let (done, said) = tool(work.path(), &format!("{make}; {format} && {format}"));
            assert!(done, "P-134 {bytes} {order}: {said}");
            let made = std::fs::read(work.path().join("f")).expect("what mkswap wrote");
            let mut ours = vec![0; made.len()];
            let pages = PageCount::new(10);
            let header = NewHeader { page_size, endian: *endian, pages, uuid: UUID, label, bad_pages: &[] };
            header.write(&mut ours).expect("a header");
            assert!(made == ours, "P-134 {bytes} {order}: mkswap's bytes are not ours");

            let read = Header::read(&made, page_size).expect("P-134: sound");
            assert_eq!((read.uuid(), read.endian(), read.last_page()), (UUID, *endian, PageIndex::new(9)));
            assert_eq!(&read.label()[..6], b"label\0");
            let code = Header::read(&made, running).err().map(|why| why.code());
            assert_eq!(code, (page_size != running).then_some("header-page-size"), "P-134 {bytes}");
        }
    }
    for size in [512, 5000, 12288] {
        let (done, said) = tool(work.path(), &format!("mkswap -q -p {size} f"));
        assert_eq!((done, PageSize::new(size)), (false, None), "P-134 {size}: {said}");
    }
}

/// What is found of a device that nobody holds: whoever looks for a free loop device may claim this one for a moment.
fn settled(device: &Path) -> Examination {
    let look = || examine(device, Depth::First).expect("an examination");
    let tries = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(20));
        look()
    });
    let mut tries = tries.take(50).filter(|found| found.bio.verdict() != Verdict::Retry);
    tries.next().unwrap_or_else(look)
}

/// By name, label and UUID, and with what it mends on the way: each ends with the device in /proc/swaps.
#[test]
fn p_136_swapon_finds_a_device_and_mends_it() {
    let Some(fs) = mounted(&[1], "", "", &["mkswap", "blkid"]) else { return };
    let device = fs.device();
    let label = format!("sd{}", std::process::id());
    let format = format!("mkswap -q -L {label} -U {UUID_TEXT}");
    let suspended = format!("{format} $DEV; printf S2SUSPEND | dd of=$DEV bs=1 seek=4086 conv=notrunc status=none");
    // Name, how the device is made, how swapon(8) is called, what we say of it before (nothing: it is accepted).
    let cases: [(&str, String, &str, Option<&str>); 5] = [
        ("P-136 by name", format!("{format} $DEV"), "swapon $DEV", None),
        ("P-136 by label", format!("{format} $DEV"), "swapon -L $LABEL", None),
        ("P-136 by UUID", format!("{format} $DEV"), "swapon -U $UUID", None),
        (
            "P-136 a wrong page size",
            format!("{format} -p 65536 $DEV"),
            "swapon --fixpgsz $DEV",
            Some("header-page-size"),
        ),
        ("P-136 S2SUSPEND", suspended, "swapon $DEV", Some("hibernation-image")),
    ];
    for (name, make, call, before) in cases {
        fs.run(Path::new("/"), &format!("wipefs -qa $DEV; {make}; blkid -p $DEV >&2")).expect(name);
        let found = settled(&device);
        let first = found.bio.reasons().first().map(|why| why.code());
        // A loop device is never ours to admit, whatever its header says.
        assert_eq!(first, Some(before.unwrap_or("loop-backing")), "{name}: {found:?}");
        if before.is_some() {
            judge("loop device", name, &device, Refuses(EINVAL)).unwrap_or_else(|why| panic!("{why}"));
        }
        let _shared = ACTIVE_AREAS.read();
        let script = format!("LABEL={label}; UUID={UUID_TEXT}; {call} >&2");
        fs.run(Path::new("/"), &script).unwrap_or_else(|why| panic!("{name}: {why}"));
        let size = listed(&device);
        let busy = examine(&device, Depth::First).expect("an examination").kernel.errno;
        fs.run(Path::new("/"), "swapoff $DEV").expect("swapoff");
        assert_eq!((size, busy), (Some(1020), Some(Errno::EBUSY)), "{name}");
        let after = settled(&device).kernel;
        assert_eq!((after.accepts, after.pages), (Some(true), Some(PageCount::new(255))), "{name}, afterwards");
    }
}

#[test]
fn p_137_fixpgsz_keeps_the_name_and_rewrites_the_rest() {
    let Some(fs) = ext4() else { return };
    let make = format!(
        "dd if=/dev/zero of=f bs=64k count=16 status=none; chmod 600 f; mkswap -q -p 65536 -L label -U {UUID_TEXT} f >&2"
    );
    let path = make_case(&fs, "f", &make, 0, "").expect("a file");
    judge("ext4", "P-137 for 64 KiB pages", &path, Refuses(EINVAL)).expect("agreement");
    assert_eq!(first_code(&path), Some("header-page-size"));
    let shared = ACTIVE_AREAS.read();
    let (done, said) = tool(folder(&path), "swapon $PWD/f");
    assert!(!done && said.contains("--fixpgsz"), "P-137 without it: {said}");
    let (done, said) = tool(folder(&path), "swapon --fixpgsz $PWD/f");
    let size = listed(&path);
    sh(&format!("swapoff {}", path.display())).expect("swapoff");
    assert!(done && size == Some(1020), "P-137 with it: {said}");
    drop(shared);
    judge("ext4", "P-137 reformatted", &path, Accepts(1020)).expect("agreement");
    let start = std::fs::read(&path).expect("the file");
    let header = Header::read(&start, PageSize::KIB_4).expect("a header");
    assert_eq!((header.uuid(), &header.label()[..6]), (UUID, &b"label\0"[..]), "P-137: its name is kept");
}

/// swapon(8) counts blocks before it asks the kernel, which knows better.
#[test]
fn p_041_swapon_stops_at_a_count_of_blocks() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", "truncate -s 160k f; chmod 600 f", 39, "sync f").expect("a file");
    let (done, said) = tool(folder(&path), "swapon $PWD/f");
    assert!(!done && said.contains("appears to have holes"), "P-041: {said}");
    judge("ext4", "P-041 by the kernel", &path, Refuses(EINVAL)).expect("agreement");
    assert_eq!(first_code(&path), Some("hole"));
}

#[test]
fn p_039_what_swapon_warns_of_we_warn_of() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", WRITE_40, 39, "").expect("a file");
    let _shared = ACTIVE_AREAS.read();
    for (mode, owner) in [("666", 0), ("644", 1000), ("600", 1000), ("600", 0), ("400", 0), ("1600", 0)] {
        let name = format!("P-039 mode {mode}, owner {owner}");
        fs.run(folder(&path), &format!("chown {owner} f; chmod {mode} f")).expect("a mode");
        let (done, said) = tool(folder(&path), "swapon $PWD/f && swapoff $PWD/f");
        assert!(done, "{name}: {said}");
        let found = examine(&path, Depth::First).expect("an examination");
        let codes: Vec<&str> = found.warnings.iter().map(|why| why.code()).collect();
        for (words, code) in [("insecure permissions", "insecure-mode"), ("insecure file owner", "insecure-owner")] {
            assert_eq!(said.contains(words), codes.contains(&code), "{name}: {said}; we: {codes:?}");
        }
        assert_eq!(found.kernel.accepts, Some(true), "{name}: a warning is no rule");
    }
}

/// swapon(8) rewrites what may be resumed later; the kernel refuses it, and so do we.
#[test]
fn p_021_swapon_gives_up_a_hibernation_image() {
    let Some(fs) = ext4() else { return };
    for mark in ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"] {
        let suspend = format!("printf {mark} | dd of=f bs=1 seek=4086 conv=notrunc status=none; chmod 600 f");
        let path = make_case(&fs, "f", WRITE_40, 39, &suspend).expect("a file");
        judge("ext4", &format!("P-021 {mark}"), &path, Refuses(EINVAL)).expect("agreement");
        assert_eq!(first_code(&path), Some("hibernation-image"), "P-021 {mark}");
        let shared = ACTIVE_AREAS.read();
        let (done, said) = tool(folder(&path), "swapon $PWD/f && swapoff $PWD/f");
        assert!(done, "P-021 {mark}: {said}");
        drop(shared);
        judge("ext4", &format!("P-021 {mark}, rewritten"), &path, Accepts(156)).expect("agreement");
    }
}

/// A header for another page size, as mkswap writes it and as we do: refused alike.
#[test]
fn p_014_headers_for_other_page_sizes() {
    let Some(fs) = ext4() else { return };
    let running = page_size().expect("a page size");
    for page_size in PageSize::ALL.into_iter().filter(|size| *size != running) {
        let bytes = page_size.bytes().get();
        let make = format!("dd if=/dev/zero of=f bs={bytes} count=10 status=none; mkswap -q -p {bytes} f >&2");
        let path = make_case(&fs, "f", &make, 0, "").expect("a file");
        judge("ext4", &format!("P-014 for pages of {page_size}"), &path, Refuses(EINVAL)).expect("agreement");
        assert_eq!(first_code(&path), Some("header-page-size"), "P-014 {page_size}");
        write_header(&path, 9, &[]).expect("a header");
        judge("ext4", &format!("P-014 {page_size}, ours over it"), &path, Accepts(36)).expect("agreement");
    }
}
