//! What is said at the end: what was made and what to type next, or why not and what would help.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use swap_dio::Model;
use swap_dio::header::Header;
use swap_dio::linux::{Examination, PrepareError};
use uuid::Uuid;

use crate::arguments::Task;
use crate::quote;

/// Says what was made, and what to type next.
///
/// `has_moved` is whether there was anything to do.
pub(crate) fn made(
    out: &mut impl Write,
    path: &Path,
    task: &Task,
    found: &Examination,
    has_moved: bool,
) -> io::Result<()> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (act, model) = match task {
        Task::Make(plan) => ("made", plan.model()),
        Task::Convert(model) => (if has_moved { "converted" } else { "nothing to convert in" }, *model),
    };
    write!(out, "{act} {}: {} on {}", quote::path(path), found.size, found.filesystem.escape_debug())?;
    if let Some(uuid) = uuid_of(&real, found) {
        write!(out, ", UUID {uuid}")?;
    }
    writeln!(out)?;
    if let (Model::Bio, Some(pages)) = (model, found.kernel.pages) {
        writeln!(out, "  swapon(2) will find {pages} to swap to")?;
    }
    for warning in &found.warnings {
        writeln!(out, "  note: {warning}")?;
        if let Some(remedy) = warning.remedy() {
            writeln!(out, "    -> {}", remedy.replace("FILE", &quote::path(&real)))?;
        }
    }
    match model {
        Model::Bio => {
            writeln!(out, "next:\n  swapon {}", quote::path(&real))?;
            writeln!(out, "for every start, in /etc/fstab:\n  {} none swap defaults 0 0", fstab(&real))
        }
        Model::File => {
            writeln!(out, "every page is written: a server may swap through the filesystem to {}", quote::path(&real))
        }
    }
}

/// Says why not, and what would help.
pub(crate) fn failed(path: &Path, task: &Task, error: &PrepareError) -> String {
    let mut line = format!("make: {}: {error}", quote::path(path));
    if let Some(why) = error.reason() {
        line.push_str(&format!("  [{}]", why.code()));
        if matches!((task, error), (Task::Make(_), PrepareError::Refused { .. })) {
            line.push_str("; nothing was written");
        }
        if let Some(remedy) = why.remedy() {
            line.push_str(&format!("\n  -> {}", remedy.replace("FILE", &subject(path, task))));
        }
    }
    line
}

/// What a remedy is about: the file, or the folder of one that was not made.
fn subject(path: &Path, task: &Task) -> String {
    match task {
        Task::Make(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            quote::path(parent.unwrap_or(Path::new(".")))
        }
        Task::Convert(_) => quote::target(path),
    }
}

fn uuid_of(path: &Path, found: &Examination) -> Option<Uuid> {
    let mut page = vec![0; usize::try_from(found.page_size.bytes().get()).ok()?];
    std::fs::File::open(path).ok()?.read_exact_at(&mut page, 0).ok()?;
    Some(Uuid::from_bytes(Header::read(&page, found.page_size).ok()?.uuid()))
}

/// The path as /etc/fstab takes it: blanks, what ends a line, and what is no text as octal escapes.
fn fstab(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let octal = |byte: &u8| format!("\\{byte:03o}");
    let is_plain = |letter: char| !letter.is_control() && !matches!(letter, ' ' | '\\');
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|letter| {
                if is_plain(letter) {
                    letter.to_string()
                } else {
                    letter.to_string().bytes().map(|byte| octal(&byte)).collect()
                }
            })
            .collect(),
        Err(_) => {
            bytes
                .iter()
                .map(|byte| {
                    if byte.is_ascii_graphic() && *byte != b'\\' { char::from(*byte).to_string() } else { octal(byte) }
                })
                .collect()
        }
    }
}
