//! The posture in which a process may serve swap to its own kernel: taken step by step, reported, and proven.
//!
//! A server that waits for memory which only its own I/O can free hangs the machine. Against that it preallocates,
//! locks, is spared by the OOM killer and allocates without I/O; none of it can be taken for granted, and most of it
//! is refused silently where a capability is missing. So each step is tried, read back, and reported with what grants
//! it. A step that does not hold is borne only if it was accepted by name.
//!
//! ```no_run
//! use swap_dio::Bytes;
//! use swap_dio::linux::reclaim::{Posture, Worker};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First: every file, ring, socket and log is open, and no thread is started yet.
//!     let stack = Bytes::new(128 << 10);
//!     let mut taken = Posture::new().pool(64, 128 << 10).stack(stack).apply()?;
//!     let pool = taken.take_pools();
//!     // Then: privileges are dropped, workers started; each checks itself.
//!     let (tell, told) = std::sync::mpsc::channel();
//!     let worker = std::thread::spawn(move || {
//!         tell.send(Worker::check(stack)).ok();
//!         // … serve from `pool`
//!         drop(pool);
//!     });
//!     let ready = taken.ready(&[told.recv()?])?; // the proof; only now swapon, or UBLK_CMD_START_DEV
//!     drop(ready);
//!     worker.join().map_err(|_| "the worker died")?;
//!     Ok(())
//! }
//! ```
//!
//! What no step can see stays with the server: no allocation, no lock of a thread that allocates, no DNS, no thread and
//! no unbounded queue on the way of a request; what locale or lazy statics it needs was touched before.
//!
//! IO_FLUSHER gives no reserves: an allocation may still fail or wait, only not for I/O.
//!
//! Locking needs CAP_IPC_LOCK, or a limit above all that will ever be mapped, thread stacks among it: with the
//! capability dropped and a limit left, a later thread cannot be made. Give threads small stacks. glibc reserves 64 MiB
//! or more for each thread that allocates, which counts in full: `MALLOC_ARENA_MAX=1` spares it.
//!
//! Source: Linux v6.18, `kernel/sys.c` (`PR_SET_IO_FLUSHER`), `mm/mlock.c` (`MCL_FUTURE` is inherited by no child),
//! `mm/oom_kill.c`; the order is that of iscsid, multipathd, dmeventd, nbd-client and ublksrv.

mod cgroup;
mod core_dump;
mod look;
mod mappings;
mod notes;
mod pagemap;
mod pool;
mod process;
mod ready;
mod report;
mod sinks;
mod sockets;
mod stack;
mod threads;
mod written;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::configure_io_flusher_behavior;

use self::look::Inside;
use self::notes::Notes;
use self::process::{Process, os};
use super::error::plain;
use crate::posture::{Pools, Seen, Stack};
use crate::unit::Bytes;

pub use self::pool::{Buffer, Pool, PoolError};
pub use self::ready::{NotReady, Ready, Worker};
pub use self::report::{Finding, Report, ReportError};
pub use crate::reason::PostureStep as Step;

static_assertions::assert_impl_all!(Pool: Send, Sync);
static_assertions::assert_impl_all!(Worker: Send);

/// The posture that a server asks for. Every step is asked for; what may be missing is named.
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `apply`"]
pub struct Posture {
    pools: Vec<(usize, usize)>,
    stack: Bytes,
    accepted: Vec<Step>,
}

impl Default for Posture {
    fn default() -> Self {
        Self::new()
    }
}

impl Posture {
    /// Asks for every step, 64 KiB of stack, and no buffers yet.
    pub const fn new() -> Self {
        Self { pools: Vec::new(), stack: Bytes::new(64 << 10), accepted: Vec::new() }
    }

    /// Preallocates so many buffers of so many bytes each.
    pub fn pool(mut self, buffers: usize, size: usize) -> Self {
        self.pools.push((buffers, size));
        self
    }

    /// The stack that the calling thread will need, below its call of [`apply`](Self::apply). A worker states its own.
    pub const fn stack(mut self, bytes: Bytes) -> Self {
        self.stack = bytes;
        self
    }

