//! A file of XFS by its handle: opened so, writes stamp no times.
//!
//! Source: Linux v6.18, `fs/xfs/xfs_handle.c` (`xfs_find_handle`, `xfs_open_by_handle`), `fs/xfs/libxfs/xfs_fs.h`.
#![allow(unsafe_code)] // two ioctls that rustix does not have, each with its proof

use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags, Result, fcntl_setfd};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Updater, ioctl, opcode};

/// A handle (`struct xfs_handle`), and how many of its bytes are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    bytes: [u64; 4],
    length: u32,
}

/// `struct xfs_fsop_handlereq`.
#[repr(C)]
struct Request {
    fd: u32,
    path: *const c_void,
    flags: u32,
    given: *const c_void,
    given_length: u32,
    answer: *mut c_void,
    answer_length: *mut u32,
}

impl Handle {
    /// Asks for the handle of an open file. Needs `CAP_SYS_ADMIN`.
    pub(super) fn of(file: impl AsFd) -> Result<Self> {
        let mut handle = Self { bytes: [0; 4], length: 0 };
        let mut request = Request {
            fd: u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?,
            path: std::ptr::null(),
            flags: 0,
            given: std::ptr::null(),
            given_length: 0,
            answer: handle.bytes.as_mut_ptr().cast(),
            answer_length: &raw mut handle.length,
        };
        // SAFETY: XFS_IOC_FD_TO_HANDLE reads `request`, which has the layout of its struct (asserted below), and
        // writes a handle of at most 24 bytes to `answer` and its length to `answer_length`. Both point into `handle`,
        // which outlives the call and has 32 bytes; any bytes are valid integers. Nothing is kept.
        unsafe { ioctl(&file, Updater::<FD_TO_HANDLE, Request>::new(&mut request)) }?;
        if handle.length > 24 { Err(Errno::RANGE) } else { Ok(handle) }
    }

    /// Opens the file of the handle, on the filesystem of the open folder.
    pub(super) fn open(&self, folder: impl AsFd, flags: OFlags) -> Result<OwnedFd> {
        let request = Request {
            fd: 0,
            path: std::ptr::null(),
            flags: flags.bits(),
            given: self.bytes.as_ptr().cast(),
            given_length: self.length,
            answer: std::ptr::null_mut(),
            answer_length: std::ptr::null_mut(),
        };
        // SAFETY: XFS_IOC_OPEN_BY_HANDLE reads `request` and `given_length` bytes at `given`, at most 24 of the 32 that
        // `self` has and that outlive the call. It writes no memory.
        let opened = unsafe { ioctl(folder, Open(request)) }?;
        // A program that another thread starts just now inherits it: this ioctl knows no O_CLOEXEC.
        fcntl_setfd(&opened, FdFlags::CLOEXEC)?;
        Ok(opened)
    }
}

/// The call whose return value is a descriptor.
struct Open(Request);

// SAFETY: the opcode is that of XFS_IOC_OPEN_BY_HANDLE, whose argument is the struct that `as_ptr` gives.
unsafe impl Ioctl for Open {
    type Output = OwnedFd;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPEN_BY_HANDLE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<OwnedFd> {
        if out < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: a call that did not fail returned a descriptor that it has just made, which is nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

const FD_TO_HANDLE: Opcode = opcode::read_write::<Request>(b'X', 106);
const OPEN_BY_HANDLE: Opcode = opcode::read_write::<Request>(b'X', 107);

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Request>() == 56 && core::mem::offset_of!(Request, given) == 24);
