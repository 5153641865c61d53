//! Who may serve swap, and on what: a verdict from the layers below an area, with every condition and its reason.
//!
//! The I/O model says which *I/O* is safe; this says which *server*. A process that serves swap of its own kernel is
//! on the path by which that kernel gets memory: whatever on that path begs for a page may wait for itself. So a chain
//! of [`Layer`]s is stated, from the area down to the disks, and held against the [`Rule`]s, which are one table. A
//! layer that no rule names refuses, a fact that cannot be told refuses, and what is accepted is accepted by a name
//! ([`Override`]) that the verdict carries with it ([`Allowed`]).
//!
//! Where the swap is another kernel's, a guest's or a remote host's, the circle is open: [`Consumer::OtherKernel`] is
//! asked for layers that are known, and for flags that keep its pages.
//!
//! ```
//! use swap_dio::topology::{Consumer, Facts, Layer, Link, Override, Told};
//!
//! let chain = [
//!     Link { depth: 0, layer: Layer::Loop { direct: Told::Yes } },
//!     Link { depth: 1, layer: Layer::Filesystem("ext4") },
//!     Link { depth: 2, layer: Layer::Disk },
//! ];
//! let facts = Facts { chain: &chain, server: None, consumer: Consumer::SameKernel, accepted: Override::empty() };
//! assert_eq!(facts.judge(|_| ()).map_err(|reason| reason.code()), Err("loop-backing"));
//!
//! let accepted = Facts { accepted: Override::FILE_BACKED, ..facts };
//! assert_eq!(accepted.judge(|_| ())?.to_string(), "admit for this kernel's swap, accepting file-backed");
//! # Ok::<(), swap_dio::Reason>(())
//! ```
//!
//! Pure: no allocation, bounded by [`MAX_DEPTH`] and [`MAX_LINKS`]. Source: each [`RuleRow`] names the run and the
//! kernel's function, Linux v6.18.

mod accept;
mod finding;
mod judge;
mod layer;
mod rule;

pub use accept::Override;
pub use finding::{Allowed, Finding, State};
pub use judge::Facts;
pub use layer::{Consumer, Layer, Link, MAX_DEPTH, MAX_LINKS, NbdClient, Place, Posture, Server, Told};
pub use rule::{Rule, RuleRow};
