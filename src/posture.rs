//! Decides whether a process is in the posture in which it may serve swap to its own kernel.
//!
//! Such a process must never wait for memory that only its own I/O can free: it preallocates, locks, is spared by the
//! OOM killer, allocates without I/O, and depends on nobody who does none of that. An adapter states what it saw of the
//! process, step by step; what could not be seen stays a doubt, and a doubt never holds.
//!
//! Sizes are [`Bytes`]. Source: Linux v6.18, `kernel/sys.c` (`PR_SET_IO_FLUSHER`), `mm/mlock.c`, `mm/oom_kill.c`
//! (`OOM_SCORE_ADJ_MIN`), `mm/memcontrol.c`, `fs/coredump.c`; core(5), cgroup-v2.rst.

use crate::reason::{PostureFault, PostureStep, Reason};
use crate::release::Release;
use crate::unit::Bytes;

/// What was seen, or why it was not.
pub type Seen<T> = Result<T, PostureDoubt>;

/// Why it cannot be told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PostureDoubt {
    /// The process belongs to another user, or has privileges that the one who looks has not.
    #[error("only its owner, or root with CAP_SYS_PTRACE, may look")]
    NotPermitted,
    /// It is known inside the process only.
    #[error("only the process itself can tell, in its own report")]
    Inside,
    /// This kernel was built without, or is too old for, what would show it.
    #[error("this kernel does not show it")]
    NotShown,
    /// It was shown in a form that is none.
    #[error("what the kernel shows of it could not be read")]
    Unreadable,
    /// The bits of a task's flags move between releases.
    #[error("the task flags of Linux {release} were not read")]
    Release {
        /// The release.
        release: Release,
    },
    /// A cgroup namespace, or a bind mount, hides what is above.
    #[error("the cgroups above its own are not visible from here")]
    HiddenCgroups,
    /// Who reads at the other end may need this swap, and a full pipe blocks who writes.
    #[error("whether those who read from {sinks} of its pipes, sockets or terminals need this swap is not known")]
    Readers {
        /// How many of them.
        sinks: u32,
    },
}

/// Whether a step of the posture holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holding {
    /// It was seen to hold.
    Held,
    /// It was seen not to.
    Missing(PostureFault),
    /// It was not seen.
    CannotTell(PostureDoubt),
}

impl Holding {
    /// The word for scripts: `held`, `missing`, `cannot-tell`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Missing(_) => "missing",
            Self::CannotTell(_) => "cannot-tell",
        }
    }

    /// Why the process may not serve for want of this step; `None` if it holds.
    pub const fn reason(&self, step: PostureStep) -> Option<Reason> {
        match self {
            Self::Held => None,
            Self::Missing(fault) => Some(Reason::Posture(*fault)),
            Self::CannotTell(_) => Some(Reason::Posture(PostureFault::Untold { step })),
        }
    }
}

/// Preallocated buffers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pools {
    /// All of them, mapped and touched.
    pub buffers: usize,
    /// Those that are locked.
    pub locked: usize,
}

/// One thread's stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stack {
    /// In memory below the frame that looked.
    pub found: Bytes,
    /// Asked for.
    pub needed: Bytes,
}

/// What is mapped now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// `VmLck`.
    pub locked: Bytes,
    /// `VmRSS`.
    pub resident: Bytes,
    /// Mapping by mapping.
    pub mappings: Seen<Mappings>,
}

/// The mappings that can be locked, summed up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mappings {
    /// All that can be locked.
    pub mapped: Bytes,
    /// Those that are not.
    pub unlocked: Bytes,
    /// Those that are locked only once touched (`VM_LOCKONFAULT`).
    pub on_fault: Bytes,
    /// Of those that are locked, the pages that are not in memory: `mlockall` succeeds although it could not bring them.
    pub absent: Bytes,
    /// Of those that are locked, private and writable, the pages that another process has too, or KSM may merge: the
    /// next write allocates a copy.
    pub copied: Bytes,
}

/// The threads of the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Threads {
    /// All of them.
    pub total: u32,
    /// Those that are IO_FLUSHER.
    pub flushers: Seen<u32>,
    /// Those, but the one that took it, that were there before the posture.
    pub early: Seen<u32>,
}

