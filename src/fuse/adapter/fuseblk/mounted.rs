//! A mount that goes when it is dropped, unless swap is on there.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::MountError;

/// A mount of this process. Unmounts when dropped: detaches where files are open, and leaves it where swap is on.
///
/// On a signal, have a thread of its own call [`unmount`](Self::unmount) (a signal handler must not): the session ends
/// then by itself. A server that is killed leaves a mount that answers `ENOTCONN`; `umount` takes it away.
#[derive(Debug)]
pub struct Mount {
    target: PathBuf,
    /// To know it again: something else may come to stand on the same folder.
    identity: Option<Identity>,
    gone: bool,
}

static_assertions::assert_impl_all!(Mount: Send, Sync);

/// What has become of a mount.
enum Standing {
    OnTop,
    Covered,
    Gone,
}

impl Mount {
    /// Takes over what is mounted on a folder: for a server that made a mount of another type than `fuseblk`.
    ///
    /// # Errors
    /// What looking up the folder says.
    pub fn at(target: &Path) -> io::Result<Self> {
        Ok(Self::new(target.canonicalize()?))
    }

    pub(super) fn new(target: PathBuf) -> Self {
        let identity = Identity::at(&target);
        Self { target, identity, gone: false }
    }

    /// The folder, without symlinks.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Whether it still stands on its folder, on top or with something mounted over it.
    pub fn is_mounted(&self) -> bool {
        !matches!(self.standing(), Standing::Gone)
    }

    /// Unmounts. The kernel says whether the mount is in use, an active swap area included: so whoever stops a server
    /// asks this, and goes on serving if it fails. The session must be running, or have ended.
    ///
    /// Passes for a mount that somebody else has taken away, too. If he only detached it, or cloned its namespace
    /// before, the filesystem lives on, with an area that may be active: the session's end is what tells that it is
    /// gone.
    ///
    /// # Errors
    /// [`MountError::Covered`], [`MountError::Active`], [`MountError::InUse`], [`MountError::Other`]: it is still
    /// mounted.
    pub fn unmount(&mut self) -> Result<(), MountError> {
        match self.standing() {
            Standing::OnTop => (),
            Standing::Covered => return Err(MountError::Covered { target: self.target.clone() }),
            Standing::Gone => return Ok(()),
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

    fn standing(&self) -> Standing {
        let Some(identity) = self.identity.filter(|_| !self.gone) else {
            return if self.gone { Standing::Gone } else { Standing::OnTop };
        };
        if Identity::at(&self.target) == Some(identity) {
            return Standing::OnTop;
        }
        // Without the table of mounts it may be there.
        match crate::linux::is_mounted(identity.mount, identity.device, &self.target) {
            Ok(false) => Standing::Gone,
            Ok(true) | Err(_) => Standing::Covered,
        }
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

/// Which mount stands on a folder, as the table of mounts numbers it. Numbers are given again at once: so the device
/// too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    mount: u64,
    device: (u32, u32),
}

impl Identity {
    /// Told without asking the server, which may be gone; `None` before Linux 5.8.
    fn at(target: &Path) -> Option<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
        let facts = statx(CWD, target, flags, StatxFlags::MNT_ID).ok()?;
        let told = StatxFlags::from_bits_retain(facts.stx_mask).contains(StatxFlags::MNT_ID);
        told.then_some(Self { mount: facts.stx_mnt_id, device: (facts.stx_dev_major, facts.stx_dev_minor) })
    }
}
