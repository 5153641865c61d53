//! A ublk device's flags, held against swap: who copies, who may be the server, and what its death does to a page.
//!
//! The driver says itself that mapping a request's pages may never succeed while memory is short, unless the server's
//! buffers are locked; libublk asks for its flag `UBLK_DEV_F_MLOCK_IO_BUFFER` for a swap disk and refuses it together
//! with the three ways that have no such buffers. What was measured is the copying driver with locked buffers
//! (topologies.md, rows D); every other way to the data refuses.
//!
//! Source: Linux v6.18, `include/uapi/linux/ublk_cmd.h` (bits 15 to 19 are of 7.x), `drivers/block/ublk_drv.c`
//! (`ublk_dispatch_req`, `ublk_ctrl_add_dev`, which sets some flags by itself); libublk 0.4.8, `src/ctrl.rs`.

use crate::reason::{Reason, TopologyFault};

bitflags::bitflags! {
    /// `UBLK_F_`: what a ublk device was made with, `flags` of `ublksrv_ctrl_dev_info`.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct UblkFeatures: u64 {
        /// The server registers a request's own pages with its ring.
        const SUPPORT_ZERO_COPY = 1 << 0;
        /// Commands complete in the server's task.
        const URING_CMD_COMP_IN_TASK = 1 << 1;
        /// The server gives a write's buffer after it has seen the request.
        const NEED_GET_DATA = 1 << 2;
        /// The device outlives its server: what was issued fails, what comes later waits.
        const USER_RECOVERY = 1 << 3;
        /// The device outlives its server: what was issued is issued again.
        const USER_RECOVERY_REISSUE = 1 << 4;
        /// An ordinary user may be the server.
        const UNPRIVILEGED_DEV = 1 << 5;
        /// Commands are encoded as ioctls are.
        const CMD_IOCTL_ENCODE = 1 << 6;
        /// The server copies by pread and pwrite on `/dev/ublkcN`.
        const USER_COPY = 1 << 7;
        /// A zoned device.
        const ZONED = 1 << 8;
        /// The device outlives its server: all I/O fails meanwhile.
        const USER_RECOVERY_FAIL_IO = 1 << 9;
        /// The size may be changed.
        const UPDATE_SIZE = 1 << 10;
        /// The driver registers a request's own pages with the server's ring.
        const AUTO_BUF_REG = 1 << 11;
        /// The server can be exchanged in an orderly way.
        const QUIESCE = 1 << 12;
        /// A task of its own for each tag.
        const PER_IO_DAEMON = 1 << 13;
        /// Pages may be registered by any task.
        const BUF_REG_OFF_DAEMON = 1 << 14;
        /// Commands in batches.
        const BATCH_IO = 1 << 15;
        /// Requests with integrity data.
        const INTEGRITY = 1 << 16;
        /// It can be stopped only while nobody has it open.
        const SAFE_STOP_DEV = 1 << 17;
        /// No scan for partitions.
        const NO_AUTO_PART_SCAN = 1 << 18;
        /// Requests whose pages are in memory that is shared with the server.
        const SHMEM_ZC = 1 << 19;
    }
}

/// What a ublk device was made with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UblkDevice {
    /// `flags` of `ublksrv_ctrl_dev_info`, as the driver gives them.
    pub flags: u64,
    /// Whether the server's buffers are locked by themselves: libublk's `UBLK_DEV_F_MLOCK_IO_BUFFER`.
    pub locks_buffers: bool,
}

/// What the death of its server does to a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Recovery {
    /// No recovery: the device goes.
    None,
    /// What was issued fails, what comes later waits for the next server.
    Wait,
    /// All of it waits and is issued again.
    Reissue,
    /// All of it fails until the next server is there.
    Fail,
}

