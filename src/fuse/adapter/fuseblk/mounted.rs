//! A mount that goes when it is dropped, unless swap is on there.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::MountError;

/// A `fuseblk` mount. Unmounts when dropped: detaches where files are open, and leaves it where swap is on.
///
/// On a signal, have a thread of its own call [`unmount`](Self::unmount) (a signal handler must not): the session ends
/// then by itself. A server that is killed leaves a mount that answers `ENOTCONN`; `umount` takes it away.
#[derive(Debug)]
pub struct Mount {
    target: PathBuf,
    device: File,
    /// To know it again: something else may come to stand on the same folder.
    identity: Option<Identity>,
    gone: bool,
}

static_assertions::assert_impl_all!(Mount: Send, Sync);

impl Mount {
    pub(super) fn new(target: PathBuf, device: File) -> Self {
        let identity = Identity::at(&target);
        Self { target, device, identity, gone: false }
    }

    /// The folder, without symlinks.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The device, opened before it was mounted: some kernels allow no writing to it afterwards.
    pub const fn device(&self) -> &File {
        &self.device
    }

    /// Unmounts. The kernel says whether the mount is in use, an active swap area included: so whoever stops a server asks
    /// this, and goes on serving if it fails. The session must be running, or have ended.
    ///
    /// Passes for a mount that somebody else has taken away, too. If he only detached it, or cloned its namespace before,
    /// the filesystem lives on, with an area that may be active: the session's end is what tells that it is gone.
    ///
    /// # Errors
    /// [`MountError::Active`], [`MountError::InUse`], [`MountError::Other`]: it is still mounted.
    pub fn unmount(&mut self) -> Result<(), MountError> {
        if self.is_gone() {
            return Ok(());
        }
        match unmount(&self.target, UnmountFlags::NOFOLLOW) {
            Ok(()) => {
                self.gone = true;
                Ok(())
            }
            Err(Errno::BUSY) => Err(self.in_use()),
            Err(errno) => Err(MountError::Other { target: self.target.clone(), error: errno.into() }),
        }
    }

    /// Whether somebody else has unmounted it.
    fn is_gone(&self) -> bool {
        self.gone || (self.identity.is_some() && Identity::at(&self.target) != self.identity)
    }

    fn in_use(&self) -> MountError {
        let target = self.target.clone();
        // Without the table of areas any may be active.
        let areas = crate::linux::active_names().unwrap_or_else(|_| vec![self.target.clone()]);
        // A name is compared and not looked up: the server may be gone.
        match areas.into_iter().find(|area| area.starts_with(&self.target)) {
            Some(area) => MountError::Active { target, area },
            None => MountError::InUse { target },
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(MountError::InUse { .. }) = self.unmount() {
            // Goes when the last file is closed. With swap on it would never: no path is left for swapoff.
            let _ = unmount(&self.target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

/// Which mount stands on a folder. Numbers of mounts are given again at once, before Linux 6.8 to anyone: so the device
/// too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    mount: u64,
    device: (u32, u32),
}

impl Identity {
    /// Told without asking the server, which may be gone; `None` before Linux 5.8.
    fn at(target: &Path) -> Option<Self> {
        /// `STATX_MNT_ID_UNIQUE`, which rustix does not name.
        const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
        let facts = statx(CWD, target, flags, StatxFlags::MNT_ID | UNIQUE).ok()?;
        let told = StatxFlags::from_bits_retain(facts.stx_mask).intersects(StatxFlags::MNT_ID | UNIQUE);
        told.then_some(Self { mount: facts.stx_mnt_id, device: (facts.stx_dev_major, facts.stx_dev_minor) })
    }
}
