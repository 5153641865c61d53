//! The mappings of a process, one by one: what is locked, what could be, what is written, and where an address lies.
//!
//! A lock keeps pages in memory that are there; it neither brings those that `mlockall` could not bring, nor spares a
//! private page that another process has too, by fork or by KSM, its copy at the next write. `mg` counts in whole while
//! ksmd stands still too: it is started by a word of the administrator, and takes locked pages like any.
//!
//! Source: Linux v6.18, `fs/proc/task_mmu.c` (`show_smap`, `show_map_vma`, `show_smap_vma_flags`),
//! `mm/mlock.c:mlock_fixup` (what is passed over: `VM_SPECIAL`, huge pages of hugetlbfs, the gate, DAX, memfd_secret,
//! droppable pages), `mm/gup.c:__mm_populate` (`ignore_errors`), `mm/memory.c:do_wp_page`, `mm/ksm.c:vma_ksm_compatible`
//! (`VM_LOCKED` is not among what it leaves alone).

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use super::process::{Process, doubt, kib, os};
use crate::linux::inode::Device;
use crate::posture::{Mappings, PostureDoubt, Seen};
use crate::unit::Bytes;

/// One mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mapping {
    pub(super) range: Range<u64>,
    /// The stack of the first thread, which grows.
    pub(super) is_main_stack: bool,
    pub(super) locked: Lock,
    resident: Bytes,
    /// May be read, written or executed: no mere reservation.
    is_accessible: bool,
    /// Pages that the next write copies.
    copied: Bytes,
    /// The file that a write to it writes, if that is one.
    pub(super) written: Option<Written>,
}

/// How a mapping is locked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lock {
    /// Its pages are there.
    Now,
    /// They are there once they were touched.
    OnFault,
    /// They may be paged out.
    Not,
    /// mlock passes over it: the kernel's own pages, devices, huge pages.
    NoneNeeded,
}

/// A file that is mapped shared and writable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Written {
    pub(super) range: Range<u64>,
    pub(super) device: Device,
    pub(super) inode: u64,
    /// Its path as it was, or whatever the kernel calls it.
    pub(super) name: Vec<u8>,
}

/// Reads every mapping of a process.
pub(super) fn walk(process: &Process, take: impl FnMut(&Mapping)) -> Seen<()> {
    let file = process.open("smaps").map_err(doubt)?;
    let mut text = BufReader::new(file.take(LONGEST));
    read(&mut text, take)?;
    // Cut off between two mappings it would look whole.
    if text.get_ref().limit() > 0 { Ok(()) } else { Err(PostureDoubt::Unreadable) }
}

impl Mapping {
    /// What is locked and not resident; a page of zeros that is only read is not resident either.
    pub(super) fn hole(&self) -> Bytes {
        if self.locked == Lock::Now && self.is_accessible {
            minus(size(&self.range), self.resident)
        } else {
            Bytes::ZERO
        }
    }
}

/// Sums them up, but for so many bytes of the last one.
pub(super) fn sum(sums: &mut Mappings, mapping: &Mapping, aside: Bytes) {
    let size = minus(size(&mapping.range), aside);
    match mapping.locked {
        Lock::NoneNeeded => return,
        Lock::Not => add(&mut sums.unlocked, size),
        Lock::OnFault => add(&mut sums.on_fault, size),
        Lock::Now => add(&mut sums.copied, minus(mapping.copied, aside)),
    }
    add(&mut sums.mapped, size);
}

pub(super) fn add(sum: &mut Bytes, size: Bytes) {
    *sum = sum.checked_add(size).unwrap_or(Bytes::new(u64::MAX));
}

fn minus(from: Bytes, less: Bytes) -> Bytes {
    Bytes::new(from.get().saturating_sub(less.get()))
}

fn size(range: &Range<u64>) -> Bytes {
    Bytes::new(range.end.saturating_sub(range.start))
}

