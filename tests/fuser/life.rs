//! From OPEN over BMAP to RELEASE, spoken raw: what is answered, what is refused meanwhile, and when a file is let go.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use swap_dio::fuse::adapter::{Pinned, SwapGuard};
use swap_dio::guard::{Operation, Relocation, Ruling};

use super::forward::setattr;
use super::tiny::{Knobs, MADE, ROOT, Tiny, TinyFile};
use super::wire::{Body, Peer, op};

const KIB: u64 = 1 << 10;
const O_TRUNC: u32 = 0o1000;
const O_EXCL: u32 = 0o200;
const PERM: i32 = 1;
const IO: i32 = 5;
const AGAIN: i32 = 11;
const ACCES: i32 = 13;
const TXTBSY: i32 = 26;
const NOSYS: i32 = 38;
pub(crate) const NONE: [u64; 0] = [];

/// A served filesystem of three files of 64 KiB, two of which may be held at once.
pub(crate) struct Served {
    pub(crate) peer: Peer,
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) knobs: Arc<Knobs>,
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::with_threads(1)
    }

    pub(crate) fn with_threads(threads: usize) -> Self {
        let files = (0..3).map(|n| TinyFile::new(&[((1 + 100 * n) << 20, 40 * KIB), ((50 + 100 * n) << 20, 24 * KIB)]));
        let (tiny, knobs) = Tiny::new(files.collect());
        let guard = SwapGuard::new(tiny, 2);
        let pinned = guard.pinned();
        Self { peer: Peer::with_threads(guard, threads), pinned, knobs }
    }

    pub(crate) fn open(&mut self, ino: u64) {
        self.peer.ask(op::OPEN, ino, Body::new().u32(0x8002).u32(0)).expect("OPEN");
    }

    pub(crate) fn release(&mut self, ino: u64) {
        self.peer.ask(op::RELEASE, ino, Body::new().u64(0).u32(0x8002).u32(0).u64(0)).expect("RELEASE");
    }

    pub(crate) fn bmap(&mut self, ino: u64, index: u64, block_size: u32) -> Result<u64, i32> {
        let answer = self.peer.ask(op::BMAP, ino, Body::new().u64(index).u32(block_size).u32(0))?;
        Ok(u64::from_ne_bytes(answer.try_into().expect("fuse_bmap_out")))
    }

    /// As swapon does.
    pub(crate) fn burst(&mut self, ino: u64) {
        for index in 0..16 {
            assert_ne!(self.bmap(ino, index, 4096), Ok(0), "block {index} of file {ino}");
        }
    }

    pub(crate) fn forget(&mut self, ino: u64) {
        self.peer.tell(op::FORGET, ino, Body::new().u64(1));
        // What comes after it is answered after it.
        self.peer.ask(op::STATFS, ROOT, Body::new()).expect("STATFS");
    }

    pub(crate) fn held(&self) -> Vec<u64> {
        let mut held: Vec<u64> = self.pinned.held().collect();
        held.sort_unstable();
        held
    }
}

/// What may be tried on file 2 by any path, and the kernel's operation that it is.
pub(crate) fn attempts() -> Vec<(&'static str, Operation, u32, u64, Body)> {
    let b = Body::new;
    let name = "swapfile2";
    let write = |size: u32| b().u64(0).u64(0).u32(size).u32(0).u64(0).u32(0x8001).u32(0).bytes(&[7; 512]);
    let copy = |to: u64| b().u64(0).u64(0).u64(to).u64(0).u64(0).u64(4096).u64(0);
    let create = |flags: u32| b().u32(0o102 | flags).u32(0o644).u32(0o22).u32(0).name(name);
    vec![
        ("write", Operation::Write, op::WRITE, 2, write(512)),
        ("shrink", Operation::TruncateDown, op::SETATTR, 2, setattr(8, 4096)),
        ("same size", Operation::TruncateDown, op::SETATTR, 2, setattr(8, 64 * KIB)),
        ("grow", Operation::TruncateUp, op::SETATTR, 2, setattr(8, 64 * KIB + 1)),
        ("chmod", Operation::SetAttributes, op::SETATTR, 2, setattr(1, 0)),
        ("fallocate", Operation::Allocate, op::FALLOCATE, 2, b().u64(0).u64(0).u64(4096).u32(3).u32(0)),
        ("copy out of", Operation::CopyRange, op::COPY_FILE_RANGE, 2, copy(3)),
        ("copy into", Operation::CopyRange, op::COPY_FILE_RANGE, 3, copy(2)),
        ("unlink", Operation::Unlink, op::UNLINK, ROOT, b().name(name)),
        ("rename", Operation::Rename, op::RENAME, ROOT, b().u64(ROOT).name(name).name("other")),
        ("rename over", Operation::Rename, op::RENAME2, ROOT, b().u64(ROOT).u32(0).u32(0).name("other").name(name)),
        ("exchange", Operation::Rename, op::RENAME2, ROOT, b().u64(ROOT).u32(2).u32(0).name("swapfile3").name(name)),
        ("open, O_TRUNC", Operation::TruncateDown, op::OPEN, 2, b().u32(O_TRUNC | 1).u32(0)),
        ("create, O_TRUNC", Operation::TruncateDown, op::CREATE, ROOT, create(O_TRUNC | O_EXCL)),
    ]
}

