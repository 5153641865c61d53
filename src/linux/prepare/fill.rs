//! Giving a file its blocks: allocated in slices, written with zeros in chunks, synced, each a short call.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno as OsError, retry_on_intr};

use super::error::{PrepareError, failed, failed_at};
use super::progress::{Phase, Watch};
use crate::feature::DirectIo;
use crate::unit::{Bytes, PageSize};

/// Allocates the first `size` bytes; `false` where the filesystem cannot, and nothing was done.
pub(super) fn allocate(file: &File, size: Bytes, watch: &mut Watch) -> Result<bool, PrepareError> {
    let mut done = 0;
    while done < size.get() {
        watch.tell(Phase::Allocate, done)?;
        let length = SLICE.min(size.get().saturating_sub(done));
        match allocate_range(file, done, length) {
            Ok(()) => done = done.saturating_add(length),
            Err(OsError::OPNOTSUPP | OsError::NOSYS) if done == 0 => return Ok(false),
            Err(error) => return Err(failed_at("allocate blocks", done)(error)),
        }
    }
    watch.tell(Phase::Allocate, done)?;
    Ok(true)
}

/// Allocates what is not allocated of a range; the file grows to its end.
pub(super) fn allocate_range(file: &File, offset: u64, length: u64) -> rustix::io::Result<()> {
    retry_on_intr(|| fallocate(file, FallocateFlags::empty(), offset, length))
}

/// Allocates what is not allocated of a range; what the file holds stays, and so does its size.
pub(super) fn allocate_within(file: &File, offset: u64, length: u64) -> rustix::io::Result<()> {
    retry_on_intr(|| fallocate(file, FallocateFlags::KEEP_SIZE, offset, length))
}

/// Writes zeros to a file, past the page cache where the file promises that this goes.
pub(super) struct Zeros<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    /// Where the aligned part of the buffer begins.
    start: usize,
    direct: bool,
}

impl<'a> Zeros<'a> {
    /// Direct I/O if `direct_io` promises it for whole pages. The file is changed to that until this is dropped.
    pub(super) fn new(file: &'a File, direct_io: DirectIo, page: PageSize) -> Result<Self, PrepareError> {
        let direct = matches!(direct_io, DirectIo::Aligned { .. }) && direct_io.fits(page).is_ok();
        let align = usize::try_from(page.bytes().get()).unwrap_or(CHUNK);
        let buffer = vec![0; CHUNK.saturating_add(align)];
        let start = buffer.as_ptr().align_offset(align);
        if direct {
            set_direct(file, true).map_err(failed("use direct I/O"))?;
        }
        Ok(Self { file, buffer, start, direct })
    }

    pub(super) const fn phase(&self) -> Phase {
        if self.direct { Phase::Write } else { Phase::WriteBuffered }
    }

    /// Writes zeros from `from` to `to`, and tells after each chunk.
    pub(super) fn write(&self, from: u64, to: u64, watch: &mut Watch) -> Result<(), PrepareError> {
        let (mut at, mut unsynced) = (from, 0);
        while at < to {
            watch.tell(self.phase(), at)?;
            let written = self.write_some(at, to).map_err(failed_at("write zeros", at))?;
            at = at.saturating_add(written);
            unsynced = if self.direct { 0 } else { written.saturating_add(unsynced) };
            // Else all would be left to one long sync at the end.
            if unsynced >= SYNC_EVERY {
                rustix::fs::fdatasync(self.file).map_err(failed_at("sync", at))?;
                unsynced = 0;
            }
        }
        watch.tell(self.phase(), at)
    }

    /// Writes at most a chunk of zeros; how much.
    pub(super) fn write_some(&self, at: u64, to: u64) -> rustix::io::Result<u64> {
        let left = usize::try_from(to.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
        let end = self.start.saturating_add(left);
        let zeros = self.buffer.get(self.start..end).ok_or(OsError::FAULT)?;
        match retry_on_intr(|| rustix::io::pwrite(self.file, zeros, at))? {
            // Neither an error nor progress: no filesystem does so, and no loop shall hang on it.
            0 => Err(OsError::IO),
            written => Ok(u64::try_from(written).unwrap_or(0)),
        }
    }
}

impl Drop for Zeros<'_> {
    fn drop(&mut self) {
        if self.direct {
            // What follows is written through the page cache, and may be smaller.
            let _ = set_direct(self.file, false);
        }
    }
}

/// Writes the header page, through the page cache: it is one page, and whole blocks need not be.
pub(super) fn write_header(file: &File, page: &[u8]) -> Result<(), PrepareError> {
    file.write_all_at(page, 0)
        .map_err(|error| failed("write the header")(OsError::from_io_error(&error).unwrap_or(OsError::IO)))
}

/// Brings everything to stable storage.
pub(super) fn sync(file: &File, watch: &mut Watch) -> Result<(), PrepareError> {
    watch.tell(Phase::Sync, 0)?;
    retry_on_intr(|| rustix::fs::fsync(file)).map_err(failed("sync it"))
}

fn set_direct(file: &File, direct: bool) -> rustix::io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    fcntl_setfl(file, flags)
}

/// Bytes that one write gives to the filesystem.
pub(super) const CHUNK: usize = 4 << 20;
/// Bytes that one call allocates.
const SLICE: u64 = 1 << 30;
/// Bytes through the page cache between two syncs.
const SYNC_EVERY: u64 = 64 << 20;
