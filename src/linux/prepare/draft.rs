//! A file that nobody sees before it is finished: unnamed where the filesystem can, else under a part's name.
//!
//! An unnamed file (`O_TMPFILE`) is gone with its last descriptor, however the process ends. Where there is none, the
//! part `.NAME.swap-dio-part` is removed on every error; after a SIGKILL it stays, and the next run removes it if it
//! is nobody's: a regular file that no live run has locked and that holds no finished header.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno as OsError;

use super::error::{PrepareError, failed};
use super::progress::{Phase, Watch};
use crate::candidate::Kind;
use crate::header::Header;
use crate::linux::error::fact;
use crate::linux::inode::{Device, Inode};
use crate::linux::open::read_start;
use crate::unit::PageSize;

/// A file in the making. What is not published vanishes when this is dropped.
pub(super) struct Draft<'a> {
    folder: &'a File,
    /// Dropped before the file is closed: an inode's number is its own only as long as that is open.
    part: Option<Part<'a>>,
    file: File,
}

impl<'a> Draft<'a> {
    /// Makes an empty file, mode 0600, that `name` shall lead to when it is published.
    pub(super) fn new(
        folder: &'a File,
        name: &OsStr,
        page_size: PageSize,
        watch: &mut Watch,
    ) -> Result<Self, PrepareError> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(folder, c".", flags, OWNER_ONLY) {
            Ok(fd) => Ok(Self { folder, file: File::from(fd), part: None }),
            // No unnamed files on this filesystem; or, before they were known, an attempt to write to a folder.
            Err(OsError::OPNOTSUPP | OsError::ISDIR | OsError::INVAL) => Self::named(folder, name, page_size, watch),
            Err(error) => Err(failed("create a file")(error)),
        }
    }

    /// The same under a part's name.
    fn named(folder: &'a File, name: &OsStr, page_size: PageSize, watch: &mut Watch) -> Result<Self, PrepareError> {
        let part = part_of(name);
        for _ in 0..ATTEMPTS {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::openat(folder, &part, flags, OWNER_ONLY) {
                Ok(fd) => {
                    let file = File::from(fd);
                    lock(&file)?;
                    let identity = Inode::of(&file).map_err(fact("its attributes"))?.identity;
                    // Between the two, another run may have taken it for what a killed one left.
                    let entry = Entry { folder, name: &part, identity };
                    if entry.is_there() {
                        return Ok(Self { folder, file, part: Some(Part { folder, name: part, identity }) });
                    }
                }
                Err(OsError::EXIST) => {
                    clear(folder, &part, page_size, watch)?;
                }
                Err(error) => return Err(failed("create a file")(error)),
            }
        }
        Err(PrepareError::Locked)
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Gives the finished file its name, unless something has it, and brings the folder to stable storage.
    pub(super) fn publish(mut self, name: &'a OsStr) -> Result<Published<'a>, PrepareError> {
        let identity = Inode::of(&self.file).map_err(fact("its attributes"))?.identity;
        let given = match self.part.take() {
            None => {
                let itself = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, itself, self.folder, name, AtFlags::SYMLINK_FOLLOW)
            }
            Some(part) => part.rename(name),
        };
        match given {
            Ok(()) => (),
            Err(OsError::EXIST) => return Err(PrepareError::Exists),
            Err(error) => return Err(failed("give it its name")(error)),
        }
        let entry = Entry { folder: self.folder, name, identity };
        match rustix::fs::fsync(self.folder) {
            // Some filesystems have nothing to sync in a folder.
            Ok(()) | Err(OsError::INVAL | OsError::OPNOTSUPP | OsError::NOSYS) => {
                Ok(Published { entry, _file: self.file })
            }
            Err(error) => {
                entry.remove();
                Err(failed("sync the folder")(error))
            }
        }
    }
}

/// A finished file that has its name.
pub(super) struct Published<'a> {
    entry: Entry<'a>,
    /// Open, so that its number is not another's meanwhile.
    _file: File,
}

impl Published<'_> {
    /// Takes the name back, if it still leads to that file. Whether that went, whoever looks there sees.
    pub(super) fn withdraw(self) {
        self.entry.remove();
    }
}

/// A name in a folder, and the file that it led to, which must be open as long as it is asked for.
struct Entry<'a> {
    folder: &'a File,
    name: &'a OsStr,
    identity: (Device, u64),
}

