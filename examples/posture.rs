//! Is this process in a posture to serve swap, and what is missing?
//!
//! ```text
//! cargo run --example posture                        takes the posture itself, as far as it is allowed to, and reports
//! cargo run --example posture -- $(pidof SERVER)     reports of processes that run
//! cargo run --example posture -- --json PID…         one object per process and line, for scripts
//! ```
//!
//! Of other processes it only reads /proc, as any user; what that does not show is "cannot tell", never a guess.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use swap_dio::linux::reclaim::{Finding, NotReady, Posture, Report, Step, Worker};
use swap_dio::posture::Holding;
use swap_dio::{Bytes, Reason};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Reports whether a process may serve swap without waiting for itself, step by step, with what grants each.
///
/// A server of swap must never wait for memory that only its own I/O can free. So its memory is locked, its buffers and
/// stacks are there beforehand, the OOM killer spares it, each of its threads is IO_FLUSHER, no cgroup throttles it, no
/// crash dumps it and no log holds it up. Each step is "held", "missing", or "cannot tell": what /proc does not show
/// this user is never taken for held.
///
/// Without a PID it takes the posture itself, as a server does in main, starts one worker that checks itself, and
/// reports what was granted. Of a PID it reads /proc only; nothing is changed there.
#[derive(Debug, Parser)]
#[command(name = "posture", after_help = STATUS)]
struct Arguments {
    /// Print one JSON object per process and line
    #[arg(long)]
    json: bool,
    /// Steps that need not hold, by name; the report says that they were accepted
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = names())]
    accept: Vec<String>,
    /// Stay in the posture until standard input ends, for others to look at
    #[arg(long, conflicts_with = "pids")]
    stay: bool,
    /// Processes to report of
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pids: Vec<u32>,
}

const STATUS: &str = "Exit status: 0 every step holds, or was accepted by name; 1 something is missing or cannot be told; \
2 usage, or a process that cannot be examined.";

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(Step::ALL.map(Step::name))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let accepted: Vec<Step> = arguments.accept.iter().filter_map(|name| Step::named(name)).collect();
    match run(&arguments, &accepted) {
        Ok(status) => status,
        Err(error) => {
            // If that cannot be said either, the status says it.
            let _ = writeln!(io::stderr(), "posture: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments, accepted: &[Step]) -> Result<ExitCode> {
    let (mut all_hold, mut all_seen) = (true, true);
    let mut print = |report: &Report| {
        all_hold &= report.holds();
        let mut out = io::stdout().lock();
        if arguments.json {
            write_json(&mut out, report)?
        } else {
            write_human(&mut out, report)?
        }
        out.flush()
    };
    if arguments.pids.is_empty() {
        taken(accepted, |report| {
            print(report)?;
            if arguments.stay {
                io::copy(&mut io::stdin().lock(), &mut io::sink())?;
            }
            Ok(())
        })?;
    }
    for pid in &arguments.pids {
        match Report::of(*pid) {
            Ok(mut report) => {
                accepted.iter().for_each(|step| report.accept(*step));
                print(&report)?;
            }
            Err(error) => {
                if arguments.json {
                    writeln!(io::stdout().lock(), "{}", json!({ "pid": pid, "error": error.to_string() }))?;
                }
                // Whoever closed this wants the reports only.
                let _ = writeln!(io::stderr(), "posture: {error}");
                all_seen = false;
            }
        }
    }
    Ok(ExitCode::from(if all_seen { u8::from(!all_hold) } else { 2 }))
}

/// Takes the posture as a server does: first, in main; then each worker checks itself. `tell` is called while they
/// live.
fn taken(accepted: &[Step], tell: impl FnOnce(&Report) -> io::Result<()>) -> Result<()> {
    let stack = Bytes::new(128 << 10);
    let asked = accepted.iter().fold(Posture::new().pool(8, 128 << 10).stack(stack), |asked, step| asked.accept(*step));
    let mut taken = asked.apply()?;
    let pools = taken.take_pools();
    let (checked, workers) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // A small stack: all of it is locked.
    let worker = std::thread::Builder::new().stack_size(512 << 10).spawn(move || {
        let _pools = pools;
        if checked.send(Worker::check(stack)).is_ok() {
            // A server would serve here; this one waits until it is reported.
            let _ = stopped.recv();
        }
    });
    let answer = match &worker {
        Ok(_) => taken.ready(&[workers.recv()?]),
        Err(error) => {
            let _ = writeln!(io::stderr(), "posture: no thread can be started ({}), main is the worker", error.kind());
            taken.ready(&[Worker::check(stack)])
        }
    };
    match answer {
        Ok(ready) => tell(ready.report())?,
        Err(NotReady::Posture(report)) => tell(&report)?,
        Err(error) => return Err(error.into()),
    }
    drop(stop);
    worker.map_or(Ok(()), |worker| worker.join().map_err(|_| "the worker died".into()))
}

fn write_json(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let steps: Vec<Value> = report.findings().iter().map(|found| step_json(report, found)).collect();
    let holds = report.holds();
    writeln!(out, "{}", json!({ "pid": report.pid(), "name": report.name(), "holds": holds, "steps": steps }))
}

fn step_json(report: &Report, found: &Finding) -> Value {
    json!({
        "step": found.step.name(),
        "state": found.holding.word(),
        "accepted": found.accepted,
        "message": why(found),
        "grant": found.grant().map(|grant| grant.replace("PID", &report.pid().to_string())),
        "notes": found.notes,
    })
}

fn write_human(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    writeln!(out, "process {} ({})", report.pid(), report.name())?;
    for found in report.findings() {
        let (word, shade) = match found.holding {
            Holding::Held => ("held", "32"),
            Holding::Missing(_) => ("missing", "31"),
            Holding::CannotTell(_) => ("cannot tell", "33"),
        };
        let word = if colour { format!("\x1b[{shade}m{word:<11}\x1b[0m") } else { format!("{word:<11}") };
        let accepted = if found.accepted && found.holding != Holding::Held { " (accepted)" } else { "" };
        let said = format!("  {word}  {:<13}  {}{accepted}", found.step.name(), why(found).unwrap_or_default());
        writeln!(out, "{}", said.trim_end())?;
        for note in &found.notes {
            writeln!(out, "{:30}{note}", "")?;
        }
        if let Some(grant) = found.grant() {
            writeln!(out, "{:30}-> {}", "", grant.replace("PID", &report.pid().to_string()))?;
        }
    }
    let reasons = report.reasons().count();
    let verdict = match (report.holds(), report.degraded().next()) {
        (true, None) => "it may serve swap: every step holds".to_owned(),
        (true, Some(_)) => {
            let names: Vec<&str> = report.degraded().map(Step::name).collect();
            format!("it may serve swap, degraded as accepted by name: {}", names.join(", "))
        }
        (false, _) => format!("it may not serve swap: {reasons} of {} steps do not hold", Step::ALL.len()),
    };
    writeln!(out, "  {verdict}\n")
}

/// Why a step does not hold.
fn why(found: &Finding) -> Option<String> {
    match found.holding {
        Holding::Held => None,
        Holding::Missing(fault) => Some(Reason::Posture(fault).to_string()),
        Holding::CannotTell(doubt) => Some(doubt.to_string()),
    }
}
