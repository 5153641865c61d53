//! Which bytes of the file a reason is about.

use super::{Reason, ServedFault};
use crate::unit::ByteRange;

impl Reason {
    /// The bytes of the file that the reason is about, if it is about a part.
    pub const fn range(&self) -> Option<ByteRange> {
        match *self {
            Self::ExtentOverflow { range }
            | Self::ExtentUnaligned { range, .. }
            | Self::OutsideDevice { range, .. }
            | Self::Extent { range, .. }
            | Self::OnceShared { range, .. }
            | Self::SplitPage { range }
            | Self::Served(ServedFault::Shared { range } | ServedFault::Changed { range })
            | Self::Misplaced { range, .. }
            | Self::SectionUnaligned { range, .. } => Some(range),

            Self::Directory
            | Self::NotAFile { .. }
            | Self::ReadOnly
            | Self::Immutable
            | Self::AppendOnly
            | Self::Verity
            | Self::Unlinked
            | Self::Active { .. }
            | Self::ProfileNotSingle
            | Self::SequentialZone
            | Self::FlagsUnknown { .. }
            | Self::BlockSizes { .. }
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
            | Self::InMemory { .. }
            | Self::HeaderMissing { .. }
            | Self::HeaderObsolete
            | Self::HeaderUnreadable
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
            | Self::LogStructured { .. }
            | Self::CompressedFile
            | Self::NoBlockMap { .. }
            | Self::Underallocated { .. }
            | Self::FilesystemUnknown { .. }
            | Self::PlacementUnknown
            | Self::UserSpaceServer
            | Self::ExtentFlagsUnknown { .. }
            | Self::Network { .. }
            | Self::SwapNotServed { .. }
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
            | Self::Flags(_)
            | Self::Request(_)
            | Self::Guard(_)
            | Self::Topology(_)
            | Self::Served(
                ServedFault::Held
                | ServedFault::LoopOffset { .. }
                | ServedFault::BufferedLoop
                | ServedFault::HeldBelow
                | ServedFault::FileSizeLimit { .. }
                | ServedFault::Opened
                | ServedFault::Cut { .. }
                | ServedFault::Attribute { .. }
                | ServedFault::NotNow { .. }
                | ServedFault::Unanswered { .. },
            )
            | Self::TimestampTransaction
            | Self::InsecureMode { .. }
            | Self::Posture(_)
            | Self::InsecureOwner { .. } => None,
        }
    }
}
