//! What may be done to an active swap file: operations from outside, and moves by its own filesystem.
//!
//! Operations are the kernel's: [`Operation::ruling`] is what `S_SWAPFILE` makes of each, all of them listed. They
//! hold for files that swapon(2) activated. A file that a server holds by itself has no such guard: nothing stops a
//! truncate or a punch there, so a server checks again and again what it cannot forbid.
//!
//! Pins are the filesystem's own: what its defragmentation, garbage collection or balance must not move while the
//! map of an active file points there. A [`SwapMap`](crate::SwapMap) goes in and comes out with its key; only that
//! unpins, and [`Policy::pinned`](crate::Policy::pinned) keeps it until no request is left.
//!
//! Source: Linux v6.18, every place that asks `IS_SWAPFILE`, in the rows of `guard/operation.rs`;
//! `fs/btrfs/inode.c:btrfs_add_swapfile_pin`, `fs/f2fs/data.c:f2fs_swap_activate` (`FI_PIN_FILE`).

mod operation;
mod pins;
mod relocation;

pub use operation::{Operation, Ruling};
pub use pins::{FileId, Foreign, Pin, PinMemory, Pinned, PinnedMap, Pins};
pub use relocation::{Relocation, Scope};
