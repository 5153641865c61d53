//! The program `check` as scripts and people call it: bad input, exit status, JSON, and that it leaves no trace.
#![cfg(all(feature = "linux", target_os = "linux"))]

mod built;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built::example("check", &[]))
}

fn run(arguments: &[OsString]) -> Output {
    Command::new("timeout").arg("60").arg(program()).args(arguments).env("NO_COLOR", "1").output().expect("check runs")
}

fn words(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn every_bad_path_gets_one_line_and_the_others_are_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("empty"), "").expect("an empty file");
    std::fs::write(at("text"), "not swap\n").expect("a text file");
    std::fs::create_dir(at("folder")).expect("a folder");
    let made = Command::new("mkfifo").arg(at("fifo")).status();
    assert!(made.is_ok_and(|status| status.success()));
    std::os::unix::fs::symlink("loop", at("loop")).expect("a symlink to itself");
    let foreign = folder.path().join(OsString::from_vec(b"n\xff\nm".to_vec()));
    std::fs::write(&foreign, "").expect("a name that is not UTF-8");

    // Path, code of the only reason or None where it cannot be examined.
    let cases: [(PathBuf, Option<&str>); 8] = [
        (at("missing"), None),
        (at("text/below"), None),
        (at("loop"), None),
        (at("folder"), Some("directory")),
        (at("fifo"), Some("not-a-file")),
        (at("empty"), Some("header-missing")),
        (at("text"), Some("header-missing")),
        (foreign, Some("header-missing")),
    ];
    let paths: Vec<OsString> = cases.iter().map(|(path, _)| path.clone().into_os_string()).collect();
    let output = run(&[words(&["--json"]), paths.clone()].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let objects = lines(&output.stdout);
    assert_eq!(objects.len(), cases.len(), "{objects:#?}");
    for (line, (path, code)) in objects.iter().zip(&cases) {
        let object: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(object["path"], *path.to_string_lossy(), "{line}");
        match code {
            None => assert!(object["error"].is_string(), "{line}"),
            // Temporary folders may be on tmpfs, where the kernel stops before the header.
            Some(code) => {
                let found = &object["bio"]["reasons"][0]["code"];
                assert!(found == code || found == "no-page-read", "{line}");
                assert_eq!(object["bio"]["verdict"], "refuse", "{line}");
            }
        }
    }
    let complaints = lines(&output.stderr);
    assert_eq!(complaints.len(), 3, "one line each: {complaints:#?}");
    assert!(complaints.iter().all(|line| line.starts_with("check: ")), "{complaints:#?}");

    let output = run(&paths);
    let text = String::from_utf8(output.stdout).expect("text in UTF-8, whatever the names are");
    assert!(text.contains(r"$'") && text.contains(r"n\xff\x0am'"), "{text}");
    assert!(text.ends_with("8 paths: 0 admitted for bio, 5 not, 3 could not be examined\n"), "{text}");
}

#[test]
fn ten_thousand_paths_are_answered_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = (0..10_000).map(|index| folder.path().join(format!("{index}"))).collect();
    for path in paths.iter().step_by(100) {
        std::fs::write(path, "").expect("a file");
    }
    let arguments: Vec<OsString> = paths.iter().map(|path| path.clone().into_os_string()).collect();
    let output = run(&[words(&["--json"]), arguments].concat());
    assert_eq!(output.status.code(), Some(2));
    let objects = lines(&output.stdout);
    assert_eq!((objects.len(), lines(&output.stderr).len()), (10_000, 9_900));
    for (line, path) in objects.iter().zip(&paths) {
        let object: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(object["path"], *path.to_string_lossy());
    }
}

