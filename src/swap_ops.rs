//! The traits by which a filesystem serves swap, and the plug that feeds them.
//!
//! Two shapes, as Linux has had them. [`SwapRw`] is `address_space_operations.swap_rw` (5.19 to 6.18): one call for
//! both directions, which returns what became of the request. [`SwapOps`] is `struct swap_ops`, which mainline is
//! moving to: `can_merge`, `submit_read`, `submit_write` and a flag. Each serves as the other: [`RwAsOps`],
//! [`OpsAsRw`].
//!
//! ```text
//! folio, folio … ──► Plug (merges neighbours, up to 32) ──► Policy::admit ──► Batch = Ticket + folios
//!                                                             │                  ──► SwapOps / SwapRw
//!                                                             └──► Reason ──► Folio::end, each one
//! ```
//!
//! A [`Batch`] ends each of its [`Folio`]s exactly once, with the same result: there is no partial success. One that
//! is dropped ends them too, in an error. Nothing here allocates: a plug is 32 places on the stack.
//!
//! Left out on purpose: `swap_activate` and `swap_deactivate`, which are [`Activation`](crate::Activation) and
//! [`Policy::retire`](crate::Policy::retire); and a buffered fallback, which would allocate.
//!
//! Sources: Linux v6.18, `include/linux/fs.h` (`swap_rw`), `mm/page_io.c` (`swap_writepage_fs`, `swap_read_folio_fs`);
//! mainline `include/linux/swap_ops.h`, `mm/page_io.c` (`swap_add_folio`, `swap_fs_submit`).

mod batch;
mod plug;

pub use batch::{Batch, QueuedBatch};
pub use plug::Plug;

use crate::admit::Completion;
use crate::feature::Features;
use crate::flags::Direction;
use crate::model::Model;
use crate::reason::{Reason, RequestFault};
use crate::unit::{Bytes, PageCount};

/// A piece of memory that is swapped: a page, or a larger power of two of pages.
///
/// ```
/// use std::cell::Cell;
/// use swap_dio::flags::Direction;
/// use swap_dio::swap_ops::Folio;
/// use swap_dio::{Bytes, Reason};
///
/// struct Page<'m> {
///     bytes: &'m mut [u8; 4096],
///     dirty: &'m Cell<bool>,
/// }
///
/// impl Folio for Page<'_> {
///     fn alignment(&self) -> Bytes {
///         Bytes::new(4096) // the allocator's word; for a byte buffer ask its address
///     }
///
///     fn end(self, direction: Direction, result: Result<(), Reason>) {
///         match (direction, result) {
///             (Direction::Write, Ok(())) => self.dirty.set(false),
///             (Direction::Write, Err(_)) => (), // still dirty: it will be written again
///             (Direction::Read, Ok(())) => (),
///             (Direction::Read, Err(_)) => self.bytes.fill(0xff), // never zeros: whoever faulted gets SIGBUS
///         }
///     }
/// }
/// ```
pub trait Folio {
    /// How many pages, a power of two.
    fn pages(&self) -> PageCount {
        PageCount::new(1)
    }

    /// What its address is a multiple of.
    fn alignment(&self) -> Bytes;

    /// Takes the end of its I/O. After a failed write the memory is still dirty and must be written again; after a
    /// failed read it is not up to date and must not be used.
    ///
    /// A reason whose verdict is [`Retry`](crate::Verdict::Retry) is of a request that was never made, as where too
    /// many are in flight: the same folio may be added again later. Linux waits there; nothing here blocks.
    fn end(self, direction: Direction, result: Result<(), Reason>);
}

/// A filesystem that serves swap by one call, as `swap_rw` of 5.19 to 6.18.
///
/// The implementation must run no transaction, take no lock that a reclaiming task may hold, allocate nothing that
/// reclaim must first free, and end the batch exactly once: now, or later from a [`QueuedBatch`]. It cannot return
/// without: a [`Completion`] comes from a batch that was ended or queued.
///
/// Its pages are the file's, by definition: an area of the bio model never gets here.
///
/// ```
/// use swap_dio::Completion;
/// use swap_dio::flags::Direction;
/// use swap_dio::swap_ops::{Batch, Folio, SwapRw};
///
/// struct Server;
///
/// impl<'p, F: Folio> SwapRw<'p, F> for Server {
///     fn swap_rw(&self, batch: Batch<'p, F>) -> Completion {
///         let mut done = 0;
///         for run in batch.ticket().runs() {
///             // One I/O from or to `run.target()`; what it really did is counted.
///             done += i64::try_from(run.length().get() * 4096).unwrap_or(0);
///         }
///         batch.complete(done)
///     }
/// }
/// ```
pub trait SwapRw<'p, F: Folio> {
    /// Reads or writes a batch: [`Ticket::direction`](crate::Ticket::direction) says which.
    fn swap_rw(&self, batch: Batch<'p, F>) -> Completion;
}

bitflags::bitflags! {
    /// `swap_ops.flags`.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct OpsFlags: u32 {
        /// `SWAP_OPS_F_REQUIRE_NOFS`: who reclaims for this area may not be inside a filesystem.
        const REQUIRE_NOFS = 1 << 0;
    }
}

