//! A bounded journal, and the memory that it needs to make room: the two things that a transaction waits for.

use std::cell::Cell;

use swap_dio::transaction::Cost;

/// A log with room for so many transactions. Making room writes metadata back, and that needs a page of memory.
pub(crate) struct Journal {
    room: Cell<u32>,
    capacity: u32,
    free_pages: Cell<u32>,
    transactions: Cell<u32>,
    costs: Cell<Cost>,
}

/// Who waits for whom. A kernel hangs here; this filesystem says so and gives up.
#[derive(Debug)]
pub(crate) struct Deadlock;

impl std::fmt::Display for Deadlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the write waits for log space, log space for a page of memory, and that page for this write to end",
        )
    }
}

impl Journal {
    /// A journal with room for `capacity` transactions, and so many free pages of memory.
    pub(crate) fn new(capacity: u32, free_pages: u32) -> Self {
        let (room, free_pages) = (Cell::new(capacity), Cell::new(free_pages));
        Self { room, capacity, free_pages, transactions: Cell::new(0), costs: Cell::new(Cost::empty()) }
    }

    /// Runs one transaction for this kind of work.
    pub(crate) fn run(&self, cost: Cost) -> Result<(), Deadlock> {
        self.note(cost);
        if self.room.get() == 0 {
            self.make_room()?;
        }
        self.room.set(self.room.get() - 1);
        self.transactions.set(self.transactions.get() + 1);
        Ok(())
    }

    /// Notes work that is none of the journal's: the page cache, zeros that were made up.
    pub(crate) fn note(&self, cost: Cost) {
        self.costs.set(self.costs.get() | cost);
    }

    /// Writes metadata back: it takes a page for as long as that lasts.
    fn make_room(&self) -> Result<(), Deadlock> {
        if self.free_pages.get() == 0 {
            // Here the kernel would reclaim, and so swap out, and so come back to this very function.
            return Err(Deadlock);
        }
        self.room.set(self.capacity);
        Ok(())
    }

    /// Transactions so far.
    pub(crate) fn transactions(&self) -> u32 {
        self.transactions.get()
    }

    /// What was done since the last call.
    pub(crate) fn take_costs(&self) -> Cost {
        self.costs.replace(Cost::empty())
    }
}
