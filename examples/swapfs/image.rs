//! The place that holds the filesystem: a block device or a regular file, opened so that nobody else has it.
//!
//! Two locks: flock(2) on the node or file, held as long as the [`Image`] lives, so that of two swapfs one is refused;
//! and, for a device, whether an exclusive open passes, which it does not while anything is mounted from it, swaps to
//! it or was built upon it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, SeekFrom, flock, fstatfs, seek};
use rustix::io::Errno;
use swap_dio::fuse::adapter::fuseblk::Signature;

use crate::superblock::{BLOCK_BYTES, Damage, Layout, is_ours};

/// An image that this process alone has.
pub(crate) struct Image {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) is_device: bool,
}

/// Why an image cannot be had, or not be believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is neither a regular file nor a block device", .0.display())]
    Kind(PathBuf),
    #[error("another swapfs has {}", .0.display())]
    Locked(PathBuf),
    #[error("{} is in use: mounted, active as swap, or part of another device", .0.display())]
    InUse(PathBuf),
    #[error("{} has holes, so that a write may find its disk full: make it with swapfs format", .0.display())]
    Sparse(PathBuf),
    #[error("{} is on tmpfs, whose own pages are swapped out, so to themselves: the machine hangs", .0.display())]
    InMemory(PathBuf),
    #[error("{0}")]
    Damage(#[from] Damage),
    #[error("cannot read the metadata: {0}")]
    Read(#[from] io::Error),
}

impl Image {
    /// Opens what is there, for reading and writing.
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        Self::open_with(path, OpenOptions::new().read(true).write(true))
    }

    /// Opens a regular file, or makes it.
    pub(crate) fn create(path: &Path) -> Result<Self, ImageError> {
        // Nobody but the owner reads what was swapped out.
        Self::open_with(path, OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600))
    }

    fn open_with(path: &Path, options: &OpenOptions) -> Result<Self, ImageError> {
        let failed = |error| ImageError::Io { path: path.to_owned(), error };
        let file = options.open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(ImageError::Kind(path.to_owned()));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(Errno::WOULDBLOCK) => return Err(ImageError::Locked(path.to_owned())),
            Err(error) => return Err(failed(error.into())),
        }
        if kind.is_block_device() {
            // Linux: O_EXCL without O_CREAT asks for the device alone. Given back at once, for the mount will ask too.
            match OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(path) {
                Ok(_) => (),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Err(ImageError::InUse(path.into())),
                Err(error) => return Err(failed(error)),
            }
        }
        let size = seek(&file, SeekFrom::End(0)).map_err(|error| failed(error.into()))?;
        let path = path.canonicalize().map_err(failed)?;
        Ok(Self { file, path, size, is_device: kind.is_block_device() })
    }

    /// Reads the metadata and checks it all; of a file, also that no block is missing.
    pub(crate) fn layout(&self) -> Result<Layout, ImageError> {
        let layout =
            Layout::read(self.size, |at, buffer| self.file.read_exact_at(buffer, at).map_err(ImageError::Read))?;
        if !self.is_device && self.first_hole()? < layout.image() {
            return Err(ImageError::Sparse(self.path.clone()));
        }
        // Seen on 6.18: reclaim put pages of the image into the area on it, and the loop worker waited for itself.
        if !self.is_device && fstatfs(&self.file).is_ok_and(|facts| i128::from(facts.f_type) == TMPFS) {
            return Err(ImageError::InMemory(self.path.clone()));
        }
        Ok(layout)
    }

    /// Where the file has its first hole; its end, where a filesystem tells of none.
    fn first_hole(&self) -> io::Result<u64> {
        match seek(&self.file, SeekFrom::Hole(0)) {
            Ok(at) => Ok(at),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(self.size),
            Err(error) => Err(error.into()),
        }
    }

    /// What lies there already, in words; `None` where only zeros do.
    ///
    /// Of a file everything counts, of a device the first and the last MiB: there filesystems, volumes and partition
    /// tables have their marks, and a mark that is not known is still not zeros.
    pub(crate) fn content(&self) -> io::Result<Option<String>> {
        if !self.is_device {
            match seek(&self.file, SeekFrom::Data(0)) {
                Err(Errno::NXIO) => return Ok(None),
                Ok(_) | Err(Errno::INVAL | Errno::OPNOTSUPP) => (),
                Err(error) => return Err(error.into()),
            }
        }
        let head = self.look(0)?;
        if is_ours(&head) {
            return Ok(Some("a swapfs".to_owned()));
        }
        if let Some(signature) = Signature::find(&self.file)? {
            return Ok(Some(signature.to_string()));
        }
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let tail = self.look(self.size.saturating_sub(LOOK))?;
        let whole = self.is_device || self.size <= 2 * LOOK;
        let zeros = whole && is_zero(&head) && is_zero(&tail);
        Ok((!zeros).then(|| "data that is not zeros".to_owned()))
    }

    fn look(&self, at: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(LOOK.min(self.size - at)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Writes an image. The superblock is destroyed first and written last: half an image is none.
    pub(crate) fn write(&self, layout: &Layout) -> io::Result<()> {
        let (block, table) = layout.encode();
        if !self.is_device {
            // All blocks, and written: a fallocated one would be converted by the filesystem below, under memory
            // pressure, when the kernel swaps to it.
            self.file.set_len(layout.image())?;
            let zeros = vec![0; 1 << 20];
            let mut at = 0;
            while at < layout.image() {
                let length = (layout.image() - at).min(zeros.len() as u64);
                self.file.write_all_at(&zeros[..usize::try_from(length).map_err(io::Error::other)?], at)?;
                at += length;
            }
        } else {
            self.file.write_all_at(&[0; BLOCK_BYTES], 0)?;
        }
        self.file.sync_all()?;
        self.file.write_all_at(&table, layout.table_offset())?;
        self.file.sync_all()?;
        self.file.write_all_at(&block, 0)?;
        self.file.sync_all()
    }
}

/// `TMPFS_MAGIC`.
const TMPFS: i128 = 0x0102_1994;
const LOOK: u64 = 1 << 20;