impl UblkDevice {
    /// Reports each flag that contradicts swap, in the order of their bits, then bits that have no name here.
    pub fn check(&self, mut report: impl FnMut(Reason)) {
        let features = UblkFeatures::from_bits_retain(self.flags);
        for (flag, name, why) in CONTRADICTIONS {
            if features.contains(*flag) {
                let pair = self.locks_buffers.then(|| PAIRS.iter().find(|(other, _)| other == flag)).flatten();
                let flag = pair.map_or(*name, |(_, pair)| *pair);
                report(Reason::Topology(TopologyFault::UblkFlag { flag, why }));
            }
        }
        match self.flags & !UblkFeatures::all().bits() {
            0 => (),
            bits => report(Reason::Topology(TopologyFault::UblkFlagsUnknown { bits })),
        }
    }

    /// What happens to a request when the server dies.
    pub const fn recovery(&self) -> Recovery {
        let features = UblkFeatures::from_bits_retain(self.flags);
        // The driver wants the first one for the other two to mean anything; without it, they promise nothing here.
        if !features.contains(UblkFeatures::USER_RECOVERY) {
            Recovery::None
        } else if features.contains(UblkFeatures::USER_RECOVERY_FAIL_IO) {
            Recovery::Fail
        } else if features.contains(UblkFeatures::USER_RECOVERY_REISSUE) {
            Recovery::Reissue
        } else {
            Recovery::Wait
        }
    }
}

impl Recovery {
    /// What becomes of a swapped page. Only the first was run (1 of 1 machines died), the others are by source.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::None => "the device goes with it, each page on it is lost, and the machine dies",
            Self::Wait => "a page being read is lost, its process gets SIGBUS; all others wait for a next server",
            Self::Reissue => "every page waits for a next server, which must start without memory from reclaim",
            Self::Fail => "each page that is read meanwhile is lost, its process gets SIGBUS",
        }
    }
}

const REGISTERS: &str = "the pages of each request are registered with a ring, which may allocate";
const UNTRIED: &str = "this way to the data was not tried under memory pressure";

/// Flags that contradict swap. What stands in neither this list nor the names above is unknown, and refuses.
const CONTRADICTIONS: &[(UblkFeatures, &str, &str)] = &[
    (UblkFeatures::SUPPORT_ZERO_COPY, "UBLK_F_SUPPORT_ZERO_COPY", REGISTERS),
    (UblkFeatures::NEED_GET_DATA, "UBLK_F_NEED_GET_DATA", "a write waits for a buffer that the server finds for it"),
    (UblkFeatures::UNPRIVILEGED_DEV, "UBLK_F_UNPRIVILEGED_DEV", "an ordinary user's server sees every page"),
    (UblkFeatures::USER_COPY, "UBLK_F_USER_COPY", "the driver has no buffers of the server's that could be locked"),
    (UblkFeatures::ZONED, "UBLK_F_ZONED", "a zone cannot be overwritten in place"),
    (UblkFeatures::AUTO_BUF_REG, "UBLK_F_AUTO_BUF_REG", REGISTERS),
    (UblkFeatures::BATCH_IO, "UBLK_F_BATCH_IO", UNTRIED),
    (UblkFeatures::INTEGRITY, "UBLK_F_INTEGRITY", UNTRIED),
    (UblkFeatures::SHMEM_ZC, "UBLK_F_SHMEM_ZC", UNTRIED),
];

/// Locked buffers, and the ways that have none: libublk refuses each pair.
const PAIRS: &[(UblkFeatures, &str)] = &[
    (UblkFeatures::SUPPORT_ZERO_COPY, "UBLK_DEV_F_MLOCK_IO_BUFFER with UBLK_F_SUPPORT_ZERO_COPY"),
    (UblkFeatures::USER_COPY, "UBLK_DEV_F_MLOCK_IO_BUFFER with UBLK_F_USER_COPY"),
    (UblkFeatures::AUTO_BUF_REG, "UBLK_DEV_F_MLOCK_IO_BUFFER with UBLK_F_AUTO_BUF_REG"),
];
