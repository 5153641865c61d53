//! What a filesystem says of its files beyond what fuser asks: where they lie, and what becomes of an `OPEN`.

use std::ffi::OsStr;

use fuser::{Errno, OpenFlags};

use crate::extent::FileExtent;
use crate::fuse::Init;
use crate::unit::ByteRange;

/// What [`SwapGuard`](super::SwapGuard) asks the filesystem that it wraps.
///
/// A wrapper sees the kernel's requests and not the answers, so it asks here for what only the answers would tell. Each
/// is asked while a request waits: it must not wait for another request, and in a server of swap not allocate.
pub trait SwapFiles {
    /// The extent that covers the first byte of `range`; `None` where nothing lies.
    ///
    /// `None` for every file that is never to be swap, too: `BMAP` also comes from whoever only looks (`filefrag`), and
    /// a file that somebody looked at is not written to until all of its handles are closed.
    fn extent(&self, ino: u64, range: ByteRange) -> Option<FileExtent>;

    /// The file of that name in a folder.
    ///
    /// A file that `create` makes must be found by the time that it returns: its handle is counted by that.
    fn inode_at(&self, parent: u64, name: &OsStr) -> Option<u64>;

    /// The size of a file in bytes. Where it is not told, every change of size of a held file is refused; else only
    /// what the kernel refuses, which is not growth.
    fn size(&self, ino: u64) -> Option<u64> {
        let _ = ino;
        None
    }

    /// What becomes of an `OPEN`, asked before [`open`](fuser::Filesystem::open).
    ///
    /// An `OPEN` that `open` then refuses is counted as a handle that nobody closes: a swap file is held until it is
    /// [forgotten](Self::is_forgotten), long after swapoff. So refuse here what will be refused. The same comes of an
    /// `OPEN` whose caller is killed before the answer.
    fn opening(&self, ino: u64, flags: OpenFlags) -> Opening {
        let _ = (ino, flags);
        Opening::Forwarded
    }

    /// What `INIT` agreed on, if the filesystem wants a held file let go by a request that the kernel never sends for
    /// an active area ([`NotActive`](crate::fuse::NotActive)), instead of having it refused.
    ///
    /// For servers that answer `OPEN` with `ENOSYS`, and so do not hear of swapoff: without it mkswap(8) after swapoff
    /// fails until the file is forgotten. Only for a file that is served on this one connection.
    fn connection(&self) -> Option<Init> {
        None
    }

    /// Whether the kernel knows the file no more: as many lookups were forgotten as were answered. Asked after each
    /// `FORGET`, one of which is no proof, since lookups are forgotten one at a time.
    ///
    /// Must not call [`Pinned`](super::Pinned). `true` lets go of the file, whatever is counted.
    fn is_forgotten(&self, ino: u64) -> bool {
        let _ = ino;
        false
    }
}

/// What becomes of an `OPEN`.
#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// [`open`](fuser::Filesystem::open) is called, and succeeds.
    Forwarded,
    /// It is answered this error, and `open` is not called.
    Refused(Errno),
    /// It is answered `ENOSYS`: the kernel tells of no `OPEN` and no `RELEASE` again on this connection, and opens
    /// files by itself. Then swapoff works without the server, and a file is held from `BMAP` until it is
    /// [forgotten](SwapFiles::is_forgotten). Only if the kernel offers `FUSE_NO_OPEN_SUPPORT`.
    Stateless,
}
