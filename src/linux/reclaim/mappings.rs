//! The mappings of a process, one by one: what is locked, what could be, and where an address lies.
//!
//! Source: Linux v6.18, `fs/proc/task_mmu.c` (`show_smap`, `show_smap_vma_flags`), `mm/mlock.c:mlock_fixup` (what is
//! passed over: `VM_SPECIAL`, huge pages of hugetlbfs, the gate, DAX, memfd_secret, droppable pages).

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use super::process::{Process, doubt, os};
use crate::posture::{Mappings, PostureDoubt, Seen};
use crate::unit::Bytes;

/// One mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mapping {
    pub(super) range: Range<u64>,
    /// The stack of the first thread, which grows.
    pub(super) is_main_stack: bool,
    pub(super) locked: Lock,
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

/// Reads every mapping of a process.
pub(super) fn walk(process: &Process, take: impl FnMut(&Mapping)) -> Seen<()> {
    let file = process.open("smaps").map_err(doubt)?;
    read(BufReader::new(file.take(LONGEST)), take)
}

/// Sums them up.
pub(super) fn sum(sums: &mut Mappings, mapping: &Mapping) {
    let size = Bytes::new(mapping.range.end.saturating_sub(mapping.range.start));
    let add = |sum: &mut Bytes| *sum = sum.checked_add(size).unwrap_or(*sum);
    match mapping.locked {
        Lock::NoneNeeded => return,
        Lock::Not => add(&mut sums.unlocked),
        Lock::OnFault => add(&mut sums.on_fault),
        Lock::Now => (),
    }
    add(&mut sums.mapped);
}

/// Reads a text of smaps: a line with the range, then lines `Key: value`, of which `VmFlags` comes last.
fn read(mut text: impl BufRead, mut take: impl FnMut(&Mapping)) -> Seen<()> {
    let (mut line, mut open) = (Vec::new(), None);
    loop {
        line.clear();
        let length = text.read_until(b'\n', &mut line);
        let length = length.map_err(|error| doubt(os(&error)))?;
        if length == 0 {
            // The text was cut off, or longer than any process makes it.
            return if open.is_none() { Ok(()) } else { Err(PostureDoubt::Unreadable) };
        }
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let (range, name) = open.take().ok_or(PostureDoubt::Unreadable)?;
            take(&mapping(range, name, flags));
        } else if let Some(head) = head(&line) {
            if open.replace(head).is_some() {
                return Err(PostureDoubt::Unreadable);
            }
        } else if open.is_none() {
            return Err(PostureDoubt::Unreadable);
        }
    }
}

/// What the kernel itself puts at the end of the line that begins a mapping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Stack,
    Gate,
    Other,
}

/// `7ffc0000-7ffd0000 rw-p 00000000 00:00 0    [stack]`
fn head(line: &[u8]) -> Option<(Range<u64>, Name)> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let (from, to) = std::str::from_utf8(words.next()?).ok()?.split_once('-')?;
    let range = u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?;
    let name = match words.nth(4) {
        Some(b"[stack]") => Name::Stack,
        Some(b"[vsyscall]") => Name::Gate,
        Some(_) | None => Name::Other,
    };
    (range.start < range.end).then_some((range, name))
}

fn mapping(range: Range<u64>, name: Name, flags: &[u8]) -> Mapping {
    let has = |wanted: &[u8]| flags.split(|byte| byte.is_ascii_whitespace()).any(|flag| flag == wanted);
    // io, de, pf, mm: VM_SPECIAL; ht: hugetlbfs; dp: droppable.
    let passed_over =
        name == Name::Gate || [b"io", b"de", b"pf", b"mm", b"ht", b"dp"].into_iter().any(|flag| has(flag));
    let locked = match (has(b"lo"), has(b"lf")) {
        (true, true) => Lock::OnFault,
        (true, false) => Lock::Now,
        (false, _) if passed_over => Lock::NoneNeeded,
        (false, _) => Lock::Not,
    };
    Mapping { range, is_main_stack: name == Name::Stack, locked }
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
        let text: String = rows
            .iter()
            .map(|(name, flags, _)| format!("1000-3000 rw-p 00000000 00:00 0  {name}\nRss: 4 kB\nVmFlags: {flags} \n"))
            .collect();
        let found = all(text.as_bytes()).unwrap_or_default();
        assert_eq!(found.len(), rows.len());
        for (mapping, (name, _, lock)) in found.iter().zip(rows) {
            assert_eq!((mapping.locked, mapping.range.clone()), (lock, 0x1000..0x3000), "{name}");
            assert_eq!(mapping.is_main_stack, name == "[stack]", "{name}");
        }
        let mut sums = Mappings::default();
        found.iter().for_each(|mapping| sum(&mut sums, mapping));
        let size = |mappings: u64| Bytes::new(mappings * 0x2000);
        assert_eq!(sums, Mappings { mapped: size(4), unlocked: size(1), on_fault: size(1) });
    }

    #[test]
    fn a_damaged_text_is_no_answer() {
        let head = "1000-2000 rw-p 00000000 00:00 0\n";
        for text in [
            head.to_owned(),
            format!("{head}Rss: 4 kB\n"),
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
