//! Pins against a naive model, a set of pages for each file: the same pages are pinned, and every check agrees.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use swap_dio::guard::{FileId, Pin, PinMemory, Pinned, Pins, Relocation, Scope};
use swap_dio::reason::GuardFault;
use swap_dio::{PageCount, PageIndex, PageSize, Reason};

/// One thing that a filesystem does.
#[derive(Clone, Debug)]
enum Act {
    Pin(u64, Vec<(u64, u64)>),
    Unpin(u64),
    /// The key is lost.
    Lose(u64),
    Check(u64, u64),
    CheckFile(u64),
    CheckAll,
}

/// Runs of each file that has pins.
#[derive(Default)]
struct Model(BTreeMap<u64, Vec<(u64, u64)>>);

impl Model {
    fn pages(&self, file: u64) -> BTreeSet<u64> {
        let runs = self.0.get(&file).into_iter().flatten();
        runs.flat_map(|(first, pages)| *first..first + pages).collect()
    }

    fn all(&self) -> BTreeSet<u64> {
        self.0.keys().flat_map(|file| self.pages(*file)).collect()
    }

    /// The codes that may be given for a pin.
    fn pin(&mut self, file: u64, runs: &[(u64, u64)], capacity: usize) -> Result<(), Vec<&'static str>> {
        let used: usize = self.0.values().map(Vec::len).sum();
        let empty = runs.is_empty() || runs.iter().any(|(_, pages)| *pages == 0);
        let full = used + runs.len() > capacity;
        let taken = self.all();
        let pages: Vec<u64> = runs.iter().flat_map(|(first, pages)| *first..first + pages).collect();
        let twice = pages.iter().collect::<BTreeSet<_>>().len() < pages.len();
        let codes = match (self.0.contains_key(&file), empty, full) {
            (true, ..) => vec!["active"],
            // The runs are taken one by one: whichever of the two comes first.
            (_, true, true) => vec!["pin-empty", "pins-full"],
            (_, true, _) => vec!["pin-empty"],
            (.., true) => vec!["pins-full"],
            _ if twice || pages.iter().any(|page| taken.contains(page)) => vec!["pinned"],
            _ => {
                self.0.insert(file, runs.to_vec());
                return Ok(());
            }
        };
        Err(codes)
    }

    /// The file and the run of the lowest of some pages that is pinned.
    fn touched(&self, pages: impl Fn(u64) -> bool) -> Option<(u64, u64, u64)> {
        let lowest = self.all().into_iter().find(|page| pages(*page))?;
        let mut owners = self.0.iter().flat_map(|(file, runs)| runs.iter().map(move |run| (*file, run.0, run.1)));
        owners.find(|(_, first, pages)| (*first..first + pages).contains(&lowest))
    }
}

fn told(result: Result<(), Reason>) -> Option<(u64, u64, u64)> {
    match result {
        Ok(()) => None,
        Err(Reason::Guard(GuardFault::Pinned { file, first, pages, .. })) => Some((file, first.get(), pages.get())),
        Err(other) => panic!("{other}"),
    }
}

fn play<M: PinMemory>(acts: &[Act], mut pins: Pins<M>, capacity: usize) {
    let (mut model, mut keys) = (Model::default(), BTreeMap::<u64, Pinned>::new());
    for act in acts {
        match act {
            Act::Pin(file, runs) => {
                let places = runs.iter().map(|(first, pages)| (PageIndex::new(*first), PageCount::new(*pages)));
                match (pins.pin(FileId::new(*file), places), model.pin(*file, runs, capacity)) {
                    (Ok(pinned), Ok(())) => assert!(keys.insert(*file, pinned).is_none()),
                    (Err(reason), Err(codes)) => assert!(codes.contains(&reason.code()), "{reason}, not {codes:?}"),
                    (got, expected) => panic!("{got:?}, not {expected:?}"),
                }
            }
            Act::Unpin(file) => {
                if let Some(pinned) = keys.remove(file) {
                    pins.unpin(pinned).expect("its own");
                    assert!(model.0.remove(file).is_some());
                }
            }
            Act::Lose(file) => drop(keys.remove(file)),
            Act::Check(first, pages) => {
                let scope = Scope::Pages { first: PageIndex::new(*first), pages: PageCount::new(*pages) };
                let expected = model.touched(|page| (*first..first + pages).contains(&page));
                assert_eq!(told(pins.check(Relocation::Collect, scope)), expected);
            }
            Act::CheckFile(file) => {
                let own = model.pages(*file);
                let expected = model.touched(|page| own.contains(&page));
                assert_eq!(told(pins.check(Relocation::Free, Scope::File(FileId::new(*file)))), expected);
            }
            Act::CheckAll => {
                assert_eq!(told(pins.check(Relocation::Balance, Scope::Everything)), model.touched(|_| true));
            }
        }
        let mut held: Vec<u64> =
            pins.held().iter().flat_map(|pin| pin.first().get()..pin.first().get() + pin.pages().get()).collect();
        held.sort_unstable();
        assert!(held.iter().copied().eq(model.all()), "once each, after {act:?}");
    }
}

fn act() -> impl Strategy<Value = Act> {
    let run = (0..60u64, prop_oneof![20 => 1..5u64, 1 => Just(0), 1 => 5..60u64]);
    prop_oneof![
        6 => (0..6u64, prop::collection::vec(run, 0..6)).prop_map(|(file, runs)| Act::Pin(file, runs)),
        4 => (0..6u64).prop_map(Act::Unpin),
        1 => (0..6u64).prop_map(Act::Lose),
        4 => (0..70u64, 1..20u64).prop_map(|(first, pages)| Act::Check(first, pages)),
        1 => (0..6u64).prop_map(Act::CheckFile),
        1 => Just(Act::CheckAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn pins_agree_with_the_naive_model(acts in prop::collection::vec(act(), 0..40), room in 0..12usize) {
        let mut places = vec![Pin::EMPTY; room];
        play(&acts, Pins::new(places.as_mut_slice(), PageSize::KIB_4), room);
        #[cfg(feature = "alloc")]
        play(&acts, Pins::new(Vec::new(), PageSize::KIB_4), usize::MAX);
    }
}
