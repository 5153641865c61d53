//! An image, mounted and served by threads of this process; both ways that swap can go.
//!
//! - `bmap`: `fuseblk` of a block device. swapon asks where the blocks lie and then swaps to the device.
//! - `loop`: plain `fuse`, and a loop device over the file: every page comes here.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fuser::{BackgroundSession, Config, Session, SessionACL};
use rustix::fs::{AtFlags, StatxFlags};
use rustix::mount::{MountFlags, mount};
use swap_dio::fuse::adapter::fuseblk::MountError;
use swap_dio::fuse::adapter::{Bounce, SwapGuard, fuseblk};
use swap_dio::linux::reclaim::Worker;
use swap_dio::linux::swap_file::{OpenError, Risks, Serving, SwapFile};
use swap_dio::reason::{Reason, ServedFault};
use swap_dio::topology::{Consumer, Override};

use crate::area;
use crate::backing::Backing;
use crate::filesystem::{Habits, NAME, Served, Swapfs};
use crate::image::Image;
use crate::loop_device::{LoopDevice, open_direct};
use crate::posture::Crew;
use crate::quote;
use crate::say::say;
use crate::superblock::{BLOCK_BYTES, Layout, is_ours};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Which way swap goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// fuseblk: the kernel maps the file once and swaps to the device
    Bmap,
    /// fuse, and a loop device over the file: every page is served by the program
    Loop,
}

impl Mode {
    /// Threads that serve.
    pub(crate) const fn threads(self) -> usize {
        match self {
            Self::Bmap => 1,
            Self::Loop => LOOP_THREADS,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bmap => "bmap",
            Self::Loop => "loop",
        })
    }
}

/// A mounted image. Everything is undone when it is dropped, unless swap is on: that is left, and served no more.
pub(crate) struct Mounted {
    /// What swapon is given: the file, or the loop device over it.
    pub(crate) area: PathBuf,
    pub(crate) served: Arc<Served>,
    pub(crate) layout: Layout,
    /// Loop mode: given back before the mount, which it keeps busy.
    over: Option<LoopDevice>,
    mount: fuseblk::Mount,
    mode: Mode,
    /// Whether it was detached and mounted a second time.
    again: bool,
    session: Option<BackgroundSession>,
    /// The device of an image that is a file, and the image with its lock: last.
    under: Option<LoopDevice>,
    path: PathBuf,
    _image: Option<Image>,
    /// What reads and writes the image in mode `loop`.
    engine: Option<Arc<SwapFile>>,
    /// What each thread that serves found in itself.
    pub(crate) workers: Vec<Worker>,
}

/// Has each thread that serves check itself: as many questions at a time as there are threads.
fn call(crew: &Crew, mount: &Path) -> Result<Vec<Worker>> {
    let ask = || rustix::fs::statx(rustix::fs::CWD, mount, AtFlags::STATX_FORCE_SYNC, StatxFlags::SIZE);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..crew.size()).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join()).all(|answer| matches!(answer, Ok(Ok(_))))
    })
    .then(|| crew.take())
    .filter(|workers| workers.len() == crew.size())
    .ok_or_else(|| "a thread that serves did not check itself in time".into())
}

