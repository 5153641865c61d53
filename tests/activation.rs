//! Streaming activation against the naive models: every profile, every way to feed it, every page of the result.
//!
//! `naive::agree::check` holds the laws that need no other input: same verdict and first reason, same totals, same
//! target for every page, `push` and `push_all`, every kind of memory, `restart`. Here are the generators and the
//! laws that compare two activations.

#![cfg(feature = "alloc")]

mod naive;

use naive::script::{Script, Step};
use naive::{Claim, File, Rules, State, agree, plain};
use proptest::prelude::*;
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::reason::Fault;
use swap_dio::{
    Activation, Area, Backing, BlockSize, ByteRange, Bytes, DeviceId, ExtentFlags, FileExtent, Header, PageCount,
    PageIndex, PageSize, Profile, Reason, Sectors, Slot, Tally,
};

const IOMAP: u8 = 0;
const BMAP: u8 = 1;
const BTRFS: u8 = 2;
const F2FS: u8 = 3;
const FILE: u8 = 4;

fn step() -> impl Strategy<Value = Step> {
    any::<(u8, u8, u8, u8, u8, u16)>().prop_map(|(place, length, state, flags, trouble, number)| Step {
        place,
        length,
        state,
        flags,
        trouble,
        number,
    })
}

/// Sound files mostly; otherwise one kind of trouble, or all of them.
fn files(rules: impl Strategy<Value = u8>) -> impl Strategy<Value = File> {
    let tame = prop_oneof![Just(0xff), Just(0xff), Just(0xf7), Just(0xfb), Just(0xfd), Just(0xfe), any::<u8>()];
    let numbers = any::<(u8, u8, u8, u8, u16, u8)>();
    (rules, numbers, tame, prop::collection::vec(step(), 0..14)).prop_map(|(rules, numbers, tame, steps)| {
        let (page, block, pages, header, tail, device_size) = numbers;
        Script { page, rules, block, pages, header, tail, tame, device_size, steps }.file()
    })
}

