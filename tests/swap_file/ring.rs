//! Many requests at once: the same promises as one by one.

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use swap_dio::admit::Outcome;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Ended, Lent, Ring, RingError, SwapFile};
use swap_dio::reason::RequestFault;
use swap_dio::{PageCount, Reason};

use crate::allocations;
use crate::exact::{Disk, ON_LOOP};
use crate::machine::{ready, sh};
use crate::pages::{
    EXT4, OTHER, Page, XFS, blank, is_done, made, marked_page, mounted, open, read, request, served, within,
};

const LIMIT: Duration = Duration::from_secs(20);

fn ring(file: &SwapFile, depth: u16) -> Ring<'_> {
    Ring::new(file, depth, PageCount::new(32)).expect("a ring")
}

/// Fills memory with the pages that it shall be.
fn fill(memory: &mut [u8], first: u64, pages: u64, round: u8) {
    for (page, bytes) in (first..first + pages).zip(memory.chunks_exact_mut(4096)) {
        bytes.copy_from_slice(&marked_page(page, round).0);
    }
}

fn start<'f>(ring: &mut Ring<'f>, file: &'f SwapFile, memory: Lent, direction: Direction, first: u64, pages: u64) {
    let ticket = file.admit(&request(direction, first, pages)).expect("a ticket");
    ring.start(memory, ticket).map_err(|ended| ended.completion).expect("it is started");
}

fn next(ring: &mut Ring<'_>) -> Ended {
    ring.next(LIMIT).expect("a ring").expect("an end in time")
}

#[test]
fn every_page_with_128_at_once() {
    let disk = Disk::new(16);
    for kind in ["ext4", "xfs", "device"] {
        let fs = match kind {
            "device" => None,
            name => mounted(if name == "ext4" { EXT4 } else { XFS }),
        };
        let path = match (&fs, &disk) {
            (Some(fs), _) => made(fs, "f", 16),
            (None, Some(disk)) if kind == "device" => disk.device.clone(),
            (None, _) => return,
        };
        let file = open(&path, if fs.is_some() { &OTHER } else { &ON_LOOP }).expect("a file");
        let mut ring = ring(&file, 128);
        let mut random = fastrand::Rng::with_seed(7);
        // Whole ranges, each 1 to 32 pages, in a random order; twice, so that the second round is seen.
        let mut ranges = Vec::new();
        let mut first = 0;
        while first < 4096 {
            let pages = random.u64(1..=32).min(4096 - first);
            ranges.push((first, pages));
            first += pages;
        }
        let mut most = 0;
        for round in [1, 2] {
            random.shuffle(&mut ranges);
            let mut left = ranges.iter();
            loop {
                while let Some(mut memory) = ring.lend() {
                    let Some(&(first, pages)) = left.next() else {
                        ring.give_back(memory);
                        break;
                    };
                    fill(ring.memory_mut(&mut memory), first, pages, round);
                    start(&mut ring, &file, memory, Direction::Write, first, pages);
                }
                most = most.max(ring.in_flight());
                if ring.in_flight() == 0 {
                    break;
                }
                let ended = next(&mut ring);
                assert!(is_done(&ended.completion), "{kind}: {:?}", ended.completion);
                ring.give_back(ended.memory);
            }
        }
        assert_eq!(most, 128, "{kind}");
        for &(first, pages) in &ranges {
            let memory = ring.lend().expect("all is free");
            start(&mut ring, &file, memory, Direction::Read, first, pages);
            let ended = next(&mut ring);
            assert_eq!((ended.first.get(), ended.pages.get(), ended.direction), (first, pages, Direction::Read));
            for (page, bytes) in (first..first + pages).zip(ring.memory(&ended.memory).chunks_exact(4096)) {
                assert!(bytes == marked_page(page, 2).0, "{kind}: page {page}");
            }
            ring.give_back(ended.memory);
        }
        // The other engine sees the same.
        let mut memory = blank(1);
        for page in (0..4096).step_by(17) {
            assert!(is_done(&read(&file, page, &mut memory).expect("a ticket")));
            assert!(memory[0].0 == marked_page(page, 2).0, "{kind}: page {page}");
        }
        drop(ring);
        assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0), "{kind}");
    }
}

