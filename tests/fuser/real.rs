//! The guard on a real mount: swapon(2) asks, swaps to the device, and lets go.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fuser::{Config, Session, SessionACL};
use swap_dio::BlockSize;
use swap_dio::fuse::adapter::{Pinned, SwapGuard, fuseblk};
use swap_dio::guard::Relocation;

use super::machine::{ACTIVE_AREAS, Answer, Mounted, ready, sh, swapon};
use super::tiny::{Knobs, Tiny, TinyFile};

const MIB: u64 = 1 << 20;

/// A filesystem that is served by a thread of this process; swapped off, unmounted and joined when dropped.
struct Served {
    root: PathBuf,
    pinned: Arc<Pinned>,
    knobs: Arc<Knobs>,
    mount: Option<fuseblk::Mount>,
    session: Option<JoinHandle<std::io::Result<()>>>,
    _limit: Limit,
    _folder: tempfile::TempDir,
    _device: Mounted,
}

impl Served {
    /// On a device of so many MiB.
    fn new(mib: u64, files: Vec<TinyFile>, block_size: BlockSize) -> Self {
        let device = Mounted::new(&[mib], "true", "true");
        let folder = tempfile::tempdir().expect("a mount point");
        let (mut tiny, knobs) = Tiny::new(files);
        tiny.device = Some(OpenOptions::new().read(true).write(true).open(device.device()).expect("the device"));
        let guard = SwapGuard::new(tiny, 2);
        let pinned = guard.pinned();
        let options = fuseblk::Options { block_size, ..Default::default() };
        let (mount, fd) = fuseblk::mount(&device.device(), folder.path(), &options).expect("a mount");
        let mut config = Config::default();
        config.n_threads = Some(2);
        let session = Session::from_fd(guard, fd, SessionACL::Owner, config).expect("a session");
        let session = Some(std::thread::spawn(move || session.run()));
        let root = folder.path().canonicalize().expect("a path");
        let _limit = Limit::new(&root);
        Self { root, pinned, knobs, mount: Some(mount), session, _limit, _folder: folder, _device: device }
    }

    fn path(&self, ino: u64) -> PathBuf {
        self.root.join(format!("swapfile{ino}"))
    }

    fn passed(&self) -> u64 {
        self.knobs.passed.load(SeqCst)
    }

    /// Waits for the `RELEASE` that close(2) does not wait for.
    fn until_released(&self) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.pinned.held().next().is_some() {
            assert!(Instant::now() < end, "held: {:?}", self.pinned.held().collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        swap_off(&self.root);
        drop(self.mount.take());
        let ended = self.session.take().map(|session| session.join());
        if !std::thread::panicking() {
            ended.expect("a session").expect("no panic").expect("the session ends well");
        }
    }
}

fn swap_off(root: &Path) {
    let areas = format!("awk -v r={}/ 'index($1, r) == 1 {{ print $1 }}' /proc/swaps", root.display());
    let _ = sh(&format!("{areas} | xargs -r -n1 swapoff"));
}

/// Ends what hangs: a system call that waits for a server cannot be given a time limit, but the server can be taken
/// away.
struct Limit(Option<mpsc::Sender<()>>);

impl Limit {
    fn new(root: &Path) -> Self {
        let (done, over) = mpsc::channel::<()>();
        let root = root.to_owned();
        std::thread::spawn(move || {
            if over.recv_timeout(Duration::from_secs(180)) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            eprintln!("{}: over the time limit, and taken away", root.display());
            swap_off(&root);
            let _ = sh(&format!("umount -f {0} || umount -l {0}", root.display()));
            if over.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                std::process::abort();
            }
        });
        Self(Some(done))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// Two files of several extents each, scattered, nowhere in the first MiB.
fn two_files() -> Vec<TinyFile> {
    vec![
        TinyFile::new(&[(40 * MIB, 6 * MIB), (8 * MIB, 4 * MIB), (20 * MIB, 6 * MIB)]),
        TinyFile::new(&[(30 * MIB, 8 * MIB), (2 * MIB, 2 * MIB)]),
    ]
}

fn area_kib(path: &Path) -> Option<u64> {
    let swaps = std::fs::read_to_string("/proc/swaps").expect("/proc/swaps");
    let name = path.display().to_string();
    let line = swaps.lines().find(|line| line.split_whitespace().next() == Some(&name))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Everything that a path or a descriptor lets a process try; the errno of each.
fn attempts(path: &Path, file: &File, other: &Path) -> Vec<(&'static str, Option<i32>)> {
    vec![
        ("write", errno(file.write_all_at(&[1; 4096], 8192))),
        ("shrink", errno(file.set_len(4096))),
        ("fallocate", errno(allocate_page(file))),
        ("O_TRUNC", errno(OpenOptions::new().write(true).truncate(true).open(path))),
        ("rename", errno(std::fs::rename(path, path.with_file_name("elsewhere")))),
        ("rename over", errno(std::fs::rename(other, path))),
        ("unlink", errno(std::fs::remove_file(path))),
    ]
}

#[allow(unsafe_code)] // libc's, as in tests/machine
fn allocate_page(file: &File) -> std::io::Result<()> {
    // SAFETY: fallocate takes four numbers.
    let status = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 4096) };
    if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// FIBMAP of the first block, as filefrag asks it.
#[allow(unsafe_code)]
fn fibmap(file: &File, block: i32) -> i32 {
    let mut number = block;
    // SAFETY: FIBMAP (1) reads and writes one int, which lives until the call returns.
    let status = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), 1, &raw mut number) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    number
}

