//! Many requests at once: an io_uring whose memory and file are registered, and the tickets of what is in it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::SwapFile;
use super::queue::Queue;
use super::transfer::other;
use crate::admit::{Completion, InFlight, Ticket};
use crate::flags::Direction;
use crate::reason::Reason;
use crate::unit::{PageCount, PageIndex};

/// A queue of requests to one [`SwapFile`], for one thread at a time.
///
/// Everything is made by [`new`](Self::new); afterwards nothing is allocated. A request is written into memory that the
/// ring lends, started with a ticket, and comes back with its end:
///
/// ```no_run
/// # fn serve(file: &swap_dio::linux::swap_file::SwapFile) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use swap_dio::linux::swap_file::Ring;
/// use swap_dio::{PageCount, PageIndex};
///
/// let mut ring = Ring::new(file, 128, PageCount::new(32))?;
/// let mut memory = ring.lend().ok_or("all are in use")?;
/// let page = &mut ring.memory_mut(&mut memory)[..4096];
/// page.fill(7);
/// let request = file.policy().writing(PageIndex::new(9), page)?;
/// let _ = ring.start(memory, file.admit(&request)?); // at once an `Ended`, if it cannot be
/// let ended = ring.next(Duration::from_secs(1))?.ok_or("not within a second")?;
/// println!("{:?}", ended.completion.outcome());
/// ring.give_back(ended.memory);
/// # Ok(())
/// # }
/// ```
///
/// Dropped with requests in it, it waits for them, for 10 seconds at most, then asks the kernel to give them up. What
/// has not ended even then is [dropped](crate::Policy::dropped), and its memory is never used again.
pub struct Ring<'f> {
    file: &'f SwapFile,
    queue: Queue,
    flying: Vec<Option<InFlight<'f>>>,
    /// Started, and not yet the kernel's.
    waiting: VecDeque<Waiting>,
    /// Those that it was not given, since the service had stopped.
    refused: VecDeque<(u16, Reason)>,
    free: VecDeque<u16>,
    /// Which ring this is: no other has the number, now or later.
    number: u64,
}

/// Where a started request goes.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: u16,
    offset: u64,
    length: u32,
}

/// Memory on loan from a [`Ring`]: of whole pages, page-aligned, locked and registered. What it holds is of whoever had
/// it last. A loan that is dropped is lost to the ring.
#[derive(Debug)]
#[must_use = "memory that is not given back is lost to its ring"]
pub struct Lent {
    place: u16,
    /// The number of its ring.
    ring: u64,
}

/// The end of one request.
#[derive(Debug)]
#[must_use = "a failed write leaves its memory dirty, a failed read its memory unusable"]
pub struct Ended {
    /// The memory: after a read that was done, the pages.
    pub memory: Lent,
    /// How it ended.
    pub completion: Completion,
    /// Where the data went.
    pub direction: Direction,
    /// The first page.
    pub first: PageIndex,
    /// How many.
    pub pages: PageCount,
}

/// Why a ring cannot be made, or does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// None, or more than a queue may have.
    #[error("a ring of {asked} requests, 1 to {most} are possible")]
    Depth {
        /// What was asked for.
        asked: u16,
        /// The most.
        most: u16,
    },
    /// None, or more than the policy allows.
    #[error("requests of {asked}, 1 page to {limit} are allowed")]
    Pages {
        /// What was asked for.
        asked: PageCount,
        /// The most.
        limit: PageCount,
    },
    /// The kernel does not: no io_uring here, no memory, a limit on locked memory (`ulimit -l`).
    #[error("cannot {act}: {error}")]
    Failed {
        /// What was tried.
        act: &'static str,
        /// Why it did not go.
        #[source]
        error: std::io::Error,
    },
}

impl<'f> Ring<'f> {
    /// Makes a ring for so many requests of at most so many pages.
    ///
    /// # Errors
    /// [`RingError`], in the order of its variants.
    pub fn new(file: &'f SwapFile, depth: u16, pages: PageCount) -> Result<Self, RingError> {
        if depth == 0 || depth > MOST {
            return Err(RingError::Depth { asked: depth, most: MOST });
        }
        let limit = file.policy().limit();
        let bytes = pages.to_bytes(file.policy().map().page_size()).and_then(|bytes| usize::try_from(bytes.get()).ok());
        let Some(bytes) = bytes.filter(|bytes| *bytes > 0 && pages <= limit) else {
            return Err(RingError::Pages { asked: pages, limit });
        };
        let queue = Queue::new(&file.file, depth, bytes).map_err(failed("make an io_uring"))?;
        let (flying, places) = ((0..depth).map(|_| None).collect(), usize::from(depth));
        let (waiting, refused) = (VecDeque::with_capacity(places), VecDeque::with_capacity(places));
        let number = RINGS.fetch_add(1, Relaxed);
        Ok(Self { file, queue, flying, waiting, refused, free: (0..depth).collect(), number })
    }

    /// Lends memory for one request; `None` while all is in use.
    pub fn lend(&mut self) -> Option<Lent> {
        self.free.pop_front().map(|place| Lent { place, ring: self.number })
    }

    /// Takes memory back.
    pub fn give_back(&mut self, memory: Lent) {
        // There is room for it: as many places as loans.
        if memory.ring == self.number && self.free.len() < self.flying.len() {
            self.free.push_back(memory.place);
        }
    }

    /// The memory of a loan; none if another ring lent it.
    pub fn memory(&self, lent: &Lent) -> &[u8] {
        self.own(lent).and_then(|place| self.queue.memory(place)).unwrap_or_default()
    }