#[test]
fn a_ring_allocates_nothing_after_it_is_made() {
    let Some(fs) = mounted(EXT4) else { return };
    let path = made(&fs, "f", 4);
    let file = open(&path, &OTHER.revalidating_every(50)).expect("a file");
    let mut ring = ring(&file, 16);
    let mut turn = |rounds: u64| {
        for round in 0..rounds {
            for at in 0..16 {
                let memory = ring.lend().expect("memory");
                let direction = if at % 3 == 0 { Direction::Read } else { Direction::Write };
                start(&mut ring, &file, memory, direction, (round * 53 + at * 8) % 1000, 8);
            }
            while ring.in_flight() > 0 {
                let ended = next(&mut ring);
                assert!(is_done(&ended.completion));
                ring.give_back(ended.memory);
            }
        }
    };
    turn(4);
    let before = allocations::of_this_thread();
    turn(100);
    assert_eq!(allocations::of_this_thread() - before, 0);
}

#[test]
fn a_ring_that_is_dropped_waits_for_what_is_in_it() {
    let Some(fs) = mounted(XFS) else { return };
    let file = served(&made(&fs, "f", 4));
    let mut ring = ring(&file, 32);
    for at in 0..32 {
        let mut memory = ring.lend().expect("memory");
        fill(ring.memory_mut(&mut memory), at * 32, 32, 5);
        start(&mut ring, &file, memory, Direction::Write, at * 32, 32);
    }
    assert_eq!((ring.in_flight(), file.policy().in_flight()), (32, 32));
    drop(ring); // none was even sent
    assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0));
    let mut memory = blank(1);
    for page in 0..1024 {
        assert!(is_done(&read(&file, page, &mut memory).expect("a ticket")));
        assert!(memory[0].0 == marked_page(page, 5).0, "page {page}");
    }
}

/// A filesystem on which every write waits: until this is dropped, or a minute has passed.
struct Frozen {
    over: mpsc::Sender<()>,
    thawing: Option<JoinHandle<Result<String, String>>>,
}

impl Frozen {
    fn at(root: &Path) -> Self {
        sh(&format!("fsfreeze -f {}", root.display())).expect("frozen");
        let (root, (over, ended)) = (root.to_owned(), mpsc::channel());
        let thawing = std::thread::spawn(move || {
            let _ = ended.recv_timeout(Duration::from_secs(60));
            sh(&format!("fsfreeze -u {}", root.display()))
        });
        Self { over, thawing: Some(thawing) }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.over.send(());
        let thawed = self.thawing.take().map(JoinHandle::join);
        assert!(matches!(thawed, Some(Ok(Ok(_)))) || std::thread::panicking(), "{thawed:?}");
    }
}

#[test]
fn a_device_that_never_answers_holds_no_ring_for_ever() {
    let Some(fs) = mounted(EXT4).filter(|_| ready(&["losetup", "fsfreeze"])) else { return };
    let disk = Disk::within(&fs.root, 4);
    let file = open(&disk.device, &ON_LOOP).expect("a device");
    let mut ring = ring(&file, 8);
    let frozen = Frozen::at(&fs.root);
    for at in 0..4 {
        let mut memory = ring.lend().expect("memory");
        fill(ring.memory_mut(&mut memory), at * 32, 32, 3);
        start(&mut ring, &file, memory, Direction::Write, at * 32, 32);
    }
    assert!(ring.next(Duration::from_millis(500)).expect("a ring").is_none(), "nothing has ended");
    assert_eq!(std::iter::from_fn(|| ring.lend()).count(), 4, "what flies is lent to nobody");
    drop(ring); // by the test's own limit at the latest
    assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 4), "none is taken for done");
    // Later the device takes what it had, from memory that was left to it.
    drop(frozen);
    let mut memory = blank(1);
    for page in 0..128 {
        let right = |memory: &[Page]| memory[0].0 == marked_page(page, 3).0;
        let reads = || is_done(&read(&file, page, &mut memory).expect("a ticket")) && right(&memory);
        assert!(within(LIMIT, reads), "page {page}");
    }
}

