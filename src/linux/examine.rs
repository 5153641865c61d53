//! One path, from its name to a verdict: facts are gathered in the order in which swapon(2) would meet them.
//!
//! Source of the order: Linux v6.18, `mm/swapfile.c:swapon`; the steps are numbered as the kernel's checks are in
//! that function: open, device claim, unlinked, active, encrypted, block size, page read, header, extents.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno as OsError;

use super::block;
use super::btrfs;
use super::fiemap::{Go, extents};
use super::filesystem::{Way, way};
use super::inode::{Inode, Kind};
use super::ioctl::device_size;
use super::mount::{self, Mount};
use super::report::{Collector, Depth, Examination, Facts, For};
use super::swaps;
use crate::activation::{Activation, Profile};
use crate::extent::DeviceId;
use crate::header::{Area, Backing, Header, MAXIMUM_PAGES};
use crate::map::{Tally, Totals};
use crate::reason::Reason;
use crate::unit::{BlockSize, Bytes, PageSize};

/// Why a path could not be examined at all: not a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// The path leads nowhere, or not for this user.
    #[error("cannot look it up: {}", plain(*.0))]
    LookUp(OsError),
    /// It is there and may not be read.
    #[error("cannot open it for reading: {}", plain(*.0))]
    Open(OsError),
    /// Another file came to stand there meanwhile.
    #[error("it was replaced while it was examined; look again")]
    Replaced,
    /// A fact could not be had.
    #[error("cannot read {what}: {}", plain(*.error))]
    Fact {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        error: OsError,
    },
    /// This kernel's pages are none that a swap header can be laid out for.
    #[error("this kernel's page size is not a power of two from 4 KiB to 64 KiB")]
    PageSize,
}

/// Examines a path: what swapon(2) would answer, and whether it may serve swap by either model.
///
/// Opens for reading only and changes nothing, not even the access time where that can be helped. The file's dirty
/// pages are written back first, as swapon(2) does, or delayed allocation would look like holes.
///
/// # Errors
/// [`ExamineError`] when the path could not be examined, in the order: look-up, open, facts. A file that may not
/// serve swap is not an error: that is what the [`Examination`] says.
pub fn examine(path: &Path, depth: Depth) -> Result<Examination, ExamineError> {
    let page_size = super::page_size().ok_or(ExamineError::PageSize)?;
    let inode = Inode::at(path).map_err(ExamineError::LookUp)?;
    let mut found = Collector::new(depth);
    let refused = match inode.kind {
        Kind::File => return file(path, &inode, page_size, found),
        Kind::BlockDevice => return device(path, &inode, page_size, found),
        Kind::Directory => Reason::Directory,
        Kind::Special(kind) => Reason::NotAFile { kind },
        Kind::Unknown => return Err(ExamineError::LookUp(OsError::INVAL)),
    };
    found.say(For::Both, refused);
    let filesystem = mount_of(&inode)?.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind);
    Ok(found.finish(Facts { filesystem, page_size, size: inode.size }, None, false))
}

/// A file on a filesystem, while it is examined.
struct Candidate<'a> {
    path: &'a Path,
    file: File,
    inode: Inode,
    mount: Option<Mount>,
    page_size: PageSize,
}

fn file(path: &Path, named: &Inode, page_size: PageSize, mut found: Collector) -> Result<Examination, ExamineError> {
    let file = open(path)?;
    let inode = Inode::of(&file).map_err(fact("its attributes"))?;
    if inode.kind != Kind::File || inode.identity != named.identity {
        return Err(ExamineError::Replaced);
    }
    let mount = mount_of(&inode)?;
    let candidate = Candidate { path, file, inode, mount, page_size };
    let way = candidate.mount.as_ref().map_or(Way::Unknown("a mount that is not in the mount table"), way);
    candidate.before_header(way, &mut found)?;
    let totals = match candidate.area(&mut found)? {
        Some(area) if !found.is_settled() => candidate.extents(way, &area, &mut found)?,
        Some(_) | None => None,
    };
    let filesystem = candidate.mount.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind);
    // On btrfs the breaks between chunks are not seen, so its extents are not counted.
    Ok(found.finish(Facts { filesystem, page_size, size: candidate.inode.size }, totals, way == Way::Iomap))
}

