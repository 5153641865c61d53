//! The ioctls that rustix does not have. Unsafe code is here, and in three files of `swap_file`: leases, XFS handles, rings.
//!
//! Each is a plain struct that the kernel fills. The layouts are UAPI, checked at compile time.
//!
//! Source: Linux v6.18, `include/uapi/linux/{fs,fiemap,btrfs,loop,f2fs}.h`; `fs/xfs/libxfs/xfs_fs.h`.
#![allow(unsafe_code)] // rustix leaves these ioctls to its callers; every block carries its proof.

use std::os::fd::AsFd;

use rustix::io::{Errno, Result};
use rustix::ioctl::{Getter, Opcode, Setter, Updater, ioctl, opcode};

/// One extent of a FIEMAP answer (`struct fiemap_extent`).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct RawExtent {
    pub(super) logical: u64,
    pub(super) physical: u64,
    pub(super) length: u64,
    pub(super) reserved64: [u64; 2],
    pub(super) flags: u32,
    pub(super) reserved: [u32; 3],
}

/// How many extents one call asks for: 229 KB, a few milliseconds of a filesystem's time.
pub(super) const BATCH: usize = 4096;

/// A FIEMAP call (`struct fiemap`) with room for its answer.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RawFiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [RawExtent; BATCH],
}

impl RawFiemap {
    pub(super) const SYNC: u32 = 1;

    /// A call that asks nothing yet; on the heap, since it is large.
    pub(super) fn new() -> Box<Self> {
        let extents = [RawExtent::default(); BATCH];
        Box::new(Self { start: 0, length: 0, flags: 0, mapped: 0, count: 0, reserved: 0, extents })
    }

    /// Asks for the extents of `length` bytes from `start` on, and gives what came, at most [`BATCH`].
    pub(super) fn ask(&mut self, fd: impl AsFd, start: u64, length: u64, flags: u32) -> Result<&[RawExtent]> {
        (self.start, self.length, self.flags, self.mapped) = (start, length, flags, 0);
        self.count = u32::try_from(BATCH).unwrap_or(0);
        // SAFETY: FS_IOC_FIEMAP reads the 32-byte header of `self` and writes that header and at most `count`
        // extents behind it; `count` is the length of the array that lies there, and both are plain integers, for
        // which any bytes are valid.
        unsafe { ioctl(fd, Updater::<FIEMAP, Self>::new(self)) }?;
        let mapped = usize::try_from(self.mapped).unwrap_or(usize::MAX).min(BATCH);
        Ok(self.extents.get(..mapped).unwrap_or_default())
    }
}

/// `struct btrfs_ioctl_fs_info_args`, as far as it is used here.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct BtrfsInfo {
    max_id: u64,
    pub(super) devices: u64,
    pub(super) uuid: [u8; 16],
    node_size: u32,
    pub(super) sector_size: u32,
    rest: [u8; 984],
}

/// Asks a btrfs for its UUID, its devices and its sector size; needs no privilege.
pub(super) fn btrfs_info(fd: impl AsFd) -> Result<BtrfsInfo> {
    let mut info = BtrfsInfo { max_id: 0, devices: 0, uuid: [0; 16], node_size: 0, sector_size: 0, rest: [0; 984] };
    // SAFETY: BTRFS_IOC_FS_INFO reads and writes one struct of 1024 bytes, which `BtrfsInfo` is (asserted below);
    // all its fields are plain integers, for which any bytes are valid.
    unsafe { ioctl(fd, Updater::<BTRFS_INFO, BtrfsInfo>::new(&mut info)) }?;
    Ok(info)
}

/// Finds items of a btrfs tree (`struct btrfs_ioctl_search_args_v2`) with room for what is found.
#[derive(Debug)]
#[repr(C)]
pub(super) struct BtrfsSearch {
    tree: u64,
    min_object: u64,
    max_object: u64,
    min_offset: u64,
    max_offset: u64,
    min_transaction: u64,
    max_transaction: u64,
    min_type: u32,
    max_type: u32,
    items: u32,
    unused: u32,
    unused64: [u64; 4],
    room: u64,
    found: [u8; SEARCH_ROOM],
}

