//! How long a reason lasts, and so what the caller does next.

use super::Reason;

/// How long a reason lasts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Advice: nothing is refused for it.
    Warning,
    /// It passes by itself, or by an act that leaves the file as it is.
    Transient,
    /// It stays until the file, or where it lives, is changed.
    Permanent,
}

/// What the caller does next. There is no buffered fallback on purpose: it allocates.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Go on.
    Admit,
    /// Ask again later.
    Retry,
    /// Do not.
    Refuse,
}

impl Verdict {
    /// The word for scripts: `admit`, `retry`, `refuse`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Retry => "retry",
            Self::Refuse => "refuse",
        }
    }
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        match class {
            Class::Warning => Self::Admit,
            Class::Transient => Self::Retry,
            Class::Permanent => Self::Refuse,
        }
    }
}

impl Reason {
    /// What the caller does next: the reason's class, as an act.
    pub fn verdict(&self) -> Verdict {
        self.class().into()
    }

    /// How long the reason lasts.
    pub const fn class(&self) -> Class {
        match self {
            Self::HeaderTruncated { .. } | Self::InsecureMode { .. } | Self::InsecureOwner { .. } => Class::Warning,

            Self::Active
            | Self::DeviceHeld { .. }
            | Self::Delayed { .. }
            | Self::Uncommitted { .. }
            | Self::BlockGroupReadOnly { .. }
            | Self::SectionUnaligned { .. }
            | Self::Busy { .. } => Class::Transient,

            Self::Directory
            | Self::NotAFile { .. }
            | Self::ReadOnly
            | Self::Immutable
            | Self::AppendOnly
            | Self::Verity
            | Self::SequentialZone
            | Self::Unlinked
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
            | Self::AreaTooLarge { .. }
            | Self::CopyOnWrite
            | Self::Checksummed
            | Self::CompressedFile
            | Self::NoBlockMap { .. }
            | Self::FilesystemUnknown { .. }
            | Self::PlacementUnknown
            | Self::Underallocated { .. }
            | Self::Network { .. }
            | Self::JournaledData
            | Self::NoDirectIo
            | Self::LoopBacking
            | Self::ExtentEmpty { .. }
            | Self::ExtentOverflow { .. }
            | Self::ExtentOrder { .. }
            | Self::ExtentUnaligned { .. }
            | Self::ExtentFlagsUnknown { .. }
            | Self::OutsideDevice { .. }
            | Self::DeviceOverlap { .. }
            | Self::ExtentsTooMany { .. }
            | Self::Hole { .. }
            | Self::Inline { .. }
            | Self::Shared { .. }
            | Self::Compressed { .. }
            | Self::EncryptedExtent { .. }
            | Self::Unmapped { .. }
            | Self::MultiDevice { .. }
            | Self::ProfileNotSingle { .. }
            | Self::Unwritten { .. }
            | Self::SplitPage { .. }
            | Self::NoUsablePage { .. }
            | Self::OutsideArea { .. }
            | Self::MapFull { .. }
            | Self::NotIdentity
            | Self::BlockUnaligned { .. }
            | Self::BlockZero
            | Self::ShortBuffer { .. } => Class::Permanent,
        }
    }
}
