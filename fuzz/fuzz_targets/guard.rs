//! Law: what is pinned is never unpinned while its area is active, and every check agrees with a set of pages.
//!
//! Files are pinned, served by a policy that keeps the key, asked for I/O that ends, is given up or is forgotten,
//! retired and unpinned, in any order. Active is whoever's key was not given back: a lost key, a policy that cannot
//! retire. Run it with `cargo fuzz run guard` in the repository's root.

#![no_main]

#[path = "../../tests/mapped/mod.rs"]
mod mapped;

use libfuzzer_sys::fuzz_target;
use mapped::PAGE;
use std::collections::{BTreeMap, BTreeSet};
use swap_dio::admit::{Policy, Request};
use swap_dio::flags::Direction;
use swap_dio::guard::{FileId, Pin, PinMemory, Pinned, Pins, Relocation, Scope};
use swap_dio::reason::GuardFault;
use swap_dio::{Bytes, Features, Model, PageCount, PageIndex, PageSize, Reason, Slot};

/// Runs of pages: device page and length, before they are tamed.
type Runs = Vec<(u8, u8)>;

#[derive(arbitrary::Arbitrary, Debug)]
enum Act {
    /// Pins runs by hand; the caller keeps the key.
    Pin(u8, Runs),
    /// Pins a map and joins it to a policy, which keeps the key.
    Serve(u8, Runs),
    Unpin(u8),
    /// A key is lost.
    Lose(u8),
    /// Requests to a served file, and how they end; a check in the middle.
    Ask(u8, Vec<End>, u8, u8),
    Forgive(u8),
    Retire(u8),
    /// A policy is dropped, and the key in it.
    Drop(u8),
    Check(u8, u8),
    CheckFile(u8),
    CheckAll,
}

#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
enum End {
    Done,
    Failed,
    Queued,
    GivenUp,
    Forgotten,
}

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    room: Option<u8>,
    acts: Vec<Act>,
}

/// What a file that is not idle is.
enum State {
    Kept(Pinned),
    Served(Policy<Vec<Slot>>, Asked),
}

/// What a policy was left with.
#[derive(Default)]
struct Asked {
    given_up: u32,
    forgotten: u32,
}

struct Play<M> {
    pins: Pins<M>,
    capacity: usize,
    /// Runs of every file whose key was not given back.
    model: BTreeMap<u64, Vec<(u64, u64)>>,
    files: BTreeMap<u64, State>,
}

fuzz_target!(|input: Input| {
    let acts = input.acts.into_iter().take(64);
    match input.room {
        Some(room) => {
            let mut places = vec![Pin::EMPTY; usize::from(room % 32)];
            Play::new(Pins::new(places.as_mut_slice(), PageSize::KIB_4), usize::from(room % 32)).run(acts);
        }
        None => Play::new(Pins::new(Vec::new(), PageSize::KIB_4), usize::MAX).run(acts),
    }
});

/// Eight runs at most, on a small device, some of no page.
fn tame(runs: &[(u8, u8)]) -> Vec<(u64, u64)> {
    runs.iter().take(8).map(|(first, pages)| (u64::from(*first), u64::from(*pages % 8))).collect()
}

/// One of six files.
fn file(byte: u8) -> u64 {
    u64::from(byte % 6)
}

impl<M: PinMemory> Play<M> {
    fn new(pins: Pins<M>, capacity: usize) -> Self {
        Self { pins, capacity, model: BTreeMap::new(), files: BTreeMap::new() }
    }

