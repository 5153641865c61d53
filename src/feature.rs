//! What a file's I/O promises: the bitmask in place of `noop_direct_IO` and of its successor `FMODE_CAN_ODIRECT`.
//!
//! The kernel has one bit, which says that `O_DIRECT` may be opened. It says nothing of reads against writes, of a
//! fallback to buffered I/O, of transactions, or of what happens while memory is short. Here each is a promise of
//! its own. A set bit is a promise, and who sets it answers for it; a clear bit promises nothing. What each
//! [`Model`] rests on is [`Features::required`]; [`Features::promise`] is the only door to [`Promises`].
//!
//! ```
//! use swap_dio::{Features, Model};
//!
//! // A filesystem that falls back to the page cache when direct I/O is inconvenient.
//! let features = Features::required(Model::File).difference(Features::NO_BUFFERED_FALLBACK);
//! let reason = features.promise(Model::File).expect_err("that allocates");
//! assert_eq!(reason.code(), "promise-missing");
//! assert!(features.promise(Model::Bio).is_ok(), "bios pass the filesystem by");
//! ```
//!
//! Sources: Linux v6.18, `include/linux/fs.h` (`FMODE_CAN_ODIRECT`, `fop_flags`), `include/linux/swap.h` (`SWP_*`);
//! mainline `include/linux/swap_ops.h`; D. Howells' `supports` bitmask and D. Chinner's review of it, linux-fsdevel,
//! 2021-09-24 to 27.

mod decode;
mod direct_io;
mod meaning;

use crate::model::Model;
use crate::reason::{Reason, RequestFault};
pub(crate) use decode::when;
pub use direct_io::DirectIo;

bitflags::bitflags! {
    /// What a file's I/O promises. A set bit is a promise; a clear bit promises nothing.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Features: u32 {
        /// Reads may go by direct I/O.
        ///
        /// Motive: some filesystems can do one direction only, which Howells' single bit could not say.
        const DIO_READ = 1 << 0;
        /// Writes may go by direct I/O.
        ///
        /// Motive: as for [`DIO_READ`](Self::DIO_READ).
        const DIO_WRITE = 1 << 1;
        /// Direct I/O that cannot be done fails; it is never done through the page cache instead.
        ///
        /// Motive: ext4, XFS and btrfs take `-ENOTBLK` as "use buffered I/O", which allocates page cache in reclaim.
        const NO_BUFFERED_FALLBACK = 1 << 2;
        /// A write in place runs no transaction before it is submitted, timestamps aside.
        ///
        /// Motive: allocation, extension and the begin of copy-on-write wait for memory or log space that only this
        /// write can free (Chinner, 2021-09-25). A hard demand, unlike `IOCB_NOWAIT`, where a miss is latency.
        const TXN_FREE_SUBMIT = 1 << 3;
        /// A write in place runs no transaction when it completes.
        ///
        /// Motive: the conversion of unwritten extents, the end of copy-on-write, a new size (Chinner, 2021-09-26).
        const TXN_FREE_COMPLETE = 1 << 4;
        /// Blocks stay where they are until the area is switched off.
        ///
        /// Motive: f2fs pins the inode against its garbage collection, btrfs pins block groups against balance.
        const STABLE_MAPPING = 1 << 5;
        /// I/O goes on after the filesystem has shut down.
        ///
        /// Motive: after an error the mapping callbacks answer `EIO`, so that nothing could be read back and no
        /// swapoff could end well (Chinner, 2021-09-26). Block-mapped swap survives, since nobody asks.
        const SURVIVES_SHUTDOWN = 1 << 6;
        /// A page is one I/O, never several.
        ///
        /// Motive: with blocks smaller than a page direct I/O may split it; block-mapped activation trims such runs.
        const ONE_IO_PER_PAGE = 1 << 7;
        /// Whoever reclaims memory for this area must not enter a filesystem at all: `GFP_NOFS`, not only `GFP_NOIO`.
        ///
        /// Motive: `SWAP_OPS_F_REQUIRE_NOFS`, before it `SWP_FS_OPS` in `mm/vmscan.c:may_enter_fs`. A demand on the
        /// caller more than a promise: admission refuses writes of tasks that may not enter a filesystem.
        const REQUIRES_NOFS = 1 << 8;
        /// Memory must not change while it is being written.
        ///
        /// Motive: `SWP_STABLE_WRITES`, for devices that checksum what they are given. A demand on the caller.
        const STABLE_WRITES = 1 << 9;
        /// Requests end before the call returns.
        ///
        /// Motive: `SWP_SYNCHRONOUS_IO` (zram, brd, pmem): the caller need not batch.
        const SYNCHRONOUS = 1 << 10;
        /// Requests may be queued and end later, exactly once.
        ///
        /// Motive: `-EIOCBQUEUED` and `ki_complete`. Howells' v3 had to force synchronous I/O for want of it.
        const ASYNC_COMPLETION = 1 << 11;
        /// A request may be of large folios.
        ///
        /// Motive: before `swap_ops` only real block devices got them (`mm/swapfile.c:cluster_alloc_swap_entry`), since
        /// `swap_folio_sector` asks for the first page's place alone. Here a folio in two runs has two in its ticket.
        const LARGE_FOLIO = 1 << 12;
        /// The I/O path needs no memory that reclaim must first free: reserves, preallocation, locked memory.
        ///
        /// Motive: `sk_set_memalloc` and `PF_MEMALLOC` on the way of NFS; `Documentation/filesystems/vfs.rst` on
        /// `swap_activate`: whatever makes writes possible with minimal allocation.
        const MEMALLOC_SAFE = 1 << 13;
        /// Freed pages may be discarded.
        ///
        /// Motive: `SWP_DISCARDABLE`. Discards go to the raw extents; the file model has none.
        const DISCARD = 1 << 14;
        /// A call that would block may be told to return instead.
        ///
        /// Motive: `FMODE_NOWAIT`. For `RWF_NOWAIT` of others only: a swap request never carries it.
        const NOWAIT = 1 << 15;
        /// I/O stamps no times.
        ///
        /// Motive: `file_update_time` dirties the inode about once a tick, unless `FMODE_NOCMTIME` or `S_NOCMTIME`.
        const NO_TIMESTAMPS = 1 << 16;
        /// A direct write takes no inode lock that excludes other writes.
        ///
        /// Motive: `FOP_DIO_PARALLEL_WRITE`; a task that reclaims may hold that lock (Chinner asked for none).
        const PARALLEL_WRITES = 1 << 17;
    }
}

