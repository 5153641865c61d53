//! The numbers: which bit each kernel gives to each flag. A new kernel is one more block in this file.
//!
//! A list is made of lists: what several kernels share stands once, what a kernel has for itself in its block.
//!
//! Sources: Linux 6.1.192, 6.12.117 and 6.18.4, `include/linux/{fs,blk_types}.h`; Howells' v3, linux-fsdevel
//! 2021-09-24, on 5.15-rc, of which only `ki_flags` was read.

use super::{Fmode, Fop, Iocb, Kernel, Req, Rwf};
use crate::release::Release;

/// Flags and their bits, in lists.
pub(crate) type Numbers<F> = &'static [&'static [(F, u8)]];

impl Kernel {
    /// Linux 6.1.
    pub const V6_1: Self = Self {
        name: "Linux 6.1",
        release: Some(Release::new(6, 1)),
        rwf: RWF,
        iocb: &[IOCB, &[(Iocb::AIO_RW, 23)]],
        req: &[
            REQ,
            &[
                (Req::CGROUP_PUNT, 22),
                (Req::POLLED, 23),
                (Req::ALLOC_CACHE, 24),
                (Req::SWAP, 25),
                (Req::DRV, 26),
                (Req::NOUNMAP, 27),
            ],
        ],
        fmode: &[FMODE],
        fop: &[],
    };

    /// Linux 6.12.
    pub const V6_12: Self = Self {
        name: "Linux 6.12",
        release: Some(Release::new(6, 12)),
        rwf: RWF_6_12,
        iocb: &[IOCB, IOCB_6_12],
        req: &[REQ, REQ_6_12, &[(Req::NOUNMAP, 28)]],
        fmode: &[FMODE, FMODE_6_12],
        fop: &[FOP_6_12],
    };

    /// Linux 6.18.
    pub const V6_18: Self = Self {
        name: "Linux 6.18",
        release: Some(Release::new(6, 18)),
        rwf: RWF_6_12.union(Rwf::DONTCACHE).union(Rwf::NOSIGNAL),
        iocb: &[IOCB, IOCB_6_12, &[(Iocb::DONTCACHE, 7), (Iocb::NOSIGNAL, 8), (Iocb::HAS_METADATA, 24)]],
        req: &[REQ, REQ_6_12, &[(Req::P2PDMA, 28), (Req::NOUNMAP, 29)]],
        fmode: &[FMODE, FMODE_6_12],
        fop: &[FOP_6_12, &[(Fop::ASYNC_LOCK, 6), (Fop::DONTCACHE, 7)]],
    };

    /// D. Howells' patches, v3: the only numbers that have `IOCB_SWAP`. No released kernel, so of no release.
    pub const HOWELLS_V3: Self = Self {
        name: "Howells' v3",
        release: None,
        rwf: RWF,
        iocb: &[IOCB, &[(Iocb::SWAP, 22)]],
        req: &[],
        fmode: &[],
        fop: &[],
    };

    /// Every numbering that was read, oldest first.
    pub const ALL: &'static [&'static Self] = &[&Self::HOWELLS_V3, &Self::V6_1, &Self::V6_12, &Self::V6_18];
}

const RWF: Rwf = Rwf::HIPRI.union(Rwf::DSYNC).union(Rwf::SYNC).union(Rwf::NOWAIT).union(Rwf::APPEND);

const RWF_6_12: Rwf = RWF.union(Rwf::NOAPPEND).union(Rwf::ATOMIC);

const IOCB: &[(Iocb, u8)] = &[
    (Iocb::HIPRI, 0),
    (Iocb::DSYNC, 1),
    (Iocb::SYNC, 2),
    (Iocb::NOWAIT, 3),
    (Iocb::APPEND, 4),
    (Iocb::EVENTFD, 16),
    (Iocb::DIRECT, 17),
    (Iocb::WRITE, 18),
    (Iocb::WAITQ, 19),
    (Iocb::NOIO, 20),
    (Iocb::ALLOC_CACHE, 21),
];

const IOCB_6_12: &[(Iocb, u8)] = &[(Iocb::ATOMIC, 6), (Iocb::DIO_CALLER_COMP, 22), (Iocb::AIO_RW, 23)];

const REQ: &[(Req, u8)] = &[
    (Req::FAILFAST_DEV, 8),
    (Req::FAILFAST_TRANSPORT, 9),
    (Req::FAILFAST_DRIVER, 10),
    (Req::SYNC, 11),
    (Req::META, 12),
    (Req::PRIO, 13),
    (Req::NOMERGE, 14),
    (Req::IDLE, 15),
    (Req::INTEGRITY, 16),
    (Req::FUA, 17),
    (Req::PREFLUSH, 18),
    (Req::RAHEAD, 19),
    (Req::BACKGROUND, 20),
    (Req::NOWAIT, 21),
];

const REQ_6_12: &[(Req, u8)] = &[
    (Req::POLLED, 22),
    (Req::ALLOC_CACHE, 23),
    (Req::SWAP, 24),
    (Req::DRV, 25),
    (Req::FS_PRIVATE, 26),
    (Req::ATOMIC, 27),
];

const FMODE: &[(Fmode, u8)] =
    &[(Fmode::READ, 0), (Fmode::WRITE, 1), (Fmode::NOCMTIME, 11), (Fmode::CAN_ODIRECT, 22), (Fmode::NOWAIT, 27)];

const FMODE_6_12: &[(Fmode, u8)] = &[(Fmode::CAN_ATOMIC_WRITE, 7)];

const FOP_6_12: &[(Fop, u8)] = &[
    (Fop::BUFFER_RASYNC, 0),
    (Fop::BUFFER_WASYNC, 1),
    (Fop::MMAP_SYNC, 2),
    (Fop::DIO_PARALLEL_WRITE, 3),
    (Fop::HUGE_PAGES, 4),
    (Fop::UNSIGNED_OFFSET, 5),
];