impl OpsFlags {
    /// The same, as a promise of the file.
    pub const fn features(self) -> Features {
        if self.contains(Self::REQUIRE_NOFS) { Features::REQUIRES_NOFS } else { Features::empty() }
    }
}

/// A filesystem or device that serves swap in mainline's shape, `struct swap_ops`.
///
/// ```
/// use swap_dio::flags::Direction;
/// use swap_dio::Model;
/// use swap_dio::swap_ops::{Batch, Folio, OpsFlags, SwapOps};
///
/// struct Device;
///
/// impl<'p, F: Folio> SwapOps<'p, F> for Device {
///     fn model(&self) -> Model {
///         Model::Bio
///     }
///
///     fn flags(&self) -> OpsFlags {
///         OpsFlags::empty() // bios enter no filesystem
///     }
///
///     fn submit_read(&self, batch: Batch<'p, F>) {
///         let _ended = batch.complete(-5); // EIO: every folio is told
///     }
///
///     fn submit_write(&self, batch: Batch<'p, F>) {
///         let length = i64::try_from(batch.ticket().bytes().get()).unwrap_or(-5);
///         let _ended = batch.complete(length);
///     }
/// }
/// ```
pub trait SwapOps<'p, F: Folio> {
    /// Whose pages it takes: of the device, as mainline's `swap_bdev_ops`, or of the file, as every other.
    fn model(&self) -> Model;

    /// What it demands of its callers. By default the stricter: no reclaim from inside a filesystem.
    fn flags(&self) -> OpsFlags {
        OpsFlags::REQUIRE_NOFS
    }

    /// Whether `next` may join the batch that `last` ends. That it follows in place is checked by the plug; here is
    /// what else may keep them apart, as the cgroup that pays for a bio does.
    fn can_merge(&self, last: &F, next: &F, direction: Direction) -> bool {
        let _ = (last, next, direction);
        true
    }

    /// Reads a batch, and ends it, now or later.
    fn submit_read(&self, batch: Batch<'p, F>);

    /// Writes a batch, and ends it, now or later.
    fn submit_write(&self, batch: Batch<'p, F>);
}

/// Serves `swap_ops` by `swap_rw`, as mainline's `swap_fs_submit` did for NFS and SMB. Merging and demands are the
/// defaults: `swap_rw` has neither.
#[derive(Clone, Copy, Debug)]
pub struct RwAsOps<T>(pub T);

impl<'p, F: Folio, T: SwapRw<'p, F>> SwapOps<'p, F> for RwAsOps<T> {
    fn model(&self) -> Model {
        Model::File
    }

    fn submit_read(&self, batch: Batch<'p, F>) {
        self.submit(batch);
    }

    fn submit_write(&self, batch: Batch<'p, F>) {
        self.submit(batch);
    }
}

impl<T> RwAsOps<T> {
    fn submit<'p, F: Folio>(&self, batch: Batch<'p, F>)
    where
        T: SwapRw<'p, F>,
    {
        // The folios have been told, or will be: a completion comes from a batch that ended or was queued.
        let _accounted_for = self.0.swap_rw(batch);
    }
}

/// Serves `swap_rw` by `swap_ops`: every request counts as queued, since its end is told to the folios alone. What
/// `can_merge` and `flags` say is lost: `swap_rw` has no place for it.
#[derive(Clone, Copy, Debug)]
pub struct OpsAsRw<T>(pub T);

impl<'p, F: Folio, T: SwapOps<'p, F>> SwapRw<'p, F> for OpsAsRw<T> {
    fn swap_rw(&self, batch: Batch<'p, F>) -> Completion {
        // `swap_rw` is the file model's; a device's operations would take its pages for their own.
        let (server, area) = (self.0.model(), batch.ticket().model());
        if server != area {
            return batch.fail(Reason::Request(RequestFault::OtherModel { server, area }));
        }
        match batch.ticket().direction() {
            Direction::Read => self.0.submit_read(batch),
            Direction::Write => self.0.submit_write(batch),
        }
        Completion::QUEUED
    }
}

impl<'p, F: Folio, T: SwapOps<'p, F> + ?Sized> SwapOps<'p, F> for &T {
    fn model(&self) -> Model {
        (**self).model()
    }

    fn flags(&self) -> OpsFlags {
        (**self).flags()
    }

    fn can_merge(&self, last: &F, next: &F, direction: Direction) -> bool {
        (**self).can_merge(last, next, direction)
    }

    fn submit_read(&self, batch: Batch<'p, F>) {
        (**self).submit_read(batch);
    }

    fn submit_write(&self, batch: Batch<'p, F>) {
        (**self).submit_write(batch);
    }
}

impl<'p, F: Folio, T: SwapRw<'p, F> + ?Sized> SwapRw<'p, F> for &T {
    fn swap_rw(&self, batch: Batch<'p, F>) -> Completion {
        (**self).swap_rw(batch)
    }
}
