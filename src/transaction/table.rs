//! The cells: every mapping by every way, for writes and for reads, each with its source.
//!
//! A cell that cannot be, as an inline extent on XFS, states what its filesystem's code would do if it said so.

use super::{Cell, Cost, Mapping, Via};

pub(super) const fn write(mapping: Mapping, via: Via) -> Cell {
    match mapping {
        Mapping::Written => match via {
            Via::Device => costs(NOTHING, "mm/page_io.c:swap_writepage_bdev_async"),
            Via::Iomap => costs(NOTHING, DIRECT_IO),
            Via::Ext4 => costs(TIME, "fs/ext4/file.c:ext4_dio_write_checks"),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            Via::Xfs => costs(TIME, "fs/xfs/xfs_file.c:xfs_file_write_checks"),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            Via::Btrfs => costs(TIME.union(Cost::ORDERED_EXTENT), ORDERED),
        },
        Mapping::Unwritten => match via {
            // The blocks are written and stay unwritten: nobody may read them through the file.
            Via::Device => costs(NOTHING, "mm/page_io.c:swap_writepage_bdev_async"),
            Via::Iomap => costs(Cost::CONVERSION, DIRECT_IO),
            // One handle to look whether blocks are missing, one to convert.
            Via::Ext4 => costs(TIME.union(ALLOCATE), "fs/ext4/inode.c:ext4_iomap_alloc"),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            Via::Xfs => costs(TIME.union(Cost::CONVERSION), "fs/xfs/xfs_iomap.c:xfs_iomap_write_unwritten"),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            Via::Btrfs => costs(TIME.union(Cost::CONVERSION).union(Cost::ORDERED_EXTENT), ORDERED),
        },
        Mapping::Hole => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(ALLOCATE, DIRECT_IO),
            Via::Ext4 => costs(TIME.union(ALLOCATE), "fs/ext4/inode.c:ext4_iomap_alloc"),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            Via::Xfs => costs(TIME.union(ALLOCATE), "fs/xfs/xfs_iomap.c:xfs_iomap_write_direct"),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            Via::Btrfs => costs(TIME.union(Cost::ALLOCATION).union(Cost::ORDERED_EXTENT), ORDERED),
        },
        // The page cache of the range is written back first, which allocates; what is delayed after that is EIO.
        Mapping::Delayed => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(ALLOCATE, FLUSH),
            Via::Ext4 | Via::Xfs => costs(TIME.union(ALLOCATE), FLUSH),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::ALLOCATION).union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            Via::Btrfs => costs(TIME.union(Cost::ALLOCATION).union(Cost::ORDERED_EXTENT), FLUSH),
        },
        Mapping::Shared => match via {
            Via::Device => costs(Cost::OTHERS_DATA, ACTIVATION),
            Via::Iomap => costs(Cost::COPY_ON_WRITE, DIRECT_IO),
            // ext4 shares no blocks: if it ever says so, this is what is owed.
            Via::Ext4 => costs(TIME.union(Cost::COPY_ON_WRITE), DIRECT_IO),
            Via::Ext4Journal => costs(LOGGED.union(Cost::COPY_ON_WRITE), JOURNAL),
            Via::Xfs => costs(TIME.union(Cost::COPY_ON_WRITE), "fs/xfs/xfs_reflink.c:xfs_reflink_allocate_cow"),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            Via::Btrfs => costs(COPIED, ORDERED),
        },
        Mapping::Inline => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(Cost::BUFFERED, "fs/iomap/direct-io.c:iomap_dio_inline_iter"),
            Via::Ext4 => costs(LOGGED, "fs/ext4/inline.c:ext4_generic_write_inline_data"),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            // XFS keeps no file data in the inode: if it ever says so, this is what iomap does.
            Via::Xfs | Via::XfsAlwaysCow => {
                costs(TIME.union(Cost::BUFFERED), "fs/iomap/direct-io.c:iomap_dio_inline_iter")
            }
            Via::Btrfs => costs(COPIED.union(Cost::BUFFERED), BTRFS_DIO),
        },
        Mapping::Encoded => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(Cost::BUFFERED, DIRECT_IO),
            Via::Ext4 => costs(TIME.union(Cost::BUFFERED), "fs/ext4/inode.c:ext4_dio_alignment"),
            Via::Ext4Journal => costs(LOGGED, JOURNAL),
            // XFS encodes nothing: if it ever says so, nothing better is known.
            Via::Xfs | Via::XfsAlwaysCow => costs(TIME.union(Cost::BUFFERED), DIRECT_IO),
            Via::Btrfs => costs(COPIED.union(Cost::BUFFERED), BTRFS_DIO),
        },
        Mapping::PastEnd => match via {
            Via::Device => costs(Cost::NO_PLACE, HEADER),
            Via::Iomap => costs(ALLOCATE.union(Cost::EXTENSION), DIRECT_IO),
            // Blocks past the end are allocated as written.
            Via::Ext4 => {
                costs(TIME.union(Cost::ALLOCATION).union(Cost::EXTENSION), "fs/ext4/file.c:ext4_handle_inode_extension")
            }
            Via::Ext4Journal => costs(LOGGED.union(Cost::EXTENSION), JOURNAL),
            Via::Xfs => costs(TIME.union(ALLOCATE).union(Cost::EXTENSION), "fs/xfs/xfs_file.c:xfs_dio_write_end_io"),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::COPY_ON_WRITE).union(Cost::EXTENSION), ALWAYS_COW),
            Via::Btrfs => {
                costs(TIME.union(Cost::ALLOCATION).union(Cost::ORDERED_EXTENT).union(Cost::EXTENSION), ORDERED)
            }
        },
    }
}

