//! FUSE as a server speaks it, from whichever library: the words, the answer to `BMAP`, what pins a file and until
//! when.
//!
//! The only way to swap on FUSE in Linux is a `fuseblk` mount whose server answers `BMAP`: swapon asks for every block
//! once, then swaps to the device, and the server sees neither a swap flag nor a page. So all that it can do for its
//! swap file it does before, by its answers ([`Question`]), and all that it must not do it must not do until the file
//! is let go ([`Pin`]). Nothing here depends on a FUSE library.
//!
//! Everything is plain numbers, so that a server needs no wrapper:
//!
//! ```
//! use swap_dio::fuse::{Answer, Pin, Question};
//! use swap_dio::{Bytes, FileExtent};
//!
//! /// Your extent table: what covers this byte of the file.
//! fn extent(offset: Bytes) -> Option<FileExtent> {
//!     let whole = FileExtent::written(Bytes::ZERO, Bytes::new(1 << 20), Bytes::new(64 << 10));
//!     (offset < whole.length).then_some(whole)
//! }
//!
//! fn bmap(pin: &mut Pin, blocksize: u32, idx: u64) -> Result<u64, i32> {
//!     pin.asked();
//!     match Question::from_words(idx, blocksize).answer(extent) {
//!         Answer::Block(block) => Ok(block),           // reply.bmap(block)
//!         Answer::Hole => Ok(0),                       // reply.bmap(0)
//!         Answer::Refused(errno) => Err(errno.number()), // reply.error(…): never ENOSYS
//!     }
//! }
//!
//! let mut pin = Pin::default();
//! let handle = pin.opened();                           // OPEN, after it succeeded
//! assert_eq!(bmap(&mut pin, 4096, 15), Ok(256 + 15));  // BMAP, BMAP, BMAP …
//! assert_eq!(bmap(&mut pin, 4096, 16), Ok(0));
//! assert!(pin.is_held());                              // swap is on, and nothing more is heard of it
//! pin.released(handle);                                // RELEASE: swap is off
//! assert!(!pin.is_held());
//! ```
//!
//! The same with each library follows. Each must have a handler of its own: what fuse3, fuse-backend-rs and most
//! catch-all arms answer is `ENOSYS`, which ends the questions for all files. `CREATE` opens a handle too.
//! `forget_lookups` stands for the server's count of lookups: [`Pin::forgotten`] is for the last. This crate's tests
//! compile fuser's; the others were compiled by hand.
//!
//! Source: Linux v6.18, `fs/fuse/file.c:fuse_bmap`, `mm/page_io.c:generic_swapfile_activate`; the sequence of requests
//! was observed on 6.18.
#![cfg_attr(all(feature = "fuser", target_os = "linux"), doc = include_str!("fuse/fuser.md"))]
#![doc = include_str!("fuse/libraries.md")]

#[cfg(all(feature = "fuser", target_os = "linux"))]
pub mod adapter;
mod bmap;
mod pin;
mod words;

pub use bmap::{Answer, Question, check_block_size};
pub use pin::{Handle, NotActive, Pin};
pub use words::{Fopen, Init, Write};
