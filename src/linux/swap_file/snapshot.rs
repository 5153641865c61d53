//! What a file was like when it was opened, and whether it still is.
//!
//! Extents are FIEMAP's own, in the filesystem's addresses: on btrfs a balance that moves data below the same address
//! is no change to what is served. A file that has grown is compared as far as it was, as swapon's is. Looking again
//! allocates nothing here: the answer's memory is there. In the kernel FIEMAP may read the extent tree from the disk.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError, TryLockError};

use rustix::io::Errno;

use crate::candidate::Kind;
use crate::extent::{ExtentFlags, ExtentState, FileExtent};
use crate::linux::fiemap::{self, Go};
use crate::linux::inode::Inode;
use crate::linux::ioctl::{RawFiemap, device_size};
use crate::reason::{Reason, ServedFault};
use crate::unit::{ByteRange, Bytes};

/// The file as it was.
#[derive(Debug)]
pub(super) struct Snapshot {
    inode: Inode,
    size: Bytes,
    /// Joined where one goes on where another ends; none for a device, and where they cannot be asked.
    extents: Vec<FileExtent>,
    has_extents: bool,
    answer: Mutex<Box<RawFiemap>>,
}

/// Which look is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// Waits for one that is under way, and looks after it.
    Now,
    /// Leaves it to one that is under way.
    UnlessUnderWay,
}

impl Snapshot {
    /// Notes what the file is like.
    pub(super) fn take(fd: impl AsFd, inode: Inode, has_extents: bool) -> Result<Self, Reason> {
        let size = size_of(&fd, &inode).map_err(unanswered)?;
        let (mut answer, mut extents) = (RawFiemap::new(), Vec::new());
        if has_extents {
            let shared = joined(&mut answer, &fd, size, |extent| {
                extents.push(extent);
                Ok(())
            })?;
            shared.map_or(Ok(()), Err)?;
        }
        Ok(Self { inode, size, extents, has_extents, answer: Mutex::new(answer) })
    }

    /// The file's size when it was opened.
    pub(super) const fn size(&self) -> Bytes {
        self.size
    }

    /// Looks at the file again; `false` for a look that was left to one that is under way.
    ///
    /// # Errors
    /// What has changed: the size first, then attributes, then extents, then the alignment of direct I/O.
    pub(super) fn compare(&self, fd: impl AsFd, look: Look) -> Result<bool, Reason> {
        let mut answer = match look {
            Look::Now => self.answer.lock().unwrap_or_else(PoisonError::into_inner),
            Look::UnlessUnderWay => match self.answer.try_lock() {
                Ok(answer) => answer,
                Err(TryLockError::Poisoned(answer)) => answer.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(false),
            },
        };
        let inode = Inode::of(&fd).map_err(unanswered)?;
        let now = size_of(&fd, &inode).map_err(unanswered)?;
        if now < self.size {
            return Err(Reason::Served(ServedFault::Cut { was: self.size, now }));
        }
        if let Some(attribute) = self.changed_attribute(&inode) {
            return Err(Reason::Served(ServedFault::Attribute { attribute }));
        }
        if self.has_extents {
            self.compare_extents(&mut answer, &fd)?;
        }
        // Of XFS it follows from whether extents are shared, so that those come first.
        if self.inode.direct_io == inode.direct_io {
            return Ok(true);
        }
        Err(Reason::Served(ServedFault::Attribute { attribute: "direct I/O alignment" }))
    }

    /// How far its pages are there without a gap: as far as it reaches now, up to the first hole or unwritten extent. An
    /// extent that lies elsewhere by now reads the same.
    pub(super) fn readable(&self, fd: impl AsFd) -> Result<Bytes, Reason> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = Inode::of(&fd).map_err(unanswered)?;
        let size = size_of(&fd, &inode).map_err(unanswered)?.min(self.size);
        if !self.has_extents {
            return Ok(size);
        }
        let (mut end, mut is_over) = (Bytes::ZERO, false);
        joined(&mut answer, fd, size, |extent| {
            let is_next = extent.logical == end && extent.state == ExtentState::Written;
            is_over |= !is_next;
            if let Some(next) = end.checked_add(extent.length).filter(|_| !is_over) {
                end = next;
            }
            Ok(())
        })?;
        Ok(end)
    }

    fn compare_extents(&self, answer: &mut RawFiemap, fd: impl AsFd) -> Result<(), Reason> {
        let mut expected = self.extents.iter();
        let mut seen = Bytes::ZERO;
        let shared = joined(answer, fd, self.size, |extent| {
            match expected.next() {
                Some(other) if *other == extent => (),
                Some(other) => return Err(changed(parting(*other, extent), self.size)),
                None => return Err(changed(extent.logical, self.size)),
            }
            seen = extent.logical.checked_add(extent.length).unwrap_or(seen);
            Ok(())
        })?;
        if expected.next().is_some() {
            return Err(changed(seen, self.size));
        }
        shared.map_or(Ok(()), Err)
    }

    fn changed_attribute(&self, now: &Inode) -> Option<&'static str> {
        let was = &self.inode;
        let rows = [
            ("immutable", was.immutable, now.immutable),
            ("append-only", was.append_only, now.append_only),
            ("encrypted", was.encrypted, now.encrypted),
            ("verity", was.verity, now.verity),
            ("DAX", was.dax, now.dax),
            ("compressed", was.compressed, now.compressed),
            ("no-copy-on-write", was.no_cow, now.no_cow),
            ("journaled data", was.journaled, now.journaled),
        ];
        rows.into_iter().find(|(_, was, now)| was != now).map(|(attribute, _, _)| attribute)
    }
}

