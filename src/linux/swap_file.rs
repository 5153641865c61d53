//! The engine of the file model: a file or a device, opened once, whose pages are read and written in place and nothing
//! else happens.
//!
//! [`SwapFile::open`] examines a path, refuses what would run a transaction or wait for memory, opens the rest with
//! `O_DIRECT`, holds it still as far as that can be ([`Hold`]), and notes what it is like. The value is the proof. A
//! [`Request`] becomes a [`Ticket`] by [`SwapFile::admit`]; a ticket is the only way to an I/O, which is done in full
//! or has failed as a whole: `EAGAIN`, `ENOTBLK`, a short count and 0 are errors, and nothing is ever repeated or done
//! through the page cache.
//!
//! | engine | one request | at once |
//! | --- | --- | --- |
//! | [`SwapFile::read`], [`SwapFile::write`] | up to 32 pages in pieces that lie anywhere: preadv2, pwritev2 | one a thread |
//! | `Ring` (feature `io-uring`) | up to 32 pages in one registered buffer | up to 128 |
//!
//! On the way of a request: no allocation, no log, no lock but the atomics of the [`Policy`]; no page fault if the
//! memory is locked (`reclaim::Pool`, the ring's buffers, or `mlockall`). Over a raw device that this kernel swaps to,
//! a request has at most 4 pages, unless more was accepted by name: for more the kernel allocates the list of pages
//! (`__blkdev_direct_IO_simple`).
//!
//! # Whose swap
//!
//! [`Consumer::OtherKernel`]: a guest's disk, a remote host's. That kernel runs mkswap and reads its header through us,
//! so page 0 is served like any other ([`Policy::serving_header`]) and what it holds is not examined. The same holds
//! for
//! [`Consumer::SameKernel`], behind ublk, NBD or a loop device; there a file is refused, unless by name ([`Override`]),
//! and so is whatever the [topology](crate::topology) refuses.
//!
//! # Looking again
//!
//! [`SwapFile::revalidate`] takes the lease again, and compares size, attributes and extents with what they were. A
//! change stops the service: every later write is refused with the reason, also one that was admitted before, and
//! [`SwapFile::stopped`] says it. What was written before is read as ever, but for what lies behind the first page that is
//! gone: go on looking, since nobody keeps the file still any more. A file that grew is served on, as swapon does. A
//! look that the kernel had no memory for is no answer: the third in a row stops the service.
//!
//! Whoever opens the file waits for the lease, 45 s at most (`lease-break-time`): look at least that often. A file that is
//! found open by somebody after a longer time without a look counts as one that was got at.
//!
//! # What is promised, and on what ground
//!
//! | promise of the [file model](crate::Features::required) | ground |
//! | --- | --- |
//! | `DIO_READ`, `DIO_WRITE`, `ONE_IO_PER_PAGE` | statx; extents in whole pages |
//! | `NO_BUFFERED_FALLBACK` | whole pages in place, of a file whose page cache is empty and that nobody else writes to |
//! | `TXN_FREE_SUBMIT`, `TXN_FREE_COMPLETE` | extents that are written and unshared; times aside ([`Times`]) |
//! | `STABLE_MAPPING` | the hold, and looking again |
//! | `MEMALLOC_SAFE` | the consumer is another kernel; or a raw device in small requests; or a risk accepted by name |
//!
//! A queue borrows its file (`Ring<'f>`), and with it the policy, so that no ticket outlives it: threads that serve one
//! file share it by reference, in `std::thread::scope` or from a place that lives as long as the program.
//!
//! Source: Linux v6.18, `fs/iomap/direct-io.c`, `block/fops.c`, `fs/ext4/file.c:ext4_dio_write_iter`,
//! `fs/xfs/xfs_file.c:xfs_file_dio_write_aligned`.

mod error;
mod fcntl;
mod handle;
mod hold;
mod loop_device;
mod opening;
#[cfg(feature = "io-uring")]
mod queue;
#[cfg(feature = "io-uring")]
mod ring;
mod serving;
mod snapshot;
mod stop;
mod times;
mod transfer;

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

