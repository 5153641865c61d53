//! `FUSE_BMAP` answers: a block of the file, in any block size, to a block of the device.
//!
//! The kernel asks once per block at swapon, in units of the mount's `blksize`, and takes 0 for a hole; so block 0
//! of the device can never hold swap, and "not mappable" must be answered 0 or an error other than `ENOSYS`, which
//! is sticky for the whole connection.
//!
//! Source: Linux v6.18, `fs/fuse/file.c:fuse_bmap`, `mm/page_io.c:generic_swapfile_activate`.

use crate::map::{Slots, SwapMap};
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{BlockSize, Bytes, PageIndex};

impl<S: Slots> SwapMap<S> {
    /// The device block that holds block `index` of the file, both counted in `block`s.
    ///
    /// # Errors
    /// In this order: a map whose pages are not file pages, or of the file model, which has no device
    /// ([`Reason::NotIdentity`]); a block past the area ([`Reason::OutsideArea`]); a block that is not one run of
    /// whole blocks on the device ([`Reason::BlockUnaligned`]); device block 0 ([`Reason::BlockZero`]).
    pub fn device_block(&self, index: u64, block: BlockSize) -> Result<u64, Reason> {
        if !self.is_identity() || self.model() == Model::File {
            return Err(Reason::NotIdentity);
        }
        let page_size = self.page_size();
        let outside = self.view().outside(PageIndex::new(index));
        let start = index.checked_mul(block.bytes().get()).ok_or(outside)?;
        let page = Bytes::new(start).page(page_size);
        let last = start.checked_add(block.bytes().get().saturating_sub(1)).ok_or(outside)?;
        let pages = Bytes::new(last).page(page_size).get().saturating_sub(page.get()).saturating_add(1);

        let run = self.run(page)?;
        let within = start & page_size.bytes().get().saturating_sub(1);
        let at = run.target().to_bytes(page_size).and_then(|at| at.checked_add(Bytes::new(within))).ok_or(outside)?;
        self.run(PageIndex::new(page.get().saturating_add(pages.saturating_sub(1))))?;
        if run.length().get() < pages || !at.is_aligned(block) {
            return Err(Reason::BlockUnaligned { at, block });
        }
        match at.get() >> block.shift() {
            0 => Err(Reason::BlockZero),
            number => Ok(number),
        }
    }
}
