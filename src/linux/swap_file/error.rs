//! Why a file is not served: a verdict, or what could not be found out.

use rustix::io::Errno as OsError;

use crate::linux::error::{ExamineError, plain};
use crate::linux::topology::TopologyError;
use crate::reason::Reason;

/// Why a file was not opened for service. Nothing is written to it, and nothing is held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It could not be examined.
    #[error(transparent)]
    Examine(#[from] ExamineError),
    /// It may not serve swap by the file model, or not now.
    #[error("{why}")]
    Refused {
        /// Why not: the first reason.
        #[source]
        why: Reason,
    },
    /// What it stands on could not be followed.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A system call failed.
    #[error("cannot {act}: {}", plain(*.error))]
    Failed {
        /// What was tried.
        act: &'static str,
        /// Why it did not go.
        error: OsError,
    },
}

impl From<Reason> for OpenError {
    fn from(why: Reason) -> Self {
        Self::Refused { why }
    }
}

pub(super) fn failed(act: &'static str) -> impl Fn(OsError) -> OpenError {
    move |error| OpenError::Failed { act, error }
}
