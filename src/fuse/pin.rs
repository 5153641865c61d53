//! What holds a file's blocks where they are: from the first `BMAP` until the handles that were open then are closed.
//!
//! FUSE has no word for swapon and swapoff. What a server sees is `OPEN`, a `BMAP` for each block, then nothing, and at
//! the end `RELEASE`. `BMAP` names no handle, so every handle that is open when it comes may be swapon's; whoever only
//! looked (`filefrag`, FIBMAP) holds the file for as long as he keeps it open, which does no harm. Each `BMAP` counts
//! anew: swapon may come while somebody else's look still holds the file.
//!
//! A server that answers `OPEN` with `ENOSYS`, so that swapoff works after its death, hears of no handle at all: its
//! file is held from the first `BMAP` until the kernel forgets the inode (`FORGET`).
//!
//! Source: observed on Linux 6.18; `fs/fuse/file.c:fuse_open`, `fuse_bmap`, `fuse_release_common`.

use crate::guard::Operation;
use crate::reason::Reason;

/// Whether one file's blocks must stay where they are. For several files: one each.
///
/// # Invariants
/// 1. `holding` is at most `open`. 2. A file that was asked for is held until each handle that was open then is closed,
///    or, if none was, until it is forgotten.
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
    /// Asked for when no handle was open: no `RELEASE` will tell the end.
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

    /// Whether the file may be an active swap area, so that its blocks must not move.
    pub const fn is_held(&self) -> bool {
        self.holding > 0 || self.until_forgotten
    }

    /// Checks that an operation may be done to the file now, by the kernel's own answers for an active area.
    ///
    /// # Errors
    /// As [`Operation::check`] while the file is held.
    pub const fn check(&self, operation: Operation) -> Result<(), Reason> {
        if self.is_held() { operation.check() } else { Ok(()) }
    }
}
