//! What a filesystem does by itself that moves blocks, and what its caller is answered when a pin forbids it.
//!
//! Source: Linux v6.18, the answers of btrfs and f2fs to the same acts on an active swap file.

use super::FileId;
use crate::reason::Errno;
use crate::unit::{PageCount, PageIndex};

/// An act of the filesystem that would move, share or free blocks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Relocation {
    /// Defragmentation.
    Defragment,
    /// Garbage collection, cleaning of segments.
    Collect,
    /// Deduplication, cloning: another owner for the blocks.
    Share,
    /// Balance, the removal of a device, shrinking.
    Balance,
    /// A snapshot: every later write would be copied.
    Snapshot,
    /// Copy-on-write, compression: new blocks for the same data.
    Rewrite,
    /// Truncation, hole punching: blocks are freed.
    Free,
    /// Another way to write to the same blocks: a second export of the file, a backup that is put back.
    Export,
}

/// What an act is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// Pages of the device.
    Pages {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: PageCount,
    },
    /// A file, whatever it holds.
    File(FileId),
    /// Everything.
    Everything,
}

impl Relocation {
    /// Every act.
    pub const ALL: [Self; 8] = [
        Self::Defragment,
        Self::Collect,
        Self::Share,
        Self::Balance,
        Self::Snapshot,
        Self::Rewrite,
        Self::Free,
        Self::Export,
    ];

    /// What it is called in messages.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Defragment => "defragmentation",
            Self::Collect => "garbage collection",
            Self::Share => "sharing of blocks",
            Self::Balance => "balance",
            Self::Snapshot => "a snapshot",
            Self::Rewrite => "a rewrite to new blocks",
            Self::Free => "freeing of blocks",
            Self::Export => "another export of the file",
        }
    }

    /// What whoever asked for it is answered.
    pub const fn errno(self) -> Errno {
        match self {
            // Nobody asked: the collector passes the segment over and looks again later.
            Self::Collect => Errno::EAGAIN,
            Self::Defragment
            | Self::Share
            | Self::Balance
            | Self::Snapshot
            | Self::Rewrite
            | Self::Free
            | Self::Export => Errno::ETXTBSY,
        }
    }
}
