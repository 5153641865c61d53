//! A filesystem of a few files with extents that are given, in memory or on a device. It lets everything happen that
//! the guard lets through, and counts it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use fuser::{
    CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use swap_dio::fuse::Init;
use swap_dio::fuse::adapter::{Bounce, Opening, SwapFiles};
use swap_dio::{ByteRange, Bytes, FileExtent};

use super::allocations;

pub(crate) const ROOT: u64 = 1;
/// What `CREATE` makes, by any name that is not there.
pub(crate) const MADE: u64 = 99;
/// The most bytes that a request moves.
const LARGEST: usize = 128 << 10;
/// As long as the mount lives.
const ALWAYS: Duration = Duration::from_secs(1 << 20);

/// One file, `swapfile` and its number; number 2 is the first.
pub(crate) struct TinyFile {
    pub(crate) size: u64,
    pub(crate) extents: Vec<FileExtent>,
}

impl TinyFile {
    /// Runs of (device offset, length), one after the other in the file.
    pub(crate) fn new(runs: &[(u64, u64)]) -> Self {
        let mut size = 0;
        let mut extents = Vec::new();
        for (physical, length) in runs {
            extents.push(FileExtent::written(Bytes::new(size), Bytes::new(*physical), Bytes::new(*length)));
            size += length;
        }
        Self { size, extents }
    }
}

/// What the test sets while the session runs.
#[derive(Default)]
pub(crate) struct Knobs {
    /// Requests that the guard let through and that change a file.
    pub(crate) passed: AtomicU64,
    /// A file that the kernel has forgotten.
    pub(crate) forgotten: AtomicU64,
    /// A file whose `open` fails, though `opening` does not say so.
    pub(crate) fails: AtomicU64,
    /// A file that `opening` refuses with this errno.
    pub(crate) refuses: AtomicU64,
    /// Whether `OPEN` is answered `ENOSYS`.
    pub(crate) stateless: AtomicU64,
    /// Whether the filesystem tells what `INIT` agreed on: 1 nothing, 2 asynchronous direct I/O.
    pub(crate) connection: AtomicU64,
    /// 1 lets the next `is_forgotten` wait, which makes it 2 until somebody makes it 0.
    pub(crate) stalled: AtomicU64,
    /// Whether `STATFS` begins to count the allocations of its thread (1), or allocates (2).
    pub(crate) watched: AtomicU64,
    /// Whether there is a file [`MADE`].
    made: AtomicU64,
}

pub(crate) struct Tiny {
    pub(crate) files: Vec<TinyFile>,
    pub(crate) device: Option<File>,
    bounce: Bounce,
    pub(crate) knobs: Arc<Knobs>,
}

impl Tiny {
    pub(crate) fn new(files: Vec<TinyFile>) -> (Self, Arc<Knobs>) {
        let knobs = Arc::new(Knobs::default());
        let bounce = Bounce::new(4, LARGEST).expect("locked memory");
        (Self { files, device: None, bounce, knobs: Arc::clone(&knobs) }, knobs)
    }

    fn file(&self, ino: u64) -> Option<&TinyFile> {
        // Whatever was made has a place of its own, after the others.
        let at =
            if ino == MADE { self.files.len().checked_sub(1)? } else { usize::try_from(ino.checked_sub(2)?).ok()? };
        self.files.get(at)
    }

