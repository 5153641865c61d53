//! f2fs: blocks are pages, and a run that is not in whole sections is *moved* by swapon itself.
//!
//! Moved blocks void every address read before, so such a run is refused with a transient reason: let the
//! filesystem move it, then [`restart`](super::Activation::restart) and read the mapping again. The last run of a
//! file may end inside a section, if it begins with one and the blocks were moved before: the kernel moves that one
//! too. No page is trimmed; holes after the header's pages are never seen.
//!
//! Source: Linux v6.18, `fs/f2fs/data.c:check_swap_activate`; commit 5c145c03188b ("fix to avoid mapping wrong
//! physical block for swapfile", 2026) is the re-read that was missing.

use super::Refusals;
use super::fill::Fill;
use super::obstacle;
use super::run::Run;
use crate::extent::{DeviceId, ExtentState, FileExtent};
use crate::map::Store;
use crate::reason::{Fault, Reason};
use crate::unit::{BlockSize, ByteRange, Bytes, PageIndex};

/// A hole is the kernel's only check of an extent; the rest f2fs cannot say and other claims can.
pub(super) const ORDER: &[Fault] = &[
    Fault::Hole,
    Fault::Delayed,
    Fault::Inline,
    Fault::Compressed,
    Fault::SequentialZone,
    Fault::Unmapped,
    Fault::Shared,
    Fault::OtherDevice,
    Fault::Uncommitted,
    Fault::Encrypted,
    Fault::NotSingle,
    Fault::GroupReadOnly,
    Fault::PartialBlock,
];

/// The run that grows until a claim does not touch it.
#[derive(Debug)]
pub(super) struct Walk {
    main: Option<DeviceId>,
    /// The device page of the main area's first block.
    origin: PageIndex,
    section: Bytes,
    /// Whether this is the reading after the filesystem has moved what it would.
    moved: bool,
    run: Option<Run>,
    /// Whether the run that reached the last page needed is complete.
    over: bool,
}

impl Walk {
    pub(super) const fn new(origin: PageIndex, section: Bytes, moved: bool) -> Self {
        Self { main: None, origin, section, moved, run: None, over: false }
    }

    pub(super) fn take<S: Store>(
        &mut self,
        claim: &FileExtent,
        fill: &mut Fill<S>,
        refusals: &mut Refusals<impl FnMut(Reason)>,
    ) {
        let pending = self.run.map_or(0, |run| run.length >> fill.page_size().shift());
        if pending >= fill.room() {
            return self.see_the_rest(claim);
        }
        let block = BlockSize::from(fill.page_size());
        if !obstacle::clear(claim, ORDER, &mut self.main, refusals) {
            return;
        }
        if !claim.is_in_blocks_of(block) {
            return refusals.say(Reason::ExtentUnaligned { range: claim.range(), block });
        }
        if let Some(run) = Run::of(claim).and_then(|run| run.follow(&mut self.run)) {
            self.add(&run, false, fill, refusals);
        }
    }

    /// With enough pages found the kernel asks no more; but the run that it is in it sees whole, and judges whole.
    fn see_the_rest(&mut self, claim: &FileExtent) {
        let mapped = matches!(claim.state, ExtentState::Written | ExtentState::Unwritten) && claim.flags.is_empty();
        match Run::of(claim).filter(|_| mapped && !self.over) {
            Some(next) if next.continues(&self.run) => {
                next.follow(&mut self.run);
            }
            Some(_) | None => self.over = true,
        }
    }

    pub(super) fn end<S: Store>(
        &mut self,
        limit: Bytes,
        fill: &mut Fill<S>,
        refusals: &mut Refusals<impl FnMut(Reason)>,
    ) {
        if let Some(run) = self.run.take() {
            let needed = run.logical.saturating_add(fill.room() << fill.page_size().shift());
            let last = self.moved && run.logical.saturating_add(run.length) >= limit.get().min(needed);
            self.add(&run, last, fill, refusals);
        }
    }

    fn add<S: Store>(&self, run: &Run, last: bool, fill: &mut Fill<S>, refusals: &mut Refusals<impl FnMut(Reason)>) {
        let shift = fill.page_size().shift();
        let whole = |bytes: u64| bytes.checked_rem(self.section.get()) == Some(0);
        let start = self.origin.to_bytes(fill.page_size()).and_then(|origin| run.physical.checked_sub(origin.get()));
        if !start.is_some_and(whole) || !(last || whole(run.length)) {
            let range = ByteRange::new(Bytes::new(run.logical), Bytes::new(run.length));
            return refusals.say(Reason::SectionUnaligned { range, section: self.section });
        }
        let (first, count) = (run.physical >> shift, (run.length >> shift).min(fill.room()));
        // The whole first run is left out of the span, not only the header page.
        if count != 0 && run.logical != 0 {
            fill.span_to(first, first.saturating_add(count).saturating_sub(1));
        }
        refusals.note(fill.add(run.logical, first, count));
    }
}
