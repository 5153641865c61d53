//! The flags of one call against an open file: `kiocb_set_rw_flags`, contract §5.1.

use swap_dio::Reason;
use swap_dio::flags::{Direction, Fmode, Fop, Iocb, Kernel, OpenFile, Rwf};
use swap_dio::reason::{Errno, FlagFault};

const HIPRI: u32 = 0x001;
const DSYNC: u32 = 0x002;
const SYNC: u32 = 0x004;
const NOWAIT: u32 = 0x008;
const APPEND: u32 = 0x010;
const NOAPPEND: u32 = 0x020;
const ATOMIC: u32 = 0x040;
const DONTCACHE: u32 = 0x080;
const NOSIGNAL: u32 = 0x100;

/// What each kernel knows.
const SUPPORTED: [(&Kernel, u32); 4] =
    [(&Kernel::HOWELLS_V3, 0x1f), (&Kernel::V6_1, 0x1f), (&Kernel::V6_12, 0x7f), (&Kernel::V6_18, 0x1ff)];

/// A file that takes everything.
const ABLE: OpenFile = OpenFile {
    mode: Fmode::NOWAIT.union(Fmode::CAN_ATOMIC_WRITE),
    operations: Fop::DONTCACHE,
    flags: Iocb::empty(),
    dax: false,
    append_only: false,
};

/// A file with every fault there is, opened with `O_APPEND`.
const UNABLE: OpenFile =
    OpenFile { mode: Fmode::empty(), operations: Fop::empty(), flags: Iocb::APPEND, dax: true, append_only: true };

/// Why not: the code, the flag if one is named, the errno.
type Fault = (&'static str, &'static str, Errno);

fn told(got: Result<Iocb, Reason>) -> Result<Iocb, Fault> {
    got.map_err(|reason| {
        let flag = match reason {
            Reason::Flags(FlagFault::Unsupported { flag, .. }) => flag,
            _ => "",
        };
        (reason.code(), flag, reason.errno().expect("the kernel answers with one"))
    })
}

const UNKNOWN: Fault = ("flags-unknown", "", Errno::EOPNOTSUPP);
const EXCLUSIVE: Fault = ("flags-exclusive", "", Errno::EINVAL);
const APPEND_ONLY: Fault = ("append-only", "", Errno::EPERM);

const fn unsupported(flag: &'static str) -> Fault {
    ("flag-unsupported", flag, Errno::EOPNOTSUPP)
}

/// The kernel's function, on the numbers of 6.18, in its order.
fn naive(file: &OpenFile, supported: u32, flags: u32, direction: Direction) -> Result<Iocb, Fault> {
    if flags & !supported != 0 {
        return Err(UNKNOWN);
    }
    if flags & APPEND != 0 && flags & NOAPPEND != 0 {
        return Err(EXCLUSIVE);
    }
    if flags & NOWAIT != 0 && !file.mode.contains(Fmode::NOWAIT) {
        return Err(unsupported("NOWAIT"));
    }
    if flags & ATOMIC != 0 && (direction == Direction::Read || !file.mode.contains(Fmode::CAN_ATOMIC_WRITE)) {
        return Err(unsupported("ATOMIC"));
    }
    if flags & DONTCACHE != 0 && (!file.operations.contains(Fop::DONTCACHE) || file.dax) {
        return Err(unsupported("DONTCACHE"));
    }
    let mut kiocb = file.flags;
    if flags & NOAPPEND != 0 && kiocb.contains(Iocb::APPEND) {
        if file.append_only {
            return Err(APPEND_ONLY);
        }
        kiocb -= Iocb::APPEND;
    }
    let word = flags & !NOAPPEND | if flags & SYNC != 0 { DSYNC } else { 0 };
    Ok(kiocb | Kernel::V6_18.iocb(word).expect("RWF_ and IOCB_ have the same numbers"))
}

