//! /proc/swaps: which files and devices are active now, told by inode, not by name.
//!
//! A name in it may be escaped, and a hard link, a bind mount or a symlink is another name of the same area.
//!
//! Source: Linux v6.18, `mm/swapfile.c:swap_show`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::inode::{Inode, Kind};
use super::mount::unescape;

/// The names of the active areas, as the kernel prints them; none where it has no swap.
pub(super) fn active() -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read("/proc/swaps") {
        Ok(text) => Ok(text.split(|byte| *byte == b'\n').skip(1).filter_map(name).map(PathBuf::from).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether this inode is an active area.
pub(super) fn is_active(inode: &Inode) -> std::io::Result<bool> {
    let same = |path: PathBuf| {
        Inode::at(&path).is_ok_and(|other| match inode.kind {
            Kind::BlockDevice => other.kind == Kind::BlockDevice && other.device == inode.device,
            Kind::File | Kind::Directory | Kind::Special(_) | Kind::Unknown => other.identity == inode.identity,
        })
    };
    Ok(active()?.into_iter().any(same))
}

/// The first column, unescaped. It ends at the first blank, since blanks within a name are escaped.
fn name(line: &[u8]) -> Option<OsString> {
    let name = line.split(|byte| byte.is_ascii_whitespace()).next().filter(|name| !name.is_empty())?;
    Some(unescape(name))
}
