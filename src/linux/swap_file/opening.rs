//! From a path to a file that may be served: examined, opened for direct I/O, held, mapped.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Advice, Mode, OFlags, fadvise, fcntl_setfl, fdatasync};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::error::{OpenError, failed};
use super::hold::Holder;
use super::loop_device;
use super::serving::{Risks, Serving};
use super::snapshot::Snapshot;
use super::times::{Times, reopen_without_stamps};
use crate::activation::{Activation, Profile};
use crate::candidate::Kind;
use crate::header::Area;
use crate::linux::backing::Backing;
use crate::linux::claims::Claims;
use crate::linux::error::{ExamineError, fact, no_fact};
use crate::linux::examine::examine;
use crate::linux::fiemap::Go;
use crate::linux::filesystem::{self, Way};
use crate::linux::inode::Inode;
use crate::linux::mount::Mount;
use crate::linux::report::{Depth, Examination};
use crate::linux::through;
use crate::linux::topology::Tree;
use crate::map::OwnedMap;
use crate::reason::{self, Class, Reason, ServedFault, TopologyFault};
use crate::topology::Override;
use crate::unit::{Bytes, PageSize};

/// What was opened, and all that was found out.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) inode: Inode,
    pub(super) hold: Holder,
    pub(super) times: Times,
    pub(super) map: OwnedMap,
    pub(super) snapshot: Snapshot,
    pub(super) warnings: Vec<Reason>,
    /// What was accepted by name of what it stands on.
    pub(super) depends_on: Override,
}

impl Opened {
    /// # Errors
    /// As [`SwapFile::open`](super::SwapFile::open).
    pub(super) fn at(path: &Path, serving: &Serving) -> Result<Self, OpenError> {
        let page_size = crate::linux::page_size().ok_or(ExamineError::PageSize)?;
        let named = Inode::at(path).map_err(ExamineError::LookUp)?;
        let (mount, way) = filesystem::of(&named).map_err(no_fact("the mount table"))?;
        let found = examine(path, Depth::All).map_err(|error| match error {
            // Not without waiting: somebody holds a lease on it.
            ExamineError::Open(Errno::AGAIN) => OpenError::from(Reason::Served(ServedFault::Held)),
            error => error.into(),
        })?;
        judge(&found, way, serving)?;
        let depends_on = stands(path, serving)?;
        // What swapon(8) would advise holds here too; what the header says does not.
        let warnings =
            found.warnings.iter().copied().filter(|warning| concerns(warning, way, Risks::empty())).collect();
        let opened = match named.kind {
            Kind::BlockDevice => {
                if let Some(backing) = &found.backing {
                    loop_device::check(named.device, &backing.path, page_size, serving.accepted)?;
                }
                Self::device(path, &named, mount.as_ref(), page_size, warnings)?
            }
            Kind::RegularFile => Self::regular(path, &named, mount.as_ref(), way, page_size, serving, warnings)?,
            // Refused above: nothing but the two is a candidate.
            Kind::Directory => return Err(Reason::Directory.into()),
            Kind::Special(kind) => return Err(Reason::NotAFile { kind }.into()),
        };
        Ok(Self { depends_on, ..opened })
    }

