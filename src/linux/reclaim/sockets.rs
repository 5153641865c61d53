//! Sockets of the kinds that syslog(3) and the journal use: of the unix domain, without a stream.
//!
//! The protocol that a socket tells of itself counts. /proc/net/unix would have the type too, but other users make it as
//! long, and by the names of their sockets as false, as they like, and it has only those of one network namespace.
//! Before 5.15 a stream told the same name as the others; there it counts with them.
//!
//! Source: Linux v6.18, `net/socket.c` (`sockfs_xattr_get`, `sock_alloc_file`), `net/unix/af_unix.c` (`unix_create1`:
//! `UNIX` are datagrams and packets, `UNIX-STREAM` from 5.15 on the streams).

use super::process::Process;
use crate::posture::Seen;

/// Whether a log may be at the other end of a socket.
pub(super) fn may_log(process: &Process, descriptor: u32) -> Seen<bool> {
    Ok(process.protocol(descriptor)? == b"UNIX")
}
