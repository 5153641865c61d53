//! Our words of FUSE and fuser's, both ways. The numbers are the protocol's on both sides.
//!
//! Into fuser's nothing is lost. From fuser's, `INIT` passes over what says nothing of a file's I/O, as
//! [`Init::from_words`] does; the other words refuse bits that they do not have.

use fuser::{FopenFlags, InitFlags, OpenAccMode, OpenFlags, WriteFlags};
use rustix::fs::OFlags;

use crate::fuse::{Fopen, Init, Write};
use crate::reason::{Errno, Reason};

impl From<Init> for InitFlags {
    fn from(init: Init) -> Self {
        Self::from_bits_retain(init.bits())
    }
}

impl From<InitFlags> for Init {
    /// Takes what [`fuser::KernelConfig::capabilities`] says, which leaves `FUSE_INIT_EXT` out.
    fn from(init: InitFlags) -> Self {
        Self::all().intersection(Self::from_bits_retain(init.bits()))
    }
}

impl From<Fopen> for FopenFlags {
    fn from(open: Fopen) -> Self {
        Self::from_bits_retain(open.bits())
    }
}

impl TryFrom<FopenFlags> for Fopen {
    type Error = Reason;

    /// # Errors
    /// As [`Fopen::from_word`].
    fn try_from(open: FopenFlags) -> Result<Self, Reason> {
        Self::from_word(open.bits())
    }
}

impl From<Write> for WriteFlags {
    fn from(write: Write) -> Self {
        Self::from_bits_retain(write.bits())
    }
}

impl TryFrom<WriteFlags> for Write {
    type Error = Reason;

    /// # Errors
    /// As [`Write::from_word`].
    fn try_from(write: WriteFlags) -> Result<Self, Reason> {
        Self::from_word(write.bits())
    }
}

impl From<Errno> for fuser::Errno {
    fn from(errno: Errno) -> Self {
        Self::from_i32(errno.number())
    }
}

/// Whether an `OPEN` or `CREATE` with these flags cuts the file to nothing (`O_TRUNC`).
pub fn truncates(flags: OpenFlags) -> bool {
    has(flags, OFlags::TRUNC)
}

/// Whether a handle with these flags may write.
pub fn writes(flags: OpenFlags) -> bool {
    !matches!(flags.acc_mode(), OpenAccMode::O_RDONLY)
}

/// Whether a `CREATE` fails for a file that is there (`O_EXCL`).
pub(super) fn is_exclusive(flags: OpenFlags) -> bool {
    has(flags, OFlags::EXCL)
}

fn has(flags: OpenFlags, wanted: OFlags) -> bool {
    OFlags::from_bits_retain(u32::from_ne_bytes(flags.0.to_ne_bytes())).contains(wanted)
}