impl Features {
    /// The promises that a model rests on.
    ///
    /// In the bio model the filesystem is not on the way of the I/O: it has only to leave the blocks where they are.
    /// What is left out is a wish or a demand on the caller: times are a warning ([`Promises::warning`]), shutdown
    /// is asked at each request, `NOWAIT` never fits.
    pub const fn required(model: Model) -> Self {
        match model {
            Model::Bio => Self::STABLE_MAPPING,
            Model::File => Self::DIO_READ
                .union(Self::DIO_WRITE)
                .union(Self::NO_BUFFERED_FALLBACK)
                .union(Self::TXN_FREE_SUBMIT)
                .union(Self::TXN_FREE_COMPLETE)
                .union(Self::STABLE_MAPPING)
                .union(Self::ONE_IO_PER_PAGE)
                .union(Self::MEMALLOC_SAFE),
        }
    }

    /// Takes the promises for a model: the only door to [`Promises`].
    ///
    /// # Errors
    /// [`RequestFault::Promise`] with the first that is missing, in the order of the bits.
    pub fn promise(self, model: Model) -> Result<Promises, Reason> {
        let who = match model {
            Model::Bio => "the bio model",
            Model::File => "the file model",
        };
        self.needs(Self::required(model), who)?;
        Ok(Promises { features: self, model })
    }

    /// Whether every promise is made.
    #[inline]
    pub(crate) fn needs(self, promises: Self, who: &'static str) -> Result<(), Reason> {
        match promises.difference(self).iter_names().next() {
            None => Ok(()),
            Some((promise, _)) => Err(Reason::Request(RequestFault::Promise { who, promise })),
        }
    }
}

/// The promises of a file that suffice for a model. Only [`Features::promise`] gives them.
///
/// ```compile_fail,E0451
/// let forged = swap_dio::feature::Promises { features: swap_dio::Features::empty(), model: swap_dio::Model::Bio };
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Promises {
    features: Features,
    model: Model,
}

impl Promises {
    /// Every promise that was made, the needed ones among them.
    pub const fn features(&self) -> Features {
        self.features
    }

    /// The model that they suffice for.
    pub const fn model(&self) -> Model {
        self.model
    }

    /// What is not refused and still costs: times that each write stamps.
    pub const fn warning(&self) -> Option<Reason> {
        match self.model {
            Model::File if !self.features.contains(Features::NO_TIMESTAMPS) => Some(Reason::TimestampTransaction),
            Model::File | Model::Bio => None,
        }
    }
}
