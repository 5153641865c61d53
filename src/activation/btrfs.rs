//! btrfs: one device, block-group profile single, never copied on write; then as iomap, in sectors.
//!
//! A claim's physical offset is an offset on the device, by the chunk tree; the "physical" of a btrfs FIEMAP is a
//! logical address and must never be fed here. What the inode must promise (NOCOW, no checksums, no compression)
//! is not of extents: [`BtrfsInode`].
//!
//! Source: Linux v6.18, `fs/btrfs/inode.c` (`btrfs_swap_activate`: the order; `btrfs_add_swap_extent`: the
//! trimming, the same as iomap's).

use super::trim;
use crate::reason::{Fault, Holder, Reason};

/// What a btrfs inode must promise before its extents are looked at, and what may keep swapon out for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BtrfsInode {
    /// Marked for compression (`chattr +c`).
    pub compressed: bool,
    /// Never copied on write (`chattr +C` while it was empty).
    pub no_cow: bool,
    /// Without checksums, which NOCOW implies for files that chattr or a mount option made so.
    pub no_checksums: bool,
    /// An exclusive operation, or a snapshot that is being made.
    pub busy: Option<Holder>,
}

impl BtrfsInode {
    /// Reports every obstacle, in the kernel's order.
    pub fn judge(&self, mut report: impl FnMut(Reason)) {
        let checks = [
            self.compressed.then_some(Reason::CompressedFile),
            (!self.no_cow).then_some(Reason::CopyOnWrite),
            (!self.no_checksums).then_some(Reason::Checksummed),
            self.busy.map(|holder| Reason::Busy { holder }),
        ];
        checks.into_iter().flatten().for_each(&mut report);
    }
}

pub(super) const fn walk() -> trim::Walk {
    trim::Walk::new(ORDER, None)
}

/// The kernel's order, then what its extents cannot say and other claims can.
pub(super) const ORDER: &[Fault] = &[
    Fault::Hole,
    Fault::Delayed,
    Fault::Inline,
    Fault::Compressed,
    Fault::Shared,
    Fault::Unmapped,
    Fault::NotSingle,
    Fault::OtherDevice,
    Fault::GroupReadOnly,
    Fault::Uncommitted,
    Fault::Encrypted,
    Fault::SequentialZone,
    Fault::PartialBlock,
];
