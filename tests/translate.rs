//! A kiocb's flags to a request's and to ublk's word, over every set of flags there is: 2^18 of them, each in both
//! directions, on every route. The models are written from the contract (§5.3, §9.4) and `block/fops.c`.

use std::collections::HashSet;

use swap_dio::Reason;
use swap_dio::flags::{Direction, Iocb, Kernel, Opf, Req, ReqOp};
use swap_dio::reason::FlagFault;
use swap_dio::translate::{Route, opf};
use swap_dio::ublk::{self, UblkRequest};

/// What a flag is to a swap request.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Mark,
    Polls,
    Silent,
    Refused,
}

/// Every flag, in the order of its bits.
const ROLES: [(Iocb, &str, Role); 18] = [
    (Iocb::HIPRI, "HIPRI", Role::Polls),
    (Iocb::DSYNC, "DSYNC", Role::Refused),
    (Iocb::SYNC, "SYNC", Role::Refused),
    (Iocb::NOWAIT, "NOWAIT", Role::Refused),
    (Iocb::APPEND, "APPEND", Role::Refused),
    (Iocb::ATOMIC, "ATOMIC", Role::Refused),
    (Iocb::DONTCACHE, "DONTCACHE", Role::Refused),
    (Iocb::NOSIGNAL, "NOSIGNAL", Role::Silent),
    (Iocb::EVENTFD, "EVENTFD", Role::Silent),
    (Iocb::DIRECT, "DIRECT", Role::Silent),
    (Iocb::WRITE, "WRITE", Role::Silent),
    (Iocb::WAITQ, "WAITQ", Role::Refused),
    (Iocb::NOIO, "NOIO", Role::Refused),
    (Iocb::ALLOC_CACHE, "ALLOC_CACHE", Role::Refused),
    (Iocb::DIO_CALLER_COMP, "DIO_CALLER_COMP", Role::Refused),
    (Iocb::AIO_RW, "AIO_RW", Role::Silent),
    (Iocb::HAS_METADATA, "HAS_METADATA", Role::Refused),
    (Iocb::SWAP, "SWAP", Role::Mark),
];

/// Every set of flags, in both directions, on every route.
fn every_kiocb() -> impl Iterator<Item = (Iocb, Direction, Route)> {
    let sets = (0..=Iocb::all().bits()).map(Iocb::from_bits_retain);
    sets.flat_map(|flags| Direction::ALL.map(|direction| (flags, direction)))
        .flat_map(|(flags, direction)| Route::ALL.map(|route| (flags, direction, route)))
}

/// The first flag that a swap request on this route cannot carry.
fn first_refused(flags: Iocb, route: Route) -> Option<&'static str> {
    let refused = |role| role == Role::Refused || role == Role::Polls && route != Route::Async;
    ROLES.iter().find(|(flag, _, role)| flags.contains(*flag) && refused(*role)).map(|(_, name, _)| *name)
}

#[test]
fn every_flag_has_a_role() {
    let names: Vec<&str> = Iocb::all().iter_names().map(|(name, _)| name).collect();
    assert_eq!(names, ROLES.map(|(_, name, _)| name));
    assert_eq!(Iocb::all().bits(), (1 << 18) - 1, "every number below is a set of flags");
}

#[test]
fn each_flag_beside_the_mark() {
    let cases = [
        ("alone", Iocb::SWAP, Route::Plain, Ok((Req::SWAP, Req::empty()))),
        ("as Howells sent it", Iocb::SWAP | Iocb::DIRECT | Iocb::WRITE, Route::Vectored, Ok((Req::SWAP, Req::empty()))),
        ("polled", Iocb::SWAP | Iocb::HIPRI, Route::Async, Ok((Req::SWAP | Req::POLLED, Req::POLLED))),
        ("nobody polls", Iocb::SWAP | Iocb::HIPRI, Route::Plain, Err("HIPRI")),
        ("the lower bit first", Iocb::SWAP | Iocb::NOWAIT | Iocb::SYNC, Route::Async, Err("SYNC")),
        ("every flag", Iocb::all(), Route::Plain, Err("HIPRI")),
        ("every flag, polled", Iocb::all(), Route::Async, Err("DSYNC")),
    ];
    for (name, flags, route, expected) in cases {
        let (write, read) = (opf(flags, Direction::Write, route), opf(flags, Direction::Read, route));
        let got = write.and_then(|write| read.map(|read| (write.flags(), read.flags())));
        let got = got.map_err(|reason| refused(reason).expect(name));
        assert_eq!(got, expected, "{name}");
    }
}

