//! A filesystem that writes down what it is called with, and answers every request with an errno of its own.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, INodeNo, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek,
    ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use swap_dio::fuse::adapter::SwapFiles;
use swap_dio::{ByteRange, FileExtent};

/// Shared with the test.
pub(crate) type Calls = Arc<Mutex<Vec<String>>>;

/// No files, no answers but this errno.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Calls);

pub(crate) const ANSWER: i32 = 77;

impl Recorder {
    fn say(&self, call: String) {
        self.0.lock().expect("nobody panics with it").push(call);
    }
}

macro_rules! record {
    ($($name:ident($($argument:ident: $kind:ty),*) $reply:ty;)*) => {$(
        fn $name(&self, request: &Request, $($argument: $kind,)* reply: $reply) {
            let mut call = format!("{} by {}", stringify!($name), request.pid());
            $(call.push_str(&format!(" {}={:?}", stringify!($argument), $argument));)*
            self.say(call);
            reply.error(Errno::from_i32(ANSWER));
        }
    )*};
}

impl Filesystem for Recorder {
    fn init(&mut self, request: &Request, _config: &mut KernelConfig) -> io::Result<()> {
        self.say(format!("init by {}", request.pid()));
        Ok(())
    }

    fn destroy(&mut self) {
        self.say("destroy".to_owned());
    }

    fn forget(&self, request: &Request, ino: INodeNo, nlookup: u64) {
        self.say(format!("forget by {} {ino:?} {nlookup}", request.pid()));
    }

    record! {
        lookup(parent: INodeNo, name: &OsStr) ReplyEntry;
        getattr(ino: INodeNo, fh: Option<FileHandle>) ReplyAttr;
        setattr(
            ino: INodeNo, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>, size: Option<u64>,
            atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>, ctime: Option<SystemTime>, fh: Option<FileHandle>,
            crtime: Option<SystemTime>, chgtime: Option<SystemTime>, bkuptime: Option<SystemTime>,
            flags: Option<BsdFileFlags>
        ) ReplyAttr;
        readlink(ino: INodeNo) ReplyData;
        mknod(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32) ReplyEntry;
        mkdir(parent: INodeNo, name: &OsStr, mode: u32, umask: u32) ReplyEntry;
        unlink(parent: INodeNo, name: &OsStr) ReplyEmpty;
        rmdir(parent: INodeNo, name: &OsStr) ReplyEmpty;
        symlink(parent: INodeNo, link_name: &OsStr, target: &Path) ReplyEntry;
        rename(
            parent: INodeNo, name: &OsStr, newparent: INodeNo, newname: &OsStr, flags: RenameFlags
        ) ReplyEmpty;
        link(ino: INodeNo, newparent: INodeNo, newname: &OsStr) ReplyEntry;
        open(ino: INodeNo, flags: OpenFlags) ReplyOpen;
        read(
            ino: INodeNo, fh: FileHandle, offset: u64, size: u32, flags: OpenFlags, lock_owner: Option<LockOwner>
        ) ReplyData;
        write(
            ino: INodeNo, fh: FileHandle, offset: u64, data: &[u8], write_flags: WriteFlags, flags: OpenFlags,
            lock_owner: Option<LockOwner>
        ) ReplyWrite;
        flush(ino: INodeNo, fh: FileHandle, lock_owner: LockOwner) ReplyEmpty;
        release(
            ino: INodeNo, fh: FileHandle, flags: OpenFlags, lock_owner: Option<LockOwner>, flush: bool
        ) ReplyEmpty;
        fsync(ino: INodeNo, fh: FileHandle, datasync: bool) ReplyEmpty;
        opendir(ino: INodeNo, flags: OpenFlags) ReplyOpen;
        readdir(ino: INodeNo, fh: FileHandle, offset: u64) ReplyDirectory;
        readdirplus(ino: INodeNo, fh: FileHandle, offset: u64) ReplyDirectoryPlus;
        releasedir(ino: INodeNo, fh: FileHandle, flags: OpenFlags) ReplyEmpty;
        fsyncdir(ino: INodeNo, fh: FileHandle, datasync: bool) ReplyEmpty;
        statfs(ino: INodeNo) ReplyStatfs;
        setxattr(ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, position: u32) ReplyEmpty;
        getxattr(ino: INodeNo, name: &OsStr, size: u32) ReplyXattr;
        listxattr(ino: INodeNo, size: u32) ReplyXattr;
        removexattr(ino: INodeNo, name: &OsStr) ReplyEmpty;
        access(ino: INodeNo, mask: AccessFlags) ReplyEmpty;
        create(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32) ReplyCreate;
        getlk(
            ino: INodeNo, fh: FileHandle, lock_owner: LockOwner, start: u64, end: u64, typ: i32, pid: u32
        ) ReplyLock;
        setlk(
            ino: INodeNo, fh: FileHandle, lock_owner: LockOwner, start: u64, end: u64, typ: i32, pid: u32, sleep: bool
        ) ReplyEmpty;
        bmap(ino: INodeNo, blocksize: u32, idx: u64) ReplyBmap;
        ioctl(ino: INodeNo, fh: FileHandle, flags: IoctlFlags, cmd: u32, in_data: &[u8], out_size: u32) ReplyIoctl;
        fallocate(ino: INodeNo, fh: FileHandle, offset: u64, length: u64, mode: i32) ReplyEmpty;
        lseek(ino: INodeNo, fh: FileHandle, offset: i64, whence: i32) ReplyLseek;
        copy_file_range(
            ino_in: INodeNo, fh_in: FileHandle, offset_in: u64, ino_out: INodeNo, fh_out: FileHandle, offset_out: u64,
            len: u64, flags: CopyFileRangeFlags
        ) ReplyWrite;
    }

    fn poll(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        ph: PollNotifier,
        events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        self.say(format!("poll by {} {ino:?} {fh:?} {:?} {events:?} {flags:?}", request.pid(), ph.handle()));
        reply.error(Errno::from_i32(ANSWER));
    }
}

impl SwapFiles for Recorder {
    fn extent(&self, _ino: u64, _range: ByteRange) -> Option<FileExtent> {
        None
    }

    fn inode_at(&self, _parent: u64, _name: &OsStr) -> Option<u64> {
        None
    }
}
