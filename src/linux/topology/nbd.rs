//! NBD: where the server runs, told by the sockets of the client, and what the client did.
//!
//! The kernel keeps the number of the process that connected. `nbd-client` without netlink stays as that process, with
//! the socket; with netlink, its default, it is gone, `-swap` was passed over, and nothing shows where the socket
//! leads. What `-swap` locked is lost when it forks into the background: seen of 3.24, so the locked memory is what is
//! asked.
//!
//! Source: Linux v6.18, `drivers/block/nbd.c` (`pid_show`, `nbd_genl_connect`), `net/ipv4/tcp_ipv4.c:get_tcp4_sock`,
//! `net/unix/af_unix.c:unix_seq_show`; NetworkBlockDevice/nbd, `nbd-client.c`.

use std::collections::HashMap;
use std::path::Path;

use super::{Tree, process};
use crate::linux::sysfs;
use crate::topology::{NbdClient, Place};

/// Where the server runs, what the client is like, and words for both; `dir` is the device's folder.
pub(super) fn look(tree: &Tree, dir: &Path) -> (Place, NbdClient, String) {
    let pid = match sysfs::word(&dir.join("pid")) {
        Ok(Some(pid)) => pid.parse::<u32>().map_err(|_| "connected by what has no number"),
        Ok(None) => Err("not connected"),
        Err(_) => Err("connected by a process that does not show"),
    };
    let pid = match pid {
        Ok(pid) => pid,
        Err(said) => return (Place::Unknown, NbdClient::Unknown, said.to_owned()),
    };
    let process = tree.proc.join(pid.to_string());
    if !process.is_dir() {
        return (Place::Unknown, NbdClient::Netlink, format!("by process {pid}, which is gone"));
    }
    if !is_client(tree, pid, &sysfs::name(dir)) {
        // Its number may be another process's by now.
        return (Place::Unknown, NbdClient::Unknown, format!("by process {pid}, which does not show as nbd-client"));
    }
    (place(tree, pid), client(&process), format!("by process {pid}"))
}

/// Whether a process is the client of a device: by the file that it runs, and by the device, which it has open. What it
/// calls itself is any user's word, and its command line lies in memory that may never come.
fn is_client(tree: &Tree, pid: u32, device: &str) -> bool {
    let program = std::fs::read_link(tree.proc.join(pid.to_string()).join("exe"));
    let is_program = program.is_ok_and(|path| ["nbd-client", "nbd-client (deleted)"].contains(&&*sysfs::name(&path)));
    let device = format!("/dev/{device}");
    is_program && process::descriptors(tree, pid).iter().any(|(_, target)| *target == device)
}

/// Whether a client has all of its memory locked; `process` is its folder.
fn client(process: &Path) -> NbdClient {
    let status = sysfs::text(&process.join("status")).unwrap_or_default();
    let kib = |key: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    };
    match (kib("VmLck:"), kib("VmRSS:")) {
        // Mappings are counted in whole, so with all of them locked it is no less than what is resident.
        (Some(locked), Some(resident)) if locked > 0 && locked >= resident => NbdClient::Hardened,
        (Some(_), Some(_)) => NbdClient::Plain,
        _ => NbdClient::Unknown,
    }
}

/// Where the sockets of a process lead: here if one of them does, elsewhere if all do.
fn place(tree: &Tree, pid: u32) -> Place {
    let net = tree.proc.join(pid.to_string()).join("net");
    let unix = table(&net.join("unix"), 6, |_| Place::Local);
    let ends = |line: &[&str]| peer(line.get(1).copied(), line.get(2).copied());
    let tcp = ["tcp", "tcp6"].map(|name| table(&net.join(name), 9, ends));
    let number = |name: &str| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let place = |socket: String| {
        let found = std::iter::once(&unix).chain(&tcp).find_map(|table| table.get(&socket));
        found.copied().unwrap_or(Place::Unknown)
    };
    let descriptors = process::descriptors(tree, pid);
    let places: Vec<Place> = descriptors.iter().filter_map(|(_, target)| number(target)).map(place).collect();
    if places.contains(&Place::Local) {
        Place::Local
    } else if !places.is_empty() && places.iter().all(|place| *place == Place::Remote) {
        Place::Remote
    } else {
        Place::Unknown
    }
}

/// Whether a connection leads back here: to a loopback address, or to the address that it comes from.
fn peer(local: Option<&str>, remote: Option<&str>) -> Place {
    let address = |end: Option<&str>| end.and_then(|end| Some(end.split_once(':')?.0.to_owned()));
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

/// A table of sockets: where each leads, by its inode, which is that word of its line. What is not in it is unknown.
fn table(path: &Path, inode: usize, place: impl Fn(&[&str]) -> Place) -> HashMap<String, Place> {
    let text = sysfs::table(path, LARGEST).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().take(MOST_SOCKETS).map(|line| line.split_whitespace().collect::<Vec<&str>>());
    lines.filter_map(|line| Some(((*line.get(inode)?).to_owned(), place(&line)))).collect()
}

/// 200 bytes for each.
const LARGEST: u64 = 13 << 20;
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
            assert_eq!(peer(Some(local.as_str()), Some(remote.as_str())), expected, "{local} {remote}");
        }
        assert_eq!(peer(Some("x"), None), Place::Unknown);
        assert!(!is_loopback("") && !is_loopback("7F"), "half of an address is none");
    }
}