fn size_of(fd: impl AsFd, inode: &Inode) -> rustix::io::Result<Bytes> {
    if inode.kind == Kind::BlockDevice { device_size(fd).map(Bytes::new) } else { Ok(inode.size) }
}

/// Hands on the extents below `size`, cut there, each joined with those that merely go on where it ends.
///
/// How a filesystem cuts an extent into pieces is its own affair, and may change from one look to the next. Whether it is
/// shared is none of what is compared, since what is read stays the same: the first that is shared is returned.
fn joined(
    answer: &mut RawFiemap,
    fd: impl AsFd,
    size: Bytes,
    mut take: impl FnMut(FileExtent) -> Result<(), Reason>,
) -> Result<Option<Reason>, Reason> {
    let mut open: Option<FileExtent> = None;
    let mut shared = None;
    let mut result = Ok(());
    let walked = fiemap::walk_with(answer, fd, Bytes::ZERO, size, |claim| {
        result = claim.and_then(|claim| {
            let is_shared = claim.flags.contains(ExtentFlags::SHARED);
            let claim = cut(claim, size);
            if is_shared && shared.is_none() {
                let range = ByteRange::new(claim.logical, claim.length);
                shared = Some(Reason::Served(ServedFault::Shared { range }));
            }
            match open.and_then(|before| join(before, claim)) {
                Some(both) => open = Some(both),
                None => {
                    if let Some(before) = open.replace(claim) {
                        take(before)?;
                    }
                }
            }
            Ok(())
        });
        if result.is_ok() { Go::On } else { Go::Stop }
    });
    walked.map_err(unanswered)?;
    result?;
    open.map_or(Ok(()), take)?;
    Ok(shared)
}

fn cut(claim: FileExtent, size: Bytes) -> FileExtent {
    let room = size.checked_sub(claim.logical).unwrap_or(Bytes::ZERO);
    // What the log has not seen yet is a moment's state.
    let flags = claim.flags.difference(ExtentFlags::UNCOMMITTED | ExtentFlags::SHARED);
    FileExtent { length: claim.length.min(room), flags, ..claim }
}

/// From where two extents differ: the one may be a part of the other.
fn parting(was: FileExtent, now: FileExtent) -> Bytes {
    let length = was.length.min(now.length);
    let both = FileExtent { length, ..was } == FileExtent { length, ..now };
    let end = was.logical.checked_add(length).filter(|_| both);
    end.unwrap_or(was.logical.min(now.logical))
}

fn join(first: FileExtent, second: FileExtent) -> Option<FileExtent> {
    let follows =
        |at: Option<Bytes>, next: Option<Bytes>| at?.checked_add(first.length).filter(|end| Some(*end) == next);
    follows(Some(first.logical), Some(second.logical))?;
    follows(first.physical, second.physical)?;
    let alike = first.state == second.state && first.flags == second.flags && first.device == second.device;
    let length = first.length.checked_add(second.length)?;
    alike.then_some(FileExtent { length, ..first })
}

fn changed(from: Bytes, size: Bytes) -> Reason {
    let length = size.checked_sub(from).unwrap_or(Bytes::ZERO);
    Reason::Served(ServedFault::Changed { range: ByteRange::new(from, length) })
}

fn unanswered(error: Errno) -> Reason {
    let errno = u16::try_from(error.raw_os_error()).unwrap_or(5);
    Reason::Served(match error {
        Errno::NOMEM | Errno::INTR | Errno::AGAIN => ServedFault::NotNow { errno },
        _ => ServedFault::Unanswered { errno },
    })
}
