//! Counts per set-up, and the table of a run.

use std::fmt::Write;

use crate::judge::{Case, Extents, Outcome};
use crate::machine::Answer;

/// What came of the files of one set-up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    accepted: u64,
    ours: u64,
    st_blocks: u64,
    fiemap: u64,
    pub(crate) unsaid: u64,
    pub(crate) extents: u64,
    pub(crate) extents_unsaid: u64,
    /// Accepted, and the log could not be read.
    pub(crate) unlogged: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, case: &Case) {
        let accepted = matches!(case.answer, Answer::Accepted { .. });
        self.files += 1;
        self.accepted += u64::from(accepted);
        self.ours += u64::from(case.outcome == Outcome::Agrees);
        self.st_blocks += u64::from(case.peers.st_blocks == accepted);
        self.fiemap += u64::from(case.peers.fiemap == accepted);
        self.unsaid += u64::from(matches!(case.outcome, Outcome::Unsaid(..)));
        self.extents += u64::from(case.extents == Extents::Compared);
        self.unlogged += u64::from(matches!(case.answer, Answer::Accepted { extents: None, .. }));
        self.extents_unsaid += u64::from(case.extents == Extents::Unsaid);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { files, accepted, ours, st_blocks, fiemap, unsaid, extents, extents_unsaid, unlogged } = other;
        self.files += files;
        self.accepted += accepted;
        self.ours += ours;
        self.st_blocks += st_blocks;
        self.fiemap += fiemap;
        self.unsaid += unsaid;
        self.extents += extents;
        self.extents_unsaid += extents_unsaid;
        self.unlogged += unlogged;
    }
}

/// The table, as Markdown.
pub(crate) fn table(rows: &[(&str, Tally)], release: &str, seed: u64) -> String {
    let mut total = Tally::default();
    rows.iter().for_each(|(_, tally)| total.add(tally));
    let mut text = format!("Linux {release}, seed {seed}\n\n");
    text += "| set-up | files | accepted | st_blocks | FIEMAP | swap-dio | not foretold | extents compared | not foretold |\n";
    text += "| --- | --: | --: | --: | --: | --: | --: | --: | --: |\n";
    for (name, tally) in rows.iter().copied().chain([("**all**", total)]) {
        let Tally { files, accepted, ours, st_blocks, fiemap, unsaid, extents, extents_unsaid, .. } = tally;
        // Ours is the share of what was foretold: what was not is counted beside it. The peers answer always.
        let ours = percent(ours, files - unsaid);
        let (st_blocks, fiemap) = (percent(st_blocks, files), percent(fiemap, files));
        let line = format!("| {name} | {files} | {accepted} | {st_blocks} | {fiemap} | {ours} | {unsaid} | ");
        let _ = writeln!(text, "{line}{extents} | {extents_unsaid} |");
    }
    text
}

/// In tenths of a percent, rounded down: 100 % is all of them.
fn percent(part: u64, whole: u64) -> String {
    let thousandths = (part * 1000).checked_div(whole).unwrap_or(0);
    match (thousandths / 10, thousandths % 10) {
        (whole, 0) => format!("{whole} %"),
        (whole, tenths) => format!("{whole}.{tenths} %"),
    }
}
