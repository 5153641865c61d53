//! The set-ups: which filesystem, how it is made and mounted, and which steps make sense on it.

use bitflags::bitflags;

use crate::draw::rng;
use crate::machine::{Mounted, ready, sh};

bitflags! {
    /// What is worth drawing. A step that a filesystem refuses is noted in the recipe, and costs only a file.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub(crate) struct Can: u32 {
        /// fallocate, and punching holes.
        const ALLOCATE = 1 << 0;
        /// Collapse, insert and zero a range.
        const SHIFT = 1 << 1;
        const CLONE = 1 << 2;
        /// Immutable and append-only.
        const ATTRIBUTES = 1 << 3;
        /// btrfs: files without copy-on-write, files with compression.
        const NO_COW = 1 << 4;
        const SNAPSHOT = 1 << 5;
        /// Links and owners.
        const LINK = 1 << 6;
        /// Files so large that they cross chunks, groups and sections.
        const LARGE = 1 << 7;
        const DIRECT = 1 << 8;
        /// The area is a block device: only its header differs.
        const DEVICE = 1 << 9;
    }
}

const PLAIN: Can = Can::ATTRIBUTES.union(Can::LINK).union(Can::DIRECT);
const EXT4: Can = PLAIN.union(Can::ALLOCATE).union(Can::SHIFT);
const XFS: Can = EXT4.union(Can::CLONE).union(Can::LARGE);
const BTRFS: Can = PLAIN.union(Can::ALLOCATE).union(Can::CLONE).union(Can::NO_COW);
const FOREIGN: Can = Can::DIRECT;

/// Whether a prediction may be missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unsaid {
    /// Counted, and held to the limit.
    Counted,
    /// Behind a user-space daemon: nothing outside it can say for sure.
    Expected,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct SetUp {
    pub(crate) name: &'static str,
    /// Its name in /proc/filesystems.
    kind: &'static str,
    /// MiB of each image.
    images: &'static [u64],
    mkfs: &'static str,
    mount: &'static str,
    undo: &'static str,
    tools: &'static [&'static str],
    /// The folder of the mount that files are made in.
    pub(crate) folder: &'static str,
    /// MiB of old files that leave holes in it before the first file is made.
    old: u64,
    /// The filesystem's block: the step of collapse and insert.
    pub(crate) block: u64,
    pub(crate) can: Can,
    pub(crate) unsaid: Unsaid,
    /// How many files it gets for one of a set-up that always refuses.
    pub(crate) share: u64,
    /// Whether this kernel may know the filesystem and still not mount it: blocks above a page, no realtime.
    optional: bool,
}

const ROW: SetUp = SetUp {
    name: "",
    kind: "",
    images: &[128],
    mkfs: "",
    mount: "mount $DEV $M",
    undo: "",
    tools: &[],
    folder: "",
    old: 60,
    block: 4096,
    can: PLAIN,
    unsaid: Unsaid::Counted,
    share: 4,
    optional: false,
};
const EXT4_TOOLS: &[&str] = &["mkfs.ext4"];
const XFS_TOOLS: &[&str] = &["mkfs.xfs"];
const BTRFS_TOOLS: &[&str] = &["mkfs.btrfs"];
const NFS_TOOLS: &[&str] = &["mkfs.ext4", "exportfs", "mount.nfs"];
const NFS3: &str = "mount $DEV $M; mkdir $M/e $M/n; exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=77 127.0.0.1:$M/e; \
                    mount -t nfs -o vers=3,nolock,proto=tcp 127.0.0.1:$M/e $M/n";
const NFS4: &str = "mount $DEV $M; mkdir $M/e $M/n; exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 127.0.0.1:$M/e; \
                    mount -t nfs -o vers=4.2,proto=tcp 127.0.0.1:/ $M/n";
const NFS_UNDO: &str = "umount -R $M/n; exportfs -u 127.0.0.1:$M/e; exportfs -f";
const SCANNED: &str = "btrfs -q device scan $DEV $DEV2; mount $DEV $M";

