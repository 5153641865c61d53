//! Servers: which process is behind a FUSE mount or a ublk device, and what it has open.
//!
//! Best effort, and only what /proc shows: another user's descriptors are told to root, another namespace's processes
//! not at all. What is not seen is unknown.

use std::path::{Path, PathBuf};

use super::{TopologyError, Tree};
use crate::candidate::Kind;
use crate::linux::inode::{Device, Inode};
use crate::linux::reclaim::Report;
use crate::linux::sysfs;
use crate::posture::Holding;
use crate::topology::{Posture, Server, Told};

/// A file or a device that a server has open and may keep pages on.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// `None` for what may not be looked at, and may be anything.
    pub(super) inode: Option<Inode>,
    pub(super) name: String,
    /// Whether by `O_DIRECT`.
    direct: bool,
}

/// What a process serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    Block(Device),
    /// A FUSE connection, by its number.
    Mount(u32),
}

/// What one process serves.
pub(super) fn served(tree: &Tree, pid: u32) -> Vec<Served> {
    let mut found = Vec::new();
    for (fd, target) in descriptors(tree, pid) {
        let served = if target == "/dev/fuse" {
            connection(tree, pid, &fd).map(Served::Mount)
        } else {
            let block = |number: &str| sysfs::number(&tree.sys.join("class/block").join(format!("ublkb{number}")));
            target.strip_prefix("/dev/ublkc").and_then(block).map(Served::Block)
        };
        found.extend(served.filter(|served| !found.contains(served)));
    }
    found
}

/// Why a process serves nothing, as far as it shows.
pub(super) fn nothing_served(tree: &Tree, pid: u32) -> TopologyError {
    let dir = tree.proc.join(pid.to_string());
    if !dir.is_dir() {
        return TopologyError::NoProcess { pid };
    }
    let status = sysfs::text(&dir.join("status"));
    if status.is_some_and(|status| !status.lines().any(|line| line.starts_with("VmSize:"))) {
        return TopologyError::NoMemory { pid };
    }
    if let Err(error) = std::fs::read_dir(dir.join("fd")) {
        return TopologyError::NotShown { pid, error };
    }
    if descriptors(tree, pid).iter().any(|(_, target)| target == "/dev/fuse") {
        return TopologyError::WhichMount { pid };
    }
    TopologyError::ServesNothing { pid }
}

/// The processes that have a file of that name open.
pub(super) fn holders(tree: &Tree, name: &str) -> Vec<u32> {
    let holds = |pid: &u32| descriptors(tree, *pid).iter().any(|(_, target)| target == name);
    pids(tree).into_iter().filter(holds).collect()
}

/// The processes that serve a FUSE connection.
///
/// Since 6.16 a descriptor says which; before, nothing does, and nobody is named.
pub(super) fn of_connection(tree: &Tree, number: u64) -> Vec<u32> {
    let serves = |pid: &u32| {
        descriptors(tree, *pid)
            .iter()
            .filter(|(_, target)| target == "/dev/fuse")
            .any(|(fd, _)| connection(tree, *pid, fd).is_some_and(|found| u64::from(found) == number))
    };
    pids(tree).into_iter().filter(serves).collect()
}

/// What servers have open for writing: block devices but those on the way to them, which are what they serve and what was
/// built on it, and files that they do not only append to. Their standard output and errors are logs.
pub(super) fn open(tree: &Tree, pids: &[u32], own: &[Device]) -> Vec<Open> {
    let mut found: Vec<Open> = Vec::new();
    for pid in pids {
        // The links of a copy lead to files of this machine.
        if !tree.is_running() {
            let name = format!("what process {pid} has open, which a copy of tables does not hold");
            found.push(Open { inode: None, name, direct: false });
            continue;
        }
        let all = descriptors(tree, *pid);
        if all.len() >= sysfs::MOST_ENTRIES {
            found.push(Open { inode: None, name: format!("more descriptors of process {pid}"), direct: false });
        }
        for (fd, name) in all {
            let is_log = [1, 2].iter().any(|number: &u8| sysfs::name(&fd) == number.to_string());
            if is_log {
                continue;
            }
            // Not by asking a server, which may be the one that hangs.
            let (Some(flags), Ok(inode)) = (flags(tree, *pid, &fd), Inode::at_cached(&fd)) else {
                // Closed meanwhile, or not shown.
                if std::fs::symlink_metadata(&fd).is_ok() {
                    found.push(Open { inode: None, name, direct: false });
                }
                continue;
            };
            let is_written = flags & O_ACCMODE != 0;
            let wanted = match inode.kind {
                Kind::BlockDevice => !own.contains(&inode.device),
                // What is appended to is a log. It may hang the server too, and is no place for pages.
                Kind::RegularFile => is_written && flags & O_APPEND == 0,
                Kind::Directory | Kind::Special(_) => false,
            };
            let is_known = |open: &&mut Open| open.inode.as_ref().is_some_and(|known| known.identity == inode.identity);
            let direct = flags & o_direct() != 0;
            match found.iter_mut().find(is_known) {
                // Open twice: by the way that is worse.
                Some(known) if wanted => known.direct &= direct,
                None if wanted => found.push(Open { inode: Some(inode), name, direct }),
                Some(_) | None => (),
            }
        }
    }
    found
}

