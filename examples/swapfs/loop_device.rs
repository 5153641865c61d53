//! A loop device over a file, with direct I/O, that goes when nobody has it open any more (`LO_FLAGS_AUTOCLEAR`).
//!
//! So a killed program leaves none behind, and one that is still swapped to stays until swapoff.
//!
//! Source: Linux v6.18, `include/uapi/linux/loop.h`, `drivers/block/loop.c`.
#![allow(unsafe_code)] // the loop ioctls, which no safe crate wraps, each with its proof

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::superblock::BLOCK;

/// A loop device of ours, attached for as long as this, or anybody, has it open.
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    /// Kept open: this is what holds it.
    _file: File,
}

impl LoopDevice {
    /// Attaches a free loop device to a file. It counts in blocks of 4 KiB, so that below only whole pages are seen.
    pub(crate) fn attach(backing: BorrowedFd<'_>) -> io::Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open(CONTROL);
        let control = control.map_err(|error| io::Error::other(format!("cannot open {CONTROL}: {error}")))?;
        // Somebody else may take the free one first.
        for _ in 0..ATTEMPTS {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument.
            let number = check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) });
            let number = number.map_err(|error| io::Error::other(format!("no free loop device: {error}")))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let config = Config {
                backing: u32::try_from(backing.as_raw_fd()).map_err(io::Error::other)?,
                block_size: u32::try_from(BLOCK).map_err(io::Error::other)?,
                info: Info { flags: AUTOCLEAR | DIRECT_IO, ..Info::EMPTY },
                reserved: [0; 8],
            };
            // SAFETY: LOOP_CONFIGURE reads one `loop_config`, which `Config` lays out, and keeps no pointer to it.
            match check(unsafe { libc::ioctl(file.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }) {
                Ok(_) => return Ok(Self { path, _file: file }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => (),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no loop device stayed free"))
    }

    /// Whether the kernel does direct I/O below it, which it gives up without a word where it cannot.
    pub(crate) fn is_direct(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        let dio = Path::new("/sys/block").join(name).join("loop/dio");
        std::fs::read_to_string(dio).is_ok_and(|text| text.trim() == "1")
    }
}

/// Device and inode of the file below a loop device.
pub(crate) fn backing(device: &File) -> io::Result<(u64, u64)> {
    let mut info = Info::EMPTY;
    // SAFETY: LOOP_GET_STATUS64 fills one `loop_info64`, which `Info` lays out; every bit pattern is one.
    check(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_GET_STATUS64, &raw mut info) })?;
    Ok((info.device, info.inode))
}

/// Opens for reading and writing past the page cache.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT).open(path)
}

const ATTEMPTS: u32 = 64;
const CONTROL: &str = "/dev/loop-control";
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_GET_STATUS64: libc::Ioctl = 0x4c05;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

/// `struct loop_config`.
#[repr(C)]
struct Config {
    backing: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const _: () = assert!(size_of::<Config>() == 304);

impl Info {
    const EMPTY: Self = Self {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
}

fn check(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}
