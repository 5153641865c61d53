//! Make me a swap file that passes on this filesystem, the first time; or turn one that does not into one that does.
//!
//! ```text
//! cargo run --example make -- /swapfile --size 2G                 for swapon(2)
//! cargo run --example make -- /srv/area --size 2G --model file    for a server that swaps through the filesystem
//! cargo run --example make -- /swapfile --convert                 a fallocated swap file, in place, for a server
//! ```
//!
//! A new file has no name before it is finished: ^C, a kill or a full disk leaves nothing behind. What is there
//! already is never touched, except by `--convert`, which keeps every byte.

#[path = "make/arguments.rs"]
mod arguments;
#[path = "make/bar.rs"]
mod bar;
#[path = "check/quote.rs"]
mod quote;
#[path = "make/said.rs"]
mod said;

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arguments::{Arguments, Task};
use bar::Bar;
use swap_dio::linux::{PrepareError, convert, prepare};

fn main() -> ExitCode {
    let Some(Arguments { path, task }) = Arguments::of_command_line() else { return ExitCode::SUCCESS };
    let stopped = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stopped);
    let listening = ctrlc::set_handler(move || {
        if heard.swap(true, Ordering::Relaxed) {
            // Asked twice: at once, and what has no name is gone with us.
            std::process::exit(2);
        }
    });
    if let Err(error) = listening {
        complain(&format!("make: cannot listen to signals: {error}"));
        return ExitCode::from(2);
    }

    let mut bar = Bar::new();
    let outcome = {
        let watch = |progress| {
            bar.show(progress);
            if stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match &task {
            Task::Make(plan) => prepare(&path, plan, watch),
            Task::Convert(model) => convert(&path, *model, watch),
        }
    };
    bar.clear();
    match outcome {
        Ok(found) => {
            // Whoever closed this wants the status only.
            let _ = said::made(&mut std::io::stdout().lock(), &path, &task, &found, bar.has_moved());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&said::failed(&path, &task, &error));
            ExitCode::from(match error {
                PrepareError::Refused { .. }
                | PrepareError::NotAdmitted { .. }
                | PrepareError::InUse { .. }
                | PrepareError::Locked => 1,
                _ => 2,
            })
        }
    }
}

/// If that cannot be said, the status says it.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
