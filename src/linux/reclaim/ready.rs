//! Workers check themselves, and only then is a server ready: the proof that others wait for.

use super::process::Process;
use super::report::{Report, ReportError};
use super::{stack, threads};
use crate::posture::{PostureDoubt, Seen, Stack};
use crate::reason::PostureStep;
use crate::unit::Bytes;

/// What one thread found out about itself. Only that thread can make it.
#[derive(Debug)]
pub struct Worker {
    pub(super) thread: u32,
    pub(super) flusher: Option<bool>,
    pub(super) stack: Seen<Stack>,
}

impl Worker {
    /// Checks the calling thread: touches so many bytes of its stack, looks whether they are in memory, and whether
    /// the thread is IO_FLUSHER.
    ///
    /// Call it in each thread that will serve, where it will serve from, before anything depends on it.
    pub fn check(stack: Bytes) -> Self {
        let stack = match Process::caller() {
            Ok(process) => stack::touch(&process, stack),
            Err(_) => Err(PostureDoubt::NotShown),
        };
        Self { thread: threads::number(), flusher: threads::caller(), stack }
    }

    /// The number of the thread, as in /proc/PID/task.
    pub const fn thread(&self) -> u32 {
        self.thread
    }

    /// Whether it is IO_FLUSHER; `None` if that cannot be told.
    pub const fn flusher(&self) -> Option<bool> {
        self.flusher
    }

    /// How much of its stack is in memory.
    pub const fn stack(&self) -> Seen<Stack> {
        self.stack
    }
}

/// The process may serve: every step holds, or was accepted by name. Only [`Applied::ready`](super::Applied::ready)
/// makes one.
///
/// ```compile_fail
/// let ready = swap_dio::linux::reclaim::Ready {};
/// ```
#[derive(Debug)]
#[must_use = "it is what the first request waits for"]
pub struct Ready {
    report: Report,
}

impl Ready {
    pub(super) fn new(report: Report) -> Result<Self, NotReady> {
        if report.holds() { Ok(Self { report }) } else { Err(NotReady::Posture(Box::new(report))) }
    }

    /// The report that it rests on.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The steps that do not hold and were accepted by name: print them.
    pub fn degraded(&self) -> impl Iterator<Item = PostureStep> {
        self.report.degraded()
    }
}

/// Why the process may not serve yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// No thread has checked itself.
    #[error("no worker has checked itself")]
    NoWorker,
    /// A thread that has ended serves nothing.
    #[error("thread {thread}, which checked itself, is gone")]
    Gone {
        /// Its number.
        thread: u32,
    },
    /// Steps that do not hold and were not accepted.
    #[error("not in the posture to serve swap: {}; what can be borne may be accepted by name", names(.0))]
    Posture(Box<Report>),
    /// There is no report to judge by.
    #[error(transparent)]
    Report(#[from] ReportError),
}

fn names(report: &Report) -> String {
    let missing = report.findings().iter().filter(|found| !found.passes());
    let names: Vec<String> = missing.map(|found| format!("{} ({})", found.step, found.holding.word())).collect();
    names.join(", ")
}

/// The worse of two stacks: a doubt, or the one that lacks more.
pub(super) fn worse(one: Seen<Stack>, other: Seen<Stack>) -> Seen<Stack> {
    let lacks = |stack: Stack| stack.needed.get().saturating_sub(stack.found.get());
    let (one, other) = (one?, other?);
    Ok(if lacks(one) >= lacks(other) { one } else { other })
}
