//! A memory cgroup with a hard limit, version 1 or 2, removed when it is dropped: pressure that stays inside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::say::say;

/// A cgroup of ours.
pub(crate) struct Cgroup {
    path: PathBuf,
    /// The name of the file with the limit.
    limit: &'static str,
    /// A mount of ours, if the system has none.
    _hierarchy: Option<Hierarchy>,
}

impl Cgroup {
    /// Makes a cgroup that can have so many bytes of memory and no more.
    pub(crate) fn new(limit: u64) -> io::Result<Self> {
        let (found, hierarchy) = match find()? {
            Some(found) => (found, None),
            None => {
                let mounted = Hierarchy::mount()?;
                let found = find()?.ok_or_else(|| io::Error::other("this kernel has no memory cgroups"))?;
                (found, Some(mounted))
            }
        };
        let (root, file) = match found {
            Found::One(root) => (root, "memory.limit_in_bytes"),
            Found::Two(root) => (root, "memory.max"),
        };
        let control = root.join("cgroup.subtree_control");
        // Version 1 has none. It stays on: to switch it off would take the limits of whoever else began to use it.
        if fs::read_to_string(&control).is_ok_and(|text| !has_word(&text, "memory")) {
            fs::write(&control, "+memory").map_err(|error| at(&control, &error))?;
        }
        let path = root.join(format!("swapfs-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        fs::create_dir(&path).map_err(|error| at(&path, &error))?;
        let cgroup = Self { path, limit: file, _hierarchy: hierarchy };
        cgroup.limit(limit)?;
        Ok(cgroup)
    }

    /// Sets the limit in bytes.
    pub(crate) fn limit(&self, bytes: u64) -> io::Result<()> {
        let file = self.path.join(self.limit);
        fs::write(&file, bytes.to_string()).map_err(|error| at(&file, &error))
    }

    /// Moves a process in; what it has already stays charged elsewhere.
    pub(crate) fn add(&self, process: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), process.to_string())
    }

    /// A program that begins inside, so that all it ever has is charged here.
    #[allow(dead_code)] // for tests: the demo serves from outside
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"echo 0 >"$0" && exec "$@""#]).arg(self.path.join("cgroup.procs")).arg(program);
        shell
    }

    /// Bytes charged here that reclaim passes over, such as locked memory.
    #[allow(dead_code)] // as above
    pub(crate) fn unevictable(&self) -> io::Result<u64> {
        // Both versions name it so.
        let text = fs::read_to_string(self.path.join("memory.stat"))?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("unevictable ")?.parse().ok());
        bytes.ok_or_else(|| io::Error::other("memory.stat has no unevictable"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that was killed leaves its cgroup a little later.
        for _ in 0..100 {
            match fs::remove_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => break,
            }
        }
        if self.path.exists() {
            say(format_args!("{} is left", self.path.display()));
        }
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Where memory cgroups are, and of which version.
enum Found {
    One(PathBuf),
    Two(PathBuf),
}

fn find() -> io::Result<Option<Found>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for line in mounts.lines() {
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let (Some(place), Some(kind)) = (front.split(' ').nth(4), back.split(' ').next()) else { continue };
        // A place with a blank is written with escapes, and not found: then a hierarchy of our own is mounted.
        let (root, options) = (PathBuf::from(place), back.split(' ').nth(2).unwrap_or(""));
        match kind {
            "cgroup" if options.split(',').any(|option| option == "memory") => return Ok(Some(Found::One(root))),
            "cgroup2" if controls_memory(&root) => return Ok(Some(Found::Two(root))),
            _ => (),
        }
    }
    Ok(None)
}

fn controls_memory(root: &Path) -> bool {
    fs::read_to_string(root.join("cgroup.controllers")).is_ok_and(|text| has_word(&text, "memory"))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_ascii_whitespace().any(|other| other == word)
}

/// A hierarchy that nobody had mounted, in a folder of our own.
struct Hierarchy(TempDir);

impl Hierarchy {
    fn mount() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("swapfs-cgroup-").tempdir()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("cgroup2", folder.path(), "cgroup2", flags, None)?;
        if !controls_memory(folder.path()) {
            unmount(folder.path(), UnmountFlags::empty())?;
            mount("cgroup", folder.path(), "cgroup", flags, Some(c"memory"))?;
        }
        Ok(Self(folder))
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::empty());
    }
}
