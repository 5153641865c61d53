//! The report: each step of the posture with what was seen, what is missing, and what grants it.

use rustix::io::Errno;

use super::look::{self, Inside};
use super::notes::Notes;
use super::process::{Process, Stat, Status};
use crate::linux::error::plain;
use crate::posture::{Facts, Holding, PostureDoubt};
use crate::reason::{PostureStep, Reason};

/// In which posture a process is.
#[derive(Clone, Debug)]
pub struct Report {
    pid: u32,
    name: String,
    findings: Vec<Finding>,
}

/// One step of a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The step.
    pub step: PostureStep,
    /// Whether it holds.
    pub holding: Holding,
    /// Whether it was accepted by name that it may not.
    pub accepted: bool,
    /// What was seen, one line each, with the names that a reason cannot carry.
    pub notes: Vec<String>,
}

/// Why there is no report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is gone, was never there, or is hidden (`hidepid`).
    #[error("no process {pid} is shown in /proc")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// It has ended.
    #[error("process {pid} has ended")]
    Ended {
        /// Its number.
        pid: u32,
    },
    /// It has no memory of its own.
    #[error("process {pid} is a kernel thread: the posture is of processes of user space")]
    KernelThread {
        /// Its number.
        pid: u32,
    },
    /// A thread, named as if it were a process.
    #[error("{pid} is a thread of process {process}: ask for that")]
    Thread {
        /// Its number.
        pid: u32,
        /// Its process.
        process: u32,
    },
    /// /proc cannot be read.
    #[error("cannot read /proc/{pid}: {}", plain(*.error))]
    Proc {
        /// Of which process.
        pid: u32,
        /// Why not.
        error: Errno,
    },
    /// /proc shows something that is none.
    #[error("/proc/{pid} cannot be understood")]
    Unreadable {
        /// Of which process.
        pid: u32,
    },
}

impl ReportError {
    pub(super) fn of(pid: u32, error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::NoProcess { pid },
            Errno::SRCH => Self::Ended { pid },
            error => Self::Proc { pid, error },
        }
    }
}

impl Report {
    /// Reports of the calling process as it is; nothing is changed.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn caller() -> Result<Self, ReportError> {
        Self::from_inside(&Inside::default())
    }

    /// Reports of any process, by what /proc shows this user of it; nothing is changed.
    ///
    /// # Errors
    /// [`ReportError`]: there is no such process, or it is none that could serve.
    pub fn of(pid: u32) -> Result<Self, ReportError> {
        Self::new(&Process::of(pid)?, &Inside::default())
    }

    /// Reports of the calling process with what only itself can tell.
    pub(super) fn from_inside(inside: &Inside<'_>) -> Result<Self, ReportError> {
        Self::new(&Process::caller()?, inside)
    }

    fn new(process: &Process, inside: &Inside<'_>) -> Result<Self, ReportError> {
        let pid = process.pid;
        let (status, name) = identify(process)?;
        let mut notes = inside.notes.clone();
        let facts = look::at(process, &status, inside, &mut notes);
        // What ended meanwhile has given half of the answers.
        identify(process)?;
        Ok(Self { pid, name, findings: judge(&facts, &notes, inside.accepted) })
    }

    /// The number of the process.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name, as it set it; control characters are escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every step, in order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether every step holds, or was accepted by name.
    pub fn holds(&self) -> bool {
        self.findings.iter().all(Finding::passes)
    }

    /// The steps that do not hold and were accepted by name.
    pub fn degraded(&self) -> impl Iterator<Item = PostureStep> {
        self.findings.iter().filter(|found| found.holding != Holding::Held && found.accepted).map(|found| found.step)
    }

    /// Why the process may not serve; none if it may.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.findings.iter().filter(|found| !found.accepted).filter_map(|found| found.holding.reason(found.step))
    }

    /// Accepts by name that a step does not hold.
    pub fn accept(&mut self, step: PostureStep) {
        self.findings.iter_mut().filter(|found| found.step == step).for_each(|found| found.accepted = true);
    }
}

impl Finding {
    /// Whether the step holds, or was accepted by name.
    pub fn passes(&self) -> bool {
        self.accepted || self.holding == Holding::Held
    }

    /// What grants the step; `PID` in it is the process.
    pub const fn grant(&self) -> Option<&'static str> {
        match self.holding {
            Holding::Missing(fault) => Some(fault.grant()),
            Holding::Held | Holding::CannotTell(_) => None,
        }
    }
}

fn judge(facts: &Facts, notes: &Notes, accepted: &[PostureStep]) -> Vec<Finding> {
    let finding = |step| {
        let (holding, accepted) = (facts.judge(step), accepted.contains(&step));
        Finding { step, holding, accepted, notes: notes.of(step) }
    };
    PostureStep::ALL.into_iter().map(finding).collect()
}

/// What the process is, if it is one that could serve.
fn identify(process: &Process) -> Result<(Status, String), ReportError> {
    let pid = process.pid;
    let read = |name| match process.read(name) {
        Ok(text) => Ok(text),
        Err(PostureDoubt::NotShown) => Err(ReportError::Ended { pid }),
        Err(PostureDoubt::NotPermitted) => Err(ReportError::Proc { pid, error: Errno::ACCESS }),
        Err(_) => Err(ReportError::Unreadable { pid }),
    };
    let status = Status::new(read("status")?);
    let stat = Stat::parse(&read("stat")?).ok_or(ReportError::Unreadable { pid })?;
    let (leader, number) = (status.number("Tgid"), status.number("Pid"));
    if let (Some(leader), Some(number)) = (leader, number)
        && leader != number
    {
        return Err(ReportError::Thread { pid, process: leader });
    }
    if matches!(status.state(), Some('Z' | 'X')) {
        return Err(ReportError::Ended { pid });
    }
    if status.size("VmRSS").is_none() {
        return Err(ReportError::KernelThread { pid });
    }
    Ok((status, String::from_utf8_lossy(&stat.name).escape_debug().to_string()))
}
