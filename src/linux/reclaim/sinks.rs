//! What a process writes to: files through the page cache, and pipes, sockets and terminals whose reader may need this
//! swap.
//!
//! Provable is how a file is open, not what is written to it, nor which disk this swap will be on: every regular file
//! and block device that is open for writing without `O_DIRECT` counts, a lock file too. Of pipes, sockets and
//! terminals 1 and 2 count, unless they do not block, and sockets of the kind that syslog(3) and the journal use; where
//! those lead, and whether a reader there is locked in memory, nothing shows.
//!
//! Source: Linux v6.18, `fs/proc/fd.c:seq_show` (flags in octal), `net/unix/af_unix.c:unix_seq_show`.

use rustix::fs::{FileType, OFlags};

use super::notes::Notes;
use super::process::Process;
use crate::linux::mount::{self, Mount};
use crate::posture::{PostureDoubt, Seen, Sinks};
use crate::reason::PostureStep;

/// Looks at every descriptor of a process.
pub(super) fn look(process: &Process, notes: &mut Notes) -> Seen<Sinks> {
    let mounts = mount::all().unwrap_or_default();
    let mut found = Sinks::default();
    for number in process.numbers("fd")? {
        let sink = match sink(process, number, &mounts) {
            Ok(Some(sink)) => sink,
            // Closed meanwhile, as the descriptor of this very folder is.
            Ok(None) | Err(PostureDoubt::NotShown) => continue,
            Err(doubt) => return Err(doubt),
        };
        let count = match sink {
            Sink::Buffered => &mut found.buffered,
            Sink::Reader => &mut found.readers,
        };
        *count = count.saturating_add(1);
        if *count <= SHOWN {
            let name = process.link(&format!("fd/{number}")).unwrap_or_default();
            notes.add(PostureStep::LogSinks, format!("{number} is {}", String::from_utf8_lossy(&name)));
        }
    }
    Ok(found)
}

enum Sink {
    Buffered,
    Reader,
}

fn sink(process: &Process, number: u32, mounts: &[Mount]) -> Seen<Option<Sink>> {
    let text = process.read(&format!("fdinfo/{number}"))?;
    let (flags, mount) = opened(&text).ok_or(PostureDoubt::Unreadable)?;
    if flags.intersection(OFlags::RWMODE) == OFlags::RDONLY || flags.contains(OFlags::PATH) {
        return Ok(None);
    }
    let stat = process.stat(&format!("fd/{number}"))?;
    let is_output = matches!(number, 1 | 2) && !flags.contains(OFlags::NONBLOCK);
    Ok(match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile | FileType::BlockDevice if flags.contains(OFlags::DIRECT) => None,
        FileType::RegularFile => {
            let of_the_kernel = mounts.iter().any(|known| Some(known.id) == mount && known.is_of_the_kernel());
            (!of_the_kernel).then_some(Sink::Buffered)
        }
        FileType::BlockDevice => Some(Sink::Buffered),
        FileType::Fifo => is_output.then_some(Sink::Reader),
        FileType::Socket => (is_output || is_datagram(process, stat.stx_ino)).then_some(Sink::Reader),
        // /dev/null and /dev/kmsg are the kernel's.
        FileType::CharacterDevice => (is_output && stat.stx_rdev_major != MEMORY_DEVICES).then_some(Sink::Reader),
        FileType::Directory | FileType::Symlink | FileType::Unknown => None,
    })
}

/// The flags and the mount of an open file.
fn opened(text: &[u8]) -> Option<(OFlags, Option<u64>)> {
    let field = |name: &[u8]| {
        let value = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        std::str::from_utf8(value).ok().map(str::trim)
    };
    let flags = u32::from_str_radix(field(b"flags:")?, 8).ok()?;
    let mount = field(b"mnt_id:").and_then(|number| number.parse().ok());
    Some((OFlags::from_bits_retain(flags), mount))
}

/// Whether a socket is a datagram socket of the unix domain, as those of syslog(3) and the journal are.
fn is_datagram(process: &Process, inode: u64) -> bool {
    let table = process.read("net/unix").unwrap_or_default();
    table.split(|byte| *byte == b'\n').any(|line| datagram_of(line) == Some(inode))
}

/// `0000000000000000: 00000002 00000000 00000000 0002 01 12345 /run/systemd/journal/dev-log`
fn datagram_of(line: &[u8]) -> Option<u64> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    (words.nth(4)? == b"0002").then_some(())?;
    std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()
}

const SHOWN: u32 = 8;
const MEMORY_DEVICES: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_are_octal() {
        type Row = (&'static [u8], Option<(u32, Option<u64>)>);
        let rows: [Row; 6] = [
            (b"pos:\t0\nflags:\t0100001\nmnt_id:\t27\nino:\t9\n", Some((0o100_001, Some(27)))),
            (b"flags:\t02\n", Some((2, None))),
            (b"flags:\t09\n", None),
            (b"flags:\t77777777777777\n", None),
            (b"pos:\t0\n", None),
            (b"", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(flags, mount)| (OFlags::from_bits_retain(flags), mount));
            assert_eq!(opened(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn datagram_sockets_are_known_by_type() {
        let rows: [(&[u8], Option<u64>); 5] = [
            (b"0000000000000000: 00000002 00000000 00000000 0002 01 12345 /run/x", Some(12345)),
            (b"0000000000000000: 00000003 00000000 00000000 0001 03 12345", None),
            (b"Num       RefCount Protocol Flags    Type St Inode Path", None),
            (b"0: 1 2 3 0002 01", None),
            (b"", None),
        ];
        for (line, expected) in rows {
            assert_eq!(datagram_of(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (opened(&text), datagram_of(&text));
        }
    }
}
