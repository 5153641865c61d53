//! A kiocb's flags to a block request's: total over every flag, and the swap mark is never lost on the way.
//!
//! A kiocb without [`Iocb::SWAP`] goes as direct I/O to a block device goes today (iomap marks reads `SYNC` and `IDLE`
//! too); integrity data on a route of several bios is carried,
//! as Linux does for asynchronous kiocbs there. One with the mark obeys its own table:
//!
//! | flag | a swap request |
//! | --- | --- |
//! | `SWAP` | [`Req::SWAP`] on a write, on every [`Route`]; nothing on a read, as mm does |
//! | `HIPRI` | [`Req::POLLED`] on [`Route::Async`], refused elsewhere: nobody polls there |
//! | `DIRECT`, `WRITE`, `EVENTFD`, `AIO_RW`, `NOSIGNAL` | say nothing of the request, and set nothing |
//! | every other one | is refused by name, with what it would do |
//!
//! So no swap request gets `SYNC`, `IDLE`, `FUA`, `PREFLUSH`, `NOWAIT`, `ATOMIC` from here. The direction is that of
//! the buffer; no flag has a say in it.
//!
//! Sources: Linux v6.18, `block/fops.c` (`dio_bio_write_op`, `__blkdev_direct_IO_simple`, `__blkdev_direct_IO`,
//! `__blkdev_direct_IO_async`), `include/linux/bio.h:bio_set_polled`, `mm/page_io.c:swap_writepage_bdev_async`.
//! Howells' v3 mapped the mark in `bio_set_polled` alone, so that no unpolled write had it (D. Chinner,
//! 2021-09-26): here the route does not matter.

use crate::flags::{Direction, Iocb, Opf, Req, ReqOp};
use crate::reason::{FlagFault, Reason};

/// Which way a direct I/O becomes bios. Whether its end is told now or later is another matter: mm's own kiocbs are
/// all prepared for later, and whoever serves one may end it now.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Route {
    /// Synchronous, one bio: `__blkdev_direct_IO_simple`.
    Plain,
    /// Several bios, or a vector that does not fit in one: `__blkdev_direct_IO`.
    Vectored,
    /// Asynchronous, one bio: `__blkdev_direct_IO_async`. With [`Iocb::HIPRI`] it is polled.
    Async,
}

impl Route {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Vectored, Self::Async];
}

/// Translates the flags of a kiocb whose buffer has this direction, on this route.
///
/// # Errors
/// [`FlagFault::Unknown`] for bits of no flag; [`FlagFault::NotCarried`] with the first flag, in the order of the bits,
/// that the request cannot carry; [`FlagFault::Unsupported`] for an atomic read.
///
/// ```
/// use swap_dio::flags::{Direction, Iocb, Req, ReqOp};
/// use swap_dio::translate::{Route, opf};
///
/// let out = opf(Iocb::SWAP, Direction::Write, Route::Plain)?;
/// assert_eq!((out.op(), out.flags()), (ReqOp::Write, Req::SWAP));
/// let refused = opf(Iocb::SWAP | Iocb::NOWAIT, Direction::Write, Route::Plain).expect_err("it would bounce");
/// assert_eq!(refused.code(), "flag-not-carried");
/// # Ok::<(), swap_dio::Reason>(())
/// ```
pub fn opf(flags: Iocb, direction: Direction, route: Route) -> Result<Opf, Reason> {
    let nobody = flags.difference(Iocb::all());
    if !nobody.is_empty() {
        return Err(Reason::Flags(FlagFault::Unknown { word: "ki_flags", bits: nobody.bits().into() }));
    }
    if flags.contains(Iocb::SWAP) { swap(flags, direction, route) } else { direct(flags, direction, route) }
}

/// The flags of a swap request.
fn swap(flags: Iocb, direction: Direction, route: Route) -> Result<Opf, Reason> {
    let polled = flags.contains(Iocb::HIPRI);
    if polled && route != Route::Async {
        return Err(not_carried("HIPRI", "only an asynchronous request of one bio is polled"));
    }
    if flags.intersects(REFUSED) {
        return Err(refused(flags));
    }
    let polled = if polled { Req::POLLED } else { Req::empty() };
    match direction {
        Direction::Read => Opf::new(ReqOp::Read, polled),
        Direction::Write => Opf::new(ReqOp::Write, polled.union(Req::SWAP)),
    }
}

