//! The reasons that the core makes, each from the smallest input that makes it.

use super::Row;
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::reason::Fault;
use swap_dio::reason::HibernationMark;
use swap_dio::reason::{Answer, Errno};
use swap_dio::{
    Activation, Area, Backing, BlockSize, ByteRange, Bytes, DeviceId, ExtentFlags, ExtentState, FileExtent, Header,
    PageCount, PageIndex, PageSize, Profile, Reason, Sectors, Slot, Tally, Verdict,
};

const PAGE: u64 = 4096;
const IOMAP: Profile = Profile::Iomap { device: DeviceId::MAIN };
const BMAP: Profile = Profile::Bmap { block: BlockSize::KIB_4 };
const F2FS: Profile = Profile::F2fs { main: PageIndex::ZERO, section: Bytes::new(4 * PAGE) };

pub(crate) fn rows() -> Vec<Row> {
    use Reason as R;
    use Verdict::{Admit, Refuse, Retry};
    let (no, ok) = (Answer::Refuses(Errno::EINVAL), Answer::Accepts);
    let maybe = Answer::Depends(Errno::EINVAL);
    let all = range(0, 8 * PAGE);
    let (file, device) = (Backing::RegularFile, Backing::BlockDevice);
    let (kib_1, kib_8) = (BlockSize::new(1024).expect("1 KiB"), BlockSize::new(8192).expect("8 KiB"));
    let other = FileExtent { device: DeviceId::new(1), ..run(0, 4 * PAGE, 8 * PAGE) };
    let nowhere = FileExtent { physical: None, ..run(0, 0, 8 * PAGE) };
    let above = Activation::new(Profile::Bmap { block: kib_8 }, &area(8), Tally).expect_err("refused");
    let for_other = [vec![0; 1024], vec![1], vec![0; 7157], b"SWAPSPACE2".to_vec()].concat();
    let for_other = Header::read(&for_other, PageSize::KIB_4).expect_err("refused");
    let (count, page, bytes) = (PageCount::new, PageIndex::new, Bytes::new);
    let magic: &[u8] = b"SWAPSPACE2";
    vec![
        // The header.
        (
            of_header([1, 39, 0, 0], b"", file),
            R::HeaderMissing { page_size: PageSize::KIB_4 },
            "header-missing",
            Refuse,
            no,
            true,
        ),
        (of_header([1, 39, 0, 0], b"SWAP-SPACE", file), R::HeaderObsolete, "header-version", Refuse, no, true),
        (
            for_other,
            R::HeaderPageSize { found: PageSize::new(8192).expect("8 KiB"), running: PageSize::KIB_4 },
            "header-page-size",
            Refuse,
            no,
            true,
        ),
        (
            of_header([1, 39, 0, 0], b"S1SUSPEND", file),
            R::HibernationImage { mark: HibernationMark::Swsusp1 },
            "hibernation-image",
            Refuse,
            no,
            true,
        ),
        (of_header([3, 39, 0, 0], magic, file), R::HeaderVersion { found: 3 }, "header-version", Refuse, no, true),
        (of_header([1, 0, 0, 0], magic, file), R::HeaderEmpty, "header-empty", Refuse, no, true),
        (
            of_header([1, 40, 0, 0], magic, file),
            R::HeaderShort { claimed: count(41), available: count(40) },
            "header-short",
            Refuse,
            no,
            true,
        ),
        (of_header([1, 39, 1, 1], magic, file), R::BadPagesOnFile { count: 1 }, "header-bad-pages", Refuse, no, true),
        (
            of_header([1, 39, 638, 1], magic, device),
            R::BadPagesTooMany { count: 638, limit: 637 },
            "header-bad-pages",
            Refuse,
            no,
            true,
        ),
        (
            of_header([1, 39, 1, 40], magic, device),
            R::BadPageOutside { bad: page(40), last: page(39) },
            "header-bad-pages",
            Refuse,
            no,
            true,
        ),
        (
            of_header([1, 39, 1, 0], magic, device),
            R::BadPageOutside { bad: page(0), last: page(39) },
            "header-bad-pages",
            Refuse,
            no,
            true,
        ),
        (bad_pages_wrap(), R::BadPagesWrap { count: 3, pages: count(3) }, "header-bad-pages", Refuse, maybe, true),
        (
            truncated(),
            R::HeaderTruncated { claimed: count(90), usable: count(40) },
            "header-truncated",
            Admit,
            ok,
            false,
        ),
        (
            written(u64::MAX, &[], 4096),
            R::AreaTooLarge { pages: count(u64::MAX), limit: too_large_limit() },
            "area-too-large",
            Refuse,
            ok,
            false,
        ),
        (
            written(2, &[], 100),
            R::ShortBuffer { got: bytes(100), needed: bytes(4096) },
            "short-buffer",
            Refuse,
            ok,
            false,
        ),
        // The claims.
        (
            above,
            R::BlockSizeAbovePageSize { block: bytes(8192), page: PageSize::KIB_4, refused: Some(true) },
            "block-size-above-page-size",
            Refuse,
            no,
            true,
        ),
        (against(IOMAP, &[run(5, 0, 0)]), R::ExtentEmpty { offset: bytes(5) }, "extent-empty", Refuse, maybe, false),
        (
            against(IOMAP, &[run(u64::MAX, 0, 9)]),
            R::ExtentOverflow { range: range(u64::MAX, 9) },
            "extent-overflow",
            Refuse,
            maybe,
            false,
        ),
        (
            against(IOMAP, &[run(0, 0, PAGE), run(9, 0, PAGE)]),
            R::ExtentOrder { offset: bytes(9), expected: bytes(PAGE) },
            "extent-order",
            Refuse,
            maybe,
            false,
        ),
        (
            against(BMAP, &[run(0, 5 * PAGE + 512, 8 * PAGE)]),
            R::ExtentUnaligned { range: all, block: BlockSize::KIB_4 },
            "misaligned",
            Refuse,
            maybe,
            false,
        ),
        (
            against(IOMAP, &[run(0, 60 * PAGE, 8 * PAGE)]),
            R::OutsideDevice { range: all, end: bytes(68 * PAGE), device: bytes(64 * PAGE) },
            "extent-outside-device",
            Refuse,
            maybe,
            false,
        ),
        (
            against(IOMAP, &[run(PAGE, 0, PAGE)]),
            R::Extent { fault: Fault::Hole, range: range(0, PAGE) },
            "hole",
            Refuse,
            no,
            true,
        ),
        (
            against(IOMAP, &[run(0, PAGE, PAGE)]),
            R::Extent { fault: Fault::Hole, range: range(PAGE, 7 * PAGE) },
            "hole",
            Refuse,
            no,
            true,
        ),
        (
            in_state(BMAP, ExtentState::Delayed),
            R::Extent { fault: Fault::Delayed, range: all },
            "delayed-allocation",
            Retry,
            no,
            true,
        ),
        (
            in_state(IOMAP, ExtentState::Inline),
            R::Extent { fault: Fault::Inline, range: all },
            "inline",
            Refuse,
            no,
            true,
        ),
        (
            in_state(Profile::File, ExtentState::Unwritten),
            R::Extent { fault: Fault::Unwritten, range: all },
            "unwritten",
            Refuse,
            ok,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::UNCOMMITTED),
            R::Extent { fault: Fault::Uncommitted, range: all },
            "uncommitted",
            Retry,
            no,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::SHARED),
            R::Extent { fault: Fault::Shared, range: all },
            "shared",
            Refuse,
            no,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::COMPRESSED),
            R::Extent { fault: Fault::Compressed, range: all },
            "compressed",
            Refuse,
            no,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::ENCRYPTED),
            R::Extent { fault: Fault::Encrypted, range: all },
            "encrypted",
            Refuse,
            maybe,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::NOT_SINGLE),
            R::Extent { fault: Fault::NotSingle, range: all },
            "profile-not-single",
            Refuse,
            no,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::GROUP_READ_ONLY),
            R::Extent { fault: Fault::GroupReadOnly, range: all },
            "busy",
            Retry,
            no,
            true,
        ),
        (
            flagged(IOMAP, ExtentFlags::SEQUENTIAL_ZONE),
            R::Extent { fault: Fault::SequentialZone, range: all },
            "sequential-zone",
            Refuse,
            no,
            true,
        ),
        (
            against(Profile::File, &[run(0, PAGE + 512, 8 * PAGE)]),
            R::Misplaced { range: all, page: PageSize::KIB_4 },
            "misaligned",
            Refuse,
            ok,
            true,
        ),
        (
            Activation::block_device(&area(8), Tally).expect_err("the area of a file"),
            R::OtherBacking,
            "other-backing",
            Refuse,
            ok,
            false,
        ),
        (
            flagged(IOMAP, ExtentFlags::NOT_ALIGNED),
            R::Extent { fault: Fault::PartialBlock, range: all },
            "misaligned",
            Refuse,
            maybe,
            false,
        ),
        (
            against(IOMAP, &[nowhere]),
            R::Extent { fault: Fault::Unmapped, range: all },
            "no-block-map",
            Refuse,
            maybe,
            false,
        ),
        (
            against(IOMAP, &[other]),
            R::Extent { fault: Fault::OtherDevice, range: all },
            "multi-device",
            Refuse,
            no,
            true,
        ),
        (
            against(Profile::File, &[run(0, PAGE, PAGE + 512), run(PAGE + 512, 9 * PAGE + 512, 7 * PAGE - 512)]),
            R::SplitPage { range: range(PAGE, PAGE) },
            "misaligned",
            Refuse,
            ok,
            true,
        ),
        (
            against(F2FS, &[run(0, PAGE, 8 * PAGE)]),
            R::SectionUnaligned { range: all, section: bytes(4 * PAGE) },
            "misaligned",
            Retry,
            ok,
            true,
        ),
        (against(BMAP, &[run(0, 0, 8 * PAGE)]), R::Extent { fault: Fault::Hole, range: all }, "hole", Refuse, no, true),
        (
            Area::without_header(bytes(PAGE), PageSize::KIB_4).expect_err("one page"),
            R::NoUsablePage { found: count(1) },
            "no-usable-page",
            Refuse,
            no,
            true,
        ),
        (
            Activation::network(&area(8), Sectors::new(63), Tally).expect_err("a hole"),
            R::Underallocated { allocated: bytes(63 * 512), size: bytes(8 * PAGE) },
            "hole",
            Refuse,
            no,
            true,
        ),
        // The map.
        (too_small(), R::MapFull { capacity: 0 }, "map-full", Refuse, ok, false),
        (overlap(), R::DeviceOverlap { first: page(2), second: page(4) }, "extent-overlap", Refuse, maybe, false),
        (
            map(IOMAP, PAGE).run(page(8)).expect_err("past the end"),
            R::OutsideArea { page: page(8), pages: count(8) },
            "outside-area",
            Refuse,
            ok,
            false,
        ),
        (
            map(Profile::File, PAGE).device_block(0, kib_1).expect_err("no device"),
            R::NotIdentity,
            "not-identity",
            Refuse,
            ok,
            false,
        ),
        (
            map(IOMAP, PAGE).device_block(0, kib_8).expect_err("half a block"),
            R::BlockUnaligned { at: bytes(PAGE), block: kib_8 },
            "misaligned",
            Refuse,
            ok,
            false,
        ),
        (map(IOMAP, 0).device_block(0, kib_1).expect_err("block 0"), R::BlockZero, "no-block-map", Refuse, no, false),
    ]
}

