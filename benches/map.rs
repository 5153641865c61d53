//! `cargo bench --bench map`: where a page lies, by a [`SwapMap`], a `BTreeMap` and a sorted slice.
//!
//! Maps of 1,000 and 1,000,000 extents of 1 to 8 pages, targets scattered so that nothing merges. "independent" asks
//! for pages known in advance, so that the processor overlaps the misses of several lookups; "dependent" takes each
//! page from the last answer, so that one lookup must end before the next begins: its latency. Every bench folds
//! what it found into a sum and compares that with the slice's.

mod side_by_side;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use side_by_side::{Random, Rival, is_bench_run, print_ratios};
use swap_dio::map::OwnedMap;
use swap_dio::{Activation, Area, Bytes, DeviceId, FileExtent, PageIndex, PageSize, Profile, Slot, SwapMap};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for extents in [1_000, 1_000_000] {
        let peers = Peers::new(extents);
        bench(&mut criterion, &peers);
        if is_bench_run() {
            compare(&peers);
        }
    }
    criterion.final_summary();
}

/// Every lookup by criterion, in batches of [`BATCH`] pages that lie all over the map.
fn bench(criterion: &mut Criterion, peers: &Peers) {
    for (title, works) in [("independent", peers.independent()), ("dependent", peers.dependent())] {
        let mut group = criterion.benchmark_group(format!("{} extents/{title}", peers.extents.len()));
        group.throughput(Throughput::Elements(BATCH as u64));
        for (name, lookup) in works {
            let (mut batches, expected) = (peers.pages.chunks_exact(BATCH).cycle(), &peers.sums(title));
            let mut sums = expected.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let (pages, sum) = (batches.next().unwrap_or_default(), sums.next());
                    assert_eq!(Some(&lookup(peers, black_box(pages))), sum);
                });
            });
        }
        group.finish();
    }
}

/// The same in turns: only these ratios are fair on a machine that does other work too.
fn compare(peers: &Peers) {
    let extents = peers.extents.len();
    let bytes = (Slot::needed(extents) * size_of::<Slot>()) as f64 / extents as f64;
    let share = bytes / size_of::<Extent>() as f64;
    println!("\n{extents} extents: {bytes:.2} bytes each with the index, {share:.3} of a 24-byte extent");
    for (title, works) in [("independent", peers.independent()), ("dependent", peers.dependent())] {
        let expected = peers.sums(title);
        let expected = &expected;
        let mut rivals: Vec<Rival<'_>> = Vec::new();
        for (name, lookup) in works {
            let work = move || {
                for (pages, sum) in peers.pages.chunks_exact(BATCH).zip(expected) {
                    assert_eq!(lookup(peers, black_box(pages)), *sum);
                }
            };
            rivals.push((name, Box::new(work)));
        }
        print_ratios(&format!("{extents} extents, {title} lookups"), peers.pages.len(), &mut rivals);
    }
    let mut rivals: Vec<Rival<'_>> = vec![
        ("SwapMap::run, page after page", Box::new(|| assert_eq!(peers.walk(|page| peers.by_map(page)), peers.end))),
        ("Cursor::run, page after page", Box::new(|| assert_eq!(peers.walk_by_cursor(), peers.end))),
    ];
    print_ratios(&format!("{extents} extents, all pages in order"), peers.end.1 as usize, &mut rivals);
}

/// The same extents in every form, and what to ask them.
struct Peers {
    map: OwnedMap,
    tree: BTreeMap<u32, (u64, u32)>,
    extents: Vec<Extent>,
    /// Random pages of the area.
    pages: Vec<u32>,
    /// The sum over all pages, and how many there are.
    end: (u64, u32),
}

/// An extent as a sorted slice holds it: 24 bytes.
struct Extent {
    first: u64,
    target: u64,
    len: u64,
}

/// Looks up every page, and folds the answers into one number.
type Lookup = fn(&Peers, &[u32]) -> u64;

impl Peers {
    fn new(count: usize) -> Self {
        let mut random = Random::new();
        let mut extents = Vec::with_capacity(count);
        let mut first = 0;
        // Each extent gets a window of 16 pages on the device, the windows shuffled: no neighbours touch.
        let mut windows: Vec<u64> = (1..).take(count).collect();
        for left in (1..count).rev() {
            windows.swap(left, random.below(left as u64 + 1) as usize);
        }
        for window in windows {
            let len = 1 + random.below(8);
            extents.push(Extent { first, target: window * 16, len });
            first += len;
        }
        let end = u32::try_from(first).expect("the area has 32-bit pages");
        let pages = (0..PAGES).map(|_| random.below(first) as u32).collect();
        let map = activate(&extents, first);
        let tree = extents.iter().map(|extent| (extent.first as u32, (extent.target, extent.len as u32))).collect();
        let mut peers = Self { map, tree, extents, pages, end: (0, end) };
        assert_eq!(peers.map.totals().extents as usize, count, "nothing merged");
        peers.end = peers.walk(|page| peers.by_slice(page));
        peers
    }

