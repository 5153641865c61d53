//! The real machine for tests: loop images, mounts and raw swapon(2), each undone by a guard, on failure too.
//!
//! Every command runs under a time limit. Nothing here touches a device or a mount that it did not make.
#![allow(unsafe_code)] // two system calls that no safe crate wraps, each with its proof

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::RwLock;

use tempfile::TempDir;

/// Whether the machine lets us; says why not. `SWAP_DIO_REQUIRE_KERNEL=1` makes that a failure.
pub(crate) fn ready(tools: &[&str]) -> bool {
    let root = rustix_uid() == 0;
    let missing: Vec<&&str> = tools.iter().filter(|tool| sh(&format!("command -v {tool}")).is_err()).collect();
    if root && missing.is_empty() && sh("losetup -f").is_ok() {
        return true;
    }
    let why = if root { format!("no loop device, or no {missing:?}") } else { "not root".to_owned() };
    let required = std::env::var_os("SWAP_DIO_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(!required, "the kernel is required as an oracle: {why}");
    println!("skipped, nothing was compared: {why}");
    false
}

fn rustix_uid() -> u32 {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Runs a shell script under a time limit; what it printed, or what it said when it failed.
pub(crate) fn sh(script: &str) -> Result<String, String> {
    let output = Command::new("timeout").args(["-k", "5", "120", "bash", "-ec", script]).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Held for reading by whoever compares predictions, for writing by whoever leaves an area active under a name that
/// leads nowhere: while it is, nobody's file is told from it.
pub(crate) static ACTIVE_AREAS: RwLock<()> = RwLock::new(());

/// A filesystem on loop devices, mounted; undone when dropped.
pub(crate) struct Mounted {
    pub(crate) root: PathBuf,
    /// A script that takes back what a mount needed elsewhere, while it is mounted still.
    pub(crate) undo: String,
    loops: Vec<String>,
    _folder: TempDir,
}

impl Mounted {
    /// Makes images of so many MiB each, runs `mkfs` with `$DEV`, `$DEV2` … set, and mounts the first with `options`.
    pub(crate) fn new(images: &[u64], mkfs: &str, mount: &str) -> Self {
        let mounted = Self::made(images, mkfs);
        mounted.run(Path::new("/"), mount).expect("a filesystem, mounted");
        mounted
    }

    /// The same without the mount, which [`Mounted::run`] may try.
    pub(crate) fn made(images: &[u64], mkfs: &str) -> Self {
        let folder = tempfile::tempdir_in(disk()).expect("a folder for images");
        let mut mounted =
            Self { root: folder.path().join("m"), undo: String::new(), loops: Vec::new(), _folder: folder };
        let dir = mounted._folder.path().to_owned();
        std::fs::create_dir(&mounted.root).expect("a mount point");
        for (index, mib) in images.iter().enumerate() {
            let image = dir.join(format!("image{index}"));
            let made = format!("truncate -s {mib}M {0} && losetup -f --show {0}", image.display());
            mounted.loops.push(sh(&made).expect("a loop device"));
        }
        mounted.run(Path::new("/"), mkfs).expect("a filesystem");
        mounted
    }

    /// The shell variables that name the loop devices.
    pub(crate) fn devices(&self) -> String {
        let name = |index: usize| if index == 0 { "DEV".to_owned() } else { format!("DEV{}", index + 1) };
        self.loops.iter().enumerate().map(|(index, device)| format!("{}={device}\n", name(index))).collect()
    }

    /// The first loop device.
    pub(crate) fn device(&self) -> PathBuf {
        PathBuf::from(&self.loops[0])
    }

    /// Runs a script in a folder of the filesystem, with the devices and `$M` set.
    pub(crate) fn run(&self, folder: &Path, script: &str) -> Result<String, String> {
        sh(&format!("{}M={}\ncd {}\n{script}", self.devices(), self.root.display(), folder.display()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What a failed test left active or stacked would keep the mount busy.
        let root = self.root.display();
        let _ = sh(&format!("awk -v r={root}/ 'index($1, r) == 1 {{ print $1 }}' /proc/swaps | xargs -r -n1 swapoff"));
        let _ = self.run(Path::new("/"), &self.undo);
        // A child that another test has just forked has our files open until it runs its program; a ring a little
        // longer.
        let is_unmounted = (0..100).any(|_| {
            let _ = sh(&format!("findmnt -Rrno TARGET {root} | tac | xargs -r -n1 umount"));
            let is_gone = sh(&format!("! findmnt -rno TARGET {root}")).is_ok();
            if !is_gone {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            is_gone
        });
        assert!(is_unmounted || std::thread::panicking(), "{root} is left mounted");
        for device in &self.loops {
            let detached = sh(&format!("swapoff {device} 2>/dev/null || true; losetup -d {device}"));
            assert!(detached.is_ok() || std::thread::panicking(), "{device} is left attached: {detached:?}");
        }
    }
}

/// A folder for images: on a disk, whatever `TMPDIR` says.
///
/// Pages of an image that lies in tmpfs may be swapped out, to the very area that lies in the image. Then the loop
/// device waits for a page that only it can write, for ever: seen on Linux 6.18 with memory to spare.
fn disk() -> PathBuf {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let kind = |folder: &Path| rustix::fs::statfs(folder).map(|stat| stat.f_type);
    let folders = [std::env::temp_dir(), PathBuf::from("/var/tmp")];
    let on_disk = |folder: &PathBuf| kind(folder).is_ok_and(|kind: i64| kind != TMPFS_MAGIC);
    folders.into_iter().find(on_disk).expect("TMPDIR or /var/tmp is not tmpfs")
}

/// What swapon(2) answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Usable pages by /proc/swaps, extents by the kernel's log if that could be read.
    Accepted { pages: u64, extents: Option<u32> },
    /// The errno.
    Refused(i32),
}

/// Asks the kernel: activates the area, reads its counts, and switches it off again.
pub(crate) fn swapon(path: &Path, page_size: u64) -> Answer {
    let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok();
    if let Some(log) = &mut log {
        let _ = log.seek(SeekFrom::End(0));
    }
    let active = match Active::new(path) {
        Ok(active) => active,
        Err(errno) => return Answer::Refused(errno),
    };
    let real = path.canonicalize().expect("an active area has a name").display().to_string().replace(' ', "\\040");
    let swaps = swaps();
    let line = swaps.lines().find(|line| line.split_whitespace().next() == Some(&real)).unwrap_or("");
    let kib: u64 = line.split_whitespace().nth(2).and_then(|size| size.parse().ok()).expect("a size in /proc/swaps");
    let extents = log.and_then(|log| logged_extents(log, &path.display().to_string()));
    drop(active);
    Answer::Accepted { pages: kib * 1024 / page_size, extents }
}

/// The table of active areas, in one reading: between two, an area that is switched off hides the one after it.
pub(crate) fn swaps() -> String {
    let mut table = vec![0; 64 << 10];
    let length = std::fs::File::open("/proc/swaps").and_then(|mut file| file.read(&mut table)).expect("/proc/swaps");
    String::from_utf8_lossy(&table[..length]).into_owned()
}

/// An area that is switched off when dropped.
pub(crate) struct Active(CString);

impl Active {
    /// Switches an area on; the errno if the kernel refuses.
    pub(crate) fn new(path: &Path) -> Result<Self, i32> {
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path without a zero byte");
        // SAFETY: swapon reads the path, a C string that lives until the call returns, and keeps nothing of it.
        match unsafe { libc::swapon(name.as_ptr(), 0) } {
            0 => Ok(Self(name)),
            _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // SAFETY: swapoff reads the path, a C string that lives until the call returns.
        let status = unsafe { libc::swapoff(self.0.as_ptr()) };
        if status != 0 && !std::thread::panicking() {
            panic!("swapoff {:?}: {}", self.0, std::io::Error::last_os_error());
        }
    }
}

/// The number after `extents:` in the kernel's line about this path.
fn logged_extents(mut log: std::fs::File, path: &str) -> Option<u32> {
    let (mut record, mut found) = ([0u8; 8192], None);
    // One record a read; the log of a busy machine is bounded by this loop all the same.
    for _ in 0..10_000 {
        match log.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                if text.contains(&format!(" swap on {path}.")) {
                    let count = text.split("extents:").nth(1).and_then(|rest| rest.split(' ').next());
                    found = count.and_then(|count| count.parse().ok());
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => (),
            Err(_) => break,
        }
    }
    found
}
