//! ext4, XFS and zonefs: runs are merged, then trimmed to whole physical pages.
//!
//! The kernel first syncs the file, so that no mapping is uncommitted, then walks every whole page of its size in
//! report mode; holes past the pages that the header claims are refused too.
//!
//! Source: Linux v6.18, `fs/iomap/swapfile.c` (`iomap_swapfile_iter`: the order; `iomap_swapfile_add_extent`: the
//! trimming), the same in v6.1 and v6.12.

use super::trim;
use crate::extent::DeviceId;
use crate::reason::Fault;

pub(super) const fn walk(device: DeviceId) -> trim::Walk {
    trim::Walk::new(ORDER, Some(device))
}

/// The kernel's five, then what iomap cannot say and other claims can.
pub(super) const ORDER: &[Fault] = &[
    Fault::Inline,
    Fault::Hole,
    Fault::Delayed,
    Fault::Uncommitted,
    Fault::Shared,
    Fault::OtherDevice,
    Fault::Unmapped,
    Fault::Compressed,
    Fault::Encrypted,
    Fault::NotSingle,
    Fault::GroupReadOnly,
    Fault::SequentialZone,
    Fault::PartialBlock,
];
