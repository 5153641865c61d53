//! A map without the type of its memory: what a cursor and a ticket hold.

use super::Slot;
use super::store::{Facts, Tree};
use crate::extent::SwapExtent;
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{PageIndex, PageSize};

/// A map, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'m> {
    pub(super) slots: &'m [Slot],
    pub(super) tree: &'m Tree,
    pub(super) facts: &'m Facts,
}

impl View<'_> {
    /// The page size that the map counts in.
    pub(crate) const fn page_size(&self) -> PageSize {
        self.facts.page_size
    }

    /// The way that swap I/O must go.
    pub(crate) const fn model(&self) -> Model {
        self.facts.model
    }

    /// Where a page lies, and how many pages follow it there without a break.
    #[inline]
    pub(super) fn run(&self, page: PageIndex) -> Result<SwapExtent, Reason> {
        let run = self.slot_page(page).and_then(|page| {
            let (leaf, at) = self.tree.find(self.slots, page)?;
            self.slots.get(leaf)?.run(at, page)
        });
        run.ok_or_else(|| self.outside(page))
    }

    /// The page in the width of the map, if it is in the area.
    #[inline]
    pub(super) fn slot_page(&self, page: PageIndex) -> Option<u32> {
        u32::try_from(page.get()).ok().filter(|page| *page < self.facts.pages())
    }

    pub(super) const fn outside(&self, page: PageIndex) -> Reason {
        Reason::OutsideArea { page, pages: self.facts.totals.pages }
    }
}
