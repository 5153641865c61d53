//! The table: which rule, whose finding it is, which named risk lifts it. Read it from top to bottom.
//!
//! `measured` names the run by its letter: A to E of topologies.md, and K, the loop devices of the kernel's own files,
//! which came later; each in a guest with Linux 6.12 and 256 MiB, under global memory pressure. What was not run says
//! so.

use super::accept::Override;

/// A condition that a topology must meet where swap is this same kernel's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Every layer is one that is named here, and all of them are stated.
    Known,
    /// No other machine is on the path.
    Local,
    /// No loop device stands on a file that a process serves.
    LoopNotOverFuse,
    /// No loop device stands on a file of this kernel's filesystems.
    LoopNotOverFile,
    /// No loop device stands so below the filesystem that the area is a file of: advice.
    FilesystemNotOnLoop,
    /// A device-mapper device maps each sector to where it always was: advice.
    MapsInPlace,
    /// No loop device stands on a block device.
    LoopNotOverDisk,
    /// Nothing is kept in memory, which would be swapped itself.
    NotInMemory,
    /// No NBD server runs on this machine.
    NbdNotLocal,
    /// The NBD client was told of swap, and listened.
    ClientHardened,
    /// A server is reached by a way that the table has.
    ServedByKnownWay,
    /// What a server keeps the pages on is seen.
    BackingSeen,
    /// A server's pages are on a disk, not in a file.
    RawDisk,
    /// The server opens that disk with `O_DIRECT`.
    Direct,
    /// Requests are of at most 16 KiB.
    SmallRequests,
    /// The server holds the reclaim posture.
    PostureHeld,
    /// The server allocates nothing while it serves.
    AllocatesNothing,
    /// The ublk device has no flag that contradicts swap.
    UblkFlags,
    /// No server stands below another.
    NoServerBelow,
    /// fuseblk: its source is a block device.
    OverDevice,
    /// fuseblk: blocks of an active file stay where they are.
    BlocksStay,
    /// The death of the server is provided for.
    DeathProvided,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct RuleRow {
    /// The topology that it is about.
    pub topology: &'static str,
    /// What must be so.
    pub condition: &'static str,
    /// The risks by which somebody may go on without it, any one of them; none for what nobody may accept.
    pub lifted_by: Override,
    /// What was seen without it.
    pub measured: &'static str,
    /// The kernel's function that it comes from, Linux v6.18.
    pub source: &'static str,
}

impl Rule {
    /// All of them, in the table's order.
    pub const ALL: [Self; 22] = [
        Self::Known,
        Self::Local,
        Self::LoopNotOverFuse,
        Self::LoopNotOverFile,
        Self::FilesystemNotOnLoop,
        Self::MapsInPlace,
        Self::LoopNotOverDisk,
        Self::NotInMemory,
        Self::NbdNotLocal,
        Self::ClientHardened,
        Self::ServedByKnownWay,
        Self::BackingSeen,
        Self::RawDisk,
        Self::Direct,
        Self::SmallRequests,
        Self::PostureHeld,
        Self::AllocatesNothing,
        Self::UblkFlags,
        Self::NoServerBelow,
        Self::OverDevice,
        Self::BlocksStay,
        Self::DeathProvided,
    ];

    /// Whether it is asked of another kernel's swap too: what is not known may do anything, and a flag may lose pages with
    /// memory to spare.
    pub const fn is_for_any_consumer(self) -> bool {
        matches!(self, Self::Known | Self::UblkFlags)
    }