impl Candidate<'_> {
    /// What swapon(2) meets up to reading page 0.
    fn before_header(&self, way: Way, found: &mut Collector) -> Result<(), ExamineError> {
        let (inode, mount) = (&self.inode, self.mount.as_ref());
        // A read-only btrfs subvolume shows in no mount option; asking for write access changes nothing.
        let denied = rustix::fs::access(self.path, Access::WRITE_OK) == Err(OsError::ROFS);
        let block = rustix::fs::fstatfs(&self.file).map_err(fact("the filesystem's block size"))?.f_bsize;
        let block = Bytes::new(u64::try_from(block).unwrap_or(0));
        let no_page_read = if let Way::NoPageRead(filesystem) = way { Some(filesystem) } else { None };
        let checks = [
            mount.is_some_and(Mount::is_filesystem_read_only).then_some(Reason::ReadOnly),
            inode.immutable.then_some(Reason::Immutable),
            inode.append_only.then_some(Reason::AppendOnly),
            (denied || mount.is_some_and(Mount::is_mount_read_only)).then_some(Reason::ReadOnly),
            inode.verity.then_some(Reason::Verity),
            (inode.links == 0).then_some(Reason::Unlinked),
            swaps::is_active(inode).map_err(no_fact("/proc/swaps"))?.then_some(Reason::Active),
            inode.encrypted.then_some(Reason::Encrypted),
            (way == Way::Iomap && block > self.page_size.bytes())
                .then_some(Reason::BlockSizeAbovePageSize { block, page: self.page_size }),
            no_page_read.map(|filesystem| Reason::NoPageRead { filesystem }),
            inode.dax.then_some(Reason::Dax),
        ];
        let mut said_read_only = false;
        for reason in checks.into_iter().flatten() {
            let again = reason == Reason::ReadOnly && std::mem::replace(&mut said_read_only, true);
            if !again {
                found.say(For::Both, reason);
            }
        }
        Ok(())
    }

    /// The area that the header claims; without a header, for a full list, the area that the file could hold.
    fn area(&self, found: &mut Collector) -> Result<Option<Area>, ExamineError> {
        if found.is_settled() {
            return Ok(None);
        }
        let start = read_start(&self.file)?;
        let header = Header::read(&start, self.page_size);
        let area = header.and_then(|header| header.area(Backing::RegularFile, self.inode.size, MAXIMUM_PAGES));
        if area.is_ok() {
            advise(&self.inode, 0o7077, found);
        }
        let area = area.or_else(|reason| {
            found.say(For::Both, reason);
            Area::without_header(self.inode.size, self.page_size)
        });
        if let Some(warning) = area.ok().and_then(|area| area.truncated()) {
            found.say(For::Both, warning);
        }
        Ok(area.ok())
    }

    /// What only extents show; the counts of the kernel's walk, if it can be foretold.
    fn extents(&self, way: Way, area: &Area, found: &mut Collector) -> Result<Option<Totals>, ExamineError> {
        let journals = |mount: &Mount| mount.journals_data();
        if self.inode.journaled || self.mount.as_ref().is_some_and(journals) {
            found.say(For::File, Reason::JournaledData);
        } else if self.inode.direct_io == Some(false) {
            found.say(For::File, Reason::NoDirectIo);
        }
        match way {
            Way::Iomap => self.walk_settled(Profile::Iomap { device: DeviceId::MAIN }, area, found),
            Way::Btrfs => self.btrfs(area, found),
            Way::NoPageRead(_) => Ok(None),
            Way::Network(filesystem) => {
                // Whether this client was built with swap support shows only when it is tried.
                if let Err(reason) = Activation::network(area, self.inode.allocated, Tally) {
                    found.say(For::Both, reason);
                }
                found.say(For::Both, Reason::Network { filesystem });
                Ok(None)
            }
            Way::NoBlockMap(filesystem) => {
                found.say(For::Both, Reason::NoBlockMap { filesystem });
                Ok(None)
            }
            Way::Unknown(filesystem) => {
                found.say(For::Both, Reason::FilesystemUnknown { filesystem });
                Ok(None)
            }
        }
    }

    /// btrfs: the inode's promises, then extents, then where they are.
    fn btrfs(&self, area: &Area, found: &mut Collector) -> Result<Option<Totals>, ExamineError> {
        let volume = btrfs::volume(&self.file).map_err(fact("what this btrfs says of itself"))?;
        let promises = [
            self.inode.compressed.then_some(Reason::CompressedFile),
            (!self.inode.no_cow).then_some(Reason::CopyOnWrite),
            volume.busy,
        ];
        for reason in promises.into_iter().flatten() {
            found.say(For::Both, reason);
        }
        // FIEMAP's addresses are btrfs's own here, not the device's. Chunks are laid in whole pages on both sides,
        // so whole pages are counted right; where extents break is not, and no map is made of it.
        let sector = volume.sector.unwrap_or(BlockSize::KIB_4);
        let totals = self.walk(Profile::Btrfs { sector }, area, found)?;
        if let Err(reason) = volume.placement {
            found.say(For::Both, reason);
        }
        Ok(totals)
    }

    /// Walks the extents; on XFS again after a moment if they look shared.
    ///
    /// XFS frees the blocks of an unlinked clone later. swapon waits for that; statfs only gives it a push.
    fn walk_settled(
        &self,
        profile: Profile,
        area: &Area,
        found: &mut Collector,
    ) -> Result<Option<Totals>, ExamineError> {
        let is_xfs = self.mount.as_ref().is_some_and(|mount| mount.kind == "xfs");
        for _ in 0..if is_xfs { XFS_RETRIES } else { 0 } {
            let mut trial = found.clone();
            let totals = self.walk(profile, area, &mut trial)?;
            if !trial.has_shared() {
                *found = trial;
                return Ok(totals);
            }
            rustix::fs::fstatfs(&self.file).map_err(fact("the filesystem's state"))?;
            std::thread::sleep(XFS_PAUSE);
        }
        self.walk(profile, area, found)
    }

    /// One pass over the extents, for both models.
    fn walk(&self, profile: Profile, area: &Area, found: &mut Collector) -> Result<Option<Totals>, ExamineError> {
        let begun = Activation::new(profile, area, Tally)
            .and_then(|bio| Ok((bio, Activation::new(Profile::File, area, Tally)?)));
        let (mut bio, mut through) = match begun {
            Ok(pair) => pair,
            Err(reason) => {
                found.say(For::Both, reason);
                return Ok(None);
            }
        };
        let mut stopped = false;
        let walked = extents(&self.file, area.size(), |claim| {
            match claim {
                Ok(claim) => {
                    bio.push_all(&claim, |reason| found.say(For::Bio, reason));
                    through.push_all(&claim, |reason| found.say(For::File, reason));
                }
                Err(reason) => {
                    found.say(For::Both, reason);
                    stopped = true;
                }
            }
            stopped |= found.is_settled();
            if stopped { Go::Stop } else { Go::On }
        });
        walked.map_err(fact("its extents (FIEMAP)"))?;
        if stopped {
            return Ok(None);
        }
        let totals = bio.finish_all(|reason| {
            // A file that swapon(2) finds no whole page in is refused for both: no verdict is laxer than the kernel.
            let whose = if matches!(reason, Reason::NoUsablePage { .. }) { For::Both } else { For::Bio };
            found.say(whose, reason);
        });
        let _ = through.finish_all(|reason| found.say(For::File, reason));
        Ok(totals.ok())
    }
}

