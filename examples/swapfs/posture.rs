//! The posture of mode `loop`: taken before any thread is started, and proven before anybody may swap.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use swap_dio::Bytes;
use swap_dio::fuse::adapter::Bounce;
use swap_dio::linux::reclaim::{Applied, Posture, Report, Step, Worker};
use swap_dio::posture::Holding;

use crate::filesystem::BUFFER;
use crate::say::say;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Steps that whoever accepts a loop device over FUSE accepts too: the kernel's side of it may hang whether they hold
/// or not. The others keep the server from waiting for a page of its own, even in a memory cgroup.
const BORNE: [Step; 6] =
    [Step::OomScore, Step::IoFlusher, Step::EarlyThreads, Step::Cgroup, Step::CoreDump, Step::LogSinks];

/// A posture that was taken, as far as it was granted.
pub(crate) struct Taken {
    applied: Applied,
    accepted: BTreeSet<Step>,
}

impl Taken {
    /// Takes it, with buffers for so many threads. What of it may be missing besides was accepted by name.
    pub(crate) fn new(threads: usize, accepted: BTreeSet<Step>) -> Result<(Self, Bounce)> {
        let posture = Posture::new().pool(threads, BUFFER).stack(STACK);
        let posture = BORNE.iter().chain(&accepted).fold(posture, |posture, step| posture.accept(*step));
        let mut applied = posture.apply()?;
        let pool = applied.take_pools().pop().ok_or("no pool")?;
        Ok((Self { applied, accepted }, pool))
    }

    /// Refuses to go on unless each step holds or was accepted; says what does not hold, a line each.
    pub(crate) fn prove(&self, workers: &[Worker]) -> Result<()> {
        match self.applied.ready(workers) {
            Ok(ready) => {
                self.tell(ready.report());
                Ok(())
            }
            Err(error) => {
                self.tell(&self.applied.report()?);
                Err(error.into())
            }
        }
    }

    fn tell(&self, report: &Report) {
        for found in report.findings() {
            let why = match found.holding {
                Holding::Held => continue,
                Holding::Missing(fault) => fault.to_string(),
                Holding::CannotTell(doubt) => doubt.to_string(),
            };
            let by = match found.step {
                step if self.accepted.contains(&step) => "accepted",
                step if BORNE.contains(&step) => "accepted by loop-over-fuse",
                _ => "refused",
            };
            let grant = found.grant().map(|grant| format!(" -> {grant}")).unwrap_or_default();
            let grant = grant.replace("PID", &std::process::id().to_string());
            say(format_args!("{by}: {}: {why}{grant}", found.step));
        }
    }
}

/// The threads that serve. Each checks itself once, by the first request that it is given, and then waits until all
/// have: so that one that is quick leaves some for the others.
#[derive(Debug)]
pub(crate) struct Crew {
    size: usize,
    is_complete: AtomicBool,
    checked: Mutex<Vec<Worker>>,
    changed: Condvar,
}

impl Crew {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, is_complete: AtomicBool::new(false), checked: Mutex::default(), changed: Condvar::new() }
    }

    /// Checks the calling thread, if the crew is not complete.
    pub(crate) fn report_in(&self) {
        if self.is_complete.load(Ordering::Acquire) {
            return;
        }
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_complete.load(Ordering::Acquire) {
            return;
        }
        let worker = Worker::check(STACK);
        if checked.iter().all(|other| other.thread() != worker.thread()) {
            checked.push(worker);
        }
        self.changed.notify_all();
        let waits = |checked: &mut Vec<Worker>| checked.len() < self.size && !self.is_complete.load(Ordering::Acquire);
        drop(self.changed.wait_timeout_while(checked, PATIENCE, waits));
    }

    /// What they found, all of them, or those that were there in time. None checks itself after that.
    pub(crate) fn take(&self) -> Vec<Worker> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_complete.store(true, Ordering::Release);
        self.changed.notify_all();
        std::mem::take(&mut *checked)
    }

    /// How many there are.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }
}

/// Of each thread that serves.
const STACK: Bytes = Bytes::new(128 << 10);
/// For threads to be started.
const PATIENCE: Duration = Duration::from_secs(10);
