//! An io_uring over one file, with memory that is locked and registered: the unsafe part of the ring.
//!
//! # Invariants
//! 1. A place's memory is mapped when the queue is made, registered under the place's number, and unmapped when the
//!    queue is dropped; that of a place whose request has not ended by then is never unmapped.
//! 2. While a request of a place is pushed and not reaped, nothing in this process reads or writes its memory.
//! 3. A place has one request at a time, so there are never more than places: neither queue of the ring runs over.
//!
//! Source: Linux v6.18, `io_uring/rw.c`, `io_uring/rsrc.c` (a request holds the registered buffer that it uses).
#![allow(unsafe_code)] // registering memory and pushing entries are promises about it; each has its proof

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use memmap2::{MmapMut, MmapOptions};

use crate::flags::Direction;

/// A ring, and places for requests with their memory.
pub(super) struct Queue {
    ring: IoUring,
    places: Vec<Place>,
}

struct Place {
    /// `None` only while the queue is dropped.
    memory: Option<MmapMut>,
    is_flying: bool,
}

impl Queue {
    /// Makes a ring for so many requests of so many bytes, maps, touches, locks and registers their memory, and
    /// registers the file.
    pub(super) fn new(file: impl AsFd, places: u16, bytes: usize) -> io::Result<Self> {
        let ring = build(places.into())?;
        let mut made = Vec::with_capacity(places.into());
        for _ in 0..places {
            let memory = MmapOptions::new().len(bytes).populate().map_anon()?;
            memory.lock()?;
            made.push(Place { memory: Some(memory), is_flying: false });
        }
        let pieces: Vec<libc::iovec> = made
            .iter_mut()
            .filter_map(|place| place.memory.as_mut())
            .map(|memory| libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() })
            .collect();
        // SAFETY: each piece is a private anonymous mapping that is mapped now and stays so until the ring is closed
        // (invariant 1; the ring is the first field, so it is dropped before the places).
        unsafe { ring.submitter().register_buffers(&pieces) }?;
        ring.submitter().register_files(&[file.as_fd().as_raw_fd()])?;
        Ok(Self { ring, places: made })
    }

    /// The memory of a place; `None` while a request has it.
    pub(super) fn memory(&self, place: u16) -> Option<&[u8]> {
        self.places.get(usize::from(place)).filter(|place| !place.is_flying)?.memory.as_deref()
    }

    /// The same, to be written to.
    pub(super) fn memory_mut(&mut self, place: u16) -> Option<&mut [u8]> {
        self.places.get_mut(usize::from(place)).filter(|place| !place.is_flying)?.memory.as_deref_mut()
    }

    /// Whether a request of so many bytes has room in the memory of a place.
    pub(super) fn fits(&self, place: u16, length: u32) -> bool {
        let room = self.memory(place).and_then(|memory| u32::try_from(memory.len()).ok());
        room.is_some_and(|room| length <= room)
    }

    /// Puts the request of a place into the ring; [`submit`](Self::submit) sends it. `None`, and nothing is put there,
    /// if the place has one already or its memory is shorter.
    pub(super) fn push(&mut self, place: u16, direction: Direction, offset: u64, length: u32) -> Option<()> {
        let at = self.places.get_mut(usize::from(place)).filter(|at| !at.is_flying)?;
        let memory =
            at.memory.as_mut().filter(|memory| u32::try_from(memory.len()).is_ok_and(|room| length <= room))?;
        let address = memory.as_mut_ptr();
        let entry = match direction {
            Direction::Read => opcode::ReadFixed::new(Fixed(0), address, length, place).offset(offset).build(),
            Direction::Write => opcode::WriteFixed::new(Fixed(0), address, length, place).offset(offset).build(),
        };
        let entry = entry.user_data(place.into());
        // SAFETY: the file of index 0 is registered for as long as the ring. The entry's memory is the mapping that was
        // registered under this number, and lies in it (checked above). It is mapped until the queue is dropped, and
        // beyond if the request has not ended (invariant 1); nobody here touches it until it is reaped (invariant 2:
        // `is_flying` is set below, and every door to the memory asks it).
        unsafe { self.ring.submission().push(&entry) }.ok()?;
        at.is_flying = true;
        Some(())
    }

    /// Sends what was pushed.
    pub(super) fn submit(&self) -> io::Result<()> {
        self.ring.submit().map(drop)
    }

    /// Sends what was pushed, and waits for the end of one request, at most so long. A signal ends the wait too.
    pub(super) fn wait(&self, limit: Duration) -> io::Result<()> {
        let limit = Timespec::from(limit);
        let waited = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit));
        match waited {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the end of one request: its place, and what was returned.
    pub(super) fn reap(&mut self) -> Option<(u16, i32)> {
        // An entry of no place is none of ours, and cannot be: each was pushed above.
        while let Some(entry) = self.ring.completion().next() {
            let Ok(number) = u16::try_from(entry.user_data()) else { continue };
            let place = self.places.get_mut(usize::from(number)).filter(|place| place.is_flying);
            if let Some(place) = place {
                place.is_flying = false;
                return Some((number, entry.result()));
            }
        }
        None
    }

    /// Asks the kernel to give up what has not ended; what a device has already cannot be taken back.
    pub(super) fn cancel(&self, limit: Duration) {
        // Whether any was found, and ended, is seen when it is reaped.
        let _ = self.ring.submitter().register_sync_cancel(Some(limit.into()), CancelBuilder::any());
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut flies = false;
        for place in self.places.iter_mut().filter(|place| place.is_flying) {
            flies = true;
            // The kernel may still read from it or write to it (invariant 1).
            std::mem::forget(place.memory.take());
        }
        if flies {
            // Up to Linux 6.12 to unregister is to wait for them, for as long as the device takes.
            return;
        }
        // A ring that is closed is taken apart later, by a thread of the kernel; the file, and its lease, shall go now.
        let _ = self.ring.submitter().unregister_files();
        let _ = self.ring.submitter().unregister_buffers();
    }
}

/// A ring whose completions do not interrupt the thread; plain where the kernel is too old for that (before 5.19).
fn build(entries: u32) -> io::Result<IoUring> {
    match IoUring::builder().setup_coop_taskrun().build(entries) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries),
        answer => answer,
    }
}
