//! What an empty file must be before it gets its first block: owner only, not copied on write, not compressed, its
//! data not journaled, on f2fs pinned to whole sections. A new file has the flags of its folder; each is set, and read
//! back.
//!
//! Source: Linux v6.18, `fs/btrfs/ioctl.c:btrfs_fileattr_set` (NOCOW only while the file is empty, never with
//! compression), `fs/ext4/ext4.h:EXT4_FL_INHERITED`.

use std::fs::File;

use rustix::fs::{IFlags, Mode, fchmod, ioctl_getflags, ioctl_setflags};

use super::error::{PrepareError, failed};
use crate::linux::error::fact;
use crate::linux::filesystem::Way;
use crate::linux::inode::Inode;
use crate::linux::ioctl::pin_file;
use crate::linux::through;
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::PageSize;

/// Makes the empty file fit for blocks, and gives its attributes as read back.
///
/// # Errors
/// An attribute that cannot be set or that did not stay; one for which no file like this serves swap by the model.
pub(super) fn settle(file: &File, way: Way, model: Model, page_size: PageSize) -> Result<Inode, PrepareError> {
    // An access list that the folder hands down would have opened it to others.
    fchmod(file, Mode::RUSR | Mode::WUSR).map_err(failed("set its mode"))?;
    let before = read(file)?;
    if way == Way::Btrfs && before.compressed {
        // In a call of its own: NOCOW cannot be set while the other is there.
        change(file, IFlags::empty(), IFlags::COMPRESSED).map_err(failed("clear the attribute c (compression)"))?;
    }
    if way == Way::Btrfs && !before.no_cow {
        change(file, IFlags::NOCOW, IFlags::empty()).map_err(failed("set the attribute C (no copy-on-write)"))?;
    }
    if before.journaled && model == Model::File {
        // Not everybody may: whether it went is read back, and has a reason of its own.
        let _ = change(file, IFlags::empty(), IFlags::JOURNALING);
    }
    if way == Way::F2fs {
        pin_file(file).map_err(failed("pin it (f2fs)"))?;
    }
    let inode = read(file)?;
    if way == Way::Btrfs && !inode.no_cow {
        return Err(PrepareError::NotKept { flag: "+C" });
    }
    if way == Way::Btrfs && inode.compressed {
        return Err(PrepareError::NotKept { flag: "-c" });
    }
    match unfit(&inode, model, page_size) {
        Some(why) => Err(PrepareError::Refused { model, why }),
        None => Ok(inode),
    }
}

/// Why no file like this can serve: what shows in an empty file, and not in its folder.
fn unfit(inode: &Inode, model: Model, page_size: PageSize) -> Option<Reason> {
    if inode.encrypted {
        return Some(Reason::Encrypted);
    }
    if inode.dax {
        return Some(Reason::Dax);
    }
    if model == Model::Bio { None } else { through::inode(inode, None, page_size) }
}

fn read(file: &File) -> Result<Inode, PrepareError> {
    Ok(Inode::of(file).map_err(fact("its attributes"))?)
}

fn change(file: &File, set: IFlags, clear: IFlags) -> rustix::io::Result<()> {
    let flags = ioctl_getflags(file)?;
    ioctl_setflags(file, flags.union(set).difference(clear))
}