/// Three entries for two pages that there are to lose.
fn bad_pages_wrap() -> Reason {
    let mut start = vec![0; 4096];
    let (page_size, label, bad_pages) = (PageSize::KIB_4, Label::NONE, &[PageIndex::new(1); 3]);
    let new =
        NewHeader { page_size, endian: Endian::NATIVE, pages: PageCount::new(3), uuid: [0; 16], label, bad_pages };
    new.write(&mut start).expect("sound");
    let header = Header::read(&start, PageSize::KIB_4).expect("sound");
    let area = header.area(Backing::BlockDevice, Bytes::new(3 * PAGE), MAXIMUM_PAGES).expect("sound");
    Activation::block_device(&area, Tally).expect_err("more than there are")
}

/// The limit that is told; `header.rs` tests that it is the limit.
fn too_large_limit() -> PageCount {
    match written(u64::MAX, &[], 4096) {
        Reason::AreaTooLarge { limit, .. } => limit,
        other => panic!("{other:?}"),
    }
}

fn range(offset: u64, length: u64) -> ByteRange {
    ByteRange::new(Bytes::new(offset), Bytes::new(length))
}

fn run(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent::written(Bytes::new(logical), Bytes::new(physical), Bytes::new(length))
}

fn area(pages: u64) -> Area {
    Area::without_header(Bytes::new(pages * PAGE), PageSize::KIB_4).expect("two pages at least")
}