#[test]
fn each_outcome_of_a_call() {
    use Direction::{Read, Write};
    let (v6_1, v6_12, v6_18) = (&Kernel::V6_1, &Kernel::V6_12, &Kernel::V6_18);
    let no_nowait = OpenFile { mode: Fmode::CAN_ATOMIC_WRITE, ..ABLE };
    let no_atomic = OpenFile { mode: Fmode::NOWAIT, ..ABLE };
    let no_dontcache = OpenFile { operations: Fop::all() - Fop::DONTCACHE, ..ABLE };
    let dax = OpenFile { dax: true, ..ABLE };
    let appending = OpenFile { flags: Iocb::APPEND | Iocb::DIRECT, ..ABLE };
    let append_only = OpenFile { append_only: true, ..appending };
    let not_appending = OpenFile { append_only: true, ..ABLE };
    type Case<'a> = (&'static str, &'a OpenFile, &'a Kernel, u32, Direction, Result<Iocb, Fault>);
    let cases: &[Case<'_>] = &[
        ("nothing asked", &UNABLE, v6_1, 0, Read, Ok(Iocb::APPEND)),
        ("what the file was opened with", &appending, v6_18, 0, Write, Ok(Iocb::APPEND | Iocb::DIRECT)),
        ("hipri", &UNABLE, v6_1, HIPRI, Read, Ok(Iocb::APPEND | Iocb::HIPRI)),
        ("dsync", &ABLE, v6_1, DSYNC, Write, Ok(Iocb::DSYNC)),
        ("sync is dsync too", &ABLE, v6_1, SYNC, Write, Ok(Iocb::SYNC | Iocb::DSYNC)),
        ("nowait", &ABLE, v6_1, NOWAIT, Read, Ok(Iocb::NOWAIT)),
        ("append", &ABLE, v6_1, APPEND, Write, Ok(Iocb::APPEND)),
        ("append, also on an append-only file", &append_only, v6_18, APPEND, Write, Ok(appending.flags)),
        ("no append clears", &appending, v6_12, NOAPPEND, Write, Ok(Iocb::DIRECT)),
        ("no append, nothing to clear", &not_appending, v6_18, NOAPPEND, Write, Ok(Iocb::empty())),
        ("atomic", &ABLE, v6_12, ATOMIC, Write, Ok(Iocb::ATOMIC)),
        ("dontcache", &ABLE, v6_18, DONTCACHE, Read, Ok(Iocb::DONTCACHE)),
        ("nosignal", &UNABLE, v6_18, NOSIGNAL, Write, Ok(Iocb::APPEND | Iocb::NOSIGNAL)),
        ("no append on 6.1", &ABLE, v6_1, NOAPPEND, Write, Err(UNKNOWN)),
        ("atomic on 6.1", &ABLE, v6_1, ATOMIC, Write, Err(UNKNOWN)),
        ("dontcache on 6.12", &ABLE, v6_12, DONTCACHE, Write, Err(UNKNOWN)),
        ("nosignal on 6.12", &ABLE, v6_12, NOSIGNAL, Write, Err(UNKNOWN)),
        ("a bit that nobody has", &ABLE, v6_18, 0x200, Write, Err(UNKNOWN)),
        ("append and no append", &ABLE, v6_12, APPEND | NOAPPEND, Write, Err(EXCLUSIVE)),
        ("nowait, and the file blocks", &no_nowait, v6_1, NOWAIT, Write, Err(unsupported("NOWAIT"))),
        ("an atomic read", &ABLE, v6_12, ATOMIC, Read, Err(unsupported("ATOMIC"))),
        ("atomic, and the file is not", &no_atomic, v6_18, ATOMIC, Write, Err(unsupported("ATOMIC"))),
        ("dontcache, and no operation", &no_dontcache, v6_18, DONTCACHE, Read, Err(unsupported("DONTCACHE"))),
        ("dontcache, on dax", &dax, v6_18, DONTCACHE, Write, Err(unsupported("DONTCACHE"))),
        ("no append, append only", &append_only, v6_18, NOAPPEND, Write, Err(APPEND_ONLY)),
        // Several faults at once: which is told.
        ("1. unknown", &UNABLE, v6_18, 0xffff_ffff, Read, Err(UNKNOWN)),
        ("2. exclusive", &UNABLE, v6_18, 0x1ff, Read, Err(EXCLUSIVE)),
        ("3. nowait", &UNABLE, v6_18, 0x1ff - APPEND, Read, Err(unsupported("NOWAIT"))),
        ("4. atomic", &UNABLE, v6_18, 0x1ff - APPEND - NOWAIT, Read, Err(unsupported("ATOMIC"))),
        ("5. dontcache", &UNABLE, v6_18, DONTCACHE | NOAPPEND, Read, Err(unsupported("DONTCACHE"))),
        ("6. append only", &UNABLE, v6_18, NOAPPEND | NOSIGNAL | SYNC, Read, Err(APPEND_ONLY)),
    ];
    for (name, file, kernel, flags, direction, expected) in cases {
        assert_eq!(told(file.kiocb_flags(kernel, *flags, *direction)), *expected, "{name}");
    }
}

