//! Claims that touch on the device, as one.

use crate::extent::FileExtent;

/// File offset of the first byte, device offset, length: in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) logical: u64,
    pub(super) physical: u64,
    pub(super) length: u64,
}

impl Run {
    /// `None` for a claim without a place, which no profile that makes runs lets through.
    #[inline]
    pub(super) fn of(claim: &FileExtent) -> Option<Self> {
        let physical = claim.physical?.get();
        Some(Self { logical: claim.logical.get(), physical, length: claim.length.get() })
    }

    /// Whether this begins where the open run ends.
    #[inline]
    pub(super) fn continues(&self, open: &Option<Self>) -> bool {
        open.is_some_and(|open| open.physical.saturating_add(open.length) == self.physical)
    }

    /// Makes `self` the open run, or a part of it if it begins where that one ends; gives back a run that is over.
    #[inline]
    pub(super) fn follow(self, open: &mut Option<Self>) -> Option<Self> {
        match open {
            Some(run) if run.physical.saturating_add(run.length) == self.physical => {
                run.length = run.length.saturating_add(self.length);
                None
            }
            Some(_) | None => open.replace(self),
        }
    }
}
