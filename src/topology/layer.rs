//! What an area stands on, layer by layer: facts only, stated by whoever can see them.

use crate::ublk::UblkDevice;

/// Whose memory the swapped pages are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Consumer {
    /// This kernel's own: it reclaims memory by writing to what the server serves.
    SameKernel,
    /// Another kernel's, a guest's or a remote host's: the server's own allocations do not wait for it.
    OtherKernel,
}

/// A fact that may not be known.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Told {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// Whether a server holds the reclaim posture: memory locked, `PR_SET_IO_FLUSHER` in each thread, `oom_score_adj`
/// -1000, all buffers and threads made beforehand.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Posture {
    /// All of it.
    Held,
    /// Not all of it.
    Missing,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// Where a server runs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Place {
    /// On this machine: a unix socket, or TCP to an address of its own.
    Local,
    /// On another machine.
    Remote,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// What the client of an NBD device did before it connected.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NbdClient {
    /// It stays, with its memory locked: `-swap -nonetlink -nofork`.
    Hardened,
    /// It stays, and its memory is not locked: so also by `-swap` without `-nofork`, since a fork unlocks it.
    Plain,
    /// It connected by netlink and is gone: there `-swap` does nothing, and nobody connects again but `-persist`.
    Netlink,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// A process that serves. The default is one of which nothing is known.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Server {
    /// Whether it holds the reclaim posture.
    pub posture: Posture,
    /// Whether it allocates nothing while it serves, and takes no lock of a thread that does.
    pub allocates_nothing: Told,
    /// Whether it opens the disk that it keeps the pages on with `O_DIRECT`.
    pub direct: Told,
}

/// One layer. A name in it is of the kind of thing, never of the thing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// A disk that a driver of this kernel serves from hardware.
    Disk,
    /// A part of a disk.
    Partition,
    /// A device-mapper table; whether each sector stays where it is (`in_place`), so that no write allocates.
    DeviceMapper {
        /// Whether it does.
        in_place: Told,
    },
    /// An md array; whether a process writes its metadata (`external`).
    Md {
        /// Whether it does.
        external: Told,
    },
    /// Compressed memory. A disk below it, if it has one, takes what is written back.
    Zram,
    /// A loop device; whether it opens its file with direct I/O.
    Loop {
        /// Whether it does.
        direct: Told,
    },
    /// A network block device.
    Nbd {
        /// Where its server runs.
        place: Place,
        /// Its client on this machine.
        client: NbdClient,
        /// The server, if it is local.
        server: Server,
    },
    /// A user-space block device.
    Ublk {
        /// Its flags; `None` where they cannot be told.
        device: Option<UblkDevice>,
        /// 512-byte sectors of its largest request; `None` where that cannot be told.
        max_sectors: Option<u32>,
        /// Its server.
        server: Server,
    },
    /// A block device that another machine serves otherwise: iSCSI, NVMe over fabrics, RBD.
    NetworkDevice(&'static str),
    /// A filesystem of this kernel, on block devices.
    Filesystem(&'static str),
    /// A file in memory: tmpfs, ramfs.
    Memory(&'static str),
    /// A network filesystem.
    NetworkFilesystem(&'static str),
    /// FUSE without a block device: the server takes every read and write.
    Fuse(Server),
    /// FUSE over a block device: the kernel asks where a file's blocks lie, and swaps past the server.
    Fuseblk {
        /// Whether the mount's source is a block device.
        device: Told,
        /// Whether the blocks of an active swap file never move: no copy on write, defragmentation, hole punching.
        keeps_blocks: Told,
        /// Whether swapoff works after the server's death: `OPEN` answered by ENOSYS, long timeouts of names.
        outlived: Told,
        /// Its server, for whoever reaches the file through it.
        server: Server,
    },
    /// Something that no rule names.
    Unknown(&'static str),
    /// The rest of a chain that was not followed to its end.
    Endless,
}

impl Layer {
    /// What it is, in a word or two.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disk => "a disk",
            Self::Partition => "a partition",
            Self::DeviceMapper { .. } => "a device-mapper device",
            Self::Md { .. } => "an md array",
            Self::Zram => "zram",
            Self::Loop { direct: Told::Yes } => "a loop device with direct I/O",
            Self::Loop { direct: Told::No } => "a loop device through the page cache",
            Self::Loop { direct: Told::Unknown } => "a loop device",
            Self::Nbd { place: Place::Local, .. } => "an NBD device served on this machine",
            Self::Nbd { place: Place::Remote, .. } => "an NBD device served on another machine",
            Self::Nbd { place: Place::Unknown, .. } => "an NBD device",
            Self::Ublk { .. } => "a ublk device",
            Self::NetworkDevice(name)
            | Self::Filesystem(name)
            | Self::Memory(name)
            | Self::NetworkFilesystem(name)
            | Self::Unknown(name) => name,
            Self::Fuse(_) => "FUSE without a block device",
            Self::Fuseblk { .. } => "FUSE over a block device",
            Self::Endless => "more layers than are followed",
        }
    }

    /// Whether it is a block device.
    pub(super) const fn is_device(self) -> bool {
        match self {
            Self::Disk
            | Self::Partition
            | Self::DeviceMapper { .. }
            | Self::Md { .. }
            | Self::Zram
            | Self::Loop { .. }
            | Self::Nbd { .. }
            | Self::Ublk { .. }
            | Self::NetworkDevice(_) => true,
            Self::Filesystem(_)
            | Self::Memory(_)
            | Self::NetworkFilesystem(_)
            | Self::Fuse(_)
            | Self::Fuseblk { .. }
            | Self::Unknown(_)
            | Self::Endless => false,
        }
    }

    /// What stands below such a layer and must be stated with it; `None` for one that may stand for itself.
    pub(super) const fn missing_below(self) -> Option<&'static str> {
        Some(match self {
            Self::Partition => "the disk of a partition",
            Self::DeviceMapper { .. } => "what a device-mapper device maps to",
            Self::Md { .. } => "the disks of an md array",
            Self::Loop { .. } => "the file under a loop device",
            Self::Filesystem(_) => "the device of a filesystem",
            Self::Fuseblk { .. } => "the device of a fuseblk mount",
            Self::Disk
            | Self::Zram
            | Self::Nbd { .. }
            | Self::Ublk { .. }
            | Self::NetworkDevice(_)
            | Self::Memory(_)
            | Self::NetworkFilesystem(_)
            | Self::Fuse(_)
            | Self::Unknown(_)
            | Self::Endless => return None,
        })
    }
}

/// A layer, and how deep it stands: the area's own first, at 0; what a layer stands on follows it, one deeper.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Link {
    /// How many layers stand above it.
    pub depth: u8,
    /// What it is.
    pub layer: Layer,
}

/// How deep a chain is followed. Loop devices stop at 10 by themselves (`drivers/block/loop.c:loop_validate_file`).
pub const MAX_DEPTH: usize = 16;
/// How many layers there may be in all, each disk of each array counted.
pub const MAX_LINKS: usize = 256;
