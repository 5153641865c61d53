//! Facts and what they add up to, one row each, without a process.

use swap_dio::posture::{
    Cgroup, CoreDump, CorePattern, Facts, Holding, Mappings, Memory, Pools, PostureDoubt, Seen, Sinks, Stack, Threads,
};
use swap_dio::reason::{PostureFault as Fault, PostureStep as Step};
use swap_dio::{Bytes, Class, Reason, Release};

const DOUBT: PostureDoubt = PostureDoubt::NotPermitted;
const UNSEEN: Facts = Facts::unseen(DOUBT);
const KIB_4: Bytes = Bytes::new(4096);
const KIB_8: Bytes = Bytes::new(8192);

fn judged(rows: &[(&str, Step, Facts, Holding)]) {
    for (name, step, facts, expected) in rows {
        assert_eq!(facts.judge(*step), *expected, "{step}: {name}");
    }
}

#[test]
fn what_was_not_seen_never_holds() {
    for step in Step::ALL {
        assert_eq!(UNSEEN.judge(step), Holding::CannotTell(DOUBT), "{step}");
        let reason = UNSEEN.judge(step).reason(step).expect("it does not hold");
        assert_eq!(reason, Reason::Posture(Fault::Untold { step }));
        assert_eq!((reason.code(), reason.class()), ("posture", Class::Permanent));
        assert_eq!(Step::named(step.name()), Some(step));
    }
    assert_eq!((Step::named(""), Step::named("Pools")), (None, None));
    assert_eq!(Holding::Held.reason(Step::Pools), None);
}

#[test]
fn a_fault_names_its_own_step_and_what_grants_it() {
    let facts = Facts {
        pools: Ok(Pools { buffers: 2, locked: 1 }),
        stack: Ok(Stack { found: KIB_4, needed: KIB_8 }),
        memory: memory(KIB_4, KIB_8, Err(DOUBT)),
        locked_later: Ok(false),
        oom_score: Ok(0),
        threads: Ok(Threads { total: 2, flushers: Ok(1), early: Ok(1) }),
        cgroup: Ok(Cgroup { high: Some(KIB_4), ..Cgroup::default() }),
        core_dump: core(None, CorePattern::File, Ok(true)),
        sinks: Ok(Sinks { buffered: 1, mapped: Ok(0), readers: 0 }),
    };
    for step in Step::ALL {
        let Holding::Missing(fault) = facts.judge(step) else { panic!("{step} is missing") };
        assert_eq!(fault.step(), step);
        assert!(fault.grant().len() > 10 && !fault.grant().contains('\n'), "{step}: {}", fault.grant());
    }
}

fn memory(locked: Bytes, resident: Bytes, mappings: Seen<Mappings>) -> Seen<Memory> {
    Ok(Memory { locked, resident, mappings })
}

