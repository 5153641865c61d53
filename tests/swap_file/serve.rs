//! What is admitted: every page is where it was written, page 0 too, and nothing is allocated on the way.

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags};
use swap_dio::admit::Outcome;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Hold, Times};
use swap_dio::reason::RequestFault;
use swap_dio::{PageCount, Reason, Release};

use crate::allocations;
use crate::pages::{
    EXT4, PAGE, XFS, blank, is_done, made, marked, marked_page, mounted, own_descriptor, read, request, served, write,
};

#[test]
fn every_page_is_where_it_was_written() {
    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 16);
        let file = served(&path);
        let pages = file.policy().map().totals().pages.get();
        assert_eq!((pages, file.size().get()), (4096, 16 << 20), "{}", kind.0);
        assert_eq!(file.hold(), Hold::Lease, "{}", kind.0);
        // All sizes of a request, page 0 among them: it is the header of whoever swaps to it.
        let (mut first, mut length) = (0, 1);
        while first < pages {
            let now = length.min(pages - first);
            let ended = write(&file, first, &marked(first, now, 1)).expect("a ticket");
            assert_eq!(ended.to_kernel(), i64::try_from(now * PAGE).expect("few"), "{}: {ended:?}", kind.0);
            (first, length) = (first + now, length % 32 + 1);
        }
        // Some again, out of order, and then all back in other pieces.
        for first in (7..pages - 32).rev().step_by(61) {
            assert!(is_done(&write(&file, first, &marked(first, 3, 2)).expect("a ticket")), "{}", kind.0);
        }
        let round = |page: u64| {
            let begun = (7..pages - 32).rev().step_by(61);
            if begun.into_iter().any(|first| (first..first + 3).contains(&page)) { 2 } else { 1 }
        };
        for first in (0..pages).step_by(32) {
            let mut memory = blank(32);
            assert!(is_done(&read(&file, first, &mut memory).expect("a ticket")), "{}", kind.0);
            for (page, got) in (first..).zip(&memory) {
                assert!(got.0 == marked_page(page, round(page)).0, "{}: page {page}", kind.0);
            }
        }
        assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0));
        assert!(file.policy().close().is_ok());
        drop(file);
        let plain = std::fs::File::open(&path).expect("the file");
        let mut bytes = [0; 4096];
        for page in 0..pages {
            plain.read_exact_at(&mut bytes, page * PAGE).expect("a page");
            assert!(bytes == marked_page(page, round(page)).0, "{}: page {page} of the file", kind.0);
        }
    }
}

#[test]
fn a_ticket_is_for_its_own_file_direction_and_memory() {
    let Some(fs) = mounted(EXT4) else { return };
    let (one, two) = (served(&made(&fs, "one", 1)), served(&made(&fs, "two", 1)));
    let mut memory = blank(2);
    let pieces = [IoSlice::new(&memory[0].0), IoSlice::new(&memory[1].0)];
    let ticket = |direction| one.admit(&request(direction, 5, 2)).expect("a ticket");
    let why = |completion: swap_dio::Completion| match completion.outcome() {
        Outcome::Failed(Reason::Request(fault)) => fault,
        other => panic!("{other:?}"),
    };
    let is_other = |fault| matches!(fault, RequestFault::OtherRequest { .. });
    assert!(is_other(why(two.write(ticket(Direction::Write), &pieces))), "of another file");
    assert!(is_other(why(one.write(ticket(Direction::Read), &pieces))), "of the other direction");
    assert!(is_other(why(one.write(ticket(Direction::Write), &pieces[..1]))), "too little memory");
    assert!(is_other(why(one.write(ticket(Direction::Write), &[]))), "no memory");
    let short = [IoSlice::new(&memory[0].0), IoSlice::new(&memory[1].0[..512])];
    assert!(matches!(why(one.write(ticket(Direction::Write), &short)), RequestFault::BufferLength { .. }));
    let mut unaligned = vec![0u8; 4096 * 3];
    let at = unaligned.as_ptr().align_offset(4096) + 1;
    let mut piece = [IoSliceMut::new(&mut unaligned[at..at + 8192])];
    assert!(matches!(why(one.read(ticket(Direction::Read), &mut piece)), RequestFault::BufferAlignment { .. }));
    assert_eq!((one.policy().in_flight(), one.policy().dropped()), (0, 0), "each has ended");
    assert!(one.policy().limit() == PageCount::new(32));
    assert!(write(&one, 255, &memory).is_err_and(|why| why.code() == "outside-area"));
    assert!(write(&one, 9, &blank(33)).is_err_and(|why| why.code() == "request-too-long"));
    assert!(read(&one, 5, &mut memory).is_ok());
}