/// The first reason against claims of a file of eight pages, on a device of 64.
fn against(profile: Profile, claims: &[FileExtent]) -> Reason {
    let mut activation =
        Activation::new(profile, &area(8), Tally).expect("small blocks").on_device_of(Bytes::new(64 * PAGE));
    let pushed = claims.iter().try_for_each(|claim| activation.push(claim));
    pushed.and_then(|()| activation.finish()).expect_err("refused")
}

fn flagged(profile: Profile, flags: ExtentFlags) -> Reason {
    against(profile, &[FileExtent { flags, ..run(0, 4 * PAGE, 8 * PAGE) }])
}

fn in_state(profile: Profile, state: ExtentState) -> Reason {
    against(profile, &[FileExtent { state, ..run(0, 4 * PAGE, 8 * PAGE) }])
}

/// A header with the fields set by hand, judged against a file of forty pages or a device of forty.
fn of_header(fields: [u32; 4], magic: &[u8], backing: Backing) -> Reason {
    let mut start = vec![0; 4096];
    for (place, field) in start[1024..].chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    // The fourth is the first bad page.
    start.copy_within(1036..1040, 1536);
    start[4086..4086 + magic.len()].copy_from_slice(magic);
    let judge = || {
        let header = Header::read(&start, PageSize::KIB_4)?;
        let area = header.area(backing, Bytes::new(40 * PAGE), MAXIMUM_PAGES)?;
        Activation::block_device(&area, Tally)
    };
    judge().expect_err("refused")
}