#[test]
fn memory_and_what_is_in_it() {
    let of = |locked, resident, mappings| Facts { memory: memory(locked, resident, mappings), ..UNSEEN };
    let maps = |mapped, unlocked, on_fault| Ok(Mappings { mapped, unlocked, on_fault, ..Mappings::default() });
    let rest = |absent, copied| Ok(Mappings { mapped: KIB_8, absent, copied, ..Mappings::default() });
    let (zero, missing) = (Bytes::ZERO, Holding::Missing);
    let less = |locked, resident| missing(Fault::LockedLess { locked, resident });
    let pools = |buffers, locked| Facts { pools: Ok(Pools { buffers, locked }), ..UNSEEN };
    let stack = |found, needed| Facts { stack: Ok(Stack { found, needed }), ..UNSEEN };
    let short = missing(Fault::StackShort { found: KIB_4, needed: KIB_8 });
    let later = |later| Facts { locked_later: Ok(later), ..UNSEEN };
    let unlocked = missing(Fault::Unlocked { unlocked: KIB_4, mapped: KIB_8 });
    judged(&[
        ("every mapping is locked", Step::LockedMemory, of(KIB_8, KIB_8, maps(KIB_8, zero, zero)), Holding::Held),
        ("one is not", Step::LockedMemory, of(KIB_8, KIB_8, maps(KIB_8, KIB_4, zero)), unlocked),
        (
            "one is on fault",
            Step::LockedMemory,
            of(KIB_8, KIB_8, maps(KIB_8, zero, KIB_4)),
            missing(Fault::LockedOnFault { size: KIB_4 }),
        ),
        ("not locked before on fault", Step::LockedMemory, of(KIB_8, KIB_8, maps(KIB_8, KIB_4, KIB_4)), unlocked),
        (
            "a page could not be brought",
            Step::LockedMemory,
            of(KIB_8, KIB_8, rest(KIB_4, KIB_8)),
            missing(Fault::LockedAbsent { size: KIB_4 }),
        ),
        (
            "pages are shared",
            Step::LockedMemory,
            of(KIB_8, KIB_8, rest(zero, KIB_8)),
            missing(Fault::LockedCopied { size: KIB_8 }),
        ),
        (
            "no mapping at all",
            Step::LockedMemory,
            of(KIB_8, KIB_8, maps(zero, zero, zero)),
            Holding::CannotTell(PostureDoubt::Unreadable),
        ),
        ("by sums: nothing is locked", Step::LockedMemory, of(zero, KIB_8, Err(DOUBT)), less(zero, KIB_8)),
        ("by sums: nothing, and nothing is there", Step::LockedMemory, of(zero, zero, Err(DOUBT)), less(zero, zero)),
        ("by sums: less is locked", Step::LockedMemory, of(KIB_4, KIB_8, Err(DOUBT)), less(KIB_4, KIB_8)),
        // A locked mapping may be larger than all that is resident.
        ("by sums: enough", Step::LockedMemory, of(KIB_8, KIB_8, Err(DOUBT)), Holding::CannotTell(DOUBT)),
        ("no buffers are asked for", Step::Pools, pools(0, 0), Holding::Held),
        ("all are locked", Step::Pools, pools(2, 2), Holding::Held),
        ("one is not", Step::Pools, pools(2, 1), missing(Fault::PoolsUnlocked { unlocked: 1, buffers: 2 })),
        ("deep enough", Step::Stack, stack(KIB_8, KIB_8), Holding::Held),
        ("none is needed", Step::Stack, stack(zero, zero), Holding::Held),
        ("a page is missing", Step::Stack, stack(KIB_4, KIB_8), short),
        ("what comes is locked", Step::LockedLater, later(true), Holding::Held),
        ("what comes is not", Step::LockedLater, later(false), missing(Fault::NotLockedLater)),
    ]);
}

#[test]
fn score_and_threads() {
    let score = |score| Facts { oom_score: Ok(score), ..UNSEEN };
    let of = |total, flushers, early| Facts { threads: Ok(Threads { total, flushers, early }), ..UNSEEN };
    let missing = Holding::Missing;
    let release = PostureDoubt::Release { release: Release::new(9, 0) };
    let none = |missing, threads| Holding::Missing(Fault::NotIoFlusher { missing, threads });
    judged(&[
        ("the lowest", Step::OomScore, score(-1000), Holding::Held),
        ("nearly", Step::OomScore, score(-999), missing(Fault::OomScore { found: -999 })),
        ("no score the kernel gives", Step::OomScore, score(-1001), missing(Fault::OomScore { found: -1001 })),
        ("each", Step::IoFlusher, of(2, Ok(2), Ok(0)), Holding::Held),
        ("all but one", Step::IoFlusher, of(3, Ok(2), Ok(0)), none(1, 3)),
        ("none", Step::IoFlusher, of(1, Ok(0), Ok(0)), none(1, 1)),
        ("bits that move", Step::IoFlusher, of(1, Err(release), Ok(0)), Holding::CannotTell(release)),
        ("no thread", Step::IoFlusher, of(0, Ok(0), Ok(0)), Holding::CannotTell(PostureDoubt::Unreadable)),
        ("more than there are", Step::IoFlusher, of(1, Ok(2), Ok(0)), Holding::CannotTell(PostureDoubt::Unreadable)),
        ("none was there before", Step::EarlyThreads, of(2, Ok(0), Ok(0)), Holding::Held),
        ("two were", Step::EarlyThreads, of(4, Ok(2), Ok(2)), missing(Fault::EarlyThreads { threads: 2 })),
        ("two were, and took it themselves", Step::EarlyThreads, of(4, Ok(4), Ok(2)), Holding::Held),
        ("unknown", Step::EarlyThreads, of(4, Ok(2), Err(DOUBT)), Holding::CannotTell(DOUBT)),
        ("unknown, and no matter", Step::EarlyThreads, of(4, Ok(4), Err(DOUBT)), Holding::Held),
        ("two were, bits that move", Step::EarlyThreads, of(4, Err(release), Ok(0)), Holding::Held),
    ]);
}