    fn attributes(&self, ino: u64) -> Option<FileAttr> {
        let (kind, perm, size) = match self.file(ino) {
            _ if ino == ROOT => (FileType::Directory, 0o755, 0),
            file => (FileType::RegularFile, 0o600, file?.size),
        };
        let time = SystemTime::UNIX_EPOCH;
        Some(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size / 512,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn pass(&self) {
        self.knobs.passed.fetch_add(1, SeqCst);
    }

    /// Where a byte of a file lies, and how many follow it there.
    fn place(&self, ino: u64, offset: u64) -> Option<(u64, u64)> {
        let extent = self.extent(ino, ByteRange::new(Bytes::new(offset), Bytes::new(1)))?;
        let within = offset - extent.logical.get();
        Some((extent.physical?.get() + within, extent.length.get() - within))
    }

    /// Calls `io` with device offset and part of `data`, run by run.
    fn each_run(&self, ino: u64, offset: u64, length: usize, mut io: impl FnMut(u64, std::ops::Range<usize>)) -> usize {
        let mut done = 0;
        while done < length {
            let Some((at, left)) = self.place(ino, offset + done as u64) else { break };
            let part = (length - done).min(usize::try_from(left).unwrap_or(usize::MAX));
            io(at, done..done + part);
            done += part;
        }
        done
    }
}

impl SwapFiles for Tiny {
    fn extent(&self, ino: u64, range: ByteRange) -> Option<FileExtent> {
        let covers = |extent: &&FileExtent| {
            extent.logical <= range.offset && range.offset.get() < extent.logical.get() + extent.length.get()
        };
        self.file(ino)?.extents.iter().find(covers).copied()
    }

    fn inode_at(&self, parent: u64, name: &OsStr) -> Option<u64> {
        if parent != ROOT {
            return None;
        }
        match name.to_str()?.strip_prefix("swapfile") {
            Some(number) => number.parse().ok().filter(|ino| self.file(*ino).is_some()),
            None => (name == "made" && self.knobs.made.load(SeqCst) == 1).then_some(MADE),
        }
    }

    fn size(&self, ino: u64) -> Option<u64> {
        self.file(ino).map(|file| file.size)
    }

    fn opening(&self, ino: u64, _flags: OpenFlags) -> Opening {
        if self.knobs.stateless.load(SeqCst) == 1 {
            return Opening::Stateless;
        }
        if self.knobs.refuses.load(SeqCst) == ino { Opening::Refused(Errno::EACCES) } else { Opening::Forwarded }
    }

    fn connection(&self) -> Option<Init> {
        match self.knobs.connection.load(SeqCst) {
            1 => Some(Init::empty()),
            2 => Some(Init::ASYNC_DIO),
            _ => None,
        }
    }

    fn is_forgotten(&self, ino: u64) -> bool {
        if self.knobs.stalled.load(SeqCst) == 1 {
            self.knobs.stalled.store(2, SeqCst);
            while self.knobs.stalled.load(SeqCst) == 2 {
                std::thread::yield_now();
            }
        }
        self.knobs.forgotten.load(SeqCst) == ino
    }
}

impl Filesystem for Tiny {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.inode_at(parent.0, name).and_then(|ino| self.attributes(ino));
        match found {
            Some(attributes) => reply.entry(&ALWAYS, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino.0) {
            Some(attributes) => reply.attr(&ALWAYS, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.pass();
        match self.attributes(ino.0) {
            Some(attributes) => reply.attr(&ALWAYS, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn unlink(&self, _: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        self.pass();
        reply.ok();
    }

    fn rename(
        &self,
        _: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _newparent: INodeNo,
        _newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.pass();
        reply.ok();
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if self.knobs.fails.load(SeqCst) == ino.0 {
            return reply.error(Errno::EIO);
        }
        if swap_dio::fuse::adapter::truncates(flags) {
            self.pass();
        }
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn create(
        &self,
        _: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        self.knobs.made.store(1, SeqCst);
        self.pass();
        let attributes = self.attributes(MADE).expect("there is a file");
        reply.created(&ALWAYS, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        // A request may ask for more than any message holds.
        let Ok(mut buffer) = self.bounce.take() else { return reply.error(Errno::EIO) };
        let data = &mut buffer[..(size as usize).min(LARGEST)];
        let Some(device) = &self.device else { return reply.data(data) };
        let done = self.each_run(ino.0, offset, data.len(), |at, part| {
            device.read_exact_at(&mut data[part], at).expect("the device is there");
        });
        reply.data(&data[..done]);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.pass();
        let Ok(mut buffer) = self.bounce.take() else { return reply.error(Errno::EIO) };
        let buffer = &mut buffer[..data.len()];
        buffer.copy_from_slice(data);
        let data = buffer;
        let done = self.each_run(ino.0, offset, data.len(), |at, part| {
            if let Some(device) = &self.device {
                device.write_all_at(&data[part], at).expect("the device is there");
            }
        });
        if done == 0 { reply.error(Errno::ENOSPC) } else { reply.written(done as u32) }
    }

    fn fsync(&self, _: &Request, _ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let synced = self.device.as_ref().map_or(Ok(()), File::sync_data);
        if synced.is_ok() { reply.ok() } else { reply.error(Errno::EIO) }
    }

    fn flush(&self, _: &Request, _ino: INodeNo, _fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        self.pass();
        reply.ok();
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _ino_in: INodeNo,
        _fh_in: FileHandle,
        _offset_in: u64,
        _ino_out: INodeNo,
        _fh_out: FileHandle,
        _offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        self.pass();
        reply.written(len as u32);
    }

    fn statfs(&self, _: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        match self.knobs.watched.load(SeqCst) {
            // The thread that answers is the session's.
            1 => allocations::watch(),
            2 => drop(std::hint::black_box(Box::new(7))),
            _ => (),
        }
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }
}