fn cases(least: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(least), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn iomap_agrees_with_its_model(file in files(Just(IOMAP))) {
        agree::check(&file);
    }

    #[test]
    fn bmap_agrees_with_its_model(file in files(Just(BMAP))) {
        agree::check(&file);
    }

    #[test]
    fn btrfs_agrees_with_its_model(file in files(Just(BTRFS))) {
        agree::check(&file);
    }

    #[test]
    fn f2fs_agrees_with_its_model(file in files(Just(F2FS))) {
        agree::check(&file);
    }

    #[test]
    fn file_agrees_with_its_model(file in files(Just(FILE))) {
        agree::check(&file);
    }

    #[test]
    fn a_claim_in_two_parts_is_the_same_claim(
        file in files(prop_oneof![Just(IOMAP), Just(BMAP), Just(BTRFS), Just(FILE)]),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        same_in_two_parts(&file, which, at);
    }

    #[test]
    fn an_f2fs_claim_in_two_parts_is_the_same_claim(
        file in files(Just(F2FS)),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        same_in_two_parts(&file, which, at);
    }

    #[test]
    fn the_file_model_admits_nothing_that_iomap_refuses(mut file in files(Just(FILE))) {
        let device = file.claims.first().map_or(0, |claim| claim.device);
        let by_file = agree::tally(&file);
        file.rules = Rules::Iomap { device };
        if by_file.is_ok() && file.claims.iter().all(|claim| claim.physical.is_some()) {
            match agree::tally(&file) {
                // Swap pages of the file model need not be whole pages of the device.
                Ok(_) | Err(Reason::NoUsablePage { .. }) => (),
                Err(reason) => panic!("{reason:?}: {file:?}"),
            }
        }
    }

    #[test]
    fn claims_past_the_end_change_nothing(file in files(0..5u8), lengths in prop::collection::vec(1..1u64 << 40, 1..4)) {
        let mut at = file.claims.last().map_or(0, |claim| claim.logical.saturating_add(claim.length)).max(file.size);
        if file.layout().broken.is_some() || at > 1 << 60 {
            return Ok(());
        }
        let mut longer = file.clone();
        for length in lengths {
            let physical = (file.device_size.is_none()).then_some(at);
            longer.claims.push(Claim { logical: at, physical, length, state: State::Delayed, flags: 0xff, device: 9 });
            at += 2 * length;
        }
        prop_assert_eq!(agree::tally(&longer), agree::tally(&file));
    }

    #[test]
    fn network_agrees_with_its_model(max in 2..50u64, spare in 0..9u64, tail in 0..4096u64, sectors in 0..500u64) {
        let size = (max + spare) * 4096 + tail;
        let file = File { rules: Rules::File, page: 4096, max, size, device_size: None, claims: Vec::new() };
        for sectors in [sectors, size / 512, size.div_ceil(512), u64::MAX] {
            let got = Activation::network(&agree::area(&file), Sectors::new(sectors), Vec::new());
            agree::same_totals(&plain::network(4096, max, size, sectors), &got);
        }
    }

    #[test]
    fn a_block_device_agrees_with_its_model(
        page in prop_oneof![Just(4096u64), Just(65536)],
        claimed in 2..40u64,
        maximum in 2..60u64,
        bad in prop::collection::vec(0..45u32, 0..45),
        ill in any::<bool>(),
    ) {
        let last = u32::try_from(claimed - 1).expect("small");
        // `NewHeader` writes no bad list that is ill: those are put in by hand.
        let bad: Vec<u32> = bad.into_iter().map(|bad| if ill { bad } else { 1 + bad % last }).collect();
        let mut bytes = header(page, claimed);
        bytes[1032..1036].copy_from_slice(&u32::try_from(bad.len()).expect("small").to_ne_bytes());
        for (place, bad) in bytes[1536..].chunks_exact_mut(4).zip(&bad) {
            place.copy_from_slice(&bad.to_ne_bytes());
        }
        let header = Header::read(&bytes, agree::page_size(page)).expect("sound");
        let area = header.area(Backing::BlockDevice, Bytes::new(claimed * page), PageCount::new(maximum));
        let area = area.expect("sound");
        let bad: Vec<u64> = bad.into_iter().map(u64::from).collect();
        let expected = plain::block_device(page, claimed.min(maximum), claimed - 1, &bad);
        agree::same_totals(&expected, &Activation::block_device(&area, Vec::new()));
    }
}

/// Cuts one sound claim in two, at a block of the filesystem.
fn same_in_two_parts(file: &File, which: prop::sample::Index, at: prop::sample::Index) {
    let block = match file.rules {
        Rules::Bmap { block } | Rules::Btrfs { sector: block } => block,
        Rules::F2fs { .. } => file.page,
        Rules::Iomap { .. } | Rules::File => 512,
    };
    if file.claims.is_empty() || file.layout().broken.is_some() {
        return;
    }
    let index = which.index(file.claims.len());
    let claim = file.claims[index];
    // Where no address is known, only a claim that covers a page says that the page is in one piece.
    let step = if claim.physical.is_some() { block } else { file.page };
    let numbers = [claim.logical, claim.length, claim.physical.unwrap_or(0)];
    let blocks = usize::try_from((claim.length / step).min(1 << 20)).expect("small");
    if blocks < 2 || numbers.iter().any(|number| number % step != 0) {
        return;
    }
    let cut = step * (1 + u64::try_from(at.index(blocks - 1)).expect("small"));
    let mut parts = file.clone();
    parts.claims[index].length = cut;
    let physical = claim.physical.map(|physical| physical + cut);
    let second = Claim { logical: claim.logical + cut, physical, length: claim.length - cut, ..claim };
    parts.claims.insert(index + 1, second);
    match (agree::first_refusal(file), agree::first_refusal(&parts)) {
        (Ok(whole), Ok(parts)) => {
            assert_eq!(whole.totals(), parts.totals(), "{file:?} cut at {cut} of claim {index}");
            assert_eq!(whole.is_identity(), parts.is_identity(), "{file:?} cut at {cut} of claim {index}");
            assert!(whole.extents().eq(parts.extents()), "{file:?} cut at {cut} of claim {index}");
        }
        (Err(whole), Err(parts)) => {
            assert_eq!(whole.code(), parts.code(), "{file:?} cut at {cut} of claim {index}");
        }
        (whole, parts) => panic!("{whole:?} in one, {parts:?} in two: {file:?} cut at {cut} of claim {index}"),
    }
}

