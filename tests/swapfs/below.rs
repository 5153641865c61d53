//! A file that fails where it is told to, for an image to lie on: served by this process, so that the errors are the
//! kernel's own by the time that swap sees them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, Session,
    SessionACL, WriteFlags,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

const FILE: INodeNo = INodeNo(2);
const NOWHERE: u64 = u64::MAX;
const PAGE: u64 = 4096;
/// With requests that nobody lets go.
const PATIENCE: Duration = Duration::from_secs(20);

/// What fails, set while it is served.
pub(crate) struct Faults {
    /// Reads of this byte fail.
    pub(crate) read: AtomicU64,
    /// So many writes fail.
    pub(crate) writes: AtomicU32,
    /// One request in so many fails; 0: none.
    pub(crate) every: AtomicU32,
    /// Milliseconds that each request takes.
    pub(crate) delay: AtomicU64,
    /// Requests wait, for as long as this is set; not for ever.
    pub(crate) is_held: AtomicBool,
    /// Requests that have waited for as long as they had to.
    pub(crate) answered: AtomicU32,
    served: AtomicU32,
    /// Requests that failed.
    pub(crate) failed: AtomicU32,
    /// Where the last write began.
    pub(crate) written: AtomicU64,
}

/// The mount, undone when it is dropped.
pub(crate) struct Below {
    pub(crate) faults: Arc<Faults>,
    target: PathBuf,
    session: Option<BackgroundSession>,
    _folder: TempDir,
}

impl Below {
    /// Puts a file of its own below a file that is there: a symlink in its place leads through this process.
    pub(crate) fn under(image: &Path) -> Self {
        let moved = image.with_file_name("moved");
        fs::rename(image, &moved).expect("moved");
        let faults = Arc::new(Faults {
            read: AtomicU64::new(NOWHERE),
            writes: AtomicU32::new(0),
            every: AtomicU32::new(0),
            delay: AtomicU64::new(0),
            is_held: AtomicBool::new(false),
            answered: AtomicU32::new(0),
            served: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            written: AtomicU64::new(0),
        });
        let file = File::options().read(true).write(true).open(&moved).expect("the image");
        let size = file.metadata().expect("its size").len();
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().canonicalize().expect("a path");
        let channel = OwnedFd::from(File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse"));
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", channel.as_raw_fd());
        let data = std::ffi::CString::new(data).expect("no zero");
        mount("below", &target, "fuse.below", MountFlags::NOSUID | MountFlags::NODEV, data.as_c_str()).expect("mount");
        let mut config = Config::default();
        config.n_threads = Some(8);
        let served = Served { file, size, faults: Arc::clone(&faults) };
        let session = Session::from_fd(served, channel, SessionACL::Owner, config).expect("a session");
        let session = Some(session.spawn().expect("a thread"));
        std::os::unix::fs::symlink(target.join("image"), image).expect("a symlink");
        Self { faults, target, session, _folder: folder }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        // Whoever used it is gone, or a loop device goes in a moment.
        for _ in 0..100 {
            if unmount(&self.target, UnmountFlags::NOFOLLOW).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = unmount(&self.target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        drop(self.session.take());
    }
}

struct Served {
    file: File,
    size: u64,
    faults: Arc<Faults>,
}

impl Served {
    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let (kind, perm, size) =
            if ino == FILE { (FileType::RegularFile, 0o600, self.size) } else { (FileType::Directory, 0o755, PAGE) };
        FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// Takes its time, and says whether it is a request that fails.
    fn comes(&self) -> bool {
        let delay = self.faults.delay.load(SeqCst);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
        let end = Instant::now() + PATIENCE;
        while self.faults.is_held.load(SeqCst) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.faults.answered.fetch_add(1, SeqCst);
        let every = self.faults.every.load(SeqCst);
        every > 0 && self.faults.served.fetch_add(1, SeqCst) % every == every - 1
    }

    fn fails(&self, does: bool) -> bool {
        if does {
            self.faults.failed.fetch_add(1, SeqCst);
        }
        does
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "image" {
            reply.entry(&Duration::from_secs(60), &self.attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&Duration::from_secs(60), &self.attributes(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let (size, bad) = (u64::from(size).min(self.size.saturating_sub(offset)), self.faults.read.load(SeqCst));
        let fails = self.comes();
        if self.fails(fails || bad != NOWHERE && (offset..offset + size).contains(&bad)) {
            return reply.error(Errno::EIO);
        }
        let mut buffer = vec![0; usize::try_from(size).expect("a request")];
        match self.file.read_exact_at(&mut buffer, offset) {
            Ok(()) => reply.data(&buffer),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let one_less = |left: u32| left.checked_sub(1);
        let fails = self.comes();
        if self.fails(fails || self.faults.writes.fetch_update(SeqCst, SeqCst, one_less).is_ok()) {
            return reply.error(Errno::EIO);
        }
        self.faults.written.store(offset, SeqCst);
        match self.file.write_all_at(data, offset) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("a request")),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }
}