/// The memory cgroup of the process and those above it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cgroup {
    /// The lowest `memory.high`.
    pub high: Option<Bytes>,
    /// The lowest `memory.max`, or `memory.limit_in_bytes`.
    pub limit: Option<Bytes>,
    /// Whether some above it may not be visible.
    pub hidden: bool,
}

/// What a crash leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CoreDump {
    /// `RLIMIT_CORE`, soft; `None` is unlimited.
    pub limit: Option<Bytes>,
    /// Where core_pattern sends it.
    pub pattern: CorePattern,
    /// Whether the process may be dumped at all (`PR_SET_DUMPABLE`).
    pub dumpable: Seen<bool>,
}

/// Where a core dump goes, by the first letter of /proc/sys/kernel/core_pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CorePattern {
    /// To a file.
    File,
    /// `|`: to a program. Any limit but 1 is ignored.
    Pipe,
    /// `@`: to a socket. The limit is ignored.
    Socket,
}

impl CorePattern {
    /// Reads the first letter.
    pub const fn of(pattern: &[u8]) -> Self {
        match pattern {
            [b'|', ..] => Self::Pipe,
            [b'@', ..] => Self::Socket,
            _ => Self::File,
        }
    }
}

/// What the process writes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sinks {
    /// Regular files and block devices open for writing, not by direct I/O.
    pub buffered: u32,
    /// Mappings, shared and writable, of files that are not kept in memory alone. Closing the file leaves them.
    pub mapped: Seen<u32>,
    /// Pipes, sockets and terminals on which a write may block, whoever reads there.
    pub readers: u32,
}

/// What was seen of one process, step by step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Of [`PostureStep::Pools`].
    pub pools: Seen<Pools>,
    /// Of [`PostureStep::Stack`]: of several threads the worst.
    pub stack: Seen<Stack>,
    /// Of [`PostureStep::LockedMemory`].
    pub memory: Seen<Memory>,
    /// Of [`PostureStep::LockedLater`].
    pub locked_later: Seen<bool>,
    /// Of [`PostureStep::OomScore`].
    pub oom_score: Seen<i32>,
    /// Of [`PostureStep::IoFlusher`] and [`PostureStep::EarlyThreads`].
    pub threads: Seen<Threads>,
    /// Of [`PostureStep::Cgroup`].
    pub cgroup: Seen<Cgroup>,
    /// Of [`PostureStep::CoreDump`].
    pub core_dump: Seen<CoreDump>,
    /// Of [`PostureStep::LogSinks`].
    pub sinks: Seen<Sinks>,
}

impl Facts {
    /// Nothing was seen, for this reason.
    pub const fn unseen(doubt: PostureDoubt) -> Self {
        Self {
            pools: Err(doubt),
            stack: Err(doubt),
            memory: Err(doubt),
            locked_later: Err(doubt),
            oom_score: Err(doubt),
            threads: Err(doubt),
            cgroup: Err(doubt),
            core_dump: Err(doubt),
            sinks: Err(doubt),
        }
    }

    /// Whether a step holds.
    pub fn judge(&self, step: PostureStep) -> Holding {
        match self.fault(step) {
            Ok(None) => Holding::Held,
            Ok(Some(fault)) => Holding::Missing(fault),
            Err(doubt) => Holding::CannotTell(doubt),
        }
    }

    fn fault(&self, step: PostureStep) -> Seen<Option<PostureFault>> {
        match step {
            PostureStep::Pools => Ok(self.pools?.fault()),
            PostureStep::Stack => Ok(self.stack?.fault()),
            PostureStep::LockedMemory => self.memory?.fault(),
            PostureStep::LockedLater => Ok((!self.locked_later?).then_some(PostureFault::NotLockedLater)),
            PostureStep::OomScore => {
                let found = self.oom_score?;
                Ok((found != OOM_SCORE_ADJ_MIN).then_some(PostureFault::OomScore { found }))
            }
            PostureStep::IoFlusher => self.threads?.flusher_fault(),
            PostureStep::EarlyThreads => self.threads?.early_fault(),
            PostureStep::Cgroup => self.cgroup?.fault(),
            PostureStep::CoreDump => self.core_dump?.fault(),
            PostureStep::LogSinks => self.sinks?.fault(),
        }
    }
}