    fn run(mut self, acts: impl Iterator<Item = Act>) {
        for act in acts {
            self.act(&act);
            let pages = |pin: &Pin| pin.first().get()..pin.first().get() + pin.pages().get();
            let mut held: Vec<u64> = self.pins.held().iter().flat_map(pages).collect();
            held.sort_unstable();
            assert!(held.into_iter().eq(self.all()), "once each: {act:?}");
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Pin(id, runs) => self.pin(file(*id), &tame(runs)),
            Act::Serve(id, runs) => self.serve(file(*id), &tame(runs)),
            Act::Unpin(id) => {
                if let Some(State::Kept(pinned)) = self.files.remove(&file(*id)) {
                    self.unpin(file(*id), pinned);
                }
            }
            Act::Lose(id) => {
                if let Some(State::Kept(_)) = self.files.get(&file(*id)) {
                    self.files.remove(&file(*id));
                }
            }
            Act::Ask(id, ends, first, pages) => self.ask(file(*id), ends, *first, *pages),
            Act::Forgive(id) => {
                if let Some(State::Served(policy, asked)) = self.files.get_mut(&file(*id)) {
                    assert_eq!(policy.dropped_have_ended(), asked.given_up);
                    asked.given_up = 0;
                }
            }
            Act::Retire(id) => self.retire(file(*id)),
            Act::Drop(id) => drop(self.files.remove(&file(*id))),
            Act::Check(first, pages) => self.check(u64::from(*first), u64::from(*pages)),
            Act::CheckFile(id) => {
                let own: BTreeSet<u64> = self.pages(file(*id)).collect();
                let told = self.pins.check(Relocation::Free, Scope::File(FileId::new(file(*id))));
                assert_eq!(named(told), self.touched(|page| own.contains(&page)));
            }
            Act::CheckAll => {
                let told = self.pins.check(Relocation::Balance, Scope::Everything);
                assert_eq!(named(told), self.touched(|_| true));
            }
        }
    }