impl Entry<'_> {
    /// Whether the name still leads to that file.
    fn is_there(&self) -> bool {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(self.folder, self.name, flags, Mode::empty());
        found.and_then(Inode::of).is_ok_and(|inode| inode.identity == self.identity)
    }

    /// Removes the name, if it still leads to that file.
    fn remove(&self) {
        if self.is_there() {
            let _ = rustix::fs::unlinkat(self.folder, self.name, AtFlags::empty());
            let _ = rustix::fs::fsync(self.folder);
        }
    }
}

/// A file under a part's name, which goes when this is dropped.
struct Part<'a> {
    folder: &'a File,
    name: OsString,
    identity: (Device, u64),
}

impl Part<'_> {
    /// Gives it the name, replacing nothing.
    fn rename(&self, name: &OsStr) -> rustix::io::Result<()> {
        match rustix::fs::renameat_with(self.folder, &self.name, self.folder, name, RenameFlags::NOREPLACE) {
            // Not every filesystem can rename so; where it can neither link, nothing is done. The part's own name
            // goes with the guard.
            Err(OsError::INVAL | OsError::NOSYS) => {
                rustix::fs::linkat(self.folder, &self.name, self.folder, name, AtFlags::empty())
            }
            answer => answer,
        }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        Entry { folder: self.folder, name: &self.name, identity: self.identity }.remove();
    }
}

/// Removes what a killed run has left under a part's name.
///
/// # Errors
/// A live run has it; it is something else.
fn clear(folder: &File, part: &OsStr, page_size: PageSize, watch: &mut Watch) -> Result<(), PrepareError> {
    watch.tell(Phase::Clear, 0)?;
    let in_the_way = || PrepareError::PartInTheWay { part: part.to_string_lossy().escape_debug().to_string() };
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, part, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        // It went by itself.
        Err(OsError::NOENT) => return Ok(()),
        Err(_) => return Err(in_the_way()),
    };
    let inode = Inode::of(&file).map_err(fact("its attributes"))?;
    if inode.kind != Kind::RegularFile {
        return Err(in_the_way());
    }
    lock(&file)?;
    // A valid header is written last: then it is a finished area, whoever made it.
    if Header::read(&read_start(&file)?, page_size).is_ok() {
        return Err(in_the_way());
    }
    Entry { folder, name: part, identity: inode.identity }.remove();
    Ok(())
}

/// Removes what a killed run left under the part's name, if it did: its blocks may be what is missing.
pub(super) fn clear_remains(
    folder: &File,
    name: &OsStr,
    page_size: PageSize,
    watch: &mut Watch,
) -> Result<(), PrepareError> {
    let part = part_of(name);
    match rustix::fs::statat(folder, &part, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => clear(folder, &part, page_size, watch),
        Err(_) => Ok(()),
    }
}

/// Takes the file for this run alone, until its last descriptor is closed.
pub(super) fn lock(file: &File) -> Result<(), PrepareError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Where files cannot be locked, names must do.
        Ok(()) | Err(OsError::OPNOTSUPP | OsError::NOSYS | OsError::NOLCK) => Ok(()),
        Err(OsError::WOULDBLOCK) => Err(PrepareError::Locked),
        Err(error) => Err(failed("lock it")(error)),
    }
}

fn part_of(name: &OsStr) -> OsString {
    let mut part = OsString::from(".");
    part.push(name);
    part.push(".swap-dio-part");
    part
}

