//! What a write does to the times of the file: the one transaction that an overwrite in place may still run.
//!
//! | way | where | what it takes |
//! | --- | --- | --- |
//! | no stamp | XFS, opened by a handle (`FMODE_NOCMTIME`) | `CAP_SYS_ADMIN` |
//! | in memory | a filesystem that is mounted with `lazytime`, up to Linux 6.1 | the mount option |
//! | no file | a block device, if its node is on devtmpfs or tmpfs | |
//!
//! Measured on ext4 and XFS: with `lazytime` 6.1 runs no transaction; 6.12 and 6.18 run as many as without, since each
//! new time counts the inode's version on, and that is written by a transaction. On ext4 there is no other way there;
//! one with inodes of 128 bytes has times in whole seconds, and so one transaction a second. What is stamped is the
//! inode of the name that was opened: a device node on ext4 costs ext4 a transaction.
//!
//! Under io_uring a stamp costs more than its transaction: a write that would stamp is not done at once but handed to a
//! thread of the kernel, which may have to be made first.
//!
//! Source: Linux v6.18, `fs/inode.c` (`file_update_time`, `generic_update_time`), `block/fops.c:blkdev_write_iter`,
//! `fs/xfs/xfs_handle.c:xfs_open_by_handle`, `fs/xfs/xfs_iops.c:xfs_vn_update_time`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::handle::Handle;
use crate::linux::inode::Inode;
use crate::linux::mount::Mount;
use crate::release::Release;

/// What becomes of the file's times when its pages are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Times {
    /// They are stamped, which is a transaction about once a tick.
    Stamped,
    /// They are stamped in memory (`lazytime`) and written with the inode, when it is let go of at the latest.
    InMemory,
    /// They are left alone.
    Untouched,
}

impl Times {
    /// Of a file on that mount, whoever writes.
    pub(super) fn on(mount: Option<&Mount>) -> Self {
        match mount {
            Some(mount) if mount.is_lazy_with_times() && lazy_is_lazy() => Self::InMemory,
            Some(_) | None => Self::Stamped,
        }
    }

    /// Of a device whose node is on that mount.
    pub(super) fn of_node_on(mount: Option<&Mount>) -> Self {
        match mount {
            Some(mount) if matches!(mount.kind.as_str(), "devtmpfs" | "tmpfs") => Self::Untouched,
            Some(_) | None => Self::on(mount),
        }
    }
}

/// The same file of XFS, opened so that writes leave its times alone; `None` where this user may not.
///
/// A handle is opened through a folder of its filesystem; the one that the file is in is, unless the file is a mount.
pub(super) fn reopen_without_stamps(file: impl AsFd, path: &Path, inode: &Inode, flags: OFlags) -> Option<OwnedFd> {
    let real = path.canonicalize().ok()?;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(real.parent()?, folder, Mode::empty()).ok()?;
    let other = Handle::of(&file).and_then(|handle| handle.open(&folder, flags)).ok()?;
    Inode::of(&other).is_ok_and(|other| other.identity == inode.identity).then_some(other)
}

/// Whether `lazytime` keeps the running kernel from a transaction. What changed it came between 6.1 and 6.12
/// (`fs/inode.c:inode_update_timestamps`); of what lies between nothing is promised.
fn lazy_is_lazy() -> bool {
    Release::running().is_some_and(|release| release <= Release::new(6, 1))
}
