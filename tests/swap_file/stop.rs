//! Once the service has stopped nothing is written, whoever was admitted before; and what stops it.

use std::io::IoSlice;

use rustix::fs::{IFlags, fstat, ioctl_getflags, ioctl_setflags};
use swap_dio::admit::Outcome;
use swap_dio::flags::Direction;
use swap_dio::reason::Class;

use crate::pages::{
    EXT4, XFS, blank, is_done, made, marked, mounted, own_descriptor, punch, read, request, served, write,
};

#[test]
fn what_was_admitted_before_is_not_written_after() {
    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 1);
        let file = served(&path);
        let memory = marked(100, 1, 1);
        let ticket = file.admit(&request(Direction::Write, 100, 1)).expect("a ticket");
        let descriptor = own_descriptor(&path);
        punch(&descriptor, 100, 2);
        let before = fstat(&descriptor).expect("its blocks").st_blocks;
        let why = file.revalidate().expect_err("it has changed");
        let ended = file.write(ticket, &[IoSlice::new(&memory[0].0)]);
        assert!(matches!(ended.outcome(), Outcome::Failed(reason) if reason == why), "{}: {ended:?}", kind.0);
        assert_eq!(fstat(&descriptor).expect("its blocks").st_blocks, before, "{}: nothing is allocated", kind.0);
        assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0), "{}", kind.0);
    }
}

/// Nobody keeps it still any more: what goes later is not read either.
#[test]
fn what_is_lost_after_the_stop_is_seen_too() {
    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 1);
        let file = served(&path);
        assert!(is_done(&write(&file, 100, &marked(100, 1, 1)).expect("a ticket")));
        let descriptor = own_descriptor(&path);
        let flags = ioctl_getflags(&descriptor).expect("its flags");
        ioctl_setflags(&descriptor, flags | IFlags::APPEND).expect("a flag");
        let why = file.revalidate().expect_err("it has changed");
        ioctl_setflags(&descriptor, flags).expect("as before");
        assert!(is_done(&read(&file, 100, &mut blank(1)).expect("a ticket")), "{}", kind.0);
        punch(&descriptor, 100, 1);
        assert_eq!(file.revalidate().err(), Some(why), "{}: the first reason stays", kind.0);
        assert_eq!(read(&file, 100, &mut blank(1)).err(), Some(why), "{}: no zeros for a page", kind.0);
        assert!(is_done(&read(&file, 99, &mut blank(1)).expect("a ticket")), "{}", kind.0);
    }
}

#[cfg(feature = "io-uring")]
#[test]
fn what_waits_in_a_ring_is_not_sent_after() {
    use std::time::Duration;

    use swap_dio::PageCount;
    use swap_dio::linux::swap_file::Ring;

    for kind in [EXT4, XFS] {
        let Some(fs) = mounted(kind) else { return };
        let path = made(&fs, "f", 1);
        let file = served(&path);
        let mut ring = Ring::new(&file, 4, PageCount::new(1)).expect("a ring");
        // The page that was punched, and one that is read as before.
        for (direction, page) in [(Direction::Write, 100), (Direction::Write, 3), (Direction::Read, 3)] {
            let ticket = file.admit(&request(direction, page, 1)).expect("a ticket");
            let memory = ring.lend().expect("memory");
            ring.start(memory, ticket).map_err(|ended| ended.completion).expect("started");
        }
        let descriptor = own_descriptor(&path);
        punch(&descriptor, 100, 1);
        let before = fstat(&descriptor).expect("its blocks").st_blocks;
        let why = file.revalidate().expect_err("it has changed");
        for _ in 0..3 {
            let ended = ring.next(Duration::from_secs(20)).expect("a ring").expect("an end");
            match ended.direction {
                Direction::Read => assert!(is_done(&ended.completion), "{}: {ended:?}", kind.0),
                Direction::Write => {
                    assert!(
                        matches!(ended.completion.outcome(), Outcome::Failed(reason) if reason == why),
                        "{ended:?}"
                    );
                }
            }
            ring.give_back(ended.memory);
        }
        assert_eq!(fstat(&descriptor).expect("its blocks").st_blocks, before, "{}: nothing is allocated", kind.0);
        assert_eq!(std::iter::from_fn(|| ring.lend()).count(), 4, "{}: all memory is back", kind.0);
        drop(ring);
        assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0), "{}", kind.0);
    }
}

/// One look without an answer is no change; three in a row are an end.
#[test]
fn a_look_that_the_kernel_has_no_memory_for_is_made_again() {
    let Some(fs) = mounted(EXT4) else { return };
    let path = made(&fs, "f", 1);
    let file = served(&path);
    let looks = |count: u32| {
        let looks = || {
            no_extents::fail_with(libc::ENOMEM);
            (0..count).map(|_| file.revalidate().expect_err("no answer").code()).collect::<Vec<_>>()
        };
        // The filter is the thread's, and ends with it.
        std::thread::scope(|scope| scope.spawn(looks).join().expect("a thread"))
    };
    for _ in 0..2 {
        assert_eq!(looks(2), ["not-revalidated"; 2]);
        assert_eq!(file.stopped(), None);
        file.revalidate().expect("nothing has changed");
        assert!(is_done(&write(&file, 1, &marked(1, 1, 1)).expect("a ticket")));
    }
    assert_eq!(looks(3), ["not-revalidated"; 3]);
    let why = file.stopped().expect("that was too much");
    assert_eq!(why.class(), Class::Permanent, "{why}");
    assert_eq!(write(&file, 1, &marked(1, 1, 1)).err(), Some(why));
    assert!(is_done(&read(&file, 1, &mut blank(1)).expect("a ticket")), "and every page is still read");
}

/// Has the kernel answer every FIEMAP of the calling thread with an error.
mod no_extents {
    #![allow(unsafe_code)] // a filter of system calls is a table that the kernel copies

    use libc::{c_int, c_ulong, sock_filter, sock_fprog};

    pub(super) fn fail_with(errno: c_int) {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
        const FIEMAP: u32 = 0xc020_660b;
        let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
        // The number of the call, then the low half of its second argument.
        let second = if cfg!(target_endian = "big") { 28 } else { 24 };
        let mut lines = [
            line(LOAD, 0, 0, 0),
            line(IS, 0, 3, u32::try_from(libc::SYS_ioctl).expect("a number")),
            line(LOAD, 0, 0, second),
            line(IS, 0, 1, FIEMAP),
            line(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | u32::try_from(errno).expect("an error")),
            line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = sock_fprog { len: 6, filter: lines.as_mut_ptr() };
        let none: c_ulong = 0;
        // SAFETY: the program points to six lines that live until the call has returned; the kernel copies them. The
        // filter is the calling thread's alone, and needs that it gains no privileges.
        let set = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, none, none, none) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program) == 0
        };
        assert!(set, "a filter: {}", std::io::Error::last_os_error());
    }
}
