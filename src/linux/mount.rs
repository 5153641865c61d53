//! The mount that a file is on: kind of filesystem, device, options.
//!
//! Source: Linux v6.18, `fs/proc_namespace.c:show_mountinfo`; proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::inode::{Device, Inode};
use super::sysfs;
use crate::candidate::Kind;

/// One line of /proc/self/mountinfo.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) device: Device,
    /// What of the filesystem is mounted: `/`, or the folder that a bind mount or a namespace shows.
    pub(super) root: PathBuf,
    /// Where it is mounted, from this process's root.
    pub(super) point: PathBuf,
    /// `ext4`, `fuse.sshfs`, `fuseblk`, …
    pub(super) kind: String,
    /// What is mounted: the path of a device, or anything.
    pub(super) source: PathBuf,
    /// The filesystem's own options, comma-separated; `rw` or `ro` first.
    pub(super) options: String,
    /// The mount's options: `ro` for a read-only bind mount of a writable filesystem.
    pub(super) mount_options: String,
}

impl Mount {
    /// Whether the filesystem is read-only, by its mount or by itself after an error.
    pub(super) fn is_filesystem_read_only(&self) -> bool {
        has_option(&self.options, "ro") || has_option(&self.options, "emergency_ro")
    }

    /// Whether this mount of it is read-only.
    pub(super) fn is_mount_read_only(&self) -> bool {
        has_option(&self.mount_options, "ro")
    }

    /// Whether its files are the kernel's own tables, which reading may change.
    pub(super) fn is_of_the_kernel(&self) -> bool {
        const OWN: [&str; 15] = [
            "proc",
            "sysfs",
            "debugfs",
            "tracefs",
            "configfs",
            "securityfs",
            "cgroup",
            "cgroup2",
            "bpf",
            "pstore",
            "devpts",
            "mqueue",
            "efivarfs",
            "fusectl",
            "binfmt_misc",
        ];
        OWN.contains(&self.kind.as_str())
    }

    /// Whether ext4 journals all data.
    pub(super) fn journals_data(&self) -> bool {
        has_option(&self.options, "data=journal")
    }

    /// Whether times are stamped in memory and written when the inode is written for another reason.
    pub(super) fn is_lazy_with_times(&self) -> bool {
        has_option(&self.options, "lazytime")
    }
}

/// The mount that the inode was reached through; `None` where the mount table does not show it.
pub(super) fn of(inode: &Inode) -> std::io::Result<Option<Mount>> {
    Ok(all()?.into_iter().find(|mount| match inode.mount {
        Some(id) => mount.id == id,
        None => mount.device == inode.identity.0,
    }))
}

/// Every mount that this process sees.
pub(super) fn all() -> std::io::Result<Vec<Mount>> {
    read(Path::new("/proc/self/mountinfo"))
}

/// Every mount of a table.
pub(super) fn read(table: &Path) -> std::io::Result<Vec<Mount>> {
    let text = sysfs::table(table, LARGEST)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// More than the table of any machine: a line for each of 100,000 mounts, the most that a namespace may have.
const LARGEST: u64 = 64 << 20;

/// The mount that a path lies in, by names alone; `None` where two of them have the same place, one over the other. An
/// automounter's own is none: it holds nothing, and what it mounts is put over it.
pub(super) fn by_name<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let depth = |mount: &Mount| mount.point.components().count();
    let holding = || on_the_way(mounts, path).filter(|mount| mount.kind != "autofs");
    let deepest = holding().max_by_key(|mount| depth(mount))?;
    let is_alone = holding().filter(|mount| mount.point == deepest.point).count() == 1;
    is_alone.then_some(deepest)
}

/// Every mount that may be asked for a name on the way to a path, covered ones too.
pub(super) fn on_the_way<'m>(mounts: &'m [Mount], path: &Path) -> impl Iterator<Item = &'m Mount> {
    mounts.iter().filter(move |mount| path.starts_with(&mount.point))
}

/// The block device that a name in /dev leads to, as the table has it for the source of a btrfs. Any other name may lie
/// on what a server serves, which may hang whoever asks for it, and is none.
pub(super) fn named_device(name: &Path) -> Option<Device> {
    let inode = Some(name).filter(|name| is_in_dev(name)).and_then(|name| Inode::at_cached(name).ok())?;
    (inode.kind == Kind::BlockDevice).then_some(inode.device)
}

/// Whether a name lies in /dev and does not lead out of it.
pub(super) fn is_in_dev(name: &Path) -> bool {
    name.starts_with("/dev") && !name.components().any(|part| part == Component::ParentDir)
}

