//! Memory pressure on one process in a cgroup of its own, and what of it went through the swap areas.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::say::say;
use crate::stop;

/// A process under pressure; it ends when this is dropped, and its cgroup goes if nobody else has it.
pub(crate) struct Pressure {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    cgroup: Arc<Cgroup>,
}

/// What an order came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) pages: u64,
    pub(crate) wrong: u64,
    pub(crate) seconds: f64,
}

impl Pressure {
    /// Starts `program` as a process of so many MiB in a cgroup that may have `limit` bytes.
    pub(crate) fn new(program: &Path, mib: u64, limit: u64) -> io::Result<Self> {
        Self::within(Arc::new(Cgroup::new(limit)?), program, mib)
    }

    /// The same in a cgroup that is there.
    pub(crate) fn within(cgroup: Arc<Cgroup>, program: &Path, mib: u64) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["pages", &mib.to_string(), &fastrand::u64(..).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes to the process"));
        };
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let pressure = Self { child, orders, answers, cgroup };
        // Before it is told to do anything.
        pressure.cgroup.add(pressure.child.id())?;
        Ok(pressure)
    }

    /// Changes what its cgroup may have.
    pub(crate) fn limit(&self, bytes: u64) -> io::Result<()> {
        self.cgroup.limit(bytes)
    }

    /// Gives an order and waits for the answer: an error at the time limit, at ^C, and when the process dies.
    pub(crate) fn order(&mut self, what: &str, round: u32, how: &str, limit: Duration) -> io::Result<Outcome> {
        writeln!(self.orders, "{what} {round} {how}")?;
        let end = Instant::now() + limit;
        loop {
            match self.answers.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => return parse(&line),
                Err(RecvTimeoutError::Timeout) if stop::requested() => return Err(io::ErrorKind::Interrupted.into()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => (),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} took longer than {limit:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    return Err(io::Error::other(format!("the process under pressure died: {status}")));
                }
            }
        }
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // One that waits for a page that never comes cannot be killed: then say so, and do not wait with it.
        for _ in 0..100 {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        say(format_args!("process {} does not end", self.child.id()));
    }
}

fn parse(line: &str) -> io::Result<Outcome> {
    let mut numbers = line.strip_prefix("done ").unwrap_or("").split(' ').map_while(|word| word.parse::<u32>().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(pages), Some(wrong), Some(millis)) => {
            Ok(Outcome { pages: pages.into(), wrong: wrong.into(), seconds: f64::from(millis) / 1000.0 })
        }
        _ => Err(io::Error::other(format!("an answer that was not expected: {line}"))),
    }
}

/// Pages that the kernel has swapped since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swapped {
    pub(crate) out: u64,
    pub(crate) back: u64,
}

impl Swapped {
    /// As /proc/vmstat says.
    pub(crate) fn now() -> io::Result<Self> {
        let text = std::fs::read_to_string("/proc/vmstat")?;
        let count = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            line.ok_or_else(|| io::Error::other(format!("/proc/vmstat has no {name}")))
        };
        Ok(Self { out: count("pswpout ")?, back: count("pswpin ")? })
    }

    /// What was swapped after `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self { out: self.out.saturating_sub(earlier.out), back: self.back.saturating_sub(earlier.back) }
    }
}