pub use error::OpenError;
pub use hold::Hold;
#[cfg(feature = "io-uring")]
pub use ring::{Ended, Lent, Ring, RingError};
pub use serving::{Risks, Serving};
pub use times::Times;

pub use crate::topology::Consumer;

use crate::admit::{Policy, Request, Ticket};
use crate::candidate::Kind;
use crate::feature::{DirectIo, Features};
use crate::flags::Direction;
use crate::map::Slot;
use crate::model::Model;
use crate::reason::{Reason, ServedFault};
use crate::topology::Override;
use crate::unit::{Bytes, PageCount, PageIndex};
use hold::Holder;
use opening::Opened;
use snapshot::{Look, Snapshot};
use stop::Stop;

/// A file or a device that serves swap. Only [`open`](Self::open) makes one: it is the proof.
#[derive(Debug)]
pub struct SwapFile {
    file: File,
    policy: Policy<Vec<Slot>>,
    snapshot: Snapshot,
    hold: Holder,
    times: Times,
    warnings: Vec<Reason>,
    depends_on: Override,
    accepted: Risks,
    every: u64,
    requests: AtomicU64,
    /// Looks in a row that were not answered.
    unanswered: AtomicU32,
    stop: OnceLock<Stop>,
}

impl SwapFile {
    /// Examines a file or a block device, and opens it for service. Its whole pages are the area.
    ///
    /// # Errors
    /// [`OpenError`], in this order: what cannot be found out, the first reason that stays, the first that passes, what
    /// the opening, the lock and the lease say, and what has changed meanwhile.
    pub fn open(path: &Path, serving: &Serving) -> Result<Self, OpenError> {
        let opened = Opened::at(path, serving)?;
        let Opened { file, inode, hold, times, map, snapshot, mut warnings, depends_on } = opened;
        let mut features = Features::required(Model::File).union(Features::ASYNC_COMPLETION);
        features.set(Features::NO_TIMESTAMPS, times != Times::Stamped);
        let mut policy = Policy::new(map, features)?.serving_header().in_flight_at_most(serving.in_flight);
        let large = Override::LARGE_REQUESTS.union(Override::GLOBAL_RECLAIM_EXCLUDED);
        let is_device = inode.kind == Kind::BlockDevice;
        let is_small = is_device && serving.consumer == Consumer::SameKernel && !serving.below.intersects(large);
        if inode.direct_io != DirectIo::Unknown {
            let told = policy.with_direct_io(&inode.direct_io)?;
            // The kernel counts the pages that memory touches: what begins within one touches one more.
            policy = if is_small { told.aligned_to_pages() } else { told };
        }
        // A device, or a network, that does not say is given whole pages.
        if is_small {
            policy = policy.at_most(INLINE_PAGES);
        }
        if times == Times::Stamped {
            warnings.push(Reason::TimestampTransaction);
        }
        let &Serving { accepted, every, .. } = serving;
        let (requests, unanswered, stop) = (AtomicU64::new(0), AtomicU32::new(0), OnceLock::new());
        Ok(Self {
            file,
            policy,
            snapshot,
            hold,
            times,
            warnings,
            depends_on,
            accepted,
            every,
            requests,
            unanswered,
            stop,
        })
    }

