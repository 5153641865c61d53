//! What a process writes to: files through the page cache, and pipes, sockets and terminals whose reader may need this
//! swap.
//!
//! Provable is how a file is open, not what is written to it, nor which disk this swap will be on: every regular file
//! and block device that is open for writing without `O_DIRECT` counts, a lock file too. Of pipes, sockets and
//! terminals 1 and 2 count, unless they do not block, and sockets of the kind that syslog(3) and the journal use; where
//! those lead, and whether a reader there is locked in memory, nothing shows.
//!
//! A file that is mapped shared and writable is written too, and needs no descriptor: of both the same is missing.
//!
//! Source: Linux v6.18, `fs/proc/fd.c:seq_show` (flags in octal).

use rustix::fs::{FileType, OFlags};

use super::mappings::Written;
use super::notes::Notes;
use super::process::Process;
use super::sockets::may_log;
use super::written;
use crate::linux::mount::{self, Mount};
use crate::posture::{PostureDoubt, Seen, Sinks};
use crate::reason::PostureStep;

/// Looks at every descriptor of a process, and at the files that its memory writes.
pub(super) fn look(process: &Process, files: Seen<&[Written]>, notes: &mut Notes) -> Seen<Sinks> {
    // Without them every file counts.
    let mounts = mount::all().unwrap_or_default();
    let mapped = files.and_then(|files| written::look(process, files, &mounts, notes));
    let mut found = Sinks { buffered: 0, mapped, readers: 0 };
    for number in process.numbers("fd")? {
        let name = || process.link(&format!("fd/{number}"));
        let sink = match sink(process, number, &mounts) {
            Ok(Some(sink)) => sink,
            Ok(None) => continue,
            // Closed meanwhile, as the descriptor of this very folder is.
            Err(PostureDoubt::NotShown) if name() == Err(PostureDoubt::NotShown) => continue,
            Err(doubt) => return Err(doubt),
        };
        let count = match sink {
            Sink::Buffered => &mut found.buffered,
            Sink::Reader => &mut found.readers,
        };
        *count = count.saturating_add(1);
        if *count <= SHOWN {
            let name = name().unwrap_or_default();
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
    let stat = process.stat(format!("fd/{number}"))?;
    let is_output = matches!(number, 1 | 2) && !flags.contains(OFlags::NONBLOCK);
    Ok(match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile | FileType::BlockDevice if flags.contains(OFlags::DIRECT) => None,
        FileType::RegularFile => {
            let of_the_kernel = mounts.iter().any(|known| Some(known.id) == mount && known.is_of_the_kernel());
            (!of_the_kernel).then_some(Sink::Buffered)
        }
        FileType::BlockDevice => Some(Sink::Buffered),
        FileType::Fifo => is_output.then_some(Sink::Reader),
        FileType::Socket => (is_output || may_log(process, number)?).then_some(Sink::Reader),
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

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = opened(&text);
        }
    }
}
