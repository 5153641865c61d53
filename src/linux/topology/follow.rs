//! One layer after the other, down: which kind of block device it is, and what it stands on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Topology, Tree, device_mapper, disk, md, nbd, process};
use crate::candidate::Kind;
use crate::linux::inode::Device;
use crate::linux::sysfs;
use crate::topology::{Layer, Link, MAX_DEPTH, MAX_LINKS};
use crate::ublk::UblkDevice;

/// A chain that is being followed.
pub(super) struct Follow<'t> {
    pub(super) tree: &'t Tree,
    links: Vec<Link>,
    names: Vec<String>,
    /// The devices between the area and here: one that comes again stands on itself.
    pub(super) way: Vec<Device>,
}

impl<'t> Follow<'t> {
    pub(super) const fn new(tree: &'t Tree) -> Self {
        Self { tree, links: Vec::new(), names: Vec::new(), way: Vec::new() }
    }

    pub(super) fn end(self) -> Topology {
        Topology { links: self.links, names: self.names }
    }

    /// Notes a layer; whether there is room below it.
    pub(super) fn push(&mut self, depth: usize, layer: Layer, name: impl Into<String>) -> bool {
        // One more than there may be: the core refuses a chain that is longer.
        if self.links.len() > MAX_LINKS {
            return false;
        }
        let layer = if depth >= MAX_DEPTH { Layer::Endless } else { layer };
        // What is too deep is told at the last depth that there is.
        let depth = depth.min(MAX_DEPTH.saturating_sub(1));
        self.links.push(Link { depth: u8::try_from(depth).unwrap_or(u8::MAX), layer });
        self.names.push(name.into());
        layer != Layer::Endless
    }

    pub(super) fn unknown(&mut self, depth: usize, what: &'static str, name: &str) {
        self.push(depth, Layer::Unknown(what), name);
    }

    /// A block device, and what it stands on.
    pub(super) fn device(&mut self, device: Device, depth: usize) {
        if self.way.contains(&device) {
            self.push(depth, Layer::Endless, format!("{device} stands on itself"));
            return;
        }
        let link = self.tree.sys.join("dev/block").join(device.to_string());
        // A link of a copy may lead out of it, to what is of this machine.
        let dir = self.tree.sys.canonicalize().and_then(|sys| Ok((link.canonicalize()?, sys)));
        let Some((dir, place)) = dir.ok().and_then(|(dir, sys)| {
            let place = dir.strip_prefix(sys).ok()?.to_owned();
            Some((dir, place))
        }) else {
            return self.unknown(depth, "a block device that /sys does not show", &device.to_string());
        };
        if sysfs::number(&dir) != Some(device) {
            let name = format!("{} is not {device} any more", dir.display());
            return self.unknown(depth, "a block device that changed while it was looked at", &name);
        }
        self.way.push(device);
        self.known(&dir, &place, device, depth);
        self.way.pop();
    }

    /// `place` is the same folder, from /sys down.
    fn known(&mut self, dir: &Path, place: &Path, device: Device, depth: usize) {
        let name = sysfs::name(dir);
        let title = format!("{name} ({device})");
        if dir.join("partition").exists() {
            if self.push(depth, Layer::Partition, title) {
                match dir.parent().and_then(sysfs::number) {
                    Some(disk) => self.device(disk, depth.saturating_add(1)),
                    None => self.unknown(depth.saturating_add(1), "a disk that /sys does not show", &name),
                }
            }
        } else if name.starts_with("loop") {
            self.loop_device(dir, device, depth, &title);
        } else if dir.join("dm").is_dir() {
            let name = sysfs::text(&dir.join("dm/name")).unwrap_or_default();
            let layer = Layer::DeviceMapper { in_place: device_mapper::maps_in_place(dir) };
            self.stacked(dir, layer, depth, &format!("{title} {name}"));
        } else if dir.join("md").is_dir() {
            let level = sysfs::text(&dir.join("md/level")).unwrap_or_default();
            self.stacked(dir, Layer::Md { external: md::external(dir) }, depth, &format!("{title} {level}"));
            if let Some(bitmap) = md::foreign_bitmap(dir) {
                self.unknown(depth.saturating_add(1), bitmap, &name);
            }
        } else if name.starts_with("zram") {
            self.zram(dir, depth, title);
        } else if name.starts_with("nbd") {
            let (place, client, said) = nbd::look(self.tree, dir);
            let server = crate::topology::Server::default();
            self.push(depth, Layer::Nbd { place, client, server }, format!("{title} {said}"));
        } else if let Some(number) = name.strip_prefix("ublkb") {
            self.ublk(dir, device, depth, &title, number);
        } else {
            self.push(depth, disk::layer(&name, dir, place), title);
        }
    }

