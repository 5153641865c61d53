//! A running `swapfs serve`, with everything that it leaves undone when it is dropped, on failure too.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::area::{Area, is_active, write_header};
use crate::built;
use crate::cgroup::Cgroup;
use crate::machine::sh;
use crate::pressure::Pressure;

pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built::example("swapfs", &["--features", "fuser"]))
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new("timeout").arg("60").arg(program()).args(arguments).args(paths).output().expect("swapfs runs")
}

/// The one line of a refusal.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    text
}

/// One test at a time, of all programs of these tests: areas of one priority share what is swapped out, and each test
/// breaks its own.
pub(crate) fn alone() -> Alone {
    alone_for(Duration::from_secs(300))
}

/// The same for a test that may take so long.
pub(crate) fn alone_for(limit: Duration) -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    let here = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A folder that is always there: nothing is left of the lock.
    let folder = File::open("/var/tmp").expect("/var/tmp");
    let end = Instant::now() + Duration::from_secs(900);
    while flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
        assert!(Instant::now() < end, "another run of these tests does not end");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (over, ended) = mpsc::channel();
    std::thread::spawn(move || {
        // swapon, swapoff and write wait in the kernel, where nothing else ends them.
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("over the time limit of {limit:?}: this program ends, and what it mounted is left");
            std::process::abort();
        }
    });
    Alone { _over: over, _folder: folder, _here: here }
}

/// A test that is alone, as long as it lives, and not for ever.
pub(crate) struct Alone {
    _over: mpsc::Sender<()>,
    _folder: File,
    _here: MutexGuard<'static, ()>,
}

pub(crate) const MIB: u64 = 1 << 20;
/// Of the process under pressure, of its cgroup, and of the swapfile.
pub(crate) const WORKING_SET: u64 = 96;
pub(crate) const LIMIT: u64 = 32;
pub(crate) const AREA: u64 = 128;
/// The same where the cgroup has the server too, of which some 90 MiB stay in memory.
pub(crate) const WORKING_SET_OF_BOTH: u64 = 144;
pub(crate) const LIMIT_OF_BOTH: u64 = 120;
pub(crate) const AREA_OF_BOTH: u64 = 192;
/// For one pass over the working set, on a slow disk that is busy.
pub(crate) const STEP: Duration = Duration::from_secs(60);

pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) area: PathBuf,
    pub(crate) image: PathBuf,
    pub(crate) dir: PathBuf,
    said: PathBuf,
    /// MiB of its swapfile.
    mib: u64,
    folder: Option<TempDir>,
}

