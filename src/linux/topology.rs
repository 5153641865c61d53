//! What an area stands on, followed down through /sys, /proc and the files under loop devices: facts for the core.
//!
//! It starts at a path, a block device or a running server, and ends at disks. Whatever cannot be seen, has vanished
//! meanwhile, contradicts itself or has no name here becomes a layer that is unknown, which refuses; its words say
//! what and where. Depth and number of layers are bounded, so that tables that lie cost a moment and no more.
//!
//! Nothing is opened for writing. A loop device is opened for reading, to learn which file is below it: a name alone
//! may lead elsewhere by now. Who may not do that is told by the name alone where it leads to what may be that file,
//! and that it is so. No name is looked up that a server, or another machine, may never answer for.
//!
//! Source: Linux v6.18, `Documentation/ABI/{stable,testing}/sysfs-block*`, `drivers/block/{loop,nbd,zram}`,
//! `drivers/md/{md,dm-sysfs}.c`, `fs/fuse/dev.c:fuse_dev_show_fdinfo`; proc_pid_fdinfo(5).

mod device_mapper;
mod disk;
mod file;
mod follow;
mod md;
mod nbd;
mod process;

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{ExamineError, named, no_fact, plain};
use super::inode::{Device, Inode};
use super::reclaim::Ready;
use crate::candidate::Kind;
use crate::reason::Reason;
use crate::topology::{Allowed, Consumer, Facts, Finding, Layer, Link, Override};
use follow::Follow;

/// The layers below an area, from its own down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topology {
    links: Vec<Link>,
    /// What each layer is called, and what could not be told of it.
    names: Vec<String>,
}

/// What a topology was found to be.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Every condition that it calls for.
    pub findings: Vec<Finding>,
    /// Proof that all are met or accepted, or the first that is not.
    pub outcome: Result<Allowed, Reason>,
}

/// Why no topology could be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The path leads nowhere, or not for this user.
    #[error("cannot look up {}: {}", named(path), plain(*error))]
    LookUp {
        /// The path.
        path: PathBuf,
        /// Why not.
        error: rustix::io::Errno,
    },
    /// A table of the kernel's cannot be read.
    #[error("cannot read {}: {error}; a container may hide it", named(path))]
    Table {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Neither a file nor a block device.
    #[error("{} is neither a regular file nor a block device: name one, or the process that serves", named(path))]
    NotAnArea {
        /// The path.
        path: PathBuf,
    },
    /// No such process.
    #[error("there is no process {pid} in /proc: it has ended, or is hidden from this user")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// A process without memory, which cannot serve.
    #[error("process {pid} has no memory of its own, being a thread of the kernel or having ended: it serves nothing")]
    NoMemory {
        /// The process.
        pid: u32,
    },
    /// A process that may serve, if one could see.
    #[error("cannot see what process {pid} has open: {error}; try as root")]
    NotShown {
        /// The process.
        pid: u32,
        /// Why not.
        error: std::io::Error,
    },
    /// A FUSE server, of a mount that nothing names.
    #[error(
        "process {pid} has /dev/fuse open, and it does not show for which mount, as it does since Linux 6.16: name a file there"
    )]
    WhichMount {
        /// The process.
        pid: u32,
    },
    /// A process that serves nothing that is known here.
    #[error("process {pid} has neither /dev/fuse nor a /dev/ublkcN open: it serves nothing that is known here")]
    ServesNothing {
        /// The process.
        pid: u32,
    },
}

/// Where the kernel's tables are: of the running machine, or a copy of another's.
#[derive(Clone, Debug)]
pub struct Tree {
    sys: PathBuf,
    proc: PathBuf,
    /// Whether this process has proven its posture.
    is_proven: bool,
}

impl Tree {
    /// Those of the running machine.
    pub fn running() -> Self {
        Self::at("/sys", "/proc")
    }