const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);
/// How often a part's name may be lost to somebody else.
const ATTEMPTS: u32 = 4;

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;
    use crate::header::{Endian, Label, NewHeader};
    use crate::unit::{Bytes, PageCount};

    const PAGE: PageSize = PageSize::KIB_4;
    const NAME: &str = "area";
    const PART: &str = ".area.swap-dio-part";

    /// Makes a named part in a folder, as where there are no unnamed files, and hands it on with what was told.
    fn with_part<T>(
        dir: &Path,
        then: impl FnOnce(Result<Draft<'_>, PrepareError>, &[Phase]) -> T,
    ) -> std::io::Result<T> {
        let folder = File::open(dir)?;
        let mut told = Vec::new();
        let mut report = |progress: crate::linux::Progress| {
            told.push(progress.phase);
            ControlFlow::Continue(())
        };
        let draft = Draft::named(&folder, NAME.as_ref(), PAGE, &mut Watch::new(Bytes::ZERO, &mut report));
        Ok(then(draft, &told))
    }

    fn entries(dir: &Path) -> std::io::Result<Vec<String>> {
        let entries = std::fs::read_dir(dir)?.filter_map(Result::ok);
        Ok(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_part_becomes_the_file_or_vanishes() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        with_part(dir.path(), |draft, _| {
            assert_eq!(entries(dir.path()).ok(), Some(vec![PART.to_owned()]));
            drop(draft);
        })?;
        assert!(entries(dir.path())?.is_empty(), "given up");
        with_part(dir.path(), |draft, _| assert!(draft.is_ok_and(|draft| draft.publish(NAME.as_ref()).is_ok())))?;
        assert_eq!(entries(dir.path())?, [NAME]);
        assert_eq!(std::fs::metadata(dir.path().join(NAME))?.mode() & 0o7777, 0o600);
        // A second one: the name is taken, and stays what it was.
        std::fs::write(dir.path().join(NAME), "precious")?;
        with_part(dir.path(), |draft, _| {
            let published = draft.map(|draft| draft.publish(NAME.as_ref()).map(|_| ()));
            assert!(matches!(published, Ok(Err(PrepareError::Exists))));
        })?;
        assert_eq!(entries(dir.path())?, [NAME]);
        assert_eq!(std::fs::read(dir.path().join(NAME))?, b"precious");
        Ok(())
    }

    #[test]
    fn what_a_killed_run_has_left_is_cleared_and_nothing_else_is() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let part = dir.path().join(PART);
        // Half of one.
        std::fs::write(&part, vec![0; 9000])?;
        with_part(dir.path(), |draft, told| {
            assert!(draft.is_ok_and(|draft| draft.file().metadata().is_ok_and(|meta| meta.len() == 0)));
            assert_eq!(told, [Phase::Clear]);
        })?;
        assert!(entries(dir.path())?.is_empty());

        // One that a live run makes.
        with_part(dir.path(), |draft, _| {
            assert!(draft.is_ok());
            let second = with_part(dir.path(), |second, _| matches!(second, Err(PrepareError::Locked)));
            assert!(second.is_ok_and(|is_locked| is_locked));
            assert_eq!(entries(dir.path()).ok(), Some(vec![PART.to_owned()]), "the first goes on");
        })?;

        // A finished one; and what no run leaves.
        let in_the_way = || with_part(dir.path(), |draft, _| matches!(draft, Err(PrepareError::PartInTheWay { .. })));
        let mut page = vec![0; 4096];
        let header = NewHeader {
            page_size: PAGE,
            endian: Endian::NATIVE,
            pages: PageCount::new(10),
            uuid: [7; 16],
            label: Label::NONE,
            bad_pages: &[],
        };
        assert!(header.write(&mut page).is_ok());
        page.resize(40960, 0);
        std::fs::write(&part, &page)?;
        assert!(in_the_way()? && std::fs::read(&part)? == page);
        std::fs::remove_file(&part)?;
        std::os::unix::fs::symlink("elsewhere", &part)?;
        std::fs::write(dir.path().join("elsewhere"), "precious")?;
        assert!(in_the_way()? && std::fs::read(dir.path().join("elsewhere"))? == b"precious");
        std::fs::remove_file(&part)?;
        std::fs::create_dir(&part)?;
        assert!(in_the_way()? && part.is_dir());
        Ok(())
    }

    #[test]
    fn an_unnamed_file_is_never_seen_before_it_is_whole() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let folder = File::open(dir.path())?;
        let mut report = |_| ControlFlow::Continue(());
        let draft = Draft::new(&folder, NAME.as_ref(), PAGE, &mut Watch::new(Bytes::ZERO, &mut report));
        let Ok(draft) = draft else { unreachable!("a file is made") };
        if draft.part.is_none() {
            assert!(entries(dir.path())?.is_empty());
        }
        let published = draft.publish(NAME.as_ref());
        assert_eq!(entries(dir.path())?, [NAME]);
        // What somebody else has put there since is not ours to remove.
        std::fs::remove_file(dir.path().join(NAME))?;
        std::fs::write(dir.path().join(NAME), "precious")?;
        assert!(published.map(Published::withdraw).is_ok());
        assert_eq!(std::fs::read(dir.path().join(NAME))?, b"precious");
        Ok(())
    }
}
