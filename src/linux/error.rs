//! Why a path could not be examined: not a verdict, and never a guess in place of one.

use std::path::Path;

use rustix::io::Errno as OsError;

/// Why a path could not be examined at all: not a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// The path leads nowhere, or not for this user.
    #[error("cannot look it up: {}", plain(*.0))]
    LookUp(OsError),
    /// It is there and may not be read.
    #[error("cannot open it for reading: {}", plain(*.0))]
    Open(OsError),
    /// Another file came to stand there meanwhile.
    #[error("it was replaced while it was examined; look again")]
    Replaced,
    /// A fact could not be had.
    #[error("cannot read {what}: {}", plain(*.error))]
    Fact {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        error: OsError,
    },
    /// This kernel's pages are none that a swap header can be laid out for.
    #[error("this kernel's page size is not a power of two from 4 KiB to 64 KiB")]
    PageSize,
}

pub(super) fn fact(what: &'static str) -> impl Fn(OsError) -> ExamineError {
    move |error| ExamineError::Fact { what, error }
}

pub(super) fn no_fact(what: &'static str) -> impl Fn(std::io::Error) -> ExamineError {
    move |error| ExamineError::Fact { what, error: OsError::from_io_error(&error).unwrap_or(OsError::IO) }
}

/// A path in a message of one line, whatever its name holds.
pub(crate) fn named(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// The errno in words, without its number.
pub(super) fn plain(error: OsError) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
