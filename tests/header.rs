//! Swap headers: the kernel's checks in the kernel's order, what is written is what is read, mkswap(8)'s bytes.

#![cfg(feature = "alloc")]

mod naive;

use naive::header as model;
use proptest::prelude::*;
use std::process::Command;
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::reason::HibernationMark;
use swap_dio::{Area, Backing, Bytes, Header, PageCount, PageIndex, PageSize, Reason};

const PAGE: usize = 4096;
const LIMITS: [(u64, u32); 5] = [(4096, 637), (8192, 1661), (16384, 3709), (32768, 7805), (65536, 15997)];

/// A header of this machine's byte order in 4 KiB, with the fields that matter set by hand, not by [`NewHeader`].
fn bytes(version: u32, last_page: u32, bad_count: u32) -> Vec<u8> {
    let mut bytes = vec![0; PAGE];
    put(&mut bytes, 1024, version.to_ne_bytes());
    put(&mut bytes, 1028, last_page.to_ne_bytes());
    put(&mut bytes, 1032, bad_count.to_ne_bytes());
    put(&mut bytes, PAGE - 10, *b"SWAPSPACE2");
    bytes
}

/// The same in the other byte order.
fn foreign(version: u32, last_page: u32, bad_count: u32) -> Vec<u8> {
    bytes(version.swap_bytes(), last_page.swap_bytes(), bad_count.swap_bytes())
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

fn with_magic(mark: &[u8]) -> Vec<u8> {
    let mut page = bytes(1, 39, 0);
    page[PAGE - 10..].fill(0);
    page[PAGE - 10..PAGE - 10 + mark.len()].copy_from_slice(mark);
    page
}

#[test]
fn the_header_alone_is_judged_in_the_kernels_order() {
    let missing = Reason::HeaderMissing { page_size: PageSize::KIB_4 };
    let many = |count| Reason::BadPagesTooMany { count, limit: 637 };
    let version = |found| Reason::HeaderVersion { found };
    let mark = |mark| Reason::HibernationImage { mark };
    let two_pages = |magic: &[u8]| [vec![0; 1024], vec![1, 0, 0, 0], vec![0; 7154], magic.to_vec()].concat();
    let rows: Vec<(&str, Vec<u8>, Option<Reason>)> = vec![
        ("native", bytes(1, 39, 0), None),
        ("foreign", foreign(1, 39, 0), None),
        ("boot sectors of junk", [vec![0xff; 1024], bytes(1, 39, 0)[1024..].to_vec()].concat(), None),
        ("nothing", vec![], Some(missing)),
        ("all zeros", vec![0; PAGE], Some(missing)),
        ("all ones", vec![0xff; PAGE], Some(missing)),
        ("one byte short of a page", bytes(1, 39, 0)[..PAGE - 1].to_vec(), Some(missing)),
        ("magic one byte early", [&bytes(1, 39, 0)[1..], &[0][..]].concat(), Some(missing)),
        ("magic in lower case", with_magic(b"swapspace2"), Some(missing)),
        ("nine bytes of magic", with_magic(b"SWAPSPACE"), Some(missing)),
        ("the obsolete magic", with_magic(b"SWAP-SPACE"), Some(Reason::HeaderObsolete)),
        ("S1SUSPEND", with_magic(b"S1SUSPEND"), Some(mark(HibernationMark::Swsusp1))),
        ("S2SUSPEND", with_magic(b"S2SUSPEND\xff"), Some(mark(HibernationMark::Swsusp2))),
        ("ULSUSPEND", with_magic(b"ULSUSPEND"), Some(mark(HibernationMark::Uswsusp))),
        ("LINHIB0001", with_magic(b"LINHIB0001"), Some(mark(HibernationMark::LinuxHibernate))),
        ("LINHIB0002", with_magic(b"LINHIB0002"), Some(missing)),
        ("TuxOnIce", with_magic(b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"), Some(mark(HibernationMark::TuxOnIce))),
        ("TuxOnIce but for a byte", with_magic(b"\xed\xc3\x02\xe9\x98\x56\xe5\x0d"), Some(missing)),
        (
            "for 8 KiB pages",
            two_pages(b"SWAPSPACE2"),
            Some(Reason::HeaderPageSize { found: PageSize::new(8192).expect("a page size"), running: PageSize::KIB_4 }),
        ),
        ("for 4 and 8 KiB pages", [bytes(1, 39, 0), two_pages(b"SWAPSPACE2")[PAGE..].to_vec()].concat(), None),
        ("a header one page further on", [vec![0; PAGE], bytes(1, 39, 0)].concat(), Some(missing)),
        ("a mark for 8 KiB pages", two_pages(b"S1SUSPEND\0"), Some(missing)),
        ("version 0", bytes(0, 39, 0), Some(version(0))),
        ("version 2", bytes(2, 39, 0), Some(version(2))),
        ("foreign version 2", foreign(2, 39, 0), Some(version(2 << 24))),
        ("version of ones", bytes(u32::MAX, 39, 0), Some(version(u32::MAX))),
        ("version before empty", bytes(2, 0, 638), Some(version(2))),
        ("empty", bytes(1, 0, 0), Some(Reason::HeaderEmpty)),
        ("foreign empty", foreign(1, 0, 0), Some(Reason::HeaderEmpty)),
        ("empty before native bad pages", bytes(1, 0, 638), Some(Reason::HeaderEmpty)),
        ("foreign bad pages before empty", foreign(1, 0, 638), Some(many(638))),
        ("foreign bad pages at the limit", foreign(1, 39, 637), None),
        ("native bad pages past the limit: the area's matter", bytes(1, 39, 638), None),
        ("last page of ones", bytes(1, u32::MAX, 0), None),
    ];
    for (name, bytes, expected) in rows {
        assert_eq!(Header::read(&bytes, PageSize::KIB_4).err(), expected, "{name}");
        let codes = model::read(&bytes, PAGE).err();
        assert_eq!(codes, expected.map(|reason| vec![reason.code()]), "{name}: the model");
    }
}

#[test]
fn the_claim_is_judged_in_the_kernels_order() {
    const FILE: Backing = Backing::RegularFile;
    const DEVICE: Backing = Backing::BlockDevice;
    let page = u64::try_from(PAGE).expect("4096");
    let short = |claimed, available| Reason::HeaderShort {
        claimed: PageCount::new(claimed),
        available: PageCount::new(available),
    };
    let none = |found| Reason::NoUsablePage { found: PageCount::new(found) };
    let on_file = |count| Reason::BadPagesOnFile { count };
    let many = |count| Reason::BadPagesTooMany { count, limit: 637 };
    let most = MAXIMUM_PAGES.get();
    type Row = (&'static str, Vec<u8>, Backing, u64, u64, Result<u64, Reason>);
    let rows: Vec<Row> = vec![
        ("as long as the file", bytes(1, 39, 0), FILE, 40 * page, most, Ok(40)),
        ("a byte too short", bytes(1, 39, 0), FILE, 40 * page - 1, most, Err(short(40, 39))),
        ("a page too long", bytes(1, 40, 0), FILE, 40 * page, most, Err(short(41, 40))),
        ("an odd tail", bytes(1, 39, 0), FILE, 41 * page - 1, most, Ok(40)),
        ("less than the file", bytes(1, 9, 0), FILE, 40 * page, most, Ok(10)),
        ("the smallest", bytes(1, 1, 0), FILE, 2 * page, most, Ok(2)),
        ("one page", bytes(1, 1, 0), FILE, page, most, Err(short(2, 1))),
        ("a device that knows no size", bytes(1, 39, 0), DEVICE, 0, most, Ok(40)),
        ("a size below a page counts as none", bytes(1, 39, 0), DEVICE, page - 1, most, Ok(40)),
        ("foreign order", foreign(1, 39, 0), FILE, 40 * page, most, Ok(40)),
        ("the most there can be, no size", bytes(1, u32::MAX, 0), DEVICE, 0, u64::MAX, Ok(0xffff_ffff)),
        ("the most there can be, short", bytes(1, u32::MAX, 0), FILE, 40 * page, most, Err(short(1 << 32, 40))),
        ("the most in a large file", bytes(1, u32::MAX, 0), FILE, page << 32, most, Ok(0xffff_ffff)),
        ("the most, clamped, just fits", bytes(1, u32::MAX, 0), FILE, (page << 32) - page, most, Ok(0xffff_ffff)),
        ("one less, no clamp", bytes(1, u32::MAX - 1, 0), FILE, page << 32, most, Ok(0xffff_ffff)),
        ("the clamp comes before the length", bytes(1, 39, 0), FILE, 20 * page, 20, Ok(20)),
        ("and does not help enough", bytes(1, 39, 0), FILE, 19 * page, 20, Err(short(40, 19))),
        ("a maximum of one page", bytes(1, 39, 0), FILE, 40 * page, 1, Err(none(1))),
        ("a maximum of none", bytes(1, 39, 0), FILE, 40 * page, 0, Err(none(0))),
        ("a bad page of a device", bytes(1, 39, 1), DEVICE, 40 * page, most, Ok(40)),
        ("a bad page of a file", bytes(1, 39, 1), FILE, 40 * page, most, Err(on_file(1))),
        ("short before bad pages", bytes(1, 40, 638), FILE, 40 * page, most, Err(short(41, 40))),
        ("on a file before too many", bytes(1, 39, 638), FILE, 40 * page, most, Err(on_file(638))),
        ("at the limit", bytes(1, 39, 637), DEVICE, 40 * page, most, Ok(40)),
        ("too many", bytes(1, 39, 638), DEVICE, 40 * page, most, Err(many(638))),
        ("far too many", bytes(1, 39, u32::MAX), DEVICE, 40 * page, most, Err(many(u32::MAX))),
        ("too many before the maximum", bytes(1, 39, 638), DEVICE, 40 * page, 1, Err(many(638))),
    ];
    for (name, bytes, backing, size, maximum, expected) in rows {
        let header = Header::read(&bytes, PageSize::KIB_4).expect(name);
        let area = header.area(backing, Bytes::new(size), PageCount::new(maximum));
        assert_eq!(area.map(|area| area.pages().get()), expected, "{name}");
        assert_eq!(area.map_or(size, |area| area.size().get()), size, "{name}");
        let model = model::pages(&model::read(&bytes, PAGE).expect(name), PAGE, backing == FILE, size, maximum);
        assert_eq!(model, expected.map_err(|reason| vec![reason.code()]), "{name}: the model");
    }
}

#[test]
fn a_clamped_area_says_so_where_the_kernel_does() {
    // The kernel compares the last page, not the number of pages, with what it can address.
    for (last_page, maximum, warns) in
        [(38, 40, false), (39, 40, false), (40, 40, false), (41, 40, true), (90, 40, true)]
    {
        let bytes = bytes(1, last_page, 0);
        let header = Header::read(&bytes, PageSize::KIB_4).expect("sound");
        let area = header.area(Backing::BlockDevice, Bytes::ZERO, PageCount::new(maximum)).expect("sound");
        let claimed = u64::from(last_page) + 1;
        let warning =
            Reason::HeaderTruncated { claimed: PageCount::new(claimed), usable: PageCount::new(claimed.min(maximum)) };
        assert_eq!(area.truncated(), warns.then_some(warning), "last page {last_page}, {maximum} pages at most");
    }
}

#[test]
fn the_signature_is_not_a_list_of_bad_pages() {
    // In this machine's byte order the count is not bounded before the area is judged.
    for count in [637, 638, 640, u32::MAX] {
        let bytes = bytes(1, 39, count);
        let header = Header::read(&bytes, PageSize::KIB_4).expect("sound");
        assert_eq!(header.bad_pages().count(), 637, "{count} claimed");
        assert!(header.bad_pages().all(|bad| bad == PageIndex::ZERO), "{count} claimed: all that stands there is zero");
    }
}

#[test]
fn an_area_without_a_header_is_every_whole_page() {
    let none = |found| Reason::NoUsablePage { found: PageCount::new(found) };
    for (page, _) in LIMITS {
        let page_size = PageSize::new(page).expect("a page size");
        let rows = [
            (0, Err(none(0))),
            (page - 1, Err(none(0))),
            (2 * page - 1, Err(none(1))),
            (2 * page, Ok(2)),
            (3 * page - 1, Ok(2)),
            (page << 32, Ok(0xffff_ffff)),
            (u64::MAX, Ok(0xffff_ffff)),
        ];
        for (size, expected) in rows {
            let area = Area::without_header(Bytes::new(size), page_size);
            assert_eq!(area.map(|area| area.pages().get()), expected, "{size} in pages of {page_size}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let one = [PageIndex::new(1)];
    let plenty = vec![PageIndex::new(1); 638];
    let outside = |bad, last| Reason::BadPageOutside { bad: PageIndex::new(bad), last: PageIndex::new(last) };
    let none = |found| Reason::NoUsablePage { found: PageCount::new(found) };
    let needed = |got| Reason::ShortBuffer { got: Bytes::new(got), needed: Bytes::new(4096) };
    type Row<'a> = (&'a str, usize, u64, &'a [PageIndex], Option<Reason>);
    let (zero, last, past) = ([PageIndex::ZERO], [PageIndex::new(9)], [PageIndex::new(1), PageIndex::new(10)]);
    let rows: [Row<'_>; 14] = [
        ("two pages", PAGE, 2, &[], None),
        ("no buffer", 0, 2, &[], Some(needed(0))),
        ("a byte too few", PAGE - 1, 2, &[], Some(needed(4095))),
        ("buffer before pages", PAGE - 1, 0, &[], Some(needed(4095))),
        ("no pages", PAGE, 0, &[], Some(none(0))),
        ("one page", PAGE, 1, &[], Some(none(1))),
        ("the most that 32 bits say", PAGE, 1 << 32, &[], None),
        ("a bad page", PAGE, 2, &one, None),
        ("the last page bad", PAGE, 10, &last, None),
        ("the header bad", PAGE, 10, &zero, Some(outside(0, 9))),
        ("past the last", PAGE, 10, &past, Some(outside(10, 9))),
        ("637 bad pages", PAGE, 10, &plenty[..637], None),
        ("638 bad pages", PAGE, 10, &plenty, Some(Reason::BadPagesTooMany { count: 638, limit: 637 })),
        ("638 bad pages, wrong ones", PAGE, 1, &plenty, Some(none(1))),
    ];
    for (name, length, pages, bad_pages, expected) in rows {
        let mut page = vec![0xee; length];
        let new = new_header(PageSize::KIB_4, pages, bad_pages);
        assert_eq!(new.write(&mut page).err(), expected, "{name}");
        let untouched = if expected.is_none() { 1024 } else { length };
        assert!(page[..untouched].iter().all(|byte| *byte == 0xee), "{name}: left as it was");
    }
}

#[test]
fn the_largest_area_is_the_limit_that_is_told() {
    let mut page = vec![0; PAGE];
    let refused = new_header(PageSize::KIB_4, u64::MAX, &[]).write(&mut page);
    let Err(Reason::AreaTooLarge { pages, limit }) = refused else { panic!("{refused:?}") };
    assert_eq!(pages.get(), u64::MAX);
    assert_eq!(new_header(PageSize::KIB_4, limit.get(), &[]).write(&mut page), Ok(()));
    let above = PageCount::new(limit.get() + 1);
    let refused = new_header(PageSize::KIB_4, above.get(), &[]).write(&mut page);
    assert_eq!(refused, Err(Reason::AreaTooLarge { pages: above, limit }));
}

#[test]
fn labels_are_sixteen_bytes_without_a_zero() {
    let rows = [
        ("", true),
        ("swap", true),
        ("0123456789abcdef", true),
        ("0123456789abcdefg", false),
        ("a\0", false),
        ("ääääääää", true),
        ("äääääääää", false),
    ];
    for (text, fits) in rows {
        assert_eq!(Label::new(text).is_some(), fits, "{text:?}");
    }
    assert_eq!(Label::new(""), Some(Label::NONE));
}

fn new_header(page_size: PageSize, pages: u64, bad_pages: &[PageIndex]) -> NewHeader<'_> {
    let (endian, pages) = (Endian::NATIVE, PageCount::new(pages));
    NewHeader { page_size, endian, pages, uuid: [0; 16], label: Label::NONE, bad_pages }
}

#[test]
fn every_prefix_of_a_header_is_judged_without_a_panic() {
    let mut start = vec![0; 70_000];
    for (page, _) in LIMITS {
        let page = usize::try_from(page).expect("small");
        put(&mut start, page - 10, *b"SWAPSPACE2");
        put(&mut start, 1024, 1u32.to_le_bytes());
        put(&mut start, 1028, 39u32.to_le_bytes());
        let lengths = (0..=70_000).step_by(97).chain([4095, 4096, 8191, 8192, 16384, 32768, 65535, 65536, 70_000]);
        for length in lengths {
            for size in PageSize::ALL {
                let bytes = usize::try_from(size.bytes().get()).expect("small");
                let got = Header::read(&start[..length], size).map(|header| header.last_page().get());
                let expected = model::read(&start[..length], bytes).map(|read| u64::from(read.last_page));
                assert_eq!(got.map_err(|reason| vec![reason.code()]), expected, "{length} bytes, pages of {size}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        (which, big) in (0..5usize, any::<bool>()),
        pages in prop_oneof![2..100u64, Just(1 << 32), 2..1u64 << 32],
        uuid in any::<[u8; 16]>(),
        label in "[a-zA-Z0-9 _.-]{0,16}",
        bad in prop::collection::vec(any::<u32>(), 0..40),
        full in any::<bool>(),
        boot in any::<u8>(),
    ) {
        let (page, limit) = LIMITS[which];
        let page_size = PageSize::new(page).expect("a page size");
        let mut bad: Vec<_> = bad.into_iter().map(|bad| PageIndex::new(1 + u64::from(bad) % (pages - 1))).collect();
        if full {
            bad.resize(usize::try_from(limit).expect("small"), PageIndex::new(pages - 1));
        }
        let endian = if big { Endian::Big } else { Endian::Little };
        let text = Label::new(&label).expect("at most 16 bytes");
        let new = NewHeader { page_size, endian, pages: PageCount::new(pages), uuid, label: text, bad_pages: &bad };
        let mut bytes = vec![boot; usize::try_from(page).expect("small") + 7];
        new.write(&mut bytes).expect("sound");

        let header = Header::read(&bytes, page_size).expect("just written");
        prop_assert_eq!(header.endian(), endian);
        prop_assert_eq!(header.last_page().get(), pages - 1);
        prop_assert_eq!(header.uuid(), uuid);
        prop_assert_eq!(&header.label()[..label.len()], label.as_bytes());
        prop_assert!(header.label()[label.len()..].iter().all(|byte| *byte == 0));
        prop_assert!(header.bad_pages().eq(bad.iter().copied()));
        prop_assert!(bytes[..1024].iter().chain(bytes.last_chunk::<7>().expect("more")).all(|byte| *byte == boot));

        // The other byte order differs in the fields' order only, and both are read by the model.
        let read = model::read(&bytes, usize::try_from(page).expect("small")).expect("just written");
        prop_assert_eq!(read.big_endian, big);
        prop_assert_eq!(u64::from(read.last_page), pages - 1);
        prop_assert!(read.bad_pages.iter().map(|bad| u64::from(*bad)).eq(bad.iter().map(|bad| bad.get())));
    }

    #[test]
    fn any_fields_are_judged_as_the_model_does(
        which in 0..5usize,
        version in prop_oneof![Just(1u32), Just(1 << 24), any::<u32>()],
        last_page in prop_oneof![0..50u32, any::<u32>()],
        bad in prop_oneof![Just(0u32), 0..700u32, any::<u32>(), Just(637u32.swap_bytes())],
        size in prop_oneof![Just(0u64), 0..1u64 << 20, any::<u64>()],
        maximum in prop_oneof![Just(u64::MAX), 0..60u64],
        regular in any::<bool>(),
    ) {
        let page = usize::try_from(LIMITS[which].0).expect("small");
        let mut start = vec![0; page];
        put(&mut start, 1024, version.to_ne_bytes());
        put(&mut start, 1028, last_page.to_ne_bytes());
        put(&mut start, 1032, bad.to_ne_bytes());
        put(&mut start, page - 10, *b"SWAPSPACE2");
        let backing = if regular { Backing::RegularFile } else { Backing::BlockDevice };
        let got = Header::read(&start, PageSize::ALL[which])
            .and_then(|header| header.area(backing, Bytes::new(size), PageCount::new(maximum)))
            .map(|area| area.pages().get())
            .map_err(|reason| vec![reason.code()]);
        let expected = model::read(&start, page).and_then(|read| model::pages(&read, page, regular, size, maximum));
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn mkswap_writes_the_same_bytes() {
    let Some(mkswap) =
        ["/sbin/mkswap", "/usr/sbin/mkswap"].into_iter().find(|path| std::path::Path::new(path).exists())
    else {
        println!("no mkswap here: not compared");
        return;
    };
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let uuid_bytes = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
    for (page, _) in LIMITS {
        for (order, endian) in [("little", Endian::Little), ("big", Endian::Big)] {
            let pages = 40 + page / 4096;
            let file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.as_file().set_len(pages * page + 5).expect("room in the temporary folder");
            let mut command = Command::new(mkswap);
            command.args(["-U", uuid, "-L", "label", "-p", &page.to_string()]);
            if endian != Endian::NATIVE {
                // Since util-linux 2.39; before, it writes this machine's order only.
                command.args(["-e", order]);
            }
            let output = command.arg(file.path()).output().expect("mkswap runs");
            if !output.status.success() {
                println!("this mkswap cannot do {page} {order}: {}", String::from_utf8_lossy(&output.stderr));
                continue;
            }
            let theirs = std::fs::read(file.path()).expect("a readable file");
            let page_size = PageSize::new(page).expect("a page size");
            let label = Label::new("label").expect("short");
            let pages = PageCount::new(pages);
            let mut ours = vec![0; usize::try_from(page).expect("small")];
            let new = NewHeader { page_size, endian, pages, uuid: uuid_bytes, label, bad_pages: &[] };
            new.write(&mut ours).expect("sound");
            assert!(theirs[..ours.len()] == ours, "pages of {page_size}, {order}");
            println!("compared: pages of {page_size}, {order} endian");
        }
    }
}
