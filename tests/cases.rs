//! What Linux answered, file by file: every recorded case that header bytes and a list of extents can tell.
//!
//! Rows bear the numbers of the collection that they come from; A is the header, C the layout, D sharing, J devices.
//! Sizes are the Size column of `/proc/swaps`: usable pages in KiB. Seen on Linux v6.18 with pages of 4 KiB.

#![cfg(feature = "alloc")]

use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::reason::{Errno, Holder};
use swap_dio::{
    Activation, Area, Backing, BlockSize, Bytes, DeviceId, ExtentFlags, ExtentState, FileExtent, Header, PageCount,
    PageIndex, PageSize, Profile, Reason, Verdict,
};

const PAGE: u64 = 4096;
const IOMAP: Profile = Profile::Iomap { device: DeviceId::MAIN };
const BTRFS: Profile = Profile::Btrfs { sector: BlockSize::KIB_4 };
const FILE: Profile = Profile::File;

/// A header of version 1 with so many pages claimed: "hdr N" is `pages(N + 1)`.
fn pages(pages: u64) -> Vec<u8> {
    for_pages_of(PageSize::KIB_4, pages, &[])
}

fn for_pages_of(page_size: PageSize, pages: u64, bad_pages: &[PageIndex]) -> Vec<u8> {
    let mut start = vec![0; usize::try_from(page_size.bytes().get()).expect("small")];
    let (endian, label, pages) = (Endian::NATIVE, Label::NONE, PageCount::new(pages));
    let new = NewHeader { page_size, endian, pages, uuid: [0; 16], label, bad_pages };
    new.write(&mut start).expect("two pages at least");
    start
}

fn with(mut start: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    start[at..at + bytes.len()].copy_from_slice(bytes);
    start
}

/// A written run: offset in the file, place on the device, length, in KiB.
fn run(logical: u64, physical: u64, length: u64) -> FileExtent {
    let [logical, physical, length] = [logical, physical, length].map(|kib| Bytes::new(kib << 10));
    FileExtent::written(logical, physical, length)
}

fn unwritten(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent { state: ExtentState::Unwritten, ..run(logical, physical, length) }
}

fn shared(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent { flags: ExtentFlags::SHARED, ..run(logical, physical, length) }
}

/// KiB of swap and number of extents, or the code of the first reason.
type Answer = Result<(u64, u32), &'static str>;

fn answer(area: &Area, profile: Profile, claims: &[FileExtent]) -> Result<(u64, u32), Reason> {
    let mut activation = Activation::new(profile, area, Vec::new())?;
    for claim in claims {
        activation.push(claim)?;
    }
    let totals = activation.finish()?.totals();
    Ok((totals.usable.to_bytes(PageSize::KIB_4).expect("small").get() >> 10, totals.extents))
}

