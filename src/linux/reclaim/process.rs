//! One process in /proc: what is read of it is read through one open folder, so no later process of its number answers.
//!
//! Everything in /proc is a claim: texts have an end, numbers are checked, and what is not there is a doubt.
//!
//! Source: Linux v6.18, `fs/proc/array.c` (`do_task_stat`, `proc_pid_status`), `fs/proc/base.c`; proc(5).

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::report::ReportError;
use crate::posture::{PostureDoubt, Seen};
use crate::unit::Bytes;

/// The folder of one process.
#[derive(Debug)]
pub(super) struct Process {
    folder: OwnedFd,
    pub(super) pid: u32,
    pub(super) is_caller: bool,
}

impl Process {
    /// The process that asks.
    pub(super) fn caller() -> Result<Self, ReportError> {
        let pid = std::process::id();
        // Of this /proc, which may be that of another PID namespace.
        let folder = open("/proc/self").map_err(|error| ReportError::of(pid, error))?;
        Ok(Self { folder, pid, is_caller: true })
    }

    /// The process of that number in this /proc; the caller's own is told by more.
    pub(super) fn of(pid: u32) -> Result<Self, ReportError> {
        // Not by its own number: in a PID namespace under the /proc of another that is somebody else's.
        let own = rustix::fs::readlink("/proc/self", Vec::new()).ok().and_then(|link| link.to_str().ok()?.parse().ok());
        if own == Some(pid) {
            return Ok(Self { pid, ..Self::caller()? });
        }
        let folder = open(&format!("/proc/{pid}")).map_err(|error| ReportError::of(pid, error))?;
        Ok(Self { folder, pid, is_caller: false })
    }

    /// Opens one of its files.
    pub(super) fn open(&self, name: &str) -> rustix::io::Result<File> {
        rustix::fs::openat(&self.folder, name, READ, Mode::empty()).map(File::from)
    }

    /// Reads one of its files whole, if it is no longer than it can honestly be.
    pub(super) fn read(&self, name: &str) -> Seen<Vec<u8>> {
        let file = self.open(name).map_err(doubt)?;
        read_whole(file)
    }

    /// The numbers that name the entries of one of its folders: threads, descriptors.
    pub(super) fn numbers(&self, folder: &str) -> Seen<Vec<u32>> {
        let flags = READ | OFlags::DIRECTORY;
        let opened = rustix::fs::openat(&self.folder, folder, flags, Mode::empty()).map_err(doubt)?;
        let mut numbers = Vec::new();
        for entry in Dir::read_from(opened).map_err(doubt)? {
            let entry = entry.map_err(doubt)?;
            numbers.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
            if numbers.len() > MOST_ENTRIES {
                return Err(PostureDoubt::Unreadable);
            }
        }
        Ok(numbers)
    }

    /// What a descriptor leads to, by name.
    pub(super) fn link(&self, name: &str) -> Seen<Vec<u8>> {
        rustix::fs::readlinkat(&self.folder, name, Vec::new()).map(|link| link.into_bytes()).map_err(doubt)
    }

    /// The protocol of the socket that a descriptor is: `TCP`, `UNIX`, `UNIX-STREAM`, …
    pub(super) fn protocol(&self, descriptor: u32) -> Seen<Vec<u8>> {
        // An attribute of every socket. There is no fgetxattrat: the way is by the folder that is open here.
        let path = format!("/proc/self/fd/{}/fd/{descriptor}", self.folder.as_raw_fd());
        let mut name = [0u8; 64];
        let length = rustix::fs::getxattr(path, "system.sockprotoname", &mut name).map_err(doubt)?;
        let name = name.get(..length).ok_or(PostureDoubt::Unreadable)?;
        Ok(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }

    /// Opens nothing, asks no server: what kind of file a name of it leads to.
    pub(super) fn stat(&self, name: impl AsRef<OsStr>) -> Seen<rustix::fs::Statx> {
        use rustix::fs::{AtFlags, StatxFlags};
        let cached = AtFlags::STATX_DONT_SYNC;
        rustix::fs::statx(&self.folder, name.as_ref(), cached, StatxFlags::TYPE | StatxFlags::INO).map_err(doubt)
    }
}

/// Reads a text of the kernel.
pub(super) fn read_whole(file: File) -> Seen<Vec<u8>> {
    let mut text = Vec::new();
    let read = file.take(LONGEST).read_to_end(&mut text);
    read.map_err(|error| doubt(os(&error)))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= LONGEST {
        return Err(PostureDoubt::Unreadable);
    }
    Ok(text)
}

/// What an errno of /proc leaves open.
pub(super) fn doubt(error: Errno) -> PostureDoubt {
    match error {
        Errno::ACCESS | Errno::PERM => PostureDoubt::NotPermitted,
        // A thread that has ended is shown no more either.
        Errno::NOENT | Errno::SRCH | Errno::NOSYS | Errno::OPNOTSUPP => PostureDoubt::NotShown,
        _ => PostureDoubt::Unreadable,
    }
}

/// The errno of an error of the standard library.
pub(super) fn os(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn open(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH, Mode::empty())
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
const LONGEST: u64 = 1 << 20;
const MOST_ENTRIES: usize = 1 << 20;

/// /proc/PID/status, by its fields.
#[derive(Clone, Debug)]
pub(super) struct Status(Vec<u8>);

impl Status {
    pub(super) fn new(text: Vec<u8>) -> Self {
        Self(text)
    }

    /// The value of a field: a name in it has its newlines escaped by the kernel, so lines are fields.
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.split(|byte| *byte == b'\n');
        let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// A plain number.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.field(name)?.parse().ok()
    }

    /// A size: `12 kB`.
    pub(super) fn size(&self, name: &str) -> Option<Bytes> {
        kib(self.field(name)?)
    }

    /// Whether a capability is effective, by its number.
    pub(super) fn has_capability(&self, number: u32) -> bool {
        let effective = self.field("CapEff").and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0);
        effective.checked_shr(number).is_some_and(|set| set & 1 == 1)
    }

