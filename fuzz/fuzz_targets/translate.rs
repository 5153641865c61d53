//! Law: a word of flags comes back as it was or is refused with exactly the bits that nobody knows, and a swap write
//! keeps its mark all the way: kiocb, request, the word of every kernel that is released, the word of ublk.
//!
//! Words are taken as they come, with nothing masked. Run it with `cargo fuzz run translate` in the repository's root.

#![no_main]

use libfuzzer_sys::fuzz_target;
use swap_dio::Reason;
use swap_dio::flags::{Direction, Iocb, Kernel, Opf, Req, ReqOp};
use swap_dio::reason::FlagFault;
use swap_dio::translate::{Route, opf};
use swap_dio::ublk::{self, UblkRequest};

/// The words of one I/O, whose numbers they are, and which way it goes.
#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    kernel: u8,
    ki_flags: u32,
    bi_opf: u32,
    fop_flags: u32,
    op_flags: u32,
    write: bool,
    route: u8,
}

fuzz_target!(|input: Input| {
    let kernel = Kernel::ALL[usize::from(input.kernel) % Kernel::ALL.len()];
    let direction = if input.write { Direction::Write } else { Direction::Read };
    let route = Route::ALL[usize::from(input.route) % Route::ALL.len()];

    same(input.fop_flags, kernel.fop(input.fop_flags), |rest| kernel.fop(rest), |_| None);
    let write = |flags| kernel.iocb_word(flags).ok();
    let kiocb = same(input.ki_flags, kernel.iocb(input.ki_flags), |rest| kernel.iocb(rest), write);
    if let Some(flags) = kiocb {
        kiocb_to_word(flags, direction, route);
        kiocb_to_word(flags | Iocb::SWAP, direction, route);
        carried(kernel, input.ki_flags, flags);
    }
    let write = |opf| kernel.opf_word(opf).ok();
    same(input.bi_opf, kernel.opf(input.bi_opf), |rest| kernel.opf(rest), write);
    let write = |request| ublk::write(&request).ok();
    let request = same(input.op_flags, ublk::read(input.op_flags), ublk::read, write);
    if let Some(request) = request {
        assert_eq!(request.opf.is_swap_write(), input.op_flags & 1 << 16 != 0, "{request:?}");
    }
});

/// A word comes back, or its unknown bits are named: what is left without them is known. Returns what was read.
fn same<T: Copy + std::fmt::Debug>(
    word: u32,
    got: Result<T, Reason>,
    read: impl Fn(u32) -> Result<T, Reason>,
    write: impl Fn(T) -> Option<u32>,
) -> Option<T> {
    match got {
        Ok(got) => assert!(write(got).is_none_or(|again| again == word), "{word:#x}: {got:?}"),
        Err(Reason::Flags(FlagFault::Unknown { bits, .. })) => {
            let bits = u32::try_from(bits).expect("bits of the word");
            assert!(bits != 0 && bits & !word == 0, "{word:#x}: {bits:#x}");
            let known = read(word & !bits);
            assert!(!matches!(known, Err(Reason::Flags(FlagFault::Unknown { .. }))), "{word:#x}: {known:?}");
            for bit in (0..32).map(|bit| 1 << bit).filter(|bit| bits & bit != 0) {
                let one = read(word & !bits | bit).err();
                let refused = matches!(one, Some(Reason::Flags(FlagFault::Unknown { bits, .. })) if bits == bit.into());
                assert!(refused, "{word:#x}, {bit:#x}: {one:?}");
            }
        }
        Err(Reason::Flags(FlagFault::UnknownOp { op, .. })) => {
            assert_eq!(op, word & 0xff);
            assert!(read(op).is_err(), "{word:#x}");
        }
        Err(Reason::Flags(FlagFault::SwapMark { .. })) => assert!(word & 0xff != 1, "{word:#x}: a write may have it"),
        Err(reason) => panic!("{word:#x}: {reason:?}"),
    }
    got.ok()
}

/// A kiocb to a request, and the request to every word there is.
fn kiocb_to_word(flags: Iocb, direction: Direction, route: Route) {
    let swap = flags.contains(Iocb::SWAP);
    let got = opf(flags, direction, route);
    let out = match got {
        Ok(out) => out,
        Err(Reason::Flags(FlagFault::NotCarried { flag, .. } | FlagFault::Unsupported { flag, .. })) => {
            return assert!(flags.iter_names().any(|(name, _)| name == flag), "{flags:?}: {flag} is not set");
        }
        Err(reason) => panic!("{flags:?}: {reason:?}"),
    };
    let marked = swap && direction == Direction::Write;
    assert_eq!(out.op(), if direction == Direction::Write { ReqOp::Write } else { ReqOp::Read });
    assert_eq!(out.is_swap_write(), marked, "{flags:?}, {out:?}");
    assert!(!swap || (out.flags() - Req::SWAP - Req::POLLED).is_empty(), "{flags:?}, {out:?}");
    for (kernel, bit) in [(&Kernel::V6_1, 25), (&Kernel::V6_12, 24), (&Kernel::V6_18, 24)] {
        match kernel.opf_word(out) {
            Ok(word) => {
                assert_eq!(kernel.opf(word), Ok(out), "{word:#x}");
                assert_eq!(word & 1 << bit != 0, marked, "{}, {word:#x}", kernel.name());
            }
            // What this kernel has no number for is no swap request.
            Err(reason) => assert!(!swap, "{out:?}: {reason}"),
        }
    }
    for needs_buffer in [false, true] {
        let word = ublk::write(&UblkRequest { opf: out, needs_buffer }).expect("a read or a write");
        let read = ublk::read(word).expect("just written");
        assert_eq!((read.opf.op(), read.needs_buffer), (out.op(), needs_buffer), "{word:#x}");
        assert_eq!((read.opf.is_swap_write(), word & 1 << 16 != 0), (marked, marked), "{word:#x}");
        assert!(out.flags().contains(read.opf.flags()), "{out:?}, {word:#x}: nothing is added");
    }
    let read = Opf::new(ReqOp::Read, out.flags());
    assert_eq!(read.is_err(), marked, "{out:?}: the mark is for writes");
}

/// A word that was written for one kernel means the same on another, or is refused there.
fn carried(from: &Kernel, word: u32, flags: Iocb) {
    for to in Kernel::ALL {
        match to.iocb_written_for(from, word) {
            Ok(same) => assert_eq!((same, to.iocb(word)), (flags, Ok(flags)), "{word:#x} on {}", to.name()),
            Err(reason) => assert!(to.iocb(word) != Ok(flags), "{word:#x} on {}: {reason}", to.name()),
        }
    }
}