const SEARCH_ROOM: usize = 64 << 10;

impl BtrfsSearch {
    /// A search that asks nothing yet; on the heap, since it is large.
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            tree: 0,
            min_object: 0,
            max_object: 0,
            min_offset: 0,
            max_offset: u64::MAX,
            min_transaction: 0,
            max_transaction: u64::MAX,
            min_type: 0,
            max_type: 0,
            items: 0,
            unused: 0,
            unused64: [0; 4],
            room: 0,
            found: [0; SEARCH_ROOM],
        })
    }

    /// Asks for the items of one object and type from an offset on; gives how many came, and the bytes that hold
    /// them: for each a header of 32 bytes (transaction, object, offset, type, length) and its data.
    pub(super) fn ask(
        &mut self,
        fd: impl AsFd,
        tree: u64,
        object: u64,
        kind: u32,
        offset: u64,
    ) -> Result<(u32, &[u8])> {
        (self.tree, self.min_object, self.max_object) = (tree, object, object);
        (self.min_type, self.max_type, self.min_offset) = (kind, kind, offset);
        (self.items, self.room) = (u32::MAX, u64::try_from(SEARCH_ROOM).unwrap_or(0));
        // SAFETY: BTRFS_IOC_TREE_SEARCH_V2 reads the 112-byte header of `self`, and writes its key and at most
        // `room` bytes behind the header; `room` is the length of the array that lies there. All fields are plain
        // integers, for which any bytes are valid.
        unsafe { ioctl(fd, Updater::<TREE_SEARCH, Self>::new(self)) }?;
        Ok((self.items, &self.found))
    }

    /// The items of an answer, each with the offset of its key; `None` for one that is cut off.
    pub(super) fn items(count: u32, bytes: &[u8]) -> impl Iterator<Item = Option<(u64, &[u8])>> {
        let mut rest = Some(bytes);
        (0..count).map_while(move |_| {
            let taken = rest.and_then(|bytes| {
                let offset = u64::from_ne_bytes(*bytes.get(16..)?.first_chunk()?);
                let length = u32::from_ne_bytes(*bytes.get(28..)?.first_chunk()?);
                let (item, after) = bytes.get(32..)?.split_at_checked(usize::try_from(length).ok()?)?;
                Some((offset, item, after))
            });
            let ended = rest.is_none();
            rest = taken.map(|(_, _, after)| after);
            (!ended).then(|| taken.map(|(offset, item, _)| (offset, item)))
        })
    }

    /// A word of an item, which is stored as little-endian.
    pub(super) fn word(item: &[u8], at: usize) -> Option<u64> {
        item.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
    }
}

/// The number of the subvolume that an open file of btrfs is in.
pub(super) fn btrfs_subvolume(fd: impl AsFd) -> Result<u64> {
    let mut words = [0u64; 512];
    words[1] = 256; // its root folder, whose name is empty
    // SAFETY: BTRFS_IOC_INO_LOOKUP reads and writes one struct of 4096 bytes, two u64 and a name; any bytes are valid.
    unsafe { ioctl(fd, Updater::<INO_LOOKUP, [u64; 512]>::new(&mut words)) }?;
    Ok(words[0])
}