    /// Its line of the table.
    #[rustfmt::skip]
    pub const fn row(self) -> RuleRow {
        match self {
            Self::Known => row(ANY, "every layer down to the disks is named and known", NOBODY,
                "E: a kernel filesystem on a disk passed 5 of 5; what is not in the table was not run", "-"),
            Self::Local => row("network block device, network filesystem", "no other machine is on the path", NOBODY,
                "not run", "net/core/sock.c:sk_set_memalloc"),
            Self::LoopNotOverFuse => row("loop device over FUSE", "no loop device stands on a file that a process serves", OVER_FUSE,
                "B: hung with the server hardened, the worker of the loop device waiting for memory", "fs/fuse/file.c:fuse_io_alloc"),
            Self::LoopNotOverFile => row("loop device over a file on ext4, XFS, …", "no loop device stands on a file", OR_FILE,
                "K: over ext4 hung with direct I/O (7 of 7) and without (1 of 1)", "block/bio.c:bio_alloc_bioset"),
            Self::FilesystemNotOnLoop => row("filesystem on a loop device over a file", "advice: put the filesystem on a disk", OR_FILE,
                "K: ext4 on it over ext4 hung 7 of 7, the worker waiting for a bio that swap holds", "block/bio.c:bio_alloc_bioset"),
            Self::MapsInPlace => row("device-mapper", "advice: no thin volume, snapshot or VDO, whose writes allocate", RECLAIM,
                "not run", "drivers/md/dm-thin.c:process_deferred_bios"),
            Self::LoopNotOverDisk => row("loop device over a disk", "no loop device stands on a block device", RECLAIM,
                "K: with direct I/O hung 1 of 6, without 6 of 6", "drivers/block/loop.c:lo_rw_aio"),
            Self::NotInMemory => row("loop device over tmpfs", "no layer is memory that is swapped itself", NOBODY,
                "6.18: an area on it stopped for good with most of the memory free", "mm/shmem.c:shmem_writeout"),
            Self::NbdNotLocal => row("NBD from this machine, unix or TCP", "the server runs on another machine", OVER_NBD,
                "C: hung hardened and naive, the server waiting to send a reply", "net/core/sock.c:sock_alloc_send_pskb"),
            Self::ClientHardened => row("NBD", "its client is hardened: nbd-client -swap -nonetlink -nofork", RECLAIM,
                "nbd-client 3.24: without -nofork nothing is locked; by netlink -swap is passed over", "drivers/block/nbd.c:nbd_genl_connect"),
            Self::ServedByKnownWay => row("FUSE without a block device", "the server is not on the path of a page", RECLAIM,
                "swapon refuses it: no FUSE server ever serves swap pages", "fs/fuse/file.c:fuse_bmap"),
            Self::BackingSeen => row(SERVER, "what it keeps the pages on is seen", Override::DATA_PATH,
                "not run", "-"),
            Self::RawDisk => row("any server whose backing is a file", "the pages are on a disk of their own", OR_FILE,
                "B and D over an ext4 file: hung in every run; XFS by source", "block/bio.c:bio_alloc_bioset"),
            Self::Direct => row(SERVER, "it opens its disk with O_DIRECT", RECLAIM,
                "every run that passed had it", "block/fops.c:blkdev_write_iter"),
            Self::SmallRequests => row("ublk over a disk", "requests of at most 16 KiB", LARGE,
                "B: a larger one was seen waiting for its array once; D at 64 KiB passed 8 of 8", "block/fops.c:__blkdev_direct_IO_simple"),
            Self::PostureHeld => row(SERVER, "it holds the reclaim posture", HELD,
                "B, C and D naive: hung in every run", "kernel/sys.c:prctl"),
            Self::AllocatesNothing => row("a server on the path, md with external metadata", "the server allocates nothing while it serves", PROMISED,
                "D passed 8 of 8 with a server that allocates nothing", "drivers/block/ublk_drv.c:ublk_dispatch_req"),
            Self::UblkFlags => row("ublk", "no flag contradicts swap", NOBODY,
                "D: the copying driver alone was run", "drivers/block/ublk_drv.c:ublk_dispatch_req"),
            Self::NoServerBelow => row("fuseblk or a server over what is served itself", "no server stands below another", RECLAIM,
                "not run", "-"),
            Self::OverDevice => row(FUSEBLK, "its source is a block device", NOBODY,
                "A: a disk below passed 9 of 9", "fs/fuse/file.c:fuse_bmap"),
            Self::BlocksStay => row(FUSEBLK, "blocks of an active file never move", STAY,
                "A: passed 9 of 9 with a server that keeps them", "mm/page_io.c:generic_swapfile_activate"),
            Self::DeathProvided => row("fuseblk, ublk", "its death is provided for, or accepted", DEATH,
                "A and D, SIGKILL: swapoff fails (fuseblk), the machine dies (ublk)", "drivers/block/ublk_drv.c:ublk_ch_release"),
        }
    }
}

#[rustfmt::skip]
const fn row(topology: &'static str, condition: &'static str, lifted_by: Override, measured: &'static str, source: &'static str) -> RuleRow {
    RuleRow { topology, condition, lifted_by, measured, source }
}

const ANY: &str = "any";
const SERVER: &str = "a server on the path of a page";
const FUSEBLK: &str = "FUSE by fuseblk + FUSE_BMAP";

const NOBODY: Override = Override::empty();
const RECLAIM: Override = Override::GLOBAL_RECLAIM_EXCLUDED;
const OVER_FUSE: Override = RECLAIM.union(Override::LOOP_OVER_FUSE);
const OR_FILE: Override = RECLAIM.union(Override::FILE_BACKED);
const OVER_NBD: Override = RECLAIM.union(Override::LOCAL_NBD);
const LARGE: Override = RECLAIM.union(Override::LARGE_REQUESTS);
const PROMISED: Override = RECLAIM.union(Override::DATA_PATH);
const HELD: Override = RECLAIM.union(Override::POSTURE_HELD);
// What is lost when blocks move, or when the server dies, is lost with memory to spare, too.
const STAY: Override = Override::BLOCKS_STAY;
const DEATH: Override = Override::SERVER_DEATH;
