//! Why a server, or what a swap area stands on, may hang the machine: one row each, measured or read in the source.

use core::fmt;

use super::Answer;
use super::Class::{Permanent, Warning};
use super::table::{Row, own, row};

/// What stands against a topology: who serves the area, on what, and how.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyFault {
    /// A layer that no rule names: nothing is promised of it.
    #[error("no rule here names {layer}, so nothing is known of what it needs")]
    LayerUnknown {
        /// What it is, as far as that shows.
        layer: &'static str,
    },
    /// More layers than are followed, or a layer that stands on itself.
    #[error("more than {limit} layers, or a layer that stands on itself: not followed further")]
    Endless {
        /// The limit.
        limit: usize,
    },
    /// A block device that another machine serves.
    #[error("{device} is served over a network, whose server and packets are on the swap path")]
    NetworkDevice {
        /// What it is.
        device: &'static str,
    },
    /// A loop device over a file that a process serves.
    #[error("a loop device over FUSE: its worker allocates each request without a reserve, whatever the server does")]
    LoopOverFuse,
    /// A loop device over a block device.
    #[error(
        "a loop device over a block device: its worker allocates without a reserve, without direct I/O a page for each page"
    )]
    LoopOverDisk,
    /// The file under a loop device is not overwritten in place, or that cannot be told: asked where loop devices over
    /// files are accepted.
    #[error("the file under the loop device is not known to be overwritten in place: its worker would allocate blocks")]
    LoopFile,
    /// The filesystem's own device is a loop device over a file of another filesystem.
    #[error(
        "the filesystem's device is a loop device over a file: both wait for one pool of requests, and hung when memory was short"
    )]
    LoopBelow,
    /// A device-mapper device that gives blocks out when they are written, or may.
    #[error("{}", if *certain { "a thin volume, a snapshot or VDO: a write allocates first, and fails once its pool is full" } else { "whether the device-mapper device allocates when it is written cannot be told" })]
    Allocates {
        /// Whether it is known.
        certain: bool,
    },
    /// A user-space server, and a file that it keeps the pages in.
    #[error("{server} keeps the pages in a file: swap and its own direct I/O share a pool of requests")]
    FileBacked {
        /// Who serves.
        server: &'static str,
    },
    /// A plain FUSE mount: each page would go through its server.
    #[error("a FUSE server is on the path of every page")]
    ServedFile,
    /// An NBD server on this machine, or one that may be.
    #[error("{}", if *certain { "an NBD server on this machine: its replies need memory without a reserve" } else { "whether the NBD server runs on this machine cannot be told" })]
    LocalNbd {
        /// Whether it is known.
        certain: bool,
    },
    /// Another server below one.
    #[error("{below} stands below {above}: what serves a server is on the path too")]
    Served {
        /// What is below.
        below: &'static str,
        /// What is above.
        above: &'static str,
    },
    /// A `fuseblk` mount whose source is no block device.
    #[error("the source of the fuseblk mount is no block device, or cannot be told")]
    NoDevice,
    /// A server that says itself that it moves blocks.
    #[error("the user-space server moves blocks of files that are swapped to")]
    BlocksMove,
    /// What the death of a server ends in.
    #[error("{server} may die: {outcome}")]
    ServerDeath {
        /// Who serves.
        server: &'static str,
        /// What then.
        outcome: &'static str,
    },
    /// A server that allocates or waits while it serves, or may.
    #[error("{}", if *certain { "the server allocates or waits while it serves a page" } else { "whether the server allocates or waits while it serves a page cannot be told" })]
    DataPath {
        /// Whether it is known.
        certain: bool,
    },
    /// The reclaim posture: locked memory, `PR_SET_IO_FLUSHER`, out of reach of the OOM killer.
    #[error("{}", if *certain { "the server does not hold the reclaim posture: locked memory, IO_FLUSHER, oom_score_adj -1000" } else { "whether the server holds the reclaim posture cannot be told" })]
    Posture {
        /// Whether it is known.
        certain: bool,
    },
    /// Requests for which the kernel allocates an array.
    #[error("{}", Largest(*max_sectors))]
    LargeRequests {
        /// 512-byte sectors of the largest request.
        max_sectors: Option<u32>,
    },
    /// What a server keeps the pages on cannot be seen.
    #[error("what {server} keeps the pages on cannot be told")]
    BackingUnknown {
        /// Who serves.
        server: &'static str,
    },
    /// A server that reads and writes its disk through the page cache, or may.
    #[error("{}", if *certain { "the server does not open its disk with O_DIRECT: the page cache needs memory for each page" } else { "whether the server opens its disk with O_DIRECT cannot be told" })]
    Buffered {
        /// Whether it is known.
        certain: bool,
    },
    /// An md array whose metadata a process writes.
    #[error("an md array with external metadata: writes wait for mdmon, a process")]
    ExternalMetadata,
    /// A flag of a ublk device that contradicts swap, or another flag.
    #[error("the ublk device has {flag}: {why}")]
    UblkFlag {
        /// The driver's or library's name for it.
        flag: &'static str,
        /// What it would do.
        why: &'static str,
    },
    /// Flags of a ublk device that no rule names.
    #[error("the ublk device has the unknown flags {bits:#x}")]
    UblkFlagsUnknown {
        /// The bits.
        bits: u64,
    },
    /// An NBD client that was not told of swap, or did not listen.
    #[error("the NBD client is not hardened for swap: {why}")]
    NbdSwap {
        /// What is missing.
        why: &'static str,
    },
}

