//! Every operation on an active swap file, and what the kernel answers: one row each.
//!
//! Source: Linux v6.18, named in each row. 6.1 has no exchange of ranges, and asks in afs too (`fs/afs/write.c`).

use crate::reason::{Errno, GuardFault, Reason};

/// What somebody tries to do to an active swap file or its filesystem.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// write(2) and its kin, buffered or direct, through any descriptor.
    Write,
    /// write(2) to an active block device.
    WriteDevice,
    /// The same to the device that hibernation resumes from.
    WriteResumeDevice,
    /// truncate(2) to the same size or a smaller one, `O_TRUNC`.
    TruncateDown,
    /// truncate(2) to a larger size.
    TruncateUp,
    /// fallocate(2), every mode.
    Allocate,
    /// mmap(2), shared and writable.
    MapSharedWritable,
    /// mmap(2), shared and read-only, or private.
    MapOther,
    /// A store through a shared mapping that was made before activation.
    StoreShared,
    /// copy_file_range(2), as source or destination.
    CopyRange,
    /// `FICLONE`, `FICLONERANGE`, `FIDEDUPERANGE`, either side.
    Remap,
    /// `XFS_IOC_EXCHANGE_RANGE`.
    ExchangeRange,
    /// `XFS_IOC_SWAPEXT`.
    SwapExtents,
    /// `EXT4_IOC_MOVE_EXT`: e4defrag.
    MoveExtent,
    /// `EXT4_IOC_SWAP_BOOT`.
    SwapBootLoader,
    /// Defragmentation of btrfs.
    Defragment,
    /// `FS_IOC_SETFLAGS` that sets compression, btrfs.
    SetCompression,
    /// A snapshot of the subvolume, btrfs.
    Snapshot,
    /// Deletion of the subvolume, btrfs.
    DeleteSubvolume,
    /// Removal or replacement of the device, btrfs.
    RemoveDevice,
    /// Shrinking the filesystem below the file, btrfs.
    Shrink,
    /// Balance, btrfs.
    Balance,
    /// Scrub, btrfs.
    Scrub,
    /// Compression by f2fs.
    CompressBlocks,
    /// unlink(2) of any of its names.
    Unlink,
    /// rename(2) of it, or over it.
    Rename,
    /// link(2): a new name.
    Link,
    /// chmod(2), chown(2), utimes(2), extended attributes, `chattr +i`.
    SetAttributes,
    /// open(2), also for writing.
    Open,
    /// read(2), buffered or direct.
    Read,
    /// `FS_IOC_FIEMAP`, `FIBMAP`, fsync(2), freezing, `FITRIM`.
    Inspect,
    /// execve(2).
    Execute,
    /// `FS_IOC_ENABLE_VERITY`.
    EnableVerity,
    /// swapon(2) again, by any name.
    Activate,
    /// umount(2), or a remount that makes the filesystem read-only.
    Unmount,
    /// Revalidation of cached attributes, NFS and SMB.
    Revalidate,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ruling {
    /// It is done.
    Allowed,
    /// It is refused.
    Refused(Errno),
    /// The process gets SIGBUS.
    Signal,
    /// The file, or its part of the disk, is passed over; the rest is done.
    Skipped,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 36] = [
        Self::Write,
        Self::WriteDevice,
        Self::WriteResumeDevice,
        Self::TruncateDown,
        Self::TruncateUp,
        Self::Allocate,
        Self::MapSharedWritable,
        Self::MapOther,
        Self::StoreShared,
        Self::CopyRange,
        Self::Remap,
        Self::ExchangeRange,
        Self::SwapExtents,
        Self::MoveExtent,
        Self::SwapBootLoader,
        Self::Defragment,
        Self::SetCompression,
        Self::Snapshot,
        Self::DeleteSubvolume,
        Self::RemoveDevice,
        Self::Shrink,
        Self::Balance,
        Self::Scrub,
        Self::CompressBlocks,
        Self::Unlink,
        Self::Rename,
        Self::Link,
        Self::SetAttributes,
        Self::Open,
        Self::Read,
        Self::Inspect,
        Self::Execute,
        Self::EnableVerity,
        Self::Activate,
        Self::Unmount,
        Self::Revalidate,
    ];

    /// What the kernel makes of it while the file is active.
    pub const fn ruling(self) -> Ruling {
        self.row().1
    }

    /// Where it does so: `file:function` of Linux v6.18.
    pub const fn source(self) -> &'static str {
        self.row().2
    }

    /// What it is called in messages.
    pub const fn words(self) -> &'static str {
        self.row().0
    }

    /// Checks that it may be done in full to an active swap file.
    ///
    /// # Errors
    /// [`GuardFault::Operation`] with the kernel's errno, [`GuardFault::Signal`], [`GuardFault::Skipped`].
    pub const fn check(self) -> Result<(), Reason> {
        let operation = self.words();
        Err(Reason::Guard(match self.ruling() {
            Ruling::Allowed => return Ok(()),
            Ruling::Refused(errno) => GuardFault::Operation { operation, errno },
            Ruling::Signal => GuardFault::Signal { operation },
            Ruling::Skipped => GuardFault::Skipped { operation },
        }))
    }

    const fn row(self) -> (&'static str, Ruling, &'static str) {
        match self {
            Self::Write => ("a write", BUSY_TEXT, "fs/read_write.c:generic_write_checks_count"),
            Self::WriteDevice => ("a write to the device", BUSY_TEXT, "block/fops.c:blkdev_write_iter"),
            Self::WriteResumeDevice => {
                ("a write to the resume device", Ruling::Allowed, "block/fops.c:blkdev_write_iter")
            }
            Self::TruncateDown => ("truncation", BUSY_TEXT, "fs/attr.c:inode_newsize_ok"),
            // The map ends at the header's pages: what is added lies past it.
            Self::TruncateUp => ("growth", Ruling::Allowed, "fs/attr.c:inode_newsize_ok"),
            Self::Allocate => ("fallocate", BUSY_TEXT, "fs/open.c:vfs_fallocate"),
            Self::MapSharedWritable => ("a shared writable mapping", BUSY_TEXT, "mm/mmap.c:do_mmap"),
            Self::MapOther => ("a mapping that cannot write to it", Ruling::Allowed, "mm/mmap.c:do_mmap"),
            Self::StoreShared => ("a store through a shared mapping", Ruling::Signal, "mm/memory.c:do_page_mkwrite"),
            Self::CopyRange => ("copy_file_range", BUSY_TEXT, "fs/read_write.c:generic_copy_file_checks"),
            Self::Remap => ("cloning or deduplication", BUSY_TEXT, "fs/remap_range.c:__generic_remap_file_range_prep"),
            Self::ExchangeRange => {
                ("an exchange of ranges", BUSY_TEXT, "fs/xfs/xfs_exchrange.c:xfs_exchange_range_checks")
            }
            Self::SwapExtents => {
                ("an exchange of extents", Ruling::Refused(Errno::EINVAL), "fs/xfs/xfs_ioctl.c:xfs_ioc_swapext")
            }
            Self::MoveExtent => ("defragmentation by ext4", BUSY_TEXT, "fs/ext4/move_extent.c:mext_check_arguments"),
            Self::SwapBootLoader => (
                "an exchange with the boot loader's inode",
                Ruling::Refused(Errno::EINVAL),
                "fs/ext4/ioctl.c:swap_inode_boot_loader",
            ),
            Self::Defragment => ("defragmentation by btrfs", BUSY_TEXT, "fs/btrfs/defrag.c:btrfs_defrag_file"),
            // ETXTBSY comes later: a swap file is NOCOW, which excludes compression before.
            Self::SetCompression => {
                ("marking for compression", Ruling::Refused(Errno::EINVAL), "fs/btrfs/ioctl.c:check_fsflags")
            }
            Self::Snapshot => ("a snapshot", BUSY_TEXT, "fs/btrfs/ioctl.c:create_snapshot"),
            Self::DeleteSubvolume => {
                ("deletion of the subvolume", Ruling::Refused(Errno::EPERM), "fs/btrfs/inode.c:btrfs_delete_subvolume")
            }
            Self::RemoveDevice => ("removal of the device", BUSY_TEXT, "fs/btrfs/volumes.c:btrfs_rm_device"),
            Self::Shrink => ("shrinking the filesystem", BUSY_TEXT, "fs/btrfs/volumes.c:btrfs_shrink_device"),
            Self::Balance => ("balance", Ruling::Skipped, "fs/btrfs/volumes.c:__btrfs_balance"),
            Self::Scrub => ("scrub", Ruling::Skipped, "fs/btrfs/scrub.c:scrub_enumerate_chunks"),
            Self::CompressBlocks => ("compression by f2fs", Ruling::Skipped, "fs/f2fs/f2fs.h:f2fs_may_compress"),
            Self::Unlink => ("unlinking", Ruling::Refused(Errno::EPERM), "fs/namei.c:may_delete"),
            Self::Rename => ("renaming", Ruling::Refused(Errno::EPERM), "fs/namei.c:vfs_rename"),
            Self::Link => ("a new link", Ruling::Allowed, "fs/namei.c:vfs_link"),
            Self::SetAttributes => ("a change of attributes", Ruling::Allowed, "fs/attr.c:notify_change"),
            Self::Open => ("opening", Ruling::Allowed, "fs/open.c:do_dentry_open"),
            Self::Read => ("reading", Ruling::Allowed, "fs/read_write.c:vfs_read"),
            Self::Inspect => ("inspection", Ruling::Allowed, "fs/ioctl.c:do_vfs_ioctl"),
            // From the count of writers, not from the mark.
            Self::Execute => ("execution", BUSY_TEXT, "fs/exec.c:do_open_execat"),
            Self::EnableVerity => ("sealing by fs-verity", BUSY_TEXT, "fs/verity/enable.c:fsverity_ioctl_enable"),
            Self::Activate => ("a second swapon", Ruling::Refused(Errno::EBUSY), "mm/swapfile.c:swapon"),
            // swapon holds the file open.
            Self::Unmount => ("unmounting", Ruling::Refused(Errno::EBUSY), "fs/namespace.c:do_umount"),
            Self::Revalidate => ("revalidation", Ruling::Skipped, "fs/nfs/inode.c:nfs_revalidate_mapping"),
        }
    }
}

const BUSY_TEXT: Ruling = Ruling::Refused(Errno::ETXTBSY);
