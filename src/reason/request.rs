//! What can be wrong with one swap request: its shape, its moment, how it ended.

use core::fmt;

use super::Class::{Permanent, Transient};
use super::Errno;
use super::table::{EINVAL, Row, own, refuses, row};
use crate::model::Model;
use crate::unit::{Bytes, PageCount};

/// What is wrong with a request, or with how it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    // Shape.
    /// No page.
    #[error("a request of no page")]
    Empty,
    /// More pages than the policy allows at once.
    #[error("a request of {pages}, {limit} are allowed at once")]
    TooLong {
        /// Pages asked for.
        pages: PageCount,
        /// The most that are allowed.
        limit: PageCount,
    },
    /// A folio that is no power of two of pages, or that is larger than its request.
    #[error("a folio of {folio} is no power of two, or does not fit in a request of {pages}")]
    Folio {
        /// Pages asked for.
        pages: PageCount,
        /// Pages of a folio.
        folio: PageCount,
    },
    /// Memory that is not whole pages.
    #[error("a buffer of {length} is not in whole pages of {page}")]
    BufferLength {
        /// The buffer's length.
        length: Bytes,
        /// The page size.
        page: Bytes,
    },
    /// Memory that direct I/O cannot use as it lies.
    #[error("a buffer aligned to {got}, direct I/O needs {needed}")]
    BufferAlignment {
        /// What its address is a multiple of.
        got: Bytes,
        /// What it must be a multiple of.
        needed: Bytes,
    },

    // Range. A page past the end is `Reason::OutsideArea`.
    /// Page 0 holds the swap header and is never swapped to.
    #[error("page 0 holds the swap header and is never swapped to")]
    HeaderPage,

    // Promises.
    /// A promise that the filesystem does not make.
    #[error("{who} needs the promise {promise}, which the filesystem does not make")]
    Promise {
        /// Which model, or which kind of request.
        who: &'static str,
        /// The promise.
        promise: &'static str,
    },
    /// An alignment that is no power of two.
    #[error("direct I/O is said to need {what} aligned to {got}, which is no power of two")]
    AlignmentOdd {
        /// Memory or offsets.
        what: &'static str,
        /// What is needed.
        got: Bytes,
    },
    /// An alignment that no request of whole pages can have.
    #[error("direct I/O needs {what} aligned to {got}, swap has pages of {page}")]
    AlignmentAbovePage {
        /// Memory or offsets.
        what: &'static str,
        /// What is needed.
        got: Bytes,
        /// What swap has.
        page: Bytes,
    },
    /// Operations of one model, over an area of the other.
    #[error("the server takes pages of the {} model, the area is of the {} model", server.word(), area.word())]
    OtherModel {
        /// What the server takes.
        server: Model,
        /// What the area is.
        area: Model,
    },
    /// Reclaim that may not enter a filesystem and an area that is served by one, or reclaim without any I/O.
    #[error("reclaim under {context} may not write to this area")]
    Context {
        /// `GFP_NOFS` or `GFP_NOIO`.
        context: &'static str,
    },

    /// Memory, a direction or an engine that the ticket is not for.
    #[error("the ticket is for another request: {why}")]
    OtherRequest {
        /// What differs.
        why: &'static str,
    },

    // State.
    /// The area is being switched off: closed, or to writes.
    #[error("the area is closed to new requests")]
    Closed,
    /// The filesystem has moved blocks since activation: every address is void.
    #[error("the mapping has changed since activation")]
    MappingMoved,
    /// The filesystem has shut down and does not promise to serve swap then.
    #[error("the filesystem has shut down, swap I/O to it would fail")]
    ShutDown,
    /// As many requests as are allowed are in flight.
    #[error("requests in flight: {limit}, no more are allowed")]
    QueueFull {
        /// The most that are allowed.
        limit: u32,
    },
    /// Requests are in flight, so the area cannot be let go of.
    #[error("requests in flight: {requests}")]
    InFlight {
        /// How many.
        requests: u32,
    },

    // Completion.
    /// Fewer or more bytes than were asked for: the whole batch has failed. 0 is such a count.
    #[error("{done} were done of {asked}: the whole batch has failed")]
    Short {
        /// Bytes that were done.
        done: Bytes,
        /// Bytes that were asked for.
        asked: Bytes,
    },
    /// An error number.
    #[error("the I/O failed with errno {errno}{}", hint(*errno))]
    Failed {
        /// The positive error number.
        errno: u16,
    },
    /// A negative number that is no error number.
    #[error("{returned} is neither a length nor an error number")]
    NoErrno {
        /// What was returned.
        returned: i64,
    },
    /// `-EIOCBQUEUED` from somebody who keeps nothing that could end the request.
    #[error("the request is said to be queued, but nothing is kept that could end it")]
    NotQueued,
    /// A request that nobody ended.
    #[error("a request was given up without an end")]
    Dropped,
}

