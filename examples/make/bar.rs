//! Progress: a bar on a terminal, else a line for every tenth of the way. Both go to standard error.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use swap_dio::linux::{Phase, Progress};

/// What the user sees of the way.
pub(crate) struct Bar {
    /// `None` where nobody watches it move.
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    /// The last tenth that was told.
    tenth: u64,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            // The template is a constant; were it wrong, the default one would do.
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        Self { bar, phase: None, tenth: 0 }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: Progress) {
        let Progress { phase, done, total } = progress;
        let is_new = self.phase.replace(phase) != Some(phase);
        if let Some(bar) = &self.bar {
            if is_new {
                bar.set_message(verb(phase));
                bar.set_length(total.get());
                bar.reset_eta();
            }
            if counts(phase) {
                bar.set_position(done.get());
            }
            return;
        }
        if is_new {
            self.tenth = 0;
            tell(&format!("make: {}", verb(phase)));
        }
        let tenth = done.get().saturating_mul(10) / total.get().max(1);
        if counts(phase) && tenth > self.tenth {
            self.tenth = tenth;
            tell(&format!("make: {}: {}0 % of {total}", verb(phase), tenth));
        }
    }

    /// Whether anything was told.
    pub(crate) const fn has_moved(&self) -> bool {
        self.phase.is_some()
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line that nobody may be left to read.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether the phase is a way, not a step.
fn counts(phase: Phase) -> bool {
    matches!(phase, Phase::Allocate | Phase::Write | Phase::WriteBuffered)
}

fn verb(phase: Phase) -> &'static str {
    match phase {
        Phase::Clear => "removing what a killed run has left",
        Phase::Allocate => "allocating",
        Phase::Write => "writing",
        Phase::WriteBuffered => "writing (no direct I/O here)",
        Phase::Sync => "syncing",
        Phase::Examine => "examining",
        _ => "working",
    }
}

const TEMPLATE: &str = "{msg:<12} [{bar:40}] {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
