//! Blocks smaller than a page, for the file model: makes every page of a new file one whole page of the device.
//!
//! A filesystem with blocks of 1 KiB allocates from any of them, and a page of the file may then lie across two pages
//! of the device. What is allocated and still empty can be cut: where a run does not begin or end with a page of the
//! device, its odd blocks are collapsed out of the file (`FALLOC_FL_COLLAPSE_RANGE`), and the file is allocated to its
//! size again, until nothing is odd.
//!
//! Source: Linux v6.18, `fs/ext4/extents.c:ext4_collapse_range`, `fs/xfs/xfs_file.c:xfs_falloc_collapse_range`.

use std::fs::File;

use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::{Errno as OsError, retry_on_intr};

use super::error::{PrepareError, failed, failed_at};
use super::fill;
use super::progress::{Phase, Watch};
use crate::linux::error::fact;
use crate::linux::fiemap::{Go, extents};
use crate::reason::Reason;
use crate::unit::{ByteRange, Bytes, PageSize};

/// Cuts a file, allocated to `size` and never written, so that its pages are pages of the device.
///
/// # Errors
/// [`Reason::Misplaced`] where this filesystem cannot cut, or where space is in too many pieces to go on with it.
pub(super) fn to_pages(file: &File, size: Bytes, page: PageSize, watch: &mut Watch) -> Result<(), PrepareError> {
    let mut odd = None;
    for _ in 0..ROUNDS {
        watch.tell(Phase::Allocate, size.get())?;
        let runs = runs(file, size)?;
        let cuts = cuts(&runs, page.bytes().get());
        let Some(Cut { offset, length }) = cuts.first().copied() else { return Ok(()) };
        odd = Some(ByteRange::new(Bytes::new(offset), Bytes::new(length)));
        if runs.len() > MOST_RUNS {
            break;
        }
        // From the end, so that what comes before stays where it is.
        for cut in cuts.iter().rev() {
            watch.tell(Phase::Allocate, size.get())?;
            match cut.make(file) {
                Ok(()) => (),
                Err(OsError::OPNOTSUPP | OsError::INVAL) => return Err(misplaced(odd, page)),
                Err(error) => return Err(failed_at("cut odd blocks out", cut.offset)(error)),
            }
        }
        fill::allocate_range(file, 0, size.get()).map_err(failed("allocate blocks"))?;
    }
    Err(misplaced(odd, page))
}

/// Whether the first `written` bytes of a growing file lie in pages of the device: one that does not begin so is not
/// worth writing to its end.
pub(super) fn check_start(file: &File, written: Bytes, page: PageSize) -> Result<(), PrepareError> {
    match cuts(&runs(file, written)?, page.bytes().get()).first() {
        Some(Cut { offset, length }) => {
            Err(misplaced(Some(ByteRange::new(Bytes::new(*offset), Bytes::new(*length))), page))
        }
        None => Ok(()),
    }
}

fn misplaced(odd: Option<ByteRange>, page: PageSize) -> PrepareError {
    let range = odd.unwrap_or(ByteRange::new(Bytes::ZERO, Bytes::ZERO));
    PrepareError::NotAdmitted { why: Reason::Misplaced { range, page }, removed: true }
}

/// Bytes of a file that lie one after the other on the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    logical: u64,
    physical: u64,
    length: u64,
}

fn runs(file: &File, size: Bytes) -> Result<Vec<Run>, PrepareError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_strange = false;
    let walked = extents(file, size, |claim| {
        let Some((claim, physical)) = claim.ok().and_then(|claim| Some((claim, claim.physical?.get()))) else {
            is_strange = true;
            return Go::Stop;
        };
        let (logical, length) = (claim.logical.get(), claim.length.get());
        // What is allocated past the end is not the file's.
        let length = length.min(size.get().saturating_sub(logical));
        match runs.last_mut() {
            Some(last)
                if last.physical.saturating_add(last.length) == physical
                    && last.logical.saturating_add(last.length) == logical =>
            {
                last.length = last.length.saturating_add(length);
            }
            Some(_) | None => runs.push(Run { logical, physical, length }),
        }
        Go::On
    });
    walked.map_err(fact("its extents (FIEMAP)"))?;
    if is_strange { Err(PrepareError::Changed) } else { Ok(runs) }
}

/// Bytes to be taken out of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cut {
    offset: u64,
    length: u64,
}

impl Cut {
    fn make(self, file: &File) -> rustix::io::Result<()> {
        let end = rustix::fs::fstat(file)?.st_size;
        if u64::try_from(end).is_ok_and(|end| self.offset.saturating_add(self.length) >= end) {
            // The end is not collapsed, it is cut off.
            return retry_on_intr(|| ftruncate(file, self.offset));
        }
        retry_on_intr(|| fallocate(file, FallocateFlags::COLLAPSE_RANGE, self.offset, self.length))
    }
}

/// What of each run is not in whole pages of the device, in ascending order.
fn cuts(runs: &[Run], page: u64) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let is_last = index.saturating_add(1) == runs.len();
        let end = run.physical.saturating_add(run.length);
        let first = run.physical.checked_next_multiple_of(page).unwrap_or(end).min(end);
        // The last run is cut by the file's size, not by the device: what follows may go on from there.
        let last = if is_last { end } else { end.checked_rem(page).map_or(end, |odd| end.saturating_sub(odd)) };
        let (head, tail) = (first.saturating_sub(run.physical), end.saturating_sub(last.max(first)));
        if head != 0 {
            cuts.push(Cut { offset: run.logical, length: head });
        }
        if tail != 0 {
            let offset = run.logical.saturating_add(run.length).saturating_sub(tail);
            cuts.push(Cut { offset, length: tail });
        }
    }
    cuts
}

/// Each round leaves odd only what was allocated anew.
const ROUNDS: u32 = 16;
/// More pieces than that make each cut slow, and the file a bad one.
const MOST_RUNS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_ends_are_cut_and_the_last_end_is_not() {
        let run = |logical, physical, length| Run { logical, physical, length };
        let cut = |offset, length| Cut { offset, length };
        type Row<'a> = (&'a str, &'a [Run], &'a [Cut]);
        let rows: &[Row] = &[
            ("whole pages", &[run(0, 8192, 8192), run(8192, 32768, 4096)], &[]),
            ("odd head", &[run(0, 1024, 12288)], &[cut(0, 3072)]),
            ("odd tail", &[run(0, 4096, 5120), run(5120, 32768, 4096)], &[cut(4096, 1024)]),
            ("odd end of the last", &[run(0, 4096, 5120)], &[]),
            ("less than a page", &[run(0, 1024, 2048), run(2048, 8192, 4096)], &[cut(0, 2048)]),
            (
                "across a boundary, no whole page",
                &[run(0, 3072, 2048), run(2048, 8192, 4096)],
                &[cut(0, 1024), cut(1024, 1024)],
            ),
            ("the last, no whole page", &[run(0, 4096, 4096), run(4096, 9216, 1024)], &[cut(4096, 1024)]),
        ];
        for (name, runs, expected) in rows {
            assert_eq!(cuts(runs, 4096), *expected, "{name}");
        }
    }
}