const REFUSED: [(&str, Option<i32>); 7] = [
    ("write", Some(libc::ETXTBSY)),
    ("shrink", Some(libc::ETXTBSY)),
    ("fallocate", Some(libc::ETXTBSY)),
    ("O_TRUNC", Some(libc::ETXTBSY)),
    ("rename", Some(libc::EPERM)),
    ("rename over", Some(libc::EPERM)),
    ("unlink", Some(libc::EPERM)),
];

#[test]
fn two_areas_at_once_from_mkswap_to_unmount() {
    if !ready(&["mkswap", "swapon"]) {
        return;
    }
    let _areas = ACTIVE_AREAS.read().expect("no panic");
    let mut served = Served::new(64, two_files(), BlockSize::KIB_4);
    let (one, two) = (served.path(2), served.path(3));
    for path in [&one, &two] {
        sh(&format!("mkswap {0} >/dev/null 2>&1 && chmod 600 {0} && swapon {0}", path.display())).expect("swapon");
    }
    assert_eq!((area_kib(&one), area_kib(&two)), (Some(16 * 1024 - 4), Some(10 * 1024 - 4)));
    let mut held: Vec<u64> = served.pinned.held().collect();
    held.sort_unstable();
    assert_eq!(held, [2, 3]);

    // Through the mount the kernel refuses, and asks nobody.
    let before = served.passed();
    let file = OpenOptions::new().read(true).write(true).open(&one).expect("opening is allowed");
    assert_eq!(attempts(&one, &file, &two), REFUSED);
    assert_eq!(served.passed(), before, "the server saw what the kernel refuses");
    drop(file);
    // The server's own acts.
    for act in Relocation::ALL {
        assert!(served.pinned.relocate(2, act).is_err() && served.pinned.relocate(3, act).is_err(), "{act:?}");
    }
    // Whoever wants to stop it is told what to do, and nothing is detached.
    let error = served.mount.as_mut().expect("mounted").unmount().expect_err("swap is on").to_string();
    let first =
        [&one, &two].map(|area| format!("{}: swap is on: run swapoff {} first", served.root.display(), area.display()));
    assert!(first.contains(&error), "{error}");

    sh(&format!("swapoff {}", one.display())).expect("swapoff");
    let end = Instant::now() + Duration::from_secs(5);
    while served.pinned.is_held(2) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(served.pinned.held().collect::<Vec<_>>(), [3]);
    assert!(served.pinned.relocate(2, Relocation::Defragment).is_ok());
    sh(&format!("swapoff {}", two.display())).expect("swapoff");
    served.until_released();
    let file = OpenOptions::new().write(true).open(&one).expect("it");
    let allowed = attempts(&one, &file, &two);
    assert!(allowed.iter().all(|(_, errno)| errno.is_none()), "{allowed:?}");
    drop(file);
    served.mount.as_mut().expect("mounted").unmount().expect("nothing is open");
    assert_ne!(std::fs::metadata(&served.root).expect("the folder").ino(), 1, "it is the folder below again");
}

#[test]
fn the_kernel_counts_what_the_extents_say() {
    if !ready(&["mkswap"]) {
        return;
    }
    let _areas = ACTIVE_AREAS.read().expect("no panic");
    for (block_size, pages, extents) in [(BlockSize::KIB_4, 4095, 3), (BlockSize::new(512).expect("it"), 4095, 3)] {
        let served = Served::new(64, two_files(), block_size);
        sh(&format!("mkswap {0} >/dev/null 2>&1; chmod 600 {0}", served.path(2).display())).expect("mkswap");
        let answer = swapon(&served.path(2), 4096);
        let Answer::Accepted { pages: counted, extents: logged } = answer else { panic!("{block_size:?}: {answer:?}") };
        assert_eq!((counted, logged.unwrap_or(extents)), (pages, extents), "{block_size:?}");
        served.until_released();
    }
}

