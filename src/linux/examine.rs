//! One path, from its name to a verdict: facts are gathered here, and judged by the core.
//!
//! Source of the order: Linux v6.18, `mm/swapfile.c:swapon`.

use std::path::Path;

use super::error::{ExamineError, no_fact};
use super::inode::Inode;
use super::report::{Collector, Depth, Examination, Facts, For, Prediction, UNKNOWN};
use super::{block, file, mount, swaps};
use crate::candidate::{Candidate, Condition, Kind};
use crate::release::Release;
use crate::topology::Override;
use crate::unit::Bytes;

/// Examines a path: what swapon(2) would answer, and whether it may serve swap by either model.
///
/// Opens for reading only and changes nothing, not even the access time where that can be helped. The file's dirty
/// pages are written back first, as swapon(2) does, or delayed allocation would look like holes. A block device is
/// opened exclusively for a moment, which is the only way to learn whether somebody else holds it.
///
/// # Errors
/// [`ExamineError`] when the path could not be examined, in the order: look-up, open, facts. A file that may not
/// serve swap is not an error: that is what the [`Examination`] says.
pub fn examine(path: &Path, depth: Depth) -> Result<Examination, ExamineError> {
    examine_accepting(path, depth, Override::empty())
}

/// The same, where somebody accepts risks of the topology by name; [`Examination::accepted`] tells which of them a
/// verdict depends on.
///
/// # Errors
/// As [`examine`].
pub fn examine_accepting(path: &Path, depth: Depth, accepted: Override) -> Result<Examination, ExamineError> {
    let page_size = super::page_size().ok_or(ExamineError::PageSize)?;
    let inode = Inode::at(path).map_err(ExamineError::LookUp)?;
    let mut found = Collector::new(depth, accepted);
    let mut candidate = Candidate {
        kind: inode.kind,
        release: Release::running(),
        page_size,
        conditions: Condition::empty(),
        unknown: Condition::empty(),
        active_areas: 0,
        holder: None,
        block: Bytes::ZERO,
        no_page_read: None,
    };
    match swaps::look(&inode).map_err(no_fact("/proc/swaps"))? {
        swaps::Swaps { active: Some(is_active), areas } => {
            candidate.conditions.set(Condition::ACTIVE, is_active);
            candidate.active_areas = areas;
        }
        swaps::Swaps { active: None, areas } => {
            candidate.unknown |= Condition::ACTIVE;
            candidate.active_areas = areas;
        }
    }
    match inode.kind {
        Kind::RegularFile => file::examine(path, &inode, candidate, found),
        Kind::BlockDevice => block::examine(path, &inode, candidate, found),
        Kind::Directory | Kind::Special(_) => {
            candidate.judge(|reason| found.say(For::Both, reason));
            let mount = mount::of(&inode).map_err(no_fact("the mount table"))?;
            let filesystem = mount.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind);
            Ok(found.finish(Facts { filesystem, page_size, size: inode.size, backing: None }, None))
        }
    }
}

/// Foretells what swapon(2) of the running kernel answers root for a path: [`examine`], and nothing but the kernel.
///
/// # Errors
/// As [`examine`].
pub fn predict(path: &Path) -> Result<Prediction, ExamineError> {
    examine(path, Depth::First).map(|found| found.kernel)
}
