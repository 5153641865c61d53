//! Files: the filesystem that one is on, and the devices below it; the file under a loop device.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::follow::Follow;
use super::{process, sysfs};
use crate::candidate::Kind;
use crate::linux::filesystem::{self, TMPFS, Way};
use crate::linux::inode::{Device, Inode};
use crate::linux::ioctl::loop_backing;
use crate::linux::mount::{self, Mount};
use crate::topology::{Layer, Told};

impl Follow<'_> {
    /// A file, by the mount that it was reached through.
    pub(super) fn file(&mut self, inode: &Inode, depth: usize, mounts: &[Mount], name: &str) {
        let by_id = |id| mounts.iter().find(|mount| mount.id == id);
        let by_device = || mounts.iter().find(|mount| mount.device == inode.identity.0);
        // A number of a mount in another namespace may be another mount's here: the device must be the same, but for
        // btrfs, each subvolume of which has a device number of its own.
        let found = inode.mount.and_then(by_id);
        let found = found.filter(|mount| mount.device == inode.identity.0 || mount.kind == "btrfs").or_else(by_device);
        match found {
            Some(mount) => self.mount(mount, depth, name),
            None => self.unknown(depth, "a file on a mount that the mount table does not show", name),
        }
    }

    /// A filesystem, and what it stands on.
    pub(super) fn mount(&mut self, mount: &Mount, depth: usize, name: &str) {
        let below = depth.saturating_add(1);
        let layer = match filesystem::way(mount) {
            Way::Iomap => Layer::Filesystem("ext4"),
            Way::Xfs => Layer::Filesystem("XFS"),
            Way::Btrfs => Layer::Filesystem("btrfs"),
            Way::F2fs => Layer::Filesystem("f2fs"),
            Way::Bmap(filesystem) => Layer::Filesystem(filesystem),
            Way::Network(filesystem) => Layer::NetworkFilesystem(filesystem),
            Way::NoPageRead(filesystem) if filesystem == TMPFS => Layer::Memory(filesystem),
            Way::NoBlockMap("ramfs") => Layer::Memory("ramfs"),
            Way::ServedBmap | Way::NoBlockMap("FUSE without a block device") => return self.fuse(mount, depth, name),
            Way::NoPageRead(filesystem) | Way::NoBlockMap(filesystem) | Way::Unknown(filesystem) => {
                Layer::Unknown(filesystem)
            }
        };
        if self.push(depth, layer, name) && matches!(layer, Layer::Filesystem(_)) {
            for device in self.devices(mount) {
                match device {
                    Some(device) => self.device(device, below),
                    None => self.unknown(below, "a device of the filesystem", &mount.source.to_string_lossy()),
                }
            }
        }
    }

    /// The devices that a filesystem of this kernel keeps data on; `None` for one that cannot be told.
    fn devices(&self, mount: &Mount) -> Vec<Option<Device>> {
        let at = |path: &Path| {
            let inode = Inode::at(path).ok().filter(|inode| inode.kind == Kind::BlockDevice)?;
            Some(inode.device)
        };
        if mount.kind == "btrfs" {
            let Some(device) = at(&mount.source) else { return vec![None] };
            return self.btrfs_devices(device);
        }
        let realtime = mount.options.split(',').find_map(|option| option.strip_prefix("rtdev="));
        let own = (mount.device.0 != 0).then_some(mount.device);
        std::iter::once(own).chain(realtime.map(|path| at(Path::new(path)))).collect()
    }

    /// Every device of the btrfs that one device belongs to.
    fn btrfs_devices(&self, one: Device) -> Vec<Option<Device>> {
        for volume in sysfs::entries(&self.tree.sys.join("fs/btrfs")) {
            let devices: Vec<Option<Device>> =
                sysfs::entries(&volume.join("devices")).iter().map(|dir| sysfs::number(dir)).collect();
            if devices.contains(&Some(one)) {
                return devices;
            }
        }
        vec![Some(one), None]
    }

    fn fuse(&mut self, mount: &Mount, depth: usize, name: &str) {
        let below = depth.saturating_add(1);
        let pids = process::of_connection(self.tree, mount.device.kernel_number());
        let title = process::named(name, &pids);
        let open = process::open(self.tree, &pids, &self.way);
        let server = process::server(self.tree, &pids, &open);
        if filesystem::way(mount) == Way::ServedBmap {
            // The superblock's own device: what the source says is a name.
            let device = if mount.device.0 == 0 { Told::No } else { Told::Yes };
            let (keeps_blocks, outlived) = (Told::Unknown, Told::Unknown);
            let layer = Layer::Fuseblk { device, keeps_blocks, outlived, server };
            if self.push(depth, layer, title) && device == Told::Yes {
                self.device(mount.device, below);
            }
        } else if self.push(depth, Layer::Fuse(server), title) {
            self.opened(&open, below);
        }
    }

    /// The file under a loop device: by the device itself, since the name may lead elsewhere.
    pub(super) fn file_of_loop(&mut self, dir: &Path, device: Device, name: Vec<u8>, depth: usize) {
        let path = PathBuf::from(OsString::from_vec(name));
        let title = path.display().to_string();
        let Ok(mounts) = self.tree.mounts() else {
            return self.unknown(depth, "a file, without a mount table", &title);
        };
        // What a server or another machine serves may hang whoever asks for its attributes, as the device would.
        if let Some(mount) = mount::by_name(&mounts, &path).filter(|mount| is_served(mount)) {
            return self.mount(mount, depth, &format!("{title}, by its name alone"));
        }
        let (number, inode) = match identity(&Path::new("/dev").join(sysfs::name(dir)), device) {
            Ok(Some(identity)) => identity,
            // Who may not ask the device has the name that the kernel gives it: it follows a file that is moved, and
            // misleads where a mount hides the file, or the device was set up in another mount namespace. A user who
            // is told this cannot swap to it either.
            Ok(None) => {
                return match mount::by_name(&mounts, &path) {
                    Some(mount) => self.mount(mount, depth, &format!("{title}, by its name alone")),
                    None => self.unknown(depth, "the file under a loop device, which is told to root only", &title),
                };
            }
            Err(what) => return self.unknown(depth, what, &title),
        };
        match Inode::at_cached(&path) {
            Ok(found) if found.identity == (number, inode) && found.kind == Kind::BlockDevice => {
                self.device(found.device, depth);
            }
            Ok(found) if found.identity == (number, inode) => self.file(&found, depth, &mounts, &title),
            // Removed, moved, or behind another mount: its filesystem is known all the same.
            Ok(_) | Err(_) => match mounts.iter().find(|mount| mount.device == number) {
                Some(mount) => self.mount(mount, depth, &format!("{title}, which is not there any more")),
                None => self.unknown(depth, "a file that is gone, or on a mount that does not show", &title),
            },
        }
    }
}

fn is_served(mount: &Mount) -> bool {
    matches!(filesystem::way(mount), Way::Network(_) | Way::ServedBmap | Way::NoBlockMap("FUSE without a block device"))
}

/// Which file a loop device has open, asked of the device; `None` for who may not ask it.
fn identity(path: &Path, device: Device) -> Result<Option<(Device, u64)>, &'static str> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ACCESS | Errno::PERM) => return Ok(None),
        Err(_) => return Err("a loop device that is not in /dev"),
    };
    if Inode::of(&file).ok().map(|inode| (inode.kind, inode.device)) != Some((Kind::BlockDevice, device)) {
        return Err("a loop device whose name in /dev is another's");
    }
    let (number, inode) = loop_backing(&file).map_err(|_| "a loop device without a file, or one that went away")?;
    Ok(Some((Device::of_kernel(number), inode)))
}
