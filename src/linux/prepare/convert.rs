//! Turns unwritten extents into written ones, in place; holes get blocks. What was written is never touched.
//!
//! A server that swaps through the filesystem must find every page written, or each first write is a transaction in
//! the middle of swap-out. Zeros go to runs that read as zeros, so nothing that the file holds changes, the header
//! least of all; a run is asked for again just before it is written. If it stops half way, by an error, a signal or a
//! full disk, the file is what it was, only further on: another run goes on from there.
//!
//! An active area is refused, and the kernel refuses writes to one that becomes active meanwhile (`ETXTBSY`). One that
//! somebody has open for writing is refused too: what he writes between the question and the zeros would be lost.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as OsError;

use super::error::{PrepareError, failed, failed_at};
use super::fill::{self, CHUNK, Zeros};
use super::progress::{Phase, Progress, Watch};
use super::{draft, judgement, users, verify};
use crate::extent::ExtentState;
use crate::feature::DirectIo;
use crate::linux::error::{ExamineError, fact, no_fact};
use crate::linux::examine::examine;
use crate::linux::fiemap::{Go, extents_between};
use crate::linux::inode::Inode;
use crate::linux::open::read_start;
use crate::linux::report::{Depth, Examination};
use crate::model::Model;
use crate::reason::{Fault, Reason};
use crate::unit::{Bytes, PageSize};