/// The flag that was not carried.
fn refused(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Flags(FlagFault::NotCarried { flag, why }) if !why.is_empty() => Some(flag),
        _ => None,
    }
}

#[test]
fn with_the_mark_a_write_has_it_or_is_refused() {
    let mut admitted = HashSet::new();
    for (flags, direction, route) in every_kiocb().filter(|(flags, ..)| flags.contains(Iocb::SWAP)) {
        let got = opf(flags, direction, route);
        match (got, first_refused(flags, route)) {
            (Ok(out), None) => {
                let write = direction == Direction::Write;
                assert_eq!(out.op(), if write { ReqOp::Write } else { ReqOp::Read }, "{flags:?}, {route:?}");
                assert_eq!((out.flags().contains(Req::SWAP), out.is_swap_write()), (write, write), "{flags:?}");
                assert_eq!(out.flags().contains(Req::POLLED), flags.contains(Iocb::HIPRI), "{flags:?}, {route:?}");
                assert_eq!(out.flags() - Req::SWAP - Req::POLLED, Req::empty(), "{flags:?}, {route:?}");
                admitted.insert(out);
            }
            (Err(reason), Some(first)) => assert_eq!(refused(reason), Some(first), "{flags:?}, {route:?}"),
            (got, expected) => panic!("{flags:?}, {direction:?}, {route:?}: {got:?}, not {expected:?}"),
        }
    }
    assert_eq!(admitted, swap_requests().into_iter().map(|(out, _)| out).collect());
}

/// Every swap request there is, and its word on 6.1, 6.12 and 6.18.
fn swap_requests() -> [(Opf, [u32; 3]); 4] {
    let of = |op, flags| Opf::new(op, flags).expect("a write, or no mark");
    [
        (of(ReqOp::Read, Req::empty()), [0; 3]),
        (of(ReqOp::Read, Req::POLLED), [1 << 23, 1 << 22, 1 << 22]),
        (of(ReqOp::Write, Req::SWAP), [1 | 1 << 25, 1 | 1 << 24, 1 | 1 << 24]),
        (
            of(ReqOp::Write, Req::SWAP | Req::POLLED),
            [1 | 1 << 25 | 1 << 23, 1 | 1 << 24 | 1 << 22, 1 | 1 << 24 | 1 << 22],
        ),
    ]
}

#[test]
fn every_swap_request_has_a_word_on_every_kernel() {
    for (request, words) in swap_requests() {
        for (kernel, word) in [&Kernel::V6_1, &Kernel::V6_12, &Kernel::V6_18].into_iter().zip(words) {
            assert_eq!(kernel.opf_word(request), Ok(word), "{}, {request:?}", kernel.name());
            assert_eq!(kernel.opf(word), Ok(request), "{}, {word:#x}", kernel.name());
        }
        // ublk has no bit for polling. What it has is kept.
        let word = ublk::write(&UblkRequest { opf: request, needs_buffer: false }).expect("a read or a write");
        let expected = if request.is_swap_write() { 1 | 1 << 16 } else { 0 };
        assert_eq!(word, expected, "{request:?}");
        assert_eq!(ublk::read(word).map(|read| read.opf.is_swap_write()), Ok(request.is_swap_write()), "{request:?}");
    }
}

#[test]
fn how_a_file_was_opened_never_changes_the_answer() {
    let opened = Iocb::WRITE | Iocb::DIRECT;
    for (flags, direction, route) in every_kiocb() {
        let same = opf(flags - opened, direction, route);
        assert_eq!(opf(flags, direction, route), same, "{flags:?}, {direction:?}, {route:?}");
    }
}