fn device(path: &Path, named: &Inode, page_size: PageSize, mut found: Collector) -> Result<Examination, ExamineError> {
    let file = open(path)?;
    let inode = Inode::of(&file).map_err(fact("its attributes"))?;
    if inode.kind != Kind::BlockDevice || inode.device != named.device {
        return Err(ExamineError::Replaced);
    }
    let size = Bytes::new(device_size(&file).map_err(fact("its size"))?);
    let device = inode.device;
    if swaps::is_active(&inode).map_err(no_fact("/proc/swaps"))? {
        found.say(For::Both, Reason::Active);
    } else if let Some(holder) = block::holder(device).map_err(no_fact("the mount table"))? {
        found.say(For::Both, Reason::DeviceHeld { holder });
    }
    if block::is_zoned(device) {
        found.say(For::Both, Reason::SequentialZone { range: None });
    }
    let start = read_start(&file)?;
    let totals = Header::read(&start, page_size).and_then(|header| {
        advise(&inode, 0o7007, &mut found);
        let area = header.area(Backing::BlockDevice, size, MAXIMUM_PAGES)?;
        if let Some(warning) = area.truncated() {
            found.say(For::Both, warning);
        }
        Activation::block_device(&area, &header, Tally)
    });
    let totals = totals.map_err(|reason| found.say(For::Both, reason)).ok();
    if block::is_loop(device) {
        found.say(For::Both, Reason::LoopBacking);
    }
    Ok(found.finish(Facts { filesystem: "block device".to_owned(), page_size, size }, totals, true))
}