#[test]
fn a_lease_keeps_others_out_and_is_taken_again() {
    let Some(fs) = mounted(XFS) else { return };
    let path = made(&fs, "f", 1);
    let file = served(&path);
    let open = |flags| rustix::fs::open(&path, flags | OFlags::NONBLOCK, Mode::empty());
    assert_eq!(open(OFlags::RDWR).map(drop), Err(rustix::io::Errno::AGAIN));
    assert_eq!(file.hold(), Hold::Lease, "whoever did not wait has changed nothing");
    assert_eq!(open(OFlags::RDONLY).map(drop), Err(rustix::io::Errno::AGAIN));
    assert_eq!(file.hold(), Hold::Lease);
    let again = crate::pages::open(&path, &crate::pages::OTHER);
    let text = again.map(drop).expect_err("it is served already").to_string();
    assert!(text.contains("somebody else has the file open, or holds"), "{text}");
    assert_eq!(file.hold(), Hold::Lease);
    assert!(is_done(&write(&file, 1, &marked(1, 1, 1)).expect("a ticket")));
    drop(file);
    // A child that another test has just forked has it until it runs its program.
    let is_free = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        open(OFlags::RDWR).is_ok()
    });
    assert!(is_free, "nothing is held any more");
}

#[test]
fn nothing_is_allocated_on_the_way() {
    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 4);
        // With a look at the file by every tenth request.
        let file = crate::pages::open(&path, &crate::pages::OTHER.revalidating_every(10)).expect("a file");
        let mut memory = marked(0, 32, 1);
        let run = |memory: &mut Vec<crate::pages::Page>, rounds: u64| {
            for round in 0..rounds {
                let first = round * 37 % 900;
                let [one, two, rest @ ..] = memory.as_mut_slice() else { panic!("32 pages") };
                let _ = rest;
                let ticket = file.admit(&request(Direction::Write, first, 2)).expect("a ticket");
                assert!(is_done(&file.write(ticket, &[IoSlice::new(&one.0), IoSlice::new(&two.0)])));
                let ticket = file.admit(&request(Direction::Read, first, 2)).expect("a ticket");
                assert!(is_done(&file.read(ticket, &mut [IoSliceMut::new(&mut one.0), IoSliceMut::new(&mut two.0)])));
                let refused = file.admit(&request(Direction::Read, 1023, 2));
                assert!(refused.is_err());
            }
        };
        run(&mut memory, 5);
        let before = allocations::of_this_thread();
        run(&mut memory, 500);
        assert_eq!(allocations::of_this_thread() - before, 0, "{}", kind.0);
        file.revalidate().expect("nothing has changed");
        assert_eq!(allocations::of_this_thread() - before, 0, "{}: looking again", kind.0);
    }
}

#[test]
fn times_are_left_alone_where_that_can_be_had() {
    // On 6.12 and 6.18 it was seen to do nothing for it.
    let is_old = Release::running().is_some_and(|release| release <= Release::new(6, 1));
    let lazy_times = if is_old { Times::InMemory } else { Times::Stamped };
    let lazy = ("ext4", EXT4.1, "mount -o lazytime $DEV $M");
    let rows =
        [("ext4", EXT4, Times::Stamped), ("ext4 with lazytime", lazy, lazy_times), ("XFS", XFS, Times::Untouched)];
    for (name, kind, expected) in rows {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 1);
        let file = served(&path);
        assert_eq!(file.times(), expected, "{name}");
        let warned = file.warnings().iter().any(|why| why.code() == "transaction-timestamp");
        assert_eq!(warned, expected == Times::Stamped, "{name}: {:?}", file.warnings());
        assert_eq!(warned, file.policy().promises().warning().is_some(), "{name}");
        let stamp = || {
            let stat = rustix::fs::fstat(own_descriptor(&path)).expect("its times");
            (stat.st_mtime, stat.st_mtime_nsec)
        };
        let before = stamp();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(is_done(&write(&file, 1, &marked(1, 4, 1)).expect("a ticket")), "{name}");
        assert_eq!(stamp() == before, expected == Times::Untouched, "{name}");
    }
}
