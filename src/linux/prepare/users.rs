//! Who else may write to a file: a process that has it open for writing, a loop device over it.
//!
//! Only what /proc and /sys show can be found: as root that is every process of this PID namespace. A mapping whose
//! descriptor is closed does not show.
//!
//! Source: proc_pid_fdinfo(5) (`ino` since 5.14); Documentation/ABI/testing/sysfs-block-loop.

use std::path::{Path, PathBuf};

use crate::linux::inode::Inode;

/// Somebody else who may write to the file, in words; `None` where none is seen.
pub(in crate::linux) fn writer(inode: &Inode) -> std::io::Result<Option<String>> {
    writer_but(inode, "")
}

/// The same, but for the loop device of that name.
pub(in crate::linux) fn writer_but(inode: &Inode, own_device: &str) -> std::io::Result<Option<String>> {
    let is_it = |path: &Path| Inode::at(path).is_ok_and(|other| other.identity == inode.identity);
    let own = std::process::id().to_string();
    for process in names(Path::new("/proc"))? {
        if process == own || !process.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let dir = Path::new("/proc").join(&process);
        // A process may end meanwhile, and another user's is closed to us.
        for fd in names(&dir.join("fdinfo")).unwrap_or_default() {
            // What is said of the descriptor first: the file itself may be on a server that does not answer.
            let info = std::fs::read_to_string(dir.join("fdinfo").join(&fd)).unwrap_or_default();
            if may_write(&info, inode.identity.1) && is_it(&dir.join("fd").join(&fd)) {
                return Ok(Some(format!("process {process}")));
            }
        }
    }
    for device in names(Path::new("/sys/block")).unwrap_or_default() {
        let backing = std::fs::read_to_string(Path::new("/sys/block").join(&device).join("loop/backing_file"));
        if device != own_device && backing.is_ok_and(|path| is_it(&PathBuf::from(path.trim_end_matches('\n')))) {
            return Ok(Some(format!("the loop device {device}")));
        }
    }
    Ok(None)
}

/// Whether the descriptor is open for writing, to a file of that number as far as that is said.
fn may_write(info: &str, number: u64) -> bool {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_other = field("ino:").and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|other| other != number);
    let flags = field("flags:").and_then(|digits| u32::from_str_radix(digits, 8).ok());
    // O_PATH has no access mode: nothing is written by it.
    !is_other && flags.is_some_and(|flags| flags & O_ACCMODE != 0 && flags & O_PATH == 0)
}

fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(dir)?.filter_map(Result::ok);
    Ok(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

const O_ACCMODE: u32 = 0o3;
const O_PATH: u32 = 0o1000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_by_number_and_mode() {
        let rows = [
            ("read and write", "pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t7\n", true),
            ("write", "pos:\t0\nflags:\t0100001\nmnt_id:\t29\nino:\t7\n", true),
            ("before 5.14", "pos:\t0\nflags:\t02\nmnt_id:\t29\n", true),
            ("read", "pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t7\n", false),
            ("another file", "pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t70\n", false),
            ("a path only", "pos:\t0\nflags:\t012000002\nmnt_id:\t29\nino:\t7\n", false),
            ("closed meanwhile", "", false),
        ];
        for (name, info, expected) in rows {
            assert_eq!(may_write(info, 7), expected, "{name}");
        }
    }
}