    /// `R`, `S`, `Z` …
    pub(super) fn state(&self) -> Option<char> {
        self.field("State")?.chars().next()
    }
}

/// A size as /proc gives it: a number and `kB`.
pub(super) fn kib(text: &str) -> Option<Bytes> {
    text.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024).map(Bytes::new)
}

/// What /proc/PID/stat and /proc/PID/task/TID/stat begin with: `pid (name) state …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stat {
    /// As the process set it: any bytes, parentheses and newlines among them.
    pub(super) name: Vec<u8>,
    /// Field 9, `task->flags`.
    pub(super) flags: u64,
}

impl Stat {
    /// Reads a line. Only numbers follow the name, so it ends at the last parenthesis.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let begin = line.iter().position(|byte| *byte == b'(')?;
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let name = line.get(begin.checked_add(1)?..end)?.to_vec();
        let rest = std::str::from_utf8(line.get(end.checked_add(1)?..)?).ok()?;
        let flags = rest.split_ascii_whitespace().nth(6)?.parse().ok()?;
        Some(Self { name, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAIL: &[u8] = b" S 1 2 3 4 -1 2129984 0 0 0 0 0 0\n";

    #[test]
    fn a_name_is_any_bytes_and_the_flags_stand_behind_it() {
        let names: [&[u8]; 7] = [b"sh", b"", b"a b", b"(sd-pam)", b") S 1 1 1 1 1 9 ", b"x\n) R 7", b"\xff\xfe) ("];
        for name in names {
            let line = [b"12 (", name, b")", TAIL].concat();
            assert_eq!(Stat::parse(&line), Some(Stat { name: name.to_vec(), flags: 2_129_984 }), "{name:?}");
        }
        let damaged: [&[u8]; 7] =
            [b"", b"1 sh S", b"1 (sh", b"1 sh) (S 1", b"1 (sh) S 1 2 3 4 -1", b"1 (sh) S 1 2 3 4 -1 x", b"1 )("];
        for line in damaged {
            assert_eq!(Stat::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn fields_of_a_status() {
        let text =
            b"Name:\tVmLck: 9 kB\\nVmLck:\t8 kB\nState:\tZ (zombie)\nVmLck:\t      12 kB\nThreads:\t3\nVmRSS:\t7 MB\n";
        let status = Status::new(text.to_vec());
        assert_eq!(status.size("VmLck"), Some(Bytes::new(12 << 10)));
        assert_eq!((status.number("Threads"), status.state()), (Some(3), Some('Z')));
        assert_eq!((status.size("VmRSS"), status.size("VmSwap"), status.number("State")), (None, None, None));
        assert_eq!(kib("18446744073709551615 kB"), None, "too large");
        let status = Status::new(b"CapEff:\t0000000000004001\n".to_vec());
        assert!(status.has_capability(14) && status.has_capability(0) && !status.has_capability(24));
        assert!(!status.has_capability(64) && !Status::new(b"CapEff:\tall\n".to_vec()).has_capability(0));
    }

    proptest! {
        #[test]
        fn any_name_is_read_back(name in proptest::collection::vec(any::<u8>(), 0..64), flags in any::<u32>()) {
            let tail = format!(") S 1 2 3 4 -1 {flags} 0 0\n");
            let line = [b"1 (".as_slice(), &name, tail.as_bytes()].concat();
            prop_assert_eq!(Stat::parse(&line), Some(Stat { name, flags: flags.into() }));
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Stat::parse(&text);
            let status = Status::new(text);
            let _ = (status.size("VmLck"), status.number("Threads"), status.state());
        }
    }
}
