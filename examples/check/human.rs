//! The same for people: what swapon would say, each model's verdict, why, and what to type next.

use std::io::{self, Write};
use std::path::Path;

use rustix::io::Errno;
use swap_dio::linux::{Backing, Examination, ExamineError, Judgement, Prediction};
use swap_dio::topology::{Finding, Rule, State};
use swap_dio::{Bytes, Verdict};

use crate::quote;

/// Prints what was found about one path.
pub(crate) fn write(out: &mut impl Write, path: &Path, found: &Examination, colour: bool) -> io::Result<()> {
    let size = rough(found.size);
    writeln!(out, "{}  ({}, {size})", paint(&quote::path(path), BOLD, colour), found.filesystem.escape_debug())?;
    writeln!(out, "  swapon  {}", foretell(&found.kernel, found))?;
    for (name, judgement) in [("bio", &found.bio), ("file", &found.file)] {
        let verdict = judgement.verdict();
        write!(out, "  {name:<6}  {}", paint(verdict.word(), shade(verdict), colour))?;
        if name == "file" && !judgement.reasons().is_empty() && judgement == &found.bio {
            writeln!(out, ", for the same reason")?;
            continue;
        }
        writeln!(out)?;
        reasons(out, path, judgement)?;
    }
    if let Some(Backing { path, filesystem, file }) = &found.backing {
        write!(out, "  under   {} ({})", quote::path(path), filesystem.escape_debug())?;
        match file.as_ref().map(|file| (file, file.reasons())) {
            None => writeln!(out, ", which cannot be looked at from here")?,
            Some((_, [])) => writeln!(out, ", where every write is an overwrite in place")?,
            Some((file, _)) => {
                writeln!(out, ", where a write is none in place:")?;
                reasons(out, path, file)?;
            }
        }
    }
    for (by, reason) in found.accepted() {
        writeln!(out, "  {} {by}: {reason}  [{}]", paint("accepts", YELLOW, colour), reason.code())?;
    }
    stands_on(out, found)?;
    for reason in &found.warnings {
        writeln!(out, "  {}    {reason}", paint("note", YELLOW, colour))?;
        reason.remedy().map_or(Ok(()), |remedy| advise(out, path, remedy))?;
    }
    writeln!(out)
}

/// The layers, where something is to be said of them.
fn stands_on(out: &mut impl Write, found: &Examination) -> io::Result<()> {
    let is_plain = found.conditions.iter().all(|finding| finding.state == State::Met);
    let Some(topology) = found.topology.as_ref().filter(|_| !is_plain) else { return Ok(()) };
    for (index, line) in topology.to_string().lines().enumerate() {
        writeln!(out, "  {:<7} {line}", if index == 0 { "stands" } else { "on" })?;
    }
    // What is not met stands among the reasons; that layers are known goes without saying.
    let is_met = |finding: &&Finding| finding.state == State::Met && finding.rule != Rule::Known;
    let met: Vec<&str> = found.conditions.iter().filter(is_met).map(|finding| finding.rule.row().condition).collect();
    if met.is_empty() { Ok(()) } else { writeln!(out, "  met     {}", met.join("; ")) }
}

/// One reason a line, then what to do about them.
fn reasons(out: &mut impl Write, path: &Path, judgement: &Judgement) -> io::Result<()> {
    // What helps against many ranges is said once, after the last of them.
    let mut remedies: Vec<&str> = Vec::new();
    for reason in judgement.reasons() {
        writeln!(out, "          {reason}  [{}]", reason.code())?;
        remedies.extend(reason.remedy().filter(|remedy| !remedies.contains(remedy)));
    }
    remedies.into_iter().try_for_each(|remedy| advise(out, path, remedy))
}

/// What to do about a path that could not be examined.
pub(crate) fn advice(error: &ExamineError) -> &'static str {
    match error {
        ExamineError::LookUp(Errno::NOENT | Errno::NOTDIR) => "; check the spelling",
        ExamineError::LookUp(Errno::ACCESS) | ExamineError::Open(Errno::ACCESS) => "; try as root or as its owner",
        _ => "",
    }
}

/// What swapon would say.
pub(crate) fn foretell(kernel: &Prediction, found: &Examination) -> String {
    match (kernel.accepts, kernel.errno) {
        (Some(true), _) => {
            let pages = kernel.pages.map(|pages| {
                let bytes = pages.to_bytes(found.page_size).unwrap_or(Bytes::ZERO);
                format!(", {pages} ({}) to swap to", rough(bytes))
            });
            let extents =
                kernel.extents.map(|count| format!(", in {count} extent{}", if count == 1 { "" } else { "s" }));
            format!("accepts it{}{}", pages.unwrap_or_default(), extents.unwrap_or_default())
        }
        (Some(false), Some(errno)) => format!("answers {errno}"),
        (Some(false), None) | (None, _) => "cannot be foretold from outside here".to_owned(),
    }
}

fn advise(out: &mut impl Write, path: &Path, remedy: &str) -> io::Result<()> {
    writeln!(out, "          -> {}", remedy.replace("FILE", &quote::target(path)))
}

/// A size to read, not to compute with: three digits and a unit. Exact sizes are in the JSON.
pub(crate) fn rough(bytes: Bytes) -> String {
    let exact = bytes.to_string();
    if exact.len() <= 8 {
        return exact;
    }
    let mut size = bytes.get() as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            return format!("{size:.1} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} EiB")
}

const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

const fn shade(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Admit => GREEN,
        Verdict::Retry => YELLOW,
        Verdict::Refuse => RED,
    }
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