fn header(page: u64, pages: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(page).expect("small")];
    let header = NewHeader {
        page_size: agree::page_size(page),
        endian: Endian::NATIVE,
        pages: PageCount::new(pages),
        uuid: [0; 16],
        label: Label::NONE,
        bad_pages: &[],
    };
    header.write(&mut bytes).expect("two pages at least");
    bytes
}

const PAGE: u64 = 4096;

fn area(pages: u64) -> Area {
    Area::without_header(Bytes::new(pages * PAGE), PageSize::KIB_4).expect("two pages at least")
}

fn run(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent::written(Bytes::new(logical), Bytes::new(physical), Bytes::new(length))
}

fn range(offset: u64, length: u64) -> ByteRange {
    ByteRange::new(Bytes::new(offset), Bytes::new(length))
}

fn profiles() -> [Profile; 5] {
    [
        Profile::Iomap { device: DeviceId::MAIN },
        Profile::Bmap { block: BlockSize::KIB_4 },
        Profile::Btrfs { sector: BlockSize::KIB_4 },
        Profile::F2fs { main: PageIndex::ZERO, section: Bytes::new(PAGE) },
        Profile::File,
    ]
}

#[test]
fn ill_formed_claims_are_refused_by_every_profile() {
    let max = u64::MAX;
    let overflow = |offset, length| Reason::ExtentOverflow { range: range(offset, length) };
    let order = |offset, expected| Reason::ExtentOrder { offset: Bytes::new(offset), expected: Bytes::new(expected) };
    let outside = |offset, length, end| Reason::OutsideDevice {
        range: range(offset, length),
        end: Bytes::new(end),
        device: Bytes::new(64 * PAGE),
    };
    let rows: &[(&str, &[FileExtent], Option<Reason>)] = &[
        ("four sound pages", &[run(0, PAGE, 4 * PAGE)], None),
        ("up to the device's last byte", &[run(0, 60 * PAGE, 4 * PAGE)], None),
        ("one byte past the device", &[run(0, 60 * PAGE + 1, 4 * PAGE)], Some(outside(0, 4 * PAGE, 64 * PAGE + 1))),
        ("no length", &[run(0, PAGE, 0)], Some(Reason::ExtentEmpty { offset: Bytes::ZERO })),
        ("no length at the end of all", &[run(max, max, 0)], Some(Reason::ExtentEmpty { offset: Bytes::new(max) })),
        ("logical end of 2^64", &[run(PAGE, 0, max - PAGE + 1)], Some(overflow(PAGE, max - PAGE + 1))),
        ("logical end past 2^64", &[run(max, 0, 2)], Some(overflow(max, 2))),
        ("longest length", &[run(1, 1, max)], Some(overflow(1, max))),
        ("physical end of 2^64", &[run(0, max - PAGE + 1, PAGE)], Some(overflow(0, PAGE))),
        ("physical end past 2^64", &[run(0, max, PAGE)], Some(overflow(0, PAGE))),
        ("empty before overflow", &[run(max, max, 0)], Some(Reason::ExtentEmpty { offset: Bytes::new(max) })),
        ("overflow before device", &[run(0, max - 1, 4 * PAGE)], Some(overflow(0, 4 * PAGE))),
        ("device before order", &[run(0, PAGE, PAGE), run(0, 64 * PAGE, 1)], Some(outside(0, 1, 64 * PAGE + 1))),
        ("adjacent", &[run(0, PAGE, PAGE), run(PAGE, 2 * PAGE, 3 * PAGE)], None),
        ("one byte back", &[run(0, PAGE, PAGE), run(PAGE - 1, PAGE, PAGE)], Some(order(PAGE - 1, PAGE))),
        ("twice the same", &[run(0, PAGE, PAGE), run(0, PAGE, PAGE)], Some(order(0, PAGE))),
        ("inside the one before", &[run(0, PAGE, 3 * PAGE), run(PAGE, 9 * PAGE, PAGE)], Some(order(PAGE, 3 * PAGE))),
        ("backwards past the end", &[run(0, PAGE, 9 * PAGE), run(5 * PAGE, PAGE, 1)], Some(order(5 * PAGE, 9 * PAGE))),
        (
            "empty past the end",
            &[run(0, PAGE, 4 * PAGE), run(9 * PAGE, 0, 0)],
            Some(Reason::ExtentEmpty { offset: Bytes::new(9 * PAGE) }),
        ),
        ("shape before the hole", &[run(PAGE, 0, 0)], Some(Reason::ExtentEmpty { offset: Bytes::new(PAGE) })),
    ];
    for profile in profiles() {
        for (name, claims, expected) in rows {
            let device = Bytes::new(64 * PAGE);
            let mut activation = Activation::new(profile, &area(4), Tally).expect("no block above a page");
            activation = activation.on_device_of(device);
            let pushed = claims.iter().try_for_each(|claim| activation.push(claim));
            assert_eq!(pushed.err(), *expected, "{name}, {profile:?}");
            let finished = activation.finish();
            assert_eq!(finished.err(), *expected, "{name}, {profile:?}: the end");
            if let Some(reason) = expected {
                assert!(reason.code().starts_with("extent-"), "{name}");
            }
        }
    }
}