/// Whether a btrfs device is being scrubbed.
pub(super) fn btrfs_is_scrubbed(fd: impl AsFd, device: u64) -> Result<bool> {
    let mut words = [0u64; 128];
    words[0] = device;
    // SAFETY: BTRFS_IOC_SCRUB_PROGRESS reads and writes one struct of 1024 bytes, plain integers, the device first.
    match unsafe { ioctl(fd, Updater::<SCRUB_PROGRESS, [u64; 128]>::new(&mut words)) } {
        Ok(()) => Ok(true),
        Err(Errno::NOTCONN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Asks `bmap` of the filesystem for one block of a file; 0 is a hole.
pub(super) fn block_of(fd: impl AsFd, block: i32) -> Result<i32> {
    let mut number = block;
    // SAFETY: FIBMAP reads and writes one int.
    unsafe { ioctl(fd, Updater::<FIBMAP, i32>::new(&mut number)) }?;
    Ok(number)
}

/// The block size that [`block_of`] counts in: the superblock's.
pub(super) fn block_size(fd: impl AsFd) -> Result<i32> {
    // SAFETY: FIGETBSZ writes one int.
    unsafe { ioctl(fd, Getter::<FIGETBSZ, i32>::new()) }
}

/// The extended flags of an inode (`fsx_xflags` of `struct fsxattr`).
pub(super) fn extended_flags(fd: impl AsFd) -> Result<u32> {
    // SAFETY: FS_IOC_FSGETXATTR writes one struct of 28 bytes, five u32 and padding, flags first.
    unsafe { ioctl(fd, Getter::<FSGETXATTR, [u32; 7]>::new()) }.map(|words| words[0])
}

/// The feature flags of an XFS (`flags` of `struct xfs_fsop_geom`).
pub(super) fn xfs_features(fd: impl AsFd) -> Result<u32> {
    // SAFETY: XFS_IOC_FSGEOMETRY writes one struct of 256 bytes, plain integers.
    unsafe { ioctl(fd, Getter::<XFS_GEOMETRY, [u32; 64]>::new()) }.map(|words| words[23])
}

/// Device and inode number of the file under a loop device (`lo_device`, `lo_inode` of `struct loop_info64`).
pub(super) fn loop_backing(fd: impl AsFd) -> Result<(u64, u64)> {
    // SAFETY: LOOP_GET_STATUS64 writes one struct of 232 bytes, plain integers.
    unsafe { ioctl(fd, Getter::<LOOP_STATUS, [u64; 29]>::new()) }.map(|words| (words[0], words[1]))
}

/// Has f2fs keep a file's blocks where they are, and give it whole sections from now on.
pub(super) fn pin_file(fd: impl AsFd) -> Result<()> {
    // SAFETY: F2FS_IOC_SET_PIN_FILE reads one u32.
    unsafe { ioctl(fd, Setter::<PIN_FILE, u32>::new(1)) }
}

/// The size of a block device in bytes.
pub(super) fn device_size(fd: impl AsFd) -> Result<u64> {
    // SAFETY: BLKGETSIZE64 writes one u64, though its number was made with size_t.
    unsafe { ioctl(fd, Getter::<DEVICE_SIZE, u64>::new()) }
}

const FIEMAP: Opcode = opcode::read_write::<[u8; 32]>(b'f', 11);
const BTRFS_INFO: Opcode = opcode::read::<[u8; 1024]>(0x94, 31);
const TREE_SEARCH: Opcode = opcode::read_write::<[u8; 112]>(0x94, 17);
const INO_LOOKUP: Opcode = opcode::read_write::<[u8; 4096]>(0x94, 18);
const SCRUB_PROGRESS: Opcode = opcode::read_write::<[u8; 1024]>(0x94, 29);
const FIBMAP: Opcode = opcode::none(0, 1);
const FIGETBSZ: Opcode = opcode::none(0, 2);
const FSGETXATTR: Opcode = opcode::read::<[u8; 28]>(b'X', 31);
const XFS_GEOMETRY: Opcode = opcode::read::<[u8; 256]>(b'X', 126);
const PIN_FILE: Opcode = opcode::write::<u32>(0xf5, 13);
const LOOP_STATUS: Opcode = 0x4c05; // older than the scheme of the others
const DEVICE_SIZE: Opcode = opcode::read::<usize>(0x12, 114);

const _: () = assert!(size_of::<RawExtent>() == 56 && size_of::<RawFiemap>() == 32 + 56 * BATCH);
const _: () = assert!(core::mem::offset_of!(RawFiemap, extents) == 32 && core::mem::offset_of!(RawExtent, flags) == 40);
const _: () = assert!(size_of::<BtrfsInfo>() == 1024 && core::mem::offset_of!(BtrfsInfo, sector_size) == 36);
const _: () =
    assert!(size_of::<BtrfsSearch>() == 112 + SEARCH_ROOM && core::mem::offset_of!(BtrfsSearch, found) == 112);
const _: () =
    assert!(core::mem::offset_of!(BtrfsSearch, items) == 64 && core::mem::offset_of!(BtrfsSearch, room) == 104);
