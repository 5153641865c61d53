//! The image as the server reads and writes it.
//!
//! In mode `loop` every page goes this way: by the engine, which admits each request, does it in full or fails it, and
//! never through the page cache. In mode `bmap` none does while swap is on; the kernel has the device then, so that the
//! engine could not have it for itself.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use swap_dio::linux::swap_file::SwapFile;
use swap_dio::{Completion, PageIndex, Reason};

use crate::superblock::{BLOCK, BLOCK_BYTES};

/// Where whole blocks are read from and written to; all of them, or an error.
pub(crate) enum Backing {
    /// The device, opened for direct I/O.
    Device(File),
    Engine(Arc<SwapFile>),
}

impl Backing {
    pub(crate) fn read(&self, place: u64, blocks: &mut [u8]) -> io::Result<()> {
        let engine = match self {
            Self::Device(file) => return file.read_exact_at(blocks, place),
            Self::Engine(engine) => engine,
        };
        let mut first = place / BLOCK;
        for part in blocks.chunks_mut(Self::most(engine)) {
            let request = engine.policy().reading(PageIndex::new(first), part).map_err(refused)?;
            let ticket = engine.admit(&request).map_err(refused)?;
            first += ticket.pages().get();
            done(&engine.read(ticket, &mut [IoSliceMut::new(part)]))?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, place: u64, blocks: &[u8]) -> io::Result<()> {
        let engine = match self {
            Self::Device(file) => return file.write_all_at(blocks, place),
            Self::Engine(engine) => engine,
        };
        let mut first = place / BLOCK;
        for part in blocks.chunks(Self::most(engine)) {
            let request = engine.policy().writing(PageIndex::new(first), part).map_err(refused)?;
            let ticket = engine.admit(&request).map_err(refused)?;
            first += ticket.pages().get();
            done(&engine.write(ticket, &[IoSlice::new(part)]))?;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Device(file) => file.sync_data(),
            Self::Engine(engine) => Ok(engine.flush()?),
        }
    }

    /// Bytes of the largest request.
    fn most(engine: &SwapFile) -> usize {
        usize::try_from(engine.policy().limit().get()).unwrap_or(1).saturating_mul(BLOCK_BYTES)
    }
}

/// Nothing is allocated for it: an error code alone.
fn refused(reason: Reason) -> io::Error {
    reason.errno().map_or(io::ErrorKind::InvalidInput.into(), |errno| io::Error::from_raw_os_error(errno.number()))
}

fn done(completion: &Completion) -> io::Result<()> {
    match completion.result() {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) | None => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}
