//! The memory cgroup of a process and those above it, version 1 or 2: what throttles and what limits it.
//!
//! Limits hold for everything below, so the lowest on the way up counts. What a cgroup namespace or a container hides
//! above is told by version 1 (`hierarchical_memory_limit`) and not by version 2.
//!
//! Source: Linux v6.18, `mm/memcontrol.c`, `mm/memcontrol-v1.c`; Documentation/admin-guide/cgroup-v2.rst, cgroups(7).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::notes::Notes;
use super::process::{Process, doubt, os, read_whole};
use crate::linux::mount::{self, Mount, has_option};
use crate::posture::{Cgroup, PostureDoubt, Seen};
use crate::reason::PostureStep;
use crate::unit::Bytes;

/// Looks at the limits of a process.
pub(super) fn look(process: &Process, notes: &mut Notes) -> Seen<Cgroup> {
    let text = process.read("cgroup")?;
    let Some((version, path)) = membership(&text) else {
        notes.add(PostureStep::Cgroup, "in no memory cgroup");
        return Ok(Cgroup::default());
    };
    notes.add(PostureStep::Cgroup, format!("{} (version {})", path.display(), version.number()));
    let mounts = mount::all().map_err(|_| PostureDoubt::NotShown)?;
    let mount = mounts.iter().find(|mount| version.is(mount)).ok_or(PostureDoubt::NotShown)?;
    // A way up and out of what is mounted leads to what is not visible.
    let inside = path.strip_prefix(&mount.root).map_err(|_| PostureDoubt::HiddenCgroups)?;
    if inside.components().any(|part| part == Component::ParentDir) {
        return Err(PostureDoubt::HiddenCgroups);
    }
    let mut found = Cgroup { hidden: version.hides(mount)?, ..Cgroup::default() };
    let own = mount.point.join(inside);
    if !own.is_dir() {
        return Err(PostureDoubt::HiddenCgroups);
    }
    for folder in own.ancestors().take_while(|folder| folder.starts_with(&mount.point)) {
        let name = folder.strip_prefix(&mount.point).unwrap_or(folder).display();
        for (file, bound) in version.bounds(&mut found) {
            let Some(limit) = read(&folder.join(file), version)? else { continue };
            notes.add(PostureStep::Cgroup, format!("/{name}: {file} is {limit}"));
            *bound = Some(bound.map_or(limit, |lowest| lowest.min(limit)));
        }
    }
    if version == Version::One {
        match hierarchical(&own) {
            Some(limit) if limit >= UNLIMITED => (),
            Some(limit) => found.limit = Some(found.limit.map_or(limit, |lowest| lowest.min(limit))),
            None => found.hidden = true,
        }
    }
    if version == Version::Two
        && let Ok(Some(least)) = read(&own.join("memory.min"), version)
        && least > Bytes::ZERO
    {
        notes.add(PostureStep::Cgroup, format!("memory.min is {least}"));
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Version {
    One,
    Two,
}

impl Version {
    const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    fn is(self, mount: &Mount) -> bool {
        match self {
            Self::One => mount.kind == "cgroup" && has_option(&mount.options, "memory"),
            Self::Two => mount.kind == "cgroup2",
        }
    }

    /// Whether cgroups above the mount are not visible: every one but the root has a type.
    fn hides(self, mount: &Mount) -> Seen<bool> {
        match self {
            Self::One => Ok(false),
            Self::Two => match mount.point.join("cgroup.type").symlink_metadata() {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(_) => Err(PostureDoubt::NotPermitted),
            },
        }
    }

    /// The files that bind, each with the bound that it is.
    fn bounds(self, found: &mut Cgroup) -> Vec<(&'static str, &mut Option<Bytes>)> {
        match self {
            Self::One => vec![("memory.limit_in_bytes", &mut found.limit)],
            Self::Two => vec![("memory.high", &mut found.high), ("memory.max", &mut found.limit)],
        }
    }
}

/// Which memory cgroup a process is in: the line of the memory controller, or else that of version 2.
fn membership(text: &[u8]) -> Option<(Version, PathBuf)> {
    let mut two = None;
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let path = || PathBuf::from(OsStr::from_bytes(path));
        if controllers.split(|byte| *byte == b',').any(|name| name == b"memory") {
            return Some((Version::One, path()));
        }
        if number == b"0" && controllers.is_empty() {
            two = Some((Version::Two, path()));
        }
    }
    two
}

/// A bound; `None` if there is none, or no such file, as in the root.
fn read(path: &Path, version: Version) -> Seen<Option<Bytes>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doubt(os(&error))),
    };
    let text = read_whole(file)?;
    let bound = bound(&text).ok_or(PostureDoubt::Unreadable)?;
    Ok(bound.filter(|bound| version == Version::Two || *bound < UNLIMITED))
}

/// `max`, or a number of bytes.
fn bound(text: &[u8]) -> Option<Option<Bytes>> {
    match std::str::from_utf8(text).ok()?.trim() {
        "max" => Some(None),
        number => number.parse().ok().map(|bytes| Some(Bytes::new(bytes))),
    }
}

/// Version 1: the lowest limit of a cgroup and all above it, visible or not.
fn hierarchical(own: &Path) -> Option<Bytes> {
    let text = read_whole(std::fs::File::open(own.join("memory.stat")).ok()?).ok()?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"hierarchical_memory_limit "))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok().map(Bytes::new)
}

/// `PAGE_COUNTER_MAX` in bytes, for pages of 4 to 64 KiB: what version 1 shows where there is no limit.
const UNLIMITED: Bytes = Bytes::new(0x7fff_ffff_ffff_0000);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_of_the_memory_controller_counts() {
        type Row = (&'static [u8], Option<(Version, &'static str)>);
        let rows: [Row; 7] = [
            (b"0::/system.slice/a.service\n", Some((Version::Two, "/system.slice/a.service"))),
            (b"4:memory:/a\n0::/b\n", Some((Version::One, "/a"))),
            (b"0::/b\n4:cpu,memory:/a:b\n", Some((Version::One, "/a:b"))),
            (b"4:name=memory:/a\n1:cpu:/\n", None),
            (b"7::/a\n", None),
            (b"memory\n:\n", None),
            (b"", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(version, path)| (version, PathBuf::from(path)));
            assert_eq!(membership(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_bound_is_a_number_or_none() {
        let rows: [(&[u8], Option<Option<u64>>); 6] = [
            (b"max\n", Some(None)),
            (b"4096\n", Some(Some(4096))),
            (b"-1\n", None),
            (b"99999999999999999999\n", None),
            (b"\xff", None),
            (b"", None),
        ];
        for (text, expected) in rows {
            assert_eq!(bound(text), expected.map(|bytes| bytes.map(Bytes::new)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (membership(&text), bound(&text));
        }
    }
}