    /// Admits a request: [`Policy::admit`], after a look at the file if its turn has come.
    ///
    /// # Errors
    /// The policy's; once the service has stopped, why, for a write and for a read of what is not to be trusted.
    #[inline]
    pub fn admit(&self, request: &Request) -> Result<Ticket<'_>, Reason> {
        if self.every != 0 {
            let before = self.requests.fetch_add(1, Relaxed);
            if before.checked_rem(self.every) == Some(self.every.saturating_sub(1)) {
                // What it finds is said below; a look that was not answered is made again.
                let _ = self.look(Look::UnlessUnderWay);
            }
        }
        self.still_serves(request.direction, request.first, request.pages)?;
        self.policy.admit(request)
    }

    /// Looks at the file again, now. It allocates nothing; the kernel may, and may read from the disk.
    ///
    /// # Errors
    /// Why the service has stopped, now or before; [`ServedFault::NotNow`] for a look that was not answered.
    pub fn revalidate(&self) -> Result<(), Reason> {
        self.look(Look::Now)
    }

    fn look(&self, look: Look) -> Result<(), Reason> {
        if let Some(stop) = self.stop.get() {
            // By a thread off the swap path only.
            return if look == Look::Now { self.look_on(stop) } else { Err(stop.reason) };
        }
        let _ = self.hold.renew(&self.file);
        let is_held = !self.hold.was_broken() || self.accepted.contains(Risks::UNHELD);
        let found = if is_held { Ok(()) } else { Err(Reason::Served(ServedFault::Opened)) };
        let reason = match found.and_then(|()| self.snapshot.compare(&self.file, look)) {
            Ok(is_made) => {
                if is_made {
                    self.unanswered.store(0, Relaxed);
                }
                return Ok(());
            }
            Err(reason @ Reason::Served(ServedFault::NotNow { errno })) => {
                if self.unanswered.fetch_add(1, Relaxed) < LOOKS {
                    return Err(reason);
                }
                Reason::Served(ServedFault::Unanswered { errno })
            }
            Err(reason) => reason,
        };
        // Said before it is done, so that whoever is refused finds the reason.
        let stop = self.stop.get_or_init(|| Stop::new(reason));
        self.policy.drain();
        self.look_on(stop)
    }

    /// After a stop: what is left to be read.
    fn look_on(&self, stop: &Stop) -> Result<(), Reason> {
        // A file that does not answer keeps what it has: a read of it answers for itself.
        if let Ok(end) = self.snapshot.readable(&self.file) {
            stop.is_readable_to(end);
        }
        Err(stop.reason)
    }

    /// Whether the service goes on for such a request.
    #[inline]
    fn still_serves(&self, direction: Direction, first: PageIndex, pages: PageCount) -> Result<(), Reason> {
        match self.stop.get() {
            None => Ok(()),
            Some(stop) => stop.check(direction, first, pages, self.policy.map().page_size()),
        }
    }

    /// Has the device write what its own cache holds of all that was written: for a consumer that asks for it. No path of swap
    /// does.
    ///
    /// # Errors
    /// The errno of fdatasync(2).
    pub fn flush(&self) -> rustix::io::Result<()> {
        rustix::fs::fdatasync(&self.file)
    }

    /// Why the service has stopped, if it has.
    pub fn stopped(&self) -> Option<Reason> {
        self.stop.get().map(|stop| stop.reason)
    }

    /// Who may do I/O: its limits, what is in flight, how it is closed. Its tickets are good here too.
    pub const fn policy(&self) -> &Policy<Vec<Slot>> {
        &self.policy
    }

    /// The size that is served: that of the whole pages when it was opened.
    pub fn size(&self) -> Bytes {
        let page = self.policy.map().page_size();
        self.policy.map().totals().pages.to_bytes(page).unwrap_or(self.snapshot.size())
    }

    /// What keeps the file still, now. A lease that somebody broke in passing is taken again.
    pub fn hold(&self) -> Hold {
        self.hold.renew(&self.file)
    }

    /// What becomes of its times.
    pub const fn times(&self) -> Times {
        self.times
    }

    /// What was accepted by name of what it stands on, and without which it would not be served: to be printed wherever
    /// it is.
    pub const fn depends_on(&self) -> Override {
        self.depends_on
    }

    /// Advice: others who can read the file, a transaction for its times.
    pub fn warnings(&self) -> &[Reason] {
        &self.warnings
    }
}

/// Looks in a row that may go unanswered.
const LOOKS: u32 = 2;
/// Pages for which the kernel has room on its stack (`DIO_INLINE_BIO_VECS`).
const INLINE_PAGES: PageCount = PageCount::new(4);

static_assertions::assert_impl_all!(SwapFile: Send, Sync);
