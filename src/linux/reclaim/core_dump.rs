//! What a crash leads to: a core file, a program that is handed the memory, or nothing.
//!
//! The memory of a server holds pages of other processes, and to write it down needs memory while this swap has no
//! server. A limit of 1 stops both kinds: less than a page is no core file, and for a pipe it is the mark by which the
//! kernel keeps the program at the other end from dumping itself. A limit of 0 does not stop a pipe.
//!
//! Source: Linux v6.18, `fs/coredump.c` (`coredump_pipe`, `coredump_file`, `coredump_parse`); core(5).

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit, setrlimit};

use super::notes::Notes;
use super::process::{Process, doubt, os, read_whole};
use crate::linux::error::plain;
use crate::posture::{CoreDump, CorePattern, Facts, Holding, PostureDoubt, Seen};
use crate::reason::PostureStep;
use crate::unit::Bytes;

/// Looks what a crash of a process would do.
pub(super) fn look(process: &Process, notes: &mut Notes) -> Seen<CoreDump> {
    let limit = if process.is_caller {
        getrlimit(Resource::Core).current.map(Bytes::new)
    } else {
        limit_of(&process.read("limits")?).ok_or(PostureDoubt::Unreadable)?
    };
    let pattern = core_pattern()?;
    let said = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    notes.add(PostureStep::CoreDump, format!("RLIMIT_CORE is {said}"));
    let shown = String::from_utf8_lossy(&pattern);
    notes.add(PostureStep::CoreDump, format!("core_pattern is {}", shown.trim_end()));
    let dumpable = if process.is_caller {
        dumpable_behavior().map(|behavior| behavior != DumpableBehavior::NotDumpable).map_err(doubt)
    } else {
        Err(PostureDoubt::Inside)
    };
    Ok(CoreDump { limit, pattern: CorePattern::of(&pattern), dumpable })
}

/// Makes a crash of the calling process write nothing: by its limit, and where that is not enough by making it one that
/// may not be dumped at all. Only for root, since then its files in /proc are root's, and it would not see itself.
pub(super) fn forbid(process: &Process, notes: &mut Notes) {
    let mut limit = getrlimit(Resource::Core);
    limit.current = Some(limit.maximum.map_or(1, |most| most.min(1)));
    if let Err(error) = setrlimit(Resource::Core, limit) {
        notes.add(PostureStep::CoreDump, format!("setrlimit(RLIMIT_CORE): {}", plain(error)));
    }
    let core_dump = look(process, &mut Notes::default());
    let facts = Facts { core_dump, ..Facts::unseen(PostureDoubt::Inside) };
    let is_root = rustix::process::geteuid().is_root();
    if is_root && facts.judge(PostureStep::CoreDump) != Holding::Held {
        if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            notes.add(PostureStep::CoreDump, format!("prctl(PR_SET_DUMPABLE): {}", plain(error)));
        }
    }
}

fn core_pattern() -> Seen<Vec<u8>> {
    let file = std::fs::File::open("/proc/sys/kernel/core_pattern");
    read_whole(file.map_err(|error| doubt(os(&error)))?)
}

/// The soft limit of /proc/PID/limits: `Some(None)` is unlimited.
fn limit_of(text: &[u8]) -> Option<Option<Bytes>> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let columns = lines.find_map(|line| line.strip_prefix(b"Max core file size "))?;
    match std::str::from_utf8(columns).ok()?.split_ascii_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(|bytes| Some(Bytes::new(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_soft_limit_is_the_first_column() {
        let rows: [(&[u8], Option<Option<u64>>); 6] = [
            (b"Limit  Soft Limit\nMax core file size        1      unlimited    bytes\n", Some(Some(1))),
            (b"Max core file size        unlimited            unlimited            bytes", Some(None)),
            (b"Max core file size        -1            0            bytes", None),
            (b"Max core file size", None),
            (b"Max stack size 1 1 bytes\n", None),
            (b"", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|limit| limit.map(Bytes::new));
            assert_eq!(limit_of(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = limit_of(&text);
        }
    }
}
