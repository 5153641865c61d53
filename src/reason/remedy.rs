//! What a person can type next. `FILE` stands for the path: whoever prints a remedy puts it in, quoted.
//!
//! A remedy that loses what the file holds says so. None is ever run by this crate.

use super::{Holder, Reason};

impl Reason {
    /// What to do about it, one line, with `FILE` for the path; `None` where nothing can be typed.
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::Directory => "name a file in it: swap needs one file",
            Self::NotAFile { .. } => "name a regular file or a block device",
            Self::ReadOnly => "mount -o remount,rw \"$(findmnt -no TARGET -T FILE)\", or use a writable filesystem",
            Self::Immutable => "chattr -i FILE",
            Self::AppendOnly => "chattr -a FILE",
            Self::Verity | Self::CompressedFile | Self::Compressed { .. } | Self::Inline { .. } => NEW_FILE,
            Self::SequentialZone { .. } => "use a conventional block device or a file on a filesystem",
            Self::Active => "swapoff FILE, if it should not be active",
            Self::DeviceHeld { holder } | Self::Busy { holder } => match holder {
                Holder::Mount => "umount FILE, then look again",
                Holder::StackedDevice => "lsblk FILE shows what is stacked on it; use that device, or remove it first",
                Holder::ExclusiveOperation => {
                    "btrfs balance status \"$(findmnt -no TARGET -T FILE)\"; look again when it is done"
                }
                Holder::SnapshotCreation => "look again in a moment",
            },
            Self::Encrypted => "move it out of the encrypted directory, or use dm-crypt under the swap area",
            Self::EncryptedExtent { .. }
            | Self::NoPageRead { .. }
            | Self::NoBlockMap { .. }
            | Self::FilesystemUnknown { .. } => OTHER_FILESYSTEM,
            Self::PlacementUnknown => "btrfs inspect-internal map-swapfile FILE (as root)",
            Self::BlockSizeAbovePageSize { .. } => "make the filesystem with blocks of at most the page size",
            Self::Dax => "chattr -x FILE, and mount without dax=always",
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
                "resume or give up the hibernated system first; then mkswap FILE (the image is lost)"
            }
            Self::CopyOnWrite | Self::Checksummed => {
                "make it anew (what it holds now is lost): truncate -s 0 FILE && chattr +C FILE && fallocate -l SIZE FILE && mkswap FILE"
            }
            Self::Network { .. } => {
                "use a local disk; over a network only where the server needs no memory of this machine"
            }
            Self::JournaledData => "chattr -j FILE, and mount without data=journal",
            Self::NoDirectIo => "use it with swapon (block-mapped), or a filesystem with direct I/O",
            Self::LoopBacking => "swap to the backing file itself: losetup FILE shows it",
            Self::Hole { .. } | Self::Underallocated { .. } => {
                "fill the holes, then look again: fallocate -l \"$(stat -c %s FILE)\" FILE"
            }
            Self::Delayed { .. } | Self::Uncommitted { .. } => "sync FILE",
            Self::Shared { .. } => {
                "copy the blocks instead of sharing them: cp --reflink=never --sparse=never FILE NEW && mv NEW FILE"
            }
            Self::MultiDevice { .. } | Self::ProfileNotSingle { .. } => {
                "put it on a filesystem with one device and single data, or: btrfs balance start -dconvert=single MOUNT"
            }
            Self::BlockGroupReadOnly { .. } => "wait for the scrub to end: btrfs scrub status MOUNT",
            Self::Unwritten { .. } => {
                "write it in full, then format it (what it holds now is lost): dd if=/dev/zero of=FILE bs=4096 count=$(($(stat -c %s FILE)/4096)) conv=notrunc,fsync && mkswap FILE"
            }
            Self::SplitPage { .. } => "use a filesystem whose blocks are as large as a page",
            Self::SectionUnaligned { .. } => {
                "make it anew: f2fs_io pinfile set FILE, then fallocate whole sections (2 MiB)"
            }
            Self::NoUsablePage { .. } => "make it larger: at least 40 KiB, for mkswap",
            Self::InsecureMode { .. } => "chmod 0600 FILE",
            Self::InsecureOwner { .. } => "chown 0:0 FILE",
            Self::Unlinked
            | Self::AreaTooLarge { .. }
            | Self::HeaderTruncated { .. }
            | Self::ExtentEmpty { .. }
            | Self::ExtentOverflow { .. }
            | Self::ExtentOrder { .. }
            | Self::ExtentUnaligned { .. }
            | Self::ExtentFlagsUnknown { .. }
            | Self::OutsideDevice { .. }
            | Self::DeviceOverlap { .. }
            | Self::ExtentsTooMany { .. }
            | Self::Unmapped { .. }
            | Self::PartialBlock { .. }
            | Self::OutsideArea { .. }
            | Self::MapFull { .. }
            | Self::NotIdentity
            | Self::BlockUnaligned { .. }
            | Self::BlockZero
            | Self::ShortBuffer { .. } => return None,
        })
    }
}

const NEW_FILE: &str =
    "make a new file, not compressed and not sealed: dd if=/dev/zero of=NEW bs=1M count=MEBIBYTES && mkswap NEW";
const OTHER_FILESYSTEM: &str = "use a file on ext4, XFS, f2fs or btrfs on a local disk, or a block device";
