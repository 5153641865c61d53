//! The flags of an I/O, by name: of the call (`RWF_`), of the kiocb (`IOCB_`), of the request (`REQ_`), of the file.
//!
//! Our types own their bit values, except [`Rwf`], which is user-space ABI. The kernel renumbers `IOCB_` and `REQ_`
//! bits from release to release, so a number means nothing without the [`Kernel`] whose it is: words come in and go
//! out through one, and a bit that it does not know is refused, never dropped.
//!
//! ```
//! use swap_dio::flags::{Kernel, Opf, Req, ReqOp};
//!
//! let write = Opf::new(ReqOp::Write, Req::SWAP)?;
//! assert_eq!(Kernel::V6_1.opf_word(write)?, 1 | 1 << 25);
//! assert_eq!(Kernel::V6_18.opf_word(write)?, 1 | 1 << 24); // the same flag, another bit
//! # Ok::<(), swap_dio::Reason>(())
//! ```

mod file;
mod iocb;
mod kernel;
mod number;
mod req;
mod rwf;

pub use file::{Fmode, Fop};
pub use iocb::Iocb;
pub use kernel::Kernel;
pub(crate) use kernel::{mask, read};
pub(crate) use number::Numbers;
pub use req::{Opf, Req, ReqOp};
pub use rwf::{OpenFile, Rwf};

/// Where the data goes, told by the kind of the buffer: never by a flag.
///
/// mm sets no `IOCB_WRITE` on swap kiocbs; whoever tests it takes every swap-out for a read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From the device into memory (`ITER_DEST`): swap-in.
    Read,
    /// From memory to the device (`ITER_SOURCE`): swap-out.
    Write,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The word for tables and messages: `read`, `write`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The name of the first flag that is set, without the kernel's prefix.
fn first_name<F: bitflags::Flags>(flags: F) -> &'static str {
    flags.iter_names().next().map_or("an unnamed flag", |(name, _)| name)
}
