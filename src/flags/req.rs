//! `bi_opf`: what is asked of the block layer, an operation and its flags.
//!
//! Source: Linux v6.18, `include/linux/blk_types.h`.

use crate::reason::{FlagFault, Reason};

bitflags::bitflags! {
    /// Flags of a block request. Values are ours: numbers stand in [`Kernel`](super::Kernel).
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Req: u32 {
        /// `REQ_FAILFAST_DEV`: no retries for errors of the device.
        const FAILFAST_DEV = 1 << 0;
        /// `REQ_FAILFAST_TRANSPORT`: none for errors of the transport.
        const FAILFAST_TRANSPORT = 1 << 1;
        /// `REQ_FAILFAST_DRIVER`: none for errors of the driver.
        const FAILFAST_DRIVER = 1 << 2;
        /// `REQ_SYNC`: somebody waits.
        const SYNC = 1 << 3;
        /// `REQ_META`: a filesystem's own blocks.
        const META = 1 << 4;
        /// `REQ_PRIO`: before others, in some schedulers.
        const PRIO = 1 << 5;
        /// `REQ_NOMERGE`: never merged.
        const NOMERGE = 1 << 6;
        /// `REQ_IDLE`: more will follow. Together with `SYNC` it exempts a write from writeback throttling.
        const IDLE = 1 << 7;
        /// `REQ_INTEGRITY`: carries integrity data.
        const INTEGRITY = 1 << 8;
        /// `REQ_FUA`: on stable media when it ends.
        const FUA = 1 << 9;
        /// `REQ_PREFLUSH`: the device's cache is flushed before it.
        const PREFLUSH = 1 << 10;
        /// `REQ_RAHEAD`: read ahead, may fail.
        const RAHEAD = 1 << 11;
        /// `REQ_BACKGROUND`: background writeback.
        const BACKGROUND = 1 << 12;
        /// `REQ_NOWAIT`: fails instead of waiting for a free request.
        const NOWAIT = 1 << 13;
        /// `REQ_CGROUP_PUNT`: submitted by a worker on behalf of a cgroup. 6.1 only.
        const CGROUP_PUNT = 1 << 14;
        /// `REQ_POLLED`: no interrupt, the caller polls.
        const POLLED = 1 << 15;
        /// `REQ_ALLOC_CACHE`: the bio comes from a cache of the processor.
        const ALLOC_CACHE = 1 << 16;
        /// `REQ_SWAP`: swap I/O. Writes only: mm puts it on no read.
        ///
        /// What a swap write without it loses, by consumer:
        ///
        /// | consumer | with the mark | without |
        /// | --- | --- | --- |
        /// | `block/blk-cgroup.h:bio_issue_as_root_blkg` (blk-iocost, blk-iolatency, blk-throttle) | goes at once, its cost is charged as debt | waits behind the limits of the cgroup that owns the page: whoever needs the memory waits for whoever is throttled |
        /// | `block/blk-cgroup.h:blk_cgroup_mergeable` | merges with swap only | may merge into a request that is held back |
        /// | `block/blk-wbt.c` (6.12 and later; 6.1 asks `current_is_kswapd`) | the whole queue depth, a wait queue of its own | the depth of background writeback; with `SYNC` and `IDLE`, as every direct write has, no throttling at all |
        /// | `drivers/md/dm.c:swap_bios_limit` (dm-crypt, dm-thin) | a semaphore bounds the memory that the target allocates per write | the target allocates without a bound, in reclaim |
        /// | `drivers/block/ublk_drv.c:ublk_req_build_flags` | the server sees `UBLK_IO_F_SWAP` | the server may block, log or allocate |
        const SWAP = 1 << 17;
        /// `REQ_DRV`: the driver's own.
        const DRV = 1 << 18;
        /// `REQ_FS_PRIVATE`: the filesystem's own.
        const FS_PRIVATE = 1 << 19;
        /// `REQ_ATOMIC`: all or nothing.
        const ATOMIC = 1 << 20;
        /// `REQ_P2PDMA`: memory of another device.
        const P2PDMA = 1 << 21;
        /// `REQ_NOUNMAP`: zeros are written, not deallocated.
        const NOUNMAP = 1 << 22;
    }
}

