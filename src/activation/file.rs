//! The file model: swap page n is file page n, and every write must be an overwrite in place, by one I/O.
//!
//! Written extents only: a write to an unwritten one runs a transaction at completion, and a read of it gives zeros.
//! The place on the device may be unknown; where it is known, a page of the file must be a page of the device, and a
//! page that lies across two extents must be one run there, or it takes more than one I/O. Nothing is trimmed. Every
//! whole page of the file is judged, also past what the header claims, so that this profile never admits what iomap
//! refuses.
//!
//! Source: the requirements in Linux v6.18 `fs/iomap/direct-io.c:iomap_dio_bio_iter` (unwritten, shared, holes) and
//! D. Chinner on linux-xfs, 2021-09-25 to 27: no transaction at submission or completion, one I/O per page.

use super::Refusals;
use super::fill::Fill;
use super::obstacle;
use crate::extent::{DeviceId, FileExtent};
use crate::map::Store;
use crate::reason::{Fault, Reason};
use crate::unit::{ByteRange, Bytes, PageSize};

/// iomap's order, then what only a write through the filesystem minds. A place on the device is not needed.
pub(super) const ORDER: &[Fault] = &[
    Fault::Inline,
    Fault::Hole,
    Fault::Delayed,
    Fault::Uncommitted,
    Fault::Shared,
    Fault::OtherDevice,
    Fault::Compressed,
    Fault::Encrypted,
    Fault::NotSingle,
    Fault::GroupReadOnly,
    Fault::SequentialZone,
    Fault::PartialBlock,
    Fault::Unwritten,
];

/// The end of the last claim that passed: what a page that goes on must continue.
#[derive(Debug)]
pub(super) struct Walk {
    page_size: PageSize,
    main: Option<DeviceId>,
    seam: Option<Seam>,
    /// The page that was last found split, so that it is said once.
    split: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seam {
    logical: u64,
    physical: Option<u64>,
}

impl Walk {
    pub(super) const fn new(page_size: PageSize) -> Self {
        Self { page_size, main: None, seam: None, split: None }
    }

    #[inline]
    pub(super) fn take(&mut self, claim: &FileExtent, refusals: &mut Refusals<impl FnMut(Reason)>) {
        if !obstacle::clear(claim, ORDER, &mut self.main, refusals) {
            self.seam = None;
            return;
        }
        let (logical, physical) = (claim.logical.get(), claim.physical.map(Bytes::get));
        let mask = self.page_size.bytes().get().saturating_sub(1);
        if physical.is_some_and(|physical| (physical ^ logical) & mask != 0) {
            self.seam = None;
            return refusals.say(Reason::Misplaced { range: claim.range(), page: self.page_size });
        }
        let page = logical >> self.page_size.shift();
        let start = page << self.page_size.shift();
        if let Some(seam) = self.seam.filter(|seam| seam.logical == logical && start != logical) {
            let one_run = physical.is_some() && seam.physical == physical;
            if !one_run && self.split != Some(page) {
                self.split = Some(page);
                refusals.say(Reason::SplitPage { range: ByteRange::new(Bytes::new(start), self.page_size.bytes()) });
            }
        }
        let end = |from: u64| from.saturating_add(claim.length.get());
        self.seam = Some(Seam { logical: end(logical), physical: physical.map(end) });
    }
}

/// One extent: the identity.
pub(super) fn end<S: Store>(limit: Bytes, fill: &mut Fill<S>, refusals: &mut Refusals<impl FnMut(Reason)>) {
    let pages = limit.whole_pages(fill.page_size()).get().min(fill.room());
    refusals.note(fill.add_identity(pages));
}
