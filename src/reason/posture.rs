//! What can be missing of the posture in which a process may serve swap: each fault once, by the step it belongs to.

use core::fmt;

use super::Answer;
use super::Class::Permanent;
use super::table::{Row, own};
use crate::unit::Bytes;

/// A step of the reclaim posture. Its name is how a degraded posture is accepted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum PostureStep {
    /// Buffers are preallocated, touched and locked.
    Pools,
    /// The stack is as deep in memory as it will be needed.
    Stack,
    /// What is mapped now is locked: `mlockall(MCL_CURRENT)`.
    LockedMemory,
    /// What will be mapped is locked: `mlockall(MCL_FUTURE)`.
    LockedLater,
    /// The OOM killer does not choose it.
    OomScore,
    /// Its own allocations do not wait for I/O that it must serve: `PR_SET_IO_FLUSHER`, thread by thread.
    IoFlusher,
    /// No thread was there before the steps that threads inherit.
    EarlyThreads,
    /// No memory cgroup throttles or limits it.
    Cgroup,
    /// A crash writes no core dump.
    CoreDump,
    /// It writes to nothing that may wait for this swap.
    LogSinks,
}

impl PostureStep {
    /// Every step, in the order in which they are taken and reported.
    pub const ALL: [Self; 10] = [
        Self::Pools,
        Self::Stack,
        Self::LockedMemory,
        Self::LockedLater,
        Self::OomScore,
        Self::IoFlusher,
        Self::EarlyThreads,
        Self::Cgroup,
        Self::CoreDump,
        Self::LogSinks,
    ];

    /// The stable name, kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pools => "pools",
            Self::Stack => "stack",
            Self::LockedMemory => "locked-memory",
            Self::LockedLater => "locked-later",
            Self::OomScore => "oom-score",
            Self::IoFlusher => "io-flusher",
            Self::EarlyThreads => "early-threads",
            Self::Cgroup => "cgroup",
            Self::CoreDump => "core-dump",
            Self::LogSinks => "log-sinks",
        }
    }

    /// The step of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl fmt::Display for PostureStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is missing of the reclaim posture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PostureFault {
    /// Buffers that may be paged out.
    #[error("{unlocked} of {buffers} preallocated buffers are not locked in memory")]
    PoolsUnlocked {
        /// Buffers that are not locked.
        unlocked: usize,
        /// All of them.
        buffers: usize,
    },
    /// A stack that will still grow, or fault, while it serves.
    #[error("{found} of the stack below the check are in memory, {needed} are needed")]
    StackShort {
        /// In memory, below the frame that checked.
        found: Bytes,
        /// Asked for.
        needed: Bytes,
    },
    /// Mappings that may be paged out.
    #[error("{unlocked} of {mapped} mapped are not locked in memory")]
    Unlocked {
        /// Mapped and not locked.
        unlocked: Bytes,
        /// Mapped, as far as it can be locked.
        mapped: Bytes,
    },
    /// The same by sums alone, where the mappings themselves may not be read.
    #[error("{locked} are locked in memory, {resident} are resident")]
    LockedLess {
        /// `VmLck`.
        locked: Bytes,
        /// `VmRSS`.
        resident: Bytes,
    },
    /// `MCL_ONFAULT`: it brings the page fault back that locking is there to avoid.
    #[error("{size} are locked only once they are touched (MCL_ONFAULT), the first touch waits for a page")]
    LockedOnFault {
        /// Of the mappings.
        size: Bytes,
    },
    /// `mlockall` says nothing of pages that it could not bring.
    #[error("{size} are locked but not in memory, the first touch waits for a page")]
    LockedAbsent {
        /// Of the pages.
        size: Bytes,
    },
    /// Pages of a process that forked, or of KSM: the lock does not spare them the copy.
    #[error(
        "{size} that are locked are shared with another process, or may be merged (KSM), the next write waits for a copy"
    )]
    LockedCopied {
        /// Of the pages.
        size: Bytes,
    },
    /// A stack or a buffer that is mapped next will not be locked.
    #[error("what is mapped from now on is not locked (no MCL_FUTURE)")]
    NotLockedLater,
    /// The OOM killer may choose the only process that can free memory.
    #[error("oom_score_adj is {found}, only -1000 keeps the OOM killer away")]
    OomScore {
        /// What it is.
        found: i32,
    },
    /// Threads whose own allocations may wait for swap that only they can write.
    #[error("{missing} of {threads} threads are no IO_FLUSHER, what they allocate may wait for their own I/O")]
    NotIoFlusher {
        /// Threads that are none.
        missing: u32,
        /// All threads.
        threads: u32,
    },
    /// Threads that inherited nothing.
    #[error("{threads} other threads were there before the posture and did not inherit it")]
    EarlyThreads {
        /// How many.
        threads: u32,
    },
    /// `memory.high`: who allocates above it is put to sleep.
    #[error("its memory cgroup is throttled above {high}")]
    Throttled {
        /// The lowest on the way up.
        high: Bytes,
    },
    /// `memory.max`: at it reclaim begins, and then the OOM killer comes, while the machine has memory.
    #[error("its memory cgroup is limited to {limit}, where reclaim waits for this very process")]
    Limited {
        /// The lowest on the way up.
        limit: Bytes,
    },
    /// A core file, whose writing needs memory while this swap has no server.
    #[error("a crash would write its memory, with pages of others in it, to a core file")]
    CoreFile,
    /// The same through a program or a socket (`core_pattern` begins with `|` or `@`).
    #[error("a crash would hand its memory, with pages of others in it, to the program of core_pattern")]
    CoreHandedOver,
    /// Files that are written through the page cache.
    #[error("{files} of its open files are written through the page cache, which waits for memory")]
    BufferedFiles {
        /// How many.
        files: u32,
    },
    /// Shared mappings of files: after each writeback the next store runs a transaction of the filesystem.
    #[error(
        "{mappings} of its shared mappings are files that are written through the page cache, which waits for memory"
    )]
    MappedFiles {
        /// How many.
        mappings: u32,
    },
    /// What cannot be told does not hold.
    #[error("whether the step {step} of the reclaim posture holds cannot be told")]
    Untold {
        /// The step.
        step: PostureStep,
    },
}

