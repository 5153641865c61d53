//! How a request ends: queued, in full, or in an error of the whole batch. There is nothing between.
//!
//! mm compares what comes back with the length, exactly: `nfs_swap_rw`, which turns a success into 0, is right only
//! because it always queues. Source: Linux v6.18, `mm/page_io.c:sio_write_complete` and `sio_read_complete`.

use crate::reason::{Errno, Reason, RequestFault};
use crate::unit::Bytes;

/// `EIOCBQUEUED`: the request will end later. Never seen by user space.
pub const EIOCBQUEUED: i64 = 529;

/// What became of a request. Only a ticket that ended or was queued gives one; or
/// [`OpsAsRw`](crate::swap_ops::OpsAsRw), which says of each that it was queued, since its end is told to the folios
/// alone.
///
/// ```compile_fail,E0451
/// let forged = swap_dio::admit::Completion { outcome: swap_dio::admit::Outcome::Queued };
/// ```
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a failed write leaves its memory dirty, a failed read its memory unusable"]
pub struct Completion {
    outcome: Outcome,
}

/// The three ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It ends later, by whoever keeps the [`InFlight`](super::InFlight).
    Queued,
    /// All of it was done.
    Done(Bytes),
    /// None of it counts: written memory stays dirty, memory that was read into is not up to date.
    Failed(Reason),
}

impl Completion {
    pub(crate) const QUEUED: Self = Self { outcome: Outcome::Queued };

    pub(crate) const fn failed(reason: Reason) -> Self {
        Self { outcome: Outcome::Failed(reason) }
    }

    /// What became of it.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// For the folios: all was done, or why none counts; `None` while it is queued.
    pub const fn result(&self) -> Option<Result<(), Reason>> {
        match self.outcome {
            Outcome::Queued => None,
            Outcome::Done(_) => Some(Ok(())),
            Outcome::Failed(reason) => Some(Err(reason)),
        }
    }

    /// By the kernel's convention: `-EIOCBQUEUED`, the length, or `-errno`.
    pub fn to_kernel(&self) -> i64 {
        match self.outcome {
            Outcome::Queued => EIOCBQUEUED.saturating_neg(),
            Outcome::Done(bytes) => i64::try_from(bytes.get()).unwrap_or(i64::MAX),
            Outcome::Failed(Reason::Request(RequestFault::Failed { errno })) => i64::from(errno).saturating_neg(),
            Outcome::Failed(reason) => i64::from(reason.errno().unwrap_or(Errno::EIO).number()).saturating_neg(),
        }
    }
}

/// Judges what was returned for a request of so many bytes.
#[inline]
pub(super) fn of(returned: i64, asked: Bytes) -> Completion {
    let outcome = match u64::try_from(returned) {
        Ok(done) if done == asked.get() => Outcome::Done(asked),
        Ok(done) => Outcome::Failed(Reason::Request(RequestFault::Short { done: Bytes::new(done), asked })),
        Err(_) => Outcome::Failed(Reason::Request(error(returned))),
    };
    Completion { outcome }
}

/// A negative return value.
#[cold]
fn error(returned: i64) -> RequestFault {
    match u16::try_from(returned.saturating_neg()) {
        Ok(_) if returned == EIOCBQUEUED.saturating_neg() => RequestFault::NotQueued,
        Ok(errno @ 1..=MAX_ERRNO) => RequestFault::Failed { errno },
        Ok(_) | Err(_) => RequestFault::NoErrno { returned },
    }
}

/// `MAX_ERRNO`, `include/linux/err.h`.
const MAX_ERRNO: u16 = 4095;
