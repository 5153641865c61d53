//! The policy of one active area: its map, its promises, its limits, its state.

use super::ledger::{CLOSED, DRAINING, Ledger, MOVED, SHUT_DOWN};
use super::{Context, Request, SWAP_CLUSTER_MAX, Ticket};
use crate::feature::{DirectIo, Features, Promises};
use crate::flags::{Direction, Iocb};
use crate::guard::{Pinned, PinnedMap};
use crate::map::{Slots, SwapMap};
use crate::model::Model;
use crate::reason::{Reason, RequestFault};
use crate::translate::{self, Route};
use crate::unit::{Bytes, PageCount, PageIndex};

/// Who may do I/O to one active area, and when.
///
/// Shared by reference between threads; [`admit`](Self::admit) takes no lock and allocates nothing.
#[derive(Debug)]
pub struct Policy<S> {
    map: SwapMap<S>,
    promises: Promises,
    limit: PageCount,
    alignment: Bytes,
    in_flight: u32,
    serves_header: bool,
    pinned: Option<Pinned>,
    ledger: Ledger,
}

impl<S: Slots> Policy<S> {
    /// Joins the map of an activated area and the promises of its filesystem.
    ///
    /// Requests are at most 32 pages, or where large folios are promised 32 folios of 512 pages; buffers whole pages;
    /// 128 requests in flight, unless changed.
    ///
    /// # Errors
    /// [`RequestFault::Promise`] with the first promise that the map's model needs and that is missing.
    pub fn new(map: SwapMap<S>, features: Features) -> Result<Self, Reason> {
        let promises = features.promise(map.model())?;
        let alignment = map.page_size().bytes();
        let limit = if features.contains(Features::LARGE_FOLIO) { LARGE_LIMIT } else { LIMIT };
        let ledger = Ledger::new();
        Ok(Self { map, promises, limit, alignment, in_flight: IN_FLIGHT, serves_header: false, pinned: None, ledger })
    }

    /// The same for a map whose pages are pinned: the key stays here until the policy has retired, so that nothing is
    /// unpinned under a request.
    ///
    /// # Errors
    /// As [`new`](Self::new); the pages stay pinned.
    pub fn pinned(pinned: PinnedMap<S>, features: Features) -> Result<Self, Reason> {
        let (map, key) = pinned.into_parts();
        Ok(Self::new(map, features)?.pinned_by(key))
    }

    /// Allows at most so many pages a request.
    #[must_use]
    pub fn at_most(mut self, pages: PageCount) -> Self {
        self.limit = pages;
        self
    }

    /// Allows at most so many requests in flight.
    #[must_use]
    pub fn in_flight_at_most(mut self, requests: u32) -> Self {
        // Far from where a count would come round.
        self.in_flight = requests.min(1 << 31);
        self
    }

    /// Serves the header page like any other.
    ///
    /// For whoever serves the area as a disk: mkswap and swapon of the kernel that swaps to it write and read page 0
    /// through the server, once each. In a filesystem nothing but a mistake asks for it: mm never does.
    #[must_use]
    pub fn serving_header(mut self) -> Self {
        self.serves_header = true;
        self
    }

    /// Takes the alignment of buffers from what the file says of direct I/O.
    ///
    /// # Errors
    /// [`RequestFault::AlignmentAbovePage`]; [`RequestFault::Promise`] where the file has no direct I/O or does not
    /// say, in the file model.
    pub fn with_direct_io(mut self, direct_io: &DirectIo) -> Result<Self, Reason> {
        direct_io.fits(self.map.page_size())?;
        if self.map.model() == Model::File {
            direct_io.features().needs(Features::DIO_READ | Features::DIO_WRITE, "the file model")?;
        }
        if let DirectIo::Aligned { memory, .. } = *direct_io {
            self.alignment = memory;
        }
        Ok(self)
    }

    /// Asks for buffers that begin with a page, whatever the file is content with.
    #[must_use]
    pub fn aligned_to_pages(mut self) -> Self {
        self.alignment = self.map.page_size().bytes();
        self
    }

