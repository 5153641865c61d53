//! Each reason in one line: its stable code, how long it lasts, what the kernel answers, and whose rule it is.
//!
//! The match has no catch-all arm: a new reason does not compile before it stands here. Sources are Linux v6.18;
//! `own` marks a rule of this crate, for what the kernel does not check or cannot be told.

use super::Class::{self, Permanent, Transient, Warning};
use super::{Answer, Errno, Fault, Holder, Reason, SpecialFile, Verdict};

/// What is fixed about a reason, whatever values it carries.
pub(super) struct Row {
    code: &'static str,
    class: Class,
    answer: Answer,
    source: Option<&'static str>,
}

impl Reason {
    /// The stable name, kebab-case. Names may be added; a name never changes its meaning.
    pub const fn code(&self) -> &'static str {
        self.row().code
    }

    /// How long the reason lasts.
    pub const fn class(&self) -> Class {
        self.row().class
    }

    /// What the caller does next: the reason's class, as an act.
    pub fn verdict(&self) -> Verdict {
        self.class().into()
    }

    /// What Linux answers to the call that the reason is about: swapon(2), called by root, unless the reason is of a
    /// request or of an operation on an active file.
    pub const fn answer(&self) -> Answer {
        self.row().answer
    }

    /// The errno that Linux gives, on the kernels that refuse this; `None` where every kernel accepts it, or where
    /// the answer cannot be known.
    pub const fn errno(&self) -> Option<Errno> {
        match self.answer() {
            Answer::Refuses(errno) | Answer::Depends(errno) => Some(errno),
            Answer::Accepts | Answer::Unknown | Answer::Signal => None,
        }
    }

    /// The rule that is broken, as `file:function` of Linux v6.18; `None` for a rule of this crate alone.
    pub const fn source(&self) -> Option<&'static str> {
        self.row().source
    }

    const fn row(&self) -> Row {
        match self {
            // The call.
            Self::FlagsUnknown { .. } => row("flags-unknown", Permanent, EINVAL, SWAPON),
            Self::NoPermission => row("no-permission", Permanent, refuses(Errno::EPERM), SWAPON),
            Self::TableFull { .. } => {
                row("table-full", Transient, Answer::Depends(Errno::EPERM), "mm/swapfile.c:alloc_swap_info")
            }

            // The path, as it is opened for writing.
            Self::Directory => row("directory", Permanent, refuses(Errno::EISDIR), "fs/namei.c:may_open"),
            Self::NotAFile { kind } => match kind {
                SpecialFile::Fifo => row("not-a-file", Permanent, EINVAL, SWAPON),
                SpecialFile::Socket => row("not-a-file", Permanent, refuses(Errno::ENXIO), "fs/open.c:do_dentry_open"),
                // What opening it for writing answers is up to its driver.
                SpecialFile::CharacterDevice => row("not-a-file", Permanent, UNTOLD, SWAPON),
            },
            Self::ReadOnly => row("read-only", Permanent, refuses(Errno::EROFS), "fs/open.c:do_dentry_open"),
            Self::Immutable => row("immutable", Permanent, refuses(Errno::EPERM), "fs/namei.c:inode_permission"),
            Self::AppendOnly => row("append-only", Permanent, refuses(Errno::EPERM), "fs/namei.c:may_open"),
            Self::OpenForExecution { certain } => {
                let answer = if *certain { refuses(Errno::ETXTBSY) } else { Answer::Depends(Errno::ETXTBSY) };
                row("open-for-execution", Transient, answer, "fs/open.c:do_dentry_open")
            }
            Self::Verity => row("verity", Permanent, refuses(Errno::EPERM), "fs/verity/open.c:fsverity_file_open"),
            Self::DeviceHeld { .. } => row("busy", Transient, refuses(Errno::EBUSY), "block/bdev.c:bd_may_claim"),

            // swapon itself, before the header.
            Self::SequentialZone => row("sequential-zone", Permanent, EINVAL, "mm/swapfile.c:claim_swapfile"),
            Self::Unlinked => row("unlinked", Permanent, refuses(Errno::ENOENT), SWAPON),
            Self::Active { certain } => {
                let answer = if *certain { refuses(Errno::EBUSY) } else { Answer::Depends(Errno::EBUSY) };
                row("active", Transient, answer, SWAPON)
            }
            // In 6.1.192, 6.12.117 and mainline, not in 6.18.4: a fix of 2026 that some stable trees carry.
            Self::Encrypted => row("encrypted", Permanent, UNTOLD, SWAPON),
            Self::BlockSizeAbovePageSize { refused, .. } => {
                let answer = match refused {
                    Some(true) => EINVAL,
                    Some(false) => ACCEPTS,
                    None => UNTOLD,
                };
                row("block-size-above-page-size", Permanent, answer, SWAPON)
            }
            Self::NoPageRead { .. } => row("no-page-read", Permanent, EINVAL, SWAPON),
            Self::InMemory { .. } => row("in-memory", Permanent, ACCEPTS, "mm/shmem.c:shmem_swapin_folio"),
            Self::Dax => row("dax", Permanent, EINVAL, SWAPON),

            // The header.
            Self::HeaderUnreadable => row("header-unreadable", Permanent, refuses(Errno::EIO), SWAPON),
            Self::HeaderMissing { .. } => row("header-missing", Permanent, EINVAL, HEADER),
            Self::HeaderObsolete => row("header-version", Permanent, EINVAL, HEADER),
            Self::HeaderPageSize { .. } => row("header-page-size", Permanent, EINVAL, HEADER),
            Self::HibernationImage { .. } => row("hibernation-image", Permanent, EINVAL, HEADER),
            Self::HeaderVersion { .. } => row("header-version", Permanent, EINVAL, HEADER),
            Self::HeaderEmpty => row("header-empty", Permanent, EINVAL, HEADER),
            Self::HeaderShort { .. } => row("header-short", Permanent, EINVAL, HEADER),
            Self::BadPagesOnFile { .. } => row("header-bad-pages", Permanent, EINVAL, HEADER),
            Self::BadPagesTooMany { .. } => row("header-bad-pages", Permanent, EINVAL, HEADER),
            Self::BadPageOutside { .. } => row("header-bad-pages", Permanent, EINVAL, "mm/swapfile.c:setup_swap_map"),
            // The kernel counts down in 32 bits and may wrap: accepted, with a size that is nonsense.
            Self::BadPagesWrap { .. } => row("header-bad-pages", Permanent, UNTOLD, "mm/swapfile.c:setup_swap_map"),
            Self::HeaderTruncated { .. } => row("header-truncated", Warning, ACCEPTS, HEADER),
            Self::OtherBacking => own("other-backing", Permanent, ACCEPTS),
            Self::AreaTooLarge { .. } => own("area-too-large", Permanent, ACCEPTS),

            // The inode and its filesystem.
            Self::CopyOnWrite => row("copy-on-write", Permanent, EINVAL, BTRFS),
            Self::LogStructured { .. } => row("copy-on-write", Permanent, EINVAL, "fs/f2fs/data.c:f2fs_swap_activate"),
            Self::Checksummed => row("checksummed", Permanent, EINVAL, BTRFS),
            Self::CompressedFile => row("compressed", Permanent, EINVAL, BTRFS),
            Self::NoBlockMap { .. } => row("no-block-map", Permanent, EINVAL, BMAP),
            Self::FilesystemUnknown { .. } => own("filesystem-unknown", Permanent, Answer::Unknown),
            Self::PlacementUnknown => own("placement-unknown", Permanent, UNTOLD),
            Self::UserSpaceServer => row("user-space-server", Permanent, ACCEPTS, "fs/fuse/file.c:fuse_bmap"),
            Self::Underallocated { .. } => row("hole", Permanent, EINVAL, "fs/nfs/file.c:nfs_swap_activate"),
            Self::Network { .. } => own("network", Permanent, ACCEPTS),
            Self::SwapNotServed { certain, .. } => {
                let answer = if *certain { EINVAL } else { UNTOLD };
                row("swap-not-served", Permanent, answer, "net/sunrpc/clnt.c:rpc_clnt_swap_activate")
            }
            Self::TransactionPerWrite { .. } => {
                row("transaction", Permanent, ACCEPTS, "fs/btrfs/inode.c:btrfs_finish_one_ordered")
            }
            Self::DeviceReadOnly => own("read-only", Permanent, ACCEPTS),
            Self::JournaledData => row("journaled-data", Permanent, ACCEPTS, "fs/ext4/inode.c:ext4_dio_alignment"),
            Self::NoDirectIo => row("no-direct-io", Permanent, ACCEPTS, "include/uapi/linux/stat.h"),
            Self::LoopBacking => row("loop-backing", Permanent, ACCEPTS, "drivers/block/loop.c:lo_rw_aio"),

            // Claims that no honest filesystem makes: what it would tell swapon cannot be known from what it told us.
            Self::ExtentEmpty { .. } => own("extent-empty", Permanent, UNTOLD),
            Self::ExtentOverflow { .. } => own("extent-overflow", Permanent, UNTOLD),
            Self::ExtentOrder { .. } => own("extent-order", Permanent, UNTOLD),
            Self::ExtentUnaligned { .. } => own("misaligned", Permanent, UNTOLD),
            Self::ExtentFlagsUnknown { .. } => own("extent-flags-unknown", Permanent, UNTOLD),
            Self::OutsideDevice { .. } => own("extent-outside-device", Permanent, UNTOLD),
            Self::DeviceOverlap { .. } => own("extent-overlap", Permanent, UNTOLD),
            Self::ExtentsTooMany { .. } => own("extents-too-many", Permanent, UNTOLD),

            // Extents.
            Self::Extent { fault, .. } => fault.row(),
            Self::OnceShared { certain, .. } => {
                row("shared", Permanent, if *certain { EINVAL } else { UNTOLD }, "fs/btrfs/inode.c:can_nocow_extent")
            }
            Self::ProfileNotSingle => row("profile-not-single", Permanent, EINVAL, BTRFS),
            Self::SplitPage { .. } => row("misaligned", Permanent, ACCEPTS, DIRECT_IO),
            Self::Misplaced { .. } => own("misaligned", Permanent, ACCEPTS),
            Self::SectionUnaligned { .. } => {
                row("misaligned", Transient, ACCEPTS, "fs/f2fs/data.c:check_swap_activate")
            }
            Self::NoUsablePage { .. } => row("no-usable-page", Permanent, EINVAL, SWAPON),
            Self::Busy { holder } => match holder {
                Holder::SnapshotCreation => row("busy", Transient, EINVAL, BTRFS),
                // Only the block group that is being scrubbed just then is read-only.
                Holder::Scrub => row("busy", Transient, UNTOLD, BTRFS),
                Holder::ExclusiveOperation
                | Holder::Mount
                | Holder::StackedDevice
                | Holder::SwapArea
                | Holder::Someone => row("busy", Transient, refuses(Errno::EBUSY), BTRFS),
            },

            // The map and its callers; the kernel has no part in these.
            Self::OutsideArea { .. } => row("outside-area", Permanent, ACCEPTS, "mm/swapfile.c:offset_to_swap_extent"),
            Self::MapFull { .. } => own("map-full", Permanent, ACCEPTS),
            Self::NotIdentity => own("not-identity", Permanent, ACCEPTS),
            Self::BlockUnaligned { .. } => own("misaligned", Permanent, ACCEPTS),
            Self::BlockSizes { .. } => {
                row("misaligned", Permanent, UNTOLD, "fs/fuse/inode.c:fuse_change_attributes_common")
            }
            Self::BlockZero => row("no-block-map", Permanent, EINVAL, BMAP),
            Self::ShortBuffer { .. } => own("short-buffer", Permanent, ACCEPTS),

            // Serving the area.
            Self::Flags(fault) => fault.row(),
            Self::Request(fault) => fault.row(),
            Self::Guard(fault) => fault.row(),
            Self::Posture(fault) => fault.row(),
            Self::Topology(fault) => fault.row(),
            Self::Served(fault) => fault.row(),

            // Advice.
            Self::TimestampTransaction => row("transaction-timestamp", Warning, ACCEPTS, "fs/inode.c:file_update_time"),
            Self::InsecureMode { .. } => own("insecure-mode", Warning, ACCEPTS),
            Self::InsecureOwner { .. } => own("insecure-owner", Warning, ACCEPTS),
        }
    }
}