/// Reads a text of smaps: a line with the range, then lines `Key: value`, of which `VmFlags` comes last.
fn read(mut text: impl BufRead, mut take: impl FnMut(&Mapping)) -> Seen<()> {
    let (mut line, mut open) = (Vec::new(), None);
    loop {
        line.clear();
        let length = text.read_until(b'\n', &mut line);
        let length = length.map_err(|error| doubt(os(&error)))?;
        if length == 0 {
            // The text was cut off.
            return if open.is_none() { Ok(()) } else { Err(PostureDoubt::Unreadable) };
        }
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let (head, counts) = open.take().ok_or(PostureDoubt::Unreadable)?;
            take(&mapping(head, counts, flags).ok_or(PostureDoubt::Unreadable)?);
        } else if let Some(head) = head(&line) {
            if open.replace((head, Counts::default())).is_some() {
                return Err(PostureDoubt::Unreadable);
            }
        } else {
            let (_, counts) = open.as_mut().ok_or(PostureDoubt::Unreadable)?;
            counts.read(&line);
        }
    }
}

/// The line that begins a mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Head {
    range: Range<u64>,
    /// `rw-p`
    permissions: [u8; 4],
    device: Device,
    inode: u64,
    name: Vec<u8>,
}

/// `7ffc0000-7ffd0000 rw-s 00000000 fe:00 1234    /srv/a file (deleted)`
fn head(line: &[u8]) -> Option<Head> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_at_checked(rest.iter().position(u8::is_ascii_whitespace)?)?;
        rest = after.trim_ascii_start();
        std::str::from_utf8(word).ok()
    };
    let (from, to) = word()?.split_once('-')?;
    let range = u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?;
    let permissions = word()?.as_bytes().try_into().ok()?;
    let _offset = word()?;
    let (major, minor) = word()?.split_once(':')?;
    let device = Device(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode = word()?.parse().ok()?;
    (range.start < range.end).then(|| Head { range, permissions, device, inode, name: rest.trim_ascii_end().to_vec() })
}

/// What is counted of the pages of a mapping.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Counts {
    resident: Option<Bytes>,
    /// Pages that others have mapped too.
    clean: Option<Bytes>,
    dirty: Option<Bytes>,
}

impl Counts {
    fn read(&mut self, line: &[u8]) {
        let fields = [
            (b"Rss:".as_slice(), &mut self.resident),
            (b"Shared_Clean:", &mut self.clean),
            (b"Shared_Dirty:", &mut self.dirty),
        ];
        for (name, count) in fields {
            if let Some(value) = line.strip_prefix(name) {
                *count = std::str::from_utf8(value).ok().and_then(kib);
            }
        }
    }
}

fn mapping(head: Head, counts: Counts, flags: &[u8]) -> Option<Mapping> {
    let Head { range, permissions: [read, write, execute, kind], device, inode, name } = head;
    let has = |wanted: &[u8]| flags.split(|byte| byte.is_ascii_whitespace()).any(|flag| flag == wanted);
    // io, de, pf, mm: VM_SPECIAL, the rings of io_uring and the like; ht: hugetlbfs. Their pages are not a filesystem's.
    let has_own_pages = [b"io", b"de", b"pf", b"mm", b"ht"].into_iter().any(|flag| has(flag));
    // dp: droppable.
    let passed_over = name == b"[vsyscall]" || has_own_pages || has(b"dp");
    let locked = match (has(b"lo"), has(b"lf")) {
        (true, true) => Lock::OnFault,
        (true, false) => Lock::Now,
        (false, _) if passed_over => Lock::NoneNeeded,
        (false, _) => Lock::Not,
    };
    let (is_writable, is_shared) = (write == b'w', kind == b's');
    let shared_pages = counts.clean?.checked_add(counts.dirty?)?;
    let copied = match (is_writable && !is_shared, has(b"mg")) {
        (true, true) => size(&range),
        (true, false) => shared_pages,
        (false, _) => Bytes::ZERO,
    };
    let is_main_stack = name == b"[stack]";
    let is_written = is_writable && is_shared && inode != 0 && !has_own_pages;
    Some(Mapping {
        is_main_stack,
        locked,
        resident: counts.resident?,
        is_accessible: [read, write, execute] != *b"---",
        copied,
        written: is_written.then(|| Written { range: range.clone(), device, inode, name }),
        range,
    })
}

