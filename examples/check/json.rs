//! The contract for scripts: one object per path and line, fields in a fixed order, written as it goes.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use swap_dio::Reason;
use swap_dio::linux::{Backing, Examination, ExamineError, Judgement};
use swap_dio::topology::Override;

use crate::quote;

/// Writes the line for one path; of a path that could not be examined it holds `path` and `error` only.
///
/// A path that is not UTF-8 is given with replacement characters: the order of the lines is that of the arguments.
pub(crate) fn write(out: &mut impl Write, path: &Path, answer: &Result<Examination, ExamineError>) -> io::Result<()> {
    let name = Value::from(path.to_string_lossy());
    let found = match answer {
        Ok(found) => found,
        Err(error) => return writeln!(out, "{}", json!({ "path": name, "error": error.to_string() })),
    };
    let kernel = json!({
        "accepts": found.kernel.accepts,
        "errno": found.kernel.errno.map(|errno| errno.name()),
        "pages": found.kernel.pages.map(|pages| pages.get()),
        "extents": found.kernel.extents,
    });
    let filesystem = Value::from(found.filesystem.as_str());
    write!(out, r#"{{"path":{name},"filesystem":{filesystem},"page_size":{},"#, found.page_size.bytes().get())?;
    write!(out, r#""size":{},"kernel":{kernel}"#, found.size.get())?;
    for (model, judged) in [("bio", &found.bio), ("file", &found.file)] {
        write!(out, r#","{model}":"#)?;
        judgement(out, path, judged)?;
    }
    write!(out, r#","warnings":"#)?;
    reasons(out, path, &found.warnings)?;
    // Only where a verdict depends on one.
    let accepted: Vec<Value> = found.accepted().map(|(by, reason)| accepted(by, &reason)).collect();
    if !accepted.is_empty() {
        write!(out, r#","accepted":{}"#, Value::from(accepted))?;
    }
    // Only a loop device has it: the ranges are of the file below.
    if let Some(Backing { path, filesystem, file }) = &found.backing {
        let name = Value::from(path.to_string_lossy());
        write!(out, r#","backing":{{"path":{name},"filesystem":{},"file":"#, Value::from(filesystem.as_str()))?;
        match file {
            Some(file) => judgement(out, path, file)?,
            None => write!(out, "null")?,
        }
        write!(out, "}}")?;
    }
    writeln!(out, "}}")
}

/// A risk that somebody accepted by name.
fn accepted(by: Override, reason: &Reason) -> Value {
    json!({ "risk": by.to_string(), "code": reason.code(), "message": reason.to_string() })
}

fn judgement(out: &mut impl Write, path: &Path, judgement: &Judgement) -> io::Result<()> {
    write!(out, r#"{{"verdict":"{}","reasons":"#, judgement.verdict().word())?;
    reasons(out, path, judgement.reasons())?;
    write!(out, "}}")
}

/// A list may be long: it is written reason by reason.
fn reasons(out: &mut impl Write, path: &Path, list: &[Reason]) -> io::Result<()> {
    write!(out, "[")?;
    for (index, why) in list.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}{}", reason(path, why))?;
    }
    write!(out, "]")
}

fn reason(path: &Path, reason: &Reason) -> Value {
    let range = reason.range();
    json!({
        "code": reason.code(),
        "offset": range.map(|range| range.offset.get()),
        "length": range.map(|range| range.length.get()),
        "message": reason.to_string(),
        "remedy": reason.remedy().map(|remedy| remedy.replace("FILE", &quote::target(path))),
    })
}
