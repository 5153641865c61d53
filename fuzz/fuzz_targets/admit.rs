//! Law: a request is admitted if and only if the naive judge admits it, goes where its pages lie, and ends once.
//!
//! The judge lists every fault in the documented order; a refusal names the first, or where one of them is to be
//! retried, the first that is not. A ticket's runs are its pages in order, inside the area. What was returned is the
//! exact length or fails all of it. Run it with `cargo fuzz run admit` in the repository's root.

#![no_main]

#[path = "../../tests/mapped/mod.rs"]
mod mapped;

use libfuzzer_sys::fuzz_target;
use mapped::{PAGE, map, room, targets};
use swap_dio::admit::{Completion, Context, Outcome, Policy, Request, Ticket};
use swap_dio::flags::{Direction, Iocb, Req};
use swap_dio::reason::RequestFault;
use swap_dio::translate::Route;
use swap_dio::{Bytes, DirectIo, Features, Model, PageCount, PageIndex, Reason, Verdict};

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    file: bool,
    runs: Vec<(u8, u8)>,
    features: u32,
    limit: Option<u64>,
    in_flight: u8,
    /// The buffer's alignment that the file needs: so many bits.
    memory: Option<u8>,
    steps: Vec<Step>,
}

#[derive(arbitrary::Arbitrary, Debug)]
enum Step {
    /// A request of tame numbers, or of wild ones.
    Tame(Asked<u8>, End),
    Wild(Asked<u64>, End),
    ShutDown,
    Move,
    Close,
}

#[derive(arbitrary::Arbitrary, Debug)]
struct Asked<N> {
    write: bool,
    first: N,
    pages: N,
    alignment: N,
    folio: N,
    flags: u32,
    route: u8,
    context: u8,
}

#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
enum End {
    Exact,
    Returned(i64),
    Near(i8),
    Queued(i64),
    Kept,
    GivenUp,
}

/// What the judge knows.
struct Area {
    model: Model,
    targets: Vec<u64>,
    features: Features,
    limit: u64,
    in_flight: usize,
    memory: u64,
    closed: bool,
    moved: bool,
    shut_down: bool,
}

fuzz_target!(|input: Input| {
    let model = if input.file { Model::File } else { Model::Bio };
    let runs = input.runs.iter().take(20).map(|(target, pages)| (u64::from(*target), u64::from(*pages % 16) + 1));
    let runs: Vec<_> = runs.chain([(1000, 2)]).collect();
    let features = Features::required(model) | Features::all().intersection(Features::from_bits_retain(input.features));
    let mut area = Area {
        model,
        targets: targets(model, &runs),
        features,
        limit: input.limit.unwrap_or(32),
        in_flight: usize::from(input.in_flight),
        memory: input.memory.map_or(PAGE, |bits| 1 << (bits % 13)),
        closed: false,
        moved: false,
        shut_down: false,
    };
    let mut slots = room(runs.len());
    let policy = Policy::new(map(model, &runs, &mut slots), features).expect("enough");
    let mut policy = policy.at_most(PageCount::new(area.limit)).in_flight_at_most(input.in_flight.into());
    if input.memory.is_some() {
        let [memory, page] = [area.memory, PAGE].map(Bytes::new);
        let direct_io = DirectIo::Aligned { memory, offset: page, read_offset: page };
        policy = policy.with_direct_io(&direct_io).expect("at most a page");
    }
    let (mut kept, mut given_up) = (Vec::new(), 0);
    for step in input.steps.iter().take(100) {
        let (request, end) = match step {
            Step::Tame(asked, end) => (tame(asked), *end),
            Step::Wild(asked, end) => (request(asked, u64::clone), *end),
            Step::ShutDown => {
                policy.shut_down();
                area.shut_down = true;
                continue;
            }
            Step::Move => {
                policy.mapping_moved();
                area.moved = true;
                continue;
            }
            Step::Close => {
                area.closed = true;
                closed(policy.close(), kept.len(), given_up);
                continue;
            }
        };
        let faults = area.faults(&request, kept.len());
        let expected = faults.iter().find(|(_, verdict)| *verdict == Verdict::Refuse).or(faults.first());
        match (policy.admit(&request), expected) {
            (Ok(ticket), None) => {
                area.check(&ticket, &request);
                match end {
                    End::Kept => kept.push(ticket),
                    End::GivenUp => {
                        given_up += 1;
                        drop(ticket);
                    }
                    end => area.end(ticket, end),
                }
            }
            (Err(reason), Some((code, verdict))) => {
                assert_eq!((reason.code(), reason.verdict()), (*code, *verdict), "{request:?}: {faults:?}");
            }
            (got, expected) => panic!("{request:?}: {got:?}, the judge says {expected:?}"),
        }
        assert_eq!((policy.in_flight(), policy.dropped()), (u32::try_from(kept.len()).expect("few"), given_up));
    }
    closed(policy.close(), kept.len(), given_up);
    kept.into_iter().for_each(|ticket| area.end(ticket, End::Exact));
    match policy.retire() {
        Ok(_) => assert_eq!(given_up, 0),
        Err(reason) => assert!(given_up > 0 && reason.code() == "request-dropped", "{reason}"),
    }
});

