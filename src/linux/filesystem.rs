//! Which way swapon(2) takes for a filesystem, by its name in the mount table.
//!
//! Source: Linux v6.18, the `address_space_operations` of each filesystem (`swap_activate`, `bmap`, `read_folio`).

use std::path::Path;

use super::mount::Mount;

/// What swapon(2) finds in the filesystem's operations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// `iomap_swapfile_activate`.
    Iomap,
    /// `btrfs_swap_activate`.
    Btrfs,
    /// `nfs_swap_activate`, `cifs_swap_activate`: by `swap_rw`.
    Network(&'static str),
    /// No `read_folio`: refused before the header is read.
    NoPageRead(&'static str),
    /// Neither `swap_activate` nor a `bmap` that answers: refused as "holes" after the header.
    NoBlockMap(&'static str),
    /// Not encoded in this version.
    Unknown(&'static str),
}

/// The way for a mounted filesystem.
pub(super) fn way(mount: &Mount) -> Way {
    match mount.kind.as_str() {
        "ext4" | "xfs" => Way::Iomap,
        // Usually the ext4 driver serves these; ext2 has one of its own, which swapon asks block by block.
        "ext3" | "ext2" if served_by_ext4(mount) => Way::Iomap,
        "btrfs" => Way::Btrfs,
        "nfs" | "nfs4" => Way::Network("NFS"),
        "cifs" | "smb3" => Way::Network("SMB"),
        "tmpfs" | "devtmpfs" => Way::NoPageRead("tmpfs"),
        "overlay" => Way::NoPageRead("overlayfs"),
        "ramfs" | "rootfs" => Way::NoBlockMap("ramfs"),
        "9p" => Way::NoBlockMap("9p"),
        "ceph" => Way::NoBlockMap("ceph"),
        "nilfs2" => Way::NoBlockMap("nilfs2"),
        "ubifs" => Way::NoBlockMap("ubifs"),
        "zfs" => Way::NoBlockMap("ZFS"),
        "fuse" => Way::NoBlockMap("FUSE without a block device"),
        kind if kind.starts_with("fuse.") => Way::NoBlockMap("FUSE without a block device"),
        kind if kind == "fuseblk" || kind.starts_with("fuseblk.") => Way::Unknown("FUSE over a block device"),
        "f2fs" => Way::Unknown("f2fs"),
        "ext3" | "ext2" => Way::Unknown("ext2"),
        _ => Way::Unknown("this filesystem"),
    }
}

fn served_by_ext4(mount: &Mount) -> bool {
    let device = Path::new("/sys/dev/block").join(mount.device.to_string());
    let name = device.canonicalize().ok().and_then(|dir| dir.file_name().map(std::ffi::OsStr::to_owned));
    name.is_some_and(|name| Path::new("/sys/fs/ext4").join(name).is_dir())
}
