//! The units of a swap area: page size, page index and count, bytes, blocks, 512-byte sectors.
//!
//! Invariants: a [`PageSize`] is a power of two from 4 KiB to 64 KiB and a [`BlockSize`] one from 512 bytes
//! to 64 KiB; every conversion is checked, and none rounds unless its name says so. `Display` prints the
//! unit, exactly: 1536 is `1536 bytes`, never `1.5 KiB`.
//!
//! Source: Linux v6.18, `include/linux/swap.h` (everything is in `PAGE_SIZE` units) and
//! `include/linux/blk_types.h` (`SECTOR_SHIFT`).

use core::fmt;

/// The size of a memory page: the unit in which the kernel swaps.
///
/// # Invariants
/// A power of two from 4 KiB to 64 KiB.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PageSize(PowerOfTwo);

impl PageSize {
    /// 4 KiB: x86-64, and the usual setting of arm64 and RISC-V.
    pub const KIB_4: Self = Self(PowerOfTwo { shift: 12 });
    /// 16 KiB: arm64 on Apple hardware and Raspberry Pi 5.
    pub const KIB_16: Self = Self(PowerOfTwo { shift: 14 });
    /// 64 KiB: ppc64 and some arm64 servers.
    pub const KIB_64: Self = Self(PowerOfTwo { shift: 16 });
    /// Every page size that a swap header can be laid out for, smallest first.
    pub const ALL: [Self; 5] =
        [Self::KIB_4, Self(PowerOfTwo { shift: 13 }), Self::KIB_16, Self(PowerOfTwo { shift: 15 }), Self::KIB_64];

    /// Returns `None` unless `bytes` is a power of two from 4 KiB to 64 KiB.
    pub const fn new(bytes: u64) -> Option<Self> {
        match PowerOfTwo::new(bytes, 12, 16) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> Bytes {
        Bytes(self.0.get())
    }

    /// The base-two logarithm of the size in bytes: `PAGE_SHIFT`.
    pub const fn shift(self) -> u32 {
        self.0.shift
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

/// The size of a filesystem block, or of the unit in which a device or a FUSE server counts.
///
/// # Invariants
/// A power of two from 512 bytes to 64 KiB.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlockSize(PowerOfTwo);

impl BlockSize {
    /// 512 bytes: one sector.
    pub const SECTOR: Self = Self(PowerOfTwo { shift: 9 });
    /// 4 KiB: the usual filesystem block.
    pub const KIB_4: Self = Self(PowerOfTwo { shift: 12 });

    /// Returns `None` unless `bytes` is a power of two from 512 bytes to 64 KiB.
    pub const fn new(bytes: u64) -> Option<Self> {
        match PowerOfTwo::new(bytes, 9, 16) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> Bytes {
        Bytes(self.0.get())
    }

    /// The base-two logarithm of the size in bytes: `i_blkbits`.
    pub const fn shift(self) -> u32 {
        self.0.shift
    }
}

impl From<PageSize> for BlockSize {
    fn from(size: PageSize) -> Self {
        Self(size.0)
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

/// Generates the methods that every counting unit has: a bare value in, a bare value out, checked sums.
macro_rules! counting_unit {
    ($unit:ident) => {
        impl $unit {
            /// None at all.
            pub const ZERO: Self = Self(0);

            /// States a value in this unit.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The bare value.
            pub const fn get(self) -> u64 {
                self.0
            }
        }
        static_assertions::assert_not_impl_any!($unit: From<u64>, core::ops::Add<$unit>, core::ops::Mul<u64>);
    };
}

/// A size or a place in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Bytes(u64);

counting_unit!(Bytes);

impl Bytes {
    /// Returns `None` when the sum does not fit in a `u64`.
    pub const fn checked_add(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Returns `None` when `less` is more than there is.
    pub const fn checked_sub(self, less: Self) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Whether this is a whole number of times `unit`; of a unit of no bytes nothing is.
    pub const fn is_multiple_of(self, unit: Self) -> bool {
        matches!(self.0.checked_rem(unit.0), Some(0))
    }

    /// Whether this is a whole number of blocks.
    pub const fn is_aligned(self, block: BlockSize) -> bool {
        self.0 & block.0.mask() == 0
    }

    /// Rounds down to a whole number of blocks.
    pub const fn align_down(self, block: BlockSize) -> Self {
        Self(self.0 & !block.0.mask())
    }

    /// Rounds down to whole pages: how the kernel counts the pages of a file (`i_size >> PAGE_SHIFT`).
    pub const fn whole_pages(self, page: PageSize) -> PageCount {
        PageCount(self.0 >> page.0.shift)
    }

    /// The page that holds this byte.
    pub const fn page(self, page: PageSize) -> PageIndex {
        PageIndex(self.0 >> page.0.shift)
    }
}

impl fmt::Display for Bytes {
    /// Prints the largest binary unit that is exact: `160 KiB`, `2 GiB`, `4097 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} byte{}", self.0, plural(self.0))
    }
}

/// A run of bytes of a file: where it starts and how long it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub offset: Bytes,
    /// Length in bytes.
    pub length: Bytes,
}

impl ByteRange {
    /// States a range.
    pub const fn new(offset: Bytes, length: Bytes) -> Self {
        Self { offset, length }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.length, self.offset)
    }
}

/// A count of 512-byte sectors: the block layer's fixed unit, not the device's block size.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Sectors(u64);

counting_unit!(Sectors);

impl Sectors {
    /// Returns `None` when the byte count does not fit in a `u64`.
    pub const fn to_bytes(self) -> Option<Bytes> {
        match self.0.checked_mul(512) {
            Some(bytes) => Some(Bytes(bytes)),
            None => None,
        }
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sector{}", self.0, plural(self.0))
    }
}

/// A count of pages.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct PageCount(u64);

counting_unit!(PageCount);

impl PageCount {
    /// Returns `None` when the byte count does not fit in a `u64`.
    pub const fn to_bytes(self, page: PageSize) -> Option<Bytes> {
        match self.0.checked_mul(page.0.get()) {
            Some(bytes) => Some(Bytes(bytes)),
            None => None,
        }
    }
}

impl fmt::Display for PageCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} page{}", self.0, plural(self.0))
    }
}

/// The index of a page, counted from zero: of a swap area, a file or a device, as the name at hand says.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct PageIndex(u64);

counting_unit!(PageIndex);

impl PageIndex {
    /// Returns `None` when the sum does not fit in a `u64`.
    pub const fn checked_add(self, pages: PageCount) -> Option<Self> {
        match self.0.checked_add(pages.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The offset of the page's first byte; `None` when it does not fit in a `u64`.
    pub const fn to_bytes(self, page: PageSize) -> Option<Bytes> {
        PageCount(self.0).to_bytes(page)
    }
}

impl fmt::Display for PageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// A power of two, kept as its logarithm so that no other value can exist.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct PowerOfTwo {
    shift: u32,
}

impl PowerOfTwo {
    const fn new(value: u64, least: u32, most: u32) -> Option<Self> {
        let shift = value.trailing_zeros();
        if value.is_power_of_two() && shift >= least && shift <= most { Some(Self { shift }) } else { None }
    }

    const fn get(self) -> u64 {
        1 << self.shift
    }

    const fn mask(self) -> u64 {
        self.get().wrapping_sub(1)
    }
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