/// Direct I/O to a block device as Linux 6.18 does it, function by function.
fn linux(flags: Iocb, direction: Direction, route: Route) -> Result<(ReqOp, Req), &'static str> {
    let mut opf = Req::empty();
    // kiocb_set_rw_flags, before any of them; blkdev_direct_IO for what is too long for one bio.
    if flags.contains(Iocb::ATOMIC) && (direction == Direction::Read || route == Route::Vectored) {
        return Err("ATOMIC");
    }
    // dio_bio_write_op.
    if direction == Direction::Write {
        opf |= Req::SYNC | Req::IDLE;
        opf.set(Req::FUA, flags.contains(Iocb::DSYNC));
    }
    opf.set(Req::NOWAIT, flags.contains(Iocb::NOWAIT));
    opf.set(Req::ATOMIC, flags.contains(Iocb::ATOMIC));
    // __blkdev_direct_IO_simple has its bio on the stack: it comes from no cache and carries no metadata.
    if route != Route::Plain {
        opf.set(Req::ALLOC_CACHE, flags.contains(Iocb::ALLOC_CACHE));
        opf.set(Req::INTEGRITY, flags.contains(Iocb::HAS_METADATA));
    }
    // __blkdev_direct_IO_async alone asks for IOCB_HIPRI.
    opf.set(Req::POLLED, route == Route::Async && flags.contains(Iocb::HIPRI));
    Ok((if direction == Direction::Write { ReqOp::Write } else { ReqOp::Read }, opf))
}

#[test]
fn without_the_mark_direct_io_is_as_linux_makes_it() {
    for (flags, direction, route) in every_kiocb().filter(|(flags, ..)| !flags.contains(Iocb::SWAP)) {
        let got = opf(flags, direction, route).map(|out| (out.op(), out.flags()));
        let case = || format!("{flags:?}, {direction:?}, {route:?}: {got:?}");
        match linux(flags, direction, route) {
            Ok(expected) => assert_eq!(got, Ok(expected), "{}", case()),
            Err(flag) => assert!(got.is_err_and(|reason| reason.to_string().contains(flag)), "{}", case()),
        }
    }
}

#[test]
fn bits_of_no_flag_are_refused() {
    for bit in 18..32 {
        let nobody = Iocb::from_bits_retain(1 << bit);
        for (direction, route) in Direction::ALL.into_iter().flat_map(|way| Route::ALL.map(|route| (way, route))) {
            for flags in [nobody, nobody | Iocb::SWAP] {
                assert!(opf(flags, direction, route).is_err(), "{flags:?}, {direction:?}, {route:?}");
            }
        }
    }
}

/// `UBLK_IO_OP_`. `WRITE_SAME` (4) and `REPORT_ZONES` (18) are none of the block layer's.
const UBLK_OPS: [(u32, ReqOp); 11] = [
    (0, ReqOp::Read),
    (1, ReqOp::Write),
    (2, ReqOp::Flush),
    (3, ReqOp::Discard),
    (5, ReqOp::WriteZeroes),
    (10, ReqOp::ZoneOpen),
    (11, ReqOp::ZoneClose),
    (12, ReqOp::ZoneFinish),
    (13, ReqOp::ZoneAppend),
    (14, ReqOp::ZoneResetAll),
    (15, ReqOp::ZoneReset),
];

/// `UBLK_IO_F_`, as bits of the unshifted word.
const UBLK_FLAGS: [(u32, Req); 7] = [
    (8, Req::FAILFAST_DEV),
    (9, Req::FAILFAST_TRANSPORT),
    (10, Req::FAILFAST_DRIVER),
    (11, Req::META),
    (13, Req::FUA),
    (15, Req::NOUNMAP),
    (16, Req::SWAP),
];

const UBLK_SWAP: u32 = 1 << 16;
const UBLK_NEED_REG_BUF: u32 = 1 << 17;

