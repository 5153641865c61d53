//! The same for people: what swapon would say, each model's verdict, why, and what to type next.

use std::io::{self, Write};
use std::path::Path;

use swap_dio::linux::{Examination, ExamineError, Judgement, Prediction};
use swap_dio::{Bytes, Reason, Verdict};

use crate::quote;

/// Prints what was found about one path.
pub(crate) fn write(out: &mut impl Write, path: &Path, found: &Examination, colour: bool) -> io::Result<()> {
    let size = rough(found.size);
    writeln!(out, "{}  ({}, {size})", paint(&quote::path(path), BOLD, colour), found.filesystem)?;
    writeln!(out, "  swapon  {}", foretell(&found.kernel, found))?;
    for (name, judgement) in [("bio", &found.bio), ("file", &found.file)] {
        let verdict = judgement.verdict();
        let word = paint(&format!("{:<7}", verdict.word()), shade(verdict), colour);
        writeln!(out, "  {name:<6}  {word} {}", headline(judgement))?;
        if judgement.reasons() == found.bio.reasons() && name == "file" && !judgement.reasons().is_empty() {
            continue; // the same list stands above
        }
        for reason in judgement.reasons() {
            explain(out, path, reason)?;
        }
    }
    for reason in &found.warnings {
        writeln!(out, "  {}    {reason}", paint("note", YELLOW, colour))?;
        remedy(out, path, reason)?;
    }
    writeln!(out)
}

/// What to do about a path that could not be examined.
pub(crate) fn advice(error: &ExamineError) -> &'static str {
    match error {
        ExamineError::LookUp(_) => "; check the spelling, or list it: ls -ld",
        ExamineError::Open(_) => "; run as root, or as its owner",
        _ => "",
    }
}

fn foretell(kernel: &Prediction, found: &Examination) -> String {
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
        (Some(false), None) | (None, _) => "cannot be foretold from outside for this one".to_owned(),
    }
}

/// What a verdict means, in half a line.
fn headline(judgement: &Judgement) -> &'static str {
    match judgement.verdict() {
        Verdict::Admit => "",
        Verdict::Retry => "for now:",
        Verdict::Refuse => "because:",
    }
}

fn explain(out: &mut impl Write, path: &Path, reason: &Reason) -> io::Result<()> {
    writeln!(out, "          {reason}  [{}]", reason.code())?;
    remedy(out, path, reason)
}

fn remedy(out: &mut impl Write, path: &Path, reason: &Reason) -> io::Result<()> {
    match reason.remedy() {
        Some(text) => writeln!(out, "          -> {}", text.replace("FILE", &quote::path(path))),
        None => Ok(()),
    }
}

/// A size to read, not to compute with: three digits and a unit. Exact sizes are in the JSON.
fn rough(bytes: Bytes) -> String {
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
