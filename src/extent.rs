//! One run of a file, as a filesystem states it: a claim, which anyone may make.
//!
//! A [`FileExtent`] proves nothing; an [`Activation`](crate::Activation) judges a stream of them and gives the
//! map. Offsets and lengths are bytes. A [`SwapExtent`] is the other end: a run of a map, which only a map gives.
//!
//! Source: Linux v6.18, `include/linux/iomap.h` (types and flags), `include/uapi/linux/fiemap.h`.

use crate::unit::{BlockSize, ByteRange, Bytes, PageCount, PageIndex};

/// What a filesystem states about one run of a file. A claim: public fields, checked when pushed.
///
/// Ranges that no claim covers are holes; a claim may also say [`ExtentState::Hole`] itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FileExtent {
    /// Offset of the run in the file, in bytes.
    pub logical: Bytes,
    /// Offset of the run on its device, in bytes; `None` when the filesystem does not say.
    pub physical: Option<Bytes>,
    /// Length in bytes.
    pub length: Bytes,
    /// What is there.
    pub state: ExtentState,
    /// What else is said of it.
    pub flags: ExtentFlags,
    /// The device that `physical` is on.
    pub device: DeviceId,
}

impl FileExtent {
    /// A written run on the only device, with nothing special about it.
    pub const fn written(logical: Bytes, physical: Bytes, length: Bytes) -> Self {
        Self {
            logical,
            physical: Some(physical),
            length,
            state: ExtentState::Written,
            flags: ExtentFlags::empty(),
            device: DeviceId::MAIN,
        }
    }

    /// The bytes of the file that the claim is about.
    pub const fn range(&self) -> ByteRange {
        ByteRange::new(self.logical, self.length)
    }

    /// Whether both offsets and the length are whole blocks.
    #[inline]
    pub(crate) fn is_in_blocks_of(&self, block: BlockSize) -> bool {
        // A bit below the block in any of them is one in all of them together.
        let physical = self.physical.map_or(0, Bytes::get);
        Bytes::new(self.logical.get() | physical | self.length.get()).is_aligned(block)
    }
}

/// What is at a run of a file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ExtentState {
    /// Nothing allocated: `IOMAP_HOLE`.
    Hole,
    /// Written in memory, not yet given blocks: `IOMAP_DELALLOC`, `FIEMAP_EXTENT_DELALLOC`.
    Delayed,
    /// Allocated and written: `IOMAP_MAPPED`.
    Written,
    /// Allocated, reads as zeros: `IOMAP_UNWRITTEN`, `FIEMAP_EXTENT_UNWRITTEN`.
    Unwritten,
    /// Inside the inode or packed with other data: `IOMAP_INLINE`, `FIEMAP_EXTENT_DATA_INLINE`, `_DATA_TAIL`.
    Inline,
}

bitflags::bitflags! {
    /// What else a filesystem says of a run. A set bit is an obstacle; which profile minds which is in its file.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct ExtentFlags: u8 {
        /// The mapping is in memory only: `IOMAP_F_DIRTY`.
        const UNCOMMITTED = 1 << 0;
        /// Another owner has the blocks too: `IOMAP_F_SHARED`, `FIEMAP_EXTENT_SHARED`.
        const SHARED = 1 << 1;
        /// Compressed or encoded: `FIEMAP_EXTENT_ENCODED`.
        const COMPRESSED = 1 << 2;
        /// Encrypted by the filesystem: `FIEMAP_EXTENT_DATA_ENCRYPTED`.
        const ENCRYPTED = 1 << 3;
        /// btrfs: a block group profile other than single.
        const NOT_SINGLE = 1 << 4;
        /// btrfs: a block group that is read-only for now.
        const GROUP_READ_ONLY = 1 << 5;
        /// In a sequential-write zone: never overwritten in place.
        const SEQUENTIAL_ZONE = 1 << 6;
        /// Not in whole blocks: `FIEMAP_EXTENT_NOT_ALIGNED`.
        const NOT_ALIGNED = 1 << 7;
    }
}

/// Names a device within one file's claims; the value means nothing else.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeviceId(u64);

impl DeviceId {
    /// The name for the only device, where there is one.
    pub const MAIN: Self = Self(0);

    /// Names a device by any number that the caller keeps apart: a `dev_t`, a btrfs device id.
    pub const fn new(name: u64) -> Self {
        Self(name)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A run of a swap area: consecutive swap pages on consecutive target pages. Only a map gives one.
///
/// # Invariants
/// 1. `length` is at least one page. 2. Both ends fit in a `u64`. 3. It lies in the map that gave it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SwapExtent {
    first: PageIndex,
    target: PageIndex,
    length: PageCount,
}

impl SwapExtent {
    pub(crate) const fn new(first: u64, target: u64, length: u64) -> Self {
        Self { first: PageIndex::new(first), target: PageIndex::new(target), length: PageCount::new(length) }
    }

    /// The same run, cut to so many pages; at least one.
    pub(crate) fn at_most(self, pages: u64) -> Self {
        Self { length: PageCount::new(self.length.get().min(pages.max(1))), ..self }
    }

    /// The first swap page.
    pub const fn first(&self) -> PageIndex {
        self.first
    }

    /// Where the first swap page lies: a page of the device (bio model) or of the file (file model).
    pub const fn target(&self) -> PageIndex {
        self.target
    }

    /// Pages from the first on that lie one after the other.
    pub const fn length(&self) -> PageCount {
        self.length
    }
}
