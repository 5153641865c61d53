//! Files: the filesystem that one is on, and the devices below it; the file under a loop device.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::follow::Follow;
use super::process;
use crate::candidate::Kind;
use crate::linux::filesystem::{self, TMPFS, Way};
use crate::linux::inode::{Device, Inode};
use crate::linux::ioctl::loop_backing;
use crate::linux::mount::{self, Mount};
use crate::linux::sysfs;
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
        if mount.kind == "btrfs" {
            let Some(device) = self.named(&mount.source) else { return vec![None] };
            return self.btrfs_devices(device);
        }
        let realtime = mount.options.split(',').find_map(|option| option.strip_prefix("rtdev="));
        let own = (mount.device.0 != 0).then_some(mount.device);
        std::iter::once(own).chain(realtime.map(|path| self.named(Path::new(path)))).collect()
    }

    /// The block device that a name in /dev leads to.
    pub(super) fn named(&self, name: &Path) -> Option<Device> {
        if self.tree.is_running() {
            return mount::named_device(name);
        }
        // In a copy those names lead on that the kernel gave itself.
        let name = name.strip_prefix("/dev").ok().filter(|_| mount::is_in_dev(name))?;
        sysfs::number(&self.tree.sys.join("class/block").join(name))
    }

    /// Every device of the btrfs that one device belongs to.
    fn btrfs_devices(&self, one: Device) -> Vec<Option<Device>> {
        for volume in sysfs::entries(&self.tree.sys.join("fs/btrfs")) {
            // A list that ends in the middle says nothing of the rest.
            let Ok(devices) = sysfs::all(&volume.join("devices")) else { continue };
            let devices: Vec<Option<Device>> = devices.iter().map(|dir| sysfs::number(dir)).collect();
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
        if !self.tree.is_running() {
            return self.unknown(depth, "the file under a loop device, which a copy of tables does not hold", &title);
        }
        let Ok(mounts) = self.tree.mounts() else {
            return self.unknown(depth, "a file, without a mount table", &title);
        };
        let by_name = mount::by_name(&mounts, &path);
        // What a server or another machine serves may hang whoever asks for its attributes, as the device would.
        if let Some(mount) = by_name.filter(|mount| is_served(mount)) {
            return self.mount(mount, depth, &format!("{title}, by its name alone"));
        }
        // So may every folder on the way to the file, whatever is mounted below it or over it.
        let may_be_asked = mount::on_the_way(&mounts, &path).all(answers);
        let (number, inode) = match identity(&Path::new("/dev").join(sysfs::name(dir)), device) {
            Ok(Some(identity)) => identity,
            // Who may not ask the device has the name that the kernel gives it, which follows a file that is moved. It
            // misleads where the mount has gone or another hides the file, so the name must lead to what may be it. A
            // user who is told this cannot swap to it either.
            Ok(None) => {
                let is_there = |mount: &&Mount| may_be_asked && may_be_under(&path, mount, dir);
                return match by_name.filter(is_there) {
                    Some(mount) => self.mount(mount, depth, &format!("{title}, by its name alone")),
                    None => self.unknown(depth, "the file under a loop device, which is told to root only", &title),
                };
            }
            Err(what) => return self.unknown(depth, what, &title),
        };
        let found = may_be_asked.then(|| look_up(&path).ok()).flatten();
        match found.filter(|found| found.identity == (number, inode)) {
            Some(found) if found.kind == Kind::BlockDevice => self.device(found.device, depth),
            Some(found) => self.file(&found, depth, &mounts, &title),
            // Removed, moved, behind another mount, or not to be asked for: its filesystem is known all the same.
            None => match mounts.iter().find(|mount| mount.device == number) {
                Some(mount) => {
                    let why = if may_be_asked {
                        "which is not there any more"
                    } else {
                        "whose name leads through what may not answer"
                    };
                    self.mount(mount, depth, &format!("{title}, {why}"));
                }
                None => self.unknown(depth, "a file that is gone, or on a mount that does not show", &title),
            },
        }
    }
}

fn is_served(mount: &Mount) -> bool {
    matches!(filesystem::way(mount), Way::Network(_) | Way::ServedBmap | Way::NoBlockMap("FUSE without a block device"))
}

/// Whether a filesystem answers for its names by itself: a server, another machine or an automounter may never do.
fn answers(mount: &Mount) -> bool {
    match filesystem::way(mount) {
        Way::Iomap | Way::Xfs | Way::Btrfs | Way::F2fs | Way::Bmap(_) | Way::NoPageRead(TMPFS) => true,
        Way::NoBlockMap(filesystem) => ["ramfs", "squashfs", "ZFS", "nilfs2", "ubifs", "JFFS2"].contains(&filesystem),
        // Of overlayfs a lower layer may be served.
        Way::NoPageRead(_) | Way::Network(_) | Way::ServedBmap | Way::Unknown(_) => false,
    }
}

/// What a name leads to that the kernel gave: no part of it was a link then, and one that is now may lead anywhere.
fn look_up(path: &Path) -> rustix::io::Result<Inode> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    Inode::at_cached(&Path::new("/proc/self/fd").join(file.as_raw_fd().to_string()))
}

