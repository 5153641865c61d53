//! `cargo bench --bench activation`: a million claims judged, beside the same claims merely read.
//!
//! Two files: one whose claims are each an extent of the map, one whose claims touch in runs of 64. "read" adds up
//! every field of every claim: no judgement can be faster. Every bench checks the counts that came out.

mod side_by_side;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use side_by_side::{Random, Rival, is_bench_run, print_ratios};
use swap_dio::{
    Activation, Area, BlockSize, Bytes, DeviceId, FileExtent, PageSize, Profile, Slot, SwapMap, Tally, Totals,
};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for file in [File::new("each claim an extent", 1), File::new("64 claims an extent", 64)] {
        let mut works = file.works();
        let mut group = criterion.benchmark_group(file.name);
        group.throughput(Throughput::Elements(CLAIMS));
        for (name, work) in &mut works {
            group.bench_function(*name, |bencher| bencher.iter(&mut *work));
        }
        group.finish();
        if is_bench_run() {
            print_ratios(file.name, file.claims.len(), &mut works);
        }
    }
    criterion.final_summary();
}

/// A file of a million claims, and what must come out of it.
struct File {
    name: &'static str,
    area: Area,
    claims: Vec<FileExtent>,
    extents: u32,
    sum: u64,
}

impl File {
    /// Claims of 1 to 8 pages; `touching` of them in a row touch on the device, and the next one is far away.
    fn new(name: &'static str, touching: u64) -> Self {
        let bytes = |pages: u64| Bytes::new(pages << 12);
        let (mut random, mut logical, mut physical) = (Random::new(), 0, 0);
        let claims: Vec<FileExtent> = (0..CLAIMS)
            .map(|number| {
                if number % touching == 0 {
                    physical = (1 + random.below(1 << 20)) * 1024 + (number / touching % 2) * 512;
                }
                let length = 1 + random.below(8);
                let claim = FileExtent::written(bytes(logical), bytes(physical), bytes(length));
                (logical, physical) = (logical + length, physical + length);
                claim
            })
            .collect();
        let area = Area::without_header(bytes(logical), PageSize::KIB_4).expect("an area");
        let extents = CLAIMS.div_ceil(touching) as u32;
        let sum = read(&claims);
        Self { name, area, claims, extents, sum }
    }

    /// Every way to go through the claims, reading first.
    fn works(&self) -> Vec<Rival<'_>> {
        let iomap = Profile::Iomap { device: DeviceId::MAIN };
        let bmap = Profile::Bmap { block: BlockSize::KIB_4 };
        let (extents, pages) = (self.extents, self.area.pages());
        let mut memory = vec![Slot::EMPTY; Slot::needed(self.claims.len())];
        let expect = move |totals: Totals, extents| assert_eq!((totals.extents, totals.pages), (extents, pages));
        vec![
            ("read", Box::new(|| assert_eq!(read(black_box(&self.claims)), self.sum))),
            ("iomap into a slice", Box::new(move || expect(self.slice(iomap, &mut memory).totals(), extents))),
            ("iomap into a Vec", Box::new(move || expect(self.vec(iomap).totals(), extents))),
            ("iomap into Tally", Box::new(move || expect(self.tally(iomap), extents))),
            ("bmap into a Vec", Box::new(move || expect(self.vec(bmap).totals(), extents))),
            ("bmap into Tally", Box::new(move || expect(self.tally(bmap), extents))),
            ("file", Box::new(move || expect(self.vec(Profile::File).totals(), 1))),
        ]
    }

    fn slice<'a>(&self, profile: Profile, memory: &'a mut [Slot]) -> SwapMap<&'a [Slot]> {
        let mut activation = Activation::new(profile, &self.area, memory).expect("an activation");
        for claim in black_box(&self.claims) {
            activation.push(claim).expect("a sound claim");
        }
        activation.finish().expect("a map")
    }

    fn vec(&self, profile: Profile) -> SwapMap<Vec<Slot>> {
        let memory = Vec::with_capacity(Slot::needed(self.extents as usize));
        let mut activation = Activation::new(profile, &self.area, memory).expect("an activation");
        for claim in black_box(&self.claims) {
            activation.push(claim).expect("a sound claim");
        }
        activation.finish().expect("a map")
    }

    fn tally(&self, profile: Profile) -> Totals {
        let mut activation = Activation::new(profile, &self.area, Tally).expect("an activation");
        for claim in black_box(&self.claims) {
            activation.push(claim).expect("a sound claim");
        }
        activation.finish().expect("totals")
    }
}

/// Adds up every field of every claim.
fn read(claims: &[FileExtent]) -> u64 {
    claims.iter().fold(0, |sum, claim| {
        let FileExtent { logical, physical, length, state, flags, device } = claim;
        let small = u64::from(flags.bits()) + u64::from(*state as u8);
        let places = logical.get().wrapping_add(physical.map_or(0, Bytes::get));
        sum.wrapping_add(places).wrapping_add(length.get()).wrapping_add(device.get()).wrapping_add(small)
    })
}

const CLAIMS: u64 = 1_000_000;
