//! Attributes in /sys and /proc, read in one go and never without an end.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::linux::inode::Device;
use crate::topology::Told;

/// More than any attribute that is asked for, the longest being a path.
const LARGEST: u64 = 8192;
/// More than any folder here has entries that matter; a lying one has more.
pub(super) const MOST_ENTRIES: usize = 4096;

/// The bytes of an attribute, without the newline that the kernel adds; what a name holds besides stays.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    // Cut off: half of it says nothing.
    (u64::try_from(text.len()).ok()? < LARGEST.saturating_sub(1)).then_some(text)
}

/// An attribute as words.
pub(super) fn text(path: &Path) -> Option<String> {
    bytes(path).map(|text| String::from_utf8_lossy(&text).trim().to_owned())
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
