//! f2fs: where its main area begins and how large a section is, from the superblock; whether there is room to move.
//!
//! swapon itself moves what is not in whole sections, so it is foretold only where free sections are plenty. The
//! superblock is read from the device, which takes a privilege; a filesystem over several devices has addresses that
//! are none of a device.
//!
//! Source: Linux v6.18, `include/linux/f2fs_fs.h` (`struct f2fs_super_block`), `fs/f2fs/sysfs.c` (`free_segments`),
//! `fs/f2fs/data.c:f2fs_swap_activate`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::inode::Inode;
use super::mount::Mount;
use crate::candidate::Kind;
use crate::release::Release;
use crate::unit::{Bytes, PageIndex, PageSize};

/// What a mounted f2fs is laid out like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Volume {
    /// The device page where the main area begins.
    pub(super) main: PageIndex,
    pub(super) section: Bytes,
}

impl Volume {
    /// Reads the superblock of the device that is mounted; `None` where that may not be, or is laid out otherwise.
    pub(super) fn of(mount: &Mount, page_size: PageSize) -> Option<Self> {
        let device = Inode::at(&mount.source).ok()?;
        if device.kind != Kind::BlockDevice || device.device != mount.device {
            return None;
        }
        let mut superblock = [0; 3072];
        File::open(&mount.source).ok()?.read_exact_at(&mut superblock, SUPERBLOCK).ok()?;
        Self::read(&superblock, page_size)
    }

    fn read(superblock: &[u8], page_size: PageSize) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(*superblock.get(at..)?.first_chunk()?));
        let is_one_device = *superblock.get(FIRST_DEVICE)? == 0;
        if word(0)? != MAGIC || word(16)? != page_size.shift() || !is_one_device {
            return None;
        }
        let blocks = 1u64.checked_shl(word(20)?)?.checked_mul(word(24)?.into())?;
        let section = Bytes::new(blocks.checked_mul(page_size.bytes().get())?);
        (section > Bytes::ZERO).then_some(Self { main: PageIndex::new(word(92)?.into()), section })
    }

    /// Whether a file of that size could be moved as a whole, twice over.
    pub(super) fn has_room_for(&self, size: Bytes, mount: &Mount) -> bool {
        let name = mount.source.file_name().unwrap_or_default();
        let number = |attribute: &str| {
            let text = std::fs::read_to_string(Path::new("/sys/fs/f2fs").join(name).join(attribute)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        // 6.1 does not show what is reserved; it is a part of what is provisioned.
        let reserved = number("reserved_segments").or_else(|| number("ovp_segments"));
        let free = number("free_segments").zip(reserved);
        let segment = Bytes::new(SEGMENT).min(self.section);
        let needed = size.get().div_ceil(segment.get()).saturating_add(1).saturating_mul(2);
        free.is_some_and(|(free, reserved)| free.saturating_sub(reserved) > needed)
    }
}

/// Whether nothing is ever overwritten in place.
pub(super) fn is_log_structured(mount: &Mount) -> bool {
    mount.options.split(',').any(|option| option == "mode=lfs")
}

/// Whether the filesystem is made for a device with zones.
pub(super) fn may_be_zoned(mount: &Mount) -> bool {
    let queue = Path::new("/sys/dev/block").join(mount.device.to_string()).join("queue/zoned");
    std::fs::read_to_string(queue).map_or(true, |model| model.trim() != "none")
}

/// The first release read in which an ENOENT of the moving becomes EINVAL; 6.1 gives either for a hole.
pub(super) const HOLES_ARE_EINVAL: Release = Release::new(6, 12);

const SUPERBLOCK: u64 = 1024;
const MAGIC: u32 = 0xf2f5_2010;
/// `devs[0].path`: set where the filesystem has several devices.
const FIRST_DEVICE: usize = 2201;
const SEGMENT: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(words: &[(usize, u32)]) -> Vec<u8> {
        let word = |at: usize| words.iter().find(|(place, _)| *place == at).map_or(0, |(_, value)| *value);
        (0..3072).step_by(4).flat_map(|at| word(at).to_le_bytes()).collect()
    }

    #[test]
    fn the_layout_is_read_or_not_known() {
        let good = [(0, MAGIC), (16, 12), (20, 9), (24, 1), (92, 5632)];
        let with = |at, value| [&[(at, value)], &good[..]].concat();
        let volume = Volume { main: PageIndex::new(5632), section: Bytes::new(2 << 20) };
        assert_eq!(Volume::read(&superblock(&good), PageSize::KIB_4), Some(volume));
        for (name, words) in [
            ("another magic", with(0, 1)),
            ("another block size", with(16, 14)),
            ("a shift that is none", with(20, 64)),
            ("no sections", with(24, 0)),
            ("several devices", with(2200, 0xff00)),
        ] {
            assert_eq!(Volume::read(&superblock(&words), PageSize::KIB_4), None, "{name}");
        }
        assert_eq!(Volume::read(&[], PageSize::KIB_4), None);
    }
}
