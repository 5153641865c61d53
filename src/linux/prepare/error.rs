//! Why no file was made, or none converted: what was tried, where, and why it did not go.

use rustix::io::Errno as OsError;

use crate::linux::error::{ExamineError, plain};
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{Bytes, PageCount, PageSize};

/// Why a file was not prepared. Unless a variant says otherwise, everything is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The path ends in a slash or in `..`.
    #[error("the path names a folder, not a file to be made")]
    NoName,
    /// Something has the name: a new file replaces nothing.
    #[error("something of that name is already there, and nothing is made in its place")]
    Exists,
    /// Fewer pages than mkswap(8) formats.
    #[error("{size} are {}, a swap area has at least {least} ({})", size.whole_pages(*page), least.to_bytes(*page).unwrap_or(Bytes::ZERO))]
    TooSmall {
        /// What was asked for.
        size: Bytes,
        /// The kernel's page size.
        page: PageSize,
        /// The least that there can be.
        least: PageCount,
    },
    /// A header cannot say so: the area is too large.
    #[error("{0}")]
    Header(#[source] Reason),
    /// A file there, or this file, cannot serve swap by that model, or not now: nothing was written.
    #[error("{why}")]
    Refused {
        /// The model asked for.
        model: Model,
        /// Why not.
        #[source]
        why: Reason,
    },
    /// Less space is free than the file takes: nothing was written.
    #[error("{needed} are needed, {free} are free")]
    NoSpace {
        /// The size of the file.
        needed: Bytes,
        /// Free space, what is kept for root included.
        free: Bytes,
    },
    /// A system call failed.
    #[error("cannot {act}{}: {}", place(*.at), plain(*.error))]
    Failed {
        /// What was tried.
        act: &'static str,
        /// At which offset of the file.
        at: Option<Bytes>,
        /// Why it did not go.
        error: OsError,
    },
    /// An attribute was set on the empty file, and is not there when read back.
    #[error("the filesystem does not keep the attribute {flag} on a new file")]
    NotKept {
        /// As chattr(1) writes it.
        flag: &'static str,
    },
    /// The caller said stop.
    #[error("stopped as asked")]
    Stopped,
    /// Another run works on the same name or file.
    #[error("another run is at work on it now")]
    Locked,
    /// What a killed run would have left has the part's name, and is something else.
    #[error("{part} stands in the way and is not the remains of a killed run: look at it, then move or remove it")]
    PartInTheWay {
        /// Its name, in the same folder.
        part: String,
    },
    /// Somebody changed the file meanwhile; what was converted stays converted.
    #[error("its extents were changed by somebody else meanwhile; look again")]
    Changed,
    /// Somebody has the file open for writing, and would be overtaken by zeros.
    #[error("{user} may write to it meanwhile: close it first")]
    InUse {
        /// Who.
        user: String,
    },
    /// Looked at when it was made, or examined at the end by its name, it is not admitted.
    #[error("{why}{}", if *.removed { "; the new file was removed again" } else { "" })]
    NotAdmitted {
        /// Why not.
        #[source]
        why: Reason,
        /// Whether it was a new file, and so is gone.
        removed: bool,
    },
    /// It, or its folder, could not be examined.
    #[error("{0}")]
    Examine(#[from] ExamineError),
}

impl PrepareError {
    /// The reason of the crate's rules, where one is the cause.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Header(why) | Self::Refused { why, .. } | Self::NotAdmitted { why, .. } => Some(*why),
            Self::NoName
            | Self::Exists
            | Self::TooSmall { .. }
            | Self::NoSpace { .. }
            | Self::Failed { .. }
            | Self::NotKept { .. }
            | Self::Stopped
            | Self::Locked
            | Self::PartInTheWay { .. }
            | Self::Changed
            | Self::InUse { .. }
            | Self::Examine(_) => None,
        }
    }
}

/// Names what failed, for `map_err`.
pub(super) fn failed(act: &'static str) -> impl Fn(OsError) -> PrepareError {
    move |error| PrepareError::Failed { act, at: None, error }
}

/// The same at an offset of the file.
pub(super) fn failed_at(act: &'static str, at: u64) -> impl Fn(OsError) -> PrepareError {
    move |error| PrepareError::Failed { act, at: Some(Bytes::new(at)), error }
}

fn place(at: Option<Bytes>) -> String {
    at.map(|at| format!(" at offset {at}")).unwrap_or_default()
}
