//! The ioctls that rustix does not have: the only unsafe code of the crate.
//!
//! Each is a plain struct that the kernel fills. The layouts are UAPI, checked at compile time.
//!
//! Source: Linux v6.18, `include/uapi/linux/{fs,fiemap,btrfs}.h`.
#![allow(unsafe_code)] // rustix leaves these ioctls to its callers; every block carries its proof.

use std::os::fd::AsFd;

use rustix::io::Result;
use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

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

/// The size of a block device in bytes.
pub(super) fn device_size(fd: impl AsFd) -> Result<u64> {
    // SAFETY: BLKGETSIZE64 writes one u64, though its number was made with size_t.
    unsafe { ioctl(fd, Getter::<DEVICE_SIZE, u64>::new()) }
}

const FIEMAP: Opcode = opcode::read_write::<[u8; 32]>(b'f', 11);
const BTRFS_INFO: Opcode = opcode::read::<[u8; 1024]>(0x94, 31);
const DEVICE_SIZE: Opcode = opcode::read::<usize>(0x12, 114);

const _: () = assert!(size_of::<RawExtent>() == 56 && size_of::<RawFiemap>() == 32 + 56 * BATCH);
const _: () = assert!(core::mem::offset_of!(RawFiemap, extents) == 32 && core::mem::offset_of!(RawExtent, flags) == 40);
const _: () = assert!(size_of::<BtrfsInfo>() == 1024 && core::mem::offset_of!(BtrfsInfo, sector_size) == 36);