/// Whether a mount of this number stands on a folder of this process's, on top or covered. Numbers are given again, so
/// the device must agree too.
#[cfg(feature = "fuser")]
pub(crate) fn stands(id: u64, device: (u32, u32), point: &Path) -> std::io::Result<bool> {
    let device = Device(device.0, device.1);
    Ok(all()?.iter().any(|mount| mount.id == id && mount.device == device && mount.point == point))
}

/// Undoes the octal escapes of /proc (`\040` for a space), which are three digits each.
pub(super) fn unescape(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escape = after.first_chunk::<3>().filter(|_| *byte == b'\\').and_then(octal);
        plain.push(escape.unwrap_or(*byte));
        rest = if escape.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(plain)
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))?;
    u8::from_str_radix(text, 8).ok()
}

fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    let text = |at: usize| Some(String::from_utf8_lossy(fields.get(at)?).into_owned());
    let after = |at: usize| separator.checked_add(at);
    let device = text(2)?;
    let (major, minor) = device.split_once(':')?;
    Some(Mount {
        id: text(0)?.parse().ok()?,
        device: Device(major.parse().ok()?, minor.parse().ok()?),
        root: PathBuf::from(unescape(fields.get(3)?)),
        point: PathBuf::from(unescape(fields.get(4)?)),
        kind: text(after(1)?)?,
        source: PathBuf::from(unescape(fields.get(after(2)?)?)),
        options: text(after(3)?)?,
        mount_options: text(5)?,
    })
}

pub(super) fn has_option(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_escapes_and_optional_fields() {
        let line =
            br"41 29 7:3 /a\040b /mnt/c\134d rw,relatime shared:9 master:1 - ext4 /dev/loop\0409 rw,data=journal";
        let Some(mount) = parse(line) else { unreachable!("a line of mountinfo is read") };
        assert_eq!((mount.id, mount.device), (41, Device(7, 3)));
        assert_eq!(mount.root, PathBuf::from("/a b"));
        assert_eq!((mount.kind.as_str(), mount.source), ("ext4", PathBuf::from("/dev/loop 9")));
        assert_eq!(mount.point, PathBuf::from("/mnt/c\\d"));
        assert!(mount.options == "rw,data=journal" && mount.mount_options == "rw,relatime");
    }

    #[test]
    fn a_damaged_line_is_no_mount() {
        let lines: [&[u8]; 6] =
            [b"", b"-", b"1 2 3:4 - ext4", b"x 29 7:3 / /m rw - ext4 s rw", b"1 2 3 / /m rw - a b c", b"\xff \xff - -"];
        for line in lines {
            assert!(parse(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn the_mount_of_a_name_and_those_on_the_way_to_it() {
        let lines = [
            "1 0 254:0 / / rw - ext4 /dev/vda rw",
            "2 1 0:40 / /a rw - fuse.x x rw",
            "3 2 254:1 / /a/b rw - ext4 /dev/vdb rw",
            "4 1 0:41 / /n rw - autofs x rw",
            "5 4 0:42 / /n rw - nfs4 x rw",
            "6 1 0:43 / /t rw - autofs x rw",
            "7 1 254:2 / /s rw - ext4 /dev/vdc rw",
            "8 7 254:3 / /s rw - ext4 /dev/vdd rw",
        ];
        let mounts: Vec<Mount> = lines.iter().filter_map(|line| parse(line.as_bytes())).collect();
        let cases: [(&str, Option<u64>, &[u64]); 8] = [
            ("/x", Some(1), &[1]),
            ("/ab", Some(1), &[1]),
            ("/a/x", Some(2), &[1, 2]),
            ("/a/b/x", Some(3), &[1, 2, 3]),
            ("/n/x", Some(5), &[1, 4, 5]),
            // Not mounted yet: a look-up would do it.
            ("/t/x", Some(1), &[1, 6]),
            ("/s/x", None, &[1, 7, 8]),
            ("x", None, &[]),
        ];
        for (path, found, on_the_way_to_it) in cases {
            assert_eq!(by_name(&mounts, Path::new(path)).map(|mount| mount.id), found, "{path}");
            let ids: Vec<u64> = on_the_way(&mounts, Path::new(path)).map(|mount| mount.id).collect();
            assert_eq!(ids, on_the_way_to_it, "{path}");
        }
        for (name, is_in) in [("/dev/vda", true), ("/dev/mapper/x", true), ("/devil", false), ("/dev/../m/x", false)] {
            assert_eq!(is_in_dev(Path::new(name)), is_in, "{name}");
        }
    }

    #[test]
    fn unescape_leaves_what_is_no_escape() {
        for (text, plain) in
            [(r"a\040b", "a b"), (r"a\04", r"a\04"), (r"\9x1", r"\9x1"), (r"\134040", r"\040"), ("", "")]
        {
            assert_eq!(unescape(text.as_bytes()), plain, "{text}");
        }
    }
}