/// The size of the largest request, in words.
struct Largest(Option<u32>);

impl fmt::Display for Largest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sectors) => write!(f, "requests of up to {sectors} sectors, the kernel allocates above 32 (16 KiB)"),
            None => {
                f.write_str("how large requests get cannot be told, the kernel allocates above 32 sectors (16 KiB)")
            }
        }
    }
}

impl TopologyFault {
    pub(super) const fn row(&self) -> Row {
        let accepts = Answer::Accepts;
        match self {
            Self::LayerUnknown { .. } | Self::Endless { .. } => own("layer-unknown", Permanent, accepts),
            Self::NetworkDevice { .. } => own("network", Permanent, accepts),
            Self::LoopOverFuse => row("loop-backing", Permanent, accepts, "fs/fuse/file.c:fuse_io_alloc"),
            Self::LoopOverDisk => row("loop-backing", Permanent, accepts, "drivers/block/loop.c:lo_rw_aio"),
            Self::LoopFile => row("loop-backing", Permanent, accepts, "drivers/block/loop.c:lo_rw_aio"),
            Self::LoopBelow => row("loop-below", Warning, accepts, BIO_POOL),
            Self::Allocates { .. } => {
                row("device-allocates", Warning, accepts, "drivers/md/dm-thin.c:process_deferred_bios")
            }
            Self::FileBacked { .. } => row("file-backed-server", Permanent, accepts, BIO_POOL),
            Self::ServedFile | Self::Served { .. } => own(SERVER, Permanent, accepts),
            Self::LocalNbd { .. } => row(SERVER, Permanent, accepts, "net/core/sock.c:sock_alloc_send_pskb"),
            Self::NoDevice | Self::BlocksMove => row(SERVER, Permanent, accepts, "fs/fuse/file.c:fuse_bmap"),
            Self::ServerDeath { .. } => own("server-death", Permanent, accepts),
            Self::DataPath { .. } | Self::BackingUnknown { .. } | Self::Buffered { .. } => {
                own(SERVER, Permanent, accepts)
            }
            Self::Posture { .. } => row("posture", Permanent, accepts, "kernel/sys.c:prctl"),
            Self::LargeRequests { .. } => {
                row("large-requests", Permanent, accepts, "block/fops.c:__blkdev_direct_IO_simple")
            }
            Self::ExternalMetadata => row(SERVER, Permanent, accepts, "drivers/md/md.c:md_write_start"),
            Self::UblkFlag { .. } => {
                row("ublk-flags", Permanent, accepts, "drivers/block/ublk_drv.c:ublk_dispatch_req")
            }
            Self::UblkFlagsUnknown { .. } => own("ublk-flags", Permanent, accepts),
            Self::NbdSwap { .. } => own("posture", Permanent, accepts),
        }
    }

    /// What to do about it.
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::LayerUnknown { .. } | Self::Endless { .. } => {
                "lsblk -s FILE and losetup -a, as root, may show what it stands on; a local disk is safe"
            }
            Self::NetworkDevice { .. } | Self::LocalNbd { .. } | Self::Served { .. } => LOCAL,
            Self::LoopOverFuse => "losetup -a shows it: swap to a disk, or to a file on ext4, XFS or btrfs on one",
            Self::LoopOverDisk => "losetup -l shows the device below it: swap to that",
            Self::LoopFile => "losetup -a shows the file: write it in full, on ext4 or XFS",
            Self::LoopBelow => "under global memory pressure it may hang: put the filesystem on a disk",
            Self::Allocates { .. } => "lvs -o+segtype and dmsetup table show it: take a linear volume for swap",
            Self::FileBacked { .. } => "let the server keep the pages on a disk of its own",
            Self::BackingUnknown { .. } => "only who knows the server can promise that: --accept-risk data-path",
            Self::ServedFile => {
                "serve it by fuseblk and FUSE_BMAP, or use a file on ext4, XFS or btrfs on a local disk"
            }
            Self::NoDevice | Self::BlocksMove => "use a file on ext4, XFS or btrfs on a local disk, or a block device",
            Self::ServerDeath { .. } => "only who runs the machine can accept that: --accept-risk server-death",
            Self::DataPath { .. } => "only who knows the server can promise that: --accept-risk data-path",
            Self::Posture { .. } => {
                "let it lock its memory, set PR_SET_IO_FLUSHER in each thread and oom_score_adj -1000"
            }
            Self::LargeRequests { .. } => "echo 16 > \"/sys/class/block/$(basename FILE)/queue/max_sectors_kb\"",
            Self::Buffered { .. } => "let the server open its disk with O_DIRECT",
            Self::ExternalMetadata => "use an array with metadata of its own (mdadm --metadata=1.2), or a disk",
            Self::UblkFlag { .. } | Self::UblkFlagsUnknown { .. } => "make the ublk device anew without that flag",
            Self::NbdSwap { .. } => {
                "nbd-client -swap -nonetlink -nofork: without the last, 3.24 locks its memory and loses that when it forks"
            }
        })
    }
}

const SERVER: &str = "user-space-server";
const BIO_POOL: &str = "block/bio.c:bio_alloc_bioset";
const LOCAL: &str = "use a local disk that no process serves";
