//! Attributes in /sys and /proc, read in one go and never without an end.
//!
//! A copy may hold anything in their place: a pipe that nobody writes to, a device that an opening sets off, a file
//! without an end. Only regular files are read, as all of the kernel's are, and no further than they may be long.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::linux::inode::Device;
use crate::topology::Told;

/// More than any attribute that is asked for, the longest being a path.
const LARGEST: u64 = 8190;
/// More than any folder here has entries that matter; a lying one has more.
pub(super) const MOST_ENTRIES: usize = 4096;

/// A whole table of the kernel's.
///
/// # Errors
/// It cannot be opened or read, is no regular file, or is longer than `most` bytes: half of it says nothing.
pub(super) fn table(path: &Path, most: u64) -> Result<Vec<u8>> {
    // Before it is opened, which alone does something to many a device; and again, should it have been replaced.
    let is_file = |is_file: bool| if is_file { Ok(()) } else { Err(Error::other("it is no regular file")) };
    is_file(std::fs::symlink_metadata(path)?.is_file())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    is_file(file.metadata()?.is_file())?;
    let mut text = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= most) {
        Ok(text)
    } else {
        Err(Error::new(ErrorKind::FileTooLarge, format!("it is longer than {most} bytes, which no such table is")))
    }
}

/// The bytes of an attribute, without the newline that the kernel adds; what a name holds besides stays. `None` if
/// there is no such attribute, which often says something too.
///
/// # Errors
/// It is there, and cannot be read: then it may say anything.
pub(super) fn look(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut text = match table(path, LARGEST) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    Ok(Some(text))
}

/// The same as words.
///
/// # Errors
/// As [`look`].
pub(super) fn word(path: &Path) -> Result<Option<String>> {
    Ok(look(path)?.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
}

/// The bytes of an attribute, where one that is missing says no more than one that cannot be read.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    look(path).ok().flatten()
}

/// The same as words.
pub(super) fn text(path: &Path) -> Option<String> {
    word(path).ok().flatten()
}

/// An attribute as a number.
pub(super) fn count(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// A switch: `1` or `0`, nothing else.
pub(super) fn switch(path: &Path) -> Told {
    match text(path).as_deref() {
        Some("1") => Told::Yes,
        Some("0") => Told::No,
        Some(_) | None => Told::Unknown,
    }
}

/// The number of the device whose folder it is.
pub(super) fn number(dir: &Path) -> Option<Device> {
    device(&text(&dir.join("dev"))?)
}

/// `major:minor`.
pub(super) fn device(text: &str) -> Option<Device> {
    let (major, minor) = text.split_once(':')?;
    Some(Device(major.parse().ok()?, minor.parse().ok()?))
}

/// The entries of a folder in the order of their names, so that two looks give the same; none where there is none.
///
/// # Errors
/// It cannot be read to its end, or has more of them than can be.
pub(super) fn all(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
        if paths.len() > MOST_ENTRIES {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {MOST_ENTRIES} entries")));
        }
    }
    paths.sort();
    Ok(paths)
}

/// As many entries of a folder as can be read: for whoever needs one of them, or says that there may be more.
pub(super) fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.take(MOST_ENTRIES).filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// The last part of a path, in whatever letters.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