#[rustfmt::skip]
pub(crate) const SET_UPS: &[SetUp] = &[
    SetUp { name: "ext4", kind: "ext4", mkfs: "mkfs.ext4 -q -b 4096 $DEV", tools: EXT4_TOOLS, can: EXT4.union(Can::LARGE), ..ROW },
    SetUp { name: "ext4-2k-data-journal", kind: "ext4", mkfs: "mkfs.ext4 -q -b 2048 $DEV", mount: "mount -o data=journal $DEV $M",
        tools: EXT4_TOOLS, can: EXT4, block: 2048, ..ROW },
    SetUp { name: "ext4-1k", kind: "ext4", mkfs: "mkfs.ext4 -q -b 1024 $DEV", tools: EXT4_TOOLS, can: EXT4, block: 1024, ..ROW },
    SetUp { name: "ext4-bigalloc", kind: "ext4", mkfs: "mkfs.ext4 -q -b 4096 -O bigalloc -C 65536 $DEV", tools: EXT4_TOOLS,
        can: EXT4, block: 65536, ..ROW },
    SetUp { name: "ext4-bigalloc-1k", kind: "ext4", mkfs: "mkfs.ext4 -q -b 1024 -O bigalloc -C 2048 $DEV", tools: EXT4_TOOLS,
        can: EXT4, block: 2048, share: 2, ..ROW },
    SetUp { name: "ext4-inline-data", kind: "ext4", mkfs: "mkfs.ext4 -q -b 4096 -I 512 -O inline_data $DEV", tools: EXT4_TOOLS,
        can: EXT4, ..ROW },
    SetUp { name: "ext3", kind: "ext3", mkfs: "mkfs.ext3 -q -b 4096 $DEV", mount: "mount -t ext3 $DEV $M", tools: EXT4_TOOLS, ..ROW },
    SetUp { name: "ext2-1k", kind: "ext2", mkfs: "mkfs.ext2 -q -b 1024 $DEV", mount: "mount -t ext2 $DEV $M", tools: EXT4_TOOLS,
        block: 1024, ..ROW },
    SetUp { name: "xfs", kind: "xfs", images: &[320], old: 160, mkfs: "mkfs.xfs -q $DEV", tools: XFS_TOOLS, can: XFS, ..ROW },
    SetUp { name: "xfs-1k", kind: "xfs", images: &[320], old: 160, mkfs: "mkfs.xfs -q -b size=1024 $DEV", tools: XFS_TOOLS, can: XFS,
        block: 1024, ..ROW },
    SetUp { name: "xfs-16k", kind: "xfs", images: &[320], old: 160, mkfs: "mkfs.xfs -q -b size=16384 $DEV", tools: XFS_TOOLS, can: XFS,
        block: 16384, share: 1, optional: true, ..ROW },
    SetUp { name: "xfs-realtime", kind: "xfs", images: &[320, 128], mkfs: "mkfs.xfs -q -m reflink=0,rmapbt=0 -d rtinherit=1 -r rtdev=$DEV2 $DEV",
        mount: "mount -o rtdev=$DEV2 $DEV $M", tools: XFS_TOOLS, can: EXT4, share: 2, optional: true, ..ROW },
    SetUp { name: "btrfs", kind: "btrfs", images: &[256], old: 110, mkfs: "mkfs.btrfs -q -d single $DEV", tools: BTRFS_TOOLS, can: BTRFS, ..ROW },
    SetUp { name: "btrfs-two-devices", kind: "btrfs", images: &[160, 160], old: 150, mkfs: "mkfs.btrfs -q -d single -m single $DEV $DEV2",
        mount: SCANNED, tools: BTRFS_TOOLS, can: BTRFS.union(Can::LARGE), ..ROW },
    SetUp { name: "btrfs-dup", kind: "btrfs", images: &[256], old: 40, mkfs: "mkfs.btrfs -q -d dup $DEV", tools: BTRFS_TOOLS, can: BTRFS, share: 1, ..ROW },
    SetUp { name: "btrfs-raid0", kind: "btrfs", images: &[160, 160], old: 150, mkfs: "mkfs.btrfs -q -d raid0 $DEV $DEV2", mount: SCANNED,
        tools: BTRFS_TOOLS, can: BTRFS, share: 1, ..ROW },
    SetUp { name: "btrfs-compress-force", kind: "btrfs", images: &[256], old: 110, mkfs: "mkfs.btrfs -q -d single $DEV",
        mount: "mount -o compress-force=zstd $DEV $M", tools: BTRFS_TOOLS, can: BTRFS, ..ROW },
    SetUp { name: "btrfs-snapshots", kind: "btrfs", images: &[256], old: 110, mkfs: "mkfs.btrfs -q -d single $DEV", tools: BTRFS_TOOLS,
        can: BTRFS.union(Can::SNAPSHOT), ..ROW },
    SetUp { name: "btrfs-mixed", kind: "btrfs", images: &[256], old: 60, mkfs: "mkfs.btrfs -q -M $DEV", tools: BTRFS_TOOLS, can: BTRFS, share: 2, ..ROW },
    SetUp { name: "btrfs-nodatacow", kind: "btrfs", images: &[256], old: 110, mkfs: "mkfs.btrfs -q -d single $DEV",
        mount: "mount -o nodatacow $DEV $M", tools: BTRFS_TOOLS, can: BTRFS, share: 2, ..ROW },
    SetUp { name: "tmpfs", kind: "tmpfs", old: 0, images: &[], mount: "mount -t tmpfs -o size=64m none $M", can: FOREIGN.union(Can::LINK), share: 1, ..ROW },
    SetUp { name: "ramfs", kind: "ramfs", old: 0, images: &[], mount: "mount -t ramfs none $M", can: Can::LINK, share: 1, ..ROW },
    SetUp { name: "overlayfs", kind: "overlay", mkfs: "mkfs.ext4 -q -b 4096 $DEV",
        mount: "mount $DEV $M; mkdir $M/l $M/u $M/w $M/o; mount -t overlay none -o lowerdir=$M/l,upperdir=$M/u,workdir=$M/w $M/o",
        tools: EXT4_TOOLS, folder: "o", can: EXT4, share: 1, ..ROW },
    SetUp { name: "fuse", kind: "fuse", old: 16, mkfs: "mkfs.ext4 -q -b 4096 $DEV", mount: "mount $DEV $M; mkdir $M/a $M/b; bindfs $M/a $M/b",
        tools: &["mkfs.ext4", "bindfs"], folder: "b", can: FOREIGN.union(Can::ALLOCATE), share: 1, ..ROW },
    SetUp { name: "fuseblk", kind: "fuseblk", mkfs: "mkfs.ntfs -q -F -Q $DEV", mount: "ntfs-3g -o fmask=0177,dmask=077 $DEV $M", tools: &["mkfs.ntfs", "ntfs-3g"],
        can: FOREIGN, unsaid: Unsaid::Expected, ..ROW },
    SetUp { name: "fuseblk-1k", kind: "fuseblk", old: 8, mkfs: "mkfs.ntfs -q -F -Q -c 1024 $DEV", mount: "ntfs-3g -o fmask=0177,dmask=077 $DEV $M",
        tools: &["mkfs.ntfs", "ntfs-3g"], can: FOREIGN, block: 1024, unsaid: Unsaid::Expected, share: 1, ..ROW },
    SetUp { name: "loop-device", images: &[1], old: 0, mount: "", can: Can::DEVICE, ..ROW },
    SetUp { name: "vfat", kind: "vfat", mkfs: "mkfs.vfat -s 8 $DEV", tools: &["mkfs.vfat"], can: FOREIGN.union(Can::ALLOCATE), ..ROW },
    SetUp { name: "vfat-1k", kind: "vfat", mkfs: "mkfs.vfat -F 32 -s 2 $DEV", tools: &["mkfs.vfat"], can: FOREIGN.union(Can::ALLOCATE), block: 1024, ..ROW },
    SetUp { name: "exfat", kind: "exfat", mkfs: "mkfs.exfat $DEV", tools: &["mkfs.exfat"], can: FOREIGN, ..ROW },
    SetUp { name: "ntfs3", kind: "ntfs3", mkfs: "mkfs.ntfs -q -F -Q $DEV", mount: "mount -t ntfs3 $DEV $M", tools: &["mkfs.ntfs"],
        can: FOREIGN.union(Can::ALLOCATE), ..ROW },
    SetUp { name: "f2fs", kind: "f2fs", images: &[256], old: 110, mkfs: "mkfs.f2fs -q $DEV", tools: &["mkfs.f2fs"],
        can: EXT4.union(Can::LARGE), ..ROW },
    SetUp { name: "f2fs-lfs", kind: "f2fs", images: &[256], old: 110, mkfs: "mkfs.f2fs -q $DEV", mount: "mount -o mode=lfs $DEV $M", tools: &["mkfs.f2fs"],
        can: EXT4, share: 1, ..ROW },
    // Needs a server on this machine: rpc.nfsd, rpc.mountd and rpcbind, and the exports' table.
    SetUp { name: "nfs", kind: "nfs", old: 0, mkfs: "mkfs.ext4 -q -b 4096 $DEV", mount: NFS3, undo: NFS_UNDO, tools: NFS_TOOLS, folder: "n",
        can: Can::DIRECT, share: 1, optional: true, ..ROW },
    SetUp { name: "nfs4", kind: "nfs4", old: 0, mkfs: "mkfs.ext4 -q -b 4096 $DEV", mount: NFS4, undo: NFS_UNDO, tools: NFS_TOOLS, folder: "n",
        can: Can::DIRECT.union(Can::ALLOCATE), share: 1, optional: true, ..ROW },
];