/// Mostly sound.
fn tame(asked: &Asked<u8>) -> Request {
    let number = |number: &u8| u64::from(*number);
    let request = request(asked, number);
    let folio = PageCount::new(1 << (asked.folio % 4));
    let pages = PageCount::new(request.pages.get() % 40);
    let flags = if asked.flags % 4 == 0 { request.flags } else { Iocb::DIRECT };
    Request { folio, pages, alignment: Bytes::new(1 << (asked.alignment % 16)), flags, ..request }
}

fn request<N>(asked: &Asked<N>, number: impl Fn(&N) -> u64) -> Request {
    let direction = if asked.write { Direction::Write } else { Direction::Read };
    let [first, pages, alignment, folio] = [&asked.first, &asked.pages, &asked.alignment, &asked.folio].map(number);
    Request {
        direction,
        first: PageIndex::new(first),
        pages: PageCount::new(pages),
        alignment: Bytes::new(alignment),
        folio: PageCount::new(folio),
        flags: Iocb::from_bits_retain(asked.flags),
        route: Route::ALL[usize::from(asked.route) % 3],
        context: [Context::Unrestricted, Context::Nofs, Context::Noio][usize::from(asked.context) % 3],
    }
}

fn closed(told: Result<(), Reason>, kept: usize, given_up: u32) {
    let expected = match (kept, given_up) {
        (0, 0) => Ok(()),
        (0, _) => Err(Reason::Request(RequestFault::Dropped)),
        (kept, _) => Err(Reason::Request(RequestFault::InFlight { requests: u32::try_from(kept).expect("few") })),
    };
    assert_eq!(told, expected);
}

