//! The example `posture`, which takes the posture itself: as root, under a limit, and its output for scripts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use swap_dio::linux::reclaim::{Report, Step};
use swap_dio::posture::Holding;
use swap_dio::reason::PostureFault;

use super::{built, machine};

fn run(script: &str) -> Output {
    let program = built::example("posture", &[]);
    // Output through a pipe, and so are the errors.
    let script = script.replace("POSTURE", &program.display().to_string());
    Command::new("timeout").args(["30", "bash", "-c", &script]).stdin(Stdio::null()).output().expect("bash runs")
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), 1, "{text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("one object")
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().expect("steps");
    steps.iter().find(|found| found["step"] == name).expect("every step")
}

#[test]
fn its_objects_have_every_step_in_order() {
    let output = run("POSTURE --json");
    let report = report(&output);
    let names: Vec<&str> =
        report["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(names, Step::ALL.map(Step::name));
    let states = report["steps"].as_array().expect("steps").iter();
    let all_hold = states.clone().all(|found| found["state"] == "held");
    for found in states {
        let (state, grant) = (found["state"].as_str().expect("a word"), &found["grant"]);
        assert!(["held", "missing", "cannot-tell"].contains(&state), "{found}");
        assert_eq!(grant.is_string(), state == "missing", "{found}");
        assert_eq!(found["message"].is_null(), state == "held", "{found}");
        assert!(!grant.as_str().unwrap_or_default().contains("PID"), "{found}");
    }
    assert_eq!(report["holds"], all_hold);
    assert_eq!(output.status.code(), Some(i32::from(!all_hold)));
}

/// What it holds is seen from outside too, as far as it can be.
#[test]
fn another_process_sees_what_it_holds() {
    let program = built::example("posture", &[]);
    let mut command = Command::new("timeout");
    command.arg("30").arg(&program).args(["--json", "--stay"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let inside: Value = serde_json::from_str(&line).expect("one object");
    let pid = inside["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a number");
    let outside = Report::of(pid);
    drop(child.stdin.take());
    child.wait().expect("it ends");
    let outside = outside.expect("it lives");
    for found in outside.findings() {
        let (seen, told) = (found.holding.word(), step(&inside, found.step.name()));
        let alike = seen == told["state"] || (seen == "cannot-tell" && told["state"] != "missing");
        assert!(alike, "{found:?} is not {told}");
    }
    let threads = outside.findings().iter().find(|found| found.step == Step::IoFlusher).expect("every step").holding;
    let none = Holding::Missing(PostureFault::NotIoFlusher { missing: 2, threads: 2 });
    assert!(threads == none || threads.word() != "missing", "main and a worker: {threads:?}");
}

#[test]
fn a_small_stack_of_main_is_told() {
    let report = report(&run("ulimit -s 160; POSTURE --json"));
    assert_eq!(step(&report, "stack")["state"], "missing", "{report}");
}

/// With the capabilities that the machine grants each step holds; without, it says what it takes.
#[test]
fn a_step_holds_or_says_what_grants_it() {
    let capabilities = std::fs::read_to_string("/proc/self/status").expect("status");
    let effective = capabilities.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
    let effective = u64::from_str_radix(effective.trim(), 16).expect("a set");
    let (lock, resource) = (effective >> 14 & 1 == 1, effective >> 24 & 1 == 1);
    let report = report(&run("POSTURE --json"));
    if lock {
        for name in ["pools", "stack", "locked-memory", "locked-later"] {
            assert_eq!(step(&report, name)["state"], "held", "{report}");
        }
    }
    assert_eq!(step(&report, "early-threads")["state"], "held", "{report}");
    assert_eq!(step(&report, "core-dump")["state"], "held", "{report}");
    for (name, grant) in [("io-flusher", "CAP_SYS_RESOURCE"), ("oom-score", "OOMScoreAdjust=-1000")] {
        let found = step(&report, name);
        assert_eq!(found["state"], if resource { "held" } else { "missing" }, "{found}");
        assert!(resource || found["grant"].as_str().is_some_and(|text| text.contains(grant)), "{found}");
        let tried = found["notes"].as_array().expect("notes");
        assert!(
            resource || tried.iter().any(|note| note.as_str().is_some_and(|text| text.contains("perm"))),
            "{found}"
        );
    }
}

#[test]
fn a_limit_on_locked_memory_is_named() {
    if !machine::ready(&["setpriv", "prlimit"]) {
        return;
    }
    // Without the capability the limit counts: of 8 buffers of 128 KiB it allows 2, and not all of the memory.
    let output = run("prlimit --memlock=300000 setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock POSTURE --json");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1));
    let pools = step(&report, "pools");
    assert_eq!(pools["message"], "6 of 8 preallocated buffers are not locked in memory", "{pools}");
    let memory = step(&report, "locked-memory");
    let grant = memory["grant"].as_str().expect("it is missing");
    assert!(grant.contains("LimitMEMLOCK=infinity") && grant.contains("CAP_IPC_LOCK"), "{memory}");
    assert!(memory["notes"].as_array().expect("notes").iter().any(|note| note == "mlockall: cannot allocate memory"));
    assert_eq!(step(&report, "locked-later")["state"], "missing", "{report}");
}

#[test]
fn what_was_accepted_by_name_is_printed() {
    let names = Step::ALL.map(Step::name).join(",");
    let output = run(&format!("POSTURE --accept {names} >/dev/null; echo $?; POSTURE --accept {names}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("0\n") && output.status.success(), "{text}");
    assert!(text.contains("it may serve swap"), "{text}");
    // Its output is a pipe here, whose reader nobody knows.
    let degraded = text.lines().find(|line| line.contains("degraded as accepted by name")).expect("a line");
    assert!(degraded.contains("log-sinks") && text.contains("(accepted)"), "{text}");
    assert_eq!(run("POSTURE --accept cgroup,sky").status.code(), Some(2));
}

#[test]
fn what_cannot_be_examined_is_2_and_the_others_are_still_reported() {
    let output = run("POSTURE --json 4000000000 $$; exit $?");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(objects.len(), 2, "{text}");
    assert_eq!(objects[0]["error"], "no process 4000000000 is shown in /proc");
    assert_eq!(objects[1]["name"], "bash");
    let output = run("POSTURE 4000000000; exec POSTURE 2");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((said.lines().count(), output.stdout.len(), output.status.code()), (2, 0, Some(2)), "{said}");
    assert!(said.starts_with("posture: no process 4000000000 is shown in /proc\n"), "{said}");
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n") {
        assert!(said.ends_with("posture: process 2 is a kernel thread: the posture is of processes of user space\n"));
    }
    for usage in ["0", "-1", "x", "99999999999", "--accept"] {
        assert_eq!(run(&format!("POSTURE {usage}")).status.code(), Some(2), "{usage}");
    }
    let help = String::from_utf8_lossy(&run("POSTURE --help").stdout).into_owned();
    assert!(help.contains("Exit status") && help.contains("locked-memory"), "{help}");
}

/// In a PID namespace that reads the /proc of another, its own number is somebody else's.
#[test]
fn a_number_is_of_the_proc_that_is_read() {
    if !machine::ready(&["unshare"]) {
        return;
    }
    let init = std::fs::read_to_string("/proc/1/comm").expect("the first process");
    let report = report(&run("unshare --pid --fork POSTURE --json 1"));
    assert_eq!((report["pid"].as_u64(), report["name"].as_str()), (Some(1), Some(init.trim_end())), "{report}");
}
