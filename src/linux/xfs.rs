//! XFS: files whose data is on a device of its own, and the devices that can only be appended to.
//!
//! A realtime file is bound to the realtime device, so swapon takes it; in a zoned XFS (6.15) that device is written
//! by zones and nothing is ever overwritten in place.
//!
//! Source: Linux v6.18, `fs/xfs/xfs_aops.c:xfs_vm_swap_activate`, `fs/xfs/xfs_inode.h:xfs_is_zoned_inode`.

use std::os::fd::AsFd;

use super::ioctl::{extended_flags, xfs_features};

/// Whether the data of an open file lies in zones that are only ever appended to.
pub(super) fn is_zoned(fd: impl AsFd) -> rustix::io::Result<bool> {
    Ok(extended_flags(&fd)? & FS_XFLAG_REALTIME != 0 && xfs_features(&fd)? & ZONED != 0)
}

const FS_XFLAG_REALTIME: u32 = 1;
/// `XFS_FSOP_GEOM_FLAGS_ZONED`.
const ZONED: u32 = 1 << 27;
