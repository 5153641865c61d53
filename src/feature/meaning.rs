//! Each promise in one line, for tables and messages. The motive stands at the flag itself.

use super::Features;

impl Features {
    /// What each promise says, in the order of the bits.
    pub const MEANINGS: [(Self, &'static str); 18] = [
        (Self::DIO_READ, "reads may go by direct I/O"),
        (Self::DIO_WRITE, "writes may go by direct I/O"),
        (Self::NO_BUFFERED_FALLBACK, "direct I/O that cannot be done fails, the page cache never does it instead"),
        (Self::TXN_FREE_SUBMIT, "a write in place runs no transaction before it is submitted"),
        (Self::TXN_FREE_COMPLETE, "a write in place runs no transaction when it completes"),
        (Self::STABLE_MAPPING, "blocks stay where they are until the area is switched off"),
        (Self::SURVIVES_SHUTDOWN, "I/O goes on after the filesystem has shut down"),
        (Self::ONE_IO_PER_PAGE, "a page is one I/O, never several"),
        (Self::REQUIRES_NOFS, "a demand: whoever reclaims for the area is inside no filesystem"),
        (Self::STABLE_WRITES, "a demand: memory does not change while it is written"),
        (Self::SYNCHRONOUS, "requests end before the call returns"),
        (Self::ASYNC_COMPLETION, "requests may be queued and end later, exactly once"),
        (Self::LARGE_FOLIO, "a request may be of large folios"),
        (Self::MEMALLOC_SAFE, "the I/O path needs no memory that reclaim must first free"),
        (Self::DISCARD, "freed pages may be discarded"),
        (Self::NOWAIT, "others' calls may be told not to block; a swap request never is"),
        (Self::NO_TIMESTAMPS, "I/O stamps no times"),
        (Self::PARALLEL_WRITES, "a direct write excludes no other by a lock"),
    ];
}

const _: () = {
    // Every promise is explained, and in order.
    let (mut explained, mut rest) = (Features::empty(), Features::MEANINGS.as_slice());
    while let [(promise, _), others @ ..] = rest {
        assert!(promise.bits() > explained.bits());
        explained = explained.union(*promise);
        rest = others;
    }
    assert!(explained.bits() == Features::all().bits());
};