/// `op_flags`, read as the header defines it.
fn naive(word: u32) -> Result<(ReqOp, Req, bool), FlagFault> {
    let op = UBLK_OPS.iter().find(|(number, _)| *number == word % 256).map(|(_, op)| *op);
    let op = op.ok_or(FlagFault::UnknownOp { word: "op_flags of ublk", op: word % 256 })?;
    let known = UBLK_FLAGS.iter().fold(UBLK_NEED_REG_BUF | 0xff, |known, (bit, _)| known | 1 << bit);
    if word & !known != 0 {
        return Err(FlagFault::Unknown { word: "op_flags of ublk", bits: u64::from(word & !known) });
    }
    if word & UBLK_SWAP != 0 && op != ReqOp::Write {
        return Err(FlagFault::SwapMark { op: op.name() });
    }
    let flags = UBLK_FLAGS.iter().filter(|(bit, _)| word & 1 << bit != 0).map(|(_, flag)| *flag).collect();
    Ok((op, flags, word & UBLK_NEED_REG_BUF != 0))
}

#[test]
fn a_word_of_ublk_comes_back_or_is_refused_by_value() {
    let pairs = (8..32u32).flat_map(|a| (8..32u32).map(move |b| 1 << a | 1 << b)).chain([0]);
    for word in pairs.flat_map(|flags| (0..256).map(move |op| flags | op)) {
        let got = ublk::read(word);
        let expected = naive(word).map_err(Reason::Flags);
        assert_eq!(got.map(|got| (got.opf.op(), got.opf.flags(), got.needs_buffer)), expected, "{word:#x}");
        if let Ok(request) = got {
            assert_eq!(ublk::write(&request), Ok(word), "{word:#x}");
        }
    }
}

#[test]
fn the_swap_mark_of_ublk_is_on_writes_only() {
    for (number, op) in UBLK_OPS {
        let marked = ublk::read(number | UBLK_SWAP).map(|request| request.opf.is_swap_write());
        let refused = Reason::Flags(FlagFault::SwapMark { op: op.name() });
        assert_eq!(marked, if op == ReqOp::Write { Ok(true) } else { Err(refused) }, "{op:?}");
    }
}

#[test]
fn what_ublk_has_no_bit_for_is_not_handed_on() {
    for flag in Req::all().iter() {
        let bit = UBLK_FLAGS.iter().find(|(_, known)| *known == flag).map_or(0, |(bit, _)| 1 << bit);
        for (needs_buffer, buffer) in [(false, 0), (true, UBLK_NEED_REG_BUF)] {
            let request = UblkRequest { opf: Opf::new(ReqOp::Write, flag).expect("a write"), needs_buffer };
            assert_eq!(ublk::write(&request), Ok(1 | bit | buffer), "{flag:?}");
        }
    }
    for (op, number) in [(ReqOp::SecureErase, 5), (ReqOp::DrvIn, 34), (ReqOp::DrvOut, 35)] {
        let request = UblkRequest { opf: Opf::new(op, Req::empty()).expect("no mark"), needs_buffer: false };
        let refused = Reason::Flags(FlagFault::UnknownOp { word: "op_flags of ublk", op: number });
        assert_eq!(ublk::write(&request), Err(refused), "{op:?}");
    }
}

/// `ublksrv_get_flags()` of the header, whose result is held against constants of the unshifted word.
const fn header_helper(op_flags: u32) -> u32 {
    op_flags >> 8
}

#[test]
fn the_headers_helper_misses_the_swap_mark() {
    let word = 1 | UBLK_SWAP;
    let shifted = header_helper(word);
    assert_eq!(shifted, 1 << 8);
    assert_eq!(shifted & UBLK_SWAP, 0, "the mark is not found");
    // What it seems to say instead: a read that gives up on the first error of the device.
    let misread = ublk::read(shifted).expect("bits that mean something else");
    assert_eq!((misread.opf.op(), misread.opf.flags()), (ReqOp::Read, Req::FAILFAST_DEV));
    let read = ublk::read(word).expect("the word as it stands");
    assert_eq!((read.opf.op(), read.opf.flags(), read.opf.is_swap_write()), (ReqOp::Write, Req::SWAP, true));
}
