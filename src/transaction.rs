//! What a read or a write costs, by what is at its place and by the way that it takes: the decision table.
//!
//! A transaction in swap context waits for memory, or for log space that is freed by writing metadata back, which
//! waits for memory, which waits for this very write. So a write may cost at most what [`Cost::TOLERATED`] names.
//! Every cell is stated, with its source; [`cell`] is total and has no catch-all arm.
//!
//! Measured on Linux 6.18, 2,560 direct writes of a page: in place 4 journal handles on ext4 and 5 transactions on
//! XFS (times, once a tick); into unwritten extents 5,126 and 2,572; into holes of ext4 5,129.
//!
//! ```
//! use swap_dio::flags::Direction;
//! use swap_dio::transaction::{Cost, Mapping, Via, cell};
//!
//! let unwritten = cell(Direction::Write, Mapping::Unwritten, Via::Xfs);
//! assert!(unwritten.cost.contains(Cost::CONVERSION));
//! assert!(!Cost::TOLERATED.contains(unwritten.cost), "a transaction when it completes");
//! assert_eq!(unwritten.source, "fs/xfs/xfs_iomap.c:xfs_iomap_write_unwritten");
//! ```
//!
//! Writes:
//!
//! <!-- table: writes -->
//! |  | device (bio) | iomap | ext4 | ext4, data=journal | XFS | XFS, always CoW | btrfs, NOCOW |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | written | **nothing** | **nothing** | **times** | times, allocation, buffered | **times** | times, CoW | times, ordered extent |
//! | unwritten | **nothing** | conversion | times, allocation, conversion | times, allocation, buffered | times, conversion | times, CoW | times, conversion, ordered extent |
//! | hole | no place | allocation, conversion | times, allocation, conversion | times, allocation, buffered | times, allocation, conversion | times, CoW | times, allocation, ordered extent |
//! | delayed allocation | no place | allocation, conversion | times, allocation, conversion | times, allocation, buffered | times, allocation, conversion | times, allocation, CoW | times, allocation, ordered extent |
//! | shared | overwrites another's data | CoW | times, CoW | times, allocation, CoW, buffered | times, CoW | times, CoW | times, CoW, ordered extent |
//! | inline | no place | buffered | times, allocation, buffered | times, allocation, buffered | times, buffered | times, buffered | times, CoW, ordered extent, buffered |
//! | compressed, encrypted | no place | buffered | times, buffered | times, allocation, buffered | times, buffered | times, buffered | times, CoW, ordered extent, buffered |
//! | past the end | no place | allocation, conversion, extension | times, allocation, extension | times, allocation, extension, buffered | times, allocation, conversion, extension | times, extension, CoW | times, allocation, extension, ordered extent |
//! <!-- end -->
//!
//! Reads:
//!
//! <!-- table: reads -->
//! |  | device (bio) | iomap | ext4 | ext4, data=journal | XFS | XFS, always CoW | btrfs, NOCOW |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | written | **nothing** | **nothing** | **times** | times, buffered | **times** | **times** | **nothing** |
//! | unwritten | **nothing** | zeros | times, zeros | times, buffered, zeros | times, zeros | times, zeros | zeros |
//! | hole | no place | zeros | times, zeros | times, buffered, zeros | times, zeros | times, zeros | zeros |
//! | delayed allocation | no place | allocation, conversion | times, allocation, conversion | times, buffered | times, allocation, conversion | times, allocation, CoW | times, allocation, ordered extent, buffered |
//! | shared | **nothing** | **nothing** | **times** | times, buffered | **times** | **times** | **nothing** |
//! | inline | no place | buffered | times, buffered | times, buffered | times, buffered | times, buffered | times, buffered |
//! | compressed, encrypted | no place | buffered | times, buffered | times, buffered | times, buffered | times, buffered | times, buffered |
//! | past the end | no place | short | times, short | times, buffered, short | times, short | times, short | short |
//! <!-- end -->
//!
//! `btrfs` stands for a NOCOW file: direct writes to any other are buffered and copied. There all transactions come at
//! completion, so that "both ends" of a copy is the most that it can be.
//!
//! Source: Linux v6.18, function by function in the cells. Checked on 6.18.44 by tracing 64 direct I/Os a cell on
//! ext4, ext4 with `data=journal`, XFS and btrfs; not checked there: XFS that always copies, and cells that cannot be
//! (shared on ext4, inline and encoded on XFS, delayed allocation with `data=journal`).