pub(super) const fn read(mapping: Mapping, via: Via) -> Cell {
    match mapping {
        Mapping::Written | Mapping::Shared => match via {
            Via::Device => costs(NOTHING, "mm/page_io.c:swap_read_folio_bdev_async"),
            Via::Iomap => costs(NOTHING, DIRECT_IO),
            Via::Ext4 => costs(TIME, "fs/ext4/file.c:ext4_dio_read_iter"),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED), JOURNAL),
            Via::Xfs | Via::XfsAlwaysCow => costs(TIME, "fs/xfs/xfs_file.c:xfs_file_dio_read"),
            // Direct reads stamp no times here.
            Via::Btrfs => costs(NOTHING, BTRFS_DIO),
        },
        Mapping::Unwritten => match via {
            // What was swapped out stands on the blocks, whatever the file says of them.
            Via::Device => costs(NOTHING, "mm/page_io.c:swap_read_folio_bdev_async"),
            Via::Iomap | Via::Btrfs => costs(Cost::ZEROS, HOLE_READ),
            Via::Ext4 | Via::Xfs | Via::XfsAlwaysCow => costs(TIME.union(Cost::ZEROS), HOLE_READ),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED).union(Cost::ZEROS), JOURNAL),
        },
        Mapping::Hole => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap | Via::Btrfs => costs(Cost::ZEROS, HOLE_READ),
            Via::Ext4 | Via::Xfs | Via::XfsAlwaysCow => costs(TIME.union(Cost::ZEROS), HOLE_READ),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED).union(Cost::ZEROS), JOURNAL),
        },
        Mapping::Delayed => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(ALLOCATE, FLUSH),
            Via::Ext4 | Via::Xfs => costs(TIME.union(ALLOCATE), FLUSH),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED), JOURNAL),
            Via::XfsAlwaysCow => costs(TIME.union(Cost::ALLOCATION).union(Cost::COPY_ON_WRITE), ALWAYS_COW),
            // Buffered if the ordered extent of the flush is still open.
            Via::Btrfs => costs(
                TIME.union(Cost::ALLOCATION).union(Cost::ORDERED_EXTENT).union(Cost::BUFFERED),
                "fs/btrfs/direct-io.c:lock_extent_direct",
            ),
        },
        Mapping::Inline => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(Cost::BUFFERED, "fs/iomap/direct-io.c:iomap_dio_inline_iter"),
            Via::Ext4 => costs(TIME.union(Cost::BUFFERED), "fs/ext4/inode.c:ext4_dio_alignment"),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED), JOURNAL),
            Via::Xfs | Via::XfsAlwaysCow => {
                costs(TIME.union(Cost::BUFFERED), "fs/iomap/direct-io.c:iomap_dio_inline_iter")
            }
            Via::Btrfs => costs(TIME.union(Cost::BUFFERED), BTRFS_DIO),
        },
        Mapping::Encoded => match via {
            Via::Device => costs(Cost::NO_PLACE, ACTIVATION),
            Via::Iomap => costs(Cost::BUFFERED, DIRECT_IO),
            Via::Ext4 => costs(TIME.union(Cost::BUFFERED), "fs/ext4/inode.c:ext4_dio_alignment"),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED), JOURNAL),
            Via::Xfs | Via::XfsAlwaysCow => costs(TIME.union(Cost::BUFFERED), DIRECT_IO),
            Via::Btrfs => costs(TIME.union(Cost::BUFFERED), BTRFS_DIO),
        },
        Mapping::PastEnd => match via {
            Via::Device => costs(Cost::NO_PLACE, HEADER),
            Via::Iomap | Via::Btrfs => costs(Cost::SHORT, FLUSH),
            Via::Ext4 | Via::Xfs | Via::XfsAlwaysCow => costs(TIME.union(Cost::SHORT), FLUSH),
            Via::Ext4Journal => costs(TIME.union(Cost::BUFFERED).union(Cost::SHORT), JOURNAL),
        },
    }
}

const fn costs(cost: Cost, source: &'static str) -> Cell {
    Cell { cost, source }
}

const NOTHING: Cost = Cost::empty();
const TIME: Cost = Cost::TIMESTAMP;
/// Buffered, and the data itself goes through the journal, in a transaction of the write.
const LOGGED: Cost = TIME.union(Cost::BUFFERED).union(Cost::ALLOCATION);
/// New blocks by an ordered extent.
const COPIED: Cost = TIME.union(Cost::COPY_ON_WRITE).union(Cost::ORDERED_EXTENT);
/// New blocks are allocated as unwritten and converted when the data is there.
const ALLOCATE: Cost = Cost::ALLOCATION.union(Cost::CONVERSION);

const ACTIVATION: &str = "fs/iomap/swapfile.c:iomap_swapfile_iter";
const HEADER: &str = "mm/swapfile.c:read_swap_header";
const DIRECT_IO: &str = "fs/iomap/direct-io.c:iomap_dio_bio_iter";
const HOLE_READ: &str = "fs/iomap/direct-io.c:iomap_dio_hole_iter";
/// Where the page cache is flushed before, and where the end of the file is seen.
const FLUSH: &str = "fs/iomap/direct-io.c:__iomap_dio_rw";
const JOURNAL: &str = "fs/ext4/file.c:ext4_should_use_dio";
const ALWAYS_COW: &str = "fs/xfs/xfs_iomap.c:xfs_direct_write_iomap_begin";
const ORDERED: &str = "fs/btrfs/inode.c:btrfs_finish_one_ordered";
const BTRFS_DIO: &str = "fs/btrfs/direct-io.c:btrfs_dio_iomap_begin";
