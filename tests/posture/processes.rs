//! Reports of other processes: children that are what the test made them, and those that are none to report of.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use swap_dio::Bytes;
use swap_dio::linux::reclaim::{Report, ReportError, Step};
use swap_dio::posture::{Holding, PostureDoubt};
use swap_dio::reason::PostureFault;

use super::asleep::{Asleep, found};
use super::machine;

#[test]
fn what_is_not_a_process_is_no_report() {
    assert_eq!(Report::of(u32::MAX).expect_err("no such number"), ReportError::NoProcess { pid: u32::MAX });
    assert!(Report::of(0).is_err());
    let mut gone = Command::new("true").spawn().expect("a child");
    let pid = gone.id();
    // Its parent has not taken notice yet.
    for _ in 0..500 {
        if Report::of(pid).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(Report::of(pid).expect_err("a zombie"), ReportError::Ended { pid });
    gone.wait().expect("it ended");
    assert_eq!(Report::of(pid).expect_err("gone"), ReportError::NoProcess { pid });
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n") {
        assert_eq!(Report::of(2).expect_err("kthreadd"), ReportError::KernelThread { pid: 2 });
    }
}

#[test]
fn a_thread_is_not_its_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()).expect("heard");
        let _ = stopped.recv();
    });
    let pid = told.recv().expect("a number");
    let process = std::process::id();
    assert_eq!(Report::of(pid).expect_err("a thread"), ReportError::Thread { pid, process });
    drop(stop);
    thread.join().expect("no panic");
}

#[test]
fn a_name_of_parentheses_and_newlines_deceives_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [") R 1 1 1 (\n", "VmLck:\t9 kB\nx", "a) (b"] {
        let program = folder.path().join(name);
        let sleep = machine::sh("command -v sleep").expect("sleep");
        std::fs::copy(sleep, &program).expect("a program");
        let mut command = Command::new(&program);
        let child = Asleep(command.arg("60").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a child"));
        let report = child.report();
        let comm: String = name.chars().take(15).collect();
        assert_eq!(report.name(), comm.escape_debug().to_string());
        assert!(!report.name().contains('\n'));
        let memory = found(&report, Step::LockedMemory);
        assert!(matches!(memory.holding, Holding::Missing(PostureFault::Unlocked { .. })), "{memory:?}");
        // Of a kernel whose flags were not read it cannot be told.
        let flusher = found(&report, Step::IoFlusher).holding;
        let one = Holding::Missing(PostureFault::NotIoFlusher { missing: 1, threads: 1 });
        assert!(flusher == one || matches!(flusher, Holding::CannotTell(PostureDoubt::Release { .. })), "{flusher:?}");
    }
}

#[test]
fn score_and_core_limit_are_read_back() {
    let child = Asleep::after("echo 700 > /proc/self/oom_score_adj; ulimit -c 0");
    let report = child.report();
    let score = found(&report, Step::OomScore);
    assert_eq!(score.holding, Holding::Missing(PostureFault::OomScore { found: 700 }));
    assert!(score.grant().is_some_and(|grant| grant.contains("OOMScoreAdjust=-1000")));
    let dump = found(&report, Step::CoreDump);
    assert!(dump.notes.contains(&"RLIMIT_CORE is 0 bytes".to_owned()), "{dump:?}");
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
    let expected =
        if pattern.starts_with(['|', '@']) { Holding::CannotTell(PostureDoubt::Inside) } else { Holding::Held };
    assert_eq!(dump.holding, expected, "{pattern}");
    assert_eq!(found(&report, Step::EarlyThreads).holding, Holding::Held, "it has one thread");
    assert_eq!(found(&report, Step::LockedLater).holding, Holding::CannotTell(PostureDoubt::Inside));
}