#[test]
fn nothing_that_follows_a_refusal_makes_a_map() {
    for profile in profiles() {
        let mut activation = Activation::new(profile, &area(4), Vec::new()).expect("no block above a page");
        let hole = activation.push(&run(PAGE, 2 * PAGE, PAGE)).expect_err("a hole before it");
        assert_eq!(hole, Reason::Extent { fault: Fault::Hole, range: range(0, PAGE) }, "{profile:?}");
        assert_eq!(activation.push(&run(2 * PAGE, 3 * PAGE, 2 * PAGE)), Err(hole), "{profile:?}: said again");
        assert_eq!(activation.finish().map(|map| map.totals()), Err(hole), "{profile:?}");
    }
}

#[test]
fn every_reason_is_reported_in_order() {
    let on = |device, flags, claim| FileExtent { device: DeviceId::new(device), flags, ..claim };
    let claims = [
        // Refused, so it does not name the device; the next does.
        on(1, ExtentFlags::SHARED | ExtentFlags::COMPRESSED, run(0, PAGE, PAGE)),
        on(2, ExtentFlags::empty(), run(PAGE, 2 * PAGE, PAGE)),
        on(3, ExtentFlags::GROUP_READ_ONLY | ExtentFlags::SHARED, run(3 * PAGE, 4 * PAGE, PAGE)),
        run(3 * PAGE, 4 * PAGE, 0),
        on(2, ExtentFlags::empty(), run(4 * PAGE, 5 * PAGE, PAGE)),
    ];
    let mut said = Vec::new();
    let sector = BlockSize::KIB_4;
    let mut activation = Activation::new(Profile::Btrfs { sector }, &area(6), Tally).expect("small blocks");
    for claim in &claims {
        activation.push_all(claim, |reason| said.push(reason));
    }
    let first = activation.finish_all(|reason| said.push(reason));
    let (third, hole) =
        (range(3 * PAGE, PAGE), |page| Reason::Extent { fault: Fault::Hole, range: range(page * PAGE, PAGE) });
    let expected = [
        Reason::Extent { fault: Fault::Compressed, range: range(0, PAGE) },
        Reason::Extent { fault: Fault::Shared, range: range(0, PAGE) },
        hole(2),
        Reason::Extent { fault: Fault::Shared, range: third },
        Reason::Extent { fault: Fault::OtherDevice, range: third },
        Reason::Extent { fault: Fault::GroupReadOnly, range: third },
        Reason::ExtentEmpty { offset: Bytes::new(3 * PAGE) },
        hole(5),
    ];
    assert_eq!(said, expected);
    assert_eq!(first, Err(expected[0]));
}

