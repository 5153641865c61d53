//! The mount that swap needs: `fuseblk` of a block device, so that the kernel asks `BMAP` at all.
//!
//! Only root may. The device is opened and looked at first: what carries another filesystem's mark, or swap's, is not
//! mounted by mistake. Nothing is written to it here.
//!
//! A mount is not taken away from under an active swap area. The kernel keeps a filesystem with one busy, but a
//! detached mount (`umount -l`) leaves no path by which swapoff could find it; so where umount(2) says busy, a
//! [`Mount`] detaches only if no area is active on its device.
//!
//! A kernel that lets nobody write to mounted devices (`bdev_allow_write_mounted=0`) mounts none that somebody has open
//! for writing, and opens none for writing that is mounted: there a server cannot write by a descriptor of its own.
//!
//! Source: Linux v6.18, `fs/fuse/inode.c:fuse_fill_super`, `fuse_parse_param`; `fs/super.c:get_tree_bdev`;
//! `block/bdev.c:bdev_may_open`.

mod error;
mod mounted;
mod signature;

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::MountFlags;

pub use error::MountError;
pub use mounted::Mount;
pub use signature::Signature;

use crate::unit::BlockSize;

/// How to mount.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The unit of `BMAP`: one request for each block when swapon asks, so 4 KiB rather than 512 bytes.
    pub block_size: BlockSize,
    /// Mount for reading only.
    pub read_only: bool,
    /// Other users than root may use the mount (`allow_other`).
    pub allow_other: bool,
    /// Mount whatever stands on the device.
    pub force: bool,
    /// Says whether the device carries the server's own filesystem. Then nobody else's mark is looked for: what was
    /// swapped out may look like anything.
    pub own: Option<fn(&File) -> std::io::Result<bool>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { block_size: BlockSize::KIB_4, read_only: false, allow_other: false, force: false, own: None }
    }
}

/// Mounts a block device on a folder, and gives the descriptor that the server reads its requests from.
///
/// The first request, `INIT`, waits there. Keep the [`Mount`] until the session has ended; unmount while it still runs.
///
/// # Errors
/// [`MountError`]. What is found before mount(2) leaves everything as it was.
pub fn mount(device: &Path, target: &Path, options: &Options) -> Result<(Mount, OwnedFd), MountError> {
    let at = |errno: Errno| MountError::from_errno(errno, device, target);
    let found = std::fs::metadata(device).map_err(|error| MountError::no_device(error, device))?;
    if !found.file_type().is_block_device() {
        return Err(MountError::NotBlockDevice { device: device.to_owned() });
    }
    // For reading alone: see the module.
    let file = File::open(device).map_err(|error| at(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if !options.force {
        refuse_foreign(&file, device, options)?;
    }
    let channel = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let channel = OwnedFd::from(channel.map_err(MountError::no_fuse)?);
    let target = target.canonicalize().map_err(|error| MountError::no_target(error, target))?;
    let data = CString::new(data(&channel, options)).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let flags = if options.read_only { flags | MountFlags::RDONLY } else { flags };
    rustix::mount::mount(device, &target, "fuseblk", flags, data.as_c_str()).map_err(at)?;
    Ok((Mount::new(target), channel))
}

/// The filesystem's own options: what user space settles for `fuse_fill_super`.
fn data(channel: &OwnedFd, options: &Options) -> String {
    let (fd, block) = (channel.as_raw_fd(), options.block_size.bytes().get());
    let others = if options.allow_other { ",allow_other" } else { "" };
    format!("fd={fd},rootmode=40000,user_id=0,group_id=0,default_permissions,blksize={block}{others}")
}

fn refuse_foreign(file: &File, device: &Path, options: &Options) -> Result<(), MountError> {
    let read = |error| MountError::Unreadable { device: device.to_owned(), error };
    if let Some(own) = options.own {
        if own(file).map_err(read)? {
            return Ok(());
        }
    }
    match Signature::find(file).map_err(read)? {
        Some(signature) => Err(MountError::Foreign { device: device.to_owned(), signature }),
        None => Ok(()),
    }
}
