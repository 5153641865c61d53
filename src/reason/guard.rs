//! What an active swap file does not let happen to itself: operations from outside, and moves from within.

use super::Class::{Permanent, Transient};
use super::table::{Row, own, refuses, row};
use super::{Answer, Errno};
use crate::unit::{PageCount, PageIndex, PageSize};

/// What stands against an operation on an active swap file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardFault {
    /// The kernel refuses the operation while the file is active.
    #[error("{operation} is refused while the swap file is active")]
    Operation {
        /// What was tried.
        operation: &'static str,
        /// What it is answered.
        errno: Errno,
    },
    /// The kernel kills whoever does it.
    #[error("{operation} ends in SIGBUS while the swap file is active")]
    Signal {
        /// What was tried.
        operation: &'static str,
    },
    /// The filesystem passes over what is pinned, and goes on with the rest.
    #[error("{operation} passes over an active swap file")]
    Skipped {
        /// What was tried.
        operation: &'static str,
    },
    /// A pin holds pages that an act of the filesystem itself would move, share or free.
    #[error("{act} would touch {pages} from {first} on, which active swap file {file} pins")]
    Pinned {
        /// What was tried.
        act: &'static str,
        /// The file that pins.
        file: u64,
        /// The first page of the pin that is touched.
        first: PageIndex,
        /// The pages of that pin.
        pages: PageCount,
        /// What the kernel's own filesystems answer.
        errno: Errno,
    },
    /// The file is pinned already: it is active.
    #[error("file {file} is active already")]
    AlreadyPinned {
        /// The file.
        file: u64,
    },
    /// Two active files on one page of the device.
    #[error("{first} is pinned by active file {file} already")]
    TwicePinned {
        /// The file that has it.
        file: u64,
        /// The page.
        first: PageIndex,
    },
    /// The caller's memory holds no more pins.
    #[error("the memory for pins holds {capacity}, which is too few")]
    PinsFull {
        /// Pins that there is room for.
        capacity: u64,
    },
    /// A pin of no page.
    #[error("a pin of file {file} holds no page")]
    EmptyPin {
        /// The file.
        file: u64,
    },
    /// A pin that ends past 2^64.
    #[error("a pin of file {file} holds {pages} from {first} on, which ends past 2^64")]
    PinOverflow {
        /// The file.
        file: u64,
        /// Its first page.
        first: PageIndex,
        /// Its pages.
        pages: PageCount,
    },
    /// A map whose pages are of another size than those that are pinned.
    #[error("the map has pages of {map}, the pins have pages of {pins}")]
    PinPageSize {
        /// The map's.
        map: PageSize,
        /// The pins'.
        pins: PageSize,
    },
    /// A map of the file model, whose pages are the file's.
    #[error("a map of the file model has pages of the file, pins need pages of the device")]
    NoDevicePages,
    /// A pin that these pins do not hold.
    #[error("file {file} has no such pin here")]
    PinUnknown {
        /// The file.
        file: u64,
    },
}

impl GuardFault {
    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Operation { errno, .. } => row("guarded", Transient, refuses(*errno), SWAPFILE),
            Self::Signal { .. } => row("guarded", Transient, Answer::Signal, "mm/memory.c:do_page_mkwrite"),
            Self::Skipped { .. } => row("guarded", Transient, Answer::Accepts, SWAPFILE),
            Self::Pinned { errno, .. } => own("pinned", Transient, refuses(*errno)),
            Self::AlreadyPinned { .. } => own("active", Transient, refuses(Errno::EBUSY)),
            Self::TwicePinned { .. } => own("pinned", Transient, refuses(Errno::EBUSY)),
            Self::PinsFull { .. } => own("pins-full", Permanent, refuses(Errno::ENOMEM)),
            Self::PinOverflow { .. } => own("pin-overflow", Permanent, refuses(Errno::EINVAL)),
            Self::EmptyPin { .. } => own("pin-empty", Permanent, refuses(Errno::EINVAL)),
            Self::PinPageSize { .. } => own("pin-page-size", Permanent, refuses(Errno::EINVAL)),
            Self::NoDevicePages => own("not-identity", Permanent, refuses(Errno::EINVAL)),
            Self::PinUnknown { .. } => own("pin-unknown", Permanent, refuses(Errno::EINVAL)),
        }
    }

    /// What a person can type, as [`Reason::remedy`](super::Reason::remedy).
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Operation { .. } | Self::Signal { .. } | Self::Pinned { .. } => {
                Some("swapoff FILE first, then do it")
            }
            Self::Skipped { .. } => Some("swapoff FILE first, if it must include this file"),
            Self::AlreadyPinned { .. }
            | Self::TwicePinned { .. }
            | Self::PinsFull { .. }
            | Self::EmptyPin { .. }
            | Self::PinOverflow { .. }
            | Self::PinPageSize { .. }
            | Self::NoDevicePages
            | Self::PinUnknown { .. } => None,
        }
    }
}

/// Where each operation asks is said at [`Operation::source`](crate::guard::Operation::source).
const SWAPFILE: &str = "include/linux/fs.h:IS_SWAPFILE";