impl Daemon {
    /// Makes an image in a file and serves it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        // Not in memory: what is swapped out shall go to a disk.
        Self::serve(folder_with_image(Path::new("/var/tmp"), AREA), arguments)
    }

    /// Serves an image that is there.
    pub(crate) fn serve(folder: TempDir, arguments: &[&str]) -> Self {
        Self::serve_of(folder, AREA, arguments)
    }

    /// The same of an image with so many MiB.
    pub(crate) fn serve_of(folder: TempDir, mib: u64, arguments: &[&str]) -> Self {
        let said = File::create(folder.path().join("said")).expect("a file");
        Self::serve_to(folder, mib, arguments, said.into())
    }

    /// The same in a cgroup, from its beginning.
    pub(crate) fn serve_within(cgroup: &Cgroup, folder: TempDir, mib: u64, arguments: &[&str]) -> Self {
        let said = File::create(folder.path().join("said")).expect("a file");
        Self::spawn(cgroup.command(program()), folder, mib, arguments, said.into())
    }

    /// Outside of any, with whatever as its standard error.
    pub(crate) fn serve_to(folder: TempDir, mib: u64, arguments: &[&str], errors: Stdio) -> Self {
        Self::spawn(Command::new(program()), folder, mib, arguments, errors)
    }

    fn spawn(mut command: Command, folder: TempDir, mib: u64, arguments: &[&str], errors: Stdio) -> Self {
        let [image, dir, out, said] = ["image", "mnt", "out", "said"].map(|name| folder.path().join(name));
        let child = command
            .arg("serve")
            .args([&image, &dir])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file"))
            .stderr(errors)
            .spawn()
            .expect("swapfs");
        let mut daemon = Self { child, area: PathBuf::new(), image, dir, said, mib, folder: Some(folder) };
        let ready = daemon.wait_until(Duration::from_secs(30), |daemon| {
            let text = fs::read_to_string(&out).unwrap_or_default();
            if text.lines().any(|line| line == "ready") {
                daemon.area = text.lines().find_map(|line| line.strip_prefix("area ")).expect("an area").into();
            }
            !daemon.area.as_os_str().is_empty()
        });
        assert!(ready, "never ready: {}", daemon.said());
        daemon
    }

    pub(crate) fn bmap() -> Self {
        Self::start(&["--mode", "bmap"])
    }

    pub(crate) fn over_loop() -> Self {
        Self::start(&LOOP)
    }

    /// Writes a header and activates the area.
    pub(crate) fn swap_on(&self) -> Area {
        write_header(&self.area, self.mib * MIB, [7; 16]).expect("a header");
        Area::activate(&self.area).expect("swapon")
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(process, signal).expect("a signal");
    }

    /// Ends what hangs: the kernel fails every request that the server has not answered, busy or not.
    pub(crate) fn abort(&self) {
        let _ = sh(&format!("umount -f {} 2>/dev/null", self.dir.display()));
    }

    /// Waits for something that comes about by itself.
    pub(crate) fn wait_until(&mut self, limit: Duration, mut come: impl FnMut(&mut Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if come(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        self.wait_until(limit, |daemon| {
            status = daemon.child.try_wait().expect("a status");
            status.is_some()
        });
        status
    }

    /// The folder, for another start; what is still mounted is unmounted.
    pub(crate) fn into_folder(mut self) -> TempDir {
        self.folder.take().expect("a folder")
    }

    /// Loop devices over the image or the file.
    pub(crate) fn loops(folder: &Path) -> String {
        let listed = sh(&format!("losetup -nO NAME,BACK-FILE | grep -F '{}' || true", folder.display()));
        listed.expect("losetup")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Stopped, it would not even die.
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let gone = self.child.try_wait().is_ok_and(|status| status.is_some());
        if let Some(process) = process.filter(|_| !gone) {
            let _ = kill_process(process, Signal::CONT);
        }
        if is_active(&self.area).unwrap_or(false) {
            let _ = sh(&format!("swapoff {}", self.area.display()));
        }
        if !gone {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = sh(&format!("while umount {0} 2>/dev/null; do :; done; ! mountpoint -q {0}", self.dir.display()));
    }
}

/// A folder with an image of so many MiB and a mount point.
pub(crate) fn folder_with_image(parent: &Path, mib: u64) -> TempDir {
    let folder = tempfile::Builder::new().prefix("swapfs-test-").tempdir_in(parent).expect("a folder");
    fs::create_dir(folder.path().join("mnt")).expect("a mount point");
    let (image, size) = (folder.path().join("image"), format!("{mib}M"));
    let made = Command::new(program()).arg("format").arg(&image).args(["--size", &size]).output().expect("format");
    assert!(made.status.success(), "{made:?}");
    folder
}

/// A process that has filled its memory, most of which is swapped out by now.
pub(crate) fn filled() -> Pressure {
    let mut pressure = Pressure::new(program(), WORKING_SET, LIMIT * MIB).expect("a process in a cgroup");
    let outcome = pressure.order("fill", 1, "sequential", STEP).expect("every page is written");
    assert_eq!(outcome.pages, WORKING_SET * 256);
    pressure
}

/// Every page is read, and right.
pub(crate) fn assert_intact(pressure: &mut Pressure, how: &str) {
    let outcome = pressure.order("verify", 1, how, STEP).expect("every page is read");
    assert_eq!((outcome.pages, outcome.wrong), (WORKING_SET * 256, 0), "pages and wrong pages");
}

/// Of a process since it began; `None` of one that is gone.
pub(crate) fn major_faults(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(9)?.parse().ok()
}

/// Kibibytes in use of an area.
pub(crate) fn used(area: &Path) -> io::Result<u64> {
    let swaps = fs::read_to_string("/proc/swaps")?;
    let line = swaps.lines().find(|line| line.split_whitespace().next() == area.to_str());
    let used = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    used.ok_or_else(|| io::Error::other(format!("{} is not active", area.display())))
}

pub(crate) const LOOP: [&str; 4] = ["--mode", "loop", "--accept-risk", "loop-over-fuse,file-backed"];

/// What the environment says, to run a test in full.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What both modes are asked for with.
pub(crate) const MODES: [&[&str]; 2] = [&["--mode", "bmap"], &LOOP];
