//! The kernel's side of FUSE, spoken raw over a SOCK_SEQPACKET pair: needs neither root nor /dev/fuse.
#![allow(unsafe_code)] // one system call that std does not wrap, with its proof

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread::JoinHandle;

use fuser::{Config, Filesystem, Session, SessionACL};

/// Opcodes of `include/uapi/linux/fuse.h`.
pub(crate) mod op {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const GETLK: u32 = 31;
    pub(crate) const SETLK: u32 = 32;
    pub(crate) const ACCESS: u32 = 34;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const BMAP: u32 = 37;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const POLL: u32 = 40;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const COPY_FILE_RANGE: u32 = 47;
}

/// A request's body: numbers and names, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_ne_bytes());
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_ne_bytes());
        self
    }

    pub(crate) fn name(mut self, name: &str) -> Self {
        self.0.extend(name.as_bytes());
        self.0.push(0);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A server at the other end, and what the kernel knows of it.
pub(crate) struct Peer {
    socket: File,
    unique: u64,
    session: Option<JoinHandle<io::Result<()>>>,
}

impl Peer {
    /// Starts a session with one thread, and shakes hands.
    pub(crate) fn start(filesystem: impl Filesystem) -> Self {
        Self::with_threads(filesystem, 1)
    }

    pub(crate) fn with_threads(filesystem: impl Filesystem, threads: usize) -> Self {
        let (socket, server) = pair();
        let mut peer = Self { socket, unique: 0, session: None };
        // FUSE 7.40, with all that a kernel could offer.
        let init = Body::new().u32(7).u32(40).u32(1 << 17).u32(u32::MAX).u32(u32::MAX).bytes(&[0; 44]);
        peer.send(op::INIT, 0, &init.0);
        let mut config = Config::default();
        config.n_threads = Some(threads);
        let session = Session::from_fd(filesystem, server, SessionACL::All, config).expect("a handshake");
        peer.receive().expect("INIT is answered");
        peer.session = Some(std::thread::spawn(move || session.run()));
        peer
    }

    /// A request and its answer, or its errno.
    pub(crate) fn ask(&mut self, opcode: u32, node: u64, body: Body) -> Result<Vec<u8>, i32> {
        self.send(opcode, node, &body.0);
        self.receive()
    }

    /// A request that has no answer.
    pub(crate) fn tell(&mut self, opcode: u32, node: u64, body: Body) {
        self.send(opcode, node, &body.0);
    }

    fn send(&mut self, opcode: u32, node: u64, body: &[u8]) {
        self.unique += 2;
        let request = request(opcode, self.unique, node, body);
        self.socket.write_all(&request).expect("the session reads");
    }

    fn receive(&mut self) -> Result<Vec<u8>, i32> {
        let mut reply = vec![0; 256 << 10];
        let length = self.exchanged(&mut reply);
        let error = i32::from_ne_bytes(reply[4..8].try_into().expect("four bytes"));
        let unique = u64::from_ne_bytes(reply[8..16].try_into().expect("eight bytes"));
        assert_eq!(unique, self.unique, "the answer is to another request");
        if error == 0 { Ok(reply[16..length].to_vec()) } else { Err(-error) }
    }

    /// Many requests at once, answered in any order; how many of the answers are errors.
    pub(crate) fn ask_all(&mut self, requests: &[(u32, u64, Body)]) -> usize {
        for (opcode, node, body) in requests {
            self.send(*opcode, *node, &body.0);
        }
        let mut reply = [0; 8192];
        let failed = requests.iter().filter(|_| {
            self.exchanged(&mut reply);
            reply[4..8] != [0; 4]
        });
        failed.count()
    }

    /// Sends bytes as they are, and reads into bytes that are there; allocates nothing.
    pub(crate) fn exchange(&mut self, request: &[u8], reply: &mut [u8]) -> usize {
        self.socket.write_all(request).expect("the session reads");
        self.exchanged(reply)
    }

    fn exchanged(&mut self, reply: &mut [u8]) -> usize {
        let length = self.socket.read(reply).expect("the session answers within the time limit");
        assert!(length >= 16, "an answer of {length} bytes");
        length
    }
}

/// The bytes of one request.
pub(crate) fn request(opcode: u32, unique: u64, node: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(40 + body.len()).expect("a request of a few bytes");
    let head = Body::new().u32(length).u32(opcode).u64(unique).u64(node);
    // uid, gid, pid, padding
    head.u32(0).u32(0).u32(std::process::id()).u32(0).bytes(body).0
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if std::thread::panicking() {
            return;
        }
        // Each thread takes one, and goes.
        while !session.is_finished() {
            self.unique += 2;
            if self.socket.write_all(&request(op::DESTROY, self.unique, 0, &[])).is_err() {
                break;
            }
            let _ = self.socket.read(&mut [0; 64]);
        }
        session.join().expect("the session does not panic").expect("the session ends well");
    }
}

fn pair() -> (File, OwnedFd) {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: socketpair writes two descriptors to the array, which has two places.
    let status = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
    let limit = libc::timeval { tv_sec: 20, tv_usec: 0 };
    let size = libc::socklen_t::try_from(size_of_val(&limit)).expect("a small struct");
    // SAFETY: setsockopt reads `size` bytes of the struct, which lives until the call returns.
    let status =
        unsafe { libc::setsockopt(fds[0], libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const limit).cast(), size) };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
    // SAFETY: both are open, and nobody else has them.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    (File::from(ours), theirs)
}