impl PostureFault {
    /// The step that does not hold.
    pub const fn step(&self) -> PostureStep {
        match self {
            Self::PoolsUnlocked { .. } => PostureStep::Pools,
            Self::StackShort { .. } => PostureStep::Stack,
            Self::Unlocked { .. }
            | Self::LockedLess { .. }
            | Self::LockedOnFault { .. }
            | Self::LockedAbsent { .. }
            | Self::LockedCopied { .. } => PostureStep::LockedMemory,
            Self::NotLockedLater => PostureStep::LockedLater,
            Self::OomScore { .. } => PostureStep::OomScore,
            Self::NotIoFlusher { .. } => PostureStep::IoFlusher,
            Self::EarlyThreads { .. } => PostureStep::EarlyThreads,
            Self::Throttled { .. } | Self::Limited { .. } => PostureStep::Cgroup,
            Self::CoreFile | Self::CoreHandedOver => PostureStep::CoreDump,
            Self::BufferedFiles { .. } | Self::MappedFiles { .. } => PostureStep::LogSinks,
            Self::Untold { step } => *step,
        }
    }

    /// What grants it: a line of a unit file, a command, or what the program itself must do. `PID` stands for the
    /// process, as `FILE` does for a path.
    pub const fn grant(&self) -> &'static str {
        match self {
            Self::PoolsUnlocked { .. } | Self::Unlocked { .. } | Self::LockedLess { .. } => LOCK,
            Self::StackShort { .. } => "give the thread a larger stack, or ask for less; as root, for main: ulimit -s",
            Self::LockedOnFault { .. } => "call mlockall without MCL_ONFAULT",
            Self::LockedAbsent { .. } => {
                "touch every page before mlockall, and start threads after it; unmap what has no pages"
            }
            Self::LockedCopied { .. } => {
                "fork before mlockall, or end what was forked; against KSM, unit file: MemoryKSM=no, or call \
                 prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0)"
            }
            Self::NotLockedLater => LOCK,
            Self::OomScore { .. } => "unit file: OOMScoreAdjust=-1000; by hand, as root: choom -n -1000 -p PID",
            Self::NotIoFlusher { .. } => FLUSHER,
            Self::EarlyThreads { .. } => "take the posture first in main, before any thread is started",
            Self::Throttled { .. } => "unit file, and each slice above it: MemoryHigh=infinity",
            Self::Limited { .. } => {
                "unit file, and each slice above it: MemoryMax=infinity; MemoryMin= protects instead"
            }
            Self::CoreFile => "unit file: LimitCORE=1; by hand: prlimit --core=1 --pid PID",
            Self::CoreHandedOver => {
                "unit file: LimitCORE=1 (0 does not stop a pipe); by hand: prlimit --core=1 --pid PID; for a socket only \
                 prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) helps"
            }
            Self::BufferedFiles { .. } => {
                "unit file: StandardOutput=null, StandardError=null; close the others, or open what it serves with O_DIRECT"
            }
            Self::MappedFiles { .. } => "unmap them, or map a copy: MAP_PRIVATE, memfd_create, a file in /dev/shm",
            Self::Untold { .. } => "look again as root, or let the server report of itself",
        }
    }

    /// It stays until the process is changed: to ask again changes nothing. The kernel asks for none of it.
    pub(super) const fn row(&self) -> Row {
        own("posture", Permanent, Answer::Accepts)
    }
}

const LOCK: &str = "unit file: LimitMEMLOCK=infinity, or AmbientCapabilities=CAP_IPC_LOCK; by hand: ulimit -l unlimited; \
then call mlockall(MCL_CURRENT | MCL_FUTURE)";
const FLUSHER: &str = "unit file: AmbientCapabilities=CAP_SYS_RESOURCE (there is no line for IO_FLUSHER itself); then call \
prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) in main before any thread is started; needs Linux 5.6";
