//! Which way swapon(2) takes for a filesystem, by its name in the mount table.
//!
//! Source: Linux v6.18, the `address_space_operations` of each filesystem (`swap_activate`, `bmap`, `read_folio`); the
//! list of those with `bmap` alone is the same in v6.1 and v6.12.

use std::path::Path;

use super::inode::Inode;
use super::mount::{self, Mount};
use crate::reason::Reason;

/// What swapon(2) finds in the filesystem's operations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// `iomap_swapfile_activate`: ext4.
    Iomap,
    /// The same on XFS, which first waits for the blocks of unlinked clones, and takes the inode's own device.
    Xfs,
    /// `btrfs_swap_activate`.
    Btrfs,
    /// `f2fs_swap_activate`, which moves blocks.
    F2fs,
    /// `generic_swapfile_activate`, which asks the kernel's own `bmap` block by block.
    Bmap(&'static str),
    /// The same, but a process answers: FUSE over a block device.
    ServedBmap,
    /// `nfs_swap_activate`, `cifs_swap_activate`: by `swap_rw`.
    Network(&'static str),
    /// No `read_folio`: refused before the header is read.
    NoPageRead(&'static str),
    /// Neither `swap_activate` nor a `bmap` that answers: refused as "holes" after the header.
    NoBlockMap(&'static str),
    /// Not encoded in this version.
    Unknown(&'static str),
}

impl Way {
    /// What stands against a file before it is opened: how such a filesystem answers the opening is not known either.
    pub(super) const fn before_opening(self) -> Option<Reason> {
        match self {
            Self::Unknown(filesystem) => Some(Reason::FilesystemUnknown { filesystem }),
            Self::Network(filesystem) => Some(Reason::Network { filesystem }),
            Self::Iomap
            | Self::Xfs
            | Self::Btrfs
            | Self::F2fs
            | Self::Bmap(_)
            | Self::ServedBmap
            | Self::NoPageRead(_)
            | Self::NoBlockMap(_) => None,
        }
    }

    /// Whether iomap serves it: blocks may be larger than a page, and extents are FIEMAP's.
    pub(super) const fn is_iomap(self) -> bool {
        matches!(self, Self::Iomap | Self::Xfs)
    }
}

/// The mount that an inode was reached through, and the way for it.
pub(super) fn of(inode: &Inode) -> std::io::Result<(Option<Mount>, Way)> {
    let mount = mount::of(inode)?;
    let way = mount.as_ref().map_or(Way::Unknown("a mount that the mount table does not show"), way);
    Ok((mount, way))
}

/// The way for a mounted filesystem.
pub(super) fn way(mount: &Mount) -> Way {
    match mount.kind.as_str() {
        "ext4" => Way::Iomap,
        "xfs" => Way::Xfs,
        // Usually the ext4 driver serves these; ext2 has one of its own, which swapon asks block by block.
        "ext3" | "ext2" if served_by_ext4(mount) => Way::Iomap,
        "btrfs" => Way::Btrfs,
        "nfs" | "nfs4" => Way::Network("NFS"),
        "cifs" | "smb3" => Way::Network("SMB"),
        "tmpfs" | "devtmpfs" => Way::NoPageRead(TMPFS),
        "overlay" => Way::NoPageRead("overlayfs"),
        "ramfs" | "rootfs" => Way::NoBlockMap("ramfs"),
        "9p" => Way::NoBlockMap("9p"),
        "ceph" => Way::NoBlockMap("ceph"),
        "nilfs2" => Way::NoBlockMap("nilfs2"),
        "ubifs" => Way::NoBlockMap("ubifs"),
        "jffs2" => Way::NoBlockMap("JFFS2"),
        "virtiofs" => Way::NoBlockMap("virtiofs"),
        "afs" => Way::NoBlockMap("AFS"),
        "orangefs" => Way::NoBlockMap("OrangeFS"),
        "vboxsf" => Way::NoBlockMap("vboxsf"),
        "hostfs" => Way::NoBlockMap("hostfs"),
        // Read-only always: opening for writing says so first.
        "squashfs" => Way::NoBlockMap("squashfs"),
        "zfs" => Way::NoBlockMap("ZFS"),
        "fuse" => Way::NoBlockMap("FUSE without a block device"),
        kind if kind.starts_with("fuse.") => Way::NoBlockMap("FUSE without a block device"),
        kind if kind == "fuseblk" || kind.starts_with("fuseblk.") => Way::ServedBmap,
        "f2fs" => Way::F2fs,
        // The cluster filesystems have a `bmap` too, and other machines that write to the same device.
        "ocfs2" | "gfs2" => Way::Unknown("a cluster filesystem"),
        kind => {
            let asked = BMAP.iter().find(|(name, _)| *name == kind);
            asked.map_or(Way::Unknown("this filesystem"), |(_, filesystem)| Way::Bmap(filesystem))
        }
    }
}

pub(super) const TMPFS: &str = "tmpfs";

/// Filesystems with `.bmap` and without `.swap_activate`; whatever serves ext2 here is not the ext4 driver.
const BMAP: [(&str, &str); 21] = [
    ("ext2", "ext2"),
    ("vfat", "FAT"),
    ("msdos", "FAT"),
    ("exfat", "exFAT"),
    ("ntfs3", "NTFS"),
    ("hfs", "HFS"),
    ("hfsplus", "HFS+"),
    ("jfs", "JFS"),
    ("minix", "minix"),
    ("udf", "UDF"),
    ("ufs", "UFS"),
    ("affs", "AFFS"),
    ("adfs", "ADFS"),
    ("bfs", "BFS"),
    ("hpfs", "HPFS"),
    ("omfs", "OMFS"),
    ("sysv", "sysv"),
    // Read-only always: opening for writing says so first.
    ("iso9660", "ISO 9660"),
    ("erofs", "EROFS"),
    ("efs", "EFS"),
    ("befs", "BeFS"),
];

fn served_by_ext4(mount: &Mount) -> bool {
    let device = Path::new("/sys/dev/block").join(mount.device.to_string());
    let name = device.canonicalize().ok().and_then(|dir| dir.file_name().map(std::ffi::OsStr::to_owned));
    name.is_some_and(|name| Path::new("/sys/fs/ext4").join(name).is_dir())
}
