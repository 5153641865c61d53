//! The stable names of reasons, for scripts and for people who search for them.

use super::Reason;
use crate::unit::ByteRange;

impl Reason {
    /// The stable name, kebab-case. Names may be added; a name never changes its meaning.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::NotAFile { .. } => "not-a-file",
            Self::ReadOnly => "read-only",
            Self::Immutable => "immutable",
            Self::AppendOnly => "append-only",
            Self::Verity => "verity",
            Self::SequentialZone => "sequential-zone",
            Self::Unlinked => "unlinked",
            Self::Active => "active",
            Self::DeviceHeld { .. } | Self::Busy { .. } | Self::BlockGroupReadOnly { .. } => "busy",
            Self::Encrypted | Self::EncryptedExtent { .. } => "encrypted",
            Self::BlockSizeAbovePageSize { .. } => "block-size-above-page-size",
            Self::NoPageRead { .. } => "no-page-read",
            Self::Dax => "dax",
            Self::HeaderMissing { .. } => "header-missing",
            Self::HeaderObsolete | Self::HeaderVersion { .. } => "header-version",
            Self::HeaderPageSize { .. } => "header-page-size",
            Self::HibernationImage { .. } => "hibernation-image",
            Self::HeaderEmpty => "header-empty",
            Self::HeaderShort { .. } => "header-short",
            Self::BadPagesOnFile { .. }
            | Self::BadPagesTooMany { .. }
            | Self::BadPageOutside { .. }
            | Self::BadPagesWrap { .. } => "header-bad-pages",
            Self::HeaderTruncated { .. } => "header-truncated",
            Self::AreaTooLarge { .. } => "area-too-large",
            Self::CopyOnWrite => "copy-on-write",
            Self::Checksummed => "checksummed",
            Self::CompressedFile | Self::Compressed { .. } => "compressed",
            Self::NoBlockMap { .. } | Self::Unmapped { .. } | Self::BlockZero => "no-block-map",
            Self::FilesystemUnknown { .. } => "filesystem-unknown",
            Self::PlacementUnknown => "placement-unknown",
            Self::ExtentFlagsUnknown { .. } => "extent-flags-unknown",
            Self::Network { .. } => "network",
            Self::JournaledData => "journaled-data",
            Self::NoDirectIo => "no-direct-io",
            Self::LoopBacking => "loop-backing",
            Self::ExtentEmpty { .. } => "extent-empty",
            Self::ExtentOverflow { .. } => "extent-overflow",
            Self::ExtentOrder { .. } => "extent-order",
            Self::OutsideDevice { .. } => "extent-outside-device",
            Self::DeviceOverlap { .. } => "extent-overlap",
            Self::ExtentsTooMany { .. } => "extents-too-many",
            Self::Hole { .. } | Self::Underallocated { .. } => "hole",
            Self::Delayed { .. } => "delayed-allocation",
            Self::Inline { .. } => "inline",
            Self::Uncommitted { .. } => "uncommitted",
            Self::Shared { .. } => "shared",
            Self::MultiDevice { .. } => "multi-device",
            Self::ProfileNotSingle { .. } => "profile-not-single",
            Self::Unwritten { .. } => "unwritten",
            Self::ExtentUnaligned { .. }
            | Self::SplitPage { .. }
            | Self::SectionUnaligned { .. }
            | Self::BlockUnaligned { .. } => "misaligned",
            Self::NoUsablePage { .. } => "no-usable-page",
            Self::OutsideArea { .. } => "outside-area",
            Self::MapFull { .. } => "map-full",
            Self::NotIdentity => "not-identity",
            Self::ShortBuffer { .. } => "short-buffer",
            Self::InsecureMode { .. } => "insecure-mode",
            Self::InsecureOwner { .. } => "insecure-owner",
        }
    }

    /// The bytes of the file that the reason is about, if it is about a part.
    pub const fn range(&self) -> Option<ByteRange> {
        match *self {
            Self::ExtentOverflow { range }
            | Self::ExtentUnaligned { range, .. }
            | Self::OutsideDevice { range, .. }
            | Self::Hole { range }
            | Self::Delayed { range }
            | Self::Inline { range }
            | Self::Uncommitted { range }
            | Self::Shared { range }
            | Self::Compressed { range }
            | Self::EncryptedExtent { range }
            | Self::Unmapped { range }
            | Self::MultiDevice { range }
            | Self::BlockGroupReadOnly { range }
            | Self::Unwritten { range }
            | Self::SplitPage { range }
            | Self::SectionUnaligned { range, .. } => Some(range),

            Self::ProfileNotSingle { range } => range,

            Self::Directory
            | Self::NotAFile { .. }
            | Self::ReadOnly
            | Self::Immutable
            | Self::AppendOnly
            | Self::Verity
            | Self::SequentialZone
            | Self::Unlinked
            | Self::Active
            | Self::DeviceHeld { .. }
            | Self::Encrypted
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
            | Self::BadPagesWrap { .. }
            | Self::HeaderTruncated { .. }
            | Self::AreaTooLarge { .. }
            | Self::CopyOnWrite
            | Self::Checksummed
            | Self::CompressedFile
            | Self::NoBlockMap { .. }
            | Self::Underallocated { .. }
            | Self::FilesystemUnknown { .. }
            | Self::PlacementUnknown
            | Self::ExtentFlagsUnknown { .. }
            | Self::Network { .. }
            | Self::JournaledData
            | Self::NoDirectIo
            | Self::LoopBacking
            | Self::ExtentEmpty { .. }
            | Self::ExtentOrder { .. }
            | Self::DeviceOverlap { .. }
            | Self::ExtentsTooMany { .. }
            | Self::NoUsablePage { .. }
            | Self::Busy { .. }
            | Self::OutsideArea { .. }
            | Self::MapFull { .. }
            | Self::NotIdentity
            | Self::BlockUnaligned { .. }
            | Self::BlockZero
            | Self::ShortBuffer { .. }
            | Self::InsecureMode { .. }
            | Self::InsecureOwner { .. } => None,
        }
    }
}
