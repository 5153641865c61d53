//! Opening a file so that nothing is changed by it, and reading where a swap header would stand.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as OsError;

use super::error::{ExamineError, fact, no_fact};
use super::inode::Inode;
use crate::reason::Reason;

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

/// The same for an examination: a page that cannot be read is a reason, since swapon reads it too.
pub(super) fn start_of(file: &File) -> Result<Result<Vec<u8>, Reason>, ExamineError> {
    match read_start(file) {
        Ok(start) => Ok(Ok(start)),
        Err(ExamineError::Fact { error: OsError::IO, .. }) => Ok(Err(Reason::HeaderUnreadable)),
        Err(error) => Err(error),
    }
}