/// About a kilobyte a mapping, of which there are 65530 unless the administrator allows more.
const LONGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &[u8]) -> Seen<Vec<Mapping>> {
        let mut found = Vec::new();
        read(text, |mapping| found.push(mapping.clone()))?;
        Ok(found)
    }

    #[test]
    fn mappings_are_told_apart_by_their_flags() {
        let rows: [(&str, &str, Lock); 8] = [
            ("/bin/a b-c [stack]", "rd ex mr mw me", Lock::Not),
            ("", "rd wr mr mw me lo ac", Lock::Now),
            ("[heap]", "rd wr lo lf ac", Lock::OnFault),
            ("[vdso]", "rd ex mr mw me de sd", Lock::NoneNeeded),
            ("[vvar]", "rd mr pf io de dd", Lock::NoneNeeded),
            ("[vsyscall]", "ex", Lock::NoneNeeded),
            ("[stack]", "rd wr gd lo", Lock::Now),
            ("/dev/hugepages/x", "rd wr ht", Lock::NoneNeeded),
        ];
        let text: String = rows.iter().map(|(name, flags, _)| one("rw-p 00000000 00:00 0", name, flags)).collect();
        let found = all(text.as_bytes()).unwrap_or_default();
        assert_eq!(found.len(), rows.len());
        for (mapping, (name, _, lock)) in found.iter().zip(rows) {
            assert_eq!((mapping.locked, mapping.range.clone()), (lock, 0x1000..0x3000), "{name}");
            assert_eq!(mapping.is_main_stack, name == "[stack]", "{name}");
        }
        let mut sums = Mappings::default();
        found.iter().for_each(|mapping| sum(&mut sums, mapping, Bytes::ZERO));
        let size = |mappings: u64| Bytes::new(mappings * 0x2000);
        assert_eq!(sums, Mappings { mapped: size(4), unlocked: size(1), on_fault: size(1), ..Mappings::default() });
        // A page of the one that looks lies in the same mapping as what is not locked.
        let mut sums = Mappings::default();
        found.iter().take(1).for_each(|mapping| sum(&mut sums, mapping, Bytes::new(0x1000)));
        assert_eq!((sums.mapped, sums.unlocked), (Bytes::new(0x1000), Bytes::new(0x1000)));
    }

    /// One mapping of two pages, one of them resident, none shared.
    fn one(head: &str, name: &str, flags: &str) -> String {
        format!("1000-3000 {head}   {name}\nRss: 4 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: {flags} \n")
    }

    #[test]
    fn written_are_shared_and_writable_files_only() {
        let (written, locked) = ("rd wr sh mr mw me ms", "rd wr sh mr mw me ms lo");
        type Row = (&'static str, &'static str, &'static str, Option<(Device, u64)>);
        let rows: [Row; 10] = [
            ("rw-s 00000000 fe:00 7", "/srv/a b (deleted)", locked, Some((Device(254, 0), 7))),
            ("-w-s 00001000 103:fffff 7", "/srv/x", written, Some((Device(259, 0xf_ffff), 7))),
            ("rw-s 00000000 00:2a 18446744073709551615", "/nfs/x", locked, Some((Device(0, 42), u64::MAX))),
            // Whether these are of memory their device tells.
            ("rw-s 00000000 00:01 1024", "/dev/zero (deleted)", locked, Some((Device(0, 1), 1024))),
            ("r--s 00000000 fe:00 7", "/srv/x", "rd mr me ms lo", None),
            ("rw-p 00000000 fe:00 7", "/srv/x", "rd wr mr mw me lo", None),
            ("rw-s 00000000 00:10 2057", "anon_inode:[io_uring]", "rd wr sh mr mw me ms de mm", None),
            ("rw-s fe000000 00:16 1337", "/sys/devices/x/resource0", "rd wr sh ms pf io de dd", None),
            ("rw-s 00000000 00:11 9", "/dev/hugepages/x", "rd wr sh ms ht", None),
            ("rw-s 00000000 00:00 0", "", locked, None),
        ];
        for (head, name, flags, expected) in rows {
            let found = all(one(head, name, flags).as_bytes()).unwrap_or_default();
            let written = found.first().and_then(|mapping| mapping.written.clone());
            assert!(found.len() == 1 && written.iter().all(|file| file.name == name.as_bytes()), "{head} {found:?}");
            assert_eq!(written.map(|file| (file.device, file.inode)), expected, "{head}");
        }
    }

    #[test]
    fn what_a_lock_does_not_help_is_counted() {
        type Row = (&'static str, &'static str, &'static str, u64, u64);
        let rows: [Row; 9] = [
            ("one of two is there", "rw-p", "Rss: 4 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: lo", 4, 0),
            ("reserved", "---p", "Rss: 0 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: lo", 0, 0),
            ("on fault", "rw-p", "Rss: 0 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: lo lf", 0, 0),
            ("forked", "rw-p", "Rss: 8 kB\nShared_Clean: 4 kB\nShared_Dirty: 4 kB\nVmFlags: wr lo", 0, 8),
            ("only read", "r--p", "Rss: 8 kB\nShared_Clean: 8 kB\nShared_Dirty: 0 kB\nVmFlags: lo", 0, 0),
            ("shared", "rw-s", "Rss: 8 kB\nShared_Clean: 8 kB\nShared_Dirty: 0 kB\nVmFlags: wr lo", 0, 0),
            ("merged", "rw-p", "Rss: 8 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: wr lo mg", 0, 8),
            ("merged, only read", "r--p", "Rss: 8 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: lo mg", 0, 0),
            ("not locked", "rw-p", "Rss: 0 kB\nShared_Clean: 4 kB\nShared_Dirty: 0 kB\nVmFlags: wr mg", 0, 0),
        ];
        for (name, permissions, counts, hole, copied) in rows {
            let found = all(format!("1000-3000 {permissions} 00000000 00:00 0 \n{counts}\n").as_bytes());
            let found = found.unwrap_or_default();
            let mut sums = Mappings::default();
            found.iter().for_each(|mapping| sum(&mut sums, mapping, Bytes::ZERO));
            let holes = found.iter().map(|mapping| mapping.hole().get()).sum::<u64>();
            assert_eq!((found.len(), holes, sums.copied.get()), (1, hole << 10, copied << 10), "{name}");
        }
    }

    #[test]
    fn a_damaged_text_is_no_answer() {
        let head = "1000-2000 rw-p 00000000 00:00 0\n";
        for text in [
            head.to_owned(),
            format!("{head}Rss: 4 kB\n"),
            format!("{head}VmFlags: lo\n"),
            format!("{head}Rss: 4 kB\nShared_Clean: 0 kB\nVmFlags: lo\n"),
            format!("{head}Rss: 4 MB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nVmFlags: lo\n"),
            one("rw-p 0 0 0", "", "lo"),
            one("rw 0 0:0 0", "", "lo"),
            one("rw-p 0 fe:100000000 0", "", "lo"),
            one("rw-p 0 fe:00 -1", "", "lo"),
            format!("{head}{head}VmFlags: lo\n"),
            "VmFlags: lo\n".to_owned(),
            "2000-1000 rw-p 0 0 0\nVmFlags: lo\n".to_owned(),
            "Rss: 4 kB\n".to_owned(),
            "1000-20000000000000000 rw-p 0\nVmFlags: lo\n".to_owned(),
        ] {
            assert_eq!(all(text.as_bytes()), Err(PostureDoubt::Unreadable), "{text}");
        }
        assert_eq!(all(b""), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9a-f]{1,17}-[0-9a-f]{1,17} rw|VmFlags:| lo| lf|Rss: 1 kB|\n|\\PC){0,40}") {
            let _ = all(text.as_bytes());
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = all(&text);
        }
    }
}