impl Area {
    /// Every fault, in the documented order.
    fn faults(&self, request: &Request, kept: usize) -> Vec<(&'static str, Verdict)> {
        use Verdict::{Refuse, Retry};
        let Request { first, pages, alignment, folio, .. } = *request;
        let [first, pages, alignment, folio] = [first.get(), pages.get(), alignment.get(), folio.get()];
        let total = self.targets.len();
        let end = u128::from(first) + u128::from(pages);
        // What says nothing of the request, the mark, and polling where somebody polls.
        let silent = Iocb::DIRECT | Iocb::WRITE | Iocb::EVENTFD | Iocb::AIO_RW | Iocb::NOSIGNAL | Iocb::SWAP;
        let flags = request.flags.intersection(Iocb::all()).difference(silent);
        let polled = Iocb::HIPRI.intersection(flags);
        let carried = flags == polled && (polled.is_empty() || request.route == Route::Async);
        let lacks = |features| !self.features.contains(features);
        let no_fs = self.model == Model::File || self.features.contains(Features::REQUIRES_NOFS);
        let context = match request.context {
            Context::Unrestricted => false,
            Context::Nofs => no_fs,
            Context::Noio => true,
        };
        [
            (pages == 0, "request-empty", Refuse),
            (pages > self.limit, "request-too-long", Refuse),
            (folio.count_ones() != 1 || folio > pages, "misaligned", Refuse),
            (alignment == 0 || alignment % self.memory != 0, "misaligned", Refuse),
            (!Iocb::all().contains(request.flags), "flags-unknown", Refuse),
            (!carried, "flag-not-carried", Refuse),
            (first == 0, "header-page", Refuse),
            (end > u128::try_from(total).expect("small"), "outside-area", Refuse),
            (folio > 1 && lacks(Features::LARGE_FOLIO), "promise-missing", Refuse),
            (request.route == Route::Async && lacks(Features::ASYNC_COMPLETION), "promise-missing", Refuse),
            (request.direction == Direction::Write && context, "reclaim-context", Retry),
            (self.closed, "closed", Refuse),
            (self.moved, "mapping-moved", Refuse),
            (self.shut_down && self.model == Model::File && lacks(Features::SURVIVES_SHUTDOWN), "shut-down", Refuse),
            (kept >= self.in_flight, "queue-full", Retry),
        ]
        .into_iter()
        .filter_map(|(fault, code, verdict)| fault.then_some((code, verdict)))
        .collect()
    }

    /// Where a ticket goes, and how.
    fn check(&self, ticket: &Ticket<'_>, request: &Request) {
        assert_eq!((ticket.first(), ticket.pages()), (request.first, request.pages));
        assert_eq!((ticket.direction(), ticket.bytes().get()), (request.direction, request.pages.get() * PAGE));
        let polled = request.flags.contains(Iocb::HIPRI);
        assert_eq!(ticket.opf().is_swap_write(), request.direction == Direction::Write);
        assert_eq!(ticket.opf().flags().difference(Req::SWAP), if polled { Req::POLLED } else { Req::empty() });
        let mut next = request.first.get();
        for run in ticket.runs() {
            assert_eq!(run.first().get(), next);
            for offset in 0..run.length().get() {
                let page = usize::try_from(next + offset).expect("inside");
                assert_eq!(self.targets.get(page), Some(&(run.target().get() + offset)), "page {page}");
            }
            next += run.length().get();
        }
        assert_eq!(next, request.first.get() + request.pages.get());
    }

    /// Ends a ticket, and checks what becomes of it.
    fn end(&self, ticket: Ticket<'_>, end: End) {
        let asked = i64::try_from(ticket.bytes().get()).expect("small");
        let returned = match end {
            End::Exact | End::Kept | End::GivenUp => asked,
            End::Returned(value) | End::Queued(value) => value,
            End::Near(by) => asked + i64::from(by),
        };
        let completion = match end {
            End::Queued(_) => match ticket.queue() {
                Ok((now, later)) => {
                    assert!(self.features.contains(Features::ASYNC_COMPLETION));
                    assert_eq!((now.outcome(), now.result(), now.to_kernel()), (Outcome::Queued, None, -529));
                    later.complete(returned)
                }
                Err(failed) => {
                    assert!(!self.features.contains(Features::ASYNC_COMPLETION));
                    return assert_eq!((code(&failed), failed.to_kernel()), (Some("promise-missing"), -95));
                }
            },
            _ => ticket.complete(returned),
        };
        let expected = match returned {
            value if value == asked => (None, asked),
            0.. => (Some("short-io"), -5),
            -529 => (Some("io-failed"), -5),
            -4095..=-1 => (Some("io-failed"), returned),
            _ => (Some("io-failed"), -5),
        };
        assert_eq!((code(&completion), completion.to_kernel()), expected, "{returned} of {asked}");
    }
}

/// The code of a failure; `None` where all was done.
fn code(completion: &Completion) -> Option<&'static str> {
    completion.result().expect("it has ended").err().map(|reason| reason.code())
}
