//! /proc/swaps: which files and devices are active now, told by inode, not by name.
//!
//! A name in it may be escaped, and a hard link, a bind mount or a symlink is another name of the same area. It may
//! also lead nowhere from here, or elsewhere: behind a mount, in another mount namespace, in a folder that this user
//! may not enter. Then the file at hand may be that area, and nothing else says so. What cannot be told: a name that
//! leads to another file, as large as the area, is taken for the area itself.
//!
//! Source: Linux v6.18, `mm/swapfile.c:swap_show`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::inode::Inode;
use super::mount::unescape;
use crate::candidate::Kind;
use crate::unit::Bytes;

/// What /proc/swaps says of one inode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swaps {
    /// Whether it is an active area; `None` where that cannot be told.
    pub(super) active: Option<bool>,
    /// How many areas are active.
    pub(super) areas: usize,
}

/// Looks for an inode among the active areas.
///
/// # Errors
/// /proc/swaps cannot be read: then this kernel has no swap, or does not show it.
pub(super) fn look(inode: &Inode) -> std::io::Result<Swaps> {
    let mut seen = look_once(inode)?;
    for _ in 0..SECOND_LOOKS {
        // An area that was switched off between the two readings leaves a name that leads nowhere, and no doubt.
        if seen.active.is_some() {
            break;
        }
        seen = look_once(inode)?;
    }
    Ok(seen)
}

/// One reading of the table, and of what its names lead to.
fn look_once(inode: &Inode) -> std::io::Result<Swaps> {
    let entries = active()?;
    let (mut is_active, mut doubt) = (false, false);
    for entry in &entries {
        match (Inode::at(&entry.path), inode.kind, entry.is_partition) {
            (Ok(other), Kind::BlockDevice, true) if other.kind == Kind::BlockDevice => {
                is_active |= other.device == inode.device;
            }
            (Ok(other), Kind::RegularFile, false) if other.is_as_large(entry.size) => {
                is_active |= other.identity == inode.identity;
            }
            // The name leads nowhere, or to something that cannot be this area: the file at hand may be, if it is as
            // large. A device is as large as it is, whatever its header claims.
            (_, Kind::BlockDevice, true) => doubt = true,
            (_, Kind::RegularFile, false) => doubt |= inode.is_as_large(entry.size),
            (_, Kind::BlockDevice | Kind::RegularFile | Kind::Directory | Kind::Special(_), _) => (),
        }
    }
    let active = if is_active { Some(true) } else { (!doubt).then_some(false) };
    Ok(Swaps { active, areas: entries.len() })
}

/// The block devices that are active areas.
pub(super) fn active_devices() -> std::io::Result<Vec<super::inode::Device>> {
    let partitions = active()?.into_iter().filter(|entry| entry.is_partition);
    Ok(partitions.filter_map(|entry| Inode::at(&entry.path).ok()).map(|inode| inode.device).collect())
}

/// The names of the active areas, as /proc/swaps shows them.
#[cfg(feature = "fuser")]
pub(crate) fn active_names() -> std::io::Result<Vec<PathBuf>> {
    Ok(active()?.into_iter().map(|entry| entry.path).collect())
}

impl Inode {
    /// Whether a file can be an active area of so many usable bytes; one whose size cannot be read may be any.
    fn is_as_large(&self, size: Bytes) -> bool {
        self.kind == Kind::RegularFile && (self.size > size || size == UNREADABLE)
    }
}

const SECOND_LOOKS: u32 = 2;
const UNREADABLE: Bytes = Bytes::new(u64::MAX);

struct Entry {
    path: PathBuf,
    is_partition: bool,
    /// Usable bytes, the header page not counted.
    size: Bytes,
}

fn active() -> std::io::Result<Vec<Entry>> {
    let text = table()?;
    Ok(text.split(|byte| *byte == b'\n').skip(1).filter_map(entry).collect())
}

/// The table, in as few readings as the kernel allows: it holds its lock for one read(2) at a time and finds its place
/// again by counting entries, so an area that is switched off between two readings hides the one after it.
fn table() -> std::io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(64 << 10); // more than a full table: then no small probe comes first
    File::open("/proc/swaps")?.read_to_end(&mut text)?;
    Ok(text)
}

/// One line. Columns end at blanks, since blanks within a name are escaped; what cannot be read counts as an area
/// that leads nowhere.
fn entry(line: &[u8]) -> Option<Entry> {
    let mut columns = line.split(|byte| byte.is_ascii_whitespace()).filter(|column| !column.is_empty());
    let path = PathBuf::from(unescape(columns.next()?));
    let is_partition = columns.next() == Some(b"partition");
    let kib = columns.next().and_then(|size| std::str::from_utf8(size).ok()?.parse::<u64>().ok());
    Some(Entry { path, is_partition, size: kib.map_or(UNREADABLE, |kib| Bytes::new(kib.saturating_mul(1024))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_by_columns() {
        type Row = (&'static [u8], Option<(&'static str, bool, u64)>);
        let rows: &[Row] = &[
            (b"/swap\t\t\tfile\t\t1020\t\t0\t\t-2", Some(("/swap", false, 1020 << 10))),
            (b"/dev/loop0   partition 1016 0 -2", Some(("/dev/loop0", true, 1016 << 10))),
            (br"/a\040b\134 file 4 0 -2", Some(("/a b\\", false, 4096))),
            (b"/gone\\040(deleted) file 4 0 -2", Some(("/gone (deleted)", false, 4096))),
            (b"/odd file much", Some(("/odd", false, u64::MAX))),
            (b"", None),
        ];
        for (line, expected) in rows {
            let entry = entry(line).map(|entry| (entry.path, entry.is_partition, entry.size.get()));
            let expected = expected.map(|(path, is_partition, size)| (PathBuf::from(path), is_partition, size));
            assert_eq!(entry, expected, "{}", String::from_utf8_lossy(line));
        }
    }
}