#[test]
fn restart_forgets_a_refusal_and_the_devices_before() {
    let foreign = FileExtent { device: DeviceId::new(7), ..run(0, PAGE, 4 * PAGE) };
    for profile in
        [Profile::Btrfs { sector: BlockSize::KIB_4 }, Profile::File, Profile::Bmap { block: BlockSize::KIB_4 }]
    {
        let mut activation = Activation::new(profile, &area(4), Vec::new()).expect("no block above a page");
        activation.push(&run(0, PAGE, PAGE)).expect("sound");
        assert!(activation.push(&foreign).is_err(), "{profile:?}: runs backwards");
        activation.restart();
        activation.push(&foreign).expect("the first claim names the device");
        assert_eq!(activation.finish().map(|map| map.totals().usable), Ok(PageCount::new(3)), "{profile:?}");
    }
}

#[test]
fn an_f2fs_file_that_ends_inside_a_section_needs_one_move() {
    let profile = Profile::F2fs { main: PageIndex::new(4), section: Bytes::new(4 * PAGE) };
    let rows: &[(&str, u64, bool)] = &[("begins with a section", 12, true), ("begins inside one", 13, false)];
    for (name, first, admitted) in rows {
        let mut activation = Activation::new(profile, &area(6), Vec::new()).expect("no blocks to compare");
        activation.push(&run(0, first * PAGE, 6 * PAGE)).expect("judged at the end");
        let reason = Reason::SectionUnaligned {
            range: ByteRange::new(Bytes::ZERO, Bytes::new(6 * PAGE)),
            section: Bytes::new(4 * PAGE),
        };
        // The kernel moves both before it takes either; what it read before is void.
        let mut all = Vec::new();
        assert!(activation.finish_all(|reason| all.push(reason)).is_err_and(|first| first == reason), "{name}");
        assert_eq!(all, [reason], "{name}");

        let mut activation = Activation::new(profile, &area(6), Vec::new()).expect("no blocks to compare");
        activation.push(&run(0, 100 * PAGE, 6 * PAGE)).expect("judged at the end");
        activation.restart();
        activation.push(&run(0, first * PAGE, 6 * PAGE)).expect("judged at the end");
        assert_eq!(activation.finish().is_ok(), *admitted, "{name}");
    }
}

#[test]
fn blocks_above_the_page_are_refused_at_once() {
    for (shift, page, fits) in
        [(9, 4096, true), (12, 4096, true), (13, 4096, false), (16, 32768, false), (16, 65536, true)]
    {
        let (block, page) = (BlockSize::new(1 << shift).expect("512 to 64 KiB"), agree::page_size(page));
        let area = Area::without_header(Bytes::new(8 << 16), page).expect("two pages at least");
        for profile in [Profile::Bmap { block }, Profile::Btrfs { sector: block }] {
            let refused = Activation::new(profile, &area, Tally).err();
            let reason = Reason::BlockSizeAbovePageSize { block: block.bytes(), page, refused: Some(true) };
            assert_eq!(refused, (!fits).then_some(reason), "{profile:?}");
        }
    }
}

#[test]
fn an_f2fs_run_is_judged_whole_however_it_is_told() {
    // Two pages are claimed; the file's one run is four pages, a whole section, told as three and one.
    let header = header(PAGE, 2);
    let header = Header::read(&header, PageSize::KIB_4).expect("sound");
    let area = header.area(Backing::RegularFile, Bytes::new(8 * PAGE), MAXIMUM_PAGES).expect("short enough");
    let profile = Profile::F2fs { main: PageIndex::ZERO, section: Bytes::new(4 * PAGE) };
    let rows: &[(&str, &[FileExtent])] = &[
        ("in one", &[run(0, 4 * PAGE, 4 * PAGE), run(4 * PAGE, 12 * PAGE, 4 * PAGE)]),
        ("in two", &[run(0, 4 * PAGE, 3 * PAGE), run(3 * PAGE, 7 * PAGE, PAGE), run(4 * PAGE, 12 * PAGE, 4 * PAGE)]),
    ];
    for (name, claims) in rows {
        let mut activation = Activation::new(profile, &area, Vec::<Slot>::new()).expect("no blocks to compare");
        let pushed = claims.iter().try_for_each(|claim| activation.push(claim));
        let map = pushed.and_then(|()| activation.finish());
        assert_eq!(map.map(|map| map.totals().usable), Ok(PageCount::new(1)), "{name}");
    }
}
