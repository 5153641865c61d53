//! Admission: every reason by itself and against every other, and the requests of the peers' cases, family G.
//!
//! The order is the one of the table in `src/admit.rs`; the rule above it is that a reason to retry never hides one
//! to refuse.

#[path = "admission/cases.rs"]
mod cases;
#[path = "admission/completion.rs"]
mod completion;
mod mapped;
#[path = "admission/runs.rs"]
mod runs;
#[path = "admission/threads.rs"]
mod threads;

use mapped::{PAGE, map, room};
use std::mem::{Discriminant, discriminant};
use swap_dio::admit::{Context, Policy, Request};
use swap_dio::flags::{Direction, Iocb, Req, ReqOp};
use swap_dio::reason::{FlagFault, RequestFault};
use swap_dio::translate::Route;
use swap_dio::{Bytes, DirectIo, Features, Model, PageCount, PageIndex, Reason, Verdict};

/// What the file model needs, and what every request here may use.
const ENOUGH: Features = Features::required(Model::File).union(Features::ASYNC_COMPLETION).union(Features::LARGE_FOLIO);

/// A request at a policy at one moment. As it stands it is admitted; a fault changes what no other fault changes.
#[derive(Clone, Copy)]
struct Moment {
    area: u64,
    features: Features,
    limit: u64,
    in_flight: u32,
    state: [bool; 3],
    request: Request,
}

const SOUND: Moment = Moment {
    area: 40,
    features: ENOUGH,
    limit: 32,
    in_flight: 1,
    state: [false; 3],
    request: Request::new(Direction::Write, PageIndex::new(1), PageCount::new(4), Bytes::new(PAGE)),
};

impl Moment {
    fn judge(&self) -> Result<(), Reason> {
        let mut slots = room(1);
        let map = map(Model::File, &[(1000, self.area)], &mut slots);
        let policy = Policy::new(map, self.features).expect("enough");
        let policy = policy.at_most(PageCount::new(self.limit)).in_flight_at_most(self.in_flight);
        let [closed, moved, shut_down] = self.state;
        if closed {
            assert_eq!(policy.close(), Ok(()), "nothing is in flight");
        }
        if moved {
            policy.mapping_moved();
        }
        if shut_down {
            policy.shut_down();
        }
        let judged = policy.admit(&self.request).map(|ticket| assert!(ticket.complete(4 * 4096).result().is_some()));
        assert_eq!((policy.in_flight(), policy.dropped()), (0, 0), "all that is left is the answer");
        judged
    }
}

/// The words, the code, what follows, what makes it, and the reason when nothing else is wrong.
type Fault = (&'static str, &'static str, Verdict, fn(&mut Moment), Reason);

/// Every reason, in the documented order.
fn faults() -> Vec<Fault> {
    use RequestFault as F;
    use Verdict::{Refuse, Retry};
    let (large, queued) = (("a large folio", "LARGE_FOLIO"), ("the asynchronous route", "ASYNC_COMPLETION"));
    let promise = |(who, promise)| Reason::Request(F::Promise { who, promise });
    let (count, at) = (PageCount::new, PageIndex::new);
    vec![
        ("no page", "request-empty", Refuse, |m| m.request.pages = PageCount::ZERO, Reason::Request(F::Empty)),
        (
            "above the limit",
            "request-too-long",
            Refuse,
            |m| m.limit = 3,
            Reason::Request(F::TooLong { pages: count(4), limit: count(3) }),
        ),
        (
            "folios of three pages",
            "misaligned",
            Refuse,
            |m| m.request.folio = PageCount::new(m.request.folio.get() * 3),
            Reason::Request(F::Folio { pages: count(4), folio: count(3) }),
        ),
        (
            "a buffer of half pages",
            "misaligned",
            Refuse,
            |m| m.request.alignment = Bytes::new(PAGE / 2),
            Reason::Request(F::BufferAlignment { got: Bytes::new(PAGE / 2), needed: Bytes::new(PAGE) }),
        ),
        (
            "a flag",
            "flag-not-carried",
            Refuse,
            |m| m.request.flags = Iocb::WAITQ,
            Reason::Flags(FlagFault::NotCarried { flag: "WAITQ", why: "it is for buffered reads" }),
        ),
        ("the header", "header-page", Refuse, |m| m.request.first = PageIndex::ZERO, Reason::Request(F::HeaderPage)),
        ("past the end", "outside-area", Refuse, |m| m.area = 3, Reason::OutsideArea { page: at(3), pages: count(3) }),
        (
            "a large folio",
            "promise-missing",
            Refuse,
            |m| {
                m.request.folio = PageCount::new(m.request.folio.get() * 2);
                m.features.remove(Features::LARGE_FOLIO);
            },
            promise(large),
        ),
        (
            "queued",
            "promise-missing",
            Refuse,
            |m| {
                m.request.route = Route::Async;
                m.features.remove(Features::ASYNC_COMPLETION);
            },
            promise(queued),
        ),
        (
            "inside a filesystem",
            "reclaim-context",
            Retry,
            |m| m.request.context = Context::Nofs,
            Reason::Request(F::Context { context: "GFP_NOFS" }),
        ),
        ("closed", "closed", Refuse, |m| m.state[0] = true, Reason::Request(F::Closed)),
        ("moved", "mapping-moved", Refuse, |m| m.state[1] = true, Reason::Request(F::MappingMoved)),
        ("shut down", "shut-down", Refuse, |m| m.state[2] = true, Reason::Request(F::ShutDown)),
        ("full", "queue-full", Retry, |m| m.in_flight = 0, Reason::Request(F::QueueFull { limit: 0 })),
    ]
}

