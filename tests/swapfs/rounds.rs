//! Rounds of pressure on one server, and what it holds after each.
//!
//! Small here; in full, as CONTRIBUTING says, by `SWAP_DIO_ROUNDS`, `SWAP_DIO_WORKING_SET` and `SWAP_DIO_LIMIT` (MiB).

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, LIMIT, MIB, MODES, WORKING_SET, alone_for, folder_with_image, number, program};
use crate::machine::{ready, sh};
use crate::pressure::{Pressure, Swapped};

#[test]
fn rounds_of_pressure_leak_nothing() {
    if !ready(&["losetup"]) {
        return;
    }
    let rounds = number("SWAP_DIO_ROUNDS", 2);
    let (working_set, limit) = (number("SWAP_DIO_WORKING_SET", WORKING_SET), number("SWAP_DIO_LIMIT", LIMIT));
    let step = Duration::from_secs(60 + working_set);
    let _alone = alone_for(step * 4 * u32::try_from(rounds).expect("rounds"));
    for arguments in MODES {
        let size = working_set + 32;
        let mut daemon = Daemon::serve_of(folder_with_image(Path::new("/var/tmp"), size), size, arguments);
        let area = daemon.swap_on();
        let mut pressure = Pressure::new(program(), working_set, limit * MIB).expect("a process in a cgroup");
        let before = Swapped::now().expect("/proc/vmstat");
        let (mut verified, mut wrong) = (0, 0);
        let mut first = None;
        for round in 0..u32::try_from(rounds).expect("rounds") {
            // Written in order and read in none, then the other way round.
            let passes = if round % 2 == 0 { ["sequential", "random"] } else { ["random", "sequential"] };
            for (what, how) in ["fill", "verify"].into_iter().zip(passes) {
                let outcome = pressure.order(what, round, how, step).expect("it comes to an end");
                if what == "verify" {
                    (verified, wrong) = (verified + outcome.pages, wrong + outcome.wrong);
                }
            }
            let held = Held::by(daemon.child.id());
            let first = first.get_or_insert(held);
            assert_eq!(held.descriptors, first.descriptors, "descriptors after round {round}");
            // The first round has touched what it will ever need.
            assert!(held.kib <= first.kib + 1024, "memory after round {round}: {held:?}, first {first:?}");
        }
        let swapped = Swapped::now().expect("/proc/vmstat").since(before);
        let (out, back) = (swapped.out / 256, swapped.back / 256);
        println!(
            "{}: {rounds} rounds of {working_set} MiB in {limit} MiB, {out} MiB out, {back} MiB in, {verified} pages \
             verified, {wrong} wrong; first and last {:?}, {:?}",
            arguments[1],
            first.expect("a round"),
            Held::by(daemon.child.id())
        );
        assert_eq!((verified, wrong), (rounds * working_set * 256, 0), "verified and wrong pages");
        drop(pressure);
        area.deactivate().expect("swapoff");
        daemon.signal(Signal::TERM);
        let status = daemon.ended(Duration::from_secs(10));
        assert!(status.is_some_and(|status| status.success()), "it goes after swapoff: {status:?}, {}", daemon.said());
        let folder = daemon.into_folder();
        let name = folder.path().display();
        // Its own cgroup bears the number of this process.
        let groups = format!("find /sys/fs/cgroup -maxdepth 2 -name 'swapfs-{}-*' 2>/dev/null", std::process::id());
        let tables = "cat /proc/swaps /proc/mounts; losetup -nO BACK-FILE";
        let left = format!("sleep 0.5; {{ {tables}; }} | grep -F {name} || true; {groups} || true");
        assert_eq!(sh(&left).expect("grep"), "", "left behind");
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    /// KiB of memory.
    kib: u64,
}

impl Held {
    fn by(process: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("its descriptors").count();
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        Self { descriptors, kib: line.trim().trim_end_matches(" kB").parse().expect("a number") }
    }
}