/// What a block request does: `REQ_OP_`, the low eight bits. Odd operations send data to the device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReqOp {
    /// `REQ_OP_READ`.
    Read,
    /// `REQ_OP_WRITE`.
    Write,
    /// `REQ_OP_FLUSH`.
    Flush,
    /// `REQ_OP_DISCARD`.
    Discard,
    /// `REQ_OP_SECURE_ERASE`.
    SecureErase,
    /// `REQ_OP_ZONE_APPEND`.
    ZoneAppend,
    /// `REQ_OP_WRITE_ZEROES`.
    WriteZeroes,
    /// `REQ_OP_ZONE_OPEN`.
    ZoneOpen,
    /// `REQ_OP_ZONE_CLOSE`.
    ZoneClose,
    /// `REQ_OP_ZONE_FINISH`.
    ZoneFinish,
    /// `REQ_OP_ZONE_RESET`.
    ZoneReset,
    /// `REQ_OP_ZONE_RESET_ALL`.
    ZoneResetAll,
    /// `REQ_OP_DRV_IN`.
    DrvIn,
    /// `REQ_OP_DRV_OUT`.
    DrvOut,
}

impl ReqOp {
    /// Every operation.
    pub const ALL: [Self; 14] = [
        Self::Read,
        Self::Write,
        Self::Flush,
        Self::Discard,
        Self::SecureErase,
        Self::ZoneAppend,
        Self::WriteZeroes,
        Self::ZoneOpen,
        Self::ZoneClose,
        Self::ZoneFinish,
        Self::ZoneReset,
        Self::ZoneResetAll,
        Self::DrvIn,
        Self::DrvOut,
    ];

    /// The operation's number, the same on every kernel read.
    pub const fn number(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 2,
            Self::Discard => 3,
            Self::SecureErase => 5,
            Self::ZoneAppend => 7,
            Self::WriteZeroes => 9,
            Self::ZoneOpen => 11,
            Self::ZoneClose => 13,
            Self::ZoneFinish => 15,
            Self::ZoneReset => 17,
            Self::ZoneResetAll => 19,
            Self::DrvIn => 34,
            Self::DrvOut => 35,
        }
    }

    /// The operation of a number.
    ///
    /// # Errors
    /// [`FlagFault::UnknownOp`].
    pub fn from_number(number: u32) -> Result<Self, Reason> {
        let known = Self::ALL.into_iter().find(|op| op.number() == number);
        known.ok_or(Reason::Flags(FlagFault::UnknownOp { word: "bi_opf", op: number }))
    }

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "REQ_OP_READ",
            Self::Write => "REQ_OP_WRITE",
            Self::Flush => "REQ_OP_FLUSH",
            Self::Discard => "REQ_OP_DISCARD",
            Self::SecureErase => "REQ_OP_SECURE_ERASE",
            Self::ZoneAppend => "REQ_OP_ZONE_APPEND",
            Self::WriteZeroes => "REQ_OP_WRITE_ZEROES",
            Self::ZoneOpen => "REQ_OP_ZONE_OPEN",
            Self::ZoneClose => "REQ_OP_ZONE_CLOSE",
            Self::ZoneFinish => "REQ_OP_ZONE_FINISH",
            Self::ZoneReset => "REQ_OP_ZONE_RESET",
            Self::ZoneResetAll => "REQ_OP_ZONE_RESET_ALL",
            Self::DrvIn => "REQ_OP_DRV_IN",
            Self::DrvOut => "REQ_OP_DRV_OUT",
        }
    }
}

/// An operation and its flags: `blk_opf_t`.
///
/// # Invariants
/// [`Req::SWAP`] stands on [`ReqOp::Write`] only.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Opf {
    op: ReqOp,
    flags: Req,
}

impl Opf {
    /// Joins an operation and its flags.
    ///
    /// # Errors
    /// [`FlagFault::UnnamedReq`] for bits of no flag, [`FlagFault::SwapMark`] for the swap mark on anything but a
    /// write.
    pub const fn new(op: ReqOp, flags: Req) -> Result<Self, Reason> {
        let unknown = flags.bits() & !Req::all().bits();
        if unknown != 0 {
            return Err(Reason::Flags(FlagFault::UnnamedReq { bits: unknown }));
        }
        if flags.contains(Req::SWAP) && !matches!(op, ReqOp::Write) {
            return Err(Reason::Flags(FlagFault::SwapMark { op: op.name() }));
        }
        Ok(Self { op, flags })
    }

    /// What is done.
    pub const fn op(self) -> ReqOp {
        self.op
    }

    /// How.
    pub const fn flags(self) -> Req {
        self.flags
    }

    /// Whether reclaim waits for it: the swap mark, which only a write has.
    pub const fn is_swap_write(self) -> bool {
        self.flags.contains(Req::SWAP)
    }
}
