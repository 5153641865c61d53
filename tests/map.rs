//! Lookup in a map, by every way in, against a `BTreeMap` and against bytes counted one sector at a time.
//!
//! Maps come from an activation by [`Profile::Iomap`]: there is no other door.

#![cfg(feature = "alloc")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use swap_dio::map::OwnedMap;
use swap_dio::{
    Activation, Area, BlockSize, Bytes, DeviceId, FileExtent, Model, PageIndex, PageSize, Profile, Reason, Slot,
    SwapExtent, SwapMap,
};

/// Sizes around every edge of the tree: a leaf holds 15 extents, an inner node 48 children.
const EXTENTS: [usize; 35] = [
    1, 2, 4, 5, 6, 79, 80, 81, 1279, 1280, 1281, 1285, 20_479, 20_480, 20_481, 14, 15, 16, 17, 29, 30, 31, 705, 719,
    720, 721, 735, 736, 1440, 34_559, 34_560, 34_561, 34_575, 34_576, 40_000,
];

/// First swap page, target and length of every extent, in pages.
type Extents = Vec<(u64, u64, u64)>;

/// So many extents of 1 to 7 pages, no two of which touch on the device, in an order that `seed` shuffles.
fn extents(count: usize, seed: u64) -> Extents {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut places: Vec<u64> = (0..).map(|place| place * 8 + 1).take(count).collect();
    for at in (1..places.len()).rev() {
        places.swap(at, usize::try_from(random()).expect("31 bits") % (at + 1));
    }
    let mut first = 0;
    let far = if seed % 2 == 0 { 1 << 40 } else { 0 };
    places
        .into_iter()
        .map(|place| {
            let length = if count == 1 { 2 } else { 1 + random() % 7 };
            first += length;
            (first - length, far + place, length)
        })
        .collect()
}

fn build(extents: &[(u64, u64, u64)], page: PageSize) -> OwnedMap {
    let bytes = |pages: u64| Bytes::new(pages << page.shift());
    let (first, _, length) = extents.last().expect("one extent at least");
    let area = Area::without_header(bytes(first + length), page).expect("two pages at least");
    let profile = Profile::Iomap { device: DeviceId::MAIN };
    let mut activation = Activation::new(profile, &area, Vec::new()).expect("no blocks to compare");
    for (first, target, length) in extents {
        activation.push(&FileExtent::written(bytes(*first), bytes(*target), bytes(*length))).expect("sound");
    }
    activation.finish().expect("sound")
}

/// What `run` must give for a page.
fn oracle(tree: &BTreeMap<u64, (u64, u64)>, page: u64) -> Option<(u64, u64, u64)> {
    let (first, (target, length)) = tree.range(..=page).next_back()?;
    let skipped = page - first;
    (skipped < *length).then(|| (page, target + skipped, length - skipped))
}

fn tree(extents: &Extents) -> BTreeMap<u64, (u64, u64)> {
    extents.iter().map(|(first, target, length)| (*first, (*target, *length))).collect()
}

fn numbers(run: Result<SwapExtent, Reason>) -> Option<(u64, u64, u64)> {
    run.ok().map(|run| (run.first().get(), run.target().get(), run.length().get()))
}

fn pages(map: &OwnedMap) -> u64 {
    map.totals().pages.get()
}

#[test]
fn every_page_is_found_by_every_way_in() {
    for (seed, count) in (0..).zip(EXTENTS) {
        let extents = extents(count, seed);
        let (map, tree) = (build(&extents, PageSize::KIB_4), tree(&extents));
        assert_eq!(usize::try_from(map.totals().extents), Ok(count));
        let mut cursor = map.cursor();
        for page in 0..pages(&map) {
            let expected = oracle(&tree, page);
            assert!(expected.is_some(), "{count} extents, page {page}: the oracle is total");
            assert_eq!(numbers(map.run(PageIndex::new(page))), expected, "{count} extents, page {page}");
            assert_eq!(numbers(cursor.run(PageIndex::new(page))), expected, "{count} extents, page {page}: cursor");
        }
        for past in [0, 1, 15, 1 << 32, u64::MAX - pages(&map)] {
            let (page, pages) = (PageIndex::new(pages(&map) + past), map.totals().pages);
            assert_eq!(map.run(page), Err(Reason::OutsideArea { page, pages }), "{count} extents");
            assert_eq!(cursor.run(page), Err(Reason::OutsideArea { page, pages }), "{count} extents: cursor");
            assert_eq!(map.runs([page]), [Err(Reason::OutsideArea { page, pages })], "{count} extents: batch");
        }
        let told: Extents = map.extents().map(|run| numbers(Ok(run)).expect("is one")).collect();
        assert_eq!(told, extents, "{count} extents: told in order, without a gap");
    }
}

