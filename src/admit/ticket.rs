//! The proof of admission: where one request goes, with which flags, and the duty to end it.

use super::completion::{self, Completion};
use super::ledger::Held;
use crate::extent::SwapExtent;
use crate::flags::{Direction, Opf, ReqOp};
use crate::map::{Cursor, View};
use crate::model::Model;
use crate::reason::{Reason, RequestFault};
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// One admitted request. It ends once: [`complete`](Self::complete) consumes it.
///
/// ```compile_fail,E0382
/// # fn twice(ticket: swap_dio::Ticket<'_>) {
/// ticket.complete(4096);
/// ticket.complete(4096);
/// # }
/// ```
///
/// Dropped without an end, it is counted in [`Policy::dropped`](super::Policy::dropped), and
/// [`Policy::close`](super::Policy::close) says so. In a [`Batch`](crate::swap_ops::Batch) each folio is told.
#[derive(Debug)]
#[must_use = "a request that nobody ends is memory that is never written"]
pub struct Ticket<'p> {
    pub(super) view: View<'p>,
    pub(super) held: Held<'p>,
    pub(super) first: PageIndex,
    pub(super) pages: PageCount,
    pub(super) opf: Opf,
    pub(super) may_queue: bool,
}

impl<'p> Ticket<'p> {
    /// Where the data goes.
    pub fn direction(&self) -> Direction {
        if self.opf.op() == ReqOp::Write { Direction::Write } else { Direction::Read }
    }

    /// Whose pages its runs are: of the device or of the file.
    pub const fn model(&self) -> Model {
        self.view.model()
    }

    /// The operation and flags for the block layer; the swap mark is on every write.
    pub const fn opf(&self) -> Opf {
        self.opf
    }

    /// The first page of the area.
    pub const fn first(&self) -> PageIndex {
        self.first
    }

    /// Pages of the request.
    pub const fn pages(&self) -> PageCount {
        self.pages
    }

    /// The page size of the area.
    pub const fn page_size(&self) -> PageSize {
        self.view.page_size()
    }

    /// The request's length: what must have been done in the end.
    pub fn bytes(&self) -> Bytes {
        // Inside an area, which has less than 2^32 pages.
        self.pages.to_bytes(self.page_size()).unwrap_or(Bytes::new(u64::MAX))
    }

    /// Where its pages lie: runs of pages of the device (bio model) or of the file (file model), in order.
    pub fn runs(&self) -> Runs<'p> {
        Runs { cursor: Cursor::new(self.view), next: self.first, left: self.pages.get() }
    }

    /// Ends the request with what was returned, by the kernel's convention: the length in bytes, or `-errno`.
    ///
    /// Anything but the exact length fails the whole batch: 0, a short count, more than was asked for, and
    /// `-EIOCBQUEUED`, since whoever queues keeps an [`InFlight`].
    pub fn complete(self, returned: i64) -> Completion {
        let completion = completion::of(returned, self.bytes());
        self.held.end();
        completion
    }

    /// Ends the request without I/O.
    pub(crate) fn fail(self, reason: Reason) -> Completion {
        self.held.end();
        Completion::failed(reason)
    }

    /// Queues the request: what is returned now, and what ends it later.
    ///
    /// # Errors
    /// The request has failed, for want of the promise `ASYNC_COMPLETION`.
    pub fn queue(self) -> Result<(Completion, InFlight<'p>), Completion> {
        if self.may_queue {
            Ok((Completion::QUEUED, InFlight(self)))
        } else {
            let fault = RequestFault::Promise { who: "a queued request", promise: "ASYNC_COMPLETION" };
            Err(self.fail(Reason::Request(fault)))
        }
    }
}

/// A queued request: its end is still owed.
#[derive(Debug)]
#[must_use = "a request that nobody ends is memory that is never written"]
pub struct InFlight<'p>(Ticket<'p>);

impl<'p> InFlight<'p> {
    /// The request.
    pub const fn ticket(&self) -> &Ticket<'p> {
        &self.0
    }

    /// Ends the request, as [`Ticket::complete`]: `ki_complete`.
    pub fn complete(self, returned: i64) -> Completion {
        self.0.complete(returned)
    }

    /// Ends the request, which never went anywhere.
    #[cfg(feature = "io-uring")]
    pub(crate) fn fail(self, reason: Reason) -> Completion {
        self.0.fail(reason)
    }
}

/// The runs of a request, walked and not collected.
#[derive(Clone, Debug)]
pub struct Runs<'p> {
    cursor: Cursor<'p>,
    next: PageIndex,
    left: u64,
}

impl Iterator for Runs<'_> {
    type Item = SwapExtent;

    #[inline]
    fn next(&mut self) -> Option<SwapExtent> {
        if self.left == 0 {
            return None;
        }
        let run = self.cursor.run(self.next).ok()?.at_most(self.left);
        self.left = self.left.saturating_sub(run.length().get());
        self.next = self.next.checked_add(run.length())?;
        Some(run)
    }
}