impl RequestFault {
    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Empty => own("request-empty", Permanent, EINVAL),
            Self::TooLong { .. } => own("request-too-long", Permanent, EINVAL),
            Self::Folio { .. } | Self::BufferLength { .. } => own("misaligned", Permanent, EINVAL),
            Self::BufferAlignment { .. } => row("misaligned", Permanent, EINVAL, DIRECT_IO),
            Self::HeaderPage => row("header-page", Permanent, EINVAL, "mm/swapfile.c:setup_swap_map"),
            Self::Promise { .. } => own("promise-missing", Permanent, refuses(Errno::EOPNOTSUPP)),
            Self::AlignmentOdd { .. } | Self::AlignmentAbovePage { .. } => own("misaligned", Permanent, EINVAL),
            Self::OtherModel { .. } => own("other-model", Permanent, EINVAL),
            Self::OtherRequest { .. } => own("other-request", Permanent, EINVAL),
            Self::Context { .. } => row("reclaim-context", Transient, EAGAIN, "mm/vmscan.c:may_enter_fs"),
            Self::Closed => own("closed", Permanent, EIO),
            Self::MappingMoved => own("mapping-moved", Permanent, EIO),
            Self::ShutDown => row("shut-down", Permanent, EIO, "fs/xfs/xfs_iomap.c:xfs_direct_write_iomap_begin"),
            Self::QueueFull { .. } => own("queue-full", Transient, EAGAIN),
            Self::InFlight { .. } => own("in-flight", Transient, refuses(Errno::EBUSY)),
            Self::Short { .. } => row("short-io", Permanent, EIO, COMPLETE),
            Self::Failed { .. } => row("io-failed", Permanent, EIO, COMPLETE),
            Self::NoErrno { .. } | Self::NotQueued => row("io-failed", Permanent, EIO, COMPLETE),
            Self::Dropped => own("request-dropped", Permanent, EIO),
        }
    }

    /// What a person can type, as [`Reason::remedy`](super::Reason::remedy).
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::MappingMoved => {
                Some("end what uses its pages, which cannot be read back; then swapoff FILE and activate it anew")
            }
            Self::ShutDown => {
                Some("end what uses its pages, which cannot be read back; then swapoff FILE, unmount and check it")
            }
            Self::Empty
            | Self::TooLong { .. }
            | Self::Folio { .. }
            | Self::BufferLength { .. }
            | Self::BufferAlignment { .. }
            | Self::HeaderPage
            | Self::Promise { .. }
            | Self::AlignmentOdd { .. }
            | Self::AlignmentAbovePage { .. }
            | Self::OtherModel { .. }
            | Self::OtherRequest { .. }
            | Self::Context { .. }
            | Self::Closed
            | Self::QueueFull { .. }
            | Self::InFlight { .. }
            | Self::Short { .. }
            | Self::Failed { .. }
            | Self::NoErrno { .. }
            | Self::NotQueued
            | Self::Dropped => None,
        }
    }
}

/// What an error number means that invites the wrong next step.
fn hint(errno: u16) -> impl fmt::Display {
    match errno {
        11 => " (EAGAIN: a swap request is never repeated here)",
        15 => " (ENOTBLK asks for buffered I/O, which would allocate)",
        26 => " (ETXTBSY: the write went through generic_write_checks, which swap must bypass)",
        _ => "",
    }
}

const EIO: super::Answer = refuses(Errno::EIO);
const EAGAIN: super::Answer = refuses(Errno::EAGAIN);
const DIRECT_IO: &str = "fs/iomap/direct-io.c:iomap_dio_bio_iter";
const COMPLETE: &str = "mm/page_io.c:sio_write_complete";
