//! What a loop device stands on: the file behind it, through which its worker reads and writes.
//!
//! swapon accepts the device whatever the file is. Every page then goes through the file's filesystem, by the file
//! model: into holes, by copies on write, over a network.
//!
//! Source: Linux v6.18, `drivers/block/loop.c` (`loop_attr_backing_file_show`, `loop_get_status`).

use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::claims::Claims;
use super::filesystem::{Way, way};
use super::inode::{Device, Inode};
use super::ioctl::loop_backing;
use super::open::open;
use super::report::{Collector, Depth, For, Judgement, UNKNOWN};
use super::walk::Walk;
use super::{error::ExamineError, mount, through};
use crate::activation::Profile;
use crate::extent::DeviceId;
use crate::header::Area;
use crate::topology::Override;
use crate::unit::PageSize;

/// The file under a loop device, judged by the file model.
#[derive(Clone, Debug, PartialEq)]
pub struct Backing {
    /// Its name, as the kernel gives it.
    pub path: PathBuf,
    /// Its filesystem's name in the mount table.
    pub filesystem: String,
    /// Why a server should not swap through it; byte ranges are of this file. `None` where the name leads elsewhere
    /// from here, or the file may not be read: then nothing is said of it.
    pub file: Option<Judgement>,
}

impl Backing {
    /// Looks at the file under the loop device whose folder in /sys is `dir`.
    pub(super) fn of(device: &File, dir: &Path, page_size: PageSize, depth: Depth) -> Option<Self> {
        let mut name = std::fs::read(dir.join("loop/backing_file")).ok()?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        let path = PathBuf::from(std::ffi::OsString::from_vec(name));
        let mut backing = Self { path, filesystem: UNKNOWN.to_owned(), file: None };
        if let Ok((filesystem, judgement)) = backing.look(device, page_size, depth) {
            backing.filesystem = filesystem;
            backing.file = judgement;
        }
        Some(backing)
    }

    fn look(
        &self,
        device: &File,
        page_size: PageSize,
        depth: Depth,
    ) -> Result<(String, Option<Judgement>), ExamineError> {
        let named = Inode::at(&self.path).map_err(ExamineError::LookUp)?;
        let (number, inode) = loop_backing(device).map_err(ExamineError::Open)?;
        if (named.identity.0, named.identity.1) != (Device::of_kernel(number), inode) {
            return Err(ExamineError::Replaced);
        }
        let (file, inode) = open(&self.path, &named)?;
        let mount = mount::of(&inode).ok().flatten();
        let way = mount.as_ref().map_or(Way::Unknown(UNKNOWN), way);
        let mut found = Collector::new(depth, Override::empty());
        let reasons = [through::filesystem(way), through::inode(&inode, mount.as_ref(), page_size)];
        reasons.into_iter().flatten().for_each(|reason| found.say(For::File, reason));
        if way.is_iomap() {
            let claims = Claims::of(&file, &inode, way).map_err(ExamineError::Open)?;
            if let Ok(area) = Area::without_header(inode.size, page_size) {
                let walk = Walk { file: &file, claims: &claims, area: &area };
                walk.judge(Profile::Iomap { device: DeviceId::MAIN }, &mut found)?;
            }
        }
        Ok((mount.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind), Some(found.into_file())))
    }
}
