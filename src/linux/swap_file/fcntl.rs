//! The commands of fcntl(2) for leases, which rustix does not have.
//!
//! Source: Linux v6.18, `fs/locks.c:generic_add_lease`, `fcntl_setlease`; fcntl(2).
#![allow(unsafe_code)] // no safe crate wraps leases; both calls take and give integers only

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

unsafe extern "C" {
    // The standard library links it on every Linux target that has `std`.
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
}

/// Takes the lease of a writer: whoever else opens the file waits until it is given back, or for the time of
/// `/proc/sys/fs/lease-break-time`.
///
/// The kernel tells its owner of that by SIGIO, which ends a process that does not expect it. There is no owner here,
/// and as long as taking it makes this process the owner, the signal is SIGURG, which ends nothing.
///
/// # Errors
/// `EAGAIN` where somebody else has it open for writing; `EACCES` for a file of another user; `EINVAL` where the
/// filesystem has no leases.
pub(super) fn take_lease(fd: impl AsFd) -> rustix::io::Result<()> {
    if NUMBERS_ARE_OTHERS {
        return Err(Errno::INVAL);
    }
    call(&fd, F_SETSIG, SIGURG)?;
    call(&fd, F_SETLEASE, F_WRLCK)?;
    call(&fd, F_SETOWN, 0).map(drop)
}

/// Gives it back.
pub(super) fn give_lease_back(fd: impl AsFd) -> rustix::io::Result<()> {
    call(fd, F_SETLEASE, F_UNLCK).map(drop)
}

/// Whether the lease is held in full: nobody waits for it, and its time has not run out.
pub(super) fn has_lease(fd: impl AsFd) -> bool {
    !NUMBERS_ARE_OTHERS && call(fd, F_GETLEASE, 0) == Ok(F_WRLCK)
}

fn call(fd: impl AsFd, command: c_int, argument: c_int) -> rustix::io::Result<c_int> {
    // SAFETY: the descriptor is open while it is borrowed. F_SETSIG, F_SETLEASE and F_SETOWN take an int, F_GETLEASE
    // ignores it; none of them takes or gives a pointer, so no memory is touched.
    match unsafe { fcntl(fd.as_fd().as_raw_fd(), command, argument) } {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
        value => Ok(value),
    }
}

/// Where Linux numbers these otherwise, no lease is taken.
const NUMBERS_ARE_OTHERS: bool = cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6",
    target_arch = "sparc",
    target_arch = "sparc64"
));

const F_SETOWN: c_int = 8;
const F_SETSIG: c_int = 10;
const SIGURG: c_int = 23;
const F_SETLEASE: c_int = 1024;
const F_GETLEASE: c_int = 1025;
const F_WRLCK: c_int = 1;
const F_UNLCK: c_int = 2;
