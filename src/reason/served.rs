//! What stands against a file that a server of this machine serves as another's swap, at its opening or later.

use super::Class::{Permanent, Transient};
use super::table::{Row, own, refuses, row};
use super::{Answer, Errno};
use crate::unit::{ByteRange, Bytes};

/// Why a file is not served, or not any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServedFault {
    // At the opening.
    /// Somebody else may write to it.
    #[error("somebody else has the file open, or holds a lock or a lease on it")]
    Held,

    // Later: service has stopped.
    /// The file is shorter than what is served of it.
    #[error("the file was cut from {was} to {now}")]
    Cut {
        /// Its size when it was opened.
        was: Bytes,
        /// Its size now.
        now: Bytes,
    },
    /// An extent is not what it was: moved, punched, shared, converted.
    #[error("{range} are not the extents that they were at the opening")]
    Changed {
        /// From where the two lists differ.
        range: ByteRange,
    },
    /// An attribute of the file that its service rests on.
    #[error("the file's attribute {attribute} has changed since the opening")]
    Attribute {
        /// Which.
        attribute: &'static str,
    },
    /// The file does not answer what it is like.
    #[error("the file cannot be looked at any more: errno {errno}")]
    Unanswered {
        /// The positive error number.
        errno: u16,
    },
}

impl ServedFault {
    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Held => row("busy", Transient, Answer::Accepts, "fs/locks.c:check_conflicting_open"),
            Self::Cut { .. } => own("size-changed", Permanent, EIO),
            Self::Changed { .. } => own("extents-changed", Permanent, EIO),
            Self::Attribute { .. } => own("attribute-changed", Permanent, EIO),
            Self::Unanswered { .. } => own("not-revalidated", Permanent, EIO),
        }
    }

    /// What a person can type, as [`Reason::remedy`](super::Reason::remedy).
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Held => Some("fuser -v FILE shows who has it open, losetup -j FILE which loop device is over it"),
            Self::Cut { .. } | Self::Changed { .. } | Self::Attribute { .. } => {
                Some("swapoff its area where it is used, then serve the file anew")
            }
            Self::Unanswered { .. } => Some("dmesg may say why; swapoff its area where it is used"),
        }
    }
}

const EIO: Answer = refuses(Errno::EIO);
