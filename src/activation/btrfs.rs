//! btrfs: one device, block-group profile single, never copied on write; then as iomap, in sectors.
//!
//! A claim's physical offset is an offset on the device, by the chunk tree; the "physical" of a btrfs FIEMAP is a
//! logical address and must never be fed here. What the inode must promise (NOCOW, no checksums, no compression)
//! is not of extents: [`Reason::CopyOnWrite`](crate::Reason::CopyOnWrite) and its like.
//!
//! Source: Linux v6.18, `fs/btrfs/inode.c` (`btrfs_swap_activate`: the order; `btrfs_add_swap_extent`: the
//! trimming, the same as iomap's).

use super::obstacle::Obstacle;
use super::trim;

pub(super) const fn walk() -> trim::Walk {
    trim::Walk::new(ORDER, None)
}

/// The kernel's order, then what its extents cannot say and other claims can.
pub(super) const ORDER: &[Obstacle] = &[
    Obstacle::Hole,
    Obstacle::Delayed,
    Obstacle::Inline,
    Obstacle::Compressed,
    Obstacle::Shared,
    Obstacle::Unmapped,
    Obstacle::NotSingle,
    Obstacle::OtherDevice,
    Obstacle::GroupReadOnly,
    Obstacle::Uncommitted,
    Obstacle::Encrypted,
    Obstacle::SequentialZone,
    Obstacle::NotAligned,
];
