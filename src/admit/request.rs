//! One request, as its caller states it: a claim.

use crate::flags::{Direction, Iocb};
use crate::reason::{Reason, RequestFault};
use crate::translate::Route;
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// What somebody asks of an area. A claim: public fields, checked by [`Policy::admit`](super::Policy::admit).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Where the data goes, told by the kind of the buffer.
    pub direction: Direction,
    /// The first page of the area.
    pub first: PageIndex,
    /// Pages from there on, one after the other.
    pub pages: PageCount,
    /// What the address of the buffer is a multiple of.
    pub alignment: Bytes,
    /// Pages of the largest folio in it: 1, or a larger power of two.
    pub folio: PageCount,
    /// `ki_flags`. Empty for mm's own kiocbs; the swap mark need not be set, a request to an area has it.
    pub flags: Iocb,
    /// How it becomes bios.
    pub route: Route,
    /// Where it comes from.
    pub context: Context,
}

/// What the task that asks may do while it waits for memory: a restriction of its allocations. There is no default:
/// it would be a yes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Context {
    /// A page fault, kswapd, reclaim with `__GFP_FS`.
    Unrestricted,
    /// Reclaim under `GFP_NOFS`: a lock of some filesystem may be held.
    Nofs,
    /// Reclaim under `GFP_NOIO`: no I/O at all may be started.
    Noio,
}

impl Request {
    /// States a request of order-0 folios without flags, synchronous, from an unrestricted context.
    pub const fn new(direction: Direction, first: PageIndex, pages: PageCount, alignment: Bytes) -> Self {
        let (folio, flags) = (PageCount::new(1), Iocb::empty());
        Self { direction, first, pages, alignment, folio, flags, route: Route::Plain, context: Context::Unrestricted }
    }

    /// States a request for this memory; the page size is the area's.
    pub(super) fn of(direction: Direction, first: PageIndex, buffer: &[u8], page: PageSize) -> Result<Self, Reason> {
        let length = Bytes::new(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        if !length.is_aligned(page.into()) {
            return Err(Reason::Request(RequestFault::BufferLength { length, page: page.bytes() }));
        }
        let address = buffer.as_ptr().addr();
        let alignment = Bytes::new(1u64.checked_shl(address.trailing_zeros()).unwrap_or(1 << 63));
        Ok(Self::new(direction, first, length.whole_pages(page), alignment))
    }
}