mod table;

use crate::extent::{ExtentFlags, ExtentState, FileExtent};
use crate::feature::{Features, when};
use crate::flags::Direction;
use crate::model::Model;

/// What is at the place that an I/O goes to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mapping {
    /// Allocated and written, the file's own: `IOMAP_MAPPED`.
    Written,
    /// Allocated, reads as zeros: `IOMAP_UNWRITTEN`.
    Unwritten,
    /// Nothing allocated: `IOMAP_HOLE`.
    Hole,
    /// In the page cache only, without blocks: `IOMAP_DELALLOC`.
    Delayed,
    /// Written, and another file or snapshot has it too: `IOMAP_F_SHARED`.
    Shared,
    /// Inside the inode or packed with other data: `IOMAP_INLINE`.
    Inline,
    /// Compressed, or encrypted by the filesystem.
    Encoded,
    /// At or past the end of the file.
    PastEnd,
}

/// The way that an I/O takes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Via {
    /// The bio model: to the device, by extents frozen at activation. No filesystem sees it.
    Device,
    /// The file model, through `iomap_dio_rw` and callbacks that do what its documentation says.
    Iomap,
    /// The file model, through ext4.
    Ext4,
    /// The same with `data=journal`, or `chattr +j`.
    Ext4Journal,
    /// The file model, through XFS.
    Xfs,
    /// The same where every write is copied: zoned, or `always_cow`.
    XfsAlwaysCow,
    /// The file model, through btrfs, a NOCOW file.
    Btrfs,
}

bitflags::bitflags! {
    /// What an I/O costs beside itself. Empty: nothing.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub struct Cost: u16 {
        /// Times are stamped: the inode is logged about once a tick.
        const TIMESTAMP = 1 << 0;
        /// A transaction before submission: blocks are allocated, the allocator is asked, or data is journaled.
        const ALLOCATION = 1 << 1;
        /// A transaction at completion: unwritten becomes written.
        const CONVERSION = 1 << 2;
        /// Transactions at both ends: the file grows.
        const EXTENSION = 1 << 3;
        /// Transactions at both ends: new blocks, then the file is remapped to them.
        const COPY_ON_WRITE = 1 << 4;
        /// A transaction at completion although nothing moves: btrfs ends an ordered extent.
        const ORDERED_EXTENT = 1 << 5;
        /// Buffered I/O instead: page cache is allocated, in reclaim.
        const BUFFERED = 1 << 6;
        /// Zeros are read without I/O, whatever the device holds.
        const ZEROS = 1 << 7;
        /// Less than was asked for, or nothing.
        const SHORT = 1 << 8;
        /// There is no page of the device to go to.
        const NO_PLACE = 1 << 9;
        /// Somebody else's data is overwritten.
        const OTHERS_DATA = 1 << 10;
    }
}

/// One cell: what it costs, and where that is to be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cell {
    /// What it costs.
    pub cost: Cost,
    /// `file:function` of Linux v6.18.
    pub source: &'static str,
}

impl Mapping {
    /// Every kind of place.
    pub const ALL: [Self; 8] = [
        Self::Written,
        Self::Unwritten,
        Self::Hole,
        Self::Delayed,
        Self::Shared,
        Self::Inline,
        Self::Encoded,
        Self::PastEnd,
    ];

