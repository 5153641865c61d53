//! The filesystem as FUSE asks for it: a folder with one file of fixed size, whose blocks never move.
//!
//! With the default [`Habits`] it can die while its file is swapped to: `OPEN` is answered with `ENOSYS`, after which
//! the kernel opens files without asking, and what was told of names and attributes does not expire. So swapoff(2) by
//! path needs no answer of anybody. Nobody tells then that it happened: the first ordinary write does, see
//! `connection`.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use swap_dio::fuse::Init;
use swap_dio::fuse::adapter::{Bounce, Opening, SwapFiles};
use swap_dio::{ByteRange, Bytes, FileExtent};

use crate::backing::Backing;
use crate::posture::Crew;
use crate::superblock::{BLOCK, BLOCK_BYTES, Layout};

/// The name of the only file.
pub(crate) const NAME: &str = "swapfile";
/// The most that one request moves.
const LARGEST: usize = 1 << 20;
/// Of a buffer: a request, and the blocks that it begins and ends within.
pub(crate) const BUFFER: usize = LARGEST + 2 * BLOCK_BYTES;
/// Its inode.
pub(crate) const INODE: INodeNo = INodeNo(2);

/// How the server answers what the kernel would remember.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Habits {
    /// Answers `OPEN` with `ENOSYS`, and lets nothing expire.
    Survivable,
    /// Answers as most servers do: handles, and a second of validity.
    Ordinary,
    /// As `Ordinary`, and past the page cache: for a loop device.
    Direct,
}

/// What was asked of the server so far.
#[derive(Debug, Default)]
pub(crate) struct Served {
    requests: AtomicU64,
    mappings: AtomicU64,
}

impl Served {
    /// Every request but the mappings.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// `BMAP`s.
    pub(crate) fn mappings(&self) -> u64 {
        self.mappings.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// The server's side of one mounted image.
pub(crate) struct Swapfs {
    layout: Layout,
    backing: Backing,
    bounce: Bounce,
    habits: Habits,
    made: SystemTime,
    served: Arc<Served>,
    crew: Arc<Crew>,
    /// Lookups of the file that the kernel has not forgotten.
    known: AtomicU64,
}

impl Swapfs {
    /// Serves an image from buffers of [`BUFFER`] bytes, one for each thread, so that a request allocates nothing.
    pub(crate) fn new(layout: Layout, backing: Backing, bounce: Bounce, habits: Habits, crew: Arc<Crew>) -> Self {
        let (made, known) = (SystemTime::now(), AtomicU64::new(0));
        Self { layout, backing, bounce, habits, made, served: Arc::default(), crew, known }
    }

    /// The counters, for whoever looks from outside.
    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served)
    }

    fn validity(&self) -> Duration {
        match self.habits {
            // 136 years; the kernel cuts it to what its clock can say.
            Habits::Survivable => Duration::from_secs(u64::from(u32::MAX)),
            Habits::Ordinary | Habits::Direct => Duration::from_secs(1),
        }
    }

    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, perm, nlink, size) = match ino {
            INodeNo::ROOT => (FileType::Directory, 0o755, 2, BLOCK),
            INODE => (FileType::RegularFile, 0o600, 1, self.layout.file()),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            crtime: self.made,
            kind,
            perm,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            // The mount's own: kernels up to 6.12 count a swap file in this and ask in the mount's.
            blksize: BLOCK_BYTES as u32,
            flags: 0,
        })
    }

    /// Bytes that a request of `size` at `offset` has, up to the end of the file.
    fn clip(&self, offset: u64, size: usize) -> Result<usize, Errno> {
        let left = self.layout.file().saturating_sub(offset);
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(size);
        if size <= LARGEST { Ok(size) } else { Err(Errno::EINVAL) }
    }

    /// The bytes of the request within the blocks that it touches.
    fn blocks(offset: u64, size: usize) -> (u64, std::ops::Range<usize>, usize) {
        let first = offset / BLOCK * BLOCK;
        let within = (offset - first) as usize;
        (first, within..within + size, (within + size).next_multiple_of(BLOCK_BYTES))
    }

    fn load(&self, at: u64, blocks: &mut [u8]) -> io::Result<()> {
        self.runs(at, blocks.len(), |place, part| self.backing.read(place, &mut blocks[part]))
    }

    fn store(&self, at: u64, blocks: &[u8]) -> io::Result<()> {
        self.runs(at, blocks.len(), |place, part| self.backing.write(place, &blocks[part]))
    }

    /// Calls for each run of the image that holds a part of the file: all of it, or an error.
    fn runs(
        &self,
        mut at: u64,
        length: usize,
        mut each: impl FnMut(u64, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let extent = self.layout.extent_at(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let within = at - extent.logical;
            let rest = usize::try_from(extent.length - within).unwrap_or(usize::MAX);
            let part = rest.min(length - done);
            each(extent.physical + within, done..done + part)?;
            (done, at) = (done + part, at + part as u64);
        }
        Ok(())
    }
}