    fn device(
        path: &Path,
        named: &Inode,
        mount: Option<&Mount>,
        page_size: PageSize,
        warnings: Vec<Reason>,
    ) -> Result<Self, OpenError> {
        let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::BUSY) => return Err(Reason::DeviceHeld { holder: reason::Holder::Someone }.into()),
            Err(error) => return Err(failed("open it for direct I/O")(error)),
        };
        let inode = same(&file, named)?;
        let snapshot = Snapshot::take(&file, inode.clone(), false)?;
        let area = Area::of_device(snapshot.size(), page_size)?;
        let map = Activation::block_device(&area, Vec::new())?;
        settle(&file)?;
        let times = Times::of_node_on(mount);
        Ok(Self {
            file,
            inode,
            hold: Holder::of_device(),
            times,
            map,
            snapshot,
            warnings,
            depends_on: Override::empty(),
        })
    }

    fn regular(
        path: &Path,
        named: &Inode,
        mount: Option<&Mount>,
        way: Way,
        page_size: PageSize,
        serving: &Serving,
        warnings: Vec<Reason>,
    ) -> Result<Self, OpenError> {
        let mut file = open_direct(path)?;
        let mut times = Times::on(mount);
        if way == Way::Xfs && times == Times::Stamped && !serving.stamps_times {
            if let Some(other) = reopen_without_stamps(&file, path, named, DIRECT) {
                // Of two descriptors for writing the one would keep the other from its lease.
                (file, times) = (File::from(other), Times::Untouched);
            }
        }
        let inode = same(&file, named)?;
        let hold = Holder::of_file(&file, &inode)?;
        // From here on the file is held: what is found now stays, and what was judged before may have changed.
        if let Some(reason) = through::inode(&inode, mount, page_size).or_else(|| changed(&inode)) {
            return Err(reason.into());
        }
        limit(inode.size)?;
        settle(&file)?;
        let area = Area::without_header(inode.size, page_size)?;
        let has_extents = !matches!(way, Way::Network(_));
        let map = if has_extents {
            let claims = Claims::of(&file, &inode, way).map_err(fact("its extents"))?;
            mapped(&file, &claims, &area)?
        } else {
            Activation::network(&area, inode.allocated, Vec::new())?
        };
        let snapshot = Snapshot::take(&file, inode.clone(), has_extents)?;
        Ok(Self { file, inode, hold, times, map, snapshot, warnings, depends_on: Override::empty() })
    }
}

/// Judges what it stands on, for whoever swaps to it.
fn stands(path: &Path, serving: &Serving) -> Result<Override, OpenError> {
    let topology = Tree::running().path(path)?;
    Ok(topology.judge_below("this server", serving.consumer, serving.below).outcome?.depends_on())
}

/// Walks the extents by the rules of the file model.
fn mapped(file: &File, claims: &Claims, area: &Area) -> Result<OwnedMap, OpenError> {
    let mut activation = Activation::new(Profile::File, area, Vec::new())?;
    let mut result = Ok(());
    let walked = claims.walk(file, area.size(), |claim| {
        result = claim.and_then(|claim| activation.push(&claim));
        if result.is_ok() { Go::On } else { Go::Stop }
    });
    walked.map_err(fact("its extents"))?;
    result?;
    Ok(activation.finish()?)
}

/// Opens a file for direct I/O without waiting for whoever holds a lease on it.
fn open_direct(path: &Path) -> Result<File, OpenError> {
    let flags = DIRECT | OFlags::NONBLOCK;
    let opened = match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(path, flags, Mode::empty()),
        answer => answer,
    };
    let file = match opened {
        Ok(fd) => File::from(fd),
        Err(Errno::AGAIN) => return Err(Reason::Served(ServedFault::Held).into()),
        Err(Errno::INVAL) => return Err(Reason::NoDirectIo.into()),
        Err(error) => return Err(failed("open it for direct I/O")(error)),
    };
    // It was for the opening only: io_uring takes it for "never block" and answers EAGAIN.
    let kept = rustix::fs::fcntl_getfl(&file).map_err(failed("read its flags"))?;
    fcntl_setfl(&file, kept.difference(OFlags::NONBLOCK)).map_err(failed("set its flags"))?;
    Ok(file)
}

/// What was opened is what was examined.
fn same(file: &File, named: &Inode) -> Result<Inode, OpenError> {
    let inode = Inode::of(file).map_err(fact("its attributes"))?;
    let is_same = inode.kind == named.kind && inode.identity == named.identity && inode.device == named.device;
    if is_same { Ok(inode) } else { Err(ExamineError::Replaced.into()) }
}

