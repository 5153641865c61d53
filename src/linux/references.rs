//! Who holds the extents of a btrfs file, as kernels before the fix of 2025 ask: by the extent tree alone.
//!
//! Those take an extent for shared that only used to be: its item must have one reference, from this inode of this
//! subvolume at this offset, or swapon says copy-on-write. A snapshot that outlived its source, or a clone that is
//! gone, leaves other items behind. It needs `CAP_SYS_ADMIN`.
//!
//! Source: Linux v6.1, `fs/btrfs/extent-tree.c:btrfs_cross_ref_exist`, called strictly by
//! `fs/btrfs/inode.c:btrfs_swap_activate`; commit 03018e5d8508 of 2025 took it out, also of stable trees.

use std::fs::File;

use super::inode::Inode;
use super::ioctl::{BtrfsSearch, btrfs_subvolume};
use crate::unit::{ByteRange, Bytes};

/// The first run of the file's first `size` bytes whose extent has another item than an extent of its own; `None` if
/// there is none.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`; `EIO` for items that cannot be.
pub(super) fn first_odd(file: &File, inode: &Inode, size: Bytes) -> rustix::io::Result<Option<ByteRange>> {
    let subvolume = btrfs_subvolume(file)?;
    let (mut items, mut extents) = (BtrfsSearch::new(), BtrfsSearch::new());
    let mut next = Some(0);
    while let Some(from) = next.filter(|from| *from < size.get()) {
        let (count, bytes) = items.ask(file, OWN_TREE, inode.identity.1, EXTENT_DATA, from)?;
        let mut last = None;
        for item in BtrfsSearch::items(count, bytes) {
            let (offset, item) = item.ok_or(rustix::io::Errno::IO)?;
            if last.is_some_and(|last| offset <= last) || offset < from {
                return Err(rustix::io::Errno::IO);
            }
            last = Some(offset);
            let Some(run) = Run::of(offset, item).filter(|run| run.place != 0 && offset < size.get()) else { continue };
            let owner = Owner { subvolume, inode: inode.identity.1, offset: run.start };
            let (count, bytes) = extents.ask(file, EXTENT_TREE, run.place, EXTENT_ITEM, 0)?;
            // One that is not there yet was made in the transaction that runs: nobody else has it.
            let odd = BtrfsSearch::items(count, bytes).next().flatten().is_some_and(|(_, item)| !owner.is_alone(item));
            if odd {
                return Ok(Some(ByteRange::new(Bytes::new(offset), Bytes::new(run.length))));
            }
        }
        next = last.and_then(|last| last.checked_add(1));
    }
    Ok(None)
}

/// One extent of a file (`struct btrfs_file_extent_item`).
struct Run {
    /// Its extent's address; 0 is a hole.
    place: u64,
    length: u64,
    /// Where in the file the extent as a whole would begin: what its back reference says.
    start: u64,
}

impl Run {
    /// `None` for an inline extent.
    fn of(offset: u64, item: &[u8]) -> Option<Self> {
        let word = |at| BtrfsSearch::word(item, at);
        let (place, within, length) = (word(21)?, word(37)?, word(45)?);
        (*item.get(20)? != INLINE).then(|| Self { place, length, start: offset.wrapping_sub(within) })
    }
}

/// Whose an extent must be.
struct Owner {
    subvolume: u64,
    inode: u64,
    offset: u64,
}

impl Owner {
    /// Whether an item of the extent tree has one reference, and that of this owner.
    fn is_alone(&self, item: &[u8]) -> bool {
        let word = |at| BtrfsSearch::word(item, at);
        let count = || Some(u64::from(u32::from_le_bytes(*item.get(49..)?.first_chunk()?)));
        item.len() == ONE_REFERENCE
            && item.get(24) == Some(&DATA_REFERENCE)
            && word(0) == count()
            && word(25) == Some(self.subvolume)
            && word(33) == Some(self.inode)
            && word(41) == Some(self.offset)
    }
}

/// The tree of the subvolume that the descriptor is in.
const OWN_TREE: u64 = 0;
const EXTENT_TREE: u64 = 2;
const EXTENT_DATA: u32 = 108;
const EXTENT_ITEM: u32 = 168;
const INLINE: u8 = 0;
/// `BTRFS_EXTENT_DATA_REF_KEY`.
const DATA_REFERENCE: u8 = 178;
/// `struct btrfs_extent_item` and one inline reference.
const ONE_REFERENCE: usize = 24 + 29;

#[cfg(test)]
mod tests {
    use super::*;

    fn item(references: u64, kind: u8, words: [u64; 3], count: u32) -> Vec<u8> {
        let mut item = [references, 7, 1].map(u64::to_le_bytes).concat();
        item.push(kind);
        item.extend(words.map(u64::to_le_bytes).concat());
        item.extend(count.to_le_bytes());
        item
    }

    #[test]
    fn one_reference_of_the_owner_and_no_other() {
        let owner = Owner { subvolume: 256, inode: 300, offset: 4096 };
        let own = [256, 300, 4096];
        assert!(owner.is_alone(&item(1, DATA_REFERENCE, own, 1)));
        assert!(owner.is_alone(&item(3, DATA_REFERENCE, own, 3)), "three runs of one extent");
        for (name, item) in [
            ("two owners", item(2, DATA_REFERENCE, own, 1)),
            ("another subvolume", item(1, DATA_REFERENCE, [257, 300, 4096], 1)),
            ("another inode", item(1, DATA_REFERENCE, [256, 301, 4096], 1)),
            ("another offset", item(1, DATA_REFERENCE, [256, 300, 0], 1)),
            ("by a shared leaf", item(1, 184, own, 1)),
            ("more than one item", [item(1, DATA_REFERENCE, own, 1), vec![0; 29]].concat()),
            ("cut", item(1, DATA_REFERENCE, own, 1).into_iter().take(50).collect()),
            ("nothing", Vec::new()),
        ] {
            assert!(!owner.is_alone(&item), "{name}");
        }
    }
}