    /// The same, to be written to.
    pub fn memory_mut(&mut self, lent: &mut Lent) -> &mut [u8] {
        self.own(lent).and_then(|place| self.queue.memory_mut(place)).unwrap_or_default()
    }

    /// Starts a request over the first bytes of the memory. It goes to the kernel with [`submit`](Self::submit), or
    /// with the next [`next`](Self::next) that has to wait.
    ///
    /// # Errors
    /// The request has failed at once, for the reason in its completion: the ticket is of another file, its pages do not fit
    /// into the memory, or the memory is another ring's.
    pub fn start(&mut self, memory: Lent, ticket: Ticket<'f>) -> Result<(), Ended> {
        let (direction, first, pages) = (ticket.direction(), ticket.first(), ticket.pages());
        let ended = |memory, completion| Ended { memory, completion, direction, first, pages };
        let offset = match self.file.offset(&ticket, direction) {
            Ok(offset) => offset,
            Err(reason) => return Err(ended(memory, ticket.fail(reason))),
        };
        let length = u32::try_from(ticket.bytes().get()).unwrap_or(u32::MAX);
        let in_flight = match ticket.queue() {
            Ok((_, in_flight)) => in_flight,
            Err(completion) => return Err(ended(memory, completion)),
        };
        let place = self.own(&memory).filter(|place| self.queue.fits(*place, length));
        match place.and_then(|place| Some((place, self.flying.get_mut(usize::from(place))?))) {
            Some((place, at)) => {
                *at = Some(in_flight);
                self.waiting.push_back(Waiting { place, offset, length });
                Ok(())
            }
            None => Err(ended(memory, in_flight.fail(other("its memory is too short, or of another ring")))),
        }
    }

    /// Sends what was started to the kernel; if the service has stopped meanwhile, it has failed instead.
    ///
    /// # Errors
    /// [`RingError::Failed`]: what was started is still to be sent.
    pub fn submit(&mut self) -> Result<(), RingError> {
        self.hand_over();
        self.queue.submit().map_err(failed("send requests to the ring"))
    }

    /// The next request that has ended, in whatever order they do. If there is none, sends what was started and waits
    /// at most so long; `None` if none ended in that time, or a signal came.
    ///
    /// # Errors
    /// [`RingError::Failed`]: no request is lost by it.
    pub fn next(&mut self, limit: Duration) -> Result<Option<Ended>, RingError> {
        if let Some(ended) = self.reap() {
            return Ok(Some(ended));
        }
        self.hand_over();
        if !self.refused.is_empty() {
            return Ok(self.reap());
        }
        self.queue.wait(limit).map_err(failed("wait for the ring"))?;
        Ok(self.reap())
    }

    /// Requests that were started and have not been given back by [`next`](Self::next).
    pub fn in_flight(&self) -> usize {
        self.flying.iter().filter(|place| place.is_some()).count()
    }

    /// Puts what was started into the ring's own queue.
    fn hand_over(&mut self) {
        while let Some(Waiting { place, offset, length }) = self.waiting.pop_front() {
            let Some(in_flight) = self.flying.get(usize::from(place)).and_then(Option::as_ref) else { continue };
            let ticket = in_flight.ticket();
            let direction = ticket.direction();
            let refused = match self.file.still_serves(direction, ticket.first(), ticket.pages()) {
                Ok(()) => {
                    let pushed = self.queue.push(place, direction, offset, length);
                    pushed.is_none().then(|| other("the ring has no room for it"))
                }
                Err(reason) => Some(reason),
            };
            self.refused.extend(refused.map(|reason| (place, reason)));
        }
    }

    fn reap(&mut self) -> Option<Ended> {
        if let Some((place, reason)) = self.refused.pop_front() {
            return self.ended(place, |in_flight| in_flight.fail(reason));
        }
        while let Some((place, returned)) = self.queue.reap() {
            let ended = self.ended(place, |in_flight| in_flight.complete(returned.into()));
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn ended(&mut self, place: u16, end: impl FnOnce(InFlight<'f>) -> Completion) -> Option<Ended> {
        let in_flight = self.flying.get_mut(usize::from(place)).and_then(Option::take)?;
        let ticket = in_flight.ticket();
        let (direction, first, pages) = (ticket.direction(), ticket.first(), ticket.pages());
        Some(Ended { memory: Lent { place, ring: self.number }, completion: end(in_flight), direction, first, pages })
    }

    /// The place of a loan, if it is of this ring.
    fn own(&self, lent: &Lent) -> Option<u16> {
        (lent.ring == self.number).then_some(lent.place)
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        let end = Instant::now().checked_add(PATIENCE);
        let mut left = PATIENCE;
        while self.in_flight() > 0 && !left.is_zero() {
            let next = self.next(left.min(STEP));
            if next.is_err() {
                std::thread::sleep(PAUSE);
            }
            if !matches!(next, Ok(Some(_))) {
                left = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()));
            }
        }
        if self.in_flight() > 0 {
            self.queue.cancel(STEP);
            while self.reap().is_some() {}
        }
    }
}

impl fmt::Debug for Ring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (depth, in_flight) = (self.flying.len(), self.in_flight());
        f.debug_struct("Ring").field("depth", &depth).field("in_flight", &in_flight).finish_non_exhaustive()
    }
}

fn failed(act: &'static str) -> impl Fn(std::io::Error) -> RingError {
    move |error| RingError::Failed { act, error }
}

/// Rings so far.
static RINGS: AtomicU64 = AtomicU64::new(0);
/// The most requests of one ring.
const MOST: u16 = 128;
/// How long a ring that is dropped waits for what is in it.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);
