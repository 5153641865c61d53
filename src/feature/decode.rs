//! Promises, decoded from the words that others speak: an open file's mode and operations.
//!
//! What FUSE says is in [`fuse`](crate::fuse), next to its words; what statx says is [`DirectIo`](super::DirectIo).

use super::Features;
use crate::flags::{Fmode, Fop};

impl Features {
    /// What an open file's `f_mode` and `fop_flags` promise.
    ///
    /// `FMODE_CAN_ODIRECT` stands for both directions, as the kernel takes it, and for nothing else: a file with
    /// `data=journal` on ext4 opens with `O_DIRECT` and does buffered I/O.
    pub const fn of_open_file(mode: Fmode, operations: Fop) -> Self {
        let direct = Self::DIO_READ.union(Self::DIO_WRITE);
        Self::empty()
            .union(when(mode.contains(Fmode::CAN_ODIRECT), direct))
            .union(when(mode.contains(Fmode::NOWAIT), Self::NOWAIT))
            .union(when(mode.contains(Fmode::NOCMTIME), Self::NO_TIMESTAMPS))
            .union(when(operations.contains(Fop::DIO_PARALLEL_WRITE), Self::PARALLEL_WRITES))
    }
}

/// The promises, if the condition holds.
pub(crate) const fn when(condition: bool, promises: Features) -> Features {
    if condition { promises } else { Features::empty() }
}
