//! Admission: whether one request may go to an active area, now; and what becomes of it, exactly once.
//!
//! A [`Policy`] joins a map and the promises that its model needs. [`Policy::admit`] checks a [`Request`] and gives a
//! [`Ticket`]: the runs to go to, the request's flags, and the duty to end it. The checks come in a fixed order, so
//! that a reason to retry never hides one to refuse, and the cheapest come first:
//!
//! | | check | reason |
//! | --- | --- | --- |
//! | shape | at least a page | [`Empty`](RequestFault::Empty) |
//! | | no more than the policy's limit | [`TooLong`](RequestFault::TooLong) |
//! | | the folio is a power of two and fits | [`Folio`](RequestFault::Folio) |
//! | | the buffer lies as direct I/O needs it | [`BufferAlignment`](RequestFault::BufferAlignment) |
//! | | its flags are known, and ones that a swap request carries | [`Unknown`](crate::reason::FlagFault::Unknown), [`NotCarried`](crate::reason::FlagFault::NotCarried) |
//! | range | not the header page, unless it is [served](Policy::serving_header) | [`HeaderPage`](RequestFault::HeaderPage) |
//! | | inside the area | [`Reason::OutsideArea`] |
//! | promises | `LARGE_FOLIO` for a folio of several pages, `ASYNC_COMPLETION` for the asynchronous route | [`Promise`](RequestFault::Promise) |
//! | state | not closed, nor draining for a write; not moved; not shut down | [`Closed`](RequestFault::Closed), [`MappingMoved`](RequestFault::MappingMoved), [`ShutDown`](RequestFault::ShutDown) |
//! | | a write comes from where this area may be written to | [`Context`](RequestFault::Context) |
//! | | fewer in flight than the limit | [`QueueFull`](RequestFault::QueueFull) |
//!
//! What the map proves is not asked again: that every page is written, unshared and in place. What the model needs
//! always was asked by [`Policy::new`].
//!
//! ```
//! use swap_dio::admit::{Outcome, Policy, Request};
//! use swap_dio::flags::Direction;
//! use swap_dio::{Activation, Area, Bytes, Features, FileExtent, Model, PageCount, PageIndex, PageSize, Profile, Slot};
//!
//! # fn main() -> Result<(), swap_dio::Reason> {
//! let area = Area::without_header(Bytes::new(160 << 10), PageSize::KIB_4)?;
//! let mut slots = [Slot::EMPTY; 1];
//! let mut activation = Activation::new(Profile::File, &area, slots.as_mut_slice())?;
//! activation.push(&FileExtent::written(Bytes::ZERO, Bytes::new(1 << 20), Bytes::new(160 << 10)))?;
//! let policy = Policy::new(activation.finish()?, Features::required(Model::File))?;
//!
//! let request = Request::new(Direction::Write, PageIndex::new(7), PageCount::new(3), Bytes::new(4096));
//! let ticket = policy.admit(&request)?;
//! assert!(ticket.opf().is_swap_write());
//! for run in ticket.runs() {
//!     // Write 3 pages from file page 7 on, in place.
//!     assert_eq!((run.target(), run.length()), (PageIndex::new(7), PageCount::new(3)));
//! }
//! let short = ticket.complete(4096); // one page of three: the whole batch has failed
//! assert!(matches!(short.outcome(), Outcome::Failed(_)));
//! assert_eq!(short.to_kernel(), -5);
//! # Ok(())
//! # }
//! ```
//!
//! Source: Linux v6.18, `mm/page_io.c` (`swap_writepage_fs`, `sio_write_complete`), `mm/vmscan.c:may_enter_fs`.

mod completion;
mod ledger;
mod policy;
mod request;
mod ticket;

#[cfg(doc)]
use crate::reason::{Reason, RequestFault};
pub use completion::{Completion, EIOCBQUEUED, Outcome};
pub use policy::Policy;
pub use request::{Context, Request};
pub use ticket::{InFlight, Runs, Ticket};

/// Folios of one batch: the entries of `struct swap_iocb`.
pub const SWAP_CLUSTER_MAX: u64 = 32;
