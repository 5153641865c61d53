//! Facts about real files on Linux, and what they add up to: the adapter that gathers, while the core judges.
//!
//! [`examine`] asks everything that a check without side effects may ask: it opens for reading only, writes
//! nothing, activates nothing, and needs no privilege beyond reading the file. Each source has a file of its own.
//!
//! [`prepare`](fn@prepare) and [`convert`] write a new file that passes, or an old one in place. [`swap_file`] serves
//! one.
//!
//! [`Tree`] follows what an area stands on, down to the disks; the core's [`topology`](crate::topology) judges that.
//!
//! [`reclaim`] is about a process instead: it takes, reports and proves the posture in which one may serve swap.
//!
//! Everything that comes back from an ioctl, from /proc or /sys is a claim of whoever wrote it: sizes are checked,
//! loops have an end, unknown flag bits refuse.

mod backing;
mod block;
mod btrfs;
mod chunks;
mod claims;
mod error;
mod examine;
mod f2fs;
mod fibmap;
mod fiemap;
mod file;
mod filesystem;
mod inode;
mod ioctl;
mod mount;
mod network;
mod open;
mod prepare;
mod process;
pub mod reclaim;
mod references;
mod report;
pub mod swap_file;
mod swaps;
mod sysfs;
mod through;
mod topology;
mod walk;
mod xfs;

pub use backing::Backing;
pub use claims::extents;
pub use error::ExamineError;
#[cfg(feature = "fuser")]
pub(crate) use error::named;
pub use examine::{examine, examine_accepting, predict};
#[cfg(feature = "fuser")]
pub(crate) use mount::stands as is_mounted;
pub use prepare::{Phase, Plan, PrepareError, Progress, convert, prepare};
pub use report::{Depth, Examination, Judgement, Prediction};
#[cfg(feature = "fuser")]
pub(crate) use swaps::active_names;
pub use topology::{Judged, Topology, TopologyError, Tree};

/// The page size of the running kernel; `None` if it is one that no swap header can have.
pub fn page_size() -> Option<crate::PageSize> {
    crate::PageSize::new(u64::try_from(rustix::param::page_size()).ok()?)
}

impl crate::Release {
    /// The release of the running kernel; `None` if uname(2) gives none that begins with two numbers.
    pub fn running() -> Option<Self> {
        Self::parse(&rustix::system::uname().release().to_string_lossy())
    }
}