#[test]
fn a_held_file_is_guarded_as_the_kernel_guards_it_and_then_let_go() {
    let mut served = Served::start();
    served.open(2);
    served.burst(2);
    assert_eq!(served.held(), [2]);
    for (name, operation, opcode, node, body) in attempts() {
        let before = served.knobs.passed.load(SeqCst);
        let answer = served.peer.ask(opcode, node, body).map(|_| ());
        let passed = served.knobs.passed.load(SeqCst) - before;
        match operation.ruling() {
            Ruling::Refused(errno) => assert_eq!((answer, passed), (Err(errno.number()), 0), "{name}"),
            Ruling::Allowed => assert_eq!((answer, passed), (Ok(()), 1), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // Another file may be written to.
    let write = Body::new().u64(0).u64(0).u32(4).u32(0).u64(0).u32(0x8001).u32(0).bytes(b"data");
    assert!(served.peer.ask(op::WRITE, 3, write).is_ok());
    served.peer.ask(op::UNLINK, ROOT, Body::new().name("swapfile3")).expect("not held");

    // swapoff opens the path itself, and closes it first.
    served.open(2);
    served.release(2);
    assert_eq!(served.held(), [2]);
    served.release(2);
    assert_eq!(served.held(), NONE);
    for (name, _, opcode, node, body) in attempts() {
        let before = served.knobs.passed.load(SeqCst);
        assert!(served.peer.ask(opcode, node, body).is_ok(), "{name} after swapoff");
        assert_eq!(served.knobs.passed.load(SeqCst) - before, 1, "{name} after swapoff");
    }
}

#[test]
fn the_errnos_are_the_kernels() {
    let mut served = Served::start();
    served.open(2);
    served.burst(2);
    let expected = |name| match name {
        "unlink" | "rename" | "rename over" | "exchange" => Some(PERM),
        "grow" | "chmod" => None,
        _ => Some(TXTBSY),
    };
    for (name, _, opcode, node, body) in attempts() {
        assert_eq!(served.peer.ask(opcode, node, body).err(), expected(name), "{name}");
    }
}

#[test]
fn blocks_are_told_by_extent_and_the_table_has_an_end() {
    let mut served = Served::start();
    for ino in [2, 3, 4] {
        served.open(ino);
    }
    let blocks: Vec<_> = (0..17).map(|index| served.bmap(2, index, 4096)).collect();
    let expected = (0..10).map(|n| Ok(256 + n)).chain((0..6).map(|n| Ok((50 << 8) + n))).chain([Ok(0)]);
    assert_eq!(blocks, expected.collect::<Vec<_>>());
    assert_eq!(served.bmap(2, 81, 512), Ok((50 << 11) + 1));
    served.burst(3);
    assert_eq!(served.held(), [2, 3]);
    // Two may be held: of a third nothing is told, rather than told and not held.
    assert_eq!((served.bmap(4, 0, 4096), served.held()), (Ok(0), vec![2, 3]));
    served.release(3);
    served.burst(4);
    assert_eq!(served.held(), [2, 4]);
    assert_eq!(served.bmap(3, 0, 4096), Ok(0));
}

#[test]
fn who_only_looks_at_what_no_swap_could_use_holds_nothing() {
    let mut served = Served::start();
    served.open(2);
    assert_eq!((served.bmap(2, 16, 4096), served.held()), (Ok(0), vec![]), "past the end");
    assert_eq!((served.bmap(2, 0, 4095), served.held()), (Err(22), vec![]), "no block size");
    assert_eq!((served.bmap(1, 0, 4096), served.held()), (Ok(0), vec![]), "a folder");
}

#[test]
fn hostile_numbers_get_no_block_and_never_enosys() {
    let mut served = Served::start();
    served.open(2);
    let odd = [0, 1, 15, 16, 17, 1 << 31, 1 << 32, 1 << 52, 1 << 63, u64::MAX - 1, u64::MAX];
    let sizes = [0, 1, 2, 511, 512, 4095, 4096, 65536, 1 << 30, 1 << 31, u32::MAX];
    for ino in odd.into_iter().chain([2, 3]) {
        for index in odd {
            for size in sizes {
                let answer = served.bmap(ino, index, size);
                assert_ne!(answer, Err(NOSYS), "{ino} {index} {size}");
                let legal = size.is_power_of_two() && size >= 512 && index.checked_mul(size.into()).is_some();
                let inside = legal && (ino == 2 || ino == 3) && (index + 1) * u64::from(size) <= 64 * KIB;
                assert!(inside || !matches!(answer, Ok(1..)), "{ino} {index} {size}: {answer:?}");
            }
        }
    }
    assert!(served.held().iter().all(|ino| [2, 3].contains(ino)));
    // Others are not harmed by what was asked, nor by what nobody knows.
    for opcode in [7, 48, 49, 51, 52, 99, 4096, u32::MAX] {
        assert_eq!(served.peer.ask(opcode, 2, Body::new().u64(0)), Err(NOSYS), "opcode {opcode}");
    }
    for ino in [0, 5, u64::MAX] {
        served.release(ino);
        served.forget(ino);
    }
    served.burst(2);
}

#[test]
fn an_open_that_is_refused_is_not_counted_and_one_that_fails_is_held_until_forgotten() {
    let mut served = Served::start();
    served.knobs.refuses.store(2, SeqCst);
    assert_eq!(served.peer.ask(op::OPEN, 2, Body::new().u32(2).u32(0)), Err(ACCES));
    served.knobs.refuses.store(0, SeqCst);
    served.open(2);
    served.burst(2);
    served.release(2);
    assert_eq!(served.held(), NONE, "a refused OPEN was counted");

    served.knobs.fails.store(2, SeqCst);
    assert_eq!(served.peer.ask(op::OPEN, 2, Body::new().u32(2).u32(0)), Err(IO));
    served.knobs.fails.store(0, SeqCst);
    served.open(2);
    served.burst(2);
    served.release(2);
    assert_eq!(served.held(), [2], "nobody knows that one failed");
    served.forget(2);
    assert_eq!(served.held(), [2], "one of several lookups was forgotten");
    served.knobs.forgotten.store(2, SeqCst);
    served.forget(3);
    assert_eq!(served.held(), [2], "another file was forgotten");
    served.peer.tell(op::BATCH_FORGET, 0, Body::new().u32(1).u32(0).u64(2).u64(1));
    served.peer.ask(op::STATFS, ROOT, Body::new()).expect("STATFS");
    assert_eq!(served.held(), NONE);
}

#[test]
fn without_handles_only_forgetting_lets_go() {
    let mut served = Served::start();
    served.knobs.stateless.store(1, SeqCst);
    assert_eq!(served.peer.ask(op::OPEN, 2, Body::new().u32(2).u32(0)), Err(NOSYS));
    served.burst(2);
    assert_eq!(served.held(), [2]);
    served.forget(2);
    assert_eq!(served.held(), [2]);
    served.knobs.forgotten.store(2, SeqCst);
    served.forget(2);
    assert_eq!(served.held(), NONE);
}

#[test]
fn a_handle_from_before_the_first_enosys_tells_no_end() {
    let mut served = Served::start();
    served.open(2);
    served.knobs.stateless.store(1, SeqCst);
    // Whichever file it was about: from now on swapon's handle is not told.
    assert_eq!(served.peer.ask(op::OPEN, 3, Body::new().u32(2).u32(0)), Err(NOSYS));
    served.burst(2);
    served.release(2);
    assert_eq!(served.held(), [2]);
    served.knobs.forgotten.store(2, SeqCst);
    served.forget(2);
    assert_eq!(served.held(), NONE);
}

#[test]
fn what_the_kernel_sends_only_for_what_is_no_area_lets_go() {
    const CACHE: u32 = 1;
    let write =
        |flags: u32| (op::WRITE, Body::new().u64(0).u64(0).u32(4).u32(flags).u64(0).u32(0x8001).u32(0).bytes(b"data"));
    let size = |bytes: u64| (op::SETATTR, setattr(8, bytes));
    // What the filesystem tells of its connection, a request, and whether it lets go.
    let cases = [
        ("nothing told", 0, write(0), false),
        ("nothing told", 0, size(0), false),
        ("a write", 1, write(0), true),
        ("a write that kills set-id bits, of a lock's owner", 1, write(0b110), true),
        ("a write from the page cache", 1, write(CACHE), false),
        ("a flag that nobody knows", 1, write(1 << 9), false),
        ("a write that may be old", 2, write(0), false),
        ("cut to nothing", 1, size(0), true),
        ("cut to nothing", 2, size(0), true),
        ("cut to something", 1, size(4096), false),
    ];
    for (name, connection, (opcode, body), lets_go) in cases {
        for stateless in [0, 1] {
            let mut served = Served::start();
            served.knobs.stateless.store(stateless, SeqCst);
            let _ = served.peer.ask(op::OPEN, 2, Body::new().u32(2).u32(0));
            served.burst(2);
            served.knobs.connection.store(connection, SeqCst);
            let answer = served.peer.ask(opcode, 2, body.clone()).map(|_| ());
            let expected = if lets_go { (Ok(()), vec![]) } else { (Err(TXTBSY), vec![2]) };
            assert_eq!((answer, served.held()), expected, "{name}, connection {connection}, stateless {stateless}");
            // The next swapon holds it again.
            served.burst(2);
            assert_eq!(served.held(), [2], "{name}");
        }
    }
}

#[test]
fn a_handle_of_create_counts() {
    let mut served = Served::start();
    let create = Body::new().u32(0o102).u32(0o644).u32(0o22).u32(0).name("made");
    served.peer.ask(op::CREATE, ROOT, create).expect("CREATE");
    served.open(MADE);
    served.burst(MADE);
    // Whichever of the two it was: swapon may have the other.
    served.release(MADE);
    assert_eq!(served.held(), [MADE]);
    served.release(MADE);
    assert_eq!(served.held(), NONE);
}

#[test]
fn blocks_do_not_move_while_they_are_told_nor_are_told_while_they_move() {
    let mut served = Served::start();
    served.open(2);
    let pinned = Arc::clone(&served.pinned);
    let moving = pinned.relocate(2, Relocation::Defragment).expect("not held");
    let again = pinned.relocate(2, Relocation::Share).expect("two at once");
    assert_eq!((served.bmap(2, 0, 4096), served.held()), (Err(AGAIN), vec![]));
    drop(moving);
    assert_eq!(served.bmap(2, 0, 4096), Err(AGAIN));
    drop(again);
    served.burst(2);
    for act in Relocation::ALL {
        let reason = pinned.relocate(2, act).expect_err("held");
        assert!(reason.to_string().contains(act.words()), "{reason}");
        assert!(pinned.relocate(3, act).is_ok());
    }
    served.release(2);
    assert!(pinned.relocate(2, Relocation::Free).is_ok());
}

#[test]
fn a_file_whose_handles_could_not_be_counted_gets_no_answer() {
    let mut served = Served::start();
    // All entries are taken by files that are only open.
    for ino in 1000..2026 {
        served.open(ino);
    }
    served.open(2);
    served.release(1000);
    served.open(2);
    assert_eq!((served.bmap(2, 0, 4096), served.held()), (Ok(0), vec![]), "one handle is counted, one is not");
    served.release(2);
    assert_eq!(served.bmap(2, 0, 4096), Ok(0));
    served.release(2);
    served.open(2);
    served.burst(2);
    served.release(2);
    assert_eq!(served.held(), NONE);
}