impl Mounted {
    /// Checks the image, mounts it on `folder` and serves it from now on.
    ///
    /// In mode `loop` for as far as `accepted` goes. `pool` has a buffer for each thread.
    pub(crate) fn new(
        image: Image,
        folder: &Path,
        mode: Mode,
        habits: Habits,
        accepted: Override,
        pool: Bounce,
    ) -> Result<Self> {
        let layout = image.layout()?;
        let under = match mode {
            Mode::Bmap if !image.is_device => Some(LoopDevice::attach(image.file.as_fd())?),
            Mode::Bmap | Mode::Loop => None,
        };
        let path = image.path.clone();
        let device = under.as_ref().map_or(&path, |under| &under.path);
        let (backing, image, engine) = match mode {
            Mode::Bmap => (Backing::Device(open_direct(device)?), Some(image), None),
            Mode::Loop => {
                // The engine wants it for itself, and has locks of its own.
                drop(image);
                let engine = Arc::new(engine(&path, accepted)?);
                (Backing::Engine(Arc::clone(&engine)), None, Some(engine))
            }
        };
        let habits = if mode == Mode::Loop { Habits::Direct } else { habits };
        let crew = Arc::new(Crew::new(mode.threads()));
        let filesystem = Swapfs::new(layout.clone(), backing, pool, habits, Arc::clone(&crew));
        let served = filesystem.served();
        let guard = SwapGuard::new(filesystem, 1);
        let (mount, channel) = match mode {
            Mode::Bmap => fuseblk::mount(device, folder, &options())?,
            Mode::Loop => mount_plain(&path, folder)?,
        };
        let mut config = Config::default();
        config.n_threads = Some(mode.threads());
        let session = Session::from_fd(guard, channel, SessionACL::Owner, config)?.spawn()?;
        let file = mount.target().join(NAME);
        let mut mounted = Self {
            area: file,
            served,
            layout,
            over: None,
            mount,
            mode,
            again: false,
            session: Some(session),
            under,
            path,
            _image: image,
            engine,
            workers: Vec::new(),
        };
        mounted.workers = call(&crew, mounted.mount.target())?;
        if mode == Mode::Loop {
            // Our own handle of the file is closed at once: a program that is killed with a file of its own mount open
            // would wait for itself.
            let file = File::options().read(true).write(true).open(&mounted.area)?;
            let over = LoopDevice::attach(file.as_fd())?;
            mounted.area.clone_from(&over.path);
            mounted.over = Some(over);
        }
        Ok(mounted)
    }

    /// What was accepted by name, and without which it would not be served.
    pub(crate) fn depends_on(&self) -> Override {
        self.engine.as_ref().map_or(Override::empty(), |engine| engine.depends_on())
    }

    /// Looks whether the image is what it was; whoever opened it in passing is kept out again.
    pub(crate) fn look(&self) -> std::result::Result<(), Reason> {
        self.engine.as_ref().map_or(Ok(()), |engine| engine.revalidate())
    }

    /// What should be known of the loop devices: one that goes through the page cache swaps into memory.
    pub(crate) fn buffered(&self) -> Option<&Path> {
        let devices = [self.over.as_ref(), self.under.as_ref()];
        devices.into_iter().flatten().find(|device| !device.is_direct()).map(|device| device.path.as_path())
    }

