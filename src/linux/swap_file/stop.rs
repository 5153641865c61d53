//! The end of a service: no page is written any more; those that are where they were are still read.
//!
//! Whoever swaps to the file must get back what it swapped out. So a stop takes no more away than what is not to be
//! trusted: from where the extents differ, or the file was cut.

use crate::flags::Direction;
use crate::reason::{Reason, ServedFault};
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// Why the service has stopped, and what is left of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) reason: Reason,
    /// What lies before it is read as ever.
    readable: Bytes,
}

impl Stop {
    pub(super) const fn new(reason: Reason) -> Self {
        let readable = match reason {
            Reason::Served(ServedFault::Cut { now, .. }) => now,
            Reason::Served(ServedFault::Changed { range }) => range.offset,
            _ => Bytes::new(u64::MAX),
        };
        Self { reason, readable }
    }

    /// # Errors
    /// Why it stopped, for a write and for a read of what is not to be trusted.
    pub(super) fn check(
        &self,
        direction: Direction,
        first: PageIndex,
        pages: PageCount,
        page: PageSize,
    ) -> Result<(), Reason> {
        let end = first.checked_add(pages).and_then(|end| end.to_bytes(page));
        let is_left = direction == Direction::Read && end.is_some_and(|end| end <= self.readable);
        if is_left { Ok(()) } else { Err(self.reason) }
    }
}
