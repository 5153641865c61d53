//! What holds a file's blocks where they are: from the first `BMAP` until the handles that were open then are closed.
//!
//! FUSE has no word for swapon and swapoff. What a server sees is `OPEN`, a `BMAP` for each block, then nothing, and at
//! the end `RELEASE`. `BMAP` names no handle, so every handle that is open when it comes may be swapon's; whoever only
//! looked (`filefrag`, FIBMAP) holds the file for as long as he keeps it open, which does no harm. Each `BMAP` counts
//! anew: swapon may come while somebody else's look still holds the file.
//!
//! A server that answers `OPEN` with `ENOSYS`, so that swapoff works after its death, hears of no handle at all: its
//! file is held from the first `BMAP` until the kernel forgets the inode (`FORGET`), or sends what it would not send
//! for an active area ([`NotActive`]): mkswap(8) after swapoff does.
//!
//! Source: observed on Linux 6.18; `fs/fuse/file.c:fuse_open`, `fuse_bmap`, `fuse_release_common`.

use super::{Init, Write};
use crate::guard::{Operation, Relocation};
use crate::reason::{GuardFault, Reason};
use crate::unit::Bytes;

/// Whether one file's blocks must stay where they are. For several files: one each.
///
/// # Invariants
/// 1. `holding` is at most `open`. 2. A file that was asked for is held until each handle that was open then is closed,
///    or, if none was, until it is forgotten; or until it is proved to be no active area.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pin {
    /// The number of the next handle.
    next: u64,
    /// Handles that are open.
    open: u64,
    /// Handles from this number on were opened after the last `BMAP`.
    mark: u64,
    /// Open handles that may be swapon's.
    holding: u64,
    /// Asked for when no handle was open, or perhaps another one than those: no `RELEASE` will tell the end.
    until_forgotten: bool,
}

/// One handle of a file, to be given back when it is closed. A number that fits into `fh`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Handle(u64);

impl Handle {
    /// The number, for a server that makes it its `fh`.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The handle of a number that [`Handle::get`] gave.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Proof that a file is no active area, until the request that proves it is answered: a request that the kernel sends
/// with the inode's lock held, after it has looked whether the file is one. swapon holds that lock from before its
/// first `BMAP` until the file is marked, so that neither can be on its way meanwhile.
///
/// Only for requests of the connection that was asked `BMAP`, and for a file whose generation the server does not
/// change. No proof are `FALLOCATE` and `COPY_FILE_RANGE`, which are looked at without the lock, and a `SETATTR` to
/// more than nothing, which may be growth to the kernel.
#[derive(Debug)]
#[must_use = "what it proves ends with the answer to the request"]
pub struct NotActive(());

impl NotActive {
    /// By a `WRITE`, unless it comes from the page cache (`FUSE_WRITE_CACHE`), or may have been submitted long ago:
    /// with `FUSE_ASYNC_DIO` on the connection, direct I/O outlives the lock.
    ///
    /// Source: Linux v6.1 to v6.18, `fs/fuse/file.c:fuse_cache_write_iter`, `fuse_direct_write_iter`, `fuse_direct_IO`;
    /// `fs/read_write.c:generic_write_checks`.
    pub const fn by_write(write: Write, connection: Init) -> Option<Self> {
        if write.contains(Write::CACHE) || connection.contains(Init::ASYNC_DIO) { None } else { Some(Self(())) }
    }

    /// By a `SETATTR` that leaves nothing of the file.
    ///
    /// Source: Linux v6.1 to v6.18, `fs/attr.c:inode_newsize_ok`, called by `fs/fuse/dir.c:fuse_do_setattr`.
    pub const fn by_truncation(size: Bytes) -> Option<Self> {
        if size.get() == 0 { Some(Self(())) } else { None }
    }
}

impl Pin {
    /// Notes an `OPEN` that succeeded.
    pub const fn opened(&mut self) -> Handle {
        let handle = Handle(self.next);
        self.next = self.next.saturating_add(1);
        self.open = self.open.saturating_add(1);
        handle
    }

    /// Notes a `BMAP`: from now on the blocks stay where they are.
    pub const fn asked(&mut self) {
        (self.mark, self.holding) = (self.next, self.open);
        if self.open == 0 {
            self.until_forgotten = true;
        }
    }

    /// The same where an `OPEN` was ever answered `ENOSYS` on this connection, for whichever file: swapon's handle need
    /// not be among those that are known.
    pub const fn asked_without_open(&mut self) {
        self.asked();
        self.until_forgotten = true;
    }

    /// Notes a `RELEASE`.
    pub const fn released(&mut self, handle: Handle) {
        if handle.0 < self.mark {
            self.holding = self.holding.saturating_sub(1);
        }
        self.close();
    }

    /// Notes a `RELEASE` of a handle that cannot be told from others: the file is held until the last one is closed.
    pub const fn released_some(&mut self) {
        self.close();
    }

    const fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
        if self.holding > self.open {
            self.holding = self.open;
        }
    }

    /// Notes that the kernel has forgotten the inode (`FORGET` down to 0): nobody can have it active.
    pub const fn forgotten(&mut self) {
        *self = Self { next: self.next, open: 0, mark: 0, holding: 0, until_forgotten: false };
    }

    /// Notes that the file is no active area: the handles that were open may go on being so, they are nobody's swap.
    pub const fn let_go(&mut self, proof: NotActive) {
        let NotActive(()) = proof;
        (self.mark, self.holding, self.until_forgotten) = (0, 0, false);
    }

    /// Whether the file may be an active swap area, so that its blocks must not move.
    pub const fn is_held(&self) -> bool {
        self.holding > 0 || self.until_forgotten
    }

    /// Checks that the server may do this by itself to the file now.
    ///
    /// # Errors
    /// [`GuardFault::Operation`] with the act and its errno while the file is held.
    pub const fn check_relocation(&self, act: Relocation) -> Result<(), Reason> {
        if self.is_held() {
            return Err(Reason::Guard(GuardFault::Operation { operation: act.words(), errno: act.errno() }));
        }
        Ok(())
    }

    /// Checks that an operation may be done to the file now, by the kernel's own answers for an active area.
    ///
    /// # Errors
    /// As [`Operation::check`] while the file is held.
    pub const fn check(&self, operation: Operation) -> Result<(), Reason> {
        if self.is_held() { operation.check() } else { Ok(()) }
    }
}
