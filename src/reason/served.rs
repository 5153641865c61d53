//! What stands against a file that a server of this machine serves as another's swap, at its opening or later.

use core::fmt;

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

    /// A loop device whose pages are not those of the file below it.
    #[error("{}", Offset(*offset))]
    LoopOffset {
        /// Where the device begins in the file; `None` where that cannot be told.
        offset: Option<Bytes>,
    },
    /// A loop device that writes through the page cache, or may.
    #[error("the loop device has no direct I/O: what is written stays in the page cache of the file below")]
    BufferedLoop,
    /// Somebody else may write to the file under a loop device.
    #[error("somebody else has the file under the loop device open for writing, or another loop device over it")]
    HeldBelow,
    /// A limit of this process's that a write would run into, which ends the process (`SIGXFSZ`).
    #[error(
        "this process may write files up to {limit} only (RLIMIT_FSIZE), the file has {size}: a write past that ends it"
    )]
    FileSizeLimit {
        /// The limit.
        limit: Bytes,
        /// The file's size.
        size: Bytes,
    },

    // Later: service has stopped, unless it says otherwise.
    /// Somebody who opened the file has outwaited the lease.
    #[error("somebody else has the file open: the time of the lease is over")]
    Opened,
    /// The file is shorter than what is served of it.
    #[error("the file was cut from {was} to {now}")]
    Cut {
        /// Its size when it was opened.
        was: Bytes,
        /// Its size now.
        now: Bytes,
    },
    /// Extents that somebody shares by now: a write would go elsewhere, what is read is the same.
    #[error("{range} are shared with another file by now: a write would be copied elsewhere")]
    Shared {
        /// The first of them.
        range: ByteRange,
    },
    /// An extent is not what it was: moved, punched, converted.
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
    /// The file could not be looked at just now, for want of memory: the next look may tell.
    #[error("the file could not be looked at just now: errno {errno}")]
    NotNow {
        /// The positive error number.
        errno: u16,
    },
    /// The file does not answer what it is like.
    #[error("the file cannot be looked at any more: errno {errno}")]
    Unanswered {
        /// The positive error number.
        errno: u16,
    },
}

/// Where a loop device begins, in words.
struct Offset(Option<Bytes>);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, "the loop device begins at {offset} of its file, within a page"),
            None => f.write_str("where the loop device begins in its file cannot be told"),
        }
    }
}

impl ServedFault {
    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Held => row("busy", Transient, Answer::Accepts, "fs/locks.c:check_conflicting_open"),
            Self::LoopOffset { .. } => row("misaligned", Permanent, Answer::Accepts, "drivers/block/loop.c:lo_rw_aio"),
            Self::BufferedLoop => row("loop-backing", Permanent, Answer::Accepts, "drivers/block/loop.c:lo_rw_aio"),
            Self::HeldBelow => own("busy", Transient, Answer::Accepts),
            Self::FileSizeLimit { .. } => {
                row("file-size-limit", Permanent, Answer::Accepts, "mm/filemap.c:generic_write_check_limits")
            }
            Self::Opened => row("busy", Permanent, EIO, "fs/locks.c:time_out_leases"),
            Self::NotNow { .. } => own("not-revalidated", Transient, EIO),
            Self::Cut { .. } => own("size-changed", Permanent, EIO),
            Self::Shared { .. } => own("shared", Permanent, EIO),
            Self::Changed { .. } => own("extents-changed", Permanent, EIO),
            Self::Attribute { .. } => own("attribute-changed", Permanent, EIO),
            Self::Unanswered { .. } => own("not-revalidated", Permanent, EIO),
        }
    }

    /// What a person can type, as [`Reason::remedy`](super::Reason::remedy).
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Held => Some("fuser -v FILE shows who has it open, losetup -j FILE which loop device is over it"),
            Self::LoopOffset { .. } => Some("losetup -l FILE shows the offset: set it up anew at a multiple of a page"),
            Self::BufferedLoop => Some("losetup --direct-io=on FILE, if the filesystem below can"),
            Self::HeldBelow => Some("losetup -l shows other loop devices, fuser -v who has the file open"),
            Self::FileSizeLimit { .. } => Some("ulimit -f unlimited, or LimitFSIZE=infinity in its unit file"),
            Self::NotNow { .. } => None,
            Self::Cut { .. } | Self::Changed { .. } => {
                Some("what lies before is still read: swapoff its area where it is used, then serve the file anew")
            }
            Self::Attribute { .. } | Self::Shared { .. } | Self::Opened => {
                Some("every page is still read: swapoff its area where it is used, then serve the file anew")
            }
            Self::Unanswered { .. } => Some("dmesg may say why; swapoff its area where it is used"),
        }
    }
}

const EIO: Answer = refuses(Errno::EIO);
