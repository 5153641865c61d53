//! Flags and their numbers, held against tables written from the contract (§5.1, §5.2, §7.2), not from the crate.
//!
//! A word is tried with every bit alone and every pair of bits, on every kernel: it is read and written back the
//! same, or refused with exactly the bits that nobody knows. The flags of a call are in `flags/call.rs`, what words
//! promise in `flags/promise.rs`.

#[path = "flags/call.rs"]
mod call;
#[path = "flags/promise.rs"]
mod promise;

use bitflags::Flags;
use swap_dio::flags::{Fmode, Fop, Iocb, Kernel, Opf, Req, ReqOp};
use swap_dio::reason::FlagFault;
use swap_dio::{Reason, Release};

/// No bit on this kernel.
const NO: u32 = u32::MAX;

/// The columns of every table below.
const COLUMNS: [(&Kernel, &str); 4] = [
    (&Kernel::HOWELLS_V3, "Howells' v3"),
    (&Kernel::V6_1, "Linux 6.1"),
    (&Kernel::V6_12, "Linux 6.12"),
    (&Kernel::V6_18, "Linux 6.18"),
];

/// A flag, the kernel's name without its prefix, and its bit in each column.
type Row<F> = (F, &'static str, [u32; 4]);

const IOCB: &[Row<Iocb>] = &[
    (Iocb::HIPRI, "HIPRI", [0, 0, 0, 0]),
    (Iocb::DSYNC, "DSYNC", [1, 1, 1, 1]),
    (Iocb::SYNC, "SYNC", [2, 2, 2, 2]),
    (Iocb::NOWAIT, "NOWAIT", [3, 3, 3, 3]),
    (Iocb::APPEND, "APPEND", [4, 4, 4, 4]),
    (Iocb::ATOMIC, "ATOMIC", [NO, NO, 6, 6]),
    (Iocb::DONTCACHE, "DONTCACHE", [NO, NO, NO, 7]),
    (Iocb::NOSIGNAL, "NOSIGNAL", [NO, NO, NO, 8]),
    (Iocb::EVENTFD, "EVENTFD", [16, 16, 16, 16]),
    (Iocb::DIRECT, "DIRECT", [17, 17, 17, 17]),
    (Iocb::WRITE, "WRITE", [18, 18, 18, 18]),
    (Iocb::WAITQ, "WAITQ", [19, 19, 19, 19]),
    (Iocb::NOIO, "NOIO", [20, 20, 20, 20]),
    (Iocb::ALLOC_CACHE, "ALLOC_CACHE", [21, 21, 21, 21]),
    (Iocb::DIO_CALLER_COMP, "DIO_CALLER_COMP", [NO, NO, 22, 22]),
    (Iocb::AIO_RW, "AIO_RW", [NO, 23, 23, 23]),
    (Iocb::HAS_METADATA, "HAS_METADATA", [NO, NO, NO, 24]),
    (Iocb::SWAP, "SWAP", [22, NO, NO, NO]),
];

const REQ: &[Row<Req>] = &[
    (Req::FAILFAST_DEV, "FAILFAST_DEV", [NO, 8, 8, 8]),
    (Req::FAILFAST_TRANSPORT, "FAILFAST_TRANSPORT", [NO, 9, 9, 9]),
    (Req::FAILFAST_DRIVER, "FAILFAST_DRIVER", [NO, 10, 10, 10]),
    (Req::SYNC, "SYNC", [NO, 11, 11, 11]),
    (Req::META, "META", [NO, 12, 12, 12]),
    (Req::PRIO, "PRIO", [NO, 13, 13, 13]),
    (Req::NOMERGE, "NOMERGE", [NO, 14, 14, 14]),
    (Req::IDLE, "IDLE", [NO, 15, 15, 15]),
    (Req::INTEGRITY, "INTEGRITY", [NO, 16, 16, 16]),
    (Req::FUA, "FUA", [NO, 17, 17, 17]),
    (Req::PREFLUSH, "PREFLUSH", [NO, 18, 18, 18]),
    (Req::RAHEAD, "RAHEAD", [NO, 19, 19, 19]),
    (Req::BACKGROUND, "BACKGROUND", [NO, 20, 20, 20]),
    (Req::NOWAIT, "NOWAIT", [NO, 21, 21, 21]),
    (Req::CGROUP_PUNT, "CGROUP_PUNT", [NO, 22, NO, NO]),
    (Req::POLLED, "POLLED", [NO, 23, 22, 22]),
    (Req::ALLOC_CACHE, "ALLOC_CACHE", [NO, 24, 23, 23]),
    (Req::SWAP, "SWAP", [NO, 25, 24, 24]),
    (Req::DRV, "DRV", [NO, 26, 25, 25]),
    (Req::FS_PRIVATE, "FS_PRIVATE", [NO, NO, 26, 26]),
    (Req::ATOMIC, "ATOMIC", [NO, NO, 27, 27]),
    (Req::P2PDMA, "P2PDMA", [NO, NO, NO, 28]),
    (Req::NOUNMAP, "NOUNMAP", [NO, 27, 28, 29]),
];

const FMODE: &[Row<Fmode>] = &[
    (Fmode::READ, "READ", [NO, 0, 0, 0]),
    (Fmode::WRITE, "WRITE", [NO, 1, 1, 1]),
    (Fmode::CAN_ATOMIC_WRITE, "CAN_ATOMIC_WRITE", [NO, NO, 7, 7]),
    (Fmode::NOCMTIME, "NOCMTIME", [NO, 11, 11, 11]),
    (Fmode::CAN_ODIRECT, "CAN_ODIRECT", [NO, 22, 22, 22]),
    (Fmode::NOWAIT, "NOWAIT", [NO, 27, 27, 27]),
];

const FOP: &[Row<Fop>] = &[
    (Fop::BUFFER_RASYNC, "BUFFER_RASYNC", [NO, NO, 0, 0]),
    (Fop::BUFFER_WASYNC, "BUFFER_WASYNC", [NO, NO, 1, 1]),
    (Fop::MMAP_SYNC, "MMAP_SYNC", [NO, NO, 2, 2]),
    (Fop::DIO_PARALLEL_WRITE, "DIO_PARALLEL_WRITE", [NO, NO, 3, 3]),
    (Fop::HUGE_PAGES, "HUGE_PAGES", [NO, NO, 4, 4]),
    (Fop::UNSIGNED_OFFSET, "UNSIGNED_OFFSET", [NO, NO, 5, 5]),
    (Fop::ASYNC_LOCK, "ASYNC_LOCK", [NO, NO, NO, 6]),
    (Fop::DONTCACHE, "DONTCACHE", [NO, NO, NO, 7]),
];

/// `REQ_OP_`, the same on every kernel.
const OPS: &[(u32, ReqOp, &str)] = &[
    (0, ReqOp::Read, "REQ_OP_READ"),
    (1, ReqOp::Write, "REQ_OP_WRITE"),
    (2, ReqOp::Flush, "REQ_OP_FLUSH"),
    (3, ReqOp::Discard, "REQ_OP_DISCARD"),
    (5, ReqOp::SecureErase, "REQ_OP_SECURE_ERASE"),
    (7, ReqOp::ZoneAppend, "REQ_OP_ZONE_APPEND"),
    (9, ReqOp::WriteZeroes, "REQ_OP_WRITE_ZEROES"),
    (11, ReqOp::ZoneOpen, "REQ_OP_ZONE_OPEN"),
    (13, ReqOp::ZoneClose, "REQ_OP_ZONE_CLOSE"),
    (15, ReqOp::ZoneFinish, "REQ_OP_ZONE_FINISH"),
    (17, ReqOp::ZoneReset, "REQ_OP_ZONE_RESET"),
    (19, ReqOp::ZoneResetAll, "REQ_OP_ZONE_RESET_ALL"),
    (34, ReqOp::DrvIn, "REQ_OP_DRV_IN"),
    (35, ReqOp::DrvOut, "REQ_OP_DRV_OUT"),
];

/// Every word of no bit, of one bit from `from` on, and of two.
fn words(from: u32) -> impl Iterator<Item = u32> {
    (from..32).flat_map(move |a| (from..32).map(move |b| 1 << a | 1 << b)).chain([0])
}

/// What a table says of a word: its flags, and the bits that it does not know.
fn told<F: Flags<Bits = u32> + Copy>(table: &[Row<F>], column: usize, word: u32) -> (F, u32) {
    let mut told = (F::empty(), word);
    for (flag, _, bits) in table {
        let bit = if bits[column] == NO { 0 } else { 1 << bits[column] };
        if word & bit != 0 {
            told.0.insert(*flag);
            told.1 &= !bit;
        }
    }
    told
}

fn no_number(prefix: &'static str, flag: &'static str, kernel: &'static str) -> Reason {
    Reason::Flags(FlagFault::NoNumber { prefix, flag, kernel })
}

fn unknown(word: &'static str, bits: u32) -> Reason {
    Reason::Flags(FlagFault::Unknown { word, bits: bits.into() })
}

/// A table has each flag once, under its name, and no bit twice.
fn complete<F: Flags<Bits = u32> + Copy>(table: &[Row<F>]) {
    let names: Vec<&str> = F::all().iter_names().map(|(name, _)| name).collect();
    let rows: Vec<&str> = table.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(names, rows);
    for column in 0..COLUMNS.len() {
        let mut bits: Vec<u32> = table.iter().map(|(.., bits)| bits[column]).filter(|bit| *bit != NO).collect();
        let known = bits.len();
        bits.sort_unstable();
        bits.dedup();
        assert_eq!(bits.len(), known, "column {column}");
    }
}

#[test]
fn tables_have_every_flag_and_every_kernel() {
    complete(IOCB);
    complete(REQ);
    complete(FMODE);
    complete(FOP);
    let names = COLUMNS.map(|(_, name)| name);
    assert!(Kernel::ALL.iter().map(|kernel| kernel.name()).eq(names));
    assert_eq!(COLUMNS.map(|(kernel, _)| kernel.name()), names);
}

#[test]
fn numbers_are_the_contracts() {
    for (column, (kernel, name)) in COLUMNS.into_iter().enumerate() {
        for (flag, iocb, bits) in IOCB {
            let word = match bits[column] {
                NO => Err(no_number("IOCB_", iocb, name)),
                bit => Ok(1 << bit),
            };
            assert_eq!(kernel.iocb_word(*flag), word, "{name}, IOCB_{iocb}");
        }
        for (flag, req, bits) in REQ {
            let word = match bits[column] {
                NO => Err(no_number("REQ_", req, name)),
                bit => Ok(1 | 1 << bit),
            };
            let write = Opf::new(ReqOp::Write, *flag).expect("any flag on a write");
            assert_eq!(kernel.opf_word(write), word, "{name}, REQ_{req}");
        }
        for (flag, fmode, bits) in FMODE {
            let word = if bits[column] == NO { 0 } else { 1 << bits[column] };
            assert_eq!(kernel.fmode(word).contains(*flag), bits[column] != NO, "{name}, FMODE_{fmode}");
        }
    }
}

#[test]
fn a_word_of_ki_flags_comes_back_or_is_refused_by_value() {
    for (column, (kernel, name)) in COLUMNS.into_iter().enumerate() {
        for word in words(0) {
            let (flags, rest) = told(IOCB, column, word);
            let expected = if rest == 0 { Ok(flags) } else { Err(unknown("ki_flags", rest)) };
            assert_eq!(kernel.iocb(word), expected, "{name}, {word:#x}");
            assert_eq!(kernel.iocb_word(flags), Ok(word & !rest), "{name}, {word:#x}");
        }
        // The first flag without a number, and bits of no flag at all.
        let lost = IOCB.iter().find(|(.., bits)| bits[column] == NO).map_or("none", |(_, lost, _)| lost);
        assert_eq!(kernel.iocb_word(Iocb::all()), Err(no_number("IOCB_", lost, name)));
        let nobody = Iocb::HIPRI | Iocb::from_bits_retain(1 << 31);
        assert_eq!(kernel.iocb_word(nobody), Err(no_number("IOCB_", "an unnamed flag", name)));
    }
}

#[test]
fn a_word_of_bi_opf_comes_back_or_is_refused_by_value() {
    for (column, (kernel, name)) in COLUMNS.into_iter().enumerate() {
        let with_op = (0..256).flat_map(|op| words(8).map(move |flags| op | flags));
        for word in words(0).chain(with_op) {
            let (flags, rest) = told(REQ, column, word & !0xff);
            let op = OPS.iter().find(|(number, ..)| *number == word & 0xff);
            let expected = match op {
                None => Err(Reason::Flags(FlagFault::UnknownOp { word: "bi_opf", op: word & 0xff })),
                Some(_) if rest != 0 => Err(unknown("bi_opf", rest)),
                Some((_, op, spelt)) if flags.contains(Req::SWAP) && *op != ReqOp::Write => {
                    Err(Reason::Flags(FlagFault::SwapMark { op: spelt }))
                }
                Some((_, op, _)) => Ok((*op, flags)),
            };
            let got = kernel.opf(word);
            assert_eq!(got.map(|opf| (opf.op(), opf.flags())), expected, "{name}, {word:#x}");
            if let Ok(opf) = got {
                assert_eq!(kernel.opf_word(opf), Ok(word), "{name}, {word:#x}");
                assert_eq!(opf.is_swap_write(), flags.contains(Req::SWAP), "{name}, {word:#x}");
            }
        }
        let nobody = Opf::new(ReqOp::Write, Req::from_bits_retain(1 << 31));
        assert_eq!(nobody, Err(Reason::Flags(FlagFault::UnnamedReq { bits: 1 << 31 })));
    }
}

#[test]
fn words_of_a_file_are_read() {
    for (column, (kernel, name)) in COLUMNS.into_iter().enumerate() {
        for word in words(0) {
            // f_mode has bits that promise nothing: those are passed over.
            assert_eq!(kernel.fmode(word), told(FMODE, column, word).0, "{name}, f_mode {word:#x}");
            let (flags, rest) = told(FOP, column, word);
            let expected = if rest == 0 { Ok(flags) } else { Err(unknown("fop_flags", rest)) };
            assert_eq!(kernel.fop(word), expected, "{name}, fop_flags {word:#x}");
        }
    }
}

#[test]
fn operations_have_their_numbers_and_no_others() {
    for number in 0..=u32::from(u8::MAX) {
        let expected = OPS.iter().find(|(known, ..)| *known == number).map(|(_, op, _)| *op);
        let refused = Reason::Flags(FlagFault::UnknownOp { word: "bi_opf", op: number });
        assert_eq!(ReqOp::from_number(number), expected.ok_or(refused), "{number}");
    }
    for (number, op, name) in OPS {
        assert_eq!((op.number(), op.name()), (*number, *name));
        let marked = Opf::new(*op, Req::SWAP).map(Opf::is_swap_write);
        let refused = Reason::Flags(FlagFault::SwapMark { op: name });
        assert_eq!(marked, if *op == ReqOp::Write { Ok(true) } else { Err(refused) }, "{name}");
    }
}

#[test]
fn only_releases_that_were_read_have_numbers() {
    let cases = [
        (6, 1, Some("Linux 6.1")),
        (6, 12, Some("Linux 6.12")),
        (6, 18, Some("Linux 6.18")),
        (6, 6, None),
        (6, 15, None),
        (7, 0, None),
        (5, 15, None),
        (1, 6, None),
    ];
    for (major, minor, expected) in cases {
        let release = Release::new(major, minor);
        let refused = Reason::Flags(FlagFault::Numbering { release });
        assert_eq!(Kernel::of(release).map(Kernel::name), expected.ok_or(refused), "{release}");
    }
}

#[test]
fn words_of_howells_mean_the_same_here_or_are_refused() {
    let howells = &Kernel::HOWELLS_V3;
    for (column, (kernel, name)) in COLUMNS.into_iter().enumerate().skip(1) {
        for word in words(0) {
            let (flags, rest) = told(IOCB, 0, word);
            let swap = word & 1 << 22 != 0;
            let expected = match (rest, swap, column) {
                (0, false, _) => Ok(flags),
                (0, true, 1) => Err(no_number("IOCB_", "SWAP", name)),
                (0, true, _) => Err(Reason::Flags(FlagFault::Renumbered {
                    bit: 22,
                    flag: "SWAP",
                    from: "Howells' v3",
                    now: "DIO_CALLER_COMP",
                    kernel: name,
                })),
                (bits, ..) => Err(unknown("ki_flags", bits)),
            };
            assert_eq!(kernel.iocb_written_for(howells, word), expected, "{name}, {word:#x}");
        }
    }
}

#[test]
fn words_are_carried_from_kernel_to_kernel() {
    let (howells, v6_1, v6_12, v6_18) = (&Kernel::HOWELLS_V3, &Kernel::V6_1, &Kernel::V6_12, &Kernel::V6_18);
    let renumbered = "bit 22 is IOCB_DIO_CALLER_COMP for Linux 6.18 and IOCB_SWAP for Howells' v3";
    let cases = [
        ("to itself", v6_18, v6_18, 1 << 22 | 1 << 24, Ok(Iocb::DIO_CALLER_COMP | Iocb::HAS_METADATA)),
        ("the same since", v6_1, v6_18, 1 << 18 | 1 << 23, Ok(Iocb::WRITE | Iocb::AIO_RW)),
        ("not yet there", v6_18, v6_12, 1 << 7, Err("Linux 6.12 has no number for IOCB_DONTCACHE")),
        ("not yet there", v6_12, v6_1, 1 << 22, Err("Linux 6.1 has no number for IOCB_DIO_CALLER_COMP")),
        ("back", v6_18, howells, 1 << 22, Err(renumbered)),
        ("lowest bit first", v6_18, howells, 1 << 6 | 1 << 22, Err("Howells' v3 has no number for IOCB_ATOMIC")),
        ("unknown first", v6_18, howells, 1 << 22 | 1 << 31, Err("ki_flags has the unknown bits 0x80000000")),
    ];
    for (name, from, to, word, expected) in cases {
        let got = to.iocb_written_for(from, word).map_err(|reason| reason.to_string());
        assert_eq!(got, expected.map_err(String::from), "{name}: {word:#x} from {} to {}", from.name(), to.name());
    }
}
