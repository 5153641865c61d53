//! What does this area stand on, and who would serve it?
//!
//! ```text
//! cargo run --example topology -- /swapfile           layers down to the disks, each condition, the verdict
//! cargo run --example topology -- $(pidof SERVER)     the same of what a process serves: FUSE mounts, ublk devices
//! cargo run --example topology -- --for another --json PATH|PID…
//! ```
//!
//! It reads /sys and /proc, as any user; what that does not show cannot be told, which is no yes.

#[allow(dead_code)]
#[path = "check/quote.rs"]
mod quote;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use swap_dio::linux::{Judged, Topology, Tree};
use swap_dio::topology::{Consumer, Finding, Override, Rule, State};

/// Tells what a swap area stands on, and whether swap may be served from there.
///
/// Each layer below a file, a block device or what a running server serves; each condition that the layers call for:
/// met, not met, cannot be told, accepted by a name, or not asked; and what follows from them.
#[derive(Debug, Parser)]
#[command(name = "topology", after_help = STATUS)]
struct Arguments {
    /// Print one JSON object per area and line
    #[arg(long)]
    json: bool,
    /// Whose swap it is
    #[arg(long = "for", value_enum, default_value = "this")]
    whose: Whose,
    /// Risks that are accepted, by name
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = risks())]
    accept_risk: Vec<String>,
    /// Files, block devices, or numbers of processes; write ./7 for a file of that name
    #[arg(value_name = "PATH|PID", required = true)]
    areas: Vec<String>,
}

/// Whose memory is swapped out.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Whose {
    /// this kernel's
    This,
    /// that of another: a guest, a remote host
    Another,
}

const STATUS: &str =
    "Exit status: 0 every area is admitted; 1 some are not; 2 usage, or an area that cannot be followed.";

fn risks() -> PossibleValuesParser {
    PossibleValuesParser::new(Override::NAMES.iter().map(|(name, _)| *name))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        // Whoever closed it wants no more.
        Err(_) => ExitCode::from(2),
    }
}

fn run(arguments: &Arguments) -> io::Result<u8> {
    let consumer = match arguments.whose {
        Whose::This => Consumer::SameKernel,
        Whose::Another => Consumer::OtherKernel,
    };
    let accepted = arguments.accept_risk.iter().filter_map(|name| Override::named(name)).collect();
    let mut status = 0;
    for area in &arguments.areas {
        let found = match area.parse() {
            Ok(pid) => Tree::running().process(pid),
            Err(_) => Tree::running().path(Path::new(area)).map(|topology| vec![topology]),
        };
        match found {
            Ok(found) => {
                for topology in found {
                    let judged = topology.judge(consumer, accepted);
                    status = status.max(u8::from(judged.outcome.is_err()));
                    let mut out = io::stdout().lock();
                    if arguments.json {
                        writeln!(out, "{}", object(area, &topology, &judged))?;
                    } else {
                        describe(&mut out, area, &topology, &judged)?;
                    }
                }
            }
            Err(error) => {
                writeln!(io::stderr(), "topology: {error}")?;
                status = 2;
            }
        }
    }
    Ok(status)
}

fn describe(out: &mut impl Write, area: &str, topology: &Topology, judged: &Judged) -> io::Result<()> {
    writeln!(out, "{}", quote::path(Path::new(area)))?;
    for (index, line) in topology.to_string().lines().enumerate() {
        writeln!(out, "  {:<8} {line}", if index == 0 { "stands" } else { "on" })?;
    }
    let mut said = Vec::new();
    // That a layer is known goes without saying.
    for found in judged.findings.iter().filter(|found| found.rule != Rule::Known || found.state != State::Met) {
        let line = found.to_string();
        if !said.contains(&line) {
            writeln!(out, "           {line}")?;
            if let Some(remedy) = found.reason().and_then(|reason| reason.remedy()) {
                writeln!(out, "             -> {}", remedy.replace("FILE", &quote::path(Path::new(area))))?;
            }
            said.push(line);
        }
    }
    match &judged.outcome {
        Ok(allowed) => writeln!(out, "  verdict  {allowed}\n"),
        Err(reason) => writeln!(out, "  verdict  refuse: {reason}  [{}]\n", reason.code()),
    }
}

fn object(area: &str, topology: &Topology, judged: &Judged) -> Value {
    let layers = topology.layers();
    let layers: Vec<Value> =
        layers.map(|(link, name)| json!({ "depth": link.depth, "layer": link.layer.word(), "name": name })).collect();
    let accepted = judged.outcome.as_ref().map(|allowed| allowed.depends_on().to_string()).unwrap_or_default();
    json!({
        "area": area,
        "verdict": if judged.outcome.is_ok() { "admit" } else { "refuse" },
        "depends_on": accepted.split(',').filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "reason": judged.outcome.as_ref().err().map(|reason| reason.code()),
        "layers": layers,
        "conditions": judged.findings.iter().map(|found| condition(area, found)).collect::<Vec<_>>(),
    })
}

fn condition(area: &str, found: &Finding) -> Value {
    let (state, reason) = match found.state {
        State::Met => ("met", None),
        State::Spared => ("not-asked", None),
        State::NotMet(reason) => ("not-met", Some(reason)),
        State::Untold(reason) => ("cannot-tell", Some(reason)),
        State::Accepted { reason, .. } => ("accepted", Some(reason)),
    };
    json!({
        "link": found.link,
        "condition": found.rule.row().condition,
        "state": state,
        "code": reason.map(|reason| reason.code()),
        "message": reason.map(|reason| reason.to_string()),
        "remedy": reason.and_then(|reason| reason.remedy()).map(|remedy| remedy.replace("FILE", &quote::path(Path::new(area)))),
    })
}