impl SwapFiles for Swapfs {
    fn extent(&self, ino: u64, range: ByteRange) -> Option<FileExtent> {
        self.served.mappings.fetch_add(1, Ordering::Relaxed);
        let extent = self.layout.extent_at(range.offset.get()).filter(|_| ino == INODE.0)?;
        let [logical, physical, length] = [extent.logical, extent.physical, extent.length].map(Bytes::new);
        Some(FileExtent::written(logical, physical, length))
    }

    fn inode_at(&self, parent: u64, name: &OsStr) -> Option<u64> {
        (parent == INodeNo::ROOT.0 && name == NAME).then_some(INODE.0)
    }

    fn size(&self, ino: u64) -> Option<u64> {
        (ino == INODE.0).then(|| self.layout.file())
    }

    fn opening(&self, ino: u64, _: OpenFlags) -> Opening {
        match self.habits {
            _ if ino != INODE.0 => Opening::Refused(Errno::EISDIR),
            Habits::Survivable => Opening::Stateless,
            Habits::Ordinary | Habits::Direct => Opening::Forwarded,
        }
    }

    fn connection(&self) -> Option<Init> {
        // Of what `init` asks for nothing else bears on it.
        match self.habits {
            Habits::Survivable => Some(Init::empty()),
            Habits::Ordinary | Habits::Direct => None,
        }
    }

    fn is_forgotten(&self, ino: u64) -> bool {
        ino == INODE.0 && self.known.load(Ordering::Acquire) == 0
    }
}

impl fuser::Filesystem for Swapfs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.served.note();
        let largest = LARGEST as u32;
        config.set_max_write(largest).map_err(|limit| io::Error::other(format!("at most {limit} bytes a write")))?;
        // Direct I/O that outlives the inode's lock would prove nothing, see `connection`.
        if self.habits != Habits::Survivable {
            let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        }
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.served.note();
        match self.attributes(INODE) {
            Some(attributes) if parent == INodeNo::ROOT && name == NAME => {
                self.known.fetch_add(1, Ordering::AcqRel);
                reply.entry(&self.validity(), &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.served.note();
        if ino == INODE {
            self.known.fetch_sub(lookups, Ordering::AcqRel);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.served.note();
        self.crew.report_in();
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&self.validity(), &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.served.note();
        let Some(now) = self.attributes(ino) else { return reply.error(Errno::ENOENT) };
        // Size, owner and mode are the format's; times are nobody's business here and stay.
        let keeps = size.is_none_or(|size| size == now.size)
            && mode.is_none_or(|mode| mode & 0o7777 == u32::from(now.perm))
            && uid.is_none_or(|uid| uid == now.uid)
            && gid.is_none_or(|gid| gid == now.gid);
        if keeps { reply.attr(&self.validity(), &now) } else { reply.error(Errno::EPERM) }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.served.note();
        match self.habits {
            // Not asked, see `opening`.
            Habits::Survivable => reply.error(Errno::ENOSYS),
            Habits::Ordinary => reply.opened(FileHandle(1), FopenFlags::FOPEN_KEEP_CACHE),
            Habits::Direct => {
                reply.opened(FileHandle(1), FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES);
            }
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.served.note();
        let size = match self.clip(offset, size as usize) {
            Ok(size) if ino == INODE => size,
            Ok(_) => return reply.error(Errno::EISDIR),
            Err(error) => return reply.error(error),
        };
        let (first, part, length) = Self::blocks(offset, size);
        // Whatever the cause, a page that is not there as a whole is an error, never zeros.
        let Ok(mut buffer) = self.bounce.take() else { return reply.error(Errno::EIO) };
        match self.load(first, &mut buffer[..length]) {
            Ok(()) => reply.data(&buffer[part]),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.served.note();
        match self.clip(offset, data.len()) {
            Ok(size) if ino == INODE && size == data.len() => (),
            Ok(_) => return reply.error(Errno::ENOSPC),
            Err(error) => return reply.error(error),
        }
        let (first, part, length) = Self::blocks(offset, data.len());
        let Ok(mut buffer) = self.bounce.take() else { return reply.error(Errno::EIO) };
        let blocks = &mut buffer[..length];
        let outcome = if part == (0..length) { Ok(()) } else { self.load(first, blocks) };
        blocks[part].copy_from_slice(data);
        match outcome.and_then(|()| self.store(first, blocks)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.served.note();
        // Nothing is kept back here; the kernel does not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.served.note();
        match self.backing.sync() {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.served.note();
        reply.ok();
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.served.note();
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let entries = [
            (INodeNo::ROOT, FileType::Directory, "."),
            (INodeNo::ROOT, FileType::Directory, ".."),
            (INODE, FileType::RegularFile, NAME),
        ];
        for (next, (ino, kind, name)) in (1..).zip(entries).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.served.note();
        let block = BLOCK_BYTES as u32;
        reply.statfs(self.layout.image() / BLOCK, 0, 0, 2, 0, block, 255, block);
    }
}