#[test]
fn sinks_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("a log\n");
    let quoted = format!("'{}'", log.display());
    let rows: [(&str, String, Holding); 6] = [
        ("nothing", String::new(), Holding::Held),
        ("a log", format!("exec 2>>{quoted}"), Holding::Missing(PostureFault::BufferedFiles { files: 1 })),
        ("another descriptor", format!("exec 7<>{quoted}"), Holding::Missing(PostureFault::BufferedFiles { files: 1 })),
        ("read only", format!("exec 7<{quoted}"), Holding::Held),
        ("a pipe", "exec 1> >(exec sleep 60)".to_owned(), Holding::CannotTell(PostureDoubt::Readers { sinks: 1 })),
        ("a table of the kernel", "exec 7<>/proc/self/oom_score_adj".to_owned(), Holding::Held),
    ];
    std::fs::write(&log, "").expect("a file");
    for (name, script, expected) in rows {
        let child = Asleep::after(&format!(
            "for n in $(ls /proc/$BASHPID/fd); do [ $n -lt 3 ] || eval \"exec $n>&-\"; done\n{script}"
        ));
        let sinks = found(&child.report(), Step::LogSinks);
        assert_eq!(sinks.holding, expected, "{name}: {sinks:?}");
        assert!(sinks.notes.iter().all(|note| !note.contains('\n')), "{name}: {sinks:?}");
    }
}

#[test]
fn who_may_not_look_cannot_tell() {
    if !machine::ready(&["setpriv"]) {
        return;
    }
    let program = super::built::example("posture", &[]);
    let child = Asleep::after("");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    // The folder of the build need not be open to nobody: the program is handed over.
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let copy = folder.path().join("posture");
    std::fs::copy(&program, &copy).expect("a copy");
    machine::sh(&format!("chmod 755 {} {}", folder.path().display(), copy.display())).expect("open to all");
    let mut command = Command::new("timeout");
    command.args(["20", "setpriv"]).args(nobody).arg(&copy).args(["--json", &child.pid().to_string()]);
    let output = command.current_dir("/").output().expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    let state = |step: &str| {
        let steps = report["steps"].as_array().expect("steps");
        let found = steps.iter().find(|found| found["step"] == step).expect("every step");
        found["state"].as_str().expect("a word").to_owned()
    };
    assert_eq!(output.status.code(), Some(1), "{report}");
    // VmLck is for all to read, and 0.
    assert_eq!((state("locked-memory"), state("log-sinks")), ("missing".to_owned(), "cannot-tell".to_owned()));
    assert_eq!(state("oom-score"), "missing");
    assert_ne!(state("io-flusher"), "held");
}

#[test]
fn the_limits_of_cgroups_above_count() {
    if !machine::ready(&["mkdir"]) {
        return;
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let one = mounts.lines().find(|line| line.contains(" cgroup ") && line.contains("memory"));
    let Some(root) = one.and_then(|line| line.split(' ').nth(1)) else {
        println!("skipped: no memory cgroup of version 1");
        return;
    };
    let above = Path::new(root).join(format!("swap-dio-posture-{}", std::process::id()));
    let _above = Folder::new(&above);
    let below = above.join("below");
    let _below = Folder::new(&below);
    let limit = above.join("memory.limit_in_bytes");
    let child = Asleep::after(&format!("echo $BASHPID > {}/cgroup.procs", below.display()));
    let judged = |child: &Asleep| found(&child.report(), Step::Cgroup);
    let before = judged(&child);
    std::fs::write(&limit, "67108864").expect("a limit");
    let found = judged(&child);
    let expected = Holding::Missing(PostureFault::Limited { limit: Bytes::new(64 << 20) });
    assert_eq!(found.holding, expected, "{found:?}");
    assert_ne!(before.holding, found.holding, "{before:?}");
    assert!(found.notes.iter().any(|note| note.contains("memory.limit_in_bytes is 64 MiB")), "{found:?}");
}

/// A cgroup, removed when it is empty again.
struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    fn new(path: &'a Path) -> Self {
        std::fs::create_dir(path).expect("a cgroup");
        Self(path)
    }
}

impl Drop for Folder<'_> {
    fn drop(&mut self) {
        // Its last process has ended, and is taken out of it soon.
        let gone = (0..500).any(|_| {
            let gone = std::fs::remove_dir(self.0).is_ok();
            std::thread::sleep(Duration::from_millis(if gone { 0 } else { 10 }));
            gone
        });
        assert!(gone || std::thread::panicking(), "{} is left", self.0.display());
    }
}
