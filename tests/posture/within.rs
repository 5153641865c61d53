//! What a process finds out about itself, without changing what other tests stand on.

use swap_dio::Bytes;
use swap_dio::linux::reclaim::{Posture, Report, Step, Worker};
use swap_dio::posture::{Holding, PostureDoubt};

fn on_a_stack_of(size: usize, work: impl FnOnce() -> Worker + Send + 'static) -> Worker {
    std::thread::Builder::new().stack_size(size).spawn(work).expect("a thread").join().expect("no overflow")
}

#[test]
fn a_worker_touches_the_stack_that_there_is() {
    for (size, needed) in [(1 << 20, 512 << 10), (256 << 10, 16 << 10), (8 << 20, 7 << 20), (64 << 10, 0)] {
        let worker = on_a_stack_of(size, move || Worker::check(Bytes::new(needed)));
        let stack = worker.stack().expect("pages of a stack are shown");
        assert!(stack.found >= stack.needed && stack.needed == Bytes::new(needed), "{size}: {stack:?}");
        assert_ne!(worker.thread(), std::process::id());
    }
}

#[test]
fn a_stack_that_is_too_small_is_told_and_not_overrun() {
    // glibc may hand out a stack of another thread that ended, of up to four times the size.
    for (size, needed) in [(256 << 10, 2 << 20), (256 << 10, 1 << 40), (64 << 10, u64::MAX), (1 << 20, 16 << 20)] {
        let worker = on_a_stack_of(size, move || Worker::check(Bytes::new(needed)));
        let stack = worker.stack().expect("pages of a stack are shown");
        assert!(stack.found < stack.needed, "{size}: {stack:?}");
    }
}

#[test]
fn a_report_of_oneself_changes_nothing_and_knows_more() {
    let report = Report::caller().expect("/proc");
    assert_eq!((report.pid(), report.findings().len()), (std::process::id(), Step::ALL.len()));
    let holding = |step| report.findings().iter().find(|found| found.step == step).map(|found| found.holding);
    assert_eq!(holding(Step::Pools), Some(Holding::CannotTell(PostureDoubt::Inside)));
    // Nobody locked this test.
    assert!(matches!(holding(Step::LockedMemory), Some(Holding::Missing(_))), "{:?}", holding(Step::LockedMemory));
    assert!(matches!(holding(Step::LockedLater), Some(Holding::Missing(_))), "{:?}", holding(Step::LockedLater));
    assert!(!report.holds() && report.reasons().count() > 2);
    assert!(report.reasons().all(|reason| reason.code() == "posture" && reason.remedy().is_some()));
    let mut accepted = report.clone();
    Step::ALL.into_iter().for_each(|step| accepted.accept(step));
    assert!(accepted.holds() && accepted.reasons().next().is_none());
    assert!(accepted.degraded().any(|step| step == Step::LockedMemory));
    let by_number = Report::of(std::process::id()).expect("/proc");
    assert_eq!(by_number.pid(), report.pid());
}

#[test]
fn no_memory_for_a_pool_is_an_error_before_anything_is_locked() {
    let error = Posture::new().pool(1, usize::MAX >> 2).apply().expect_err("no such memory");
    assert!(error.to_string().starts_with("cannot map"), "{error}");
    let error = Posture::new().pool(usize::MAX, 1).apply().expect_err("not so many");
    assert!(error.to_string().starts_with("cannot map"), "{error}");
    assert!(Posture::new().pool(1, 0).apply().is_err(), "buffers of nothing");
    let report = Report::caller().expect("/proc");
    let locked = report.findings().iter().find(|found| found.step == Step::LockedMemory).expect("every step");
    assert!(matches!(locked.holding, Holding::Missing(_)));
}