    /// Whether nobody asks anything any more: unmounted from outside, or the connection was aborted.
    pub(crate) fn has_ended(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.guard.is_finished())
    }

    /// Unmounts if nothing is in use; the kernel decides. While this fails, everything goes on being served.
    ///
    /// In a mount namespace that was cloned meanwhile it stays mounted, where nothing tells of its use but swap.
    pub(crate) fn try_unmount(&mut self) -> Result<()> {
        if self.over.is_some() {
            if area::is_active(&self.area)? {
                return Err(active(&self.area).into());
            }
            // The loop device goes with its last user, which may be a swapon that came just now: then umount is
            // refused.
            self.over = None;
        }
        // Swap has the detached mount, so that the kernel finds this one idle and has no name in /proc/swaps for it.
        if self.again && area::refuses_writing(&self.area)? {
            return Err(active(&self.area).into());
        }
        self.mount.unmount().map_err(|error| match (&error, area::is_active(&self.area)) {
            // Until then no path leads to the area either.
            (MountError::Covered { .. }, _) | (_, Ok(false)) => error.to_string(),
            (_, Ok(true) | Err(_)) => active(&self.area),
        })?;
        // The last request comes at once, unless the mount was only detached and something still uses what was there.
        for _ in 0..20 {
            if self.has_ended() {
                return self.join();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.look_for_swap()?;
        // An open file, or a mount namespace that was cloned meanwhile: they lose nothing that was swapped out.
        self.session = None;
        say("it is still in use somewhere, though not by swap, and is served no more");
        Ok(())
    }

    /// Whether a filesystem that is still in use is used by swap. Over a loop device it is not, which was asked by its
    /// name. Else it gets a place again, to be asked, and for swapoff to have a path: to mount its device once more is
    /// to mount the same filesystem, and the channel of the second mount is never used.
    fn look_for_swap(&mut self) -> Result<()> {
        if self.mode == Mode::Loop {
            return Ok(());
        }
        let device = self.under.as_ref().map_or(&self.path, |under| &under.path);
        let (again, _unused) = fuseblk::mount(device, self.mount.target(), &options())?;
        self.mount = again;
        self.again = true;
        if area::refuses_writing(&self.area)? {
            return Err("the mount point was gone while swap is on: it is mounted again".into());
        }
        Ok(self.mount.unmount()?)
    }

    /// Whether the last request was the last of an unmount. With `umount -f` it is not: the connection is aborted, and
    /// what is mounted answers nothing any more.
    ///
    /// # Errors
    /// What to run now.
    pub(crate) fn check_end(&self) -> Result<()> {
        let (area, target) = (quote::path(&self.area), quote::path(self.mount.target()));
        match (self.mount.is_mounted(), area::is_active(&self.area)?) {
            (false, false) => Ok(()),
            (_, true) => {
                Err(format!("the connection was aborted while swap is on: run swapoff {area}; umount {target}").into())
            }
            (true, false) => Err(format!("the connection was aborted: run umount {target}").into()),
        }
    }

    /// The end, after it was unmounted.
    pub(crate) fn join(&mut self) -> Result<()> {
        match self.session.take() {
            Some(session) => Ok(session.join()?),
            None => Ok(()),
        }
    }

    /// Unmounts, and waits a little for whoever still closes a file.
    pub(crate) fn unmount(mut self) -> Result<()> {
        for _ in 0..100 {
            if self.try_unmount().is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.try_unmount()
    }
}

fn active(area: &Path) -> String {
    format!("swap is on: run swapoff {} first", quote::path(area))
}

/// Opens an image for its pages to be served to this kernel.
fn engine(path: &Path, accepted: Override) -> Result<SwapFile> {
    let serving = Serving::new(Consumer::SameKernel).accepting_below(accepted);
    let named = |why: &dyn fmt::Display| format!("{}: {why}", quote::path(path));
    match SwapFile::open(path, &serving) {
        Err(OpenError::Refused { why: why @ Reason::Served(ServedFault::BufferedLoop) }) => {
            // It costs memory, which whoever accepts a loop device over FUSE has been told of.
            say(format_args!(
                "{} -> {}",
                named(&why),
                why.remedy().unwrap_or_default().replace("FILE", &quote::path(path))
            ));
            SwapFile::open(path, &serving.accepting(Risks::BUFFERED_LOOP))
        }
        answer => answer,
    }
    .map_err(|error| named(&error).into())
}

/// A mount without a device.
fn mount_plain(source: &Path, target: &Path) -> Result<(fuseblk::Mount, OwnedFd)> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let target = target.canonicalize().map_err(|error| at(target, error))?;
    let fuse = Path::new("/dev/fuse");
    let channel = OwnedFd::from(File::options().read(true).write(true).open(fuse).map_err(|error| at(fuse, error))?);
    let fd = channel.as_raw_fd();
    let data = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,default_permissions");
    let data = std::ffi::CString::new(data)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount(source, &target, "fuse.swapfs", flags, data.as_c_str()).map_err(|error| at(&target, error.into()))?;
    Ok((fuseblk::Mount::at(&target)?, channel))
}

fn options() -> fuseblk::Options {
    fuseblk::Options { own: Some(is_our_device), ..fuseblk::Options::default() }
}

fn is_our_device(device: &File) -> io::Result<bool> {
    let mut start = [0; BLOCK_BYTES];
    device.read_exact_at(&mut start, 0)?;
    Ok(is_ours(&start))
}

const LOOP_THREADS: usize = 4;
