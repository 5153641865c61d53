//! The cases by their numbers: how a file is made, and what the reference says that swapon(2) answers.

/// What the case says that the kernel answers, in the terms of the reference: kB of /proc/swaps, or an errno.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kernel {
    Accepts(u64),
    /// Accepts, with a size that depends on where the filesystem put the file.
    Some,
    Refuses(i32),
    /// Depends on the kernel's release.
    Either,
}
use Kernel::{Accepts, Either, Refuses, Some as SomePages};

/// Name, script, last page of the header (0 for none), script after the header, the kernel's answer.
pub(crate) type Case = (&'static str, &'static str, u64, &'static str, Kernel);

pub(crate) const WRITE_40: &str = "dd if=/dev/zero of=f bs=4k count=40 status=none";
pub(crate) const EINVAL: i32 = 22;

/// Cases that every filesystem with extents answers alike.
pub(crate) const LAYOUTS: &[Case] = &[
    ("P-001 baseline", WRITE_40, 39, "", Accepts(156)),
    ("P-002 no signature", WRITE_40, 0, "", Refuses(EINVAL)),
    ("P-007 one page too many", WRITE_40, 40, "", Refuses(EINVAL)),
    ("P-008 header claims less", WRITE_40, 9, "", Accepts(36)),
    ("P-010 three pages", "dd if=/dev/zero of=f bs=4k count=3 status=none", 2, "", Accepts(8)),
    ("P-011 one page", "dd if=/dev/zero of=f bs=4k count=1 status=none", 1, "", Refuses(EINVAL)),
    ("P-016 three bytes too long", "dd if=/dev/zero of=f bs=163843 count=1 status=none", 39, "", Accepts(156)),
    ("P-018 junk in the boot bits", "dd if=/dev/urandom of=f bs=4k count=40 status=none", 39, "", Accepts(156)),
    ("P-019 header not synced", "dd if=/dev/zero of=f bs=4k count=40 conv=fsync status=none", 39, "", Accepts(156)),
    (
        "P-023 offset header",
        "dd if=/dev/zero of=g bs=4k count=40 status=none; mkswap g >&2; head -c 4096 /dev/zero | cat - g > f",
        0,
        "",
        Refuses(EINVAL),
    ),
    ("P-031 empty", ": > f; chmod 777 f", 0, "", Refuses(EINVAL)),
    ("P-036 immutable", WRITE_40, 39, "chattr +i f", Refuses(1)),
    ("P-036 append-only", WRITE_40, 39, "chattr +a f", Refuses(1)),
    ("P-034 symlink", "dd if=/dev/zero of=g bs=4k count=40 status=none; ln -s g f", 39, "", Accepts(156)),
    ("P-039 mode 0666", WRITE_40, 39, "chmod 666 f; chown 1000 f", Accepts(156)),
    ("P-039 mode 0400", WRITE_40, 39, "chmod 400 f", Accepts(156)),
    ("P-041 sparse", "truncate -s 160k f", 39, "", Refuses(EINVAL)),
    ("P-042 punched", WRITE_40, 39, "fallocate -p -o 80k -l 4k f", Refuses(EINVAL)),
    (
        "P-043 hole in the last page",
        "dd if=/dev/zero of=f bs=4k count=39 status=none; truncate -s 160k f",
        39,
        "",
        Refuses(EINVAL),
    ),
    ("P-045 hole in the tail", WRITE_40, 39, "truncate -s 163940 f", Accepts(156)),
    ("P-046 fallocated", "fallocate -l 160k f", 39, "", Accepts(156)),
    (
        "P-047 every second page written",
        "fallocate -l 160k f; for i in $(seq 0 2 38); do dd if=/dev/zero of=f bs=4k count=1 seek=$i conv=notrunc status=none; done",
        39,
        "",
        Accepts(156),
    ),
    (
        "P-049 preallocated past the end",
        "dd if=/dev/zero of=f bs=4k count=20 status=none; fallocate -n -o 80k -l 160k f",
        19,
        "",
        Accepts(76),
    ),
    (
        "P-049 the same, header for all",
        "dd if=/dev/zero of=f bs=4k count=20 status=none; fallocate -n -o 80k -l 160k f",
        39,
        "",
        Refuses(EINVAL),
    ),
    (
        "P-050 not synced",
        WRITE_40,
        39,
        "dd if=/dev/zero of=f bs=4k seek=2 count=30 conv=notrunc status=none",
        Accepts(156),
    ),
    (
        "P-052 inserted range",
        "dd if=/dev/zero of=f bs=64k count=2 status=none",
        31,
        "sync f; xfs_io -c 'finsert 64k 64k' f",
        Refuses(EINVAL),
    ),
    (
        "P-057 grown after it was formatted",
        "dd if=/dev/zero of=f bs=1M count=1 status=none",
        255,
        "dd if=/dev/zero of=f bs=1M count=1 seek=1 conv=notrunc status=none",
        Accepts(1020),
    ),
    ("hole past the header's pages", WRITE_40, 9, "fallocate -p -o 80k -l 4k f", Refuses(EINVAL)),
    (
        "interleaved with another file",
        "for i in $(seq 0 15); do dd if=/dev/zero of=f bs=4k count=1 seek=$i conv=notrunc,fsync status=none; dd if=/dev/zero of=g bs=4k count=1 seek=$i conv=notrunc,fsync status=none; done",
        15,
        "",
        SomePages,
    ),
    (
        "P-014 header for 8 KiB pages",
        "dd if=/dev/zero of=f bs=4k count=40 status=none; mkswap -p 8192 f >&2",
        0,
        "",
        Refuses(EINVAL),
    ),
    (
        "P-021 hibernation image",
        WRITE_40,
        39,
        "printf S1SUSPEND | dd of=f bs=1 seek=4086 conv=notrunc status=none",
        Refuses(EINVAL),
    ),
];

/// What an unaligned filesystem adds: 1 KiB blocks.
pub(crate) const SMALL_BLOCKS: &[Case] = &[
    ("P-055 plain", WRITE_40, 39, "", SomePages),
    (
        "P-054 collapsed by a block",
        "dd if=/dev/zero of=f bs=4k count=64 status=none; sync f; fallocate -c -o 40k -l 1k f",
        62,
        "",
        SomePages,
    ),
    (
        "two collapses",
        "dd if=/dev/zero of=f bs=4k count=64 status=none; sync f; fallocate -c -o 40k -l 1k f; fallocate -c -o 80k -l 2k f",
        60,
        "",
        SomePages,
    ),
    ("P-045 tail of one block", WRITE_40, 39, "truncate -s 164864 f", SomePages),
    (
        "a hole of one block",
        "dd if=/dev/zero of=f bs=4k count=40 status=none",
        39,
        "sync f; fallocate -p -o 41k -l 1k f",
        Refuses(EINVAL),
    ),
    ("fallocated", "fallocate -l 160k f", 39, "", SomePages),
    (
        "interleaved by blocks",
        "for i in $(seq 0 63); do dd if=/dev/zero of=f bs=3k count=1 seek=$i conv=notrunc,fsync status=none; dd if=/dev/zero of=g bs=1k count=1 seek=$i conv=notrunc,fsync status=none; done",
        47,
        "",
        Either,
    ),
];

pub(crate) const REFLINKS: &[Case] = &[
    ("P-068 cloned, the source", WRITE_40, 39, "cp --reflink=always f g", Refuses(EINVAL)),
    ("P-068 cloned, the clone", "dd if=/dev/zero of=g bs=4k count=40 status=none", 39, "CLONE", Refuses(EINVAL)),
    (
        "P-070 one page shared",
        WRITE_40,
        39,
        "truncate -s 160k g; xfs_io -c 'reflink f 81920 81920 4096' g",
        Refuses(EINVAL),
    ),
    ("P-072 the other owner is gone", WRITE_40, 39, "cp --reflink=always f g; sync -f .; rm g; sync -f .", SomePages),
    ("P-072 the same, not synced", WRITE_40, 39, "cp --reflink=always f g; rm g", SomePages),
];

pub(crate) const BTRFS: &[Case] = &[
    ("P-074 copy-on-write", "dd if=/dev/zero of=f bs=4k count=40 status=none", 39, "", Refuses(EINVAL)),
    ("P-041 sparse", "touch f; chattr +C f; truncate -s 160k f", 39, "", Refuses(EINVAL)),
    ("P-042 punched", NOCOW_40, 39, "fallocate -p -o 80k -l 4k f", Refuses(EINVAL)),
    ("P-001 nocow", NOCOW_40, 39, "", Accepts(156)),
    ("P-046 fallocated", "touch f; chattr +C f; fallocate -l 160k f", 39, "", Accepts(156)),
    ("P-008 header claims less", NOCOW_40, 9, "", Accepts(36)),
    ("P-045 hole in the tail", NOCOW_40, 39, "truncate -s 163940 f", Accepts(156)),
    ("P-068 cloned", NOCOW_40, 39, "touch g; chattr +C g; cp --reflink=always f g", Refuses(EINVAL)),
    ("P-068 clone gone", NOCOW_40, 39, "touch g; chattr +C g; cp --reflink=always f g; rm g; sync -f .", SomePages),
    (
        "P-082 snapshotted",
        "btrfs -q subvolume create s; touch s/f; chattr +C s/f; dd if=/dev/zero of=s/f bs=4k count=40 status=none; ln -s s/f f",
        39,
        "sync -f .; btrfs -q subvolume snapshot s t",
        Refuses(EINVAL),
    ),
    (
        "P-037 read-only snapshot",
        "btrfs -q subvolume create s; touch s/f; chattr +C s/f; dd if=/dev/zero of=s/f bs=4k count=40 status=none; ln -s s/f f",
        39,
        "sync -f .; btrfs -q property set s ro true",
        Refuses(30),
    ),
    (
        "P-078 compressed",
        "touch f; chattr +c f; yes | head -c 1M | dd of=f bs=64k iflag=fullblock status=none; sync f",
        255,
        "",
        Refuses(EINVAL),
    ),
    ("P-002 no signature", NOCOW_40, 0, "", Refuses(EINVAL)),
];

pub(crate) const NOCOW_40: &str = "touch f; chattr +C f; dd if=/dev/zero of=f bs=4k count=40 status=none";

/// Blocks of 2 KiB, without fallocate's collapse, which data=journal does not offer.
pub(crate) const BLOCKS_OF_2K: &[Case] = &[
    ("P-061 plain", WRITE_40, 39, "", SomePages),
    ("tail of one block", WRITE_40, 39, "truncate -s 165888 f", SomePages),
    ("a hole of one block", WRITE_40, 39, "sync f; fallocate -p -o 42k -l 2k f", Refuses(EINVAL)),
    ("P-046 fallocated", "fallocate -l 160k f", 39, "", SomePages),
    ("P-041 sparse", "truncate -s 160k f", 39, "", Refuses(EINVAL)),
];