/// Whether a name leads to a file on that mount that is as large as the loop device says; `dir` is the device's folder.
fn may_be_under(path: &Path, mount: &Mount, dir: &Path) -> bool {
    let Ok(inode) = look_up(path) else { return false };
    // Each subvolume of a btrfs has a device number of its own.
    let by_id = mount.kind == "btrfs" && inode.mount == Some(mount.id);
    let is_on_it = inode.identity.0 == mount.device || by_id;
    let number = |name: &str| sysfs::count(&dir.join(name));
    let sectors = || {
        let (offset, limit) = (number("loop/offset")?, number("loop/sizelimit")?);
        let bytes = inode.size.get().checked_sub(offset)?;
        let seen = if limit == 0 { bytes } else { bytes.min(limit) };
        Some(seen / 512)
    };
    let is_as_large = sectors().is_some_and(|sectors| number("size") == Some(sectors));
    inode.kind == Kind::RegularFile && is_on_it && is_as_large
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::topology::{Topology, Tree};

    /// A /sys with four devices, and a btrfs on the first two of them.
    fn tree(folder: &Path) -> std::io::Result<Tree> {
        let sys = folder.join("sys");
        for name in ["dev/block", "class/block", "fs/btrfs/features", "fs/btrfs/uuid/devices"] {
            std::fs::create_dir_all(sys.join(name))?;
        }
        for (minor, name) in ["vda", "vdb", "vdc", "vdd"].iter().enumerate() {
            let dir = sys.join("devices/pci0000:00/block").join(name);
            std::fs::create_dir_all(dir.join("device"))?;
            std::fs::write(dir.join("dev"), format!("254:{minor}\n"))?;
            std::os::unix::fs::symlink(&dir, sys.join("dev/block").join(format!("254:{minor}")))?;
            std::os::unix::fs::symlink(&dir, sys.join("class/block").join(name))?;
        }
        for name in ["vda", "vdb"] {
            let dir = sys.join("devices/pci0000:00/block").join(name);
            std::os::unix::fs::symlink(dir, sys.join("fs/btrfs/uuid/devices").join(name))?;
        }
        Ok(Tree::at(sys, folder.join("proc")))
    }

    /// What the mount of a line of the table stands on.
    fn below(tree: &Tree, folder: &Path, line: &str) -> std::io::Result<String> {
        let table = folder.join("table");
        std::fs::write(&table, line)?;
        let mut follow = Follow::new(tree);
        mount::read(&table)?.iter().for_each(|mount| follow.mount(mount, 0, "x"));
        let topology: Topology = follow.end();
        Ok(topology.layers().skip(1).map(|(link, name)| format!("{} {name}, ", link.layer.word())).collect())
    }

    #[test]
    fn each_device_of_a_filesystem_counts() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let tree = tree(folder)?;
        let unknown = "a device of the filesystem /dev/vda, ";
        let (a, b, c) = ("a disk vda (254:0), ", "a disk vdb (254:1), ", "a disk vdc (254:2), ");
        for (mounted, expected) in [
            ("254:2 / /m rw - ext4 /dev/vdc rw", c.to_owned()),
            ("0:40 / /m rw - btrfs /dev/vdb rw", format!("{a}{b}")),
            // Of a btrfs that no list holds, and of one whose name leads nowhere, or to this machine.
            ("0:40 / /m rw - btrfs /dev/vdc rw", format!("{c}a device of the filesystem /dev/vdc, ")),
            ("0:40 / /m rw - btrfs /dev/root rw", "a device of the filesystem /dev/root, ".to_owned()),
            ("0:40 / /m rw - btrfs /dev/../vda rw", "a device of the filesystem /dev/../vda, ".to_owned()),
            ("254:0 / /m rw - xfs /dev/vda rw,attr2,noquota", a.to_owned()),
            ("254:0 / /m rw - xfs /dev/vda rw,rtdev=/dev/vdb,noquota", format!("{a}{b}")),
            ("254:0 / /m rw - xfs /dev/vda rw,rtdev=/dev/loop0", format!("{a}{unknown}")),
            ("254:0 / /m rw - xfs /dev/vda rw,rtdev=", format!("{a}{unknown}")),
        ] {
            let line = format!("41 29 {mounted}\n");
            assert_eq!(below(&tree, folder, &line)?, expected, "{mounted}");
        }
        // A device that went away, and a list that cannot be read to its end.
        let list = folder.join("sys/fs/btrfs/uuid/devices");
        std::os::unix::fs::symlink("/nonexistent", list.join("vdx"))?;
        let line = "41 29 0:40 / /m rw - btrfs /dev/vda rw\n";
        assert_eq!(below(&tree, folder, line)?, format!("{a}{b}{unknown}"));
        for index in 0..sysfs::MOST_ENTRIES {
            std::fs::create_dir(list.join(format!("x{index}")))?;
        }
        assert_eq!(below(&tree, folder, line)?, format!("{a}{unknown}"));
        Ok(())
    }

    #[test]
    fn only_filesystems_of_this_kernel_answer_for_their_names() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let table = folder.path().join("table");
        for (kind, expected) in [
            ("ext4", true),
            ("overlay", false),
            ("tmpfs", true),
            ("fuse.x", false),
            ("fuseblk", false),
            ("nfs4", false),
            ("autofs", false),
            ("9p", false),
            ("ceph", false),
            ("virtiofs", false),
            ("gfs2", false),
            ("of tomorrow", false),
        ] {
            std::fs::write(&table, format!("41 29 254:0 / /m rw - {} s rw\n", kind.replace(' ', "-")))?;
            let mounts = mount::read(&table)?;
            assert_eq!(mounts.iter().map(answers).collect::<Vec<_>>(), [expected], "{kind}");
        }
        Ok(())
    }
}
