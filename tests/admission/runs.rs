//! The runs of a ticket: its pages, all of them, in order, where the map says.

use super::ENOUGH;
use super::mapped::{PAGE, map, room, targets};
use proptest::prelude::*;
use swap_dio::admit::{Policy, Request};
use swap_dio::flags::Direction;
use swap_dio::{Bytes, Model, PageCount, PageIndex};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_are_the_pages_of_the_request(
        file in any::<bool>(),
        serves_header in any::<bool>(),
        places in prop::collection::vec((0..300u64, 1..9u64), 1..60),
        requests in prop::collection::vec((any::<prop::sample::Index>(), 1..70u64, any::<bool>()), 1..20),
    ) {
        let model = if file { Model::File } else { Model::Bio };
        // Two pages at least; runs that touch are one in the map, and lie over each other as a liar would have them.
        let places: Vec<_> = places.into_iter().chain([(1000, 2)]).collect();
        let (mut slots, expected) = (room(places.len()), targets(model, &places));
        let total = u64::try_from(expected.len()).expect("small");
        let policy = Policy::new(map(model, &places, &mut slots), ENOUGH).expect("enough");
        let policy = policy.at_most(PageCount::new(64));
        let policy = if serves_header { policy.serving_header() } else { policy };
        let least = u64::from(!serves_header);
        for (at, pages, write) in requests {
            let first = u64::try_from(at.index(expected.len() + 1)).expect("small");
            let direction = if write { Direction::Write } else { Direction::Read };
            let request = Request::new(direction, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE));
            let ticket = match policy.admit(&request) {
                Ok(ticket) => ticket,
                Err(reason) => {
                    let sound = first >= least && first + pages <= total && pages <= 64;
                    prop_assert!(!sound, "{} of {} pages at {}", reason, pages, first);
                    continue;
                }
            };
            prop_assert!(first >= least && first + pages <= total && pages <= 64, "{} pages at {}", pages, first);
            prop_assert_eq!((ticket.first(), ticket.pages()), (request.first, request.pages));
            prop_assert_eq!((ticket.direction(), ticket.bytes()), (direction, Bytes::new(pages * PAGE)));

            let (mut next, mut before) = (first, None);
            for run in ticket.runs() {
                prop_assert_eq!(run.first().get(), next, "in order, without a gap");
                prop_assert!(run.length().get() > 0);
                prop_assert_ne!(Some(run.target().get()), before, "two runs that could be one");
                for page in next..next + run.length().get() {
                    let target = run.target().get() + (page - next);
                    prop_assert_eq!(policy.map().run(PageIndex::new(page)).map(|run| run.target().get()), Ok(target));
                    prop_assert_eq!(usize::try_from(page).ok().and_then(|page| expected.get(page)), Some(&target));
                }
                next += run.length().get();
                before = Some(run.target().get() + run.length().get());
            }
            prop_assert_eq!(next, first + pages, "every page, and none more");
            prop_assert!(model == Model::Bio || ticket.runs().count() == 1, "a file is one run");
            // A copy of half-walked runs goes on from there.
            let mut walked = ticket.runs();
            let _first = walked.next();
            prop_assert!(walked.clone().eq(ticket.runs().skip(1)));
            prop_assert!(ticket.complete(-5).result().is_some());
        }
    }
}
