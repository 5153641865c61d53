//! Families H and J: files with no disk of their own below them, and devices that stand on files.
#![allow(unsafe_code)] // a mapping, and fork(2) for a process that is to die, each with its proof

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};
use swap_dio::Verdict;
use swap_dio::guard::{Operation, Ruling};
use swap_dio::linux::{Depth, examine};
use swap_dio::reason::Errno;

use crate::cases::Kernel::{Accepts, Either, Refuses};
use crate::cases::{EINVAL, WRITE_40};
use crate::machine::{ACTIVE_AREAS, Answer, ready, sh, swapon};
use crate::path::call;
use crate::{judge, make_case, mounted, write_header};

const ETXTBSY: i32 = 26;

#[test]
fn p_117_memory_that_looks_like_a_file() {
    if !ready(&[]) {
        return;
    }
    let file = File::from(memfd_create("swap", MemfdFlags::CLOEXEC).expect("a memfd"));
    file.write_all_at(&vec![0; 160 << 10], 0).expect("forty pages");
    let name = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let path = Path::new(&name);
    write_header(path, 39, &[]).expect("a header");
    let _shared = ACTIVE_AREAS.read();
    assert_eq!(call(path.as_os_str(), 0), Err(EINVAL), "the kernel");
    let found = examine(path, Depth::First).expect("an examination");
    assert_ne!(found.kernel.accepts, Some(true), "{found:?}");
    assert_eq!(found.bio.verdict(), Verdict::Refuse, "{found:?}");
}

/// A filesystem in a process, with no device that the kernel could write to.
#[test]
fn p_119_fuse_without_a_block_device() {
    let make = "mkfs.ext4 -q -b 4096 $DEV";
    let Some(fs) = mounted(&[64], make, "fuse2fs $DEV $M >&2", &["mkfs.ext4", "fuse2fs"]) else { return };
    let path = make_case(&fs, "f", WRITE_40, 39, "").expect("a file");
    judge("fuse", "P-119 written", &path, Refuses(EINVAL)).expect("agreement");
    let path = make_case(&fs, "g", "truncate -s 160k f", 39, "").expect("a file");
    judge("fuse", "P-119 sparse", &path, Refuses(EINVAL)).expect("agreement");
}

/// FAT, HFS+ and minix are not in every kernel; ntfs-3g is asked the same way, block by block.
#[test]
fn p_067_block_by_block() {
    let make = "mkntfs -q -F $DEV >&2";
    let Some(fs) = mounted(&[64], make, "ntfs-3g $DEV $M >&2", &["mkntfs", "ntfs-3g"]) else { return };
    let written = Answer::Accepted { pages: 39, extents: None };
    let cases = [
        ("P-067 written", WRITE_40, 39, written),
        ("P-067 header claims less", WRITE_40, 9, Answer::Accepted { pages: 9, extents: None }),
        ("P-067 sparse", "truncate -s 160k f", 39, Answer::Refused(EINVAL)),
        // The walk goes over the whole file, or to the header's last page: whichever, this hole is in it.
        (
            "P-067 a hole in the middle",
            "dd if=/dev/zero of=f bs=4k count=10 status=none; truncate -s 8M f; \
             dd if=/dev/zero of=f bs=4k seek=2038 count=10 conv=notrunc status=none",
            2047,
            Answer::Refused(EINVAL),
        ),
    ];
    for (index, (name, script, last, expected)) in cases.into_iter().enumerate() {
        let path = make_case(&fs, &index.to_string(), script, last, "sync f").expect("a file");
        // What is foretold, if anything is, is held against the kernel.
        judge("fuseblk", name, &path, Either).unwrap_or_else(|why| panic!("{why}"));
        let _shared = ACTIVE_AREAS.read();
        match (swapon(&path, 4096), expected) {
            (Answer::Accepted { pages, .. }, Answer::Accepted { pages: expected, .. }) => assert_eq!(pages, expected),
            (answer, expected) => assert_eq!(answer, expected, "{name}"),
        }
    }
}

