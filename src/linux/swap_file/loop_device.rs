//! A loop device that is served: what it was set up with, and who else writes to the file below it.
//!
//! Source: Linux v6.18, `drivers/block/loop.c` (`lo_rw_aio`, `loop_attr_dio_show`, `loop_attr_offset_show`).

use std::path::Path;

use super::error::OpenError;
use super::serving::Risks;
use crate::linux::error::no_fact;
use crate::linux::inode::{Device, Inode};
use crate::linux::prepare::users;
use crate::linux::sysfs;
use crate::reason::{Reason, ServedFault};
use crate::topology::Told;
use crate::unit::{Bytes, PageSize};

/// Checks the loop device of that number over the file at `below`.
///
/// # Errors
/// Pages that lie across those of the file, or go through its page cache; somebody else who may write to it.
pub(super) fn check(device: Device, below: &Path, page: PageSize, accepted: Risks) -> Result<(), OpenError> {
    let dir = Path::new("/sys/dev/block").join(device.to_string());
    let dir = dir.canonicalize().map_err(no_fact("the loop device"))?;
    // The file is under the disk of which it is a part.
    let is_part = dir.join("partition").exists();
    let disk = dir.parent().filter(|_| is_part).unwrap_or(&dir);
    let start =
        if is_part { sysfs::count(&dir.join("start")).and_then(|sectors| sectors.checked_mul(512)) } else { Some(0) };
    let offset = sysfs::count(&disk.join("loop/offset")).and_then(|offset| offset.checked_add(start?));
    let fault = match (offset, sysfs::switch(&disk.join("loop/dio"))) {
        (None, _) => Some(ServedFault::LoopOffset { offset: None }),
        (Some(offset), _) if !Bytes::new(offset).is_aligned(page.into()) => {
            Some(ServedFault::LoopOffset { offset: Some(Bytes::new(offset)) })
        }
        (Some(_), Told::Yes) => None,
        (Some(_), Told::No | Told::Unknown) => {
            (!accepted.contains(Risks::BUFFERED_LOOP)).then_some(ServedFault::BufferedLoop)
        }
    };
    if let Some(fault) = fault {
        return Err(Reason::Served(fault).into());
    }
    let inode = Inode::at(below).map_err(crate::linux::error::ExamineError::LookUp)?;
    match users::writer_but(&inode, &sysfs::name(disk)).map_err(no_fact("who has the file below open"))? {
        None => Ok(()),
        Some(_) => Err(Reason::Served(ServedFault::HeldBelow).into()),
    }
}
