//! What the inode says of itself: kind, size, mode, attributes, direct I/O.
//!
//! Source: Linux v6.18, `include/uapi/linux/{stat,fs}.h`; statx(2), ioctl_iflags(2).

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags, ioctl_getflags, statx};
use rustix::io::Errno;

use crate::candidate::Kind;
use crate::feature::DirectIo;
use crate::reason::SpecialFile;
use crate::unit::{Bytes, Sectors};

/// What statx and the inode flags say.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) size: Bytes,
    pub(super) allocated: Sectors,
    /// `st_blksize`: what the filesystem, or a FUSE server, states for this file.
    pub(super) preferred_block: Bytes,
    pub(super) links: u32,
    /// Permission bits, set-id bits included.
    pub(super) mode: u16,
    pub(super) owner: u32,
    pub(super) mount: Option<u64>,
    /// Device of the inode's filesystem, and its number there: the file's identity.
    pub(super) identity: (Device, u64),
    /// For a block device: which.
    pub(super) device: Device,
    pub(super) immutable: bool,
    pub(super) append_only: bool,
    pub(super) encrypted: bool,
    pub(super) verity: bool,
    pub(super) dax: bool,
    pub(super) compressed: bool,
    pub(super) no_cow: bool,
    pub(super) journaled: bool,
    /// What statx says of direct I/O; alignments that are none count as nothing said.
    pub(super) direct_io: DirectIo,
}

/// Major and minor number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Device(pub(super) u32, pub(super) u32);

impl Device {
    /// Reads the kernel's 64-bit form (`huge_encode_dev`).
    pub(super) fn of_kernel(number: u64) -> Self {
        Self(rustix::fs::major(number), rustix::fs::minor(number))
    }

    /// Twelve bits and twenty, as the kernel keeps it and tells a FUSE connection (`MKDEV`).
    pub(super) fn kernel_number(self) -> u64 {
        u64::from(self.0) << 20 | u64::from(self.1)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl Inode {
    /// Reads the facts of what a path leads to, without opening it: all but the inode flags.
    pub(super) fn at(path: &Path) -> rustix::io::Result<Self> {
        Self::of(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// The same by what the kernel knows already: a server that does not answer is not asked.
    pub(super) fn at_cached(path: &Path) -> rustix::io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Self::by(fd, AtFlags::STATX_DONT_SYNC)
    }

    /// Reads the facts of an open file.
    pub(super) fn of(fd: impl AsFd) -> rustix::io::Result<Self> {
        Self::by(fd, AtFlags::empty())
    }

    fn by(fd: impl AsFd, how: AtFlags) -> rustix::io::Result<Self> {
        // rustix has no name for the alignment of reads.
        let read_align = StatxFlags::from_bits_retain(DirectIo::STATX_DIO_READ_ALIGN);
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID | StatxFlags::DIOALIGN | read_align;
        let stat = statx(&fd, c"", AtFlags::EMPTY_PATH.union(how), wanted)?;
        let got = |flag: StatxFlags| StatxFlags::from_bits_retain(stat.stx_mask).contains(flag);
        let flags = match ioctl_getflags(&fd) {
            Ok(flags) => flags.bits(),
            // A filesystem without inode flags has none that matter here; a descriptor of `O_PATH` cannot be asked.
            Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::BADF | Errno::INVAL | Errno::NOSYS) => 0,
            Err(error) => return Err(error),
        };
        let attribute = |attribute, flag: u32| stat.stx_attributes.contains(attribute) || flags & flag != 0;
        Ok(Self {
            kind: kind_of(stat.stx_mode).ok_or(Errno::INVAL)?,
            size: Bytes::new(stat.stx_size),
            allocated: Sectors::new(stat.stx_blocks),
            preferred_block: Bytes::new(stat.stx_blksize.into()),
            links: stat.stx_nlink,
            mode: stat.stx_mode & 0o7777,
            owner: stat.stx_uid,
            mount: got(StatxFlags::MNT_ID).then_some(stat.stx_mnt_id),
            identity: (Device(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino),
            device: Device(stat.stx_rdev_major, stat.stx_rdev_minor),
            immutable: attribute(StatxAttributes::IMMUTABLE, FS_IMMUTABLE_FL),
            append_only: attribute(StatxAttributes::APPEND, FS_APPEND_FL),
            encrypted: attribute(StatxAttributes::ENCRYPTED, FS_ENCRYPT_FL),
            verity: attribute(StatxAttributes::VERITY, FS_VERITY_FL),
            dax: stat.stx_attributes.contains(StatxAttributes::DAX),
            compressed: attribute(StatxAttributes::COMPRESSED, FS_COMPR_FL),
            no_cow: flags & FS_NOCOW_FL != 0,
            journaled: flags & FS_JOURNAL_DATA_FL != 0,
            direct_io: DirectIo::from_statx(
                stat.stx_mask,
                stat.stx_dio_mem_align,
                stat.stx_dio_offset_align,
                stat.stx_dio_read_offset_align,
            )
            .unwrap_or(DirectIo::Unknown),
        })
    }
}

fn kind_of(mode: u16) -> Option<Kind> {
    Some(match FileType::from_raw_mode(mode.into()) {
        FileType::RegularFile => Kind::RegularFile,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Directory => Kind::Directory,
        FileType::Fifo => Kind::Special(SpecialFile::Fifo),
        FileType::Socket => Kind::Special(SpecialFile::Socket),
        FileType::CharacterDevice => Kind::Special(SpecialFile::CharacterDevice),
        FileType::Symlink | FileType::Unknown => return None,
    })
}

const FS_COMPR_FL: u32 = 0x4;
const FS_IMMUTABLE_FL: u32 = 0x10;
const FS_APPEND_FL: u32 = 0x20;
const FS_ENCRYPT_FL: u32 = 0x800;
const FS_JOURNAL_DATA_FL: u32 = 0x4000;
const FS_VERITY_FL: u32 = 0x10_0000;
const FS_NOCOW_FL: u32 = 0x80_0000;
