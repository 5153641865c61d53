//! What stops the service: a change below it. What was written before is still there, and growth is no change.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    FallocateFlags, IFlags, Mode, OFlags, fallocate, ftruncate, ioctl_ficlone, ioctl_getflags, ioctl_setflags,
};
use swap_dio::Reason;
use swap_dio::reason::ServedFault;

use crate::pages::{
    EXT4, OTHER, PAGE, XFS, blank, is_done, made, marked, marked_page, mounted, open, own_descriptor, punch, read,
    served, write,
};

/// What is done to the file behind the engine's back, by its own descriptor: the lease keeps all others out.
type Act = fn(&OwnedFd, &Path);

fn hole(fd: &OwnedFd, _: &Path) {
    punch(fd, 100, 1);
}

fn unwritten(fd: &OwnedFd, _: &Path) {
    fallocate(fd, FallocateFlags::ZERO_RANGE, 100 * PAGE, PAGE).expect("a zeroed range");
}

fn truncate(fd: &OwnedFd, _: &Path) {
    ftruncate(fd, 128 * PAGE).expect("a shorter file");
}

fn reflink(fd: &OwnedFd, folder: &Path) {
    let flags = OFlags::RDWR | OFlags::CREATE;
    let other = rustix::fs::open(folder.join("clone"), flags, Mode::from_raw_mode(0o600)).expect("a file");
    ioctl_ficlone(&other, fd).expect("a clone");
}

fn set(fd: &OwnedFd, flag: IFlags) {
    let flags = ioctl_getflags(fd).expect("its flags");
    ioctl_setflags(fd, flags | flag).expect("a flag");
}

fn immutable(fd: &OwnedFd, _: &Path) {
    set(fd, IFlags::IMMUTABLE);
}

fn append_only(fd: &OwnedFd, _: &Path) {
    set(fd, IFlags::APPEND);
}

fn grow(fd: &OwnedFd, _: &Path) {
    ftruncate(fd, 4 << 20).expect("a longer file");
    fallocate(fd, FallocateFlags::empty(), 1 << 20, 1 << 20).expect("more blocks");
}

fn keep_grown(fd: &OwnedFd, _: &Path) {
    fallocate(fd, FallocateFlags::KEEP_SIZE, 1 << 20, 1 << 20).expect("blocks past the end");
}

fn harmless(fd: &OwnedFd, _: &Path) {
    set(fd, IFlags::NODUMP);
    rustix::fs::fsync(fd).expect("a sync");
}

#[test]
fn a_change_stops_the_service_and_loses_nothing() {
    let hundred = |why: &ServedFault| matches!(why, ServedFault::Changed { range } if range.offset.get() == 100 * PAGE && range.length.get() == 156 * PAGE);
    // A write before the look was copied elsewhere.
    let shared = |why: &ServedFault| match why {
        ServedFault::Shared { .. } => true,
        ServedFault::Changed { range } => range.offset.get() >= 50 * PAGE,
        _ => false,
    };
    let attribute = |why: &ServedFault| matches!(why, ServedFault::Attribute { .. });
    let cut = |why: &ServedFault| matches!(why, ServedFault::Cut { was, now } if (was.get(), now.get()) == (1 << 20, 128 * PAGE));
    type Why<'a> = Option<&'a dyn Fn(&ServedFault) -> bool>;
    let rows: [(&str, Act, &str, Why<'_>); 9] = [
        ("a punched hole", hole, "", Some(&hundred)),
        ("a zeroed range", unwritten, "", Some(&hundred)),
        ("cut", truncate, "", Some(&cut)),
        ("reflinked", reflink, "xfs", Some(&shared)),
        ("immutable", immutable, "", Some(&attribute)),
        ("append-only", append_only, "", Some(&attribute)),
        ("grown", grow, "", None),
        ("preallocated past the end", keep_grown, "", None),
        ("a flag that is nothing to it", harmless, "", None),
    ];
    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        for (name, act, only, stops) in rows {
            if !only.is_empty() && only != kind.0 {
                continue;
            }
            let told = format!("{}, {name}", kind.0);
            let path = made(&fs, "f", 1);
            let file = open(&path, &OTHER.revalidating_every(8)).expect("a file");
            assert!(is_done(&write(&file, 10, &marked(10, 32, 1)).expect("a ticket")), "{told}");
            file.revalidate().unwrap_or_else(|why| panic!("{told}: {why}"));
            let descriptor = own_descriptor(&path);
            act(&descriptor, &fs.root);
            // By itself, within as many requests as were asked for.
            let refused = (0..9).find_map(|page| write(&file, 50 + page, &marked(50 + page, 1, 1)).err());
            match stops {
                None => {
                    assert_eq!(refused, None, "{told}");
                    file.revalidate().unwrap_or_else(|why| panic!("{told}: {why}"));
                    assert_eq!(file.stopped(), None, "{told}");
                }
                Some(expected) => {
                    let why = file.stopped();
                    let is_expected = matches!(why, Some(Reason::Served(fault)) if expected(&fault));
                    assert!(is_expected, "{told}: {why:?}");
                    assert_eq!(refused, why, "{told}: who met it is told");
                    assert_eq!(file.revalidate().err(), why, "{told}: for good");
                    let later = write(&file, 60, &marked(60, 1, 1)).err();
                    assert_eq!(later, why, "{told}: for every write");
                    // What is gone begins at page 100 at the earliest, or at the file's new end.
                    let mut memory = blank(32);
                    assert!(is_done(&read(&file, 10, &mut memory).expect("a ticket")), "{told}: is read back");
                    assert!((10..).zip(&memory).all(|(page, got)| got.0 == marked_page(page, 1).0), "{told}");
                    let is_gone = ["a punched hole", "a zeroed range", "cut"].contains(&name);
                    let last = read(&file, 255, &mut blank(1)).err();
                    assert_eq!(last, why.filter(|_| is_gone), "{told}: of the last page");
                }
            }
            clear(&descriptor);
            // The lease goes with the last of them.
            drop((descriptor, file));
            // What was written before is still there.
            let plain = std::fs::File::open(&path).expect("the file");
            let mut bytes = [0; 4096];
            for page in 10..42 {
                plain.read_exact_at(&mut bytes, page * PAGE).expect("a page");
                assert!(bytes == marked_page(page, 1).0, "{told}: page {page}");
            }
            fs.run(&fs.root, "rm -f f clone").expect("a clean folder");
        }
    }
}

fn clear(fd: impl AsFd) {
    let flags = ioctl_getflags(&fd).expect("its flags");
    ioctl_setflags(&fd, flags.difference(IFlags::IMMUTABLE | IFlags::APPEND)).expect("no flags");
}

#[test]
fn a_filesystem_that_is_shut_down_stops_it_too() {
    let Some(fs) = mounted(XFS) else { return };
    let path = made(&fs, "f", 1);
    let file = served(&path);
    fs.run(&fs.root, "xfs_io -x -c shutdown $M").expect("a shutdown");
    let ended = write(&file, 5, &marked(5, 2, 1)).expect("a ticket");
    assert_eq!(ended.to_kernel(), -5, "an error for the whole batch");
    let why = file.revalidate().expect_err("it cannot be looked at");
    assert_eq!(why.code(), "not-revalidated", "{why}");
    assert!(write(&file, 5, &marked(5, 2, 1)).is_err());
}
