//! The extents of one file as claims for the core, from whichever source its filesystem has.
//!
//! What a filesystem calls "physical" becomes a place on a device here, or nothing: btrfs's own addresses are
//! looked up in its chunk tree, if that could be read.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;

use super::chunks::Chunks;
use super::error::{ExamineError, fact, no_fact};
use super::fiemap::Go;
use super::filesystem::Way;
use super::inode::Inode;
use super::ioctl::{btrfs_is_scrubbed, device_size};
use super::open::open;
use super::{btrfs, fibmap, fiemap, filesystem, xfs};
use crate::candidate::Kind;
use crate::extent::{ExtentFlags, FileExtent};
use crate::reason::Reason;
use crate::release::Release;
use crate::unit::{BlockSize, Bytes};

/// Hands the extents of a file to `take`, in its order; what no claim covers is a hole.
///
/// `physical` is a place on the device, and `None` where that is not known: on btrfs without privilege, for what has
/// no place yet. A block device is one extent. Like [`examine`](super::examine) it opens for reading only and has
/// the file's dirty pages written back. A filesystem that repeats itself, or never ends, is refused through `take`.
///
/// # Errors
/// [`ExamineError`] when the path cannot be opened, or its filesystem has no map of extents for this user.
pub fn extents(path: &Path, mut take: impl FnMut(Result<FileExtent, Reason>)) -> Result<(), ExamineError> {
    let (file, inode) = open(path, &Inode::at(path).map_err(ExamineError::LookUp)?)?;
    match inode.kind {
        Kind::RegularFile => (),
        Kind::BlockDevice => {
            let size = Bytes::new(device_size(&file).map_err(fact("its size"))?);
            take(Ok(FileExtent::written(Bytes::ZERO, Bytes::ZERO, size)));
            return Ok(());
        }
        Kind::Directory | Kind::Special(_) => {
            return Err(ExamineError::Fact { what: "extents of what is no file", error: Errno::INVAL });
        }
    }
    let (_, way) = filesystem::of(&inode).map_err(no_fact("the mount table"))?;
    let claims = Claims::of(&file, &inode, way).map_err(fact("its extents"))?;
    let walked = claims.walk(&file, inode.size, |claim| {
        let placed =
            claim.map(|claim| if claims.has_places() { claim } else { FileExtent { physical: None, ..claim } });
        take(placed);
        Go::On
    });
    walked.map_err(fact("its extents"))
}

/// Where the claims of a file come from.
#[derive(Debug)]
pub(super) struct Claims {
    source: Source,
    /// What is so of every extent, and no source says.
    flags: ExtentFlags,
}

#[derive(Debug)]
enum Source {
    Fiemap,
    /// FIEMAP in addresses of btrfs, then the chunk tree; `None` where that may not be read.
    Btrfs(Option<Chunks>),
    Fibmap(BlockSize),
    /// Nothing that answers as swapon does.
    Nothing,
}

impl Claims {
    /// Chooses the source for an open file.
    pub(super) fn of(file: &File, inode: &Inode, way: Way) -> rustix::io::Result<Self> {
        let source = match way {
            Way::Btrfs => {
                // Delayed data may get a chunk that does not exist yet: it has it after this.
                fiemap::sync(file)?;
                Source::Btrfs(match Chunks::read(file, &btrfs::read_only_devices(file)?) {
                    Ok(chunks) => Some(chunks),
                    Err(Errno::PERM) => None,
                    Err(error) => return Err(error),
                })
            }
            Way::Bmap(_) => fibmap::unit(file)?.map_or(Source::Nothing, Source::Fibmap),
            Way::ServedBmap => {
                let unit = fibmap::served_unit(file, inode, Release::running())?;
                unit.map_or(Source::Nothing, Source::Fibmap)
            }
            Way::Iomap
            | Way::Xfs
            | Way::F2fs
            | Way::Network(_)
            | Way::NoPageRead(_)
            | Way::NoBlockMap(_)
            | Way::Unknown(_) => Source::Fiemap,
        };
        let zoned = way == Way::Xfs && xfs::is_zoned(file)?;
        let flags = if zoned { ExtentFlags::SEQUENTIAL_ZONE } else { ExtentFlags::empty() };
        Ok(Self { source, flags })
    }

    /// Whether `physical` is a place on a device.
    pub(super) fn has_places(&self) -> bool {
        !matches!(self.source, Source::Btrfs(None))
    }

    /// The unit of `bmap`, if that is the source.
    pub(super) fn bmap_unit(&self) -> Option<BlockSize> {
        if let Source::Fibmap(unit) = self.source { Some(unit) } else { None }
    }

    /// Whether a btrfs is being scrubbed, which makes its block groups read-only one after the other.
    pub(super) fn is_scrubbed(&self, file: &File) -> rustix::io::Result<bool> {
        let Source::Btrfs(Some(chunks)) = &self.source else { return Ok(false) };
        for device in chunks.devices() {
            match btrfs_is_scrubbed(file, device) {
                Ok(false) | Err(Errno::NODEV) => (),
                answer => return answer,
            }
        }
        Ok(false)
    }

    /// Hands the claims of the first `size` bytes to `take`, until it says that it has seen enough.
    ///
    /// # Errors
    /// The errno of the source; `EOPNOTSUPP` where there is none.
    pub(super) fn walk(
        &self,
        file: &File,
        size: Bytes,
        mut take: impl FnMut(Result<FileExtent, Reason>) -> Go,
    ) -> rustix::io::Result<()> {
        let flagged = |claim: FileExtent| FileExtent { flags: claim.flags | self.flags, ..claim };
        match &self.source {
            Source::Fiemap | Source::Btrfs(None) => fiemap::extents(file, size, |claim| take(claim.map(flagged))),
            Source::Btrfs(Some(chunks)) => fiemap::extents(file, size, |claim| match claim {
                Ok(claim) => chunks.place(&claim, |placed| take(Ok(placed))),
                Err(reason) => take(Err(reason)),
            }),
            Source::Fibmap(unit) => fibmap::extents(file, size, *unit, take),
            Source::Nothing => Err(Errno::OPNOTSUPP),
        }
    }
}