/// Makes the file at `path`, a swap area that is not active, serve that model: by filling its holes, and for
/// [`Model::File`] by writing zeros over what is allocated and was never written. A symlink is followed, as swapon(2)
/// does. Gives the examination of the file as it then is.
///
/// `progress` is told before each chunk of 4 MiB; when it breaks, what was converted stays so.
///
/// # Errors
/// What the file is refused for and no zeros can change, before anything is written: no swap header, active, shared,
/// compressed, encrypted, misaligned, immutable, …; then what fails on the way, and what an examination still finds.
pub fn convert(
    path: &Path,
    model: Model,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Examination, PrepareError> {
    let page_size = crate::linux::page_size().ok_or(ExamineError::PageSize)?;
    let found = examine(path, Depth::All)?;
    let reasons = judgement(&found, model).reasons();
    if let Some(why) = reasons.iter().find(|why| !is_curable(why, reasons)) {
        return Err(PrepareError::Refused { model, why: *why });
    }
    if reasons.is_empty() {
        return Ok(found);
    }
    let (file, inode) = open(path)?;
    // By the descriptor: what the name leads to by now may be another's file.
    let found = examine(&itself(&file), Depth::All)?;
    let reasons = judgement(&found, model).reasons();
    if found.size != inode.size || reasons.iter().any(|why| !is_curable(why, reasons)) {
        return Err(PrepareError::Changed);
    }
    if model == Model::File && !matches!(inode.direct_io, DirectIo::Aligned { .. }) {
        return Err(PrepareError::Refused { model, why: Reason::NoDirectIo });
    }
    let end = found.size.whole_pages(page_size).to_bytes(page_size).unwrap_or(Bytes::ZERO);
    if let Some(user) = users::writer(&inode).map_err(no_fact("who has it open"))? {
        return Err(PrepareError::InUse { user });
    }
    let mut watch = Watch::new(end, &mut progress);
    let start = read_start(&file)?;
    Conversion { file: &file, model, page_size, end: end.get() }.run(inode.direct_io, &mut watch)?;
    fill::sync(&file, &mut watch)?;
    if read_start(&file)? != start {
        return Err(PrepareError::Changed);
    }
    watch.tell(Phase::Examine, end.get())?;
    verify(path, model, inode.identity, false)
}

fn itself(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether blocks and zeros are all that is missing.
fn is_curable(why: &Reason, all: &[Reason]) -> bool {
    let is_gap = |why: &Reason| {
        matches!(
            why,
            Reason::Extent { fault: Fault::Hole | Fault::Unwritten | Fault::Delayed | Fault::Uncommitted, .. }
        )
    };
    // No page is left where every page has a hole.
    is_gap(why) || (matches!(why, Reason::NoUsablePage { .. }) && all.iter().any(is_gap))
}

/// Opens the file for writing, for this run alone.
fn open(path: &Path) -> Result<(File, Inode), PrepareError> {
    let named = Inode::at(path).map_err(ExamineError::LookUp)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open it for writing"))?);
    let inode = Inode::of(&file).map_err(fact("its attributes"))?;
    if inode.identity != named.identity {
        return Err(ExamineError::Replaced.into());
    }
    draft::lock(&file)?;
    Ok((file, inode))
}

struct Conversion<'a> {
    file: &'a File,
    model: Model,
    page_size: PageSize,
    /// Where the last whole page ends.
    end: u64,
}

impl Conversion<'_> {
    fn run(&self, direct_io: DirectIo, watch: &mut Watch) -> Result<(), PrepareError> {
        let zeros = Zeros::new(self.file, direct_io, self.page_size)?;
        let phase = if self.model == Model::Bio { Phase::Allocate } else { zeros.phase() };
        let step = u64::try_from(CHUNK).unwrap_or(self.end);
        let mut at = 0;
        while at < self.end {
            watch.tell(phase, at)?;
            // One that was cut meanwhile must not grow again.
            if Inode::of(self.file).map_err(fact("its size"))?.size.get() < self.end {
                return Err(PrepareError::Changed);
            }
            let to = at.saturating_add(step).min(self.end);
            for (from, to) in self.gaps(at, to)? {
                self.fill(&zeros, from, to)?;
            }
            at = to;
        }
        watch.tell(phase, at)
    }

    /// The runs between two offsets that need blocks or zeros.
    fn gaps(&self, from: u64, to: u64) -> Result<Vec<(u64, u64)>, PrepareError> {
        let (mut gaps, mut next, mut is_changed) = (Vec::new(), from, false);
        let walked = extents_between(self.file, Bytes::new(from), Bytes::new(to), |claim| {
            let Some((claim, start, end)) = claim.ok().and_then(|claim| {
                let end = claim.logical.checked_add(claim.length)?.get();
                Some((claim, claim.logical.get(), end))
            }) else {
                is_changed = true;
                return Go::Stop;
            };
            let is_unwritten = claim.state == ExtentState::Unwritten;
            is_changed |= !claim.flags.is_empty() || !(is_unwritten || claim.state == ExtentState::Written);
            if start > next {
                gaps.push((next, start.min(to)));
            }
            if is_unwritten && self.model == Model::File && end > start {
                gaps.push((start.max(from), end.min(to)));
            }
            next = end;
            if is_changed || next >= to { Go::Stop } else { Go::On }
        });
        walked.map_err(fact("its extents (FIEMAP)"))?;
        if is_changed {
            return Err(PrepareError::Changed);
        }
        if next < to {
            gaps.push((next, to));
        }
        Ok(gaps)
    }

    /// Gives one run blocks, for the file model with zeros in them.
    fn fill(&self, zeros: &Zeros, from: u64, to: u64) -> Result<(), PrepareError> {
        if self.model == Model::Bio {
            match fill::allocate_within(self.file, from, to.saturating_sub(from)) {
                Err(OsError::OPNOTSUPP | OsError::NOSYS) => (),
                answer => return answer.map_err(|error| self.failed("allocate blocks", from, error)),
            }
        }
        let mut at = from;
        while at < to {
            let written = zeros.write_some(at, to).map_err(|error| self.failed("write zeros", at, error))?;
            at = at.saturating_add(written);
        }
        Ok(())
    }

    /// Somebody made it active meanwhile: that has a reason of its own.
    fn failed(&self, act: &'static str, at: u64, error: OsError) -> PrepareError {
        if error == OsError::TXTBSY {
            return PrepareError::Refused { model: self.model, why: Reason::Active { certain: true } };
        }
        failed_at(act, at)(error)
    }
}