    /// Keeps the key to pins of the area's pages until the policy has retired.
    ///
    /// In the file model a map has no pages of the device: that the key is for those below it is the caller's word. A
    /// key that was kept before is lost: its pages stay pinned.
    #[must_use]
    pub fn pinned_by(mut self, pinned: Pinned) -> Self {
        self.pinned = Some(pinned);
        self
    }

    /// The map.
    pub const fn map(&self) -> &SwapMap<S> {
        &self.map
    }

    /// The promises that it rests on.
    pub const fn promises(&self) -> Promises {
        self.promises
    }

    /// The most pages that a request may have.
    pub const fn limit(&self) -> PageCount {
        self.limit
    }

    /// What the address of a buffer must be a multiple of.
    pub const fn alignment(&self) -> Bytes {
        self.alignment
    }

    /// States a write of this memory to the area: direction, length and alignment are the buffer's own.
    ///
    /// # Errors
    /// [`RequestFault::BufferLength`] for memory that is not whole pages of the area.
    pub fn writing(&self, first: PageIndex, buffer: &[u8]) -> Result<Request, Reason> {
        Request::of(Direction::Write, first, buffer, self.map.page_size())
    }

    /// States a read of the area into this memory.
    ///
    /// # Errors
    /// As [`writing`](Self::writing).
    pub fn reading(&self, first: PageIndex, buffer: &mut [u8]) -> Result<Request, Reason> {
        Request::of(Direction::Read, first, buffer, self.map.page_size())
    }

