//! What a person can type next. `FILE` stands for the path: whoever prints a remedy puts it in, quoted. `PID` stands
//! for the process that a posture is of.
//!
//! A remedy is words, or words, a colon and commands; a note in brackets may follow. One that loses what the file
//! holds says so. None is ever run by this crate.

use super::{Fault, Holder, Reason};

impl Reason {
    /// What to do about it, one line, with `FILE` for the path; `None` where nothing can be typed.
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoPermission => "sudo swapon FILE",
            Self::TableFull { .. } => "swapon --show lists the active areas; swapoff one of them",
            Self::Directory => "name a file in it: swap needs one file",
            Self::NotAFile { .. } => "name a regular file or a block device",
            Self::ReadOnly => {
                "findmnt -T FILE shows the mount: mount -o remount,rw, or btrfs property set SUBVOLUME ro false"
            }
            Self::Immutable => "chattr -i FILE",
            Self::AppendOnly => "chattr -a FILE",
            Self::OpenForExecution { .. } => "fuser -v FILE shows who runs it",
            Self::Verity | Self::CopyOnWrite | Self::Checksummed | Self::CompressedFile => REMAKE,
            Self::LogStructured { .. } => "mount it without mode=lfs for swapon; nothing can be served through it",
            Self::SequentialZone => "use a conventional block device or a file on a filesystem",
            Self::DeviceReadOnly => "blockdev --setrw FILE",
            Self::Active { .. } => "swapon --show lists the active areas; swapoff FILE, if it should not be one",
            Self::DeviceHeld { holder } | Self::Busy { holder } => match holder {
                Holder::Mount => "lsblk FILE shows where; unmount it, then look again",
                Holder::StackedDevice => "lsblk FILE shows what is stacked on it; use that device, or remove it first",
                Holder::SwapArea => "swapon --show, and lsblk FILE, show which",
                Holder::Someone => "fuser -v FILE may show who",
                Holder::ExclusiveOperation => {
                    "btrfs balance status \"$(findmnt -no TARGET -T FILE)\"; look again when it is done"
                }
                Holder::SnapshotCreation => "look again in a moment",
                Holder::Scrub => "btrfs scrub status \"$(findmnt -no TARGET -T FILE)\"; look again when it is done",
            },
            Self::Encrypted => "move it out of the encrypted directory, or use dm-crypt under the swap area",
            Self::NoPageRead { .. }
            | Self::NoBlockMap { .. }
            | Self::InMemory { .. }
            | Self::FilesystemUnknown { .. }
            | Self::UserSpaceServer => OTHER_FILESYSTEM,
            Self::PlacementUnknown => "look again as root",
            Self::BlockSizeAbovePageSize { .. } => "make the filesystem, or the device, with blocks of at most a page",
            Self::Dax => "chattr -x FILE, and mount without dax=always",
            Self::HeaderUnreadable => "dmesg may say why; put it on another device",
            Self::HeaderMissing { .. }
            | Self::HeaderObsolete
            | Self::HeaderPageSize { .. }
            | Self::HeaderVersion { .. }
            | Self::HeaderEmpty
            | Self::HeaderShort { .. }
            | Self::BadPagesOnFile { .. }
            | Self::BadPagesTooMany { .. }
            | Self::BadPageOutside { .. }
            | Self::BadPagesWrap { .. } => "if it is meant for swap: mkswap FILE (what it holds now is lost)",
            Self::HibernationImage { .. } => {
                "resume or give up the hibernated system first; then: mkswap FILE (the image is lost)"
            }
            Self::Network { .. } | Self::SwapNotServed { .. } => {
                "use a local disk; over a network only where the server needs no memory of this machine"
            }
            Self::TransactionPerWrite { .. } => "use it with swapon (block-mapped), or serve it from ext4 or XFS",
            Self::JournaledData => "chattr -j FILE, and mount without data=journal",
            Self::NoDirectIo => "use it with swapon (block-mapped), or a filesystem with direct I/O",
            Self::LoopBacking => "losetup FILE shows the backing file: swap to that itself",
            Self::Underallocated { .. } => FILL,
            Self::Extent { fault, .. } => return fault.remedy(),
            Self::OnceShared { .. } => REMAKE,
            Self::ProfileNotSingle => SINGLE,
            Self::SplitPage { .. } | Self::Misplaced { .. } => "use a filesystem whose blocks are as large as a page",
            Self::SectionUnaligned { .. } => {
                "make it anew: f2fs_io pinfile set FILE, then fallocate whole sections (2 MiB)"
            }
            Self::BlockSizes { .. } => "let the server state the mount's blksize for each file, or 0",
            Self::NoUsablePage { .. } => "make it larger: at least 40 KiB, for mkswap",
            Self::InsecureMode { .. } => "chmod 0600 FILE",
            Self::InsecureOwner { .. } => "chown 0:0 FILE",
            Self::TimestampTransaction => {
                "serve a block device, or as root a file of XFS; up to Linux 6.1: mount with lazytime"
            }
            Self::Request(fault) => return fault.remedy(),
            Self::Guard(fault) => return fault.remedy(),
            Self::Posture(fault) => fault.grant(),
            Self::Topology(fault) => return fault.remedy(),
            Self::Served(fault) => return fault.remedy(),
            Self::Flags(_)
            | Self::FlagsUnknown { .. }
            | Self::Unlinked
            | Self::AreaTooLarge { .. }
            | Self::OtherBacking
            | Self::HeaderTruncated { .. }
            | Self::ExtentEmpty { .. }
            | Self::ExtentOverflow { .. }
            | Self::ExtentOrder { .. }
            | Self::ExtentUnaligned { .. }
            | Self::ExtentFlagsUnknown { .. }
            | Self::OutsideDevice { .. }
            | Self::DeviceOverlap { .. }
            | Self::ExtentsTooMany { .. }
            | Self::OutsideArea { .. }
            | Self::MapFull { .. }
            | Self::NotIdentity
            | Self::BlockUnaligned { .. }
            | Self::BlockZero
            | Self::ShortBuffer { .. } => return None,
        })
    }
}

