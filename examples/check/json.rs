//! The contract for scripts: one object per path and line, fields in a fixed order.

use std::path::Path;

use serde_json::{Value, json};
use swap_dio::Reason;
use swap_dio::linux::{Examination, ExamineError, Judgement};

use crate::quote;

/// The object for one path; of a path that could not be examined it holds `path` and `error` only.
///
/// A path that is not UTF-8 is given with replacement characters: the order of the lines is that of the arguments.
pub(crate) fn object(path: &Path, answer: &Result<Examination, ExamineError>) -> Value {
    let name = path.to_string_lossy();
    let found = match answer {
        Ok(found) => found,
        Err(error) => return json!({ "path": name, "error": error.to_string() }),
    };
    let reasons = |list: &[Reason]| list.iter().map(|why| reason(path, why)).collect::<Value>();
    let judgement =
        |model: &Judgement| json!({ "verdict": model.verdict().word(), "reasons": reasons(model.reasons()) });
    json!({
        "path": name,
        "filesystem": found.filesystem,
        "page_size": found.page_size.bytes().get(),
        "size": found.size.get(),
        "kernel": {
            "accepts": found.kernel.accepts,
            "errno": found.kernel.errno.map(|errno| errno.name()),
            "pages": found.kernel.pages.map(|pages| pages.get()),
            "extents": found.kernel.extents,
        },
        "bio": judgement(&found.bio),
        "file": judgement(&found.file),
        "warnings": reasons(&found.warnings),
    })
}

fn reason(path: &Path, reason: &Reason) -> Value {
    let range = reason.range();
    json!({
        "code": reason.code(),
        "offset": range.map(|range| range.offset.get()),
        "length": range.map(|range| range.length.get()),
        "message": reason.to_string(),
        "remedy": reason.remedy().map(|remedy| remedy.replace("FILE", &quote::path(path))),
    })
}
