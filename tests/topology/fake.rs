//! A /sys and a /proc made by hand, for tables that no machine here has.
#![cfg(all(feature = "linux", target_os = "linux"))]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use swap_dio::linux::{Topology, Tree};
use swap_dio::topology::{Consumer, Layer, Override, Told};
use tempfile::TempDir;

/// A /sys and a /proc made by hand.
pub(crate) struct Fake(TempDir);

impl Fake {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("sys/dev/block")).expect("a folder");
        std::fs::create_dir_all(folder.path().join("proc/self")).expect("a folder");
        std::fs::write(folder.path().join("proc/self/mountinfo"), "").expect("a table");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::at(self.0.path().join("sys"), self.0.path().join("proc"))
    }

    /// A device at a place in /sys/devices, with attributes.
    pub(crate) fn device(&self, number: (u32, u32), place: &str, attributes: &[(&str, &str)]) -> PathBuf {
        let dir = self.0.path().join("sys/devices").join(place);
        std::fs::create_dir_all(&dir).expect("a folder");
        let text = format!("{}:{}", number.0, number.1);
        write(&dir, "dev", &format!("{text}\n"));
        attributes.iter().for_each(|(name, value)| write(&dir, name, value));
        symlink(&dir, self.0.path().join("sys/dev/block").join(text)).expect("a link");
        dir
    }

    /// The name that the kernel gave a device, in /dev.
    pub(crate) fn named(&self, name: &str, dir: &Path) {
        let names = self.0.path().join("sys/class/block");
        std::fs::create_dir_all(&names).expect("a folder");
        symlink(dir, names.join(name)).expect("a link");
    }

    /// What a process has open, or runs.
    pub(crate) fn link(&self, name: &str, target: &str) {
        let path = self.0.path().join("proc").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        symlink(target, path).expect("a link");
    }

    pub(crate) fn proc(&self, name: &str, text: &[u8]) {
        let path = self.0.path().join("proc").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

pub(crate) fn write(dir: &Path, name: &str, value: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, value).expect("an attribute");
}

pub(crate) fn stack(upper: &Path, lower: &Path) {
    let slaves = upper.join("slaves");
    std::fs::create_dir_all(&slaves).expect("a folder");
    symlink(lower, slaves.join(lower.file_name().expect("a name"))).expect("a link");
}

pub(crate) fn refused(topology: &Topology) -> &'static str {
    // Neither another kernel's swap nor any risk accepted makes up for what is not known.
    let judged = topology.judge(Consumer::OtherKernel, Override::all());
    let reason = judged.outcome.expect_err("refused");
    assert!(!reason.to_string().contains('\n'));
    reason.code()
}

/// The layers, each in its word.
pub(crate) fn words(topology: &Topology) -> Vec<&'static str> {
    topology.layers().map(|(link, _)| link.layer.word()).collect()
}

pub(crate) const MAPPED: Layer = Layer::DeviceMapper { in_place: Told::Yes };
pub(crate) const DISK: &str = "pci0000:00/virtio1/block/vda";