impl Fault {
    const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Hole => FILL,
            Self::Inline | Self::Compressed => REMAKE,
            Self::Encrypted => OTHER_FILESYSTEM,
            Self::Delayed | Self::Uncommitted => "sync FILE",
            Self::OtherDevice | Self::NotSingle => SINGLE,
            Self::SequentialZone => "use a conventional block device or a file on a filesystem",
            Self::Shared => {
                "give it blocks of its own: (umask 077; set -C; : > FILE.new) && { chattr +C FILE.new; dd if=FILE of=FILE.new bs=1M conv=fsync && mv FILE.new FILE; }"
            }
            Self::GroupReadOnly => {
                "btrfs scrub status \"$(findmnt -no TARGET -T FILE)\"; look again when it is done, or make the file anew"
            }
            Self::Unwritten => {
                "write it in full and format it: dd if=/dev/zero of=FILE bs=4096 count=$(($(stat -Lc %s FILE)/4096)) conv=notrunc,fsync && mkswap FILE (what it holds now is lost)"
            }
            Self::Unmapped | Self::PartialBlock => return None,
        })
    }
}

const FILL: &str = "fill the holes, then look again: fallocate -l \"$(stat -Lc %s FILE)\" FILE";
const SINGLE: &str = "put it on a filesystem with one device and single data, or: btrfs balance start -dconvert=single \"$(findmnt -no TARGET -T FILE)\" (its redundancy is lost)";
/// Builds a new file beside the old one and puts it in its place last, so that a failure on the way loses nothing.
const REMAKE: &str = "make it anew: (umask 077; set -C; : > FILE.new) && { chattr +C FILE.new; fallocate -l \"$(stat -Lc %s FILE)\" FILE.new && mkswap FILE.new && mv FILE.new FILE; } (what it holds now is lost)";
const OTHER_FILESYSTEM: &str = "use a file on ext4, XFS or btrfs on a local disk, or a block device";