/// A loop device takes whatever is below: the kernel sees a device, we see what it stands on.
#[test]
fn p_128_a_loop_device_looks_through() {
    // The images are sparse files; the second stands on a loop device itself, on a filesystem on the first.
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    let written = make_case(&fs, "f", "dd if=/dev/zero of=f bs=1M count=1 status=none", 255, "").expect("a file");
    let sparse = make_case(&fs, "g", "truncate -s 1M f", 255, "").expect("a file");
    judge("ext4", "P-128 the sparse file itself", &sparse, Refuses(EINVAL)).expect("agreement");
    for (name, backing) in [("P-128 over a written file", &written), ("P-128 over a sparse file", &sparse)] {
        let attached = Attached::over(backing);
        let device = Path::new(&attached.0);
        judge("loop device", name, device, Accepts(1020)).expect("agreement");
        let _shared = ACTIVE_AREAS.read();
        let found = examine(device, Depth::All).expect("an examination");
        for judgement in [&found.bio, &found.file] {
            assert_eq!(judgement.verdict(), Verdict::Refuse, "{name}: {found:?}");
            assert!(judgement.reasons().iter().any(|why| why.code() == "loop-backing"), "{name}: {found:?}");
        }
    }
}

/// A loop device, detached when dropped.
struct Attached(String);

impl Attached {
    fn over(file: &Path) -> Self {
        Self(sh(&format!("losetup -f --show {}", file.display())).expect("a loop device"))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let detached = sh(&format!("swapoff {0} 2>/dev/null || true; losetup -d {0}", self.0));
        assert!(detached.is_ok() || std::thread::panicking(), "{} is left attached: {detached:?}", self.0);
    }
}

/// What family F is to a file: writes and shared writable mappings of an active device.
#[test]
fn p_142_an_active_device_is_guarded() {
    let Some(fs) = mounted(&[1], "", "", &[]) else { return };
    let device = fs.device();
    write_header(&device, 255, &[]).expect("a header");
    let before = OpenOptions::new().read(true).write(true).open(&device).expect("the device");
    let mapped = Shared::of(&before).expect("a shared mapping");
    let _shared = ACTIVE_AREAS.read();
    sh(&format!("swapon {}", device.display())).expect("swapon");

    let errno = |outcome: std::io::Result<()>| outcome.err().and_then(|error| error.raw_os_error());
    let foretold = |operation: Operation| match operation.ruling() {
        Ruling::Refused(errno) => Some(errno.number()),
        Ruling::Allowed | Ruling::Skipped | Ruling::Signal => None,
    };
    let after = OpenOptions::new().read(true).write(true).open(&device).expect("opening is allowed");
    assert_eq!(Operation::Open.ruling(), Ruling::Allowed);
    for (name, file) in [("opened before", &before), ("opened after", &after)] {
        let written = errno(file.write_all_at(&[0; 4096], 65536));
        assert_eq!((written, foretold(Operation::WriteDevice)), (Some(ETXTBSY), Some(ETXTBSY)), "P-142 {name}");
        assert_eq!(errno(file.read_exact_at(&mut [0; 4096], 65536)), foretold(Operation::Read), "P-142 {name}");
    }
    let refused = Shared::of(&after).err().and_then(|error| error.raw_os_error());
    assert_eq!((refused, foretold(Operation::MapSharedWritable)), (Some(ETXTBSY), Some(ETXTBSY)), "P-142 mmap");
    assert_eq!(call(device.as_os_str(), 0), Err(Errno::EBUSY.number()), "P-142 swapon");
    assert_eq!(Operation::Activate.ruling(), Ruling::Refused(Errno::EBUSY));

    assert_eq!(mapped.signal_of_a_store(), Some(libc::SIGBUS), "P-142 a store through a mapping made before");
    assert_eq!(Operation::StoreShared.ruling(), Ruling::Signal);
    sh(&format!("swapoff {}", device.display())).expect("swapoff");
    before.write_all_at(&[0; 4096], 65536).expect("P-142 a write after swapoff");
}

/// A page of a device, mapped shared and writable.
struct Shared(*mut libc::c_void);

impl Shared {
    fn of(file: &File) -> std::io::Result<Self> {
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let fd = file.as_raw_fd();
        // SAFETY: the kernel chooses the place; nothing else lies there, and nobody else is told of it.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, writable, libc::MAP_SHARED, fd, 65536) };
        if place == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(Self(place)) }
    }

    /// Stores a byte there in a process of its own; the signal that ended it.
    fn signal_of_a_store(&self) -> Option<i32> {
        // SAFETY: between fork and _exit the child makes one store into a mapping that it has inherited, and no call
        // that could want a lock of another thread.
        let child = unsafe {
            match libc::fork() {
                0 => {
                    std::ptr::write_volatile(self.0.cast::<u8>(), 1);
                    libc::_exit(0)
                }
                child => child,
            }
        };
        assert!(child > 0, "fork");
        let mut status = 0;
        // SAFETY: waits for that child and fills in one number.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping made above, which nothing points into.
        unsafe { libc::munmap(self.0, 4096) };
    }
}
