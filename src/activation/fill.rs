//! What an accepted run does to the map: pages are numbered, counted, cut to what the header claims.
//!
//! Source: Linux v6.18, `mm/swapfile.c:add_swap_extent` (merging, and so the number of extents),
//! `fs/iomap/swapfile.c:iomap_swapfile_add_extent` (clamp and span).

use super::run::Run;
use crate::header::Area;
use crate::map::{Facts, Store, Totals};
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{PageCount, PageSize};

/// The map so far, and the counts that the kernel logs.
#[derive(Debug)]
pub(super) struct Fill<S> {
    store: S,
    page_size: PageSize,
    /// `sis->max` before activation: what the header claims.
    max: u32,
    pages: u32,
    extents: u32,
    /// The target page that would continue the last extent; means nothing while `extents` is 0.
    next: u64,
    lowest: u64,
    highest: u64,
    identity: bool,
}

impl<S: Store> Fill<S> {
    pub(super) fn new(area: &Area, store: S) -> Self {
        let (page_size, max) = (area.page_size(), area.max());
        Self { store, page_size, max, pages: 0, extents: 0, next: 0, lowest: u64::MAX, highest: 0, identity: true }
    }

    pub(super) fn clear(&mut self) {
        (self.pages, self.extents, self.next) = (0, 0, 0);
        (self.lowest, self.highest, self.identity) = (u64::MAX, 0, true);
    }

    pub(super) const fn page_size(&self) -> PageSize {
        self.page_size
    }

    pub(super) const fn is_full(&self) -> bool {
        self.pages >= self.max
    }

    /// Pages that still fit under what the header claims.
    pub(super) fn room(&self) -> u64 {
        u64::from(self.max.saturating_sub(self.pages))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Widens the span to a run of target pages.
    pub(super) fn span_to(&mut self, lowest: u64, highest: u64) {
        self.lowest = self.lowest.min(lowest);
        self.highest = self.highest.max(highest);
    }

    /// Adds a run's whole pages, as iomap does: a run shorter than a page is dropped without a word.
    #[inline(always)]
    pub(super) fn add_trimmed(&mut self, run: &Run) -> Result<(), Reason> {
        let shift = self.page_size.shift();
        let mask = self.page_size.bytes().get().saturating_sub(1);
        let first = (run.physical >> shift).saturating_add(u64::from(run.physical & mask != 0));
        let end = run.physical.saturating_add(run.length) >> shift;
        if self.is_full() || first >= end {
            return Ok(());
        }
        // The header page is not swapped to; the kernel tells it by the file offset, before it cuts the run.
        self.span_to(first.saturating_add(u64::from(run.logical == 0)), end.saturating_sub(1));
        let skipped = (first << shift).saturating_sub(run.physical);
        self.add(run.logical.saturating_add(skipped), first, end.saturating_sub(first))
    }

    /// Adds target pages for the next swap pages, at most as many as there is room for.
    ///
    /// `logical` is the file offset of the first of them: swap pages that are not file pages end the identity.
    #[inline(always)]
    pub(super) fn add(&mut self, logical: u64, first: u64, count: u64) -> Result<(), Reason> {
        let count = u32::try_from(count.min(self.room())).unwrap_or(u32::MAX);
        if count == 0 {
            return Ok(());
        }
        self.identity &= logical == u64::from(self.pages) << self.page_size.shift();
        if self.extents == 0 || first != self.next {
            self.store.append(self.extents, self.pages, first)?;
            self.extents = self.extents.saturating_add(1);
        }
        self.next = first.saturating_add(count.into());
        self.pages = self.pages.saturating_add(count);
        Ok(())
    }

    /// Adds pages that are their own targets: of a file through its filesystem, or of a whole device.
    pub(super) fn add_identity(&mut self, count: u64) -> Result<(), Reason> {
        self.span_to(1, count.saturating_sub(1));
        self.add(0, 0, count)
    }

    /// Whether a page is left besides the header page.
    pub(super) fn enough(&self) -> Result<(), Reason> {
        self.enough_without(0)
    }

    /// Whether a page is left besides the header page and so many bad ones.
    pub(super) fn enough_without(&self, bad_pages: u32) -> Result<(), Reason> {
        match self.pages.saturating_sub(1).checked_sub(bad_pages) {
            Some(1..) => Ok(()),
            Some(0) => Err(Reason::NoUsablePage { found: PageCount::new(u64::from(self.pages.min(1))) }),
            None => Err(Reason::BadPagesWrap { count: bad_pages, pages: PageCount::new(self.pages.into()) }),
        }
    }

    pub(super) fn seal(self, model: Model) -> Result<S::Proof, Reason> {
        self.seal_without(model, 0)
    }

    /// Seals a map with so many pages that will never be used besides the header page.
    pub(super) fn seal_without(self, model: Model, bad_pages: u32) -> Result<S::Proof, Reason> {
        let usable = self.pages.saturating_sub(1).saturating_sub(bad_pages);
        // In 64 bits, wrapping, as the kernel: f2fs with one run never names a lowest page and logs 2.
        let span = self.highest.wrapping_sub(self.lowest).wrapping_add(1);
        let totals = Totals {
            pages: PageCount::new(self.pages.into()),
            usable: PageCount::new(usable.into()),
            extents: self.extents,
            span: PageCount::new(span),
        };
        self.store.seal(Facts { totals, model, page_size: self.page_size, identity: self.identity })
    }
}
