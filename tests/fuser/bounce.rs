//! The pool: aligned, locked, of fixed size, back when dropped.

use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use swap_dio::fuse::adapter::{Bounce, BounceError};

use super::allocations;

#[test]
fn buffers_are_aligned_lent_and_come_back() {
    let pool = Bounce::new(2, 8192).expect("16 KiB may be locked");
    let (mut first, second) = (pool.take().expect("one"), pool.take().expect("two"));
    for buffer in [&first, &second] {
        assert_eq!((buffer.len(), buffer.as_ptr().align_offset(4096)), (8192, 0));
    }
    assert!(matches!(pool.take(), Err(BounceError::Exhausted { buffers: 2 })));
    assert_eq!(pool.take().expect_err("exhausted").to_string(), "all 2 buffers are in use");
    first.fill(7);
    drop(first);
    assert_eq!(pool.available(), 1);
    let copied = pool.copy(b"payload").expect("one is back");
    assert!(copied.starts_with(b"payload") && copied[7..].iter().all(|byte| *byte == 0));
    drop((copied, second));
    assert_eq!(pool.available(), 2);
    let error = pool.copy(&[0; 8193]).expect_err("too long").to_string();
    assert_eq!(error, "8193 bytes do not fit into a buffer of 8192");
    assert_eq!(pool.available(), 2, "a payload that is too long takes none");
}

#[test]
fn lending_allocates_nothing() {
    let pool = Bounce::new(3, 4096).expect("12 KiB may be locked");
    let counted = std::thread::scope(|scope| {
        let lend = || {
            let before = allocations::of_this_thread();
            for round in 0..1000u32 {
                let one = pool.copy(&round.to_ne_bytes()).expect("one");
                let two = pool.take().expect("two");
                let three = pool.take().expect("three");
                assert!(pool.take().is_err() && one[..4] == round.to_ne_bytes());
                drop((two, one, three));
            }
            allocations::of_this_thread() - before
        };
        scope.spawn(lend).join().expect("no panic")
    });
    assert_eq!(counted, 0);
}

#[test]
fn buffers_are_locked_and_there() {
    let pool = Bounce::new(4, 64 << 10).expect("256 KiB may be locked");
    let buffer = pool.take().expect("one");
    let address = buffer.as_ptr().addr();
    // Of the mapping that holds the buffer; neighbours may have been merged with it.
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let mut lines = maps.lines().skip_while(|line| !range(line).is_some_and(|range| range.contains(&address)));
    assert!(lines.next().is_some(), "{address:#x} is in no mapping");
    let facts: Vec<&str> = lines.take_while(|line| range(line).is_none()).collect();
    let kib = |name: &str| -> u64 {
        let line = facts.iter().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect(name)
    };
    assert!(kib("Locked:") >= 64 && kib("Rss:") >= 64, "{facts:#?}");
    assert!(facts.iter().any(|line| line.starts_with("VmFlags:") && line.contains(" lo")), "{facts:#?}");
}

/// The addresses of a mapping, if the line begins one.
fn range(line: &str) -> Option<std::ops::Range<usize>> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    Some(usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?)
}

#[test]
fn no_memory_is_an_error_and_no_abort() {
    let error = Bounce::new(1, usize::MAX >> 2).expect_err("no such memory");
    assert!(matches!(error, BounceError::Map { .. } | BounceError::Lock { .. }), "{error}");
    assert!(Bounce::new(1, 0).is_err(), "a buffer of nothing");
}

/// What it is for: fuser's payload is refused by direct I/O, its copy is not.
#[test]
fn direct_io_takes_what_it_lends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    std::fs::File::create(&path).expect("a file").write_all(&[0; 8192]).expect("8 KiB");
    let opened = std::fs::OpenOptions::new().write(true).read(true).custom_flags(libc::O_DIRECT).open(&path);
    let Ok(file) = opened else {
        println!("skipped: no direct I/O in {}", folder.path().display());
        return;
    };
    let pool = Bounce::new(1, 4096).expect("a page");
    let mut message = vec![5u8; 80 + 4096 + 4096];
    // 80 bytes after a page boundary, as in fuser's own buffer.
    let start = message.as_ptr().align_offset(4096) + 80;
    let payload = &mut message[start..start + 4096];
    payload.fill(9);
    if file.write_all_at(payload, 0).is_ok() {
        println!("this filesystem takes unaligned memory as well");
    }
    file.write_all_at(&pool.copy(payload).expect("one"), 4096).expect("aligned");
    let mut back = [0; 4096];
    std::fs::File::open(&path).expect("it").read_exact_at(&mut back, 4096).expect("4 KiB");
    assert_eq!(back, [9; 4096]);
}
