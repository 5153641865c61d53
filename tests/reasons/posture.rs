//! The reasons of a process that is not in the posture to serve swap.

use super::Row;
use swap_dio::posture::{Cgroup, Facts, PostureDoubt, Threads};
use swap_dio::reason::{Answer, PostureFault, PostureStep};
use swap_dio::{Bytes, Reason, Verdict};

pub(crate) fn rows() -> Vec<Row> {
    use PostureFault as F;
    let (one, two) = (Bytes::new(4096), Bytes::new(8192));
    let doubt = Facts::unseen(PostureDoubt::NotPermitted);
    let threads = Threads { total: 3, flushers: Ok(1), early: Ok(1) };
    let judged = |facts: Facts, step: PostureStep| facts.judge(step).reason(step).expect("it does not hold");
    let told = [
        (judged(Facts { oom_score: Ok(0), ..doubt }, PostureStep::OomScore), F::OomScore { found: 0 }),
        (judged(Facts { locked_later: Ok(false), ..doubt }, PostureStep::LockedLater), F::NotLockedLater),
        (
            judged(Facts { threads: Ok(threads), ..doubt }, PostureStep::IoFlusher),
            F::NotIoFlusher { missing: 2, threads: 3 },
        ),
        (judged(Facts { threads: Ok(threads), ..doubt }, PostureStep::EarlyThreads), F::EarlyThreads { threads: 1 }),
        (
            judged(Facts { cgroup: Ok(Cgroup { high: Some(one), ..Cgroup::default() }), ..doubt }, PostureStep::Cgroup),
            F::Throttled { high: one },
        ),
        (judged(doubt, PostureStep::Pools), F::Untold { step: PostureStep::Pools }),
    ];
    let made = [
        F::PoolsUnlocked { unlocked: 1, buffers: 2 },
        F::StackShort { found: one, needed: two },
        F::Unlocked { unlocked: one, mapped: two },
        F::LockedLess { locked: one, resident: two },
        F::LockedOnFault { size: one },
        F::LockedAbsent { size: one },
        F::LockedCopied { size: one },
        F::Limited { limit: one },
        F::CoreFile,
        F::CoreHandedOver,
        F::BufferedFiles { files: 1 },
        F::MappedFiles { mappings: 1 },
    ];
    let row = |(got, fault)| (got, Reason::Posture(fault), "posture", Verdict::Refuse, Answer::Accepts, true);
    told.into_iter().chain(made.map(|fault| (Reason::Posture(fault), fault))).map(row).collect()
}