/// Notes what swapon(8) warns of, for what is a swap area: others who can read the swapped memory.
fn advise(inode: &Inode, too_open: u16, found: &mut Collector) {
    if inode.mode & too_open != 0 {
        found.say(For::Both, Reason::InsecureMode { mode: inode.mode });
    }
    if inode.kind == Kind::File && inode.owner != 0 {
        found.say(For::Both, Reason::InsecureOwner { uid: inode.owner });
    }
}

/// Opens for reading, without waiting for a FIFO's writer and without stamping the access time if allowed.
fn open(path: &Path) -> Result<File, ExamineError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let quiet = rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty());
    let opened = match quiet {
        Err(OsError::PERM) => rustix::fs::open(path, flags, Mode::empty()),
        answer => answer,
    };
    opened.map(File::from).map_err(ExamineError::Open)
}

/// The first 64 KiB, or as much as there is: room for a header of any page size.
fn read_start(file: &File) -> Result<Vec<u8>, ExamineError> {
    use std::os::unix::fs::FileExt;
    let mut start = vec![0; 64 << 10];
    let mut filled = 0usize;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let offset = u64::try_from(filled).unwrap_or(u64::MAX);
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(no_fact("its first page")(error)),
        }
    }
    start.truncate(filled);
    Ok(start)
}

/// The mount that the inode was reached through.
fn mount_of(inode: &Inode) -> Result<Option<Mount>, ExamineError> {
    let mounts = mount::all().map_err(no_fact("the mount table"))?;
    Ok(mounts.into_iter().find(|mount| match inode.mount {
        Some(id) => mount.id == id,
        None => mount.device == inode.identity.0,
    }))
}

fn fact(what: &'static str) -> impl Fn(OsError) -> ExamineError {
    move |error| ExamineError::Fact { what, error }
}

fn no_fact(what: &'static str) -> impl Fn(std::io::Error) -> ExamineError {
    move |error| ExamineError::Fact { what, error: OsError::from_io_error(&error).unwrap_or(OsError::IO) }
}

/// The errno in words, without its number.
fn plain(error: OsError) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

const UNKNOWN: &str = "unknown";
const XFS_RETRIES: u32 = 4;
const XFS_PAUSE: Duration = Duration::from_millis(15);
