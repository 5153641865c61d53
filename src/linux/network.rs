//! Network filesystems: whether this kernel's client serves swap at all.
//!
//! NFS can be compiled without; SMB got it after 6.1. Which of the two a kernel is shows in no version, but in its
//! table of symbols: the functions are there, or not. That table is large, and read once.
//!
//! Source: Linux v6.18, `include/linux/sunrpc/clnt.h` (`rpc_clnt_swap_activate` without `CONFIG_SUNRPC_SWAP`),
//! `fs/smb/client/file.c:cifs_swap_activate`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::OnceLock;

/// Whether this kernel's NFS client can serve swap.
pub(super) fn nfs_serves_swap() -> Option<bool> {
    static ANSWER: OnceLock<Option<bool>> = OnceLock::new();
    *ANSWER.get_or_init(|| kernel_has("rpc_clnt_swap_activate"))
}

/// Whether this kernel's SMB client can, where its reads are large enough.
pub(super) fn smb_serves_swap() -> Option<bool> {
    static ANSWER: OnceLock<Option<bool>> = OnceLock::new();
    *ANSWER.get_or_init(|| kernel_has("cifs_swap_rw"))
}

/// Whether the running kernel has a function; `None` where its table of symbols cannot be read, or is empty.
fn kernel_has(function: &str) -> Option<bool> {
    let mut lines = BufReader::with_capacity(64 << 10, File::open("/proc/kallsyms").ok()?).split(b'\n');
    let mut seen = None;
    let found = lines.by_ref().map_while(Result::ok).any(|line| {
        seen = Some(false);
        // Address, type, name, and the module if it is of one.
        line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).nth(2)
            == Some(function.as_bytes())
    });
    if found { Some(true) } else { seen }
}

/// Whether this process asks servers as root, whose answer swapon would get.
pub(super) fn asks_as_root() -> bool {
    rustix::process::geteuid().is_root()
}
