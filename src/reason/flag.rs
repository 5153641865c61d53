//! What can be wrong with a word of flags: a bit nobody knows, a flag that the kernel, the file or swap cannot take.

use super::Class::Permanent;
use super::Errno;
use super::table::{EINVAL, Row, UNTOLD, own, refuses, row};
use crate::release::Release;

/// What is wrong with a word of flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagFault {
    /// Bits that have no meaning in this word.
    #[error("{word} has the unknown bits {bits:#x}")]
    Unknown {
        /// The word's name: `ki_flags`, `bi_opf`, `op_flags`.
        word: &'static str,
        /// The bits.
        bits: u64,
    },
    /// Bits that preadv2(2) and pwritev2(2) of this kernel do not know.
    #[error("{kernel} knows no flags {bits:#x} of preadv2 and pwritev2")]
    UnknownRwf {
        /// The bits.
        bits: u32,
        /// Whose flags.
        kernel: &'static str,
    },
    /// Bits of a request's flags that are none of ours.
    #[error("the flags of a request have the unknown bits {bits:#x}")]
    UnnamedReq {
        /// The bits, by our own values.
        bits: u32,
    },
    /// An operation that has no meaning in this word.
    #[error("{word} has the unknown operation {op}")]
    UnknownOp {
        /// The word's name.
        word: &'static str,
        /// The operation's number.
        op: u32,
    },
    /// A release whose numbers were not read.
    #[error("the flags of Linux {release} were not read, so no number is given")]
    Numbering {
        /// The release.
        release: Release,
    },
    /// A flag that this kernel has no number for.
    #[error("{kernel} has no number for {prefix}{flag}")]
    NoNumber {
        /// `IOCB_` or `REQ_`.
        prefix: &'static str,
        /// The rest of the kernel's name for it.
        flag: &'static str,
        /// Whose numbers.
        kernel: &'static str,
    },
    /// A number that means something else on this kernel.
    #[error("bit {bit} is IOCB_{flag} for {from} and IOCB_{now} for {kernel}")]
    Renumbered {
        /// The bit.
        bit: u8,
        /// What it meant to whoever set it.
        flag: &'static str,
        /// Who set it.
        from: &'static str,
        /// What it means here.
        now: &'static str,
        /// Whose numbers hold here.
        kernel: &'static str,
    },
    /// A flag of a kiocb that its request cannot carry, because it is swap or goes that way.
    #[error("the request cannot carry IOCB_{flag}: {why}")]
    NotCarried {
        /// The kernel's name for it.
        flag: &'static str,
        /// What it would do.
        why: &'static str,
    },
    /// The swap mark on anything but a write.
    #[error("the swap mark is on {op}, only a write carries it")]
    SwapMark {
        /// The operation.
        op: &'static str,
    },
    /// `RWF_APPEND` and `RWF_NOAPPEND` together.
    #[error("RWF_APPEND and RWF_NOAPPEND exclude each other")]
    Exclusive,
    /// A flag of preadv2(2) or pwritev2(2) that this file, or this direction, does not take.
    #[error("RWF_{flag} is not supported: {why}")]
    Unsupported {
        /// The flag.
        flag: &'static str,
        /// What is missing.
        why: &'static str,
    },
    /// `RWF_NOAPPEND` on a file that is append-only (`chattr +a`).
    #[error("RWF_NOAPPEND on a file that is append-only")]
    AppendOnly,
}

impl FlagFault {
    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Unknown { .. } | Self::UnnamedReq { .. } => own("flags-unknown", Permanent, UNTOLD),
            Self::UnknownRwf { .. } => row("flags-unknown", Permanent, refuses(Errno::EOPNOTSUPP), RW_FLAGS),
            Self::UnknownOp { .. } => own("op-unknown", Permanent, UNTOLD),
            Self::Numbering { .. } => own("flag-without-number", Permanent, UNTOLD),
            Self::NoNumber { .. } => own("flag-without-number", Permanent, UNTOLD),
            Self::Renumbered { .. } => own("flag-renumbered", Permanent, UNTOLD),
            Self::NotCarried { .. } => own("flag-not-carried", Permanent, EINVAL),
            Self::SwapMark { .. } => row("swap-mark", Permanent, UNTOLD, "mm/page_io.c:swap_writepage_bdev_async"),
            Self::Exclusive => row("flags-exclusive", Permanent, EINVAL, RW_FLAGS),
            Self::Unsupported { .. } => row("flag-unsupported", Permanent, refuses(Errno::EOPNOTSUPP), RW_FLAGS),
            Self::AppendOnly => row("append-only", Permanent, refuses(Errno::EPERM), RW_FLAGS),
        }
    }
}

const RW_FLAGS: &str = "include/linux/fs.h:kiocb_set_rw_flags";