    /// Those below other folders. What a copy does not hold is unknown, and nothing of this machine stands in for it:
    /// files, also those under loop devices; what servers have open, and their posture.
    pub fn at(sys: impl Into<PathBuf>, proc: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into(), proc: proc.into(), is_proven: false }
    }

    /// The same for a server that asks about itself: from outside no posture is seen to hold, its own proof says so. One
    /// that is degraded proves none.
    #[must_use]
    pub fn proven(self, ready: &Ready) -> Self {
        Self { is_proven: ready.degraded().next().is_none(), ..self }
    }

    fn is_running(&self) -> bool {
        self.sys == Path::new("/sys") && self.proc == Path::new("/proc")
    }

    /// What a file or a block device stands on; in a copy, what a name in /dev does that the kernel gave.
    ///
    /// # Errors
    /// The path leads nowhere, to something else, or the mount table cannot be read.
    pub fn path(&self, path: &Path) -> Result<Topology, TopologyError> {
        if !self.is_running() {
            return Ok(self.copied(path));
        }
        let inode = Inode::at(path).map_err(|error| TopologyError::LookUp { path: path.to_owned(), error })?;
        match inode.kind {
            Kind::BlockDevice => Ok(self.device(inode.device.0, inode.device.1)),
            Kind::RegularFile | Kind::Directory => self.file(&inode),
            Kind::Special(_) => Err(TopologyError::NotAnArea { path: path.to_owned() }),
        }
    }

    /// What a name stands on in a copy, which holds no files.
    fn copied(&self, path: &Path) -> Topology {
        let mut follow = Follow::new(self);
        match follow.named(path) {
            Some(device) => follow.device(device, 0),
            None => follow.unknown(0, "a file, which a copy of tables does not hold", &path.display().to_string()),
        }
        follow.end()
    }

    /// What a block device stands on, by its numbers.
    pub fn device(&self, major: u32, minor: u32) -> Topology {
        let mut follow = Follow::new(self);
        follow.device(Device(major, minor), 0);
        follow.end()
    }

    /// What a running server serves: each FUSE mount and each ublk device that it holds open.
    ///
    /// # Errors
    /// There is no such process, it serves nothing that shows, or the mount table cannot be read.
    pub fn process(&self, pid: u32) -> Result<Vec<Topology>, TopologyError> {
        let mounts = self.mounts()?;
        let mut found = Vec::new();
        for served in process::served(self, pid) {
            let mut follow = Follow::new(self);
            match served {
                process::Served::Block(device) => follow.device(device, 0),
                process::Served::Mount(connection) => {
                    match mounts.iter().find(|mount| mount.device.kernel_number() == u64::from(connection)) {
                        Some(mount) => follow.mount(mount, 0, &mount.source.display().to_string()),
                        // Unmounted lazily, or in another namespace.
                        None => follow.unknown(0, "a FUSE mount that the mount table does not show", ""),
                    }
                }
            }
            found.push(follow.end());
        }
        if found.is_empty() { Err(process::nothing_served(self, pid)) } else { Ok(found) }
    }

    /// What a file stands on, its facts being known.
    pub(super) fn file(&self, inode: &Inode) -> Result<Topology, TopologyError> {
        let mut follow = Follow::new(self);
        follow.file(inode, 0, &self.mounts()?, "");
        Ok(follow.end())
    }

    fn mounts(&self) -> Result<Vec<super::mount::Mount>, TopologyError> {
        let path = self.proc.join("self/mountinfo");
        super::mount::read(&path).map_err(|error| TopologyError::Table { path, error })
    }
}

/// What a file of the running machine stands on, for an examination.
pub(super) fn below(inode: &Inode) -> Result<Topology, ExamineError> {
    Tree::running().file(inode).map_err(|error| match error {
        TopologyError::Table { error, .. } => no_fact("the mount table")(error),
        TopologyError::LookUp { error, .. } => ExamineError::LookUp(error),
        TopologyError::NotAnArea { .. }
        | TopologyError::NoProcess { .. }
        | TopologyError::NoMemory { .. }
        | TopologyError::NotShown { .. }
        | TopologyError::WhichMount { .. }
        | TopologyError::ServesNothing { .. } => ExamineError::Replaced,
    })
}

impl Topology {
    /// The layers, each with what it is called here.
    pub fn layers(&self) -> impl Iterator<Item = (Link, &str)> {
        self.links.iter().copied().zip(self.names.iter().map(String::as_str))
    }

    /// Whether a loop device, its own or one further down with no server and no other file between, stands on a file of
    /// a filesystem of this kernel.
    pub(super) fn is_over_a_loop_file(&self) -> bool {
        let is_device = |layer| {
            matches!(
                layer,
                Layer::Loop { .. } | Layer::Partition | Layer::DeviceMapper { .. } | Layer::Md { .. } | Layer::Disk
            )
        };
        let pairs = self.links.iter().zip(self.links.iter().skip(1)).map(|(link, below)| (link.layer, below.layer));
        let mut devices = pairs.take_while(|(layer, _)| is_device(*layer));
        devices.any(|pair| matches!(pair, (Layer::Loop { .. }, Layer::Filesystem(_))))
    }

    /// Judges it, for whoever swaps, with what somebody accepts by name.
    pub fn judge(&self, consumer: Consumer, accepted: Override) -> Judged {
        self.held(None, consumer, accepted)
    }

    /// Judges it as what a server keeps the pages of such an area on; its word is for messages.
    pub fn judge_below(&self, server: &'static str, consumer: Consumer, accepted: Override) -> Judged {
        self.held(Some(server), consumer, accepted)
    }

    fn held(&self, server: Option<&'static str>, consumer: Consumer, accepted: Override) -> Judged {
        let mut findings = Vec::new();
        let facts = Facts { chain: &self.links, server, consumer, accepted };
        let outcome = facts.judge(|finding| findings.push(finding));
        Judged { findings, outcome }
    }
}

impl fmt::Display for Topology {
    /// One layer a line, deeper ones further in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (link, name)) in self.layers().enumerate() {
            let margin = usize::from(link.depth).saturating_mul(2);
            let (end, word) = (if index == 0 { "" } else { "\n" }, link.layer.word());
            write!(f, "{end}{:margin$}{word}", "")?;
            if !name.is_empty() {
                write!(f, ": {}", name.escape_debug())?;
            }
        }
        Ok(())
    }
}
