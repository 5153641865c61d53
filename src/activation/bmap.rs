//! Filesystems with only `->bmap`: FAT, ext2's own driver, ntfs3, exFAT, fuseblk and twenty more.
//!
//! The kernel asks block by block. Block 0 is a hole, and so is every failure of the filesystem. A candidate page
//! whose first block is misaligned, or that breaks off, moves the probe by one *block*, not by a page. The walk
//! ends with the pages that the header claims: holes after them are never seen. Here a claim's blocks are taken at
//! once, with the same result.
//!
//! Source: Linux v6.18, `mm/page_io.c:generic_swapfile_activate`, the same in v6.1 and v6.12.

use super::Refusals;
use super::fill::Fill;
use super::obstacle;
use crate::extent::{DeviceId, FileExtent};
use crate::map::Store;
use crate::reason::{Fault, Reason};
use crate::unit::{BlockSize, Bytes};

/// To the kernel all of the first four are block 0, "swapfile has holes"; the rest it cannot see.
pub(super) const ORDER: &[Fault] = &[
    Fault::Hole,
    Fault::Delayed,
    Fault::Inline,
    Fault::Unmapped,
    Fault::Shared,
    Fault::OtherDevice,
    Fault::Uncommitted,
    Fault::Compressed,
    Fault::Encrypted,
    Fault::NotSingle,
    Fault::GroupReadOnly,
    Fault::SequentialZone,
    Fault::PartialBlock,
];

/// The probe: the candidate page's blocks so far.
#[derive(Debug)]
pub(super) struct Walk {
    block: BlockSize,
    /// `i_size` in whole blocks.
    limit: Bytes,
    main: Option<DeviceId>,
    /// Blocks of the candidate page that were found one after the other; always fewer than a page has.
    found: u64,
    /// The device block after the last of them.
    next: u64,
}

impl Walk {
    pub(super) const fn new(block: BlockSize, limit: Bytes) -> Self {
        Self { block, limit, main: None, found: 0, next: 0 }
    }

    #[inline]
    pub(super) fn take<S: Store>(
        &mut self,
        claim: &FileExtent,
        fill: &mut Fill<S>,
        refusals: &mut Refusals<impl FnMut(Reason)>,
    ) {
        // The kernel stops where no whole page fits before the end: what is missing after that is never asked for.
        let candidate = claim.logical.get().saturating_sub(self.found << self.block.shift());
        if fill.is_full() || candidate.saturating_add(fill.page_size().bytes().get()) > self.limit.get() {
            return;
        }
        if !obstacle::clear(claim, ORDER, &mut self.main, refusals) {
            self.found = 0;
            return;
        }
        let Some(physical) = claim.physical else { return };
        let (range, block) = (claim.range(), self.block);
        if !claim.is_in_blocks_of(block) {
            return refusals.say(Reason::ExtentUnaligned { range, block });
        }
        if physical == Bytes::ZERO {
            return refusals.say(Reason::Extent { fault: Fault::Hole, range });
        }
        // The same as below, for what most claims are: whole pages, with no page begun before them.
        if self.found == 0 && Bytes::new(physical.get() | claim.length.get()).is_aligned(fill.page_size().into()) {
            let shift = fill.page_size().shift();
            let (page, pages) = (physical.get() >> shift, claim.length.get() >> shift);
            return refusals.note(Self::pages(claim.logical.get(), page, pages, fill));
        }
        let [logical, device, count] = [claim.logical, physical, claim.length].map(|at| at.get() >> block.shift());
        refusals.note(self.blocks(logical, device, count, fill));
    }

    /// Takes blocks that lie one after the other, of the file and of the device.
    fn blocks<S: Store>(&mut self, logical: u64, device: u64, count: u64, fill: &mut Fill<S>) -> Result<(), Reason> {
        let per_page_shift = fill.page_size().shift().saturating_sub(self.block.shift());
        let per_page = 1u64 << per_page_shift;
        if self.found != 0 && device != self.next {
            self.found = 0;
        }
        // Blocks before the candidate's first: none if it goes on, else up to the next page of the device.
        let skipped = if self.found == 0 { device.wrapping_neg() & per_page.saturating_sub(1) } else { 0 };
        let Some(left) = count.checked_sub(skipped) else { return Ok(()) };
        let blocks = self.found.saturating_add(left);
        let pages = blocks >> per_page_shift;
        let first_device = device.saturating_add(skipped).saturating_sub(self.found);
        let first_logical = logical.saturating_add(skipped).saturating_sub(self.found);
        self.found = blocks & per_page.saturating_sub(1);
        self.next = device.saturating_add(count);

        Self::pages(first_logical << self.block.shift(), first_device >> per_page_shift, pages, fill)
    }

    /// Takes whole pages, as many as there is room for.
    #[inline]
    fn pages<S: Store>(logical: u64, page: u64, pages: u64, fill: &mut Fill<S>) -> Result<(), Reason> {
        let taken = pages.min(fill.room());
        // The header page is in the map and not in the span.
        let lowest = page.saturating_add(u64::from(fill.is_empty()));
        let highest = page.saturating_add(taken.saturating_sub(1));
        if taken != 0 && lowest <= highest {
            fill.span_to(lowest, highest);
        }
        fill.add(logical, page, taken)
    }
}