    /// Admits a request.
    ///
    /// # Errors
    /// The first reason, in the order of the [module](super)'s table.
    #[inline]
    pub fn admit(&self, request: &Request) -> Result<Ticket<'_>, Reason> {
        self.admit_for(request, Features::empty())
    }

    /// The same for operations that demand something of their caller besides.
    #[inline]
    pub(crate) fn admit_for(&self, request: &Request, demands: Features) -> Result<Ticket<'_>, Reason> {
        let &Request { direction, first, pages, alignment, folio, flags, route, context } = request;
        // Shape.
        if pages == PageCount::ZERO {
            return Err(refused(RequestFault::Empty));
        }
        if pages > self.limit {
            return Err(refused(RequestFault::TooLong { pages, limit: self.limit }));
        }
        if !folio.get().is_power_of_two() || folio > pages {
            return Err(refused(RequestFault::Folio { pages, folio }));
        }
        if alignment == Bytes::ZERO || !alignment.is_multiple_of(self.alignment) {
            return Err(refused(RequestFault::BufferAlignment { got: alignment, needed: self.alignment }));
        }
        // That it comes to this area is the mark.
        let opf = translate::opf(flags.union(Iocb::SWAP), direction, route)?;

        // Range.
        if first == PageIndex::ZERO && !self.serves_header {
            return Err(refused(RequestFault::HeaderPage));
        }
        let total = self.map.totals().pages;
        match first.checked_add(pages) {
            Some(end) if end.get() <= total.get() => (),
            Some(_) | None => return Err(outside(first, pages, total)),
        }

        // Promises.
        let features = self.promises.features().union(demands);
        if folio.get() > 1 {
            features.needs(Features::LARGE_FOLIO, "a large folio")?;
        }
        if route == Route::Async {
            features.needs(Features::ASYNC_COMPLETION, "the asynchronous route")?;
        }

        // State.
        let later = if direction == Direction::Write { self.kept_out(context, features) } else { None };
        // Bios ask no filesystem, so that its shutdown is nothing to them.
        let survives = self.map.model() == Model::Bio || features.contains(Features::SURVIVES_SHUTDOWN);
        let held = self.ledger.enter(self.in_flight, direction, survives, later)?;
        let may_queue = features.contains(Features::ASYNC_COMPLETION);
        Ok(Ticket { view: self.map.view(), held, first, pages, opf, may_queue })
    }

    /// Whether this policy admitted that request.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub(crate) fn admitted(&self, ticket: &Ticket<'_>) -> bool {
        ticket.held.is_of(&self.ledger)
    }

    /// Whether two pages may be one I/O, the second behind the first: one position after the other in the file
    /// model (`swap_fs_can_merge`), on the device in the bio model (`swap_bdev_can_merge`).
    pub(crate) fn is_followed(&self, last: PageIndex, next: PageIndex) -> bool {
        let follows = last.checked_add(PageCount::new(1)) == Some(next);
        follows
            && match self.map.model() {
                Model::File => true,
                Model::Bio => self.map.run(last).is_ok_and(|run| run.length() > PageCount::new(1)),
            }
    }

    /// Begins to switch the area off: no write is admitted any more, while every page is read back (`try_to_unuse`).
    pub fn drain(&self) {
        self.ledger.set(DRAINING);
    }

    /// Says that the filesystem has shut down: in the file model nothing is admitted any more, unless
    /// [`Features::SURVIVES_SHUTDOWN`] was promised.
    pub fn shut_down(&self) {
        self.ledger.set(SHUT_DOWN);
    }

    /// Says that blocks have moved since activation: nothing is admitted any more, every address is void.
    pub fn mapping_moved(&self) {
        self.ledger.set(MOVED);
    }

    /// Requests that are admitted and not ended.
    pub fn in_flight(&self) -> u32 {
        self.ledger.in_flight()
    }

    /// Requests that were given up without an end: each is memory that may never have been written.
    pub fn dropped(&self) -> u32 {
        self.ledger.dropped()
    }

    /// Closes the area to new requests, reads included, and checks that the old ones have ended. What was swapped out
    /// is read back before, after [`drain`](Self::drain).
    ///
    /// # Errors
    /// [`RequestFault::InFlight`]: ask again later. [`RequestFault::Dropped`]: requests were given up.
    pub fn close(&self) -> Result<(), Reason> {
        self.ledger.set(CLOSED);
        match (self.in_flight(), self.dropped()) {
            (0, 0) => Ok(()),
            (0, _) => Err(refused(RequestFault::Dropped)),
            (requests, _) => Err(refused(RequestFault::InFlight { requests })),
        }
    }

    /// Says that the I/O of every request that was given up has ended: only the server can know. Returns how many
    /// there were.
    pub fn dropped_have_ended(&self) -> u32 {
        self.ledger.forgive()
    }

    /// Closes the area, and gives the key to its pins back if no request is left: blocks may move from then on.
    ///
    /// It needs the policy for itself, so that no ticket can be out but one that was leaked. A request that was given
    /// up may still be writing to those pages: it stands in the way until
    /// [`dropped_have_ended`](Self::dropped_have_ended).
    ///
    /// ```compile_fail,E0502
    /// # use swap_dio::admit::{Policy, Request};
    /// # fn retire(policy: &mut Policy<&[swap_dio::Slot]>, request: &Request) {
    /// let ticket = policy.admit(request);
    /// policy.retire(); // a ticket is out
    /// drop(ticket);
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`close`](Self::close); the key stays here.
    pub fn retire(&mut self) -> Result<Option<Pinned>, Reason> {
        self.close()?;
        Ok(self.pinned.take())
    }

    /// Why a write may not come from such a context: `may_enter_fs`.
    fn kept_out(&self, context: Context, features: Features) -> Option<RequestFault> {
        let enters = self.map.model() == Model::File || features.contains(Features::REQUIRES_NOFS);
        let context = match context {
            Context::Unrestricted => return None,
            Context::Nofs if !enters => return None,
            Context::Nofs => "GFP_NOFS",
            Context::Noio => "GFP_NOIO",
        };
        Some(RequestFault::Context { context })
    }
}

/// Names the first page of a request that is outside.
#[cold]
fn outside(first: PageIndex, pages: PageCount, total: PageCount) -> Reason {
    let last = first.get().saturating_add(pages.get().saturating_sub(1));
    let page = PageIndex::new(first.get().max(total.get()).min(last));
    Reason::OutsideArea { page, pages: total }
}

const fn refused(fault: RequestFault) -> Reason {
    Reason::Request(fault)
}

/// A batch of single pages.
const LIMIT: PageCount = PageCount::new(SWAP_CLUSTER_MAX);

/// A batch of the largest folios: 2 MiB of 4 KiB pages.
const LARGE_LIMIT: PageCount = PageCount::new(SWAP_CLUSTER_MAX * 512);

/// As deep as a queue of this project's engines gets.
const IN_FLIGHT: u32 = 128;
