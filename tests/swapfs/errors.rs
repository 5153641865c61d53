//! What swap makes of errors below the image: a page that cannot be read, writes that fail, a disk that is full.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::area::{Area, write_header};
use crate::below::Below;
use crate::daemon::{
    AREA, Daemon, LOOP, MIB, MODES, STEP, alone, assert_intact, filled, folder_with_image, program, run, said,
};
use crate::hostile::Detach;
use crate::lease::BreakTime;
use crate::machine::{Mounted, ready, sh};
use crate::pressure::Pressure;

/// For an image below which is a program, this one: which is refused unless it is accepted.
const FRAGILE: [&[&str]; 2] = [
    &["--mode", "bmap", "--accept-risk", "loop-over-fuse"],
    &["--mode", "loop", "--accept-risk", "loop-over-fuse,global-reclaim-excluded"],
];

/// A server whose image lies on a file that may fail. The fields are dropped in this order.
struct Fragile {
    area: Area,
    _daemon: Daemon,
    _device: Option<Detach>,
    below: Below,
}

impl Fragile {
    fn start(arguments: &[&str]) -> Self {
        let folder = folder_with_image("/var/tmp".as_ref(), AREA);
        let image = folder.path().join("image");
        let below = Below::under(&image);
        let refusal = said(&run(&["serve", "--mode", "bmap"], &[&image, &folder.path().join("mnt")]));
        assert!(refusal.contains("lies on FUSE") && refusal.contains("--accept-risk loop-over-fuse"), "{refusal}");
        // The engine takes no file of FUSE for itself, and a device of whatever was accepted.
        let device = (arguments[1] == "loop").then(|| Detach::over(&image));
        let daemon = Daemon::serve(folder, arguments);
        Self { area: daemon.swap_on(), _daemon: daemon, _device: device, below }
    }
}

#[test]
fn a_page_that_cannot_be_read_ends_its_reader_and_nobody_else() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in FRAGILE {
        let fragile = Fragile::start(arguments);
        let faults = &fragile.below.faults;
        let filled = |_| {
            let mut pressure = Pressure::new(program(), 48, 16 * MIB).expect("a process in a cgroup");
            pressure.order("fill", 1, "sequential", STEP).expect("every page is written");
            pressure
        };
        let mut processes = [(); 2].map(filled);
        // What went out last is one of their pages.
        faults.read.store(faults.written.load(SeqCst), SeqCst);
        let outcomes = processes.each_mut().map(|pressure| pressure.order("verify", 1, "sequential", STEP));
        assert!(faults.failed.load(SeqCst) > 0, "nobody read it: {outcomes:?}");
        let (mut whole, mut lost) = (0, 0);
        for outcome in &outcomes {
            match outcome {
                Ok(outcome) => {
                    assert_eq!(outcome.wrong, 0, "wrong pages");
                    whole += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("signal: 7"), "SIGBUS: {error}");
                    lost += 1;
                }
            }
        }
        assert_eq!((whole, lost), (1, 1), "{arguments:?}: {outcomes:?}");
        drop(processes);
        fragile.area.deactivate().expect("swapoff");
    }
}

#[test]
fn pages_whose_writing_fails_stay_in_memory() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in FRAGILE {
        let fragile = Fragile::start(arguments);
        fragile.below.faults.writes.store(20, SeqCst);
        let mut pressure = filled();
        assert_eq!(fragile.below.faults.failed.load(SeqCst), 20, "writes that failed");
        assert_intact(&mut pressure, "sequential");
        assert_intact(&mut pressure, "random");
        drop(pressure);
        fragile.area.deactivate().expect("swapoff");
    }
}

#[test]
fn a_full_disk_below_loses_nothing() {
    if !ready(&["losetup", "mkfs.ext4", "fallocate"]) {
        return;
    }
    let _alone = alone();
    // In mode `loop` the image is held by a lease.
    let _short = BreakTime::of(Duration::from_secs(2));
    for arguments in MODES {
        let disk = Mounted::new(&[AREA + 40], "mkfs.ext4 -q -b 4096 -m 0 $DEV", "mount $DEV $M");
        let mut daemon = Daemon::serve(folder_with_image(&disk.root, AREA), arguments);
        let (image, root) = (daemon.image.display(), disk.root.display());
        // While it is served somebody takes blocks from under it, and then the last free ones of the disk.
        let full = format!(
            "fallocate -p -o 16M -l 4M {image}
             for size in 1M 4k 4k; do dd if=/dev/zero of={root}/$RANDOM bs=$size 2>/dev/null || sync -f {root}; done
             ! dd if=/dev/zero of={root}/more bs=4k count=1 oflag=direct 2>/dev/null"
        );
        sh(&full).expect("a full disk");
        if arguments == LOOP {
            // The engine sees it before it would allocate: nothing is swapped out to be lost.
            let stopped = "no page is written any more: ";
            assert!(daemon.wait_until(STEP, |daemon| daemon.said().contains(stopped)), "{}", daemon.said());
            assert!(write_header(&daemon.area, AREA * MIB, [7; 16]).is_err(), "a page was written");
            continue;
        }
        let area = daemon.swap_on();
        let mut pressure = filled();
        assert_intact(&mut pressure, "sequential");
        assert_intact(&mut pressure, "random");
        let found = sh(&format!("stat -c %b {image}")).expect("stat").trim().parse::<u64>().expect("blocks");
        assert!(found < AREA * MIB / 512, "the hole was filled: the disk was not full");
        drop(pressure);
        area.deactivate().expect("swapoff");
        drop(daemon);
    }
}
