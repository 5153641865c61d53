//! What keeps a served file still: a lease and a lock of a file, the exclusive claim of a device.
//!
//! | hold | keeps out | does not keep out |
//! | --- | --- | --- |
//! | lease | open(2) and truncate(2) of anybody, for 45 s (`lease-break-time`); then they go on | unlink, rename; who opens after that; the filesystem itself (btrfs balance, online repair); writes to the device below |
//! | lock | another `SwapFile`, and who asks for flock(2) | everybody else |
//! | exclusive claim | mounts, swapon, other exclusive openers | who opens the device plainly, and writes |
//!
//! swapon has `S_SWAPFILE`, which stops all of it in the kernel; a server has nothing like that. So the file is looked
//! at again, and service stops when it has changed. The mere try to open the file breaks a lease, also one that did not
//! wait: [`renew`](Hold::renew) takes it again.
//!
//! Source: Linux v6.18, `fs/locks.c` (`check_conflicting_open`, `__break_lease`, `time_out_leases`),
//! `block/bdev.c:bd_may_claim`.

use std::os::fd::AsFd;
use std::time::Duration;

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
    /// A lock only: this filesystem has no leases, or the file belongs to another user.
    Lock,
    /// A lock only: a lease was held, and somebody who opened the file has outwaited it.
    Broken,
    /// The exclusive claim of a block device.
    Exclusive,
}

impl Hold {
    /// Takes what a regular file has.
    ///
    /// # Errors
    /// [`ServedFault::Held`]; the errno of a call that has to go.
    pub(super) fn of_file(fd: impl AsFd, inode: &Inode) -> Result<Self, OpenError> {
        let held = || OpenError::from(Reason::Served(ServedFault::Held));
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            // NFS takes a lock on the server, which may have none.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => (),
            Err(Errno::AGAIN) => return Err(held()),
            Err(error) => return Err(failed("lock the file")(error)),
        }
        let mut taken = take_lease(&fd);
        for _ in 0..TRIES {
            // A child that another thread of ours has just forked has our descriptors until it runs its program.
            if taken == Err(Errno::AGAIN) {
                std::thread::sleep(PAUSE);
                taken = take_lease(&fd);
            }
        }
        match taken {
            Ok(()) => Ok(Self::Lease),
            Err(Errno::AGAIN) => Err(held()),
            // Without a lease /proc must say that nobody writes.
            Err(_) => match users::writer(inode).map_err(no_fact("who has it open"))? {
                None => Ok(Self::Lock),
                Some(_) => Err(held()),
            },
        }
    }

    /// The hold now; a lease that somebody broke without waiting is taken again.
    pub(super) fn renew(self, fd: impl AsFd) -> Self {
        match self {
            Self::Lease | Self::Broken if has_lease(&fd) => Self::Lease,
            Self::Lease | Self::Broken => {
                // A lease that is being broken can only be given back.
                let taken = give_lease_back(&fd).and_then(|()| take_lease(&fd));
                if taken.is_ok() { Self::Lease } else { Self::Broken }
            }
            Self::Lock | Self::Exclusive => self,
        }
    }
}

const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(5);
