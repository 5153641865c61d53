//! An admitted request with its memory: up to 32 folios that end together, exactly once.

use super::Folio;
use crate::admit::{Completion, InFlight, SWAP_CLUSTER_MAX, Ticket};
use crate::flags::Direction;
use crate::reason::{Reason, RequestFault};

/// A ticket and the folios that it is for, in the order of their pages: `struct swap_iocb`.
///
/// ```compile_fail,E0382
/// # fn twice<F: swap_dio::swap_ops::Folio>(batch: swap_dio::swap_ops::Batch<'_, F>) {
/// let _ = batch.complete(4096);
/// let _ = batch.complete(4096);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a batch that nobody ends fails"]
pub struct Batch<'p, F: Folio> {
    // First, so that it is dropped first: who is told of the end may ask for more.
    ticket: Ticket<'p>,
    folios: Folios<F>,
}

impl<'p, F: Folio> Batch<'p, F> {
    pub(super) fn new(ticket: Ticket<'p>, folios: Folios<F>) -> Self {
        Self { ticket, folios }
    }

    /// Where it goes, and how.
    pub const fn ticket(&self) -> &Ticket<'p> {
        &self.ticket
    }

    /// Its memory, in the order of the pages.
    pub fn folios(&self) -> impl Iterator<Item = &F> {
        self.folios.places.iter().flatten()
    }

    /// Its memory, to read into.
    pub fn folios_mut(&mut self) -> impl Iterator<Item = &mut F> {
        self.folios.places.iter_mut().flatten()
    }

    /// Ends the batch with what was returned, as [`Ticket::complete`], and tells every folio.
    pub fn complete(self, returned: i64) -> Completion {
        let completion = self.ticket.complete(returned);
        self.folios.end(&completion);
        completion
    }

    /// Ends the batch without I/O.
    pub(super) fn fail(self, reason: Reason) -> Completion {
        let completion = self.ticket.fail(reason);
        self.folios.end(&completion);
        completion
    }

    /// Queues the batch: what is returned now, and what ends it later.
    ///
    /// # Errors
    /// The batch has failed, for want of the promise `ASYNC_COMPLETION`, and every folio was told.
    pub fn queue(self) -> Result<(Completion, QueuedBatch<'p, F>), Completion> {
        match self.ticket.queue() {
            Ok((completion, in_flight)) => Ok((completion, QueuedBatch { in_flight, folios: self.folios })),
            Err(completion) => {
                self.folios.end(&completion);
                Err(completion)
            }
        }
    }
}

/// A queued batch: its end is still owed.
#[derive(Debug)]
#[must_use = "a batch that nobody ends fails"]
pub struct QueuedBatch<'p, F: Folio> {
    in_flight: InFlight<'p>,
    folios: Folios<F>,
}

impl<'p, F: Folio> QueuedBatch<'p, F> {
    /// Where it goes, and how.
    pub const fn ticket(&self) -> &Ticket<'p> {
        self.in_flight.ticket()
    }

    /// Its memory, in the order of the pages.
    pub fn folios(&self) -> impl Iterator<Item = &F> {
        self.folios.places.iter().flatten()
    }

    /// Its memory, to read into.
    pub fn folios_mut(&mut self) -> impl Iterator<Item = &mut F> {
        self.folios.places.iter_mut().flatten()
    }

    /// Ends the batch with what was returned, as [`Ticket::complete`], and tells every folio.
    pub fn complete(self, returned: i64) -> Completion {
        let completion = self.in_flight.complete(returned);
        self.folios.end(&completion);
        completion
    }
}

/// Up to 32 folios. Whoever drops them unended tells them so.
#[derive(Debug)]
pub(super) struct Folios<F: Folio> {
    places: [Option<F>; BATCH],
    used: usize,
    direction: Direction,
}

impl<F: Folio> Folios<F> {
    pub(super) const fn new(direction: Direction) -> Self {
        Self { places: [const { None }; BATCH], used: 0, direction }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.used >= BATCH
    }

    pub(super) fn last(&self) -> Option<&F> {
        self.places.get(self.used.checked_sub(1)?)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &F> {
        self.places.iter().flatten()
    }

    /// Adds a folio; gives it back where there is no place.
    pub(super) fn push(&mut self, folio: F) -> Result<(), F> {
        match self.places.get_mut(self.used) {
            Some(place) => {
                *place = Some(folio);
                self.used = self.used.saturating_add(1);
                Ok(())
            }
            None => Err(folio),
        }
    }

    /// Tells every folio how it ended.
    pub(super) fn end(self, completion: &Completion) {
        if let Some(result) = completion.result() {
            self.finish(result);
        }
    }

    pub(super) fn finish(mut self, result: Result<(), Reason>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Result<(), Reason>) {
        for folio in self.places.iter_mut().filter_map(Option::take) {
            folio.end(self.direction, result);
        }
    }
}

impl<F: Folio> Drop for Folios<F> {
    fn drop(&mut self) {
        self.tell(Err(Reason::Request(RequestFault::Dropped)));
    }
}

/// As a length of arrays.
const BATCH: usize = 32;

const _: () =
    assert!(BATCH.trailing_zeros() == SWAP_CLUSTER_MAX.trailing_zeros() && SWAP_CLUSTER_MAX.is_power_of_two());
