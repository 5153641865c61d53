//! Which files are being run: such a file cannot be opened for writing.
//!
//! Source: Linux v6.18, `fs/exec.c:do_open_execat` (`exe_file_deny_write_access`).

use super::inode::Inode;

/// Whether a process runs this inode; `None` where some process does not show what it runs.
///
/// Only a file with an execute bit is looked for: it takes a walk over all processes.
pub(super) fn runs(inode: &Inode) -> std::io::Result<Option<bool>> {
    if inode.mode & 0o111 == 0 {
        return Ok(Some(false));
    }
    let mut hidden = false;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        match Inode::at(&entry.path().join("exe")) {
            Ok(other) if other.identity == inode.identity => return Ok(Some(true)),
            Ok(_) => (),
            // A kernel thread runs no file, and a process may end meanwhile.
            Err(error) => hidden |= error != rustix::io::Errno::NOENT && error != rustix::io::Errno::SRCH,
        }
    }
    Ok(if hidden { None } else { Some(false) })
}