#[test]
fn a_refusal_names_the_bits_and_the_cause() {
    let (v6_1, v6_18) = (&Kernel::V6_1, &Kernel::V6_18);
    let dax = OpenFile { dax: true, ..ABLE };
    let cases = [
        (ABLE, v6_1, 0x1ff, "Linux 6.1 knows no flags 0x1e0 of preadv2 and pwritev2"),
        (ABLE, v6_18, 0x8000_0001, "Linux 6.18 knows no flags 0x80000000 of preadv2 and pwritev2"),
        (UNABLE, v6_18, ATOMIC, "RWF_ATOMIC is not supported: no FMODE_CAN_ATOMIC_WRITE"),
        (UNABLE, v6_18, DONTCACHE, "RWF_DONTCACHE is not supported: no FOP_DONTCACHE"),
        (dax, v6_18, DONTCACHE, "RWF_DONTCACHE is not supported: a DAX file has no page cache"),
    ];
    for (file, kernel, flags, expected) in cases {
        let refused = file.kiocb_flags(kernel, flags, Direction::Write).expect_err(expected);
        assert_eq!(refused.to_string(), expected);
    }
    let read = UNABLE.kiocb_flags(v6_18, ATOMIC, Direction::Read).expect_err("direction before file");
    assert_eq!(read.to_string(), "RWF_ATOMIC is not supported: only a write is atomic");
}

#[test]
fn every_call_on_every_file_is_answered_as_the_kernel_does() {
    for (kernel, supported) in SUPPORTED {
        assert_eq!(kernel.supported_rwf(), Rwf::from_bits_retain(supported), "{}", kernel.name());
        for file in files() {
            for direction in Direction::ALL {
                let beyond = (9..32).map(|bit| 1 << bit | HIPRI);
                for flags in (0..512).chain(beyond) {
                    let got = told(file.kiocb_flags(kernel, flags, direction));
                    let expected = naive(&file, supported, flags, direction);
                    assert_eq!(got, expected, "{}, {flags:#x}, {direction:?}, {file:?}", kernel.name());
                }
            }
        }
    }
}

/// Every file that differs in what is asked of it.
fn files() -> impl Iterator<Item = OpenFile> {
    (0..128u32).map(|choice| {
        let is = |bit: u32| choice & 1 << bit != 0;
        let mut file = OpenFile { dax: is(0), append_only: is(1), ..OpenFile::default() };
        file.mode.set(Fmode::NOWAIT, is(2));
        file.mode.set(Fmode::CAN_ATOMIC_WRITE, is(3));
        file.operations.set(Fop::DONTCACHE, is(4));
        file.flags.set(Iocb::APPEND, is(5));
        file.flags.set(Iocb::DIRECT | Iocb::DSYNC, is(6));
        file
    })
}
