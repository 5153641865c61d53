//! One path, from its name to a verdict: facts are gathered here, and judged by the core.
//!
//! Source of the order: Linux v6.18, `mm/swapfile.c:swapon`.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as OsError;

use super::inode::Inode;
use super::report::{Collector, Depth, Examination, Facts, For};
use super::{block, file, mount, swaps};
use crate::candidate::{Candidate, Condition, Kind};
use crate::reason::Reason;
use crate::release::Release;
use crate::unit::Bytes;

/// Why a path could not be examined at all: not a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// The path leads nowhere, or not for this user.
    #[error("cannot look it up: {}", plain(*.0))]
    LookUp(OsError),
    /// It is there and may not be read.
    #[error("cannot open it for reading: {}", plain(*.0))]
    Open(OsError),
    /// Another file came to stand there meanwhile.
    #[error("it was replaced while it was examined; look again")]
    Replaced,
    /// A fact could not be had.
    #[error("cannot read {what}: {}", plain(*.error))]
    Fact {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        error: OsError,
    },
    /// This kernel's pages are none that a swap header can be laid out for.
    #[error("this kernel's page size is not a power of two from 4 KiB to 64 KiB")]
    PageSize,
}

/// Examines a path: what swapon(2) would answer, and whether it may serve swap by either model.
///
/// Opens for reading only and changes nothing, not even the access time where that can be helped. The file's dirty
/// pages are written back first, as swapon(2) does, or delayed allocation would look like holes. A block device is
/// opened exclusively for a moment, which is the only way to learn whether somebody else holds it.
///
/// # Errors
/// [`ExamineError`] when the path could not be examined, in the order: look-up, open, facts. A file that may not
/// serve swap is not an error: that is what the [`Examination`] says.
pub fn examine(path: &Path, depth: Depth) -> Result<Examination, ExamineError> {
    let page_size = super::page_size().ok_or(ExamineError::PageSize)?;
    let inode = Inode::at(path).map_err(ExamineError::LookUp)?;
    let mut found = Collector::new(depth);
    let mut candidate = Candidate {
        kind: inode.kind,
        release: Release::parse(&rustix::system::uname().release().to_string_lossy()),
        page_size,
        conditions: Condition::empty(),
        unknown: Condition::empty(),
        active_areas: 0,
        holder: None,
        block: Bytes::ZERO,
        no_page_read: None,
    };
    match swaps::look(&inode).map_err(no_fact("/proc/swaps"))? {
        swaps::Swaps { active: Some(is_active), areas } => {
            candidate.conditions.set(Condition::ACTIVE, is_active);
            candidate.active_areas = areas;
        }
        swaps::Swaps { active: None, areas } => {
            candidate.unknown |= Condition::ACTIVE;
            candidate.active_areas = areas;
        }
    }
    match inode.kind {
        Kind::RegularFile => file::examine(path, &inode, candidate, found),
        Kind::BlockDevice => block::examine(path, &inode, candidate, found),
        Kind::Directory | Kind::Special(_) => {
            candidate.judge(|reason| found.say(For::Both, reason));
            let mount = mount_of(&inode)?;
            let filesystem = mount.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind);
            Ok(found.finish(Facts { filesystem, page_size, size: inode.size }, None, false))
        }
    }
}

/// Notes what swapon(8) warns of, for what is a swap area: others who can read the swapped memory.
pub(super) fn advise(inode: &Inode, found: &mut Collector) {
    let too_open = if inode.kind == Kind::BlockDevice { 0o7007 } else { 0o7077 };
    if inode.mode & too_open != 0 {
        found.say(For::Both, Reason::InsecureMode { mode: inode.mode });
    }
    if inode.kind == Kind::RegularFile && inode.owner != 0 {
        found.say(For::Both, Reason::InsecureOwner { uid: inode.owner });
    }
}

/// Opens for reading, without waiting for a FIFO's writer and without stamping the access time if allowed; what was
/// opened is what was looked up.
pub(super) fn open(path: &Path, named: &Inode) -> Result<(File, Inode), ExamineError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(OsError::PERM) => rustix::fs::open(path, flags, Mode::empty()),
        answer => answer,
    };
    let file = File::from(opened.map_err(ExamineError::Open)?);
    let inode = Inode::of(&file).map_err(fact("its attributes"))?;
    if inode.kind == named.kind && inode.identity == named.identity {
        Ok((file, inode))
    } else {
        Err(ExamineError::Replaced)
    }
}

/// The first 64 KiB, or as much as there is: room for a header of any page size.
pub(super) fn read_start(file: &File) -> Result<Vec<u8>, ExamineError> {
    use std::os::unix::fs::FileExt;
    let mut start = vec![0; 64 << 10];
    let mut filled = 0usize;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let offset = u64::try_from(filled).unwrap_or(u64::MAX);
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(no_fact("its first page")(error)),
        }
    }
    start.truncate(filled);
    Ok(start)
}

/// The mount that the inode was reached through; `None` where the mount table does not show it.
pub(super) fn mount_of(inode: &Inode) -> Result<Option<mount::Mount>, ExamineError> {
    let mounts = mount::all().map_err(no_fact("the mount table"))?;
    Ok(mounts.into_iter().find(|mount| match inode.mount {
        Some(id) => mount.id == id,
        None => mount.device == inode.identity.0,
    }))
}

pub(super) fn fact(what: &'static str) -> impl Fn(OsError) -> ExamineError {
    move |error| ExamineError::Fact { what, error }
}

pub(super) fn no_fact(what: &'static str) -> impl Fn(std::io::Error) -> ExamineError {
    move |error| ExamineError::Fact { what, error: OsError::from_io_error(&error).unwrap_or(OsError::IO) }
}

/// The errno in words, without its number.
fn plain(error: OsError) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

pub(super) const UNKNOWN: &str = "unknown";
