//! The pages of a process, one by one: which of them are in memory.
//!
//! Source: Linux v6.18, `fs/proc/task_mmu.c` (`pagemap_read`); Documentation/admin-guide/mm/pagemap.rst (bit 63: the
//! page is present, bit 58: it is a guard).

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::process::{Process, doubt};
use crate::posture::{PostureDoubt, Seen};
use crate::unit::Bytes;

/// The table of a process's pages.
#[derive(Debug)]
pub(super) struct Pagemap {
    table: File,
    page: u64,
    /// Entries that will still be read in search of absent pages.
    left: u64,
}

impl Pagemap {
    /// Opens the table.
    pub(super) fn of(process: &Process) -> Seen<Self> {
        let table = process.open("pagemap").map_err(doubt)?;
        let page = u64::try_from(rustix::param::page_size()).map_err(|_| PostureDoubt::Unreadable)?;
        Ok(Self { table, page, left: MOST })
    }

    /// How many bytes below an address lie in pages of one kind without a gap, as far as they are of interest.
    pub(super) fn below(&self, here: u64, wanted: u64, of_kind: impl Fn(u64) -> bool) -> Seen<u64> {
        let mut found = 0;
        let mut index = here.checked_div(self.page).ok_or(PostureDoubt::Unreadable)?;
        while found < wanted {
            index = index.saturating_sub(1);
            let mut entry = [0; ENTRY];
            self.read(index, &mut entry)?;
            if !of_kind(u64::from_ne_bytes(entry)) {
                break;
            }
            found = found.saturating_add(self.page);
        }
        Ok(found)
    }

    /// How much of a mapping is neither in memory nor a guard.
    pub(super) fn absent(&mut self, range: &Range<u64>) -> Seen<Bytes> {
        let index = |place: u64| place.checked_div(self.page).ok_or(PostureDoubt::Unreadable);
        let (mut next, end) = (index(range.start)?, index(range.end)?);
        let (mut chunk, mut absent) = ([0; CHUNK * ENTRY], 0u64);
        while let Some(rest) = end.checked_sub(next).filter(|rest| *rest > 0) {
            let Some(left) = self.left.checked_sub(rest.min(LARGEST)) else {
                // More than anybody locks; what is not looked at was not seen to be there.
                absent = absent.saturating_add(rest);
                break;
            };
            self.left = left;
            let count = usize::try_from(rest.min(LARGEST)).map_err(|_| PostureDoubt::Unreadable)?;
            let entries = chunk.get_mut(..count.saturating_mul(ENTRY)).ok_or(PostureDoubt::Unreadable)?;
            self.read(next, entries)?;
            for entry in entries.chunks_exact(ENTRY) {
                let entry = entry.first_chunk().copied().map_or(0, u64::from_ne_bytes);
                absent = absent.saturating_add(u64::from(entry & (PRESENT | GUARD) == 0));
            }
            next = next.saturating_add(rest.min(LARGEST));
        }
        Ok(Bytes::new(absent.saturating_mul(self.page)))
    }

    fn read(&self, index: u64, entries: &mut [u8]) -> Seen<()> {
        let place = index.checked_mul(8).ok_or(PostureDoubt::Unreadable)?;
        self.table.read_exact_at(entries, place).map_err(|_| PostureDoubt::Unreadable)
    }
}

pub(super) const PRESENT: u64 = 1 << 63;
/// A guard page that is no mapping of its own, as glibc makes them from 2.42 on. Shown from 6.15 on; on 6.13 and 6.14,
/// which have them too, a depth that the thread does not have must not be asked for.
pub(super) const GUARD: u64 = 1 << 58;
const ENTRY: usize = 8;
const CHUNK: usize = 512;
const LARGEST: u64 = 512;
/// Of 64 GiB in pages of 4 KiB.
const MOST: u64 = 1 << 24;
