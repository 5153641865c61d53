//! Decides whether I/O to a file may serve swap without deadlocking the machine, and proves it per file and per
//! request.
//!
//! A "yes" to swap is a promise made while memory is short. A wrong yes is a frozen machine or silent corruption,
//! a wrong no is a user who goes back to guessing; and `swapon: Invalid argument` explains neither. This crate
//! judges a swap area as Linux does, says why in one line, and gives a proof that the next layers can rest on.
//!
//! # How facts become a proof
//!
//! ```text
//! first page ──► Header ──► Area (what the header claims, held against the file)
//!                             │
//! FileExtent, FileExtent … ──► Activation (one profile per kind of filesystem) ──► SwapMap (page → place)
//!   claims: anyone may state         │                                              proof: only this door
//!                                    └──► Reason (why not: code, class, errno, remedy)
//!
//! SwapMap + Features ──► Policy ── admit(Request) ──► Ticket (runs, request flags) ──► the I/O ──► Completion
//!           (promises)                 claim            proof: the only way               exactly once, all or nothing
//! ```
//!
#![cfg_attr(feature = "alloc", doc = "```")]
#![cfg_attr(not(feature = "alloc"), doc = "```ignore")]
//! use swap_dio::{Activation, Area, Bytes, FileExtent, PageIndex, PageSize, Profile, Reason};
//!
//! # fn main() -> Result<(), Reason> {
//! // What your filesystem knows of a file of 160 KiB: 100 KiB here, 60 KiB there.
//! let extents = [(0, 1 << 20, 100 << 10), (100 << 10, 5 << 20, 60 << 10)];
//!
//! let area = Area::without_header(Bytes::new(160 << 10), PageSize::KIB_4)?;
//! let mut activation = Activation::new(Profile::File, &area, Vec::new())?;
//! for (logical, physical, length) in extents.map(|(l, p, n)| (Bytes::new(l), Bytes::new(p), Bytes::new(n))) {
//!     activation.push(&FileExtent::written(logical, physical, length))?;
//! }
//! let map = activation.finish()?;
//! assert_eq!(map.run(PageIndex::new(7))?.length().get(), 33); // one run of file pages, 7 to 39
//! # Ok(())
//! # }
//! ```
//!
//! # Two I/O models
//!
//! <!-- table: models -->
//! |  | bio model | file model |
//! | --- | --- | --- |
//! | swap I/O goes | to the device, by extents frozen at activation | through the filesystem (`swap_rw`) |
//! | used by | swapon(2) on ext4, XFS, btrfs, f2fs, fuseblk; block devices | NFS, SMB, a FUSE or block server over a file |
//! | swap page *n* is | the *n*-th whole **physical** page | file page *n* |
//! | unwritten extents | accepted | refused (`unwritten`) |
//! | a hole | refused (`hole`) | refused (`hole`) |
//! | shared extents | refused (`shared`) | refused (`shared`) |
//! | runs that are no whole pages of the device | accepted, trimmed to whole pages | refused (`misaligned`) |
//! | promises that it rests on | `STABLE_MAPPING` | `DIO_READ`, `DIO_WRITE`, `NO_BUFFERED_FALLBACK`, `TXN_FREE_SUBMIT`, `TXN_FREE_COMPLETE`, `STABLE_MAPPING`, `ONE_IO_PER_PAGE`, `MEMALLOC_SAFE` |
//! <!-- end -->
//!
//! A live area never mixes the two: that reads back zeros, silently.
//!
//! # Scope
//!
//! It decides and explains. It does not activate swap, or fall back to buffered I/O (which would allocate). The I/O
//! itself is done by `linux::swap_file` alone, for servers whose swap belongs to another kernel.
//!
//! | question | module |
//! | --- | --- |
//! | would swapon(2) take this file, and where do its pages lie? | [`candidate`], [`header`], [`activation`], [`map`] |
//! | what must my filesystem promise? | [`feature`] |
//! | what would this read or write cost, as a transaction? | [`transaction`] |
//! | which `REQ_` flags does this kiocb get, on which kernel? | [`flags`], [`translate`] |
//! | may this request go, now, and how has it ended? | [`admit`] |
//! | how do I serve swap from my filesystem? | [`swap_ops`], and `examples/embed.rs` |
//! | what may be done to an active file, and what must not move? | [`guard`] |
//! | may this server, on this disk, serve it? | [`topology`] |
//! | what do ublk and FUSE say of it? | [`ublk`], [`fuse`] |
//! | is a process in the posture to serve swap? | [`posture`], and `linux::reclaim` to take it |
//! | how does my FUSE filesystem hold a swap file? | [`fuse`]: the answer to `BMAP`, and the pin |
//! | why not? | [`reason`] |
//!
//! The core is `no_std`, allocates nothing, does not panic on any input, and has no unsafe code.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `alloc` | by `std` | maps that own their memory ([`Vec`](https://doc.rust-lang.org/alloc/vec/)) |
//! | `std` | yes | what needs an operating system below it |
//! | `linux` | yes | facts about real files: FIEMAP, statx, inode flags, mounts, `/proc/swaps`, what they stand on; files that pass; the reclaim posture |
//! | `fuser` | no | a guard around a filesystem of fuser 0.18, and the `fuseblk` mount that it needs |
//! | `io-uring` | no | the engine of `linux::swap_file` with many requests at once |
//!
//! No feature changes a decision that is made without it.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(not(all(feature = "linux", target_os = "linux")), forbid(unsafe_code))]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod activation;
pub mod admit;
pub mod candidate;
pub mod extent;
pub mod feature;
pub mod flags;
pub mod fuse;
pub mod guard;
pub mod header;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
pub mod map;
pub mod model;
pub mod posture;
pub mod reason;
pub mod release;
mod sort;
pub mod swap_ops;
pub mod topology;
pub mod transaction;
pub mod translate;
pub mod ublk;
pub mod unit;

pub use activation::{Activation, Profile};
pub use admit::{Completion, Policy, Request, Ticket};
pub use extent::{DeviceId, ExtentFlags, ExtentState, FileExtent, SwapExtent};
pub use feature::{DirectIo, Features, Promises};
pub use header::{Area, Backing, Header};
pub use map::{Slot, SwapMap, Tally, Totals};
pub use model::Model;
pub use reason::{Class, Reason, Verdict};
pub use release::Release;
pub use unit::{BlockSize, ByteRange, Bytes, PageCount, PageIndex, PageSize, Sectors};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;
