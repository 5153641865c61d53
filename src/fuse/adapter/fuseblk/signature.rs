//! Whose mark a device carries: a filesystem's, swap's, a container's. Not whether it is whole.
//!
//! Source: the layouts are those of Linux v6.18 (`fs/*/`, `include/linux/swap.h`, `block/partitions/`), of cryptsetup,
//! LVM2 and mdadm.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A mark that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signature {
    name: &'static str,
    offset: u64,
}

impl Signature {
    /// Looks for a mark.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn find(device: &File) -> io::Result<Option<Self>> {
        for (name, offset, magic) in MARKS {
            let mut found = [0; LONGEST];
            let Some(found) = found.get_mut(..magic.len()) else { continue };
            match device.read_exact_at(found, *offset) {
                Ok(()) if found == *magic => return Ok(Some(Self { name, offset: *offset })),
                // A device that ends before the mark has none.
                Ok(()) => (),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => (),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What it is a mark of.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The byte of the device that it stands at.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.name, self.offset)
    }
}

const LONGEST: usize = 16;

/// A mark of two bytes is enough only where it is long known: a partition table and ext4. What is inside another, as a
/// filesystem's boot sector is beside a partition table's mark, stands first.
#[rustfmt::skip] // a table
const MARKS: &[(&str, u64, &[u8])] = &[
    ("xfs",                    0,            b"XFSB"),
    ("LUKS",                   0,            b"LUKS\xba\xbe"),
    ("LUKS, second header",    0x4000,       b"SKUL\xba\xbe"),
    ("ntfs",                   3,            b"NTFS    "),
    ("exfat",                  3,            b"EXFAT   "),
    ("BitLocker",              3,            b"-FVE-FS-"),
    ("vfat",                   0x52,         b"FAT32   "),
    ("vfat",                   0x36,         b"FAT16   "),
    ("vfat",                   0x36,         b"FAT12   "),
    ("squashfs",               0,            b"hsqs"),
    ("cramfs",                 0,            b"\x45\x3d\xcd\x28"),
    ("ext2, ext3 or ext4",     1080,         b"\x53\xef"),
    ("f2fs",                   1024,         b"\x10\x20\xf5\xf2"),
    ("erofs",                  1024,         b"\xe2\xe1\xf5\xe0"),
    ("hfsplus",                1024,         b"H+\x00\x04"),
    ("hfsplus",                1024,         b"HX\x00\x05"),
    ("btrfs",                  0x1_0040,     b"_BHRfS_M"),
    ("bcachefs",               4120,         b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
    ("bcache or bcachefs",     4120,         b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    ("jfs",                    0x8000,       b"JFS1"),
    ("reiserfs",               0x1_0034,     b"ReIsEr"),
    ("nilfs2",                 1030,         b"\x34\x34"),
    ("iso9660",                0x8001,       b"CD001"),
    ("udf",                    0x8001,       b"BEA01"),
    ("gfs2",                   0x1_0000,     b"\x01\x16\x19\x70"),
    ("ocfs2",                  0x2000,       b"OCFSV2"),
    ("zfs",                    0x2_0000,     b"\x0c\xb1\xba\x00\x00\x00\x00\x00"),
    ("swap",                   4086,         b"SWAPSPACE2"),
    ("swap",                   8182,         b"SWAPSPACE2"),
    ("swap",                   16374,        b"SWAPSPACE2"),
    ("swap",                   32758,        b"SWAPSPACE2"),
    ("swap",                   65526,        b"SWAPSPACE2"),
    ("swap, old",              4086,         b"SWAP-SPACE"),
    ("a hibernated system",    4086,         b"S1SUSPEND"),
    ("a hibernated system",    4086,         b"ULSUSPEND"),
    ("LVM",                    0,            b"LABELONE"),
    ("LVM",                    512,          b"LABELONE"),
    ("LVM",                    1024,         b"LABELONE"),
    ("LVM",                    1536,         b"LABELONE"),
    ("a RAID member",          0,            b"\xfc\x4e\x2b\xa9"),
    ("a RAID member",          4096,         b"\xfc\x4e\x2b\xa9"),
    ("ceph",                   0,            b"bluestore block "),
    ("VDO",                    0,            b"dmvdo001"),
    ("a partition table, GPT", 512,          b"EFI PART"),
    ("a partition table, GPT", 4096,         b"EFI PART"),
    ("a partition table",      510,          b"\x55\xaa"),
];
