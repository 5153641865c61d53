//! The place that holds the filesystem: a block device or a regular file, opened so that nobody else has it.
//!
//! Two locks: flock(2) on the node or file, and on the file below a loop device, held as long as the [`Image`] lives,
//! so that of two swapfs one is refused; and, for a device, whether an exclusive open passes, which it does not while
//! anything is mounted from it, swaps to it or was built upon it.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, SeekFrom, flock, fstatfs, fstatvfs, seek};
use rustix::io::Errno;
use swap_dio::fuse::adapter::fuseblk::Signature;

use crate::superblock::{BLOCK_BYTES, Damage, Layout, is_ours};
use crate::{loop_device, stop};

/// An image that this process alone has.
pub(crate) struct Image {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) is_device: bool,
    /// Of a loop device, to hold its lock.
    below: Option<File>,
    /// Whether it was made just now, and is taken away again if it does not become an image.
    is_new: bool,
}

/// Why an image cannot be had, or not be believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is neither a regular file nor a block device", .0.display())]
    Kind(PathBuf),
    #[error("another swapfs has {}, or has died and left it mounted", .0.display())]
    Locked(PathBuf),
    #[error("{} is in use: mounted, active as swap, or part of another device", .0.display())]
    InUse(PathBuf),
    #[error("{} has holes, so that a write may find its disk full: make it with swapfs format", .0.display())]
    Sparse(PathBuf),
    #[error("{} is on tmpfs, whose own pages are swapped out, so to themselves: the machine hangs", .0.display())]
    InMemory(PathBuf),
    #[error("{0}")]
    Damage(#[from] Damage),
    #[error(
        "{} lies on FUSE: swap on it waits for that server, which hangs the machine: refused; take a block device, or say \
         --accept-risk loop-over-fuse",
        .0.display()
    )]
    Served(PathBuf),
    #[error("{}: {needed} bytes are needed, {free} are free", path.display())]
    Full { path: PathBuf, needed: u64, free: u64 },
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
        let is_new = std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).mode(0o600);
        let mut image = Self::open_with(
            path,
            if is_new { options.create_new(true) } else { options.create(true).truncate(false) },
        )?;
        image.is_new = is_new;
        Ok(image)
    }

    fn open_with(path: &Path, options: &mut OpenOptions) -> Result<Self, ImageError> {
        let failed = |error| ImageError::Io { path: path.to_owned(), error };
        // Somebody may hold a lease on it, for which others would wait.
        let file = match options.custom_flags(libc::O_NONBLOCK).open(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ImageError::Locked(path.to_owned())),
            opened => opened.map_err(failed)?,
        };
        let kind = file.metadata().map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(ImageError::Kind(path.to_owned()));
        }
        let lock = |file: &File| match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => Err(ImageError::Locked(path.to_owned())),
            Err(error) => Err(failed(error.into())),
        };
        lock(&file)?;
        let below = if kind.is_block_device() { file_below(&file) } else { None };
        below.as_ref().map_or(Ok(()), lock)?;
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
        Ok(Self { file, path, size, is_device: kind.is_block_device(), below, is_new: false })
    }

    /// Reads the metadata and checks it all; of a file, also that no block is missing.
    pub(crate) fn layout(&self) -> Result<Layout, ImageError> {
        let layout =
            Layout::read(self.size, |at, buffer| self.file.read_exact_at(buffer, at).map_err(ImageError::Read))?;
        if !self.is_device && self.first_hole()? < layout.image() {
            return Err(ImageError::Sparse(self.path.clone()));
        }
        // Seen on 6.18: reclaim put pages of the image into the area on it, and the loop worker waited for itself.
        if self.lies_on(TMPFS) {
            return Err(ImageError::InMemory(self.path.clone()));
        }
        Ok(layout)
    }

    /// Whether the file, or the one below the loop device, is itself served by a program.
    pub(crate) fn is_served(&self) -> bool {
        self.lies_on(FUSE)
    }

    fn lies_on(&self, kind: i128) -> bool {
        let file = if self.is_device { self.below.as_ref() } else { Some(&self.file) };
        file.is_some_and(|file| fstatfs(file).is_ok_and(|facts| i128::from(facts.f_type) == kind))
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
    /// tables have their marks, and a mark that is not known is still not zeros. A long file of zeros is read to its
    /// end.
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
        let last = self.size.saturating_sub(LOOK);
        let mut places = if self.is_device { vec![0, last] } else { (0..last).step_by(LOOK as usize).collect() };
        places.push(last);
        for place in places {
            stop::check()?;
            if self.look(place)?.iter().any(|byte| *byte != 0) {
                return Ok(Some("data that is not zeros".to_owned()));
            }
        }
        Ok(None)
    }

    fn look(&self, at: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(LOOK.min(self.size - at)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Writes an image. The superblock is destroyed first and written last: half an image is none, and of a file that
    /// was made for it nothing is left.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), ImageError> {
        let written = self
            .check_room(layout)
            .and_then(|()| self.write_all(layout).map_err(|error| ImageError::Io { path: self.path.clone(), error }));
        if written.is_err() {
            self.discard();
        }
        written
    }

    /// Takes away a file that was made just now.
    pub(crate) fn discard(&self) {
        if self.is_new {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn check_room(&self, layout: &Layout) -> Result<(), ImageError> {
        let failed = |error| ImageError::Io { path: self.path.clone(), error };
        let facts = fstatvfs(&self.file).map_err(|error| failed(error.into()))?;
        let has = self.file.metadata().map_err(failed)?.blocks().saturating_mul(512);
        let (free, needed) = (facts.f_bavail.saturating_mul(facts.f_frsize), layout.image().saturating_sub(has));
        if self.is_device || needed <= free {
            return Ok(());
        }
        Err(ImageError::Full { path: self.path.clone(), needed, free })
    }

    fn write_all(&self, layout: &Layout) -> io::Result<()> {
        let (block, table) = layout.encode();
        if !self.is_device {
            // All blocks, and written: a fallocated one would be converted by the filesystem below, under memory
            // pressure, when the kernel swaps to it.
            self.file.set_len(layout.image())?;
            let zeros = vec![0; 1 << 20];
            let mut at = 0;
            while at < layout.image() {
                stop::check()?;
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

/// The file below a loop device; `None` for other devices, and where it has no name from here.
fn file_below(device: &File) -> Option<File> {
    let number = device.metadata().ok()?.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let name = std::fs::read(format!("/sys/dev/block/{major}:{minor}/loop/backing_file")).ok()?;
    let name = Path::new(OsStr::from_bytes(name.strip_suffix(b"\n").unwrap_or(&name)));
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(name).ok()?;
    let facts = file.metadata().ok()?;
    loop_device::backing(device).is_ok_and(|known| known == (facts.dev(), facts.ino())).then_some(file)
}

/// `FUSE_SUPER_MAGIC`.
const FUSE: i128 = 0x6573_5546;
/// `TMPFS_MAGIC`.
const TMPFS: i128 = 0x0102_1994;
const LOOK: u64 = 1 << 20;