/// The flags of any other direct I/O, as Linux v6.18 makes them.
fn direct(flags: Iocb, direction: Direction, route: Route) -> Result<Opf, Reason> {
    let set = |flag: Iocb, req: Req| if flags.contains(flag) { req } else { Req::empty() };
    let polled = if route == Route::Async { set(Iocb::HIPRI, Req::POLLED) } else { Req::empty() };
    // `__blkdev_direct_IO_simple` has its bio on the stack: it comes from no cache and carries no integrity data.
    let allocated = match route {
        Route::Plain => Req::empty(),
        Route::Vectored | Route::Async => {
            set(Iocb::ALLOC_CACHE, Req::ALLOC_CACHE).union(set(Iocb::HAS_METADATA, Req::INTEGRITY))
        }
    };
    let both = polled.union(allocated).union(set(Iocb::NOWAIT, Req::NOWAIT));
    match direction {
        Direction::Read if flags.contains(Iocb::ATOMIC) => {
            Err(Reason::Flags(FlagFault::Unsupported { flag: "ATOMIC", why: "only a write is atomic" }))
        }
        Direction::Read => Opf::new(ReqOp::Read, both),
        Direction::Write if route == Route::Vectored && flags.contains(Iocb::ATOMIC) => {
            Err(not_carried("ATOMIC", "an atomic write is one bio"))
        }
        Direction::Write => {
            let write =
                Req::SYNC.union(Req::IDLE).union(set(Iocb::DSYNC, Req::FUA)).union(set(Iocb::ATOMIC, Req::ATOMIC));
            Opf::new(ReqOp::Write, both.union(write))
        }
    }
}

/// Why not, by the first flag that is refused.
#[cold]
fn refused(flags: Iocb) -> Reason {
    let first = NOT_CARRIED.into_iter().find(|(flag, ..)| flags.contains(*flag));
    first.map_or(not_carried("of no name", "it has no rule"), |(_, name, why)| not_carried(name, why))
}

const fn not_carried(flag: &'static str, why: &'static str) -> Reason {
    Reason::Flags(FlagFault::NotCarried { flag, why })
}

/// What a swap request carries.
const CARRIED: Iocb = Iocb::SWAP.union(Iocb::HIPRI);

/// What says nothing of the request: how the file was opened, and who is told of the end.
const SILENT: Iocb = Iocb::DIRECT.union(Iocb::WRITE).union(Iocb::EVENTFD).union(Iocb::AIO_RW).union(Iocb::NOSIGNAL);

/// What is refused: everything else, so that a new flag is refused before it has a rule.
const REFUSED: Iocb = Iocb::all().difference(CARRIED).difference(SILENT);

/// Each refused flag in the order of the bits, its name, and what it would do to swap.
const NOT_CARRIED: [(Iocb, &str, &str); 11] = [
    (Iocb::DSYNC, "DSYNC", "swap needs no durability, and a flush may wait for a journal"),
    (Iocb::SYNC, "SYNC", "swap needs no durability, and a sync commits a journal"),
    (Iocb::NOWAIT, "NOWAIT", "it would end in EAGAIN, which fails the whole batch"),
    (Iocb::APPEND, "APPEND", "it would go to the end of the file, not to its page"),
    (Iocb::ATOMIC, "ATOMIC", "it may need a remap, and swap needs no atomicity"),
    (Iocb::DONTCACHE, "DONTCACHE", "it is buffered I/O, which allocates"),
    (Iocb::WAITQ, "WAITQ", "it is for buffered reads"),
    (Iocb::NOIO, "NOIO", "it forbids the I/O that is asked for"),
    (Iocb::ALLOC_CACHE, "ALLOC_CACHE", "bios of swap come from a reserve, not from a cache that may be empty"),
    (
        Iocb::DIO_CALLER_COMP,
        "DIO_CALLER_COMP",
        "no task waits to run its end; bit 22 was IOCB_SWAP in Howells' v3 only",
    ),
    (Iocb::HAS_METADATA, "HAS_METADATA", "swapped pages have no integrity data"),
];

const _: () = {
    // Every refused flag is named, and nothing else is.
    let (mut named, mut rest) = (Iocb::empty(), NOT_CARRIED.as_slice());
    while let [(flag, ..), others @ ..] = rest {
        named = named.union(*flag);
        rest = others;
    }
    assert!(named.bits() == REFUSED.bits());
};
