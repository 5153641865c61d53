//! What swapon(2) answers where this crate gives a reason: the errno, or that it does not mind.

use core::fmt;

use super::{Holder, Reason, SpecialFile};

/// What the kernel answers to the thing that a reason is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Answer {
    /// It refuses, with this errno.
    Refuses(Errno),
    /// It does not mind: the reason is this crate's own, or advice.
    Accepts,
    /// It depends on the kernel in a way that cannot be seen from outside; kernels that refuse give this errno.
    Depends(Errno),
}

/// The error numbers of swapon(2), by the kernel's names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(i32)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory.
    ENOENT = 2,
    /// No such device or address.
    ENXIO = 6,
    /// Device or resource busy.
    EBUSY = 16,
    /// Is a directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// Read-only file system.
    EROFS = 30,
}

impl Errno {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EPERM => "EPERM",
            Self::ENOENT => "ENOENT",
            Self::ENXIO => "ENXIO",
            Self::EBUSY => "EBUSY",
            Self::EISDIR => "EISDIR",
            Self::EINVAL => "EINVAL",
            Self::EROFS => "EROFS",
        }
    }

    /// The positive number, as in `errno.h` of every architecture that Linux runs on.
    pub const fn number(self) -> i32 {
        match self {
            Self::EPERM => 1,
            Self::ENOENT => 2,
            Self::ENXIO => 6,
            Self::EBUSY => 16,
            Self::EISDIR => 21,
            Self::EINVAL => 22,
            Self::EROFS => 30,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Reason {
    /// The errno that Linux gives, on the kernels that refuse this; `None` where every kernel accepts it.
    pub const fn errno(&self) -> Option<Errno> {
        match self.answer() {
            Answer::Refuses(errno) | Answer::Depends(errno) => Some(errno),
            Answer::Accepts => None,
        }
    }

    /// What swapon(2) answers, called by root.
    pub const fn answer(&self) -> Answer {
        match self {
            Self::Immutable | Self::AppendOnly | Self::Verity => Answer::Refuses(Errno::EPERM),
            Self::Unlinked => Answer::Refuses(Errno::ENOENT),
            Self::Active | Self::DeviceHeld { .. } => Answer::Refuses(Errno::EBUSY),
            Self::Directory => Answer::Refuses(Errno::EISDIR),
            Self::ReadOnly => Answer::Refuses(Errno::EROFS),

            // EBUSY for a balance or resize, EINVAL for a snapshot being made (btrfs_swap_activate).
            Self::Busy { holder } => match holder {
                Holder::SnapshotCreation => Answer::Refuses(Errno::EINVAL),
                Holder::ExclusiveOperation | Holder::Mount | Holder::StackedDevice => Answer::Refuses(Errno::EBUSY),
            },

            // In 6.1.192, 6.12.117 and mainline, not in 6.18.4: a fix of 2026 that was carried to some stable trees.
            Self::Encrypted => Answer::Depends(Errno::EINVAL),
            // The duplicate-counting of bad pages wraps in 32 bits: accepted, with a size that is nonsense.
            Self::BadPagesWrap { .. } => Answer::Depends(Errno::EINVAL),

            Self::NotAFile { kind } => match kind {
                SpecialFile::Fifo => Answer::Refuses(Errno::EINVAL),
                SpecialFile::Socket => Answer::Refuses(Errno::ENXIO),
                // What opening it for writing answers is up to its driver.
                SpecialFile::CharacterDevice => Answer::Depends(Errno::EINVAL),
            },

            Self::SequentialZone
            | Self::BlockSizeAbovePageSize { .. }
            | Self::NoPageRead { .. }
            | Self::Dax
            | Self::HeaderMissing { .. }
            | Self::HeaderObsolete
            | Self::HeaderPageSize { .. }
            | Self::HibernationImage { .. }
            | Self::HeaderVersion { .. }
            | Self::HeaderEmpty
            | Self::HeaderShort { .. }
            | Self::BadPagesOnFile { .. }
            | Self::BadPagesTooMany { .. }
            | Self::BadPageOutside { .. }
            | Self::CopyOnWrite
            | Self::Checksummed
            | Self::CompressedFile
            | Self::NoBlockMap { .. }
            | Self::Underallocated { .. }
            | Self::Hole { .. }
            | Self::Delayed { .. }
            | Self::Inline { .. }
            | Self::Uncommitted { .. }
            | Self::Shared { .. }
            | Self::Compressed { .. }
            | Self::MultiDevice { .. }
            | Self::ProfileNotSingle { .. }
            | Self::BlockGroupReadOnly { .. }
            | Self::NoUsablePage { .. }
            | Self::BlockZero => Answer::Refuses(Errno::EINVAL),

            // What a lying filesystem would tell swapon(2) cannot be known from what it told us.
            Self::ExtentEmpty { .. }
            | Self::ExtentOverflow { .. }
            | Self::ExtentOrder { .. }
            | Self::ExtentUnaligned { .. }
            | Self::ExtentFlagsUnknown { .. }
            | Self::FilesystemUnknown { .. }
            | Self::PlacementUnknown
            | Self::OutsideDevice { .. }
            | Self::DeviceOverlap { .. }
            | Self::ExtentsTooMany { .. }
            | Self::EncryptedExtent { .. }
            | Self::Unmapped { .. } => Answer::Depends(Errno::EINVAL),

            Self::HeaderTruncated { .. }
            | Self::AreaTooLarge { .. }
            | Self::Network { .. }
            | Self::JournaledData
            | Self::NoDirectIo
            | Self::LoopBacking
            | Self::Unwritten { .. }
            | Self::SplitPage { .. }
            | Self::SectionUnaligned { .. }
            | Self::OutsideArea { .. }
            | Self::MapFull { .. }
            | Self::NotIdentity
            | Self::BlockUnaligned { .. }
            | Self::ShortBuffer { .. }
            | Self::InsecureMode { .. }
            | Self::InsecureOwner { .. } => Answer::Accepts,
        }
    }
}