#[test]
fn usage_and_status() {
    for (arguments, status) in [
        (&["--nonsense"][..], 2),
        (&["--help"], 0),
        (&["/"], 1),
        (&["/nonexistent/path"], 2),
        (&["--accept-risk", "nonsense", "/"], 2),
        (&["--accept-risk", "file-backed,blocks-stay", "/"], 1),
    ] {
        let output = run(&words(arguments));
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    }
    let help = String::from_utf8_lossy(&run(&words(&["--help"])).stdout).into_owned();
    assert!(help.contains("Exit status: 0") && help.contains("--all"), "{help}");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for what in ["--json / / / / / /", "/ / / / / /", "/nx1 /nx2 /nx3", "", "--help"] {
        for end in ["| head -n 1", "| true", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&- 2>&-"] {
            let script = format!("{} {what} {end}; exit ${{PIPESTATUS[0]}}", program().display());
            let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("panicked"), "check {what} {end}: {said}");
            assert!(matches!(output.status.code(), Some(0..=2 | 141)), "check {what} {end}: {:?}", output.status);
        }
    }
}

#[test]
fn the_samples_explain_themselves_and_vanish() {
    let folder = tempfile::tempdir().expect("a folder");
    let output =
        Command::new(program()).env("TMPDIR", folder.path()).env("NO_COLOR", "1").output().expect("check runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for wanted in ["(dd)", "(fallocate)", "(truncate)", "(cp --reflink)", "admit", "unwritten", "hole"] {
        let elsewhere = text.contains("no-page-read");
        assert!(text.contains(wanted) || elsewhere, "{wanted} is missing:\n{text}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");

    let json = Command::new(program()).arg("--json").env("TMPDIR", folder.path()).output().expect("check runs");
    for line in lines(&json.stdout) {
        let object: Value = serde_json::from_str(&line).expect("JSON only");
        let keys: Vec<&String> = object.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["path", "filesystem", "page_size", "size", "kernel", "bio", "file", "warnings"]);
    }
}

#[test]
fn a_signal_leaves_no_samples_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    for delay in ["0.005", "0.01", "0.02", "0.04"] {
        let mut command = Command::new("timeout");
        // In the foreground: else the group is signalled too, which is asking twice.
        command.args(["--foreground", "-s", "INT", delay]).arg(program()).env("TMPDIR", folder.path());
        assert!(command.output().is_ok());
        let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
        assert!(left.is_empty(), "after {delay} s: {left:?}");
    }
}

#[test]
fn nothing_is_written_and_no_time_is_stamped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    std::fs::write(&path, vec![7u8; 200_000]).expect("a file");
    let sync = Command::new("sync").arg(&path).status();
    assert!(sync.is_ok());
    let stamps = |path: &Path| {
        let meta = std::fs::metadata(path).expect("metadata");
        let times = (meta.atime(), meta.atime_nsec(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        (times, meta.size(), meta.blocks())
    };
    let before = stamps(&path);
    assert_eq!(run(&[words(&["--all"]), vec![path.clone().into_os_string()]].concat()).status.code(), Some(1));
    assert_eq!(stamps(&path), before);
    assert_eq!(std::fs::read(&path).expect("the file"), vec![7u8; 200_000]);
}

/// As another user, where root can become one: a file that may not be read, a device that may not be opened.
#[test]
fn without_permission_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("check");
    std::fs::copy(program(), &copy).expect("a copy that everybody may run");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "").expect("a file");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).expect("a mode");
    let as_nobody = |arguments: &[&Path]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&copy).args(arguments);
        command.current_dir("/").env("TMPDIR", "/tmp").env_remove("HOME").output()
    };
    let Ok(output) = as_nobody(&[&secret, Path::new("/")]) else { return println!("skipped: no setpriv here") };
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if complaint.contains("setpriv") {
        return println!("skipped: cannot become another user: {complaint}");
    }
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("permission denied; try as root or as its owner"), "{complaint}");
    assert_eq!(lines(&output.stderr).len(), 1, "{complaint}");

    let samples = as_nobody(&[]).expect("check runs");
    let text = String::from_utf8_lossy(&samples.stdout);
    assert!(samples.status.success() && text.contains("swapon  accepts it"), "no root is needed:\n{text}");
}
