//! `cargo bench --bench admit`: what admission costs, yes and no, beside copying the memory that it is about.
//!
//! "copy 4 KiB" is the least that any swap-out does with one page. Every bench checks its answer. For instruction
//! counts, which no other load changes: `valgrind --tool=callgrind` over `cargo bench --bench admit -- count NAME`,
//! whose work is 100,000 times the named one.

mod side_by_side;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use side_by_side::{Random, Rival, is_bench_run, print_ratios};
use swap_dio::admit::{Outcome, Policy, Request, Ticket};
use swap_dio::flags::{Direction, Iocb, Kernel};
use swap_dio::translate::{Route, opf};
use swap_dio::{
    Activation, Area, Bytes, DeviceId, Features, FileExtent, Model, PageCount, PageIndex, PageSize, Profile, Slot, ublk,
};

fn main() {
    let areas = Areas::new();
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "count") {
        let name = arguments.get(at + 1).map_or("", String::as_str);
        return count(&areas, name);
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for (name, work) in &mut works(&areas, 1) {
        criterion.bench_function(name, |bencher| bencher.iter(&mut *work));
    }
    if is_bench_run() {
        print_ratios("one each", COUNT, &mut works(&areas, COUNT));
    }
    criterion.final_summary();
}

/// Runs one work often, and nothing else: for whoever counts instructions.
fn count(areas: &Areas, name: &str) {
    let mut works = works(areas, COUNT);
    match works.iter_mut().find(|(other, _)| *other == name) {
        Some((_, work)) => work(),
        None => works.iter().for_each(|(name, _)| println!("{name}")),
    }
}

/// Every work, so many times.
fn works<'a>(areas: &'a Areas, times: usize) -> Vec<Rival<'a>> {
    let Areas { file, scattered, full } = areas;
    let (mut page, mut other) = (vec![7u8; 4096], vec![0u8; 4096]);
    let (mut places, mut other_places) = (next_place(), next_place());
    vec![
        again("copy 4 KiB", times, move || {
            page[0] = page[0].wrapping_add(1);
            black_box(&mut other).copy_from_slice(black_box(&page));
        }),
        again("admit and end, 1 page", times, move || end(admit(file, write(places(), 1)), 1)),
        again("admit and end, 32 pages", times, move || end(admit(file, write(other_places(), 32)), 32)),
        again("admit, walk 1 run, end, 32 pages", times, || walk(file, 1)),
        again("admit, walk 32 runs, end, 32 pages", times, || walk(scattered, 32)),
        again("the cheapest no: no page", times, || refuse(file, write(PageIndex::new(9), 0), "request-empty")),
        again("a no of flags: NOWAIT", times, || {
            refuse(file, Request { flags: Iocb::NOWAIT, ..write(PageIndex::new(9), 32) }, "flag-not-carried");
        }),
        again("the dearest no: the queue is full", times, || {
            refuse(full, write(PageIndex::new(9), 32), "queue-full");
        }),
        again("translate, a swap write", times, || {
            let made = opf(black_box(Iocb::SWAP), black_box(Direction::Write), black_box(Route::Plain));
            assert!(made.is_ok_and(|opf| opf.is_swap_write()));
        }),
        again("translate and number, Linux 6.18", times, || {
            let made = opf(black_box(Iocb::SWAP), black_box(Direction::Write), black_box(Route::Plain));
            assert_eq!(made.and_then(|opf| Kernel::V6_18.opf_word(opf)), Ok(1 | 1 << 24));
        }),
        again("read a word of ublk", times, || {
            assert!(ublk::read(black_box(1 | 1 << 16)).is_ok_and(|request| request.opf.is_swap_write()));
        }),
    ]
}

fn again<'a>(name: &'static str, times: usize, mut work: impl FnMut() + 'a) -> Rival<'a> {
    (name, Box::new(move || (0..times).for_each(|_| work())))
}

#[inline]
fn admit(policy: &Policy<Vec<Slot>>, request: Request) -> Ticket<'_> {
    policy.admit(black_box(&request)).expect("sound")
}

#[inline]
fn end(ticket: Ticket<'_>, pages: i64) {
    let ended = ticket.complete(black_box(pages * 4096));
    assert!(matches!(ended.outcome(), Outcome::Done(_)));
}

fn walk(policy: &Policy<Vec<Slot>>, runs: usize) {
    let ticket = admit(policy, write(PageIndex::new(9), 32));
    assert_eq!(ticket.runs().count(), runs);
    end(ticket, 32);
}

fn refuse(policy: &Policy<Vec<Slot>>, request: Request, code: &str) {
    assert!(policy.admit(black_box(&request)).is_err_and(|reason| reason.code() == code));
}

fn write(first: PageIndex, pages: u64) -> Request {
    Request::new(Direction::Write, first, PageCount::new(pages), Bytes::new(4096))
}

/// Random pages that 32 more follow.
fn next_place() -> impl FnMut() -> PageIndex {
    let mut random = Random::new();
    move || PageIndex::new(1 + random.below(PAGES - 40))
}

/// What requests are made to.
struct Areas {
    /// The file model: one run.
    file: Policy<Vec<Slot>>,
    /// The bio model: every page a run of its own.
    scattered: Policy<Vec<Slot>>,
    /// The file model, with no room for a request.
    full: Policy<Vec<Slot>>,
}

impl Areas {
    fn new() -> Self {
        let map = |profile, run: u64| {
            let area = Area::without_header(Bytes::new(PAGES << 12), PageSize::KIB_4).expect("an area");
            let mut activation = Activation::new(profile, &area, Vec::new()).expect("of a file");
            for first in (0..PAGES).step_by(run as usize) {
                let (logical, physical) = (Bytes::new(first << 12), Bytes::new((2 * PAGES - 2 * first) << 12));
                activation.push(&FileExtent::written(logical, physical, Bytes::new(run << 12))).expect("sound");
            }
            Policy::new(activation.finish().expect("a map"), Features::required(Model::File)).expect("promised")
        };
        let file = || map(Profile::File, PAGES);
        let scattered = map(Profile::Iomap { device: DeviceId::MAIN }, 1);
        Self { file: file(), scattered, full: file().in_flight_at_most(0) }
    }
}

/// A swap area of 1 GiB.
const PAGES: u64 = 1 << 18;
/// Works of one timed step.
const COUNT: usize = 100_000;
