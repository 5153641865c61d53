//! Which of my files may serve swap, and why not?
//!
//! ```text
//! cargo run --example check                     sample files in a temporary folder, explained
//! cargo run --example check -- /swapfile        one path, for people
//! cargo run --example check -- --json PATH…     one object per path and line, for scripts
//! cargo run --example check -- --svg OUT PATH   a picture of where its extents lie, for a browser
//! cargo run --example check -- --accept-risk file-backed /dev/loop0    what follows if somebody accepts that
//! ```
//!
//! It opens for reading only: it never writes to a file (OUT is a new one), never activates one, and needs no privilege
//! beyond reading.

#[path = "check/grid.rs"]
mod grid;
#[path = "check/human.rs"]
mod human;
#[path = "check/json.rs"]
mod json;
#[path = "check/quote.rs"]
mod quote;
#[path = "check/refusals.rs"]
mod refusals;
#[path = "check/samples.rs"]
mod samples;
#[path = "check/svg.rs"]
mod svg;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use swap_dio::Verdict;
use swap_dio::linux::{Depth, Examination, ExamineError, examine_accepting, extents};
use swap_dio::topology::Override;

/// Tells which files may serve swap, as swapon(2) would answer, and explains why not.
///
/// For each path: what swapon(2) of this kernel answers root, and a verdict for each way that swap I/O can go.
/// "bio" is swapon's own: straight to the device, by extents that are frozen at activation. "file" is through the
/// filesystem, as a server does that reaches the area by a file. Nothing is activated, and nothing written but the
/// picture that --svg asks for.
#[derive(Debug, Parser)]
#[command(name = "check", after_help = STATUS)]
struct Arguments {
    /// Print one JSON object per path and line
    #[arg(long)]
    json: bool,
    /// List every reason, not only the first one in the kernel's order
    #[arg(long)]
    all: bool,
    /// Draw where the extents of the one PATH lie on its device, as a new file OUT; `-` is standard output
    #[arg(long, value_name = "OUT", conflicts_with = "json")]
    svg: Option<PathBuf>,
    /// Risks of what it stands on that are accepted, by name: loop-over-fuse, file-backed, local-nbd, large-requests,
    /// blocks-stay, server-death, data-path, posture-held, global-reclaim-excluded
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = risk)]
    accept_risk: Vec<Override>,
    /// Files or block devices; without any, sample files are made in a temporary folder and explained
    #[arg(value_name = "PATH", value_parser = clap::value_parser!(OsString))]
    paths: Vec<OsString>,
}

const STATUS: &str = "Exit status: 0 every path is admitted for bio; 1 some are not; \
2 usage, some path could not be examined, or no picture could be kept.";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let depth = if arguments.all { Depth::All } else { Depth::First };
    let accepted = arguments.accept_risk.iter().copied().collect();
    let colour = io::stdout().is_terminal() && no_colour_unset();
    let form = Form { json: arguments.json, colour, depth, accepted };
    let outcome = match (&arguments.svg, arguments.paths.as_slice()) {
        (Some(out), [path]) => picture(Path::new(path), out, form),
        (Some(_), _) => Arguments::command().error(ErrorKind::WrongNumberOfValues, "--svg draws one PATH").exit(),
        (None, []) => samples::show(form),
        (None, paths) => check(paths, form),
    };
    match outcome {
        Ok(status) => status,
        // The reader of our output went away: nobody is left to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(2),
        Err(error) => {
            // If that cannot be said either, the status says it.
            let _ = writeln!(io::stderr(), "check: cannot go on: {error}");
            ExitCode::from(2)
        }
    }
}

/// One name of a risk.
fn risk(name: &str) -> Result<Override, String> {
    let names = || Override::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Override::named(name).ok_or_else(|| format!("no risk has that name; there are {}", names()))
}

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
struct Form {
    json: bool,
    colour: bool,
    depth: Depth,
    accepted: Override,
}

impl Form {
    fn examine(self, path: &Path, depth: Depth) -> Result<Examination, ExamineError> {
        examine_accepting(path, depth, self.accepted)
    }

    fn print(self, path: &Path, answer: &Result<Examination, ExamineError>) -> io::Result<()> {
        // One lock and one flush a path: what is said of a path stands together, and nothing waits in a buffer.
        let mut out = io::stdout().lock();
        if self.json {
            json::write(&mut out, path, answer)?;
        } else if let Ok(found) = answer {
            human::write(&mut out, path, found, self.colour)?;
        }
        out.flush()?;
        if let Err(error) = answer {
            // Whoever closed this wants the answers only.
            let _ = writeln!(io::stderr(), "check: {}: {error}{}", quote::path(path), human::advice(error));
        }
        Ok(())
    }
}

fn check(paths: &[OsString], form: Form) -> io::Result<ExitCode> {
    let (mut admitted, mut refused, mut unknown) = (0usize, 0usize, 0usize);
    for path in paths.iter().map(Path::new) {
        let answer = form.examine(path, form.depth);
        match &answer {
            Ok(found) if found.bio.verdict() == Verdict::Admit => admitted += 1,
            Ok(_) => refused += 1,
            Err(_) => unknown += 1,
        }
        form.print(path, &answer)?;
    }
    if !form.json && paths.len() > 1 {
        let total = paths.len();
        let mut out = io::stdout().lock();
        writeln!(out, "{total} paths: {admitted} admitted for bio, {refused} not, {unknown} could not be examined")?;
    }
    Ok(ExitCode::from(if unknown > 0 { 2 } else { u8::from(refused > 0) }))
}

/// Draws one file. Said in words as well, unless the picture goes where the words would.
fn picture(path: &Path, out: &Path, form: Form) -> io::Result<ExitCode> {
    let answer = form.examine(path, Depth::All);
    let is_stdout = out == Path::new("-");
    if !is_stdout || answer.is_err() {
        let worded = if form.depth == Depth::All { None } else { Some(form.examine(path, form.depth)) };
        form.print(path, worded.as_ref().unwrap_or(&answer))?;
    }
    let Ok(found) = answer else { return Ok(ExitCode::from(2)) };
    if !path.is_file() {
        let _ = writeln!(io::stderr(), "check: {}: no picture: only regular files have extents", quote::path(path));
        return Ok(ExitCode::from(2));
    }
    // A range that cannot be told is among the reasons.
    let walk = |take: &mut dyn FnMut(_)| extents(path, |claim| claim.into_iter().for_each(&mut *take));
    let drawn = match svg::draw(path, &found, walk) {
        Ok(drawn) => drawn,
        Err(error) => {
            let _ = writeln!(io::stderr(), "check: {}: no picture: {error}", quote::path(path));
            return Ok(ExitCode::from(2));
        }
    };
    if is_stdout {
        let mut out = io::stdout().lock();
        out.write_all(drawn.as_bytes())?;
        out.flush()?;
    } else if let Err(error) = keep(&drawn, out) {
        let _ = writeln!(io::stderr(), "check: {}: no picture is kept there: {error}", quote::path(out));
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::from(u8::from(found.bio.verdict() != Verdict::Admit)))
}

/// Writes a new file, in whole or not at all; what is there already stays as it is.
fn keep(drawn: &str, out: &Path) -> io::Result<()> {
    let mut file = File::create_new(out)?;
    file.write_all(drawn.as_bytes()).inspect_err(|_| {
        // It is ours, and half of it is of no use.
        let _ = std::fs::remove_file(out);
    })
}

/// <https://no-color.org>
fn no_colour_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
