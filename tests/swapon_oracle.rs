//! The kernel as the oracle: files made at random on many filesystems, judged here and by swapon(2).
//!
//! Accept or refuse, errno, usable pages and extents must agree for every file; what is not foretold is counted and
//! may not exceed a limit. The same files are judged by the rules that other programs go by, for the table.
//!
//! - `SWAP_DIO_ORACLE_FILES=20000`: how many files, about.
//! - `SWAP_DIO_ORACLE_SEED=SEED`: draws the same recipes again; without it the clock gives one, which is printed.
//! - `SWAP_DIO_ORACLE_ONLY=SETUP` or `SETUP/NUMBER`: one set-up, or one file, with its recipe.
//!
//! Needs root and loop devices; says so and compares nothing without them. `SWAP_DIO_REQUIRE_KERNEL=1` makes that a
//! failure; then only a filesystem that this kernel does not mount is left out.
#![cfg(all(feature = "linux", target_os = "linux"))]

#[path = "oracle/damage.rs"]
mod damage;
#[path = "oracle/draw.rs"]
mod draw;
#[path = "oracle/ioctl.rs"]
mod ioctl;
#[path = "oracle/judge.rs"]
mod judge;
#[path = "oracle/layout.rs"]
mod layout;
mod machine;
#[path = "oracle/make.rs"]
mod make;
#[path = "oracle/peers.rs"]
mod peers;
#[path = "oracle/recipe.rs"]
mod recipe;
#[path = "oracle/setup.rs"]
mod setup;
#[path = "oracle/tally.rs"]
mod tally;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use judge::{Outcome, judge};
use machine::{ACTIVE_AREAS, ready, sh};
use make::{Buffers, REFUSED, make};
use setup::{Can, SET_UPS, SetUp, Unsaid, is_known, mounted};
use swap_dio::linux::page_size;
use tally::{Tally, table};

#[test]
fn predictions_are_what_the_kernel_answers() {
    if !ready(&[]) {
        return;
    }
    let run = Run::from_environment();
    println!("seed {}, about {} files", run.seed, run.files);
    let shares: u64 = SET_UPS.iter().filter(|row| is_known(row)).map(|row| row.share).sum();
    let chosen: Vec<&SetUp> =
        SET_UPS.iter().filter(|row| run.only.as_ref().is_none_or(|(name, _)| name == row.name)).collect();
    let (rows, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    // Most of the time passes in swapoff, which waits for all processors: two set-ups at once wait together.
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(row) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (begun, mut failed) = (Instant::now(), Vec::new());
            let files = (run.files * row.share).div_ceil(shares);
            if let Some(tally) = run.set_up(row, files, &mut failed) {
                println!("{}: {:.1} s", row.name, begun.elapsed().as_secs_f32());
                rows.lock().expect("no set-up has panicked").push((*row, tally));
            }
            failures.lock().expect("no set-up has panicked").append(&mut failed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let (mut rows, mut failures) = (rows.into_inner().expect("rows"), failures.into_inner().expect("failures"));
    rows.sort_by_key(|(row, _)| SET_UPS.iter().position(|other| other.name == row.name));
    let release = sh("uname -r").expect("a kernel release");
    let listed: Vec<(&str, Tally)> = rows.iter().map(|(row, tally)| (row.name, *tally)).collect();
    println!("\n{}", table(&listed, &release, run.seed));

    let mut counted = Tally::default();
    rows.iter().filter(|(row, _)| row.unsaid == Unsaid::Counted).for_each(|(_, tally)| counted.add(tally));
    if counted.unsaid * 100 > counted.files * MOST_UNSAID_PERCENT {
        failures.push(format!("nothing foretold for {} of {} files", counted.unsaid, counted.files));
    }
    if counted.unlogged > 0 && std::fs::File::open("/dev/kmsg").is_ok() {
        failures.push(format!("the kernel's log says nothing of {} areas that it accepted", counted.unlogged));
    }
    assert!(!rows.is_empty(), "nothing was compared");
    assert!(failures.is_empty(), "seed {}: {} failures:\n\n{}", run.seed, failures.len(), failures.join("\n\n"));
}

/// Of the files, behind user-space daemons aside.
const MOST_UNSAID_PERCENT: u64 = 2;
const FILES: u64 = 2500;

/// What was asked for.
struct Run {
    files: u64,
    seed: u64,
    only: Option<(String, Option<u64>)>,
}

impl Run {
    fn from_environment() -> Self {
        let number = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
        };
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let only = std::env::var("SWAP_DIO_ORACLE_ONLY").ok().map(|only| match only.split_once('/') {
            Some((name, file)) => (name.to_owned(), Some(file.parse().expect("SETUP/NUMBER"))),
            None => (only, None),
        });
        if let Some((name, _)) = &only {
            assert!(SET_UPS.iter().any(|row| row.name == name), "no set-up is called {name}");
        }
        Self {
            files: number("SWAP_DIO_ORACLE_FILES").unwrap_or(FILES),
            seed: number("SWAP_DIO_ORACLE_SEED").unwrap_or_else(clock),
            only,
        }
    }

    /// Judges the files of one set-up; `None` if it cannot be had here.
    fn set_up(&self, row: &SetUp, files: u64, failures: &mut Vec<String>) -> Option<Tally> {
        let fs = mounted(row, self.seed)?;
        let _shared = ACTIVE_AREAS.read();
        let page_size = page_size().expect("a page size");
        let (buffers, mut tally, mut unsaid) = (Buffers::new(), Tally::default(), BTreeMap::new());
        let mut refused = 0;
        let chosen = self.only.as_ref().and_then(|(_, number)| *number);
        let numbers = chosen.map_or(0..files, |number| number..number + 1);
        for number in numbers {
            let recipe = draw::recipe(self.seed, row, number);
            let made = make((&fs, row, &buffers), &recipe, number, page_size.bytes().get());
            let made = match made {
                Ok(made) => made,
                Err(error) => {
                    failures.push(format!("{}/{number}: no file: {error}", row.name));
                    continue;
                }
            };
            refused += made.log.iter().filter(|line| line.contains(REFUSED)).count();
            let device = row.can.contains(Can::DEVICE).then(|| made.size().expect("a size"));
            let case = judge(&made.path, page_size, device);
            tally.count(&case);
            let told = |what: &str| {
                let (steps, answer) = (made.log.join("\n    "), &case.answer);
                format!("{}/{number}:\n    {steps}\n  kernel: {answer:?}\n  {what}", row.name)
            };
            match &case.outcome {
                Outcome::Disagrees(how) => {
                    println!("{}\n", told(how));
                    failures.push(told(how));
                }
                Outcome::Unsaid(_, how) if chosen.is_some() => println!("{}", told(how)),
                Outcome::Unsaid(code, how) => unsaid.entry(*code).or_insert((0, told(how))).0 += 1,
                Outcome::Agrees if chosen.is_some() => println!("{}", told("agrees")),
                Outcome::Agrees => (),
            }
        }
        println!("{}: {} files, {refused} steps not granted", row.name, tally.files);
        for (code, (count, example)) in unsaid {
            println!("{}: {count} files were not foretold: {code}; the first is {example}\n", row.name);
        }
        Some(tally)
    }
}
