//! Merge, then trim: physically adjacent claims become one run, and a run gives its whole pages only.
//!
//! Trimming first would lose a page at every seam that is not page-aligned. Logical adjacency is not asked for:
//! the stream is in order and has no holes left. A page that falls away shifts every swap page after it.

use super::Refusals;
use super::fill::Fill;
use super::obstacle;
use super::run::Run;
use crate::extent::{DeviceId, FileExtent};
use crate::map::Store;
use crate::reason::{Fault, Reason};

/// A walk of iomap's kind: the run that grows until a claim does not touch it.
#[derive(Debug)]
pub(super) struct Walk {
    order: &'static [Fault],
    main: Option<DeviceId>,
    run: Option<Run>,
}

impl Walk {
    pub(super) const fn new(order: &'static [Fault], main: Option<DeviceId>) -> Self {
        Self { order, main, run: None }
    }

    #[inline]
    pub(super) fn take<S: Store>(
        &mut self,
        claim: &FileExtent,
        fill: &mut Fill<S>,
        refusals: &mut Refusals<impl FnMut(Reason)>,
    ) {
        if !obstacle::clear(claim, self.order, &mut self.main, refusals) {
            return;
        }
        if let Some(run) = Run::of(claim).and_then(|run| run.follow(&mut self.run)) {
            refusals.note(fill.add_trimmed(&run));
        }
    }

    pub(super) fn end<S: Store>(&mut self, fill: &mut Fill<S>, refusals: &mut Refusals<impl FnMut(Reason)>) {
        if let Some(run) = self.run.take() {
            refusals.note(fill.add_trimmed(&run));
        }
    }
}
