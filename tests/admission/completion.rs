//! How a request ends: every class of return value, queued or not, given up or not; and what is left of the policy.

use super::mapped::{Map, map, room};
use super::{ENOUGH, SOUND};
use swap_dio::admit::{Completion, EIOCBQUEUED, Outcome, Policy, Request};
use swap_dio::flags::Direction;
use swap_dio::reason::RequestFault::{self, Dropped, Failed, InFlight, NoErrno, NotQueued, Promise, Short};
use swap_dio::{Bytes, Features, Model, Reason};

/// A policy for forty pages in one run.
fn policy<'s>(slots: &'s mut [swap_dio::Slot], features: Features) -> Policy<&'s [swap_dio::Slot]> {
    let map: Map<'s> = map(Model::File, &[(1000, 40)], slots);
    Policy::new(map, features).expect("enough")
}

fn failed(fault: RequestFault) -> Outcome {
    Outcome::Failed(Reason::Request(fault))
}

/// What four pages of 4 KiB end as, by what was returned: outcome, the kernel's number, the code.
fn ends() -> Vec<(&'static str, i64, Outcome, i64, Option<&'static str>)> {
    let asked = Bytes::new(16384);
    let short = |done| failed(Short { done: Bytes::new(done), asked });
    vec![
        ("all", 16384, Outcome::Done(asked), 16384, None),
        ("nothing", 0, short(0), -5, Some("short-io")),
        ("one byte", 1, short(1), -5, Some("short-io")),
        ("three pages", 12288, short(12288), -5, Some("short-io")),
        ("a byte less", 16383, short(16383), -5, Some("short-io")),
        ("a byte more", 16385, short(16385), -5, Some("short-io")),
        ("far more", i64::MAX, short(i64::MAX.unsigned_abs()), -5, Some("short-io")),
        ("EPERM, the first", -1, failed(Failed { errno: 1 }), -1, Some("io-failed")),
        ("EIO", -5, failed(Failed { errno: 5 }), -5, Some("io-failed")),
        ("EAGAIN", -11, failed(Failed { errno: 11 }), -11, Some("io-failed")),
        ("ENOTBLK", -15, failed(Failed { errno: 15 }), -15, Some("io-failed")),
        ("ETXTBSY", -26, failed(Failed { errno: 26 }), -26, Some("io-failed")),
        ("ENOSPC", -28, failed(Failed { errno: 28 }), -28, Some("io-failed")),
        ("before EIOCBQUEUED", -528, failed(Failed { errno: 528 }), -528, Some("io-failed")),
        ("EIOCBQUEUED without queue()", -EIOCBQUEUED, failed(NotQueued), -5, Some("io-failed")),
        ("after EIOCBQUEUED", -530, failed(Failed { errno: 530 }), -530, Some("io-failed")),
        ("MAX_ERRNO", -4095, failed(Failed { errno: 4095 }), -4095, Some("io-failed")),
        ("no errno", -4096, failed(NoErrno { returned: -4096 }), -5, Some("io-failed")),
        ("no errno, 16 bits", -65536, failed(NoErrno { returned: -65536 }), -5, Some("io-failed")),
        ("the length, negative", -16384, failed(NoErrno { returned: -16384 }), -5, Some("io-failed")),
        ("-i64::MAX", -i64::MAX, failed(NoErrno { returned: -i64::MAX }), -5, Some("io-failed")),
        ("i64::MIN", i64::MIN, failed(NoErrno { returned: i64::MIN }), -5, Some("io-failed")),
    ]
}

fn check(name: &str, completion: &Completion, outcome: Outcome, number: i64, code: Option<&str>) {
    assert_eq!((completion.outcome(), completion.to_kernel()), (outcome, number), "{name}");
    let result = completion.result().expect("it has ended");
    assert_eq!(result.map_err(|reason| reason.code()).err(), code, "{name}");
}

#[test]
fn a_request_ends_in_full_or_in_an_error_of_all_of_it() {
    let mut slots = room(1);
    let policy = policy(&mut slots, ENOUGH);
    for (name, returned, outcome, number, code) in ends() {
        check(name, &policy.admit(&SOUND.request).expect("sound").complete(returned), outcome, number, code);
        assert_eq!((policy.in_flight(), policy.dropped()), (0, 0), "{name}");
    }
}

#[test]
fn a_queued_request_ends_the_same_later() {
    let mut slots = room(1);
    let policy = policy(&mut slots, ENOUGH);
    for (name, returned, outcome, number, code) in ends() {
        let (now, later) = policy.admit(&SOUND.request).expect("sound").queue().expect("promised");
        assert_eq!((now.outcome(), now.result(), now.to_kernel()), (Outcome::Queued, None, -529), "{name}");
        assert_eq!((policy.in_flight(), later.ticket().bytes()), (1, Bytes::new(16384)), "{name}");
        check(name, &later.complete(returned), outcome, number, code);
        assert_eq!((policy.in_flight(), policy.dropped()), (0, 0), "{name}");
    }
}