#[test]
fn what_does_not_fit_together_fails_at_once() {
    let Some(fs) = mounted(EXT4) else { return };
    let (one, two) = (served(&made(&fs, "one", 1)), served(&made(&fs, "two", 1)));
    for (depth, pages) in [(0, 1), (129, 1), (1, 0), (1, 33)] {
        let refused = Ring::new(&one, depth, PageCount::new(pages)).map(drop).expect_err("refused");
        assert!(matches!(refused, RingError::Depth { .. } | RingError::Pages { .. }), "{depth} {pages}: {refused}");
    }
    let mut small = Ring::new(&one, 2, PageCount::new(2)).expect("a ring");
    let mut other = Ring::new(&one, 2, PageCount::new(2)).expect("a ring");
    let ticket = |file: &'static str| {
        let file = if file == "one" { &one } else { &two };
        file.admit(&request(Direction::Write, 5, 2)).expect("a ticket")
    };
    let is_other = |ended: &Ended| {
        matches!(ended.completion.outcome(), Outcome::Failed(Reason::Request(RequestFault::OtherRequest { .. })))
    };
    let ended = {
        let memory = small.lend().expect("memory");
        small.start(memory, ticket("two")).expect_err("of another file")
    };
    assert!(is_other(&ended));
    small.give_back(ended.memory);
    let long = one.admit(&request(Direction::Write, 5, 3)).expect("a ticket");
    let ended = {
        let memory = small.lend().expect("memory");
        small.start(memory, long).expect_err("of more pages than memory")
    };
    assert!(is_other(&ended));
    small.give_back(ended.memory);
    let mut foreign = other.lend().expect("memory");
    assert!(small.memory(&foreign).is_empty() && small.memory_mut(&mut foreign).is_empty());
    let ended = small.start(foreign, ticket("one")).expect_err("memory of another ring");
    assert!(is_other(&ended));
    small.give_back(ended.memory);
    assert_eq!(std::iter::from_fn(|| small.lend()).count(), 2, "no more than there are");
    assert_eq!((one.policy().in_flight(), two.policy().in_flight(), one.policy().dropped()), (0, 0, 0));
    assert!(small.next(Duration::from_millis(1)).expect("a ring").is_none(), "nothing is in it");
}

#[test]
fn short_is_an_error_in_a_ring_too() {
    let Some(disk) = Disk::new(1) else { return };
    let file = open(&disk.device, &ON_LOOP).expect("a device");
    let mut ring = ring(&file, 8);
    let image = sh(&format!("losetup -nO BACK-FILE {}", disk.device.display())).expect("its image");
    sh(&format!("truncate -s 512K {image}; losetup -c {}", disk.device.display())).expect("a smaller device");
    // A direction, the first page, what is returned for 16.
    let rows = [
        (Direction::Write, 100, 16 * 4096),
        (Direction::Read, 112, 16 * 4096),
        (Direction::Write, 120, -5),
        (Direction::Read, 120, -5),
        (Direction::Read, 200, -5),
        (Direction::Write, 200, -28),
    ];
    for (direction, first, expected) in rows {
        let memory = ring.lend().expect("memory");
        start(&mut ring, &file, memory, direction, first, 16);
        let ended = next(&mut ring);
        assert_eq!(ended.completion.to_kernel(), expected, "{direction:?} {first}: {:?}", ended.completion);
        ring.give_back(ended.memory);
    }
}