impl Pools {
    const fn fault(self) -> Option<PostureFault> {
        match self.buffers.checked_sub(self.locked) {
            Some(0) | None => None,
            Some(unlocked) => Some(PostureFault::PoolsUnlocked { unlocked, buffers: self.buffers }),
        }
    }
}

impl Stack {
    fn fault(self) -> Option<PostureFault> {
        let Self { found, needed } = self;
        (found < needed).then_some(PostureFault::StackShort { found, needed })
    }
}

impl Memory {
    fn fault(self) -> Seen<Option<PostureFault>> {
        let Self { locked, resident, mappings } = self;
        let none = Bytes::ZERO;
        Ok(match mappings {
            // A process without a mapping that could be locked is none that serves.
            Ok(Mappings { mapped, .. }) if mapped == none => return Err(PostureDoubt::Unreadable),
            Ok(Mappings { unlocked, mapped, .. }) if unlocked > none => {
                Some(PostureFault::Unlocked { unlocked, mapped })
            }
            Ok(Mappings { on_fault: size, .. }) if size > none => Some(PostureFault::LockedOnFault { size }),
            Ok(Mappings { absent: size, .. }) if size > none => Some(PostureFault::LockedAbsent { size }),
            Ok(Mappings { copied: size, .. }) if size > none => Some(PostureFault::LockedCopied { size }),
            Ok(_) => None,
            // `VmLck` counts mappings in whole, so with all of them locked it is no less than what is resident.
            Err(_) if locked < resident || locked == none => Some(PostureFault::LockedLess { locked, resident }),
            Err(doubt) => return Err(doubt),
        })
    }
}

impl Threads {
    fn flusher_fault(self) -> Seen<Option<PostureFault>> {
        let threads = self.total;
        let missing = threads.checked_sub(self.flushers?).ok_or(PostureDoubt::Unreadable)?;
        if threads == 0 {
            return Err(PostureDoubt::Unreadable);
        }
        Ok((missing > 0).then_some(PostureFault::NotIoFlusher { missing, threads }))
    }

    /// Threads that were there before are as good as the others once each is IO_FLUSHER: by now their memory is locked.
    fn early_fault(self) -> Seen<Option<PostureFault>> {
        if self.flusher_fault() == Ok(None) {
            return Ok(None);
        }
        let threads = self.early?;
        Ok((threads > 0).then_some(PostureFault::EarlyThreads { threads }))
    }
}

impl Cgroup {
    const fn fault(self) -> Seen<Option<PostureFault>> {
        match self {
            Self { high: Some(high), .. } => Ok(Some(PostureFault::Throttled { high })),
            Self { limit: Some(limit), .. } => Ok(Some(PostureFault::Limited { limit })),
            Self { hidden: true, .. } => Err(PostureDoubt::HiddenCgroups),
            Self { high: None, limit: None, hidden: false } => Ok(None),
        }
    }
}

impl CoreDump {
    fn fault(self) -> Seen<Option<PostureFault>> {
        let fault = match (self.pattern, self.limit.map(Bytes::get)) {
            (CorePattern::File, Some(limit)) if limit < SMALLEST_CORE => return Ok(None),
            (CorePattern::Pipe, Some(1)) => return Ok(None),
            (CorePattern::File, _) => PostureFault::CoreFile,
            (CorePattern::Pipe | CorePattern::Socket, _) => PostureFault::CoreHandedOver,
        };
        Ok(self.dumpable?.then_some(fault))
    }
}

impl Sinks {
    const fn fault(self) -> Seen<Option<PostureFault>> {
        match self {
            Self { buffered: 0, mapped: Ok(0), readers: 0 } => Ok(None),
            Self { buffered: 0, mapped: Ok(0), readers: sinks } => Err(PostureDoubt::Readers { sinks }),
            Self { buffered: 0, mapped: Ok(mappings), .. } => Ok(Some(PostureFault::MappedFiles { mappings })),
            Self { buffered: 0, mapped: Err(doubt), .. } => Err(doubt),
            Self { buffered: files, .. } => Ok(Some(PostureFault::BufferedFiles { files })),
        }
    }
}

/// include/uapi/linux/oom.h
const OOM_SCORE_ADJ_MIN: i32 = -1000;

/// `min_coredump` of fs/binfmt_elf.c, `ELF_EXEC_PAGESIZE`: a page or more.
const SMALLEST_CORE: u64 = 4096;
