//! Whoever wants to open a served file: kept out while it does not wait, seen when it has outwaited the lease.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use swap_dio::linux::swap_file::{Hold, Risks, SwapFile};

use crate::lease::BreakTime;
use crate::pages::{EXT4, OTHER, blank, is_done, made, marked, mounted, open, read, within, write};

const SHORT: Duration = Duration::from_secs(2);

fn in_passing(path: &Path) -> rustix::io::Result<()> {
    rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).map(drop)
}

/// Opens it for writing, as anybody does, and has it for so long.
fn patiently(path: PathBuf, time: Duration) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let file = std::fs::File::options().write(true).open(path).expect("in the end");
        std::thread::sleep(time);
        drop(file);
    })
}

fn until(limit: Duration, file: &SwapFile, hold: Hold) -> bool {
    within(limit, || file.hold() == hold)
}

#[test]
fn the_lease_is_taken_again_and_whoever_outwaits_it_stops_the_service() {
    let Some(fs) = mounted(EXT4) else { return };
    let path = made(&fs, "f", 1);
    let short = BreakTime::of(SHORT);

    // Looks by requests take it again.
    let file = open(&path, &OTHER.revalidating_every(4)).expect("a file");
    let end = Instant::now() + 2 * SHORT;
    while Instant::now() < end {
        assert_eq!(in_passing(&path), Err(Errno::AGAIN));
        for page in 0..8 {
            assert!(is_done(&write(&file, page, &marked(page, 1, 1)).expect("served")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(file.hold(), Hold::Lease);
    drop(file);

    for tolerated in [false, true] {
        let risks = if tolerated { Risks::UNHELD } else { Risks::empty() };
        let file = open(&path, &OTHER.accepting(risks)).expect("a file");
        let opener = patiently(path.clone(), 2 * SHORT);
        assert!(until(SHORT, &file, Hold::Contested), "it waits");
        file.revalidate().expect("and is not in");
        assert!(until(2 * SHORT, &file, Hold::Broken), "it is in");
        let found = file.revalidate();
        assert_eq!(found.err().map(|why| why.code()), (!tolerated).then_some("busy"));
        assert_eq!(file.stopped(), found.err());
        assert_eq!(write(&file, 3, &marked(3, 1, 1)).err(), found.err(), "no write besides another's");
        assert!(is_done(&read(&file, 3, &mut blank(1)).expect("a ticket")), "what was written is read back");
        opener.join().expect("another");
        drop(file);
    }

    // One who waited, wrote and has gone before the next look.
    let file = open(&path, &OTHER).expect("a file");
    let opener = patiently(path.clone(), Duration::ZERO);
    assert!(until(SHORT, &file, Hold::Contested), "it waits");
    opener.join().expect("another");
    assert_eq!(file.revalidate().err().map(|why| why.code()), Some("busy"), "it was in");
    drop(file);
    drop(short);
}
