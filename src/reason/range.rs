//! Which bytes of the file a reason is about.

use super::Reason;
use crate::unit::ByteRange;

impl Reason {
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
            | Self::PartialBlock { range }
            | Self::Misplaced { range, .. }
            | Self::SectionUnaligned { range, .. } => Some(range),

            Self::ProfileNotSingle { range } | Self::SequentialZone { range } => range,

            Self::Directory
            | Self::NotAFile { .. }
            | Self::ReadOnly
            | Self::Immutable
            | Self::AppendOnly
            | Self::Verity
            | Self::Unlinked
            | Self::Active { .. }
            | Self::FlagsUnknown { .. }
            | Self::NoPermission
            | Self::TableFull { .. }
            | Self::OpenForExecution { .. }
            | Self::TransactionPerWrite { .. }
            | Self::DeviceReadOnly
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
            | Self::OtherBacking
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