    /// Accepts by name that a step may not hold. It is tried all the same.
    pub fn accept(mut self, step: Step) -> Self {
        self.accepted.push(step);
        self
    }

    /// Takes the posture: pools and stack, memory, OOM score, IO_FLUSHER, core dumps. Call it in main, after
    /// everything is open and before any thread is started.
    ///
    /// A step that is refused is none of the errors: the report has it.
    ///
    /// # Errors
    /// [`PoolError::Map`]: there is no memory for the buffers; [`ReportError`]: /proc cannot be read.
    pub fn apply(self) -> Result<Applied, ApplyError> {
        let mut notes = Notes::default();
        let caller = Process::caller()?;
        let early = caller.numbers("task").ok().and_then(|threads| u32::try_from(threads.len().checked_sub(1)?).ok());
        let (mut pools, mut counted) = (Vec::new(), Pools { buffers: 0, locked: 0 });
        for (buffers, size) in self.pools {
            let (pool, locked, refused) = Pool::locked_as_far(buffers, size)?;
            if let Some(error) = refused {
                notes.add(Step::Pools, format!("mlock: {}", plain(os(&error))));
            }
            counted.buffers = counted.buffers.saturating_add(buffers);
            counted.locked = counted.locked.saturating_add(locked);
            pools.push(pool);
        }
        let stack = stack::touch(&caller, self.stack);
        // Not ONFAULT: it brings the fault back.
        if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
            for step in [Step::LockedMemory, Step::LockedLater] {
                notes.add(step, format!("mlockall: {}", plain(error)));
            }
        }
        if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "-1000") {
            notes.add(Step::OomScore, format!("writing -1000 to oom_score_adj: {}", plain(os(&error))));
        }
        if let Err(error) = configure_io_flusher_behavior(true) {
            notes.add(Step::IoFlusher, format!("prctl(PR_SET_IO_FLUSHER): {}", plain(error)));
        }
        core_dump::forbid(&caller, &mut notes);
        Ok(Applied { pools, counted, stack, early, accepted: self.accepted, notes })
    }
}

/// Why the posture could not even be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// There is no memory for the buffers.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// /proc cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// A posture that was taken, as far as it was granted.
#[derive(Debug)]
pub struct Applied {
    pools: Vec<Pool>,
    counted: Pools,
    stack: Seen<Stack>,
    /// Other threads that were there.
    early: Option<u32>,
    accepted: Vec<Step>,
    notes: Notes,
}

impl Applied {
    /// The pools, in the order in which they were asked for. A second call gives none.
    pub fn take_pools(&mut self) -> Vec<Pool> {
        std::mem::take(&mut self.pools)
    }

    /// Reports what holds now, with the stack of the thread that took the posture.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn report(&self) -> Result<Report, ReportError> {
        Report::from_inside(&self.inside(&[]))
    }

    /// Looks again at everything, with what the workers found in themselves: what was lost since, by dropped
    /// privileges or a thread from elsewhere, counts.
    ///
    /// # Errors
    /// [`NotReady`], in the order of its variants.
    pub fn ready(&self, workers: &[Worker]) -> Result<Ready, NotReady> {
        if workers.is_empty() {
            return Err(NotReady::NoWorker);
        }
        let caller = Process::caller()?;
        let threads = caller.numbers("task").map_err(|_| ReportError::Unreadable { pid: caller.pid })?;
        if let Some(gone) = workers.iter().find(|worker| !threads.contains(&worker.thread())) {
            return Err(NotReady::Gone { thread: gone.thread() });
        }
        Ready::new(Report::from_inside(&self.inside(workers))?)
    }

    fn inside<'a>(&'a self, workers: &'a [Worker]) -> Inside<'a> {
        let stack = workers.iter().map(Worker::stack).fold(self.stack, ready::worse);
        Inside {
            pools: Some(self.counted),
            stack: Some(stack),
            early: self.early,
            workers,
            accepted: &self.accepted,
            notes: self.notes.clone(),
        }
    }
}