#[test]
fn who_looked_holds_the_file_for_everybody_and_the_server_refuses() {
    if !ready(&[]) {
        return;
    }
    let served = Served::new(64, two_files(), BlockSize::KIB_4);
    let looking = OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open(served.path(2)).expect("a file");
    let file = OpenOptions::new().read(true).write(true).open(served.path(2)).expect("a file");
    assert_eq!(fibmap(&looking, 0), 40 * 256);
    assert_eq!(fibmap(&looking, 6 * 256), 8 * 256);
    assert_eq!(fibmap(&looking, 16 * 256), 0);
    // Not active: it is the server that refuses.
    let before = served.passed();
    assert_eq!(attempts(&served.path(2), &file, &served.path(3)), REFUSED);
    assert_eq!(served.passed(), before);
    drop((looking, file));
    served.until_released();
    OpenOptions::new().write(true).open(served.path(2)).expect("it").set_len(4096).expect("let go");
}

#[test]
fn a_mount_with_swap_on_is_left_and_goes_afterwards() {
    if !ready(&["mkswap", "swapon"]) {
        return;
    }
    let _areas = ACTIVE_AREAS.read().expect("no panic");
    let mut served = Served::new(64, two_files(), BlockSize::KIB_4);
    let area = served.path(2);
    sh(&format!("mkswap {0} >/dev/null 2>&1 && swapon {0}", area.display())).expect("swapon");
    drop(served.mount.take());
    assert!(area_kib(&area).is_some(), "it was detached: no path is left for swapoff");
    sh(&format!("swapoff {}", area.display())).expect("swapoff by path");
    // A file that is open keeps nobody's mount point.
    sh(&format!("umount {}", served.root.display())).expect("what drop left");
}

#[test]
fn a_mount_with_an_open_file_is_detached_when_dropped() {
    if !ready(&[]) {
        return;
    }
    let mut served = Served::new(64, two_files(), BlockSize::KIB_4);
    let file = File::open(served.path(2)).expect("a file");
    let error = served.mount.as_mut().expect("mounted").unmount().expect_err("a file is open");
    assert!(matches!(error, fuseblk::MountError::InUse { .. }), "{error}");
    drop(served.mount.take());
    assert!(!served.path(2).exists(), "still mounted");
    assert_eq!(file.metadata().expect("still served").size(), 16 * MIB);
}

#[test]
fn another_mount_on_the_same_folder_is_not_taken_for_it() {
    if !ready(&[]) {
        return;
    }
    let mut served = Served::new(64, two_files(), BlockSize::KIB_4);
    sh(&format!("umount {0} && mount -t tmpfs none {0}", served.root.display())).expect("somebody else's mount");
    drop(served.mount.take());
    let left = sh(&format!("findmnt -no FSTYPE {0}; umount {0}", served.root.display())).expect("still there");
    assert_eq!(left, "tmpfs");
}

#[allow(unsafe_code)]
fn swapon_only(path: &Path) -> std::io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: swapon reads the path, a C string that lives until the call returns, and keeps nothing of it.
    let status = unsafe { libc::swapon(name.as_ptr(), 0) };
    if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// One upcall for each block: what swapon costs, beside ext4 in the same run. A figure and no verdict.
#[test]
fn the_price_of_swapon() {
    if !ready(&["mkswap", "swapon", "mkfs.ext4"]) {
        return;
    }
    let _areas = ACTIVE_AREAS.read().expect("no panic");
    let seconds = |path: &Path| {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let begin = Instant::now();
            swapon_only(path).expect("swapon");
            best = best.min(begin.elapsed().as_secs_f64());
            assert_eq!(area_kib(path), Some(1024 * 1024 - 4));
            sh(&format!("swapoff {}", path.display())).expect("swapoff");
        }
        best
    };
    let served = Served::new(
        1100,
        vec![TinyFile::new(&[(64 * MIB, 512 * MIB), (4 * MIB, 32 * MIB), (600 * MIB, 480 * MIB)])],
        BlockSize::KIB_4,
    );
    sh(&format!("mkswap {} >/dev/null 2>&1", served.path(2).display())).expect("mkswap");
    let ours = seconds(&served.path(2));
    let ext4 = Mounted::new(&[1200], "mkfs.ext4 -q $DEV", "mount $DEV $M");
    ext4.run(&ext4.root, "fallocate -l 1G f; chmod 600 f; mkswap f >/dev/null").expect("a swap file");
    let theirs = seconds(&ext4.root.join("f"));
    println!(
        "swapon of 1 GiB: {ours:.2} s by 262144 BMAPs ({:.1} us each), {theirs:.4} s on ext4: {:.0} times as long",
        ours / 262_144.0 * 1e6,
        ours / theirs
    );
    // Minutes would mean that something waits for a timer.
    assert!(ours < 60.0, "{ours} s");
}
