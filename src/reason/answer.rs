//! What Linux answers where this crate gives a reason: the errno, or that it does not mind.

use core::fmt;

/// What the kernel answers to the thing that a reason is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Answer {
    /// It refuses, with this errno.
    Refuses(Errno),
    /// It does not mind: the reason is this crate's own, or advice.
    Accepts,
    /// It cannot be known from outside, nor with which errno.
    Unknown,
    /// It depends on the kernel in a way that cannot be seen from outside; kernels that refuse give this errno.
    Depends(Errno),
    /// No errno: the process gets SIGBUS.
    Signal,
}

/// The error numbers that the rules in this crate answer with, by the kernel's names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(i32)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory.
    ENOENT = 2,
    /// Input/output error.
    EIO = 5,
    /// No such device or address.
    ENXIO = 6,
    /// Try again.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Device or resource busy.
    EBUSY = 16,
    /// Is a directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// Text file busy.
    ETXTBSY = 26,
    /// Read-only file system.
    EROFS = 30,
    /// Operation not supported.
    EOPNOTSUPP = 95,
}

impl Errno {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EPERM => "EPERM",
            Self::ENOENT => "ENOENT",
            Self::EIO => "EIO",
            Self::ENXIO => "ENXIO",
            Self::EAGAIN => "EAGAIN",
            Self::ENOMEM => "ENOMEM",
            Self::EBUSY => "EBUSY",
            Self::EISDIR => "EISDIR",
            Self::EINVAL => "EINVAL",
            Self::ETXTBSY => "ETXTBSY",
            Self::EROFS => "EROFS",
            Self::EOPNOTSUPP => "EOPNOTSUPP",
        }
    }

    /// The positive number, as in `asm-generic/errno.h`. Alpha, MIPS, PA-RISC and SPARC number `EOPNOTSUPP` otherwise.
    pub const fn number(self) -> i32 {
        match self {
            Self::EPERM => 1,
            Self::ENOENT => 2,
            Self::EIO => 5,
            Self::ENXIO => 6,
            Self::EAGAIN => 11,
            Self::ENOMEM => 12,
            Self::EBUSY => 16,
            Self::EISDIR => 21,
            Self::EINVAL => 22,
            Self::ETXTBSY => 26,
            Self::EROFS => 30,
            Self::EOPNOTSUPP => 95,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
