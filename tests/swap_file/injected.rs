//! A device below that is slow, that fails now and then: the queue stays as long as it was, each request ends as it
//! went, and nothing wrong is read later.
//!
//! Half a write is tested on a device that shrinks: a loop device takes half of one for a whole (Linux 6.18,
//! `drivers/block/loop.c:lo_complete_rq`), which nobody above it can see.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swap_dio::admit::Outcome;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Consumer, Ring, Serving, SwapFile};
use swap_dio::reason::RequestFault;
use swap_dio::topology::Override;
use swap_dio::{PageCount, Reason};

use crate::below::Below;
use crate::machine::{ready, sh};
use crate::pages::{blank, is_done, marked, marked_page, open, read, request, write};

const PAGES: u64 = 1024;

/// A loop device over a file that fails when told to. One at a time: a process that serves one and has another open is
/// a circle to whoever follows what it has open.
struct Fragile {
    device: PathBuf,
    below: Below,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Fragile {
    fn new() -> Option<Self> {
        if !ready(&["losetup"]) {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let image = folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(PAGES * 4096)).expect("an image");
        let below = Below::under(&image);
        let attach = format!("losetup --direct-io=on -b 4096 -f --show {}", image.display());
        Some(Self { device: sh(&attach).expect("a loop device").into(), below, _folder: folder, _alone: alone })
    }

    fn serve(&self) -> SwapFile {
        let serving = Serving::new(Consumer::OtherKernel).accepting_below(Override::LOOP_OVER_FUSE);
        open(&self.device, &serving.in_flight_at_most(16)).expect("a device")
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        let _ = sh(&format!("losetup -d {}", self.device.display()));
    }
}

fn failed(outcome: Outcome) -> u16 {
    match outcome {
        Outcome::Failed(Reason::Request(RequestFault::Failed { errno })) => errno,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slow_device_makes_no_longer_queue() {
    let Some(fragile) = Fragile::new() else { return };
    let file = fragile.serve();
    let mut ring = Ring::new(&file, 16, PageCount::new(1)).expect("a ring");
    let faults = &fragile.below.faults;
    // Until the queue was found full none is answered, and after that not before 100 ms.
    faults.is_held.store(true, SeqCst);
    faults.delay.store(100, SeqCst);
    let before = faults.answered.load(SeqCst);
    for page in 0..16 {
        let mut memory = ring.lend().expect("memory");
        ring.memory_mut(&mut memory)[..4096].copy_from_slice(&marked_page(page, 1).0);
        let ticket = file.admit(&request(Direction::Write, page, 1)).expect("a ticket");
        assert!(ring.start(memory, ticket).is_ok());
    }
    ring.submit().expect("sent");
    // Told so at once, and not kept waiting: by the ring, and by the policy.
    assert!(ring.lend().is_none());
    let full = file.admit(&request(Direction::Write, 99, 1)).map(drop).expect_err("full");
    assert_eq!(full.code(), "queue-full");
    assert_eq!((ring.in_flight(), file.policy().in_flight()), (16, 16));
    assert_eq!(faults.answered.load(SeqCst), before, "it waited for an answer");
    faults.is_held.store(false, SeqCst);
    for _ in 0..16 {
        let ended = ring.next(Duration::from_secs(20)).expect("a ring").expect("an end");
        assert!(is_done(&ended.completion));
        ring.give_back(ended.memory);
    }
    assert!(faults.answered.load(SeqCst) > before, "nothing was slow");
    faults.delay.store(0, SeqCst);
    let mut memory = blank(16);
    assert!(is_done(&read(&file, 0, &mut memory).expect("a ticket")));
    assert!(memory.iter().zip(0..).all(|(page, index)| page.0 == marked_page(index, 1).0));
}

#[test]
fn one_request_in_a_thousand_fails_and_no_other() {
    let Some(fragile) = Fragile::new() else { return };
    let file = fragile.serve();
    fragile.below.faults.every.store(1000, SeqCst);
    let (mut known, mut failures) = (vec![0u8; PAGES as usize], 0);
    for round in 1..=5u8 {
        for page in 0..PAGES {
            let ended = write(&file, page, &marked(page, 1, round)).expect("a ticket");
            match ended.result() {
                Some(Ok(())) => known[page as usize] = round,
                _ => {
                    assert_eq!(failed(ended.outcome()), 5, "EIO");
                    // What is there now nobody knows: to be written again before it is read.
                    failures += 1;
                    assert!(is_done(&write(&file, page, &marked(page, 1, round)).expect("a ticket")));
                    known[page as usize] = round;
                }
            }
        }
        for page in 0..PAGES {
            let mut memory = blank(1);
            let ended = read(&file, page, &mut memory).expect("a ticket");
            if !is_done(&ended) {
                assert_eq!(failed(ended.outcome()), 5, "EIO");
                failures += 1;
                assert!(is_done(&read(&file, page, &mut memory).expect("a ticket")));
            }
            assert!(memory[0].0 == marked_page(page, known[page as usize]).0, "page {page} of round {round}");
        }
    }
    // 10,240 requests, the repeated ones and the kernel's own aside.
    assert!((9..=11).contains(&failures), "{failures} failures");
    assert_eq!(u32::try_from(failures), Ok(fragile.below.faults.failed.load(SeqCst)), "each was told");
}
