//! What stands against writes through a filesystem whatever the extents are: the file model's own rules, in one place.
//!
//! The kernel minds none of this: its swap goes past the filesystem.

use super::filesystem::{TMPFS, Way};
use super::inode::Inode;
use super::mount::Mount;
use crate::feature::DirectIo;
use crate::reason::Reason;
use crate::unit::PageSize;

/// What an inode is not fit for: direct I/O in pages that stays direct.
pub(super) fn inode(inode: &Inode, mount: Option<&Mount>, page_size: PageSize) -> Option<Reason> {
    if inode.journaled || mount.is_some_and(Mount::journals_data) {
        return Some(Reason::JournaledData);
    }
    match inode.direct_io {
        DirectIo::Unsupported => Some(Reason::NoDirectIo),
        DirectIo::Unknown | DirectIo::Aligned { .. } => inode.direct_io.fits(page_size).err(),
    }
}

/// What no file on such a filesystem can be: overwritten in place, by rules that are known here.
pub(super) fn filesystem(way: Way) -> Option<Reason> {
    Some(match way {
        Way::Iomap | Way::Xfs => return None,
        Way::Btrfs => Reason::TransactionPerWrite { filesystem: "btrfs" },
        Way::F2fs => Reason::LogStructured { filesystem: "f2fs" },
        Way::Bmap(_) => Reason::FilesystemUnknown { filesystem: "writes through a filesystem that has only bmap" },
        Way::ServedBmap => Reason::FilesystemUnknown { filesystem: "writes through FUSE" },
        Way::Network(filesystem) => Reason::Network { filesystem },
        // An area on a loop device over it was seen to stop for good on 6.18, with most of the memory free.
        Way::NoPageRead(filesystem) if filesystem == TMPFS => Reason::InMemory { filesystem },
        Way::NoPageRead(filesystem) => Reason::NoPageRead { filesystem },
        Way::NoBlockMap(filesystem) => Reason::NoBlockMap { filesystem },
        Way::Unknown(filesystem) => Reason::FilesystemUnknown { filesystem },
    })
}
