//! Which of my files may serve swap, and why not?
//!
//! ```text
//! cargo run --example check                     sample files in a temporary folder, explained
//! cargo run --example check -- /swapfile        one path, for people
//! cargo run --example check -- --json PATH…     one object per path and line, for scripts
//! ```
//!
//! It opens for reading only: it never writes to a file, never activates one, and needs no privilege beyond reading.

#[path = "check/human.rs"]
mod human;
#[path = "check/json.rs"]
mod json;
#[path = "check/quote.rs"]
mod quote;
#[path = "check/samples.rs"]
mod samples;

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use swap_dio::Verdict;
use swap_dio::linux::{Depth, Examination, ExamineError, examine};

/// Tells which files may serve swap, as swapon(2) would answer, and explains why not.
///
/// For each path: what swapon(2) of this kernel answers root, and a verdict for each way that swap I/O can go.
/// "bio" is swapon's own: straight to the device, by extents that are frozen at activation. "file" is through the
/// filesystem, as a server does that reaches the area by a file. Nothing is written and nothing is activated.
#[derive(Debug, Parser)]
#[command(name = "check", after_help = STATUS)]
struct Arguments {
    /// Print one JSON object per path and line
    #[arg(long)]
    json: bool,
    /// List every reason, not only the first one in the kernel's order
    #[arg(long)]
    all: bool,
    /// Files or block devices; without any, sample files are made in a temporary folder and explained
    #[arg(value_name = "PATH", value_parser = clap::value_parser!(OsString))]
    paths: Vec<OsString>,
}

const STATUS: &str = "Exit status: 0 every path is admitted for bio; 1 some are not; \
2 usage, or some path could not be examined.";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let depth = if arguments.all { Depth::All } else { Depth::First };
    let form = Form { json: arguments.json, colour: std::io::stdout().is_terminal() && no_colour_unset(), depth };
    let outcome = if arguments.paths.is_empty() { samples::show(form) } else { check(&arguments.paths, form) };
    match outcome {
        Ok(status) => status,
        // The reader of our output went away: nobody is left to tell.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(2),
        Err(error) => {
            // If that cannot be said either, the status says it.
            let _ = writeln!(std::io::stderr(), "check: cannot go on: {error}");
            ExitCode::from(2)
        }
    }
}

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
struct Form {
    json: bool,
    colour: bool,
    depth: Depth,
}

impl Form {
    fn print(self, path: &Path, answer: &Result<Examination, ExamineError>) -> std::io::Result<()> {
        // One lock and one flush a path: what is said of a path stands together, and nothing waits in a buffer.
        let mut out = std::io::stdout().lock();
        if self.json {
            json::write(&mut out, path, answer)?;
        } else if let Ok(found) = answer {
            human::write(&mut out, path, found, self.colour)?;
        }
        out.flush()?;
        if let Err(error) = answer {
            // Whoever closed this wants the answers only.
            let _ = writeln!(std::io::stderr(), "check: {}: {error}{}", quote::path(path), human::advice(error));
        }
        Ok(())
    }
}

fn check(paths: &[OsString], form: Form) -> std::io::Result<ExitCode> {
    let (mut admitted, mut refused, mut unknown) = (0usize, 0usize, 0usize);
    for path in paths.iter().map(Path::new) {
        let answer = examine(path, form.depth);
        match &answer {
            Ok(found) if found.bio.verdict() == Verdict::Admit => admitted += 1,
            Ok(_) => refused += 1,
            Err(_) => unknown += 1,
        }
        form.print(path, &answer)?;
    }
    if !form.json && paths.len() > 1 {
        let total = paths.len();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{total} paths: {admitted} admitted for bio, {refused} not, {unknown} could not be examined")?;
    }
    Ok(ExitCode::from(if unknown > 0 { 2 } else { u8::from(refused > 0) }))
}

/// <https://no-color.org>
fn no_colour_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