fn written(pages: u64, bad_pages: &[PageIndex], length: usize) -> Reason {
    let (page_size, label, pages) = (PageSize::KIB_4, Label::NONE, PageCount::new(pages));
    let new = NewHeader { page_size, endian: Endian::NATIVE, pages, uuid: [0; 16], label, bad_pages };
    new.write(&mut vec![0; length]).expect_err("refused")
}

fn truncated() -> Reason {
    let mut start = vec![0; 4096];
    let (page_size, label, pages) = (PageSize::KIB_4, Label::NONE, PageCount::new(90));
    let new = NewHeader { page_size, endian: Endian::NATIVE, pages, uuid: [0; 16], label, bad_pages: &[] };
    new.write(&mut start).expect("sound");
    let header = Header::read(&start, PageSize::KIB_4).expect("sound");
    let area = header.area(Backing::BlockDevice, Bytes::ZERO, PageCount::new(40)).expect("sound");
    area.truncated().expect("cut")
}

fn map(profile: Profile, physical: u64) -> swap_dio::map::OwnedMap {
    let mut activation = Activation::new(profile, &area(8), Vec::new()).expect("small blocks");
    activation.push(&run(0, physical, 8 * PAGE)).expect("sound");
    activation.finish().expect("sound")
}

fn overlap() -> Reason {
    let mut activation = Activation::new(IOMAP, &area(8), Vec::new()).expect("no blocks to compare");
    activation.push(&run(0, 4 * PAGE, 4 * PAGE)).expect("sound");
    activation.push(&run(4 * PAGE, 6 * PAGE, 4 * PAGE)).expect("sound by itself");
    activation.finish().expect("the kernel takes it").check_disjoint(&mut [None; 2]).expect_err("they collide")
}

fn too_small() -> Reason {
    Activation::network(&area(8), Sectors::new(64), &mut [] as &mut [Slot]).expect_err("no room")
}