impl Fault {
    /// The line of a run with this fault.
    const fn row(self) -> Row {
        match self {
            Self::Hole => row("hole", Permanent, EINVAL, IOMAP),
            Self::Delayed => row("delayed-allocation", Transient, EINVAL, IOMAP),
            Self::Inline => row("inline", Permanent, EINVAL, IOMAP),
            Self::Uncommitted => row("uncommitted", Transient, EINVAL, IOMAP),
            Self::Shared => row("shared", Permanent, EINVAL, IOMAP),
            Self::OtherDevice => row("multi-device", Permanent, EINVAL, IOMAP),
            Self::Compressed => row("compressed", Permanent, EINVAL, BTRFS),
            Self::Encrypted => own("encrypted", Permanent, UNTOLD),
            Self::Unmapped => own("no-block-map", Permanent, UNTOLD),
            Self::NotSingle => row("profile-not-single", Permanent, EINVAL, BTRFS),
            Self::GroupReadOnly => row("busy", Transient, EINVAL, BTRFS),
            Self::SequentialZone => row("sequential-zone", Permanent, EINVAL, "fs/zonefs/file.c:zonefs_swap_activate"),
            Self::PartialBlock => own("misaligned", Permanent, UNTOLD),
            Self::Unwritten => row("unwritten", Permanent, ACCEPTS, DIRECT_IO),
        }
    }
}

pub(super) const fn row(code: &'static str, class: Class, answer: Answer, source: &'static str) -> Row {
    Row { code, class, answer, source: Some(source) }
}

pub(super) const fn own(code: &'static str, class: Class, answer: Answer) -> Row {
    Row { code, class, answer, source: None }
}

pub(super) const fn refuses(errno: Errno) -> Answer {
    Answer::Refuses(errno)
}

pub(super) const EINVAL: Answer = Answer::Refuses(Errno::EINVAL);
pub(super) const UNTOLD: Answer = Answer::Depends(Errno::EINVAL);
const ACCEPTS: Answer = Answer::Accepts;

const SWAPON: &str = "mm/swapfile.c:swapon";
const HEADER: &str = "mm/swapfile.c:read_swap_header";
const BMAP: &str = "mm/page_io.c:generic_swapfile_activate";
const IOMAP: &str = "fs/iomap/swapfile.c:iomap_swapfile_iter";
const BTRFS: &str = "fs/btrfs/inode.c:btrfs_swap_activate";
const DIRECT_IO: &str = "fs/iomap/direct-io.c:iomap_dio_bio_iter";
