//! What an examination refuses, in the form that a picture needs: which bytes, by which model, and for which reasons.

use swap_dio::linux::{Examination, Judgement};
use swap_dio::{Reason, Verdict};

use crate::grid::{Amount, COLUMNS, share};

/// How grave a refusal is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Rung {
    Admitted,
    /// For the file model only: swapon itself does not mind.
    File,
    Bio,
}

impl Rung {
    pub(crate) const ALL: [Self; 3] = [Self::Admitted, Self::File, Self::Bio];
}

/// One reason's code, and all that is said with it.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) code: &'static str,
    /// The first reason's own words.
    pub(crate) words: String,
    pub(crate) verdict: Verdict,
    pub(crate) bio: bool,
    pub(crate) file: bool,
    /// Ranges of one model; none if it is about the file as a whole.
    pub(crate) ranges: Amount,
    /// Columns that it touches.
    pub(crate) columns: Vec<bool>,
}

/// Everything that is refused.
pub(crate) struct Refusals {
    pub(crate) causes: Vec<Cause>,
    bio: Vec<(u64, u64)>,
    file: Vec<(u64, u64)>,
}

impl Refusals {
    pub(crate) fn of(found: &Examination) -> Self {
        let mut all = Self { causes: Vec::new(), bio: Vec::new(), file: Vec::new() };
        let size = found.size.get();
        for (judgement, is_bio) in [(&found.bio, true), (&found.file, false)] {
            all.take(judgement, is_bio, size);
        }
        all.bio = merged(std::mem::take(&mut all.bio));
        all.file = merged(std::mem::take(&mut all.file));
        all
    }

    /// How a part of the file is refused. What refuses the file as a whole is no part's fault.
    pub(crate) fn rung(&self, from: u64, to: u64) -> Rung {
        if touches(&self.bio, from, to) {
            Rung::Bio
        } else if touches(&self.file, from, to) {
            Rung::File
        } else {
            Rung::Admitted
        }
    }

    /// Whether a model refuses something in a column, or the whole file.
    pub(crate) fn in_column(&self, is_bio: bool, column: usize) -> bool {
        let mut causes = self.causes.iter().filter(|cause| if is_bio { cause.bio } else { cause.file });
        causes.any(|cause| cause.columns[column])
    }

    fn take(&mut self, judgement: &Judgement, is_bio: bool, size: u64) {
        // Both models mostly say the same: their ranges are counted once.
        let known: Vec<&'static str> = self.causes.iter().map(|cause| cause.code).collect();
        for reason in judgement.reasons() {
            let cause = self.cause(reason);
            cause.verdict = cause.verdict.max(reason.verdict());
            *(if is_bio { &mut cause.bio } else { &mut cause.file }) = true;
            let Some(range) = reason.range() else {
                cause.columns.fill(true);
                continue;
            };
            let (start, length) = (range.offset.get(), range.length.get());
            let end = start.saturating_add(length).min(size).max(start.saturating_add(1));
            let last = share(end - 1, size, COLUMNS);
            cause.columns[share(start, size, COLUMNS).min(last)..=last].fill(true);
            if !known.contains(&cause.code) {
                cause.ranges.add(length);
            }
            (if is_bio { &mut self.bio } else { &mut self.file }).push((start, end));
        }
    }

    fn cause(&mut self, reason: &Reason) -> &mut Cause {
        let index = self.causes.iter().position(|cause| cause.code == reason.code()).unwrap_or(self.causes.len());
        if index == self.causes.len() {
            self.causes.push(Cause {
                code: reason.code(),
                words: reason.to_string(),
                verdict: reason.verdict(),
                bio: false,
                file: false,
                ranges: Amount::default(),
                columns: vec![false; COLUMNS],
            });
        }
        &mut self.causes[index]
    }
}

/// Sorted, and those that touch joined.
fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

fn touches(ranges: &[(u64, u64)], from: u64, to: u64) -> bool {
    // The first that does not end before it: if any touches it, that one does.
    let index = ranges.partition_point(|(_, end)| *end <= from);
    ranges.get(index).is_some_and(|(start, _)| *start < to)
}
