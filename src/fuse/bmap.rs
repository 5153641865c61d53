//! The answer to `FUSE_BMAP`: a block of the file, in the mount's unit, to a block of the device.
//!
//! The kernel takes 0 for a hole, and every error too. `ENOSYS` is worse: the kernel never asks again on that
//! connection, for no file. So block 0 of the device can hold no swap, and no refusal here is `ENOSYS`.
//!
//! Source: Linux v6.18, `fs/fuse/file.c:fuse_bmap` (`no_bmap`); in v6.1 and v6.12 `fs/fuse/inode.c:
//! fuse_change_attributes_common` takes the unit of the count from the file's `blksize`.

use crate::extent::{DeviceId, ExtentFlags, ExtentState, FileExtent};
use crate::reason::{Errno, Reason};
use crate::unit::{BlockSize, ByteRange, Bytes};

/// What the kernel asks: where block `index` of a file lies, both counted in `block`s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Question {
    index: u64,
    /// `None` for a number that no block size is.
    block: Option<BlockSize>,
}

/// What the server says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The block of the device, never 0.
    Block(u64),
    /// Nothing lies there, or nothing that swap could use: the number 0.
    Hole,
    /// The question cannot be answered: an error, never `ENOSYS`.
    Refused(Errno),
}

impl Question {
    /// Takes `block` and `blocksize` of `fuse_bmap_in`.
    pub const fn from_words(block: u64, block_size: u32) -> Self {
        // A cast that cannot lose: u32 to u64 has no `From` in const.
        let [a, b, c, d] = block_size.to_le_bytes();
        Self { index: block, block: BlockSize::new(u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])) }
    }

    /// The bytes of the file that are asked for; `None` for a block size that is none, or past 2^64.
    pub fn range(&self) -> Option<ByteRange> {
        let block = self.block?.bytes();
        let offset = Bytes::new(self.index.checked_mul(block.get())?);
        offset.checked_add(block).map(|_| ByteRange::new(offset, block))
    }

    /// Answers by the extent that covers the first byte asked for, which `extent` looks up.
    ///
    /// A block is told only where it is one run of the device, in whole blocks, and nobody else's: written or
    /// allocated, on the device that is mounted ([`DeviceId::MAIN`]), not shared, not compressed, not encrypted.
    /// Whatever else the extent says makes a hole of it, so that swapon refuses the file.
    pub fn answer(&self, extent: impl FnOnce(Bytes) -> Option<FileExtent>) -> Answer {
        let (Some(range), Some(block)) = (self.range(), self.block) else { return Answer::Refused(Errno::EINVAL) };
        let Some(extent) = extent(range.offset) else { return Answer::Hole };
        match place(&extent, range) {
            // A block of the mount that is smaller than a block of the filesystem is still one; a larger one may be
            // none.
            Some(at) if at.is_aligned(block) => match at.get() >> block.shift() {
                0 => Answer::Hole,
                number => Answer::Block(number),
            },
            Some(_) => Answer::Refused(Errno::EINVAL),
            None => Answer::Hole,
        }
    }
}

impl Answer {
    /// `block` of `fuse_bmap_out`, or the errno.
    ///
    /// # Errors
    /// The errno of [`Answer::Refused`].
    pub const fn word(self) -> Result<u64, Errno> {
        match self {
            Self::Block(block) => Ok(block),
            Self::Hole => Ok(0),
            Self::Refused(errno) => Err(errno),
        }
    }
}

/// The device offset of a range that lies in one extent as a whole.
fn place(extent: &FileExtent, range: ByteRange) -> Option<Bytes> {
    let usable = matches!(extent.state, ExtentState::Written | ExtentState::Unwritten)
        && extent.flags == ExtentFlags::empty()
        && extent.device == DeviceId::MAIN;
    let within = range.offset.checked_sub(extent.logical)?;
    let end = within.checked_add(range.length)?;
    if !usable || end > extent.length {
        return None;
    }
    extent.physical?.checked_add(within)
}

/// Checks that a file states the block size of its mount, or none: the rule that holds on every kernel.
///
/// At least up to Linux 6.12 swapon counts in the file's block size and asks in the mount's: with two sizes it swaps to
/// places that nobody named.
///
/// # Errors
/// [`Reason::BlockSizes`] with both.
pub const fn check_block_size(mount: BlockSize, file: u32) -> Result<(), Reason> {
    let [a, b, c, d] = file.to_le_bytes();
    let file = Bytes::new(u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0]));
    if file.get() == 0 || file.get() == mount.bytes().get() {
        return Ok(());
    }
    Err(Reason::BlockSizes { mount, file })
}
