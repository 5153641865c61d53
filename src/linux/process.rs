//! Which files are being run: such a file cannot be opened for writing.
//!
//! Only what /proc shows can be found. Where it may hide something, a file with an execute bit is left in doubt; one
//! without is taken for not run, since a program loses that bit only by hand while it runs.
//!
//! Source: Linux v6.18, `fs/exec.c:do_open_execat` (`exe_file_deny_write_access`).

use super::inode::Inode;
use super::mount;

/// Whether a process runs this inode; `None` where that cannot be told.
pub(super) fn runs(inode: &Inode) -> std::io::Result<Option<bool>> {
    let mut hidden = hides_processes()?;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let is_process =
            path.file_name().is_some_and(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        match Inode::at(&path.join("exe")) {
            Ok(other) if other.identity == inode.identity => return Ok(Some(true)),
            // A kernel thread runs no file.
            Ok(_) | Err(rustix::io::Errno::NOENT) => (),
            // A process may also end meanwhile.
            Err(_) => hidden |= path.exists(),
        }
    }
    let may_be_run = inode.mode & 0o111 != 0;
    Ok(if hidden && may_be_run { None } else { Some(false) })
}

/// Whether /proc shows less than every process: in a PID namespace of its own, or by `hidepid`.
fn hides_processes() -> std::io::Result<bool> {
    let namespace = std::fs::read_link("/proc/self/ns/pid")?;
    let of_proc = |mount: &mount::Mount| mount.kind == "proc" && mount.options.contains("hidepid=");
    Ok(namespace.as_os_str() != INITIAL_NAMESPACE || mount::all()?.iter().any(of_proc))
}

/// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";