/// What shows of a server from outside. What it does while it serves can be told by nobody but itself.
pub(super) fn server(tree: &Tree, pids: &[u32], open: &[Open]) -> Server {
    let direct = match (pids, open) {
        ([], _) | (_, []) => Told::Unknown,
        (_, open) if open.iter().any(|open| open.inode.is_none()) => Told::Unknown,
        (_, open) if open.iter().all(|open| open.direct) => Told::Yes,
        _ => Told::No,
    };
    Server { posture: posture(tree, pids), allocates_nothing: Told::Unknown, direct }
}

/// The worst posture of them, as far as it shows: a report from outside leaves steps open, so that none is held by it.
fn posture(tree: &Tree, pids: &[u32]) -> Posture {
    // A copied tree tells of processes that may be others here.
    if !tree.is_running() || pids.is_empty() {
        return Posture::Unknown;
    }
    if tree.is_proven && pids == [std::process::id()] {
        return Posture::Held;
    }
    let reports: Vec<Option<Report>> = pids.iter().map(|pid| Report::of(*pid).ok()).collect();
    let misses = |report: &Report| report.findings().iter().any(|found| matches!(found.holding, Holding::Missing(_)));
    if reports.iter().flatten().any(misses) {
        return Posture::Missing;
    }
    let holds = |report: &Option<Report>| report.as_ref().is_some_and(Report::holds);
    if reports.iter().all(holds) { Posture::Held } else { Posture::Unknown }
}

/// What is served, and by which processes.
pub(super) fn named(served: &str, pids: &[u32]) -> String {
    let comma = if served.is_empty() { "" } else { ", " };
    match pids {
        [] => format!("{served}{comma}by a process that does not show"),
        pids => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            format!("{served}{comma}by process {}", pids.join(", "))
        }
    }
}

/// Every process that shows.
fn pids(tree: &Tree) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(&tree.proc) else { return Vec::new() };
    let number = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let mut pids: Vec<u32> = entries.take(MOST_PIDS).filter_map(number).collect();
    pids.sort_unstable();
    pids
}

/// The descriptors of a process, and what the kernel calls them.
pub(super) fn descriptors(tree: &Tree, pid: u32) -> Vec<(PathBuf, String)> {
    let entries = sysfs::entries(&tree.proc.join(pid.to_string()).join("fd"));
    let named = |fd: PathBuf| {
        let name = std::fs::read_link(&fd).ok()?.to_string_lossy().into_owned();
        Some((fd, name))
    };
    entries.into_iter().filter_map(named).collect()
}

fn connection(tree: &Tree, pid: u32, fd: &Path) -> Option<u32> {
    line(tree, pid, fd, "fuse_connection:")?.parse().ok()
}

/// The flags of its opening, which are written in octal.
fn flags(tree: &Tree, pid: u32, fd: &Path) -> Option<u32> {
    u32::from_str_radix(&line(tree, pid, fd, "flags:")?, 8).ok()
}

fn line(tree: &Tree, pid: u32, fd: &Path, key: &str) -> Option<String> {
    let info = tree.proc.join(pid.to_string()).join("fdinfo").join(sysfs::name(fd));
    let text = sysfs::text(&info)?;
    Some(text.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned())
}

/// `PID_MAX_LIMIT` of include/linux/threads.h.
const MOST_PIDS: usize = 1 << 22;
const O_ACCMODE: u32 = 0o3;
const O_APPEND: u32 = 0o2000;

/// Its number is the architecture's.
fn o_direct() -> u32 {
    rustix::fs::OFlags::DIRECT.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_the_process_that_has_it() {
        let own = std::process::id();
        let proven = Tree { is_proven: true, ..Tree::running() };
        assert_eq!(posture(&proven, &[own]), Posture::Held);
        // Not without it, for no other, and not in a copy of tables.
        assert_ne!(posture(&Tree::running(), &[own]), Posture::Held);
        assert_ne!(posture(&proven, &[own, 1]), Posture::Held);
        assert_ne!(posture(&proven, &[1]), Posture::Held);
        let copy = Tree { is_proven: true, ..Tree::at("/nowhere", "/proc") };
        assert_eq!(posture(&copy, &[own]), Posture::Unknown);
    }
}
