//! fuser's filesystems as servers of swap: a guard around one, the mount that the kernel asks `BMAP` on, and flags.
//!
//! [`SwapGuard`] wraps a [`fuser::Filesystem`] that also says where its files lie ([`SwapFiles`]). It answers `BMAP`
//! itself, holds a file from the first answer until swapoff closes it ([`Pinned`]), and refuses meanwhile what the
//! kernel refuses to an active area. [`fuseblk::mount`] makes the mount and gives the descriptor that
//! [`fuser::Session::from_fd`] takes. [`Bounce`] lends aligned, locked memory to servers that do the I/O themselves.
//!
//! ```no_run
//! use std::ffi::OsStr;
//! use std::path::Path;
//!
//! use swap_dio::fuse::adapter::{SwapFiles, SwapGuard, fuseblk};
//! use swap_dio::{ByteRange, Bytes, FileExtent};
//!
//! struct One;
//! impl fuser::Filesystem for One { /* lookup, getattr, open, read, … as without swap; no bmap */ }
//! impl SwapFiles for One {
//!     fn extent(&self, ino: u64, range: ByteRange) -> Option<FileExtent> {
//!         let whole = FileExtent::written(Bytes::ZERO, Bytes::new(1 << 20), Bytes::new(64 << 20));
//!         (ino == 2 && range.offset < whole.length).then_some(whole)
//!     }
//!
//!     fn inode_at(&self, parent: u64, name: &OsStr) -> Option<u64> {
//!         (parent == 1 && name == "swapfile").then_some(2)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = SwapGuard::new(One, 1);
//!     let pinned = guard.pinned(); // for your allocator: what must not move
//!     let options = fuseblk::Options::default();
//!     let (mount, fd) = fuseblk::mount(Path::new("/dev/loop0"), Path::new("/mnt"), &options)?;
//!     let session = fuser::Session::from_fd(guard, fd, fuser::SessionACL::Owner, fuser::Config::default())?;
//!     session.run()?; // until unmounted: `swapoff` first, or the kernel says that it is busy
//!     drop((mount, pinned));
//!     Ok(())
//! }
//! ```
//!
//! What stays with the filesystem: to state the mount's block size or none as `blksize` of its files
//! ([`check_block_size`](crate::fuse::check_block_size)); to ask [`Pinned::relocate`] before it moves blocks by itself;
//! and to leave the writeback cache off, which could bring writes that were made before swapon after it.
//!
//! Source: fuser 0.18.0, `src/lib.rs:Filesystem`; the sequence of requests was observed on Linux 6.18.

mod files;
mod flags;
mod forward;
pub mod fuseblk;
mod guard;
mod pinned;

pub use crate::linux::reclaim::{Buffer, Pool as Bounce, PoolError as BounceError};
pub use files::{Opening, SwapFiles};
pub use flags::{truncates, writes};
pub use guard::SwapGuard;
pub use pinned::{Moving, Pinned};

static_assertions::assert_impl_all!(Pinned: Send, Sync);
static_assertions::assert_impl_all!(Bounce: Send, Sync);
