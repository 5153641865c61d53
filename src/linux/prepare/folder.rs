//! The folder of a new file: what a file in it can never be, told before anything is written.
//!
//! The facts are those of the folder's filesystem, and the reasons those that the finished file would be refused for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno as OsError;

use super::error::{PrepareError, failed};
use crate::candidate::{Candidate, Condition, Kind};
use crate::linux::error::{ExamineError, fact, no_fact};
use crate::linux::filesystem::Way;
use crate::linux::inode::Inode;
use crate::linux::mount::Mount;
use crate::linux::{btrfs, f2fs, filesystem, swaps, through, topology};
use crate::model::Model;
use crate::reason::{Class, Reason};
use crate::release::Release;
use crate::topology::{Consumer, Override};
use crate::unit::{Bytes, PageSize};

/// An open folder, and the name of a file to be made in it.
pub(super) struct Folder {
    pub(super) fd: File,
    pub(super) name: OsString,
    inode: Inode,
    mount: Option<Mount>,
    pub(super) way: Way,
    /// The filesystem's block size.
    pub(super) block: Bytes,
}

impl Folder {
    /// Opens the folder of a path.
    ///
    /// # Errors
    /// The path names no file; something of that name is there; the folder cannot be opened or looked at.
    pub(super) fn of(path: &Path) -> Result<Self, PrepareError> {
        // `file_name` passes over what ends like a folder.
        let is_folder = [b"/".as_slice(), b"/."].iter().any(|end| path.as_os_str().as_bytes().ends_with(end));
        let name = path.file_name().filter(|_| !is_folder);
        let name = name.map(OsStr::to_owned).ok_or(PrepareError::NoName)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = File::from(rustix::fs::open(parent, flags, Mode::empty()).map_err(failed("open the folder"))?);
        // A symlink that leads nowhere is something too: no new file goes through it.
        match rustix::fs::statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => return Err(PrepareError::Exists),
            Err(OsError::NOENT) => (),
            Err(error) => return Err(failed("look the name up")(error)),
        }
        let inode = Inode::of(&fd).map_err(fact("the folder's attributes"))?;
        let (mount, way) = filesystem::of(&inode).map_err(no_fact("the mount table"))?;
        let block = rustix::fs::fstatfs(&fd).map_err(fact("the filesystem's block size"))?.f_bsize;
        let block = Bytes::new(u64::try_from(block).unwrap_or(0));
        Ok(Self { fd, name, inode, mount, way, block })
    }

    /// Says no where every file of this folder would be refused, in the order in which an examination would.
    pub(super) fn check(&self, model: Model, page_size: PageSize) -> Result<(), PrepareError> {
        let mut first = None;
        let mut say = |reason: Reason| {
            if first.is_none() && reason.class() != Class::Warning {
                first = Some(reason);
            }
        };
        self.way.before_opening().into_iter().for_each(&mut say);
        self.candidate(page_size)?.judge(&mut say);
        match self.way {
            Way::NoBlockMap(filesystem) => say(Reason::NoBlockMap { filesystem }),
            Way::Btrfs => self.btrfs(model, &mut say)?,
            Way::Iomap if model == Model::File && self.mount.as_ref().is_some_and(Mount::journals_data) => {
                say(Reason::JournaledData);
            }
            Way::F2fs if self.mount.as_ref().is_some_and(f2fs::is_log_structured) => {
                say(Reason::LogStructured { filesystem: "f2fs" });
            }
            Way::ServedBmap if model == Model::Bio => say(Reason::UserSpaceServer),
            Way::ServedBmap
            | Way::Iomap
            | Way::Xfs
            | Way::F2fs
            | Way::Bmap(_)
            | Way::Unknown(_)
            | Way::Network(_)
            | Way::NoPageRead(_) => (),
        }
        if model == Model::File {
            through::filesystem(self.way).into_iter().for_each(&mut say);
        }
        self.stand(model, &mut say)?;
        first.map_or(Ok(()), |why| Err(PrepareError::Refused { model, why }))
    }

    /// What every file here stands on: for this kernel's swap, or for what a server shows to another.
    fn stand(&self, model: Model, say: &mut impl FnMut(Reason)) -> Result<(), ExamineError> {
        match self.way {
            Way::Iomap | Way::Xfs | Way::Btrfs | Way::F2fs | Way::Bmap(_) => {
                let consumer = if model == Model::Bio { Consumer::SameKernel } else { Consumer::OtherKernel };
                let judged = topology::below(&self.inode)?.judge(consumer, Override::empty());
                judged.findings.iter().filter_map(|finding| finding.reason()).for_each(say);
            }
            // Refused by reasons of their own.
            Way::ServedBmap | Way::Network(_) | Way::NoPageRead(_) | Way::NoBlockMap(_) | Way::Unknown(_) => (),
        }
        Ok(())
    }

    /// A new file here, as swapon(2) would meet it.
    fn candidate(&self, page_size: PageSize) -> Result<Candidate, ExamineError> {
        let mount = self.mount.as_ref();
        // A read-only btrfs subvolume shows in no mount option.
        let denied = rustix::fs::accessat(&self.fd, c".", Access::WRITE_OK, AtFlags::empty()) == Err(OsError::ROFS);
        let mut conditions = Condition::empty();
        conditions.set(Condition::FILESYSTEM_READ_ONLY, mount.is_some_and(Mount::is_filesystem_read_only));
        conditions.set(Condition::MOUNT_READ_ONLY, denied || mount.is_some_and(Mount::is_mount_read_only));
        conditions.set(Condition::ENCRYPTED, self.inode.encrypted);
        Ok(Candidate {
            kind: Kind::RegularFile,
            release: Release::running(),
            page_size,
            conditions,
            unknown: Condition::empty(),
            active_areas: swaps::look(&self.inode).map_err(no_fact("/proc/swaps"))?.areas,
            holder: None,
            block: if self.way.is_iomap() { self.block } else { Bytes::ZERO },
            no_page_read: if let Way::NoPageRead(filesystem) = self.way { Some(filesystem) } else { None },
        })
    }

    fn btrfs(&self, model: Model, say: &mut impl FnMut(Reason)) -> Result<(), ExamineError> {
        let volume = btrfs::volume(&self.fd).map_err(fact("what this btrfs says of itself"))?;
        if let Some(holder) = volume.busy {
            say(Reason::Busy { holder });
        }
        if model == Model::File {
            through::filesystem(self.way).into_iter().for_each(&mut *say);
        }
        match volume.placement {
            // Where the data will be is only known when it is there: the finished file is asked.
            Ok(()) | Err(Reason::PlacementUnknown) => (),
            Err(why) => say(why),
        }
        Ok(())
    }

    /// A size, cut to what this filesystem can keep in place: f2fs only whole sections, the others whole pages.
    pub(super) fn whole_units(&self, size: Bytes, page_size: PageSize) -> Bytes {
        let volume = self.mount.as_ref().filter(|_| self.way == Way::F2fs);
        let section = volume.and_then(|mount| f2fs::Volume::of(mount, page_size)).map(|volume| volume.section.get());
        let rest = section.and_then(|section| size.get().checked_rem(section)).unwrap_or(0);
        Bytes::new(size.get().saturating_sub(rest))
    }

    /// Says no where less is free than the file takes, so that most of what would fail on the way does at once.
    pub(super) fn check_space(&self, needed: Bytes) -> Result<(), PrepareError> {
        let mut looks = 0u32;
        loop {
            let state = rustix::fs::fstatvfs(&self.fd).map_err(fact("the free space"))?;
            // What is kept for root counts: whether it is for us, the filesystem says.
            let free = Bytes::new(state.f_bfree.saturating_mul(state.f_frsize));
            looks = looks.saturating_add(1);
            if free >= needed {
                return Ok(());
            } else if looks >= LOOKS {
                return Err(PrepareError::NoSpace { needed, free });
            }
            // XFS gives back later what was removed just now; asking pushes it.
            std::thread::sleep(PAUSE);
        }
    }
}

const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);
