//! ublk's `op_flags` to a request and back: the only user-space interface on which the kernel hands on the swap mark.
//!
//! The header's helper `ublksrv_get_flags()` returns `op_flags >> 8`, while every `UBLK_IO_F_` constant is defined on
//! the *unshifted* word. Comparing the two never matches: `UBLK_IO_F_SWAP` is bit 16 here and would be bit 8 there,
//! which is the unshifted `FAILFAST_DEV`. [`read`] takes the word as it stands in `ublksrv_io_desc`.
//!
//! A device's own flags, and what they mean for a page of swap, are [`UblkDevice`].
//!
//! Source: Linux v6.18, `include/uapi/linux/ublk_cmd.h`, `drivers/block/ublk_drv.c` (`ublk_req_build_flags`,
//! `ublk_setup_iod`).

mod device;

pub use device::{Recovery, UblkDevice, UblkFeatures};

use crate::flags::{self, Numbers, Opf, Req, ReqOp};
use crate::reason::{FlagFault, Reason};

/// One request as a ublk server gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UblkRequest {
    /// Operation and flags; [`Opf::is_swap_write`] says whether reclaim waits for it.
    pub opf: Opf,
    /// `UBLK_IO_F_NEED_REG_BUF`: the buffer could not be registered, the server must do it. That may allocate.
    pub needs_buffer: bool,
}

/// Reads `ublksrv_io_desc.op_flags`, unshifted.
///
/// # Errors
/// [`FlagFault::UnknownOp`], [`FlagFault::Unknown`], then [`FlagFault::SwapMark`] for the mark on anything but a
/// write: the kernel puts it on no other.
///
/// ```
/// let word = 1 | 1 << 16; // UBLK_IO_OP_WRITE, UBLK_IO_F_SWAP
/// assert!(swap_dio::ublk::read(word)?.opf.is_swap_write());
/// # Ok::<(), swap_dio::Reason>(())
/// ```
pub fn read(op_flags: u32) -> Result<UblkRequest, Reason> {
    let number = op_flags & 0xff;
    let op = OPERATIONS.into_iter().find(|(_, known)| *known == number);
    let (op, _) = op.ok_or(Reason::Flags(FlagFault::UnknownOp { word: WORD, op: number }))?;
    let flags = flags::read(WORD, FLAGS, op_flags & !0xff & !NEED_REG_BUF)?;
    Ok(UblkRequest { opf: Opf::new(op, flags)?, needs_buffer: op_flags & NEED_REG_BUF != 0 })
}

/// Writes `op_flags`, as the driver does: flags that ublk has no bit for are not passed on to a server.
///
/// The swap mark always is.
///
/// # Errors
/// [`FlagFault::UnknownOp`] for an operation that ublk does not have.
pub fn write(request: &UblkRequest) -> Result<u32, Reason> {
    let op = request.opf.op();
    let number = OPERATIONS.into_iter().find(|(known, _)| *known == op);
    let (_, number) = number.ok_or(Reason::Flags(FlagFault::UnknownOp { word: WORD, op: op.number() }))?;
    let flags = FLAGS.iter().copied().flatten().filter(|(flag, _)| request.opf.flags().contains(*flag));
    let word = flags.fold(number, |word, (_, bit)| word | flags::mask(*bit));
    Ok(if request.needs_buffer { word | NEED_REG_BUF } else { word })
}

const WORD: &str = "op_flags of ublk";

/// `UBLK_IO_OP_`. `WRITE_SAME` (4) and `REPORT_ZONES` (18) are no request of the block layer's.
const OPERATIONS: [(ReqOp, u32); 11] = [
    (ReqOp::Read, 0),
    (ReqOp::Write, 1),
    (ReqOp::Flush, 2),
    (ReqOp::Discard, 3),
    (ReqOp::WriteZeroes, 5),
    (ReqOp::ZoneOpen, 10),
    (ReqOp::ZoneClose, 11),
    (ReqOp::ZoneFinish, 12),
    (ReqOp::ZoneAppend, 13),
    (ReqOp::ZoneResetAll, 14),
    (ReqOp::ZoneReset, 15),
];

/// `UBLK_IO_F_`, on the unshifted word.
const FLAGS: Numbers<Req> = &[&[
    (Req::FAILFAST_DEV, 8),
    (Req::FAILFAST_TRANSPORT, 9),
    (Req::FAILFAST_DRIVER, 10),
    (Req::META, 11),
    (Req::FUA, 13),
    (Req::NOUNMAP, 15),
    (Req::SWAP, 16),
]];

/// `UBLK_IO_F_NEED_REG_BUF`.
const NEED_REG_BUF: u32 = 1 << 17;
