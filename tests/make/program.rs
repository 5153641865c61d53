//! The program under test, and what is looked at after it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::built;

pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built::example("make", &[]))
}

/// A copy in a folder that everybody may enter.
pub(crate) fn copy_for_everybody() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(program(), folder.path().join("make")).expect("a copy");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}

pub(crate) fn run(arguments: &[OsString]) -> Output {
    run_in(Path::new("/"), arguments)
}

pub(crate) fn run_in(folder: &Path, arguments: &[OsString]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "120"]).arg(program()).args(arguments).current_dir(folder).output().expect("make runs")
}

pub(crate) fn make(path: &Path, options: &[&str]) -> Output {
    let mut arguments = words(options);
    arguments.insert(0, path.as_os_str().to_owned());
    run(&arguments)
}

pub(crate) fn words(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

pub(crate) fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every name in a folder, hidden ones too, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).expect("the folder").filter_map(Result::ok);
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// UUID as digits, label, and index of the last page, as they stand in the first page: not by our own reader.
pub(crate) fn header(path: &Path) -> (String, Vec<u8>, u64) {
    let bytes = std::fs::read(path).expect("the file");
    let last = bytes[1028..1032].try_into().map(u32::from_ne_bytes).expect("four bytes");
    let uuid = bytes[1036..1052].iter().map(|byte| format!("{byte:02x}")).collect();
    (uuid, bytes[1052..1068].to_vec(), last.into())
}

/// Free bytes of the filesystem, what is kept for root included.
pub(crate) fn free(folder: &Path) -> u64 {
    let script = format!("stat -f -c '%f %S' {}", folder.display());
    let text = crate::machine::sh(&script).expect("stat");
    let (blocks, size) = text.split_once(' ').expect("two numbers");
    blocks.parse::<u64>().expect("a number") * size.parse::<u64>().expect("a number")
}
