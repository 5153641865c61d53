//! The plug: gathers folios whose pages follow each other, and submits them as one request.
//!
//! A batch is submitted when 32 folios or the policy's most pages are in it, when the next one does not follow, at
//! once where the area is synchronous and is written to, and when the plug is flushed or dropped. In the bio model
//! pages must follow each other in the area *and* on the device, which is stricter than mainline's sectors alone.
//!
//! Source: Linux v6.18, `mm/page_io.c` (`swap_writepage_fs`, `swap_write_unplug`); mainline `swap_add_folio`.

use super::batch::{Batch, Folios};
use super::{Folio, SwapOps};
use crate::admit::{Context, Policy, Request};
use crate::feature::Features;
use crate::flags::Direction;
use crate::map::Slots;
use crate::reason::{Reason, RequestFault};
use crate::unit::{Bytes, PageCount, PageIndex};

/// Gathers folios for one area and one direction.
///
/// Every folio that was added is told its end exactly once, unless its own methods panic: also if its request is
/// refused, which is how the caller learns of that. Those of one request share its fate, a folio past the end of the
/// area included.
#[derive(Debug)]
pub struct Plug<'p, 'o, S: Slots, F: Folio, O: SwapOps<'p, F>> {
    policy: &'p Policy<S>,
    ops: &'o O,
    direction: Direction,
    context: Context,
    folios: Folios<F>,
    first: PageIndex,
    pages: PageCount,
    /// Of the folios gathered, as each said when it was added.
    largest: PageCount,
}

impl<'p, 'o, S: Slots, F: Folio, O: SwapOps<'p, F>> Plug<'p, 'o, S, F, O> {
    /// An empty plug, for a task that may do anything while it waits for memory.
    ///
    /// # Errors
    /// [`RequestFault::OtherModel`] for operations that would take the area's pages for what they are not.
    pub fn new(policy: &'p Policy<S>, ops: &'o O, direction: Direction) -> Result<Self, Reason> {
        let (server, area) = (ops.model(), policy.map().model());
        if server != area {
            return Err(Reason::Request(RequestFault::OtherModel { server, area }));
        }
        let (folios, context) = (Folios::new(direction), Context::Unrestricted);
        let (first, pages, largest) = (PageIndex::ZERO, PageCount::ZERO, PageCount::ZERO);
        Ok(Self { policy, ops, direction, context, folios, first, pages, largest })
    }

    /// The same, for a task that reclaims under a restriction.
    #[must_use]
    pub fn within(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Adds a folio for the pages from `page` on. What is gathered is submitted before, if the folio does not follow
    /// it, and after, if that fills it.
    pub fn add(&mut self, page: PageIndex, folio: F) {
        let pages = folio.pages();
        if !pages.get().is_power_of_two() {
            let fault = RequestFault::Folio { pages, folio: pages };
            return folio.end(self.direction, Err(Reason::Request(fault)));
        }
        if !self.joins(page, pages, &folio) {
            self.flush();
        }
        if self.folios.is_empty() {
            (self.first, self.pages, self.largest) = (page, PageCount::ZERO, PageCount::ZERO);
        }
        self.pages = PageCount::new(self.pages.get().saturating_add(pages.get()));
        self.largest = self.largest.max(pages);
        if let Err(folio) = self.folios.push(folio) {
            // Not reached: what is full was submitted.
            folio.end(self.direction, Err(Reason::Request(RequestFault::Dropped)));
        }
        let synchronous = self.policy.promises().features().contains(Features::SYNCHRONOUS);
        let at_once = synchronous && self.direction == Direction::Write;
        if self.folios.is_full() || self.pages >= self.policy.limit() || at_once {
            self.flush();
        }
    }

    /// Submits what is gathered.
    pub fn flush(&mut self) {
        if self.folios.is_empty() {
            return;
        }
        let folios = core::mem::replace(&mut self.folios, Folios::new(self.direction));
        match self.policy.admit_for(&self.request(&folios), self.ops.flags().features()) {
            Err(reason) => folios.finish(Err(reason)),
            Ok(ticket) => {
                let batch = Batch::new(ticket, folios);
                match self.direction {
                    Direction::Read => self.ops.submit_read(batch),
                    Direction::Write => self.ops.submit_write(batch),
                }
            }
        }
    }

    /// Whether a folio goes on where the gathered ones end, as one request.
    fn joins(&self, page: PageIndex, pages: PageCount, folio: &F) -> bool {
        let Some(last) = self.folios.last() else { return true };
        let end = self.first.checked_add(self.pages);
        let behind = end.and_then(|end| end.get().checked_sub(1)).map(PageIndex::new);
        end == Some(page)
            && self.pages.get().saturating_add(pages.get()) <= self.policy.limit().get()
            && behind.is_some_and(|behind| self.policy.is_followed(behind, page))
            && self.ops.can_merge(last, folio, self.direction)
    }

    /// The request for the gathered folios: its buffer is aligned as the worst of them.
    fn request(&self, folios: &Folios<F>) -> Request {
        // The largest power of two in each: a multiple of 768 need not be one of the 512 beside it.
        let alignment = folios.iter().map(|folio| folio.alignment().get()).map(|got| got & got.wrapping_neg()).min();
        let alignment = Bytes::new(alignment.unwrap_or(0));
        let request = Request::new(self.direction, self.first, self.pages, alignment);
        Request { folio: self.largest, context: self.context, ..request }
    }
}

impl<'p, S: Slots, F: Folio, O: SwapOps<'p, F>> Drop for Plug<'p, '_, S, F, O> {
    fn drop(&mut self) {
        self.flush();
    }
}