    /// What a filesystem's claim says is there, as a write meets it: what moves the data comes first.
    ///
    /// `None` for a claim that no row stands for: in a sequential zone, in several copies, in a block with other data,
    /// in a block group that is read-only. `UNCOMMITTED` says nothing here, since no write asks for durability.
    pub const fn of(extent: &FileExtent) -> Option<Self> {
        const ELSEWHERE: ExtentFlags = ExtentFlags::SEQUENTIAL_ZONE
            .union(ExtentFlags::NOT_SINGLE)
            .union(ExtentFlags::NOT_ALIGNED)
            .union(ExtentFlags::GROUP_READ_ONLY);
        if extent.flags.intersects(ELSEWHERE) {
            return None;
        }
        Some(match extent.state {
            ExtentState::Hole => Self::Hole,
            ExtentState::Delayed => Self::Delayed,
            ExtentState::Inline => Self::Inline,
            ExtentState::Written | ExtentState::Unwritten => {
                if extent.flags.intersects(ExtentFlags::COMPRESSED.union(ExtentFlags::ENCRYPTED)) {
                    Self::Encoded
                } else if extent.flags.contains(ExtentFlags::SHARED) {
                    Self::Shared
                } else if matches!(extent.state, ExtentState::Unwritten) {
                    Self::Unwritten
                } else {
                    Self::Written
                }
            }
        })
    }

    /// The words for tables.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unwritten => "unwritten",
            Self::Hole => "hole",
            Self::Delayed => "delayed allocation",
            Self::Shared => "shared",
            Self::Inline => "inline",
            Self::Encoded => "compressed, encrypted",
            Self::PastEnd => "past the end",
        }
    }
}

impl Via {
    /// Every way.
    pub const ALL: [Self; 7] =
        [Self::Device, Self::Iomap, Self::Ext4, Self::Ext4Journal, Self::Xfs, Self::XfsAlwaysCow, Self::Btrfs];

    /// The I/O model.
    pub const fn model(self) -> Model {
        match self {
            Self::Device => Model::Bio,
            Self::Iomap | Self::Ext4 | Self::Ext4Journal | Self::Xfs | Self::XfsAlwaysCow | Self::Btrfs => Model::File,
        }
    }

    /// The words for tables.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Device => "device (bio)",
            Self::Iomap => "iomap",
            Self::Ext4 => "ext4",
            Self::Ext4Journal => "ext4, data=journal",
            Self::Xfs => "XFS",
            Self::XfsAlwaysCow => "XFS, always CoW",
            Self::Btrfs => "btrfs, NOCOW",
        }
    }
}

impl Cost {
    /// The most that a swap request may cost: times, and a warning says so.
    pub const TOLERATED: Self = Self::TIMESTAMP;

    /// The promises that a filesystem with this cost cannot make.
    pub fn breaks(self) -> Features {
        let (submit, complete) = (Features::TXN_FREE_SUBMIT, Features::TXN_FREE_COMPLETE);
        let when = |cost: Self, promises| when(self.intersects(cost), promises);
        when(Self::TIMESTAMP, Features::NO_TIMESTAMPS)
            .union(when(Self::ALLOCATION, submit))
            .union(when(Self::CONVERSION.union(Self::ORDERED_EXTENT), complete))
            .union(when(Self::EXTENSION.union(Self::COPY_ON_WRITE), submit.union(complete)))
            .union(when(Self::BUFFERED, Features::NO_BUFFERED_FALLBACK))
    }

    /// Its name in tables, for a single cost.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        WORDS.into_iter().filter(move |(cost, _)| self.contains(*cost)).map(|(_, words)| words)
    }
}

/// What an I/O costs.
pub const fn cell(direction: Direction, mapping: Mapping, via: Via) -> Cell {
    match direction {
        Direction::Read => table::read(mapping, via),
        Direction::Write => table::write(mapping, via),
    }
}

const WORDS: [(Cost, &str); 11] = [
    (Cost::TIMESTAMP, "times"),
    (Cost::ALLOCATION, "allocation"),
    (Cost::CONVERSION, "conversion"),
    (Cost::EXTENSION, "extension"),
    (Cost::COPY_ON_WRITE, "CoW"),
    (Cost::ORDERED_EXTENT, "ordered extent"),
    (Cost::BUFFERED, "buffered"),
    (Cost::ZEROS, "zeros"),
    (Cost::SHORT, "short"),
    (Cost::NO_PLACE, "no place"),
    (Cost::OTHERS_DATA, "overwrites another's data"),
];