#[test]
fn a_cursor_moves_any_way() {
    for count in [1, 15, 16, 721, 40_000] {
        let map = build(&extents(count, 7), PageSize::KIB_4);
        let last = pages(&map) - 1;
        let mut cursor = map.cursor();
        for stride in [2, 3, 7, 8, 100, 4999] {
            for page in (0..=last).step_by(stride).chain((0..=last).rev().step_by(stride)) {
                let page = PageIndex::new(page);
                assert_eq!(cursor.run(page), map.run(page), "{count} extents, in steps of {stride}, at {page}");
            }
        }
        // A page that is refused leaves the cursor where it is; a copy goes its own way.
        let mut copy = cursor.clone();
        assert!(cursor.run(PageIndex::new(last + 1)).is_err());
        for page in [last, 0, last, last / 2].map(PageIndex::new) {
            assert_eq!(cursor.run(page), map.run(page), "{count} extents, {page}");
            assert_eq!(copy.run(page), map.run(page), "{count} extents, {page}: the copy");
        }
    }
}

fn batch<const N: usize>(map: &OwnedMap, seed: u64) {
    let spread = pages(map) + pages(map) / 8 + 1;
    let pages = std::array::from_fn(|at| {
        let at = u64::try_from(at).expect("small");
        PageIndex::new((seed.wrapping_add(at)).wrapping_mul(0x9e37_79b9_7f4a_7c15) % spread)
    });
    let found: [_; N] = map.runs(pages);
    assert_eq!(found, pages.map(|page| map.run(page)), "{pages:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_as_many_lookups(count in 1..1500usize, seed in any::<u64>()) {
        let map = build(&extents(count, seed), PageSize::KIB_4);
        batch::<0>(&map, seed);
        batch::<1>(&map, seed);
        batch::<2>(&map, seed);
        batch::<8>(&map, seed);
        batch::<33>(&map, seed);
        assert_eq!(map.runs([PageIndex::new(u64::MAX), PageIndex::ZERO])[1], map.run(PageIndex::ZERO));
    }

    #[test]
    fn a_cursor_finds_what_a_search_finds(
        count in 1..1500usize,
        seed in any::<u64>(),
        jumps in prop::collection::vec((any::<prop::sample::Index>(), 0..30u64), 1..50),
    ) {
        let map = build(&extents(count, seed), PageSize::KIB_4);
        let mut cursor = map.cursor();
        for (from, steps) in jumps {
            let from = u64::try_from(from.index(usize::try_from(pages(&map)).expect("small"))).expect("small");
            for page in (from..=from + steps).map(PageIndex::new) {
                prop_assert_eq!(cursor.run(page), map.run(page));
            }
        }
    }

    #[test]
    fn collisions_on_the_device_are_found(places in prop::collection::vec((0..200u64, 1..6u64), 1..12)) {
        let mut first = 0;
        let list: Extents = places
            .into_iter()
            .map(|(target, length)| {
                let length = length + 1;
                first += length;
                (first - length, target, length)
            })
            .collect();
        let map = build(&list, PageSize::KIB_4);
        let mut targets: Vec<u64> =
            (0..pages(&map)).map(|page| map.run(PageIndex::new(page)).expect("inside").target().get()).collect();
        targets.sort_unstable();
        let disjoint = targets.windows(2).all(|pair| pair[0] != pair[1]);
        let extents = usize::try_from(map.totals().extents).expect("small");
        let capacity = map.totals().extents - 1;
        let full = Err(Reason::MapFull { capacity: capacity.into() });
        prop_assert_eq!(map.check_disjoint(&mut vec![None; extents - 1]), full);
        for scratch in [extents, extents + 3] {
            let junk = map.run(PageIndex::ZERO).ok();
            match map.check_disjoint(&mut vec![junk; scratch]) {
                Ok(()) => prop_assert!(disjoint, "{:?}", list),
                Err(Reason::DeviceOverlap { first, second }) => {
                    prop_assert!(!disjoint && first != second, "{:?}", list);
                    let target = |page| map.run(page).expect("inside").target();
                    prop_assert_eq!(target(first), target(second), "{:?}", list);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_bmap_answer_is_where_the_bytes_are(
        page in prop_oneof![Just(PageSize::KIB_4), Just(PageSize::KIB_16), Just(PageSize::KIB_64)],
        places in prop::collection::vec((0..64u64, 1..20u64), 1..6),
    ) {
        let mut first = 0;
        let list: Extents = places
            .into_iter()
            .map(|(target, length)| {
                let length = length + 1;
                first += length;
                (first - length, target, length)
            })
            .collect();
        let map = build(&list, page);
        prop_assert!(map.is_identity() && map.model() == Model::Bio);
        for block in (9..=16).map(|shift| BlockSize::new(1 << shift).expect("512 to 64 KiB")) {
            let blocks = (pages(&map) << page.shift()) >> block.shift();
            for index in (0..blocks + 3).chain([u64::MAX >> 16, u64::MAX]) {
                let got = map.device_block(index, block).map_err(|reason| reason.code());
                prop_assert_eq!(got, sectors(&map, index, block), "block {} of {} in {:?}", index, block, list);
            }
        }
    }
}

/// The device block of a file block, found by looking at each of its sectors.
fn sectors(map: &OwnedMap, index: u64, block: BlockSize) -> Result<u64, &'static str> {
    let (bytes, page) = (u128::from(block.bytes().get()), u128::from(map.page_size().bytes().get()));
    let mut places = Vec::new();
    for at in (u128::from(index) * bytes..u128::from(index) * bytes + bytes).step_by(512) {
        if at / page >= u128::from(pages(map)) {
            return Err("outside-area");
        }
        let swap_page = PageIndex::new(u64::try_from(at / page).expect("inside"));
        places.push(u128::from(map.run(swap_page).expect("inside").target().get()) * page + at % page);
    }
    let in_one = places.windows(2).all(|pair| pair[1] == pair[0] + 512);
    if !in_one || places[0] % bytes != 0 {
        return Err("misaligned");
    }
    match places[0] / bytes {
        0 => Err("no-block-map"),
        number => Ok(u64::try_from(number).expect("fits")),
    }
}

#[test]
fn a_map_whose_pages_are_not_file_pages_answers_no_block() {
    let (kib, page) = (1024, 4096);
    // A file that begins one block before a page of the device loses its first page.
    let shifted = [(0, page - kib, 4 * page)];
    let aligned = [(0, page, 4 * page)];
    let rows: [(&str, Profile, _, Result<u64, Reason>); 4] = [
        ("aligned", Profile::Iomap { device: DeviceId::MAIN }, aligned, Ok(1)),
        ("shifted", Profile::Iomap { device: DeviceId::MAIN }, shifted, Err(Reason::NotIdentity)),
        ("by bmap", Profile::Bmap { block: BlockSize::new(1024).expect("1 KiB") }, shifted, Err(Reason::NotIdentity)),
        ("file model", Profile::File, aligned, Err(Reason::NotIdentity)),
    ];
    for (name, profile, claims, expected) in rows {
        let area = Area::without_header(Bytes::new(4 * page), PageSize::KIB_4).expect("four pages");
        let mut slots = [Slot::EMPTY; 1];
        let mut activation = Activation::new(profile, &area, &mut slots[..]).expect("small blocks");
        for (logical, physical, length) in claims {
            let [logical, physical, length] = [logical, physical, length].map(Bytes::new);
            activation.push(&FileExtent::written(logical, physical, length)).expect("sound");
        }
        let map: SwapMap<&[Slot]> = activation.finish().expect("sound");
        assert_eq!(map.device_block(0, BlockSize::KIB_4), expected, "{name}");
        assert_eq!(map.is_identity(), claims == aligned, "{name}");
    }
}

#[test]
fn slots_needed_are_the_nodes_of_the_tree() {
    let rows = [
        (0, 0),
        (1, 1),
        (5, 1),
        (6, 2 + 1),
        (80, 16 + 1),
        (81, 17 + 2 + 1),
        (1280, 256 + 16 + 1),
        (1281, 257 + 17 + 2 + 1),
        (20_481, 4097 + 257 + 17 + 2 + 1),
        (1_000_000, 200_000 + 12_500 + 782 + 49 + 4 + 1),
    ];
    for (extents, slots) in rows {
        assert_eq!(Slot::needed(extents), slots, "{extents} extents");
    }
}
