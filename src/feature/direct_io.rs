//! What statx says of direct I/O on a file. "Unsupported" and "unknown" are two answers.
//!
//! Source: Linux v6.18, `include/uapi/linux/stat.h`; statx(2): an alignment of 0 with the mask bit set means that
//! this file has no direct I/O, a clear mask bit that the filesystem does not say.

use super::Features;
use crate::reason::{Reason, RequestFault};
use crate::unit::{Bytes, PageSize};

/// What a file says of direct I/O: a claim, checked by [`from_statx`](Self::from_statx) and [`fits`](Self::fits).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DirectIo {
    /// Possible, with these alignments: powers of two.
    Aligned {
        /// Of the buffer's address.
        memory: Bytes,
        /// Of offset and length of a write, and of a read where nothing else is said.
        offset: Bytes,
        /// Of offset and length of a read.
        read_offset: Bytes,
    },
    /// Not on this file: ext4 says so of inline, journaled, verity and some encrypted data.
    Unsupported,
    /// The kernel or the filesystem does not say: nothing is promised.
    Unknown,
}

impl DirectIo {
    /// `STATX_DIOALIGN`, since 6.1.
    pub const STATX_DIOALIGN: u32 = 0x2000;
    /// `STATX_DIO_READ_ALIGN`.
    pub const STATX_DIO_READ_ALIGN: u32 = 0x2_0000;

    /// Reads `stx_mask`, `stx_dio_mem_align`, `stx_dio_offset_align` and `stx_dio_read_offset_align`.
    ///
    /// # Errors
    /// [`RequestFault::AlignmentOdd`] for an alignment that is no power of two.
    pub fn from_statx(mask: u32, memory: u32, offset: u32, read_offset: u32) -> Result<Self, Reason> {
        if mask & Self::STATX_DIOALIGN == 0 {
            return Ok(Self::Unknown);
        }
        if memory == 0 || offset == 0 {
            return Ok(Self::Unsupported);
        }
        let said = mask & Self::STATX_DIO_READ_ALIGN != 0 && read_offset != 0;
        let read_offset = if said { read_offset } else { offset };
        for (what, got) in [("memory", memory), ("offsets", offset), ("offsets of reads", read_offset)] {
            if !got.is_power_of_two() {
                let got = Bytes::new(got.into());
                return Err(Reason::Request(RequestFault::AlignmentOdd { what, got }));
            }
        }
        let bytes = |value: u32| Bytes::new(value.into());
        Ok(Self::Aligned { memory: bytes(memory), offset: bytes(offset), read_offset: bytes(read_offset) })
    }

    /// What that promises: both directions, or nothing.
    ///
    /// No promise against buffered fallback, none of transactions: statx says nothing of either.
    pub const fn features(&self) -> Features {
        match self {
            Self::Aligned { .. } => Features::DIO_READ.union(Features::DIO_WRITE),
            Self::Unsupported | Self::Unknown => Features::empty(),
        }
    }

    /// Checks that requests of whole pages can be aligned so. It says nothing against a file without direct I/O: that
    /// is for [`features`](Self::features) to say.
    ///
    /// # Errors
    /// [`RequestFault::AlignmentAbovePage`], memory first, then offsets of writes, then of reads.
    pub fn fits(&self, page: PageSize) -> Result<(), Reason> {
        let Self::Aligned { memory, offset, read_offset } = *self else { return Ok(()) };
        for (what, got) in [("memory", memory), ("offsets", offset), ("offsets of reads", read_offset)] {
            if !page.bytes().is_multiple_of(got) {
                return Err(above(what, got, page));
            }
        }
        Ok(())
    }
}

fn above(what: &'static str, got: Bytes, page: PageSize) -> Reason {
    Reason::Request(RequestFault::AlignmentAbovePage { what, got, page: page.bytes() })
}