    fn loop_device(&mut self, dir: &Path, device: Device, depth: usize, title: &str) {
        let direct = sysfs::switch(&dir.join("loop/dio"));
        let name = sysfs::bytes(&dir.join("loop/backing_file"));
        if self.push(depth, Layer::Loop { direct }, title) {
            let below = depth.saturating_add(1);
            match name {
                Some(name) => self.file_of_loop(dir, device, name, below),
                None => self.unknown(below, "a loop device without a file, or one that went away", title),
            }
        }
    }

    /// What is made of other devices, all of which are listed.
    fn stacked(&mut self, dir: &Path, layer: Layer, depth: usize, title: &str) {
        if !self.push(depth, layer, title) {
            return;
        }
        let below = depth.saturating_add(1);
        let slaves = match sysfs::all(&dir.join("slaves")) {
            Ok(slaves) => slaves,
            Err(error) => return self.unknown(below, "devices of which there is no list", &error.to_string()),
        };
        for slave in slaves {
            match sysfs::number(&slave) {
                Some(device) => self.device(device, below),
                None => self.unknown(below, "a device that went away", &slave.display().to_string()),
            }
        }
    }

    fn zram(&mut self, dir: &Path, depth: usize, title: String) {
        let backing = sysfs::look(&dir.join("backing_dev"));
        if !self.push(depth, Layer::Zram, title) {
            return;
        }
        let (below, what) = (depth.saturating_add(1), "what zram writes back to");
        let path = match backing {
            // Without write-back in the kernel there is no such attribute.
            Ok(None) => return,
            Ok(Some(path)) if path == b"none" => return,
            Ok(Some(path)) => path,
            Err(error) => return self.unknown(below, what, &error.to_string()),
        };
        match self.named(Path::new(OsStr::from_bytes(&path))) {
            Some(device) => self.device(device, below),
            None => self.unknown(below, what, &String::from_utf8_lossy(&path)),
        }
    }

    fn ublk(&mut self, dir: &Path, device: Device, depth: usize, title: &str, number: &str) {
        let kib: Option<u32> = sysfs::text(&dir.join("queue/max_sectors_kb")).and_then(|kib| kib.parse().ok());
        let pids = process::holders(self.tree, &format!("/dev/ublkc{number}"));
        let mut own = self.way.clone();
        own.push(device);
        let open = process::open(self.tree, &pids, &own);
        // The flags are told by a command of io_uring alone.
        let flags: Option<UblkDevice> = None;
        let layer = Layer::Ublk {
            device: flags,
            max_sectors: kib.and_then(|kib| kib.checked_mul(2)),
            server: process::server(self.tree, &pids, &open),
        };
        if self.push(depth, layer, process::named(title, &pids)) {
            self.opened(&open, depth.saturating_add(1));
        }
    }

    /// What a server has open and may keep the pages on.
    pub(super) fn opened(&mut self, open: &[process::Open], depth: usize) {
        let mounts = self.tree.mounts().unwrap_or_default();
        for open in open {
            match &open.inode {
                Some(inode) if inode.kind == Kind::BlockDevice => self.device(inode.device, depth),
                Some(inode) => self.file(inode, depth, &mounts, &open.name),
                None => self.unknown(depth, "a descriptor of the server that may not be looked at", &open.name),
            }
        }
    }
}