#[test]
fn who_does_not_promise_to_queue_cannot() {
    let mut slots = room(1);
    let policy = policy(&mut slots, ENOUGH.difference(Features::ASYNC_COMPLETION));
    let ended = policy.admit(&SOUND.request).expect("sound").queue().expect_err("not promised");
    let fault = Promise { who: "a queued request", promise: "ASYNC_COMPLETION" };
    check("queue", &ended, failed(fault), -95, Some("promise-missing"));
    assert_eq!((policy.in_flight(), policy.dropped()), (0, 0), "it has ended");
}

#[test]
fn what_is_given_up_is_counted_and_said() {
    let mut slots = room(1);
    let mut policy = policy(&mut slots, ENOUGH);
    let in_flight = |requests| Err(Reason::Request(InFlight { requests }));
    let held = policy.admit(&SOUND.request).expect("sound");
    drop(policy.admit(&SOUND.request).expect("sound"));
    assert_eq!((policy.in_flight(), policy.dropped()), (1, 1), "a ticket");
    let (_, later) = policy.admit(&SOUND.request).expect("sound").queue().expect("promised");
    assert_eq!((policy.in_flight(), policy.dropped()), (2, 1), "a queued one");
    assert_eq!(policy.close(), in_flight(2), "those first: they pass");
    drop(later);
    assert_eq!((policy.in_flight(), policy.dropped()), (1, 2));
    assert_eq!(policy.close(), in_flight(1));
    assert_eq!(policy.admit(&SOUND.request).map(drop), Err(Reason::Request(RequestFault::Closed)));
    assert!(held.complete(16384).result().is_some_and(|result| result.is_ok()), "closed to new ones only");
    assert_eq!(policy.close(), Err(Reason::Request(Dropped)), "nobody knows what they still write to");
    assert_eq!((policy.retire().map(drop), policy.dropped()), (Err(Reason::Request(Dropped)), 2));
    // Until the server says that they have ended: then all is as if they had.
    assert_eq!([policy.dropped_have_ended(), policy.dropped_have_ended(), policy.dropped()], [2, 0, 0]);
    assert_eq!(policy.close(), Ok(()));
    assert_eq!(policy.admit(&SOUND.request).map(drop), Err(Reason::Request(RequestFault::Closed)), "still closed");
    assert!(policy.retire().is_ok_and(|pinned| pinned.is_none()));
}

#[test]
fn a_policy_retires_when_nothing_is_in_flight() {
    let mut slots = room(1);
    let mut policy = policy(&mut slots, ENOUGH);
    // A ticket that is forgotten is in flight for ever: the only way to retire under one.
    std::mem::forget(policy.admit(&SOUND.request).expect("sound"));
    assert_eq!(policy.retire().map(drop), Err(Reason::Request(InFlight { requests: 1 })));
    assert_eq!(policy.admit(&SOUND.request).map(drop), Err(Reason::Request(RequestFault::Closed)));
    assert_eq!(policy.retire().map(drop), Err(Reason::Request(InFlight { requests: 1 })));
    assert_eq!((policy.in_flight(), policy.dropped()), (1, 0));
}

#[test]
fn what_is_out_is_read_back_before_an_area_is_closed() {
    let mut slots = room(1);
    let mut policy = policy(&mut slots, ENOUGH);
    let read = Request { direction: Direction::Read, ..SOUND.request };
    policy.drain();
    assert_eq!(policy.admit(&SOUND.request).map(drop), Err(Reason::Request(RequestFault::Closed)), "no more writes");
    let back = policy.admit(&read).expect("reads go on");
    assert!(back.complete(16384).result().is_some_and(|result| result.is_ok()));
    assert!(policy.retire().is_ok());
    assert_eq!(policy.admit(&read).map(drop), Err(Reason::Request(RequestFault::Closed)), "until it is off");
}

#[test]
fn as_many_are_in_flight_as_are_allowed() {
    for limit in [0, 1, 2, 128] {
        let mut slots = room(1);
        let policy = policy(&mut slots, ENOUGH).in_flight_at_most(limit);
        let full = Err(Reason::Request(RequestFault::QueueFull { limit }));
        let mut held: Vec<_> = (0..limit).map(|_| policy.admit(&SOUND.request).expect("below the limit")).collect();
        assert_eq!(policy.admit(&SOUND.request).map(drop), full);
        assert_eq!((policy.in_flight(), policy.dropped()), (limit, 0), "a refusal is no request");
        while let Some(ticket) = held.pop() {
            assert!(ticket.complete(16384).result().is_some());
            let again = policy.admit(&SOUND.request).expect("one has ended");
            assert_eq!(policy.admit(&SOUND.request).map(drop), full);
            assert!(again.complete(-5).result().is_some());
            // Keeps the number up for the next turn.
            std::mem::forget(policy.admit(&SOUND.request).expect("one has ended"));
        }
    }
}