/// An attribute that the examination refuses, and that came after it.
fn changed(inode: &Inode) -> Option<Reason> {
    let rows = [
        (inode.immutable, Reason::Immutable),
        (inode.append_only, Reason::AppendOnly),
        (inode.encrypted, Reason::Encrypted),
        (inode.verity, Reason::Verity),
        (inode.dax, Reason::Dax),
    ];
    rows.into_iter().find(|(is, _)| *is).map(|(_, reason)| reason)
}

/// A write past the limit ends the process.
fn limit(size: Bytes) -> Result<(), Reason> {
    match getrlimit(Resource::Fsize).current.map(Bytes::new) {
        Some(limit) if limit < size => Err(Reason::Served(ServedFault::FileSizeLimit { limit, size })),
        Some(_) | None => Ok(()),
    }
}

/// Has what is dirty written, and the page cache emptied: a page that cannot be dropped from it makes a direct write a
/// buffered one, in silence.
fn settle(file: &File) -> Result<(), OpenError> {
    fdatasync(file).map_err(failed("write back what is dirty"))?;
    fadvise(file, 0, None, Advice::DontNeed).map_err(failed("empty its page cache"))
}

/// The first reason against service: one that stays before one that passes.
fn judge(found: &Examination, way: Way, serving: &Serving) -> Result<(), OpenError> {
    let against = |class: Class| {
        let reasons = found.file.reasons().iter().copied();
        reasons.filter(|reason| reason.class() == class).find(|reason| concerns(reason, way, serving.accepted))
    };
    if let Some(why) = against(Class::Permanent).or_else(|| against(Class::Transient)) {
        return Err(why.into());
    }
    // What another server makes of a write is not seen; who accepts a loop device over one has accepted that.
    let is_served = |backing: &Backing| backing.filesystem == "fuse" || backing.filesystem.starts_with("fuse.");
    let accepted = serving.below.contains(Override::LOOP_OVER_FUSE);
    if let Some(backing) = found.backing.as_ref().filter(|backing| !(accepted && is_served(backing))) {
        // Under a loop device: what may not be looked at may be anything.
        let Some(file) = &backing.file else { return Err(Reason::PlacementUnknown.into()) };
        if let Some(why) = file.reasons().first() {
            return Err((*why).into());
        }
    }
    Ok(())
}

/// Whether a reason of the examination stands against a server: all do that are not named here.
fn concerns(reason: &Reason, way: Way, accepted: Risks) -> bool {
    match reason {
        // The header is the business of the kernel that swaps to it, which may write it only when it is served.
        Reason::HeaderMissing { .. }
        | Reason::HeaderObsolete
        | Reason::HeaderPageSize { .. }
        | Reason::HibernationImage { .. }
        | Reason::HeaderVersion { .. }
        | Reason::HeaderEmpty
        | Reason::HeaderShort { .. }
        | Reason::HeaderTruncated { .. }
        | Reason::BadPagesOnFile { .. }
        | Reason::BadPagesTooMany { .. }
        | Reason::BadPageOutside { .. }
        | Reason::BadPagesWrap { .. } => false,
        // This kernel's own table of areas is not asked for a place.
        Reason::TableFull { .. } => false,
        Reason::TransactionPerWrite { .. } => !accepted.contains(Risks::BTRFS_NOCOW) || way != Way::Btrfs,
        Reason::Network { .. } | Reason::SwapNotServed { .. } | Reason::FilesystemUnknown { .. } => {
            !accepted.contains(Risks::NETWORK) || !matches!(way, Way::Network(_))
        }
        // What it stands on is judged for whoever swaps to it, which an examination takes for this kernel.
        Reason::Topology(TopologyFault::LoopFile) => true,
        Reason::LoopBacking | Reason::UserSpaceServer | Reason::Topology(_) => false,
        _ => true,
    }
}

const DIRECT: OFlags = OFlags::RDWR.union(OFlags::DIRECT).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