#[test]
fn headers() {
    let mark = |mark: &[u8]| with(with(pages(40), 4086, &[0; 10]), 4086, mark);
    let eight = PageSize::new(8192).expect("a page size");
    let written = |size: u64| vec![run(0, 1024, size >> 10)];
    let rows: Vec<(&str, Vec<u8>, u64, Answer)> = vec![
        ("P-001 baseline", pages(40), 40 * PAGE, Ok((156, 1))),
        ("P-002 first page zero", vec![0; 4096], 40 * PAGE, Err("header-missing")),
        ("P-004 version 0", with(pages(40), 1024, &0u32.to_ne_bytes()), 40 * PAGE, Err("header-version")),
        ("P-004 version 2", with(pages(40), 1024, &2u32.to_ne_bytes()), 40 * PAGE, Err("header-version")),
        ("P-006 last page 0", with(pages(40), 1028, &[0; 4]), 40 * PAGE, Err("header-empty")),
        ("P-007 one too many", pages(41), 40 * PAGE, Err("header-short")),
        ("P-007 ones", with(pages(40), 1028, &[0xff; 4]), 40 * PAGE, Err("header-short")),
        ("P-008 less than the file", pages(10), 40 * PAGE, Ok((36, 1))),
        ("P-010 three pages", pages(3), 3 * PAGE, Ok((8, 1))),
        ("P-011 one page, hdr 0", with(pages(2), 1028, &[0; 4]), PAGE, Err("header-empty")),
        ("P-011 one page, hdr 1", pages(2), PAGE, Err("header-short")),
        (
            "P-012 a bad page",
            with(with(pages(40), 1032, &1u32.to_ne_bytes()), 1536, &3u32.to_ne_bytes()),
            40 * PAGE,
            Err("header-bad-pages"),
        ),
        ("P-012 too many", with(pages(40), 1032, &638u32.to_ne_bytes()), 40 * PAGE, Err("header-bad-pages")),
        ("P-014 for 8 KiB", for_pages_of(eight, 20, &[]), 40 * PAGE, Err("header-page-size")),
        ("P-014 for 64 KiB", for_pages_of(PageSize::KIB_64, 2, &[]), 40 * PAGE, Err("header-page-size")),
        (
            "P-014 for 64 KiB, one page read",
            for_pages_of(PageSize::KIB_64, 2, &[])[..4096].to_vec(),
            40 * PAGE,
            Err("header-missing"),
        ),
        ("P-016 three bytes more", pages(40), 40 * PAGE + 3, Ok((156, 1))),
        ("P-018 junk in the boot sectors", with(pages(40), 0, &[0xa5; 1024]), 40 * PAGE, Ok((156, 1))),
        ("P-021 S1SUSPEND", mark(b"S1SUSPEND"), 40 * PAGE, Err("hibernation-image")),
        ("P-021 S2SUSPEND", mark(b"S2SUSPEND"), 40 * PAGE, Err("hibernation-image")),
        ("P-021 ULSUSPEND", mark(b"ULSUSPEND"), 40 * PAGE, Err("hibernation-image")),
        ("P-021 LINHIB0001", mark(b"LINHIB0001"), 40 * PAGE, Err("hibernation-image")),
        ("P-021 TuxOnIce", mark(b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"), 40 * PAGE, Err("hibernation-image")),
        (
            "P-023 at offset 4096",
            [vec![0; 4096], pages(40)].concat()[..4096].to_vec(),
            41 * PAGE,
            Err("header-missing"),
        ),
        ("P-031 an empty file", vec![], 0, Err("header-missing")),
        ("P-057 1 MiB, grown to 2", pages(256), 512 * PAGE, Ok((1020, 1))),
        ("the old signature", mark(b"SWAP-SPACE"), 40 * PAGE, Err("header-version")),
        (
            "the other byte order",
            with(with(pages(40), 1024, &1u32.swap_bytes().to_ne_bytes()), 1028, &39u32.swap_bytes().to_ne_bytes()),
            40 * PAGE,
            Ok((156, 1)),
        ),
        ("one byte short", pages(40), 40 * PAGE - 1, Err("header-short")),
    ];
    for (name, start, size, expected) in rows {
        let got = Header::read(&start, PageSize::KIB_4)
            .and_then(|header| header.area(Backing::RegularFile, Bytes::new(size), MAXIMUM_PAGES))
            .and_then(|area| answer(&area, IOMAP, &written(size + 1024)));
        if let Err(reason) = got {
            assert_eq!(reason.errno(), Some(Errno::EINVAL), "{name}");
            assert_eq!(reason.verdict(), Verdict::Refuse, "{name}");
        }
        assert_eq!(got.map_err(|reason| reason.code()), expected, "{name}");
    }
}

#[test]
fn p_025_sane_rounds_are_accepted_and_damaged_ones_are_not() {
    for file in (32..=256u64).step_by(7) {
        let size = Bytes::new(file * PAGE);
        let judge = |start: &[u8]| {
            let header = Header::read(start, PageSize::KIB_4)?;
            header.area(Backing::RegularFile, size, MAXIMUM_PAGES)
        };
        for claimed in (2..=file).step_by(5) {
            let area = judge(&pages(claimed)).expect("sane");
            let expected = (claimed - 1) * 4;
            assert_eq!(answer(&area, IOMAP, &[run(0, 1 << 20, file * 4)]), Ok((expected, 1)), "{claimed} of {file}");
            let damages: [(&str, usize, &[u8]); 6] = [
                ("magic", 4086, b"X"),
                ("version", 1024, &7u32.to_ne_bytes()),
                ("zero last page", 1028, &[0; 4]),
                ("huge last page", 1028, &[0xff; 4]),
                ("a bad page", 1032, &1u32.to_ne_bytes()),
                ("bad pages", 1032, &[0xff; 4]),
            ];
            for (name, at, bytes) in damages {
                assert!(judge(&with(pages(claimed), at, bytes)).is_err(), "{name}: {claimed} of {file}");
            }
        }
    }
}

/// Name; pages claimed; size in bytes; claims; what the kernel answers on ext4, XFS and btrfs, and the file model.
type Layout = (&'static str, u64, u64, Vec<FileExtent>, Answer, Answer);

/// A file of 40 pages that both models judge alike.
fn alike(name: &'static str, claims: Vec<FileExtent>, answer: Answer) -> Layout {
    (name, 40, 40 * PAGE, claims, answer, answer)
}

#[test]
fn layouts() {
    let hole = Err("hole");
    let alternate = |kinds: [ExtentState; 2]| -> Vec<FileExtent> {
        let page = |n: u64| FileExtent { state: kinds[usize::from(n % 2 == 1)], ..run(n * 4, 512 + n * 4, 4) };
        (0..40).map(page).collect()
    };
    let mixed = alternate([ExtentState::Written, ExtentState::Unwritten]);
    let delayed = FileExtent { state: ExtentState::Delayed, physical: None, ..run(0, 0, 160) };
    let other = FileExtent { device: DeviceId::new(8), ..run(80, 592, 80) };
    let fallocated = vec![unwritten(0, 512, 160)];
    let formatted = vec![run(0, 512, 4), unwritten(4, 516, 156)];
    let beyond = vec![run(0, 512, 80), unwritten(80, 592, 160)];
    let (collapsed, off_page) = (vec![run(0, 512, 40), run(40, 553, 215)], vec![run(0, 513, 40), run(40, 554, 215)]);
    let one_shared = vec![run(0, 512, 80), shared(80, 592, 4), run(84, 596, 76)];
    let split = vec![run(0, 512, 82), run(82, 1026, 78)];
    let rows: Vec<Layout> = vec![
        alike("P-041 all but the header a hole", vec![run(0, 512, 4)], hole),
        alike("P-042 page 20 punched", vec![run(0, 512, 80), run(84, 596, 76)], hole),
        alike("P-042 the same on touching places", vec![run(0, 512, 80), run(84, 592, 76)], hole),
        alike("P-043 the last page", vec![run(0, 512, 156)], hole),
        ("P-043 the last page, not claimed", 30, 40 * PAGE, vec![run(0, 512, 156)], hole, hole),
        ("P-045 a hole in the tail", 40, 40 * PAGE + 100, vec![run(0, 512, 160)], Ok((156, 1)), Ok((156, 1))),
        ("P-046 fallocated", 40, 40 * PAGE, fallocated, Ok((156, 1)), Err("unwritten")),
        ("P-046 fallocated, header written", 40, 40 * PAGE, formatted, Ok((156, 1)), Err("unwritten")),
        ("P-047 every second page written", 40, 40 * PAGE, mixed, Ok((156, 1)), Err("unwritten")),
        alike("P-047 every page by itself", alternate([ExtentState::Written; 2]), Ok((156, 1))),
        ("P-049 preallocated past the end", 20, 20 * PAGE, beyond, Ok((76, 1)), Ok((76, 1))),
        alike("P-050 not synced", vec![delayed], Err("delayed-allocation")),
        alike("P-050 synced", vec![run(0, 512, 160)], Ok((156, 1))),
        alike("P-052 a range inserted", vec![run(0, 512, 40), run(120, 552, 40)], hole),
        alike("P-059 bigalloc, a hole", vec![run(0, 512, 64), run(128, 640, 64)], hole),
        alike("P-064 on two devices", vec![run(0, 512, 80), other], Err("multi-device")),
        alike("P-068 cloned", vec![shared(0, 512, 160)], Err("shared")),
        alike("P-070 page 20 shared", one_shared, Err("shared")),
        ("P-072 no longer shared", 32, 32 * PAGE, vec![run(0, 512, 128)], Ok((124, 1)), Ok((124, 1))),
        ("in two places", 40, 40 * PAGE, vec![run(0, 512, 80), run(80, 1024, 80)], Ok((156, 2)), Ok((156, 1))),
        // Blocks of 1 KiB: what begins off a page of the device loses it. btrfs has none so small, and trims alike.
        ("P-054 a block collapsed, on XFS", 63, 64 * PAGE - 1024, collapsed, Ok((244, 2)), Err("misaligned")),
        ("P-054 a block collapsed, on ext4", 63, 64 * PAGE - 1024, off_page, Ok((240, 2)), Err("misaligned")),
        ("P-055 begins on an odd block", 40, 40 * PAGE, vec![run(0, 513, 160)], Ok((152, 1)), Err("misaligned")),
        ("64 pages from an odd block on", 64, 64 * PAGE, vec![run(0, 513, 256)], Ok((248, 1)), Err("misaligned")),
        ("a page in two places", 40, 40 * PAGE, split, Ok((152, 2)), Err("misaligned")),
    ];
    for (name, claimed, size, claims, bio, file) in rows {
        let start = pages(claimed);
        let header = Header::read(&start, PageSize::KIB_4).expect(name);
        let area = header.area(Backing::RegularFile, Bytes::new(size), MAXIMUM_PAGES).expect(name);
        for (profile, expected) in [(IOMAP, bio), (BTRFS, bio), (FILE, file)] {
            let got = answer(&area, profile, &claims);
            assert_eq!(got.map_err(|reason| reason.code()), expected, "{name}, {profile:?}");
            if let (Err(reason), IOMAP | BTRFS) = (got, profile) {
                assert_eq!(reason.errno(), Some(Errno::EINVAL), "{name}, {profile:?}");
            }
        }
    }
}

#[test]
fn p_064_the_device_comes_from_the_inode() {
    let area = Area::without_header(Bytes::new(40 * PAGE), PageSize::KIB_4).expect("40 pages");
    let realtime = FileExtent { device: DeviceId::new(8), ..run(0, 512, 160) };
    let by = |device| answer(&area, Profile::Iomap { device: DeviceId::new(device) }, &[realtime]);
    assert_eq!(by(8), Ok((156, 1)));
    assert_eq!(by(7).map_err(|reason| reason.code()), Err("multi-device"));
}

#[test]
fn p_067_bmap() {
    let block = |bytes: u64| Profile::Bmap { block: BlockSize::new(bytes).expect("a block size") };
    type Row = (&'static str, u64, u64, u64, Vec<FileExtent>, Answer);
    let rows: Vec<Row> = vec![
        ("aligned", 1024, 40, 40, vec![run(0, 512, 160)], Ok((156, 1))),
        ("from an odd block on", 1024, 40, 40, vec![run(0, 513, 160)], Ok((152, 1))),
        ("block 0", 1024, 40, 40, vec![run(0, 0, 160)], Err("hole")),
        ("block 0 in the middle", 4096, 40, 40, vec![run(0, 512, 80), run(80, 0, 80)], Err("hole")),
        ("block 0 past the header's pages", 4096, 20, 40, vec![run(0, 512, 80), run(80, 0, 80)], Ok((76, 1))),
        ("a hole past the header's pages", 4096, 20, 40, vec![run(0, 512, 80)], Ok((76, 1))),
        ("a hole right there", 4096, 21, 40, vec![run(0, 512, 80)], Err("hole")),
        ("an unaligned page, then a hole", 1024, 20, 40, vec![run(0, 513, 80)], Err("hole")),
        ("pages in two places", 1024, 40, 40, vec![run(0, 512, 82), run(82, 1026, 78)], Ok((152, 2))),
        ("the tail of a file is never asked", 1024, 40, 40, vec![run(0, 513, 159)], Ok((152, 1))),
        ("but before that it is", 1024, 40, 40, vec![run(0, 513, 158)], Err("hole")),
    ];
    for (name, bytes, claimed, file, claims, expected) in rows {
        let start = pages(claimed);
        let header = Header::read(&start, PageSize::KIB_4).expect(name);
        let area = header.area(Backing::RegularFile, Bytes::new(file * PAGE), MAXIMUM_PAGES).expect(name);
        assert_eq!(answer(&area, block(bytes), &claims).map_err(|reason| reason.code()), expected, "{name}");
    }
}

#[test]
fn the_span_is_that_of_the_file_before_it_is_cut() {
    // Logged for 64 pages from an odd block on, of which 11 are claimed: "Adding 40k swap ... across:248k".
    let start = pages(11);
    let header = Header::read(&start, PageSize::KIB_4).expect("sound");
    let area = header.area(Backing::RegularFile, Bytes::new(64 * PAGE), MAXIMUM_PAGES).expect("sound");
    let mut activation = Activation::new(IOMAP, &area, Vec::new()).expect("no blocks to compare");
    activation.push(&run(0, 513, 256)).expect("sound");
    let map = activation.finish().expect("sound");
    assert_eq!((map.totals().usable.get() * 4, map.totals().span.get() * 4), (40, 248));
    assert!(!map.is_identity(), "the header is not inside the map");
}

#[test]
fn block_devices() {
    let bad = |list: &[u64]| list.iter().map(|page| PageIndex::new(*page)).collect::<Vec<_>>();
    let rows = [
        ("P-139 whole", 256, bad(&[]), Ok((1020, 1))),
        ("P-139 a bad page", 256, bad(&[7]), Ok((1016, 1))),
        ("P-139 listed twice", 256, bad(&[7, 7]), Ok((1012, 1))),
        ("the last page bad", 256, bad(&[255]), Ok((1016, 1))),
        ("every page bad", 3, bad(&[1, 2]), Err("no-usable-page")),
        ("P-141 past the device", 257, bad(&[]), Err("header-short")),
    ];
    for (name, claimed, list, expected) in rows {
        let expected: Answer = expected;
        let start = for_pages_of(PageSize::KIB_4, claimed, &list);
        let header = Header::read(&start, PageSize::KIB_4).expect(name);
        let map = header
            .area(Backing::BlockDevice, Bytes::new(256 * PAGE), MAXIMUM_PAGES)
            .and_then(|area| Activation::block_device(&area, Vec::new()));
        let got = map.map(|map| (map.totals().usable.get() * 4, map.totals().extents));
        assert_eq!(got.map_err(|reason| reason.code()), expected, "{name}");
    }
}

#[test]
fn what_is_asked_before_the_header() {
    let rows = [
        ("P-029 a directory", Reason::Directory, Some(Errno::EISDIR), Verdict::Refuse),
        ("P-032 active already", Reason::Active { certain: true }, Some(Errno::EBUSY), Verdict::Retry),
        ("P-036 chattr +i", Reason::Immutable, Some(Errno::EPERM), Verdict::Refuse),
        ("P-036 chattr +a", Reason::AppendOnly, Some(Errno::EPERM), Verdict::Refuse),
        ("P-037 a read-only mount", Reason::ReadOnly, Some(Errno::EROFS), Verdict::Refuse),
        ("P-039 mode 0666", Reason::InsecureMode { mode: 0o666 }, None, Verdict::Admit),
        ("P-039 of user 1000", Reason::InsecureOwner { uid: 1000 }, None, Verdict::Admit),
        ("P-065 DAX", Reason::Dax, Some(Errno::EINVAL), Verdict::Refuse),
        ("P-074 copy-on-write", Reason::CopyOnWrite, Some(Errno::EINVAL), Verdict::Refuse),
        ("P-085 a balance", Reason::Busy { holder: Holder::ExclusiveOperation }, Some(Errno::EBUSY), Verdict::Retry),
        ("P-141 a mounted device", Reason::DeviceHeld { holder: Holder::Mount }, Some(Errno::EBUSY), Verdict::Retry),
    ];
    for (name, reason, errno, verdict) in rows {
        assert_eq!((reason.errno(), reason.verdict()), (errno, verdict), "{name}");
    }
}
