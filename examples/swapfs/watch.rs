//! For a guest that may hang (tests/vm): ends it once nothing is swapped any more, and says what waits.
//!
//! A hang spares nobody who needs a page. So this process is locked, spared and IO_FLUSHER as a server would be, has
//! every file open beforehand, and leaves what needs memory to a thread for which nobody waits.

use std::fs::{self, File};
use std::io::{self, Write, stdout};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use swap_dio::linux::reclaim::Posture;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Reboots the machine once no page was swapped for so many seconds, the first one having been.
pub(crate) fn until_still(seconds: u64) -> Result<()> {
    let table = File::open("/proc/vmstat")?;
    let mut trigger = File::options().write(true).open("/proc/sysrq-trigger")?;
    let mut text = vec![0; 64 << 10];
    let _posture = Posture::new().apply()?;
    // Made beforehand: its stack would be waited for.
    let teller = thread::spawn(|| {
        thread::park();
        waiting().map_err(|error| eprintln!("{error}"))
    });
    let (mut last, mut still) = (0, 0);
    while still < seconds {
        thread::sleep(Duration::from_secs(STEP));
        let now = swapped(&table, &mut text)?;
        still = if now == last && now > 0 { still + STEP } else { 0 };
        last = now;
    }
    let mut out = stdout().lock();
    writeln!(out, "outcome hung: no page swapped for {seconds} s, after {last} in and out")?;
    out.flush()?;
    drop(out);
    teller.thread().unpark();
    thread::sleep(Duration::from_secs(2 * STEP));
    trigger.write_all(b"b")?;
    Ok(())
}

/// Pages that went in or out so far.
fn swapped(table: &File, text: &mut [u8]) -> io::Result<u64> {
    let mut length = 0;
    loop {
        match table.read_at(&mut text[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    let text = std::str::from_utf8(&text[..length]).map_err(io::Error::other)?;
    let counts = text.lines().filter_map(|line| line.split_once(' '));
    let counts = counts.filter(|(name, _)| ["pswpin", "pswpout"].contains(name));
    Ok(counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum())
}

/// A line for each task that waits without being woken by signals: its name, and where it is.
fn waiting() -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let task = entry?.path();
        let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        if !rest.starts_with(" D") {
            continue;
        }
        let stack = fs::read_to_string(task.join("stack")).unwrap_or_default();
        let frames = stack.lines().filter_map(|line| line.split_once("] ")?.1.split('+').next());
        let frames: Vec<&str> = frames.take(FRAMES).collect();
        println!("{}) waits in {}", name, frames.join(" < "));
    }
    Ok(())
}

/// Seconds between two looks.
const STEP: u64 = 5;
/// Functions of a stack that tell where it is.
const FRAMES: usize = 14;