/// Whether this kernel knows the filesystem, once its module is loaded.
pub(crate) fn is_known(row: &SetUp) -> bool {
    let listed = || std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let knows = |text: &str| text.lines().any(|line| line.split_whitespace().last() == Some(row.kind));
    if row.kind.is_empty() || knows(&listed()) {
        return true;
    }
    let _ = sh(&format!("modprobe -q {}", row.kind));
    knows(&listed())
}

/// Makes and mounts it, with its bind mounts; `None` if this kernel cannot, or a tool is missing: it says so.
pub(crate) fn mounted(row: &SetUp, seed: u64) -> Option<Mounted> {
    let skipped = |why: &str| println!("{}: skipped, {why}", row.name);
    if !is_known(row) {
        skipped(&format!("this kernel has no {}", row.kind));
        return None;
    }
    if !ready(row.tools) {
        skipped("see above");
        return None;
    }
    let mut fs =
        if row.optional { Mounted::made(row.images, row.mkfs) } else { Mounted::new(row.images, row.mkfs, row.mount) };
    row.undo.clone_into(&mut fs.undo);
    if row.optional {
        if let Err(why) = fs.run(&fs.root, row.mount) {
            skipped(&format!("this kernel does not mount it: {why}"));
            return None;
        }
    }
    if !row.can.contains(Can::DEVICE) {
        let folder = fs.root.join(row.folder);
        let binds = "mkdir .rw .ro; mount --bind . .rw; mount --bind . .ro; mount -o remount,ro,bind .ro";
        fs.run(&folder, binds).unwrap_or_else(|why| panic!("{}: no bind mounts: {why}", row.name));
    }
    age(&fs, row, seed).unwrap_or_else(|error| panic!("{}: no old files: {error}", row.name));
    Some(fs)
}

/// Fills it with files of odd sizes and takes every second one away: no free range is large or aligned.
fn age(fs: &Mounted, row: &SetUp, seed: u64) -> std::io::Result<()> {
    if row.old == 0 {
        return Ok(());
    }
    let folder = fs.root.join(row.folder).join(".old");
    std::fs::create_dir(&folder)?;
    let mut rng = rng(seed, row, u64::MAX);
    let data = vec![0x5a; 400_000];
    let (mut left, mut index) = (row.old << 20, 0);
    while left > 0 {
        let size = if rng.bool() { rng.usize(1..40_000) } else { rng.usize(1..data.len()) };
        std::fs::write(folder.join(index.to_string()), &data[..size])?;
        left = left.saturating_sub(u64::try_from(size).unwrap_or(left));
        index += 1;
    }
    // Delayed allocation would give the free range back as it was.
    rustix::fs::syncfs(std::fs::File::open(&folder)?)?;
    for index in (0..index).step_by(2) {
        std::fs::remove_file(folder.join(index.to_string()))?;
    }
    Ok(rustix::fs::syncfs(std::fs::File::open(&folder)?)?)
}
