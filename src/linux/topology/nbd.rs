//! NBD: where the server runs, told by the sockets of the client, and what the client did.
//!
//! The kernel keeps the number of the process that connected. `nbd-client` without netlink stays as that process, with
//! the socket; with netlink, its default, it is gone, `-swap` was passed over, and nothing shows where the socket
//! leads. What `-swap` locked is lost when it forks into the background: seen of 3.24, so the locked memory is what is
//! asked.
//!
//! Source: Linux v6.18, `drivers/block/nbd.c` (`pid_show`, `nbd_genl_connect`), `net/ipv4/tcp_ipv4.c:get_tcp4_sock`,
//! `net/unix/af_unix.c:unix_seq_show`; NetworkBlockDevice/nbd, `nbd-client.c`.

use std::path::Path;

use super::{Tree, process, sysfs};
use crate::topology::{NbdClient, Place};

/// Where the server runs, what the client is like, and words for both; `dir` is the device's folder.
pub(super) fn look(tree: &Tree, dir: &Path) -> (Place, NbdClient, String) {
    let Some(pid) = sysfs::text(&dir.join("pid")).and_then(|pid| pid.parse::<u32>().ok()) else {
        return (Place::Unknown, NbdClient::Unknown, "not connected".to_owned());
    };
    let process = tree.proc.join(pid.to_string());
    let command = sysfs::bytes(&process.join("cmdline")).unwrap_or_default();
    let is_client = command.split(|byte| *byte == 0).next().is_some_and(|name| name.ends_with(b"nbd-client"));
    if !is_client {
        // Its number may be another process's by now.
        return (Place::Unknown, NbdClient::Netlink, format!("by process {pid}, which is gone"));
    }
    let client = match locked(tree, pid) {
        Some(0) => NbdClient::Plain,
        Some(_) => NbdClient::Hardened,
        None => NbdClient::Unknown,
    };
    (place(tree, pid), client, format!("by process {pid}"))
}

/// KiB of memory that a process has locked.
fn locked(tree: &Tree, pid: u32) -> Option<u64> {
    let status = sysfs::text(&tree.proc.join(pid.to_string()).join("status"))?;
    status.lines().find_map(|line| line.strip_prefix("VmLck:"))?.split_whitespace().next()?.parse().ok()
}

/// Where the sockets of a process lead: here if one of them does, elsewhere if all do.
fn place(tree: &Tree, pid: u32) -> Place {
    let net = tree.proc.join(pid.to_string()).join("net");
    let number = |name: &str| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let sockets: Vec<String> =
        process::descriptors(tree, pid).iter().filter_map(|(_, target)| number(target)).collect();
    let mut places = Vec::new();
    for socket in &sockets {
        let is_unix = table(&net.join("unix")).iter().any(|line| line.get(6) == Some(socket));
        let tcp =
            ["tcp", "tcp6"].iter().flat_map(|name| table(&net.join(name))).find(|line| line.get(9) == Some(socket));
        places.push(match tcp {
            _ if is_unix => Place::Local,
            Some(line) => peer(line.get(1), line.get(2)),
            None => Place::Unknown,
        });
    }
    if places.contains(&Place::Local) {
        Place::Local
    } else if !places.is_empty() && places.iter().all(|place| *place == Place::Remote) {
        Place::Remote
    } else {
        Place::Unknown
    }
}

/// Whether a connection leads back here: to a loopback address, or to the address that it comes from.
fn peer(local: Option<&String>, remote: Option<&String>) -> Place {
    let address = |end: Option<&String>| end.and_then(|end| Some(end.split_once(':')?.0.to_owned()));
    let (Some(local), Some(remote)) = (address(local), address(remote)) else { return Place::Unknown };
    let is_any = remote.bytes().all(|digit| digit == b'0');
    if local == remote || is_any || is_loopback(&remote) { Place::Local } else { Place::Remote }
}

/// 127.0.0.0/8, as it is or in IPv6, or ::1; words of 32 bits in this machine's order of bytes.
fn is_loopback(address: &str) -> bool {
    let split = address.len().saturating_sub(8);
    let (rest, word) = (address.get(..split).unwrap_or_default(), address.get(split..).unwrap_or_default());
    let Some(word) = u32::from_str_radix(word, 16).ok().filter(|_| word.len() == 8) else { return false };
    let bytes = word.to_ne_bytes();
    let is_mapped = rest.is_empty() || rest.trim_start_matches('0').trim_end_matches('0') == "FFFF";
    let is_one = !rest.is_empty() && rest.bytes().all(|digit| digit == b'0') && bytes == [0, 0, 0, 1];
    is_one || (is_mapped && bytes.first() == Some(&127))
}

/// A table of sockets: words of each line.
fn table(path: &Path) -> Vec<Vec<String>> {
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text);
    text.lines().take(MOST_SOCKETS).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

const MOST_SOCKETS: usize = 65536;

#[cfg(test)]
mod tests {
    use super::*;

    /// As this machine's kernel writes it.
    fn written(words: &[[u8; 4]]) -> String {
        words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
    }

    #[test]
    fn a_connection_leads_here_or_elsewhere() {
        const MAPPED: [[u8; 4]; 3] = [[0; 4], [0; 4], [0, 0, 0xff, 0xff]];
        type Words = &'static [[u8; 4]];
        let rows: [(Words, Words, Place); 9] = [
            (&[[127, 0, 0, 1]], &[[127, 0, 0, 1]], Place::Local),
            (&[[127, 0, 0, 1]], &[[127, 1, 2, 3]], Place::Local),
            (&[[10, 0, 0, 2]], &[[10, 0, 0, 2]], Place::Local),
            (&[[10, 0, 0, 2]], &[[10, 0, 0, 127]], Place::Remote),
            (&[[10, 0, 0, 2]], &[[0, 0, 0, 0]], Place::Local),
            (&[[0; 4], [0; 4], [0; 4], [0, 0, 0, 1]], &[[0; 4], [0; 4], [0; 4], [0, 0, 0, 1]], Place::Local),
            (&[[32, 1, 0, 0], [0; 4], [0; 4], [0, 0, 0, 1]], &[[0; 4], [0; 4], [0; 4], [0, 0, 0, 1]], Place::Local),
            (
                &[[32, 1, 0, 0], [0; 4], [0; 4], [0, 0, 0, 1]],
                &[[32, 1, 0, 0], [0; 4], [0; 4], [127, 0, 0, 1]],
                Place::Remote,
            ),
            (
                &[MAPPED[0], MAPPED[1], MAPPED[2], [10, 0, 0, 1]],
                &[MAPPED[0], MAPPED[1], MAPPED[2], [127, 0, 0, 1]],
                Place::Local,
            ),
        ];
        for (local, remote, expected) in rows {
            let (local, remote) = (format!("{}:2A2A", written(local)), format!("{}:0016", written(remote)));
            assert_eq!(peer(Some(&local), Some(&remote)), expected, "{local} {remote}");
        }
        assert_eq!(peer(Some(&"x".to_owned()), None), Place::Unknown);
        assert!(!is_loopback("") && !is_loopback("7F"), "half of an address is none");
    }
}
