//! Who or what a reason is about, where that is one of a few.

use core::fmt;

/// Who or what holds a device or excludes an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Holder {
    /// A mounted filesystem.
    Mount,
    /// A device stacked on top: device-mapper, md, bcache.
    StackedDevice,
    /// Another swap area: on the whole disk, or on a partition of it.
    SwapArea,
    /// Somebody who opened it for himself alone and shows nowhere.
    Someone,
    /// btrfs: balance, device add, remove, replace or resize.
    ExclusiveOperation,
    /// btrfs: a snapshot is being created.
    SnapshotCreation,
    /// btrfs: a scrub, which makes the block group that it reads read-only.
    Scrub,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mount => "a mounted filesystem",
            Self::StackedDevice => "a device stacked on it",
            Self::SwapArea => "a swap area on its disk or one of its partitions",
            Self::Someone => "a process or a filesystem that holds it exclusively",
            Self::ExclusiveOperation => "a btrfs balance, resize or device operation",
            Self::SnapshotCreation => "the creation of a snapshot",
            Self::Scrub => "a btrfs scrub",
        })
    }
}

/// A file that is neither regular nor a block device nor a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SpecialFile {
    /// A named pipe.
    Fifo,
    /// A socket: it cannot even be opened.
    Socket,
    /// A character device.
    CharacterDevice,
}

impl fmt::Display for SpecialFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::CharacterDevice => "a character device",
        })
    }
}

/// Whose suspended system stands where the signature should be.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HibernationMark {
    /// `S1SUSPEND`: the kernel's, and the first of swsusp's.
    Swsusp1,
    /// `S2SUSPEND`.
    Swsusp2,
    /// `ULSUSPEND`: uswsusp.
    Uswsusp,
    /// `LINHIB0001`: the kernel's, for a compressed image.
    LinuxHibernate,
    /// The eight bytes of TuxOnIce.
    TuxOnIce,
}

impl fmt::Display for HibernationMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swsusp1 => "S1SUSPEND",
            Self::Swsusp2 => "S2SUSPEND",
            Self::Uswsusp => "ULSUSPEND",
            Self::LinuxHibernate => "LINHIB0001",
            Self::TuxOnIce => "TuxOnIce",
        })
    }
}
