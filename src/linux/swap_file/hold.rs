//! What keeps a served file still: a lease and a lock of a file, the exclusive claim of a device.
//!
//! | hold | keeps out | does not keep out |
//! | --- | --- | --- |
//! | lease | open(2) and truncate(2) of anybody, for 45 s (`lease-break-time`); then they go on | unlink, rename; who opens after that; the filesystem itself (btrfs balance, online repair); writes to the device below |
//! | lock | another `SwapFile`, and who asks for flock(2) | everybody else |
//! | exclusive claim | mounts, swapon, other exclusive openers | who opens the device plainly, and writes |
//!
//! swapon has `S_SWAPFILE`, which stops all of it in the kernel; a server has nothing like that. So the file is looked
//! at again, and service stops when it has changed, or when somebody has outwaited the lease.
//!
//! The mere try to open the file breaks a lease, also one that did not wait. Each look takes it again, unless somebody
//! is waiting: to give it back for a moment would let that one in. One who waited and is gone by the next look is told
//! from one who did not wait. Where looks are further apart than the time of a lease, one who came and went between two
//! is not seen.
//!
//! Source: Linux v6.18, `fs/locks.c` (`check_conflicting_open`, `__break_lease`, `time_out_leases`),
//! `block/bdev.c:bd_may_claim`.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{OpenError, failed};
use super::fcntl::{give_lease_back, has_lease, take_lease};
use crate::linux::error::no_fact;
use crate::linux::inode::Inode;
use crate::linux::prepare::users;
use crate::reason::{Reason, ServedFault};

/// What keeps the file still. It ends with the descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// A writer's lease, and a lock.
    Lease,
    /// The same, and somebody waits to open the file, until the time of the lease is over.
    Contested,
    /// A lock only: this filesystem has no leases, or the file belongs to another user.
    Lock,
    /// A lock only: a lease was held, and somebody who opened the file has outwaited it.
    Broken,
    /// The exclusive claim of a block device.
    Exclusive,
}

/// A hold, and when it was last seen to be whole.
#[derive(Debug)]
pub(super) struct Holder {
    taken: Hold,
    began: Instant,
    /// Milliseconds from then to the last time that the lease was held in full.
    full: AtomicU64,
    /// How long a lease that is being broken lasts; `None` for ever.
    lasts: Option<Duration>,
    /// Whether somebody was waiting at the last look.
    was_contested: AtomicBool,
    was_broken: AtomicBool,
}

impl Holder {
    /// Takes what a regular file has.
    ///
    /// # Errors
    /// [`ServedFault::Held`]; the errno of a call that has to go.
    pub(super) fn of_file(fd: impl AsFd, inode: &Inode) -> Result<Self, OpenError> {
        let held = || OpenError::from(Reason::Served(ServedFault::Held));
        match patiently(|| flock(&fd, FlockOperation::NonBlockingLockExclusive)) {
            // NFS takes a lock on the server, which may have none.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => (),
            Err(Errno::AGAIN) => return Err(held()),
            Err(error) => return Err(failed("lock the file")(error)),
        }
        match patiently(|| take_lease(&fd)) {
            Ok(()) => Ok(Self::new(Hold::Lease)),
            Err(Errno::AGAIN) => Err(held()),
            // Without a lease /proc must say that nobody writes.
            Err(_) => match users::writer(inode).map_err(no_fact("who has it open"))? {
                None => Ok(Self::new(Hold::Lock)),
                Some(_) => Err(held()),
            },
        }
    }

    /// That of a device which was opened for oneself.
    pub(super) fn of_device() -> Self {
        Self::new(Hold::Exclusive)
    }

    fn new(taken: Hold) -> Self {
        let text = std::fs::read_to_string("/proc/sys/fs/lease-break-time").unwrap_or_default();
        let lasts = match text.trim().parse() {
            Ok(0) => None,
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(Duration::ZERO),
        };
        let (was_contested, was_broken) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { taken, began: Instant::now(), full: AtomicU64::new(0), lasts, was_contested, was_broken }
    }

    /// The hold now; a lease that somebody broke without waiting is taken again. It allocates nothing.
    pub(super) fn renew(&self, fd: impl AsFd) -> Hold {
        if self.taken != Hold::Lease {
            return self.taken;
        }
        let now = self.began.elapsed();
        let hold = if has_lease(&fd) { Hold::Lease } else { self.retake(&fd, now) };
        match hold {
            Hold::Lease => self.full.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed),
            Hold::Broken => self.was_broken.store(true, Relaxed),
            Hold::Contested | Hold::Lock | Hold::Exclusive => (),
        }
        self.was_contested.store(hold == Hold::Contested, Relaxed);
        hold
    }

    /// Takes a lease again that is not held in full.
    fn retake(&self, fd: impl AsFd, now: Duration) -> Hold {
        if take_lease(&fd).is_err() {
            // Somebody has the file open, or waits to.
            let since = Duration::from_millis(self.full.load(Relaxed));
            let is_over = self.lasts.is_some_and(|lasts| now.saturating_sub(since) >= lasts);
            return if is_over { Hold::Broken } else { Hold::Contested };
        }
        if has_lease(&fd) {
            // It was gone, not merely being broken. If somebody waited for it to go, that one has been in.
            self.was_broken.fetch_or(self.was_contested.load(Relaxed), Relaxed);
            return Hold::Lease;
        }
        // Nobody has the file open: who broke it did not wait. Between the two somebody may come.
        if give_lease_back(&fd).is_ok() && take_lease(&fd).is_ok() { Hold::Lease } else { Hold::Broken }
    }

    /// Whether somebody who opened the file has outwaited the lease, now or before.
    pub(super) fn was_broken(&self) -> bool {
        self.was_broken.load(Relaxed)
    }
}

/// Tries again for a moment: a child that another thread of ours has just forked has our descriptors, and those that
/// were just closed, until it runs its program.
fn patiently(mut take: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    for _ in 0..TRIES {
        match take() {
            Err(Errno::AGAIN) => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    take()
}

const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(5);
