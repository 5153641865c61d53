//! What an area's requests share: how many are in flight, how many were given up, and whether more may come.
//!
//! Atomics only, so that a policy can be shared by threads: admission takes no lock, and none that reclaim may hold.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::flags::Direction;
use crate::reason::{Reason, RequestFault};

/// Counts and state of one area.
#[derive(Debug)]
pub(super) struct Ledger {
    in_flight: AtomicU32,
    dropped: AtomicU32,
    state: AtomicU32,
}

impl Ledger {
    pub(super) const fn new() -> Self {
        Self { in_flight: AtomicU32::new(0), dropped: AtomicU32::new(0), state: AtomicU32::new(0) }
    }

    /// Counts a request in, unless the state forbids it for good, or `later` or the limit for now: in that order.
    ///
    /// The count is raised before the state is read, and a closing thread sets the state before it reads the count:
    /// so at least one of the two sees the other. A request that is refused is in the count for that moment.
    #[inline]
    pub(super) fn enter(
        &self,
        limit: u32,
        direction: Direction,
        survives: bool,
        later: Option<RequestFault>,
    ) -> Result<Held<'_>, Reason> {
        let before = self.in_flight.fetch_add(1, SeqCst);
        let held = Held { ledger: self, ended: false };
        let state = self.state.load(SeqCst);
        let refusal = if state == 0 && before < limit && later.is_none() {
            None
        } else if state & CLOSED != 0 || (state & DRAINING != 0 && direction == Direction::Write) {
            Some(RequestFault::Closed)
        } else if state & MOVED != 0 {
            Some(RequestFault::MappingMoved)
        } else if state & SHUT_DOWN != 0 && !survives {
            Some(RequestFault::ShutDown)
        } else if later.is_some() {
            later
        } else {
            (before >= limit).then_some(RequestFault::QueueFull { limit })
        };
        match refusal {
            None => Ok(held),
            Some(fault) => {
                held.end();
                Err(Reason::Request(fault))
            }
        }
    }

    pub(super) fn set(&self, state: u32) {
        self.state.fetch_or(state, SeqCst);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(SeqCst)
    }

    pub(super) fn dropped(&self) -> u32 {
        self.dropped.load(SeqCst)
    }

    pub(super) fn forgive(&self) -> u32 {
        self.dropped.swap(0, SeqCst)
    }
}

/// One request that is counted in. Whoever gives it up without an end is found out.
#[derive(Debug)]
pub(super) struct Held<'p> {
    ledger: &'p Ledger,
    ended: bool,
}

impl Held<'_> {
    /// Whether it is counted there.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub(super) fn is_of(&self, ledger: &Ledger) -> bool {
        core::ptr::eq(self.ledger, ledger)
    }

    #[inline]
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            // It must never come round to none.
            let one_more = |dropped: u32| Some(dropped.saturating_add(1));
            let _ = self.ledger.dropped.fetch_update(SeqCst, SeqCst, one_more);
        }
        self.ledger.in_flight.fetch_sub(1, SeqCst);
    }
}

/// The area is off.
pub(super) const CLOSED: u32 = 1 << 0;
/// Blocks have moved.
pub(super) const MOVED: u32 = 1 << 1;
/// The filesystem has shut down.
pub(super) const SHUT_DOWN: u32 = 1 << 2;
/// The area is being read back, to be switched off.
pub(super) const DRAINING: u32 = 1 << 3;