    fn pin(&mut self, id: u64, runs: &[(u64, u64)]) {
        let expected = self.judge(id, runs);
        let places = runs.iter().map(|(first, pages)| (PageIndex::new(*first), PageCount::new(*pages)));
        match (self.pins.pin(FileId::new(id), places), expected) {
            (Ok(pinned), None) => {
                self.model.insert(id, runs.to_vec());
                // A file that has a key has pins, so that there is no key to be lost here.
                assert!(self.files.insert(id, State::Kept(pinned)).is_none());
            }
            (Err(reason), Some(codes)) => assert!(codes.contains(&reason.code()), "{reason}, not {codes:?}"),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    /// The map is merged where runs follow each other; its extents are what is pinned.
    fn serve(&mut self, id: u64, runs: &[(u64, u64)]) {
        let runs: Vec<_> = runs.iter().copied().filter(|(_, pages)| *pages > 0).chain([(300 + 10 * id, 2)]).collect();
        let (pages, claims) = mapped::claims(&runs);
        let map = mapped::activate(Model::Bio, pages, &claims, Vec::new()).expect("sound");
        let extents: Vec<_> = map.extents().map(|run| (run.target().get(), run.length().get())).collect();
        let expected = self.judge(id, &extents);
        match (self.pins.pin_map(FileId::new(id), map), expected) {
            (Ok(pinned), None) => {
                self.model.insert(id, extents);
                let features = Features::STABLE_MAPPING | Features::ASYNC_COMPLETION;
                let policy = Policy::pinned(pinned, features).expect("enough").in_flight_at_most(8);
                assert!(self.files.insert(id, State::Served(policy, Asked::default())).is_none());
            }
            (Err(reason), Some(codes)) => assert!(codes.contains(&reason.code()), "{reason}, not {codes:?}"),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    fn ask(&mut self, id: u64, ends: &[End], first: u8, pages: u8) {
        let Self { pins, model, files, .. } = self;
        let Some(State::Served(policy, asked)) = files.get_mut(&id) else { return };
        let request = Request::new(Direction::Write, PageIndex::new(1), PageCount::new(1), Bytes::new(PAGE));
        let tickets: Vec<_> =
            ends.iter().take(10).filter_map(|end| Some((end, policy.admit(&request).ok()?))).collect();
        check(pins, model, u64::from(first), u64::from(pages));
        for (end, ticket) in tickets {
            match end {
                End::Done => assert!(ticket.complete(4096).result().is_some_and(|result| result.is_ok())),
                End::Failed => assert!(ticket.complete(-5).result().is_some_and(|result| result.is_err())),
                End::Queued => assert!(ticket.queue().expect("promised").1.complete(4096).result().is_some()),
                End::GivenUp => {
                    asked.given_up += 1;
                    drop(ticket);
                }
                End::Forgotten => {
                    asked.forgotten += 1;
                    std::mem::forget(ticket);
                }
            }
        }
    }

    fn retire(&mut self, id: u64) {
        let Some(State::Served(mut policy, asked)) = self.files.remove(&id) else { return };
        match policy.retire() {
            Ok(pinned) => {
                assert_eq!((asked.given_up, asked.forgotten), (0, 0), "retired under a request");
                self.unpin(id, pinned.expect("the key that it was given"));
            }
            Err(reason) => {
                let code = if asked.forgotten > 0 { "in-flight" } else { "request-dropped" };
                assert!(asked.forgotten + asked.given_up > 0 && reason.code() == code, "{reason}");
                self.files.insert(id, State::Served(policy, asked));
            }
        }
    }

    fn unpin(&mut self, id: u64, pinned: Pinned) {
        assert_eq!(pinned.file(), FileId::new(id));
        self.pins.unpin(pinned).expect("its own");
        assert!(self.model.remove(&id).is_some());
    }

    /// The codes that a pin may be refused with; `None` for a pin that is good.
    fn judge(&self, id: u64, runs: &[(u64, u64)]) -> Option<Vec<&'static str>> {
        let used: usize = self.model.values().map(Vec::len).sum();
        let empty = runs.is_empty() || runs.iter().any(|(_, pages)| *pages == 0);
        let full = used + runs.len() > self.capacity;
        let pages: Vec<u64> = runs.iter().flat_map(|(first, pages)| *first..first + pages).collect();
        let own: BTreeSet<u64> = pages.iter().copied().collect();
        match (self.model.contains_key(&id), empty, full) {
            (true, ..) => Some(vec!["active"]),
            (_, true, true) => Some(vec!["pin-empty", "pins-full"]),
            (_, true, _) => Some(vec!["pin-empty"]),
            (.., true) => Some(vec!["pins-full"]),
            _ => (own.len() < pages.len() || !own.is_disjoint(&self.all())).then(|| vec!["pinned"]),
        }
    }

    fn pages(&self, id: u64) -> impl Iterator<Item = u64> {
        self.model.get(&id).into_iter().flatten().flat_map(|(first, pages)| *first..first + pages)
    }

    fn all(&self) -> BTreeSet<u64> {
        self.model.keys().flat_map(|id| self.pages(*id)).collect()
    }

    fn touched(&self, pages: impl Fn(u64) -> bool) -> Option<(u64, u64, u64)> {
        touched(&self.model, pages)
    }

    fn check(&self, first: u64, pages: u64) {
        check(&self.pins, &self.model, first, pages);
    }
}

fn check<M: PinMemory>(pins: &Pins<M>, model: &BTreeMap<u64, Vec<(u64, u64)>>, first: u64, pages: u64) {
    let scope = Scope::Pages { first: PageIndex::new(first), pages: PageCount::new(pages) };
    let expected = touched(model, |page| (first..first + pages).contains(&page));
    assert_eq!(named(pins.check(Relocation::Collect, scope)), expected, "{pages} pages from {first} on");
}

/// The file and the run of the lowest of some pages that is pinned.
fn touched(model: &BTreeMap<u64, Vec<(u64, u64)>>, pages: impl Fn(u64) -> bool) -> Option<(u64, u64, u64)> {
    let runs = model.iter().flat_map(|(id, runs)| runs.iter().map(move |run| (*id, run.0, run.1)));
    let hit = runs.filter_map(|run| Some(((run.1..run.1 + run.2).find(|page| pages(*page))?, run)));
    hit.min().map(|(_, run)| run)
}

/// The pin that a refusal names.
fn named(result: Result<(), Reason>) -> Option<(u64, u64, u64)> {
    match result {
        Ok(()) => None,
        Err(Reason::Guard(GuardFault::Pinned { file, first, pages, .. })) => Some((file, first.get(), pages.get())),
        Err(other) => panic!("{other}"),
    }
}
