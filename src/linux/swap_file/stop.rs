//! The end of a service: no page is written any more; those that are there are still read.
//!
//! Whoever swaps to the file must get back what it swapped out. So a stop takes no more away than what is gone: from the
//! first page that is no written one, or is past the end. That is looked for again and again, since nobody keeps the
//! file still any more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::flags::Direction;
use crate::reason::Reason;
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// Why the service has stopped, and what is left of it.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) reason: Reason,
    /// What lies before it is read as ever. It only shrinks.
    readable: AtomicU64,
}

impl Stop {
    pub(super) const fn new(reason: Reason) -> Self {
        Self { reason, readable: AtomicU64::new(u64::MAX) }
    }

    /// Says how far pages are there now.
    pub(super) fn is_readable_to(&self, end: Bytes) {
        self.readable.fetch_min(end.get(), Relaxed);
    }

    /// # Errors
    /// Why it stopped, for a write and for a read of what is gone.
    pub(super) fn check(
        &self,
        direction: Direction,
        first: PageIndex,
        pages: PageCount,
        page: PageSize,
    ) -> Result<(), Reason> {
        let end = first.checked_add(pages).and_then(|end| end.to_bytes(page));
        let is_left = direction == Direction::Read && end.is_some_and(|end| end.get() <= self.readable.load(Relaxed));
        if is_left { Ok(()) } else { Err(self.reason) }
    }
}