fn core(limit: Option<u64>, pattern: CorePattern, dumpable: Seen<bool>) -> Seen<CoreDump> {
    Ok(CoreDump { limit: limit.map(Bytes::new), pattern, dumpable })
}

#[test]
fn cgroups_dumps_and_sinks() {
    use CorePattern::{File, Pipe, Socket};
    let (high, limit, zero) = (Some(KIB_4), Some(KIB_8), Some(0));
    let of = |high, limit, hidden| Facts { cgroup: Ok(Cgroup { high, limit, hidden }), ..UNSEEN };
    let throttled = Holding::Missing(Fault::Throttled { high: KIB_4 });
    let limited = Holding::Missing(Fault::Limited { limit: KIB_8 });
    let hidden = Holding::CannotTell(PostureDoubt::HiddenCgroups);
    let dump = |limit, pattern, dumpable| Facts { core_dump: core(limit, pattern, dumpable), ..UNSEEN };
    let (file, handed) = (Holding::Missing(Fault::CoreFile), Holding::Missing(Fault::CoreHandedOver));
    let sinks = |buffered, mapped, readers| Facts { sinks: Ok(Sinks { buffered, mapped, readers }), ..UNSEEN };
    let (none, mapped) = (Ok(0), Holding::Missing(Fault::MappedFiles { mappings: 3 }));
    let (yes, no, unknown) = (Ok(true), Ok(false), Err(DOUBT));
    judged(&[
        ("no bounds", Step::Cgroup, of(None, None, false), Holding::Held),
        ("throttled", Step::Cgroup, of(high, None, false), throttled),
        ("limited", Step::Cgroup, of(None, limit, false), limited),
        ("both", Step::Cgroup, of(high, limit, true), throttled),
        ("what is above is hidden", Step::Cgroup, of(None, None, true), hidden),
        ("hidden does not hide what is seen", Step::Cgroup, of(None, limit, true), limited),
        ("a file of none", Step::CoreDump, dump(zero, File, yes), Holding::Held),
        ("a file of one byte", Step::CoreDump, dump(Some(1), File, unknown), Holding::Held),
        ("a file of a page", Step::CoreDump, dump(Some(4096), File, yes), file),
        ("less than a page", Step::CoreDump, dump(Some(4095), File, yes), Holding::Held),
        ("a file without limit", Step::CoreDump, dump(None, File, yes), file),
        ("not dumpable", Step::CoreDump, dump(None, File, no), Holding::Held),
        ("not known to be", Step::CoreDump, dump(None, File, unknown), Holding::CannotTell(DOUBT)),
        ("a pipe ignores 0", Step::CoreDump, dump(zero, Pipe, yes), handed),
        ("a pipe minds 1", Step::CoreDump, dump(Some(1), Pipe, yes), Holding::Held),
        ("a pipe ignores 2", Step::CoreDump, dump(Some(2), Pipe, yes), handed),
        ("a socket ignores 1", Step::CoreDump, dump(Some(1), Socket, yes), handed),
        ("a socket, not dumpable", Step::CoreDump, dump(Some(1), Socket, no), Holding::Held),
        ("nothing is written", Step::LogSinks, sinks(0, none, 0), Holding::Held),
        ("a file", Step::LogSinks, sinks(1, none, 2), Holding::Missing(Fault::BufferedFiles { files: 1 })),
        ("a file in memory", Step::LogSinks, sinks(0, Ok(3), 2), mapped),
        ("mappings that are not shown", Step::LogSinks, sinks(0, Err(DOUBT), 2), Holding::CannotTell(DOUBT)),
        (
            "mappings do not hide a file",
            Step::LogSinks,
            sinks(1, Err(DOUBT), 0),
            Holding::Missing(Fault::BufferedFiles { files: 1 }),
        ),
        ("readers", Step::LogSinks, sinks(0, none, 2), Holding::CannotTell(PostureDoubt::Readers { sinks: 2 })),
    ]);
    for (pattern, expected) in
        [("core", File), ("", File), ("|/x %P", Pipe), ("@/run/x", Socket), ("@@/run/x", Socket), (" |/x", File)]
    {
        assert_eq!(CorePattern::of(pattern.as_bytes()), expected, "{pattern:?}");
    }
}