    fn independent(&self) -> Vec<(&'static str, Lookup)> {
        vec![
            ("BTreeMap::range", |peers, pages| independent(pages, |page| peers.by_tree(page))),
            ("partition_point", |peers, pages| independent(pages, |page| peers.by_slice(page))),
            ("SwapMap::run", |peers, pages| independent(pages, |page| peers.by_map(page))),
            ("SwapMap::runs::<8>", |peers, pages| batched::<8>(&peers.map, pages)),
            ("SwapMap::runs::<16>", |peers, pages| batched::<16>(&peers.map, pages)),
        ]
    }

    fn dependent(&self) -> Vec<(&'static str, Lookup)> {
        vec![
            ("BTreeMap::range", |peers, pages| dependent(pages, peers.end.1, |page| peers.by_tree(page))),
            ("partition_point", |peers, pages| dependent(pages, peers.end.1, |page| peers.by_slice(page))),
            ("SwapMap::run", |peers, pages| dependent(pages, peers.end.1, |page| peers.by_map(page))),
        ]
    }

    /// What every lookup must give for each batch of pages.
    fn sums(&self, title: &str) -> Vec<u64> {
        let sum = |pages| match title {
            "independent" => independent(pages, |page| self.by_slice(page)),
            _ => dependent(pages, self.end.1, |page| self.by_slice(page)),
        };
        self.pages.chunks_exact(BATCH).map(sum).collect()
    }

    #[inline]
    fn by_map(&self, page: u32) -> Option<(u64, u64)> {
        let run = self.map.run(PageIndex::new(page.into())).ok()?;
        Some((run.target().get(), run.length().get()))
    }

    #[inline]
    fn by_tree(&self, page: u32) -> Option<(u64, u64)> {
        let (first, (target, len)) = self.tree.range(..=page).next_back()?;
        let skipped = page - first;
        (skipped < *len).then(|| (target + u64::from(skipped), u64::from(len - skipped)))
    }

    #[inline]
    fn by_slice(&self, page: u32) -> Option<(u64, u64)> {
        let page = u64::from(page);
        let after = self.extents.partition_point(|extent| extent.first <= page);
        let extent = &self.extents[after.checked_sub(1)?];
        let skipped = page - extent.first;
        (skipped < extent.len).then(|| (extent.target + skipped, extent.len - skipped))
    }

    /// Looks up every page of the area, in order.
    fn walk(&self, lookup: impl FnMut(u32) -> Option<(u64, u64)>) -> (u64, u32) {
        let end = self.extents.last().map_or(0, |last| (last.first + last.len) as u32);
        ((0..end).map(lookup).fold(0, fold), end)
    }

    fn walk_by_cursor(&self) -> (u64, u32) {
        let mut cursor = self.map.cursor();
        self.walk(|page| {
            let run = cursor.run(PageIndex::new(page.into())).ok()?;
            Some((run.target().get(), run.length().get()))
        })
    }
}

/// The map, by the only door there is.
fn activate(extents: &[Extent], pages: u64) -> OwnedMap {
    let bytes = |pages: u64| Bytes::new(pages << 12);
    let area = Area::without_header(bytes(pages), PageSize::KIB_4).expect("an area");
    let memory = Vec::with_capacity(Slot::needed(extents.len()));
    let profile = Profile::Iomap { device: DeviceId::MAIN };
    let mut activation = Activation::new(profile, &area, memory).expect("an activation");
    for Extent { first, target, len } in extents {
        let claim = FileExtent::written(bytes(*first), bytes(*target), bytes(*len));
        activation.push(&claim).expect("a sound claim");
    }
    activation.finish().expect("a map")
}

#[inline]
fn independent(pages: &[u32], mut lookup: impl FnMut(u32) -> Option<(u64, u64)>) -> u64 {
    pages.iter().map(|page| lookup(*page)).fold(0, fold)
}

fn batched<const N: usize>(map: &SwapMap<Vec<Slot>>, pages: &[u32]) -> u64 {
    let mut sum = 0;
    for pages in pages.chunks_exact(N) {
        let pages: [u32; N] = pages.try_into().expect("a chunk of N");
        for run in map.runs(pages.map(|page| PageIndex::new(page.into()))) {
            sum = fold(sum, run.ok().map(|run| (run.target().get(), run.length().get())));
        }
    }
    sum
}

/// Each page is a random one displaced by the last answer: unknown until that is there.
#[inline]
fn dependent(pages: &[u32], end: u32, mut lookup: impl FnMut(u32) -> Option<(u64, u64)>) -> u64 {
    let mut sum = 0;
    for page in pages {
        let moved = page + (sum & 63) as u32;
        sum = fold(sum, lookup(if moved < end { moved } else { *page }));
    }
    sum
}

/// Order matters not: a batch may answer in any. A page that was not found spoils the sum.
#[inline]
fn fold(sum: u64, found: Option<(u64, u64)>) -> u64 {
    let (target, length) = found.unwrap_or((u64::MAX >> 7, 1));
    sum.wrapping_add(target).wrapping_add(length << 40)
}

/// Pages of one timed step.
const BATCH: usize = 4096;
/// Random pages in all: far more than caches remember between two rounds.
const PAGES: usize = 1 << 20;