/// Which reason it is, whatever its numbers.
type Kind = (Discriminant<Reason>, Option<Discriminant<RequestFault>>, &'static str);

fn kind(reason: &Reason) -> Kind {
    match reason {
        Reason::Request(fault @ RequestFault::Promise { who, .. }) => {
            (discriminant(reason), Some(discriminant(fault)), who)
        }
        Reason::Request(fault) => (discriminant(reason), Some(discriminant(fault)), ""),
        _ => (discriminant(reason), None, ""),
    }
}

#[test]
fn each_fault_has_its_reason() {
    assert_eq!(SOUND.judge(), Ok(()), "sound");
    for (name, code, verdict, make, expected) in faults() {
        let mut moment = SOUND;
        make(&mut moment);
        assert_eq!(moment.judge(), Err(expected), "{name}");
        assert_eq!((expected.code(), expected.verdict()), (code, verdict), "{name}");
    }
}

/// Two faults at once, all pairs but the one that cannot be: a request of no page is not above a limit.
fn pairs() -> Vec<(Fault, Fault, Reason)> {
    let faults = faults();
    let mut pairs = Vec::new();
    for (at, early) in faults.iter().enumerate() {
        for late in &faults[at + 1..] {
            if (early.1, late.1) == ("request-empty", "request-too-long") {
                continue;
            }
            let told = [[early.3, late.3], [late.3, early.3]].map(|makers| {
                let mut moment = SOUND;
                makers.iter().for_each(|make| make(&mut moment));
                moment.judge().expect_err("two faults")
            });
            assert_eq!(told[0], told[1], "{} and {}", early.0, late.0);
            pairs.push((*early, *late, told[0]));
        }
    }
    pairs
}

#[test]
fn of_two_faults_the_earlier_one_is_told() {
    for (early, late, told) in pairs() {
        // Where the earlier one passes and the later one does not, the next test has the say.
        if (early.2, late.2) != (Verdict::Retry, Verdict::Refuse) {
            assert_eq!(kind(&told), kind(&early.4), "{} and {}: {told}", early.0, late.0);
        }
    }
}

#[test]
fn a_reason_to_retry_never_hides_one_to_refuse() {
    let hidden: Vec<_> = pairs()
        .into_iter()
        .filter(|(early, late, told)| told.verdict() == Verdict::Retry && early.2.max(late.2) == Verdict::Refuse)
        .map(|(early, late, told)| format!("{} and {}: {}", early.0, late.0, told.code()))
        .collect();
    assert_eq!(hidden, [""; 0]);
}

#[test]
fn state_is_told_in_its_order() {
    for bits in 0..16u8 {
        let [closed, moved, shut_down, full] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        for survives in [false, true] {
            let mut moment = Moment { state: [closed, moved, shut_down], in_flight: if full { 0 } else { 1 }, ..SOUND };
            moment.features.set(Features::SURVIVES_SHUTDOWN, survives);
            let expected = match (closed, moved, shut_down && !survives, full) {
                (true, ..) => Err("closed"),
                (_, true, ..) => Err("mapping-moved"),
                (_, _, true, _) => Err("shut-down"),
                (.., true) => Err("queue-full"),
                _ => Ok(()),
            };
            assert_eq!(moment.judge().map_err(|reason| reason.code()), expected, "{bits:04b}, survives: {survives}");
        }
    }
}

#[test]
fn a_write_comes_from_where_the_area_may_be_written_to() {
    use Context::{Nofs, Noio, Unrestricted};
    let (bio, file) = (Model::Bio, Model::File);
    // Model, demand, context, and whether a write passes. A read always does: it waits for no reclaim.
    let rows = [
        (bio, false, Unrestricted, true),
        (bio, false, Nofs, true),
        (bio, false, Noio, false),
        (bio, true, Unrestricted, true),
        (bio, true, Nofs, false),
        (bio, true, Noio, false),
        (file, false, Unrestricted, true),
        (file, false, Nofs, false),
        (file, false, Noio, false),
        (file, true, Nofs, false),
    ];
    for (model, demand, context, passes) in rows {
        let mut slots = room(1);
        let mut features = ENOUGH;
        features.set(Features::REQUIRES_NOFS, demand);
        let policy = Policy::new(map(model, &[(8, 8)], &mut slots), features).expect("enough");
        for (direction, passes) in [(Direction::Write, passes), (Direction::Read, true)] {
            let request = Request { context, direction, ..SOUND.request };
            let told = policy.admit(&request).map(|ticket| ticket.complete(4 * 4096)).map_err(|reason| reason.code());
            let expected = if passes { None } else { Some("reclaim-context") };
            assert_eq!(told.err(), expected, "{model:?}, {demand}, {context:?}, {direction:?}");
        }
    }
}

#[test]
fn a_folio_is_a_power_of_two_and_fits() {
    // Of four pages; others of the request may be smaller.
    for (folio, passes) in [(0, false), (1, true), (2, true), (3, false), (4, true), (6, false), (8, false)] {
        let request = Request { folio: PageCount::new(folio), ..SOUND.request };
        let told = Moment { request, ..SOUND }.judge().map_err(|reason| reason.code());
        assert_eq!(told, if passes { Ok(()) } else { Err("misaligned") }, "{folio} pages");
    }
}

#[test]
fn a_buffer_is_aligned_as_the_file_needs_it() {
    let aligned = |memory: u64| DirectIo::Aligned {
        memory: Bytes::new(memory),
        offset: Bytes::new(PAGE),
        read_offset: Bytes::new(PAGE),
    };
    // What the file says, then alignments of buffers that pass, then some that do not.
    let rows: [(_, &[u64], &[u64]); 4] = [
        (aligned(1), &[1, 3, 512, PAGE], &[0]),
        (aligned(512), &[512, 1536, PAGE], &[0, 1, 256, 768]),
        (aligned(PAGE), &[PAGE, 3 * PAGE, 1 << 63], &[0, 512, PAGE + 512]),
        (DirectIo::Unknown, &[PAGE], &[512]),
    ];
    for (direct_io, good, bad) in rows {
        let mut slots = room(1);
        let policy = Policy::new(map(Model::Bio, &[(8, 8)], &mut slots), ENOUGH).expect("enough");
        let policy = policy.with_direct_io(&direct_io).expect("fits in a page");
        for (alignment, passes) in good.iter().map(|at| (at, true)).chain(bad.iter().map(|at| (at, false))) {
            let request = Request { alignment: Bytes::new(*alignment), ..SOUND.request };
            let code = policy.admit(&request).map(|ticket| ticket.complete(0)).map_err(|reason| reason.code()).err();
            assert_eq!(code, if passes { None } else { Some("misaligned") }, "{direct_io:?}: {alignment}");
        }
    }
    // Models that rest on it, and alignments that no page has.
    let rows = [
        (Model::File, DirectIo::Unknown, Some("promise-missing")),
        (Model::File, DirectIo::Unsupported, Some("promise-missing")),
        (Model::Bio, DirectIo::Unsupported, None),
        (Model::File, aligned(512), None),
        (Model::Bio, aligned(2 * PAGE), Some("misaligned")),
        (Model::Bio, aligned(0), Some("misaligned")),
    ];
    for (model, direct_io, code) in rows {
        let mut slots = room(1);
        let policy = Policy::new(map(model, &[(8, 8)], &mut slots), ENOUGH).expect("enough");
        let told = policy.with_direct_io(&direct_io).map_err(|reason| reason.code());
        assert_eq!(told.err(), code, "{model:?}, {direct_io:?}");
    }
}

#[test]
fn only_a_write_is_marked_and_only_the_asynchronous_route_is_polled() {
    let mut slots = room(1);
    let policy = Policy::new(map(Model::File, &[(8, 8)], &mut slots), ENOUGH).expect("enough");
    for (direction, op, mark) in
        [(Direction::Read, ReqOp::Read, Req::empty()), (Direction::Write, ReqOp::Write, Req::SWAP)]
    {
        for flags in [Iocb::empty(), Iocb::SWAP] {
            for (route, more, flags) in [
                (Route::Plain, Req::empty(), flags),
                (Route::Vectored, Req::empty(), flags | Iocb::DIRECT | Iocb::WRITE),
                (Route::Async, Req::empty(), flags | Iocb::AIO_RW),
                (Route::Async, Req::POLLED, flags | Iocb::HIPRI),
            ] {
                let request = Request { direction, flags, route, ..SOUND.request };
                let ticket = policy.admit(&request).expect("sound");
                let told = (ticket.direction(), ticket.opf().op(), ticket.opf().flags());
                assert_eq!(told, (direction, op, mark | more), "{flags:?}, {route:?}");
                assert!(ticket.complete(4 * 4096).result().is_some_and(|result| result.is_ok()));
            }
        }
    }
}
