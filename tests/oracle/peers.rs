//! The rules that other programs go by, as people write them. Both get our header check, so layout is what differs.
//!
//! Neither rule says anything of a block device: there only the header counts.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use swap_dio::header::{Backing, Header, MAXIMUM_PAGES};
use swap_dio::{Bytes, PageSize};

use crate::ioctl::fiemap;

/// What the peers would have said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers {
    pub(crate) st_blocks: bool,
    pub(crate) fiemap: bool,
}

/// Whether a header is valid for the file, by our own reading of it.
pub(crate) fn has_header(path: &Path, page_size: PageSize, device: Option<u64>) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut start = vec![0; 64 << 10];
    let Ok(got) = std::os::unix::fs::FileExt::read_at(&file, &mut start, 0) else { return false };
    let size = device.or_else(|| file.metadata().ok().map(|stat| stat.len())).unwrap_or(0);
    let backing = if device.is_some() { Backing::BlockDevice } else { Backing::RegularFile };
    Header::read(&start[..got], page_size)
        .and_then(|header| header.area(backing, Bytes::new(size), MAXIMUM_PAGES))
        .is_ok()
}

/// The rule of swapon(8), NFS and SMB: as many blocks as the size needs.
pub(crate) fn has_blocks(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|stat| stat.blocks() * 512 >= stat.size())
}

/// An ordinary FIEMAP check: extents without a gap up to the size, none of them of a kind that is no plain block.
pub(crate) fn has_extents(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let size = file.metadata().map_or(0, |stat| stat.len());
    let mut next = 0;
    while next < size {
        // No FIEMAP, no swap.
        let Ok(extents) = fiemap(&file, next, size - next) else { return false };
        if extents.is_empty() {
            return false;
        }
        for extent in extents {
            if extent.logical > next || extent.flags & NOT_PLAIN != 0 || extent.length == 0 {
                return false;
            }
            next = extent.logical + extent.length;
        }
    }
    true
}

/// Unknown, delayed, encoded, encrypted, not aligned, inline, tail, shared.
const NOT_PLAIN: u32 = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000;
