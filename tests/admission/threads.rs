//! A policy that threads share: nobody is in flight behind a close that said yes, and nobody comes after it.

use super::mapped::{map, room};
use super::{ENOUGH, SOUND};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use swap_dio::admit::Policy;
use swap_dio::reason::RequestFault;
use swap_dio::{Model, Reason};

const THREADS: usize = 4;
const REQUESTS: u32 = 2_000;
const ROUNDS: u32 = 20;
/// Far more looks than anybody needs.
const PATIENCE: u32 = 50_000_000;

/// What the threads of one round have in common.
struct Common {
    /// Tickets that somebody holds: raised after admission, lowered before the end.
    held: AtomicU32,
    closed: AtomicBool,
    start: Barrier,
}

#[test]
fn four_threads_admit_and_close() {
    for round in 0..ROUNDS {
        let limit = [1, 3, 128][usize::try_from(round).expect("small") % 3];
        let mut slots = room(1);
        let policy = Policy::new(map(Model::Bio, &[(8, 40)], &mut slots), ENOUGH).expect("enough");
        let policy = policy.in_flight_at_most(limit);
        let common = Common { held: AtomicU32::new(0), closed: AtomicBool::new(false), start: Barrier::new(THREADS) };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (policy, common) = (&policy, &common);
                // Each stops at another time, so that some close while others are at work.
                let requests = REQUESTS / 4 * u32::try_from(thread + 1).expect("small");
                scope.spawn(move || {
                    common.start.wait();
                    serve(policy, common, limit, requests);
                    close(policy, common);
                });
            }
        });
        assert!(common.closed.load(SeqCst));
        assert_eq!((policy.in_flight(), policy.dropped(), policy.close()), (0, 0, Ok(())));
    }
}

/// Admits and ends requests until there were so many, or the area is closed.
fn serve(policy: &Policy<&[swap_dio::Slot]>, common: &Common, limit: u32, requests: u32) {
    for request in 0..requests {
        let closed_before = common.closed.load(SeqCst);
        match policy.admit(&SOUND.request) {
            Ok(ticket) => {
                assert!(!closed_before, "admitted behind a close that said yes");
                let held = common.held.fetch_add(1, SeqCst);
                assert!(held < limit, "{held} others are held, {limit} may be");
                let runs: u64 = ticket.runs().map(|run| run.length().get()).sum();
                assert_eq!(runs, 4);
                common.held.fetch_sub(1, SeqCst);
                let ended = if request % 2 == 0 {
                    ticket.complete(16384)
                } else {
                    let (_, later) = ticket.queue().expect("promised");
                    later.complete(16384)
                };
                assert!(ended.result().is_some_and(|result| result.is_ok()));
            }
            Err(Reason::Request(RequestFault::QueueFull { .. })) => std::thread::yield_now(),
            Err(Reason::Request(RequestFault::Closed)) => return,
            Err(reason) => panic!("{reason}"),
        }
    }
}

/// Closes until it says yes, which it must when the others have found it closed.
fn close(policy: &Policy<&[swap_dio::Slot]>, common: &Common) {
    for _ in 0..PATIENCE {
        match policy.close() {
            Ok(()) => {
                assert_eq!(common.held.load(SeqCst), 0, "closed, and somebody holds a ticket");
                return common.closed.store(true, SeqCst);
            }
            Err(Reason::Request(RequestFault::InFlight { requests })) => {
                assert!(requests > 0);
                std::thread::yield_now();
            }
            Err(reason) => panic!("{reason}"),
        }
    }
    panic!("never closed, {} in flight", policy.in_flight());
}
