//! Why a `fuseblk` mount did not come about, or does not go.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Signature;
use crate::linux::named;

/// Why not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// There is nothing at that path.
    #[error("{}: no such device", named(.device))]
    NoDevice {
        /// The path.
        device: PathBuf,
    },
    /// A file or whatever else: attach a loop device to it first.
    #[error("{}: not a block device", named(.device))]
    NotBlockDevice {
        /// The path.
        device: PathBuf,
    },
    /// Mounting a block device is root's.
    #[error("only root may mount a block device")]
    NotRoot,
    /// The device may be read only, and the mount was to be writable.
    #[error("{}: the device is read-only", named(.device))]
    ReadOnly {
        /// The path.
        device: PathBuf,
    },
    /// Mounted, an active swap area, part of another device; or written to by somebody, where the kernel forbids that
    /// for mounted devices.
    #[error("{}: the device is in use: mounted, swapped to, part of another device, or open for writing", named(.device))]
    Busy {
        /// The path.
        device: PathBuf,
    },
    /// Something else's mark stands on the device.
    #[error("{}: the device carries {signature}", named(.device))]
    Foreign {
        /// The path.
        device: PathBuf,
        /// Whose.
        signature: Signature,
    },
    /// The device cannot be read.
    #[error("{}: cannot read the device: {error}", named(.device))]
    Unreadable {
        /// The path.
        device: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// This kernel has no FUSE, or it is not loaded.
    #[error("cannot open /dev/fuse: {0}")]
    NoFuse(#[source] io::Error),
    /// This kernel has no `fuseblk` (`CONFIG_BLOCK`, module `fuse`).
    #[error("this kernel has no fuseblk")]
    NoFuseblk,
    /// The mount point is not a folder that can be used.
    #[error("{}: not a folder to mount on: {error}", named(.target))]
    Target {
        /// The path.
        target: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Whatever else mount(2) or umount(2) said.
    #[error("{}: {error}", named(.target))]
    Other {
        /// The mount point.
        target: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// Files of the mount are open, or a folder of it is somebody's own.
    #[error("{}: the mount is in use", named(.target))]
    InUse {
        /// The mount point.
        target: PathBuf,
    },
    /// Something else was mounted over it.
    #[error("{0}: something is mounted over it: run umount {0} first", named(.target))]
    Covered {
        /// The mount point.
        target: PathBuf,
    },
    /// A swap area on the device is active: swapoff first.
    #[error("{}: swap is on: run swapoff {} first", named(.target), named(.area))]
    Active {
        /// The mount point.
        target: PathBuf,
        /// The area's name.
        area: PathBuf,
    },
}

impl MountError {
    pub(super) fn no_device(error: io::Error, device: &Path) -> Self {
        let device = device.to_owned();
        if error.kind() == io::ErrorKind::NotFound {
            Self::NoDevice { device }
        } else {
            Self::Unreadable { device, error }
        }
    }

    pub(super) fn no_target(error: io::Error, target: &Path) -> Self {
        Self::Target { target: target.to_owned(), error }
    }

    pub(super) fn no_fuse(error: io::Error) -> Self {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        if denied && !rustix::process::geteuid().is_root() { Self::NotRoot } else { Self::NoFuse(error) }
    }

    /// What open(2) of the device or mount(2) means by an errno.
    pub(super) fn from_errno(errno: Errno, device: &Path, target: &Path) -> Self {
        let device = device.to_owned();
        match errno {
            Errno::PERM => Self::NotRoot,
            // To root the mode of a device is no obstacle.
            Errno::ACCESS if !rustix::process::geteuid().is_root() => Self::NotRoot,
            Errno::ACCESS | Errno::ROFS => Self::ReadOnly { device },
            Errno::BUSY => Self::Busy { device },
            Errno::NODEV => Self::NoFuseblk,
            Errno::NOENT | Errno::NXIO => Self::NoDevice { device },
            Errno::NOTBLK => Self::NotBlockDevice { device },
            Errno::NOTDIR => Self::no_target(errno.into(), target),
            other => Self::Other { target: target.to_owned(), error: other.into() },
        }
    }
}
