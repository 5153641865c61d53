//! The ioctls by which a file is made or looked at, and which rustix leaves to its callers.
#![allow(unsafe_code)] // each block carries its proof

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

/// `struct file_clone_range`.
#[derive(Debug)]
#[repr(C)]
struct CloneRange {
    source: i64,
    at: u64,
    length: u64,
    to: u64,
}

/// Makes `length` bytes of `target` at `to` share the blocks of `source` at `at`.
pub(crate) fn clone_range(target: impl AsFd, source: impl AsFd, at: u64, length: u64, to: u64) -> Result<()> {
    let range = CloneRange { source: source.as_fd().as_raw_fd().into(), at, length, to };
    // SAFETY: FICLONERANGE reads one `file_clone_range`, whose layout this is.
    unsafe { ioctl(target, Setter::<{ opcode::write::<CloneRange>(0x94, 13) }, CloneRange>::new(range)) }
}

/// `struct btrfs_ioctl_vol_args_v2`; version 1 has the name right behind the descriptor.
#[repr(C)]
struct Volume {
    source: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

const READ_ONLY: u64 = 1 << 1;

fn volume(source: i64, flags: u64, name: &Path) -> Result<Volume> {
    let mut volume = Volume { source, transaction: 0, flags, unused: [0; 4], name: [0; 4040] };
    let bytes = name.as_os_str().as_bytes();
    volume.name.get_mut(..bytes.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
    Ok(volume)
}

/// Makes an empty subvolume `name` in a folder.
pub(crate) fn subvolume(folder: impl AsFd, name: &Path) -> Result<()> {
    const CREATE: Opcode = opcode::write::<Volume>(0x94, 24);
    // SAFETY: BTRFS_IOC_SUBVOL_CREATE_V2 reads one `btrfs_ioctl_vol_args_v2`, whose layout this is.
    unsafe { ioctl(folder, Setter::<CREATE, Volume>::new(volume(0, 0, name)?)) }
}

/// Makes a snapshot `name` of a subvolume in a folder.
pub(crate) fn snapshot(folder: impl AsFd, source: impl AsFd, name: &Path, read_only: bool) -> Result<()> {
    const SNAPSHOT: Opcode = opcode::write::<Volume>(0x94, 23);
    let source = source.as_fd().as_raw_fd().into();
    let flags = if read_only { READ_ONLY } else { 0 };
    // SAFETY: as for `subvolume`, BTRFS_IOC_SNAP_CREATE_V2.
    unsafe { ioctl(folder, Setter::<SNAPSHOT, Volume>::new(volume(source, flags, name)?)) }
}

/// Deletes a subvolume of a folder.
pub(crate) fn delete_subvolume(folder: impl AsFd, name: &Path) -> Result<()> {
    const DESTROY: Opcode = opcode::write::<Volume>(0x94, 63);
    // SAFETY: as for `subvolume`, BTRFS_IOC_SNAP_DESTROY_V2.
    unsafe { ioctl(folder, Setter::<DESTROY, Volume>::new(volume(0, 0, name)?)) }
}

/// `struct fiemap_extent`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Extent {
    pub(crate) logical: u64,
    pub(crate) physical: u64,
    pub(crate) length: u64,
    reserved: [u64; 2],
    pub(crate) flags: u32,
    more: [u32; 3],
}

const BATCH: usize = 512;

/// `struct fiemap` with room for an answer.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; BATCH],
}

/// At most [`BATCH`] extents from `start` on, after a sync.
pub(crate) fn fiemap(fd: impl AsFd, start: u64, length: u64) -> Result<Vec<Extent>> {
    const SYNC: u32 = 1;
    const FIEMAP: Opcode = opcode::read_write::<[u8; 32]>(b'f', 11);
    let count = u32::try_from(BATCH).map_err(|_| Errno::INVAL)?;
    let extents = [Extent::default(); BATCH];
    let mut call = Box::new(Fiemap { start, length, flags: SYNC, mapped: 0, count, reserved: 0, extents });
    // SAFETY: FS_IOC_FIEMAP reads 32 bytes, and writes them and at most `count` extents behind them: the array's.
    unsafe { ioctl(fd, Updater::<FIEMAP, Fiemap>::new(&mut call)) }?;
    let mapped = usize::try_from(call.mapped).unwrap_or(usize::MAX).min(BATCH);
    Ok(call.extents.get(..mapped).unwrap_or_default().to_vec())
}

const _: () = assert!(size_of::<Volume>() == 4096 && size_of::<CloneRange>() == 32 && size_of::<Extent>() == 56);
