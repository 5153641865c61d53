//! A file on a filesystem: what its inode, its mount, its header and its extents say.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno as OsError;

use super::claims::Claims;
use super::error::{ExamineError, fact, no_fact};
use super::filesystem::Way;
use super::inode::Inode;
use super::mount::Mount;
use super::open::{open, start_of};
use super::report::{Collector, Counted, Examination, Facts, For, UNKNOWN};
use super::walk::Walk;
use super::{btrfs, f2fs, filesystem, network, process, references, through, topology};
use crate::activation::{Activation, BtrfsInode, Profile};
use crate::candidate::{Candidate, Condition};
use crate::extent::DeviceId;
use crate::header::{Area, Backing, Header, MAXIMUM_PAGES};
use crate::map::Tally;
use crate::reason::{Holder, Reason};
use crate::release::Release;
use crate::unit::{BlockSize, Bytes, PageSize};

/// Examines a regular file; `candidate` holds what was found before it was opened.
pub(super) fn examine(
    path: &Path,
    named: &Inode,
    mut candidate: Candidate,
    mut found: Collector,
) -> Result<Examination, ExamineError> {
    let page_size = candidate.page_size;
    let (file, inode) = open(path, named)?;
    let (mount, way) = filesystem::of(&inode).map_err(no_fact("the mount table"))?;
    let on_disk = OnDisk { file, inode, mount, page_size, release: candidate.release };

    on_disk.conditions(path, way, &mut candidate)?;
    if let Some(reason) = way.before_opening() {
        found.say(For::Both, reason);
    }
    if matches!(way, Way::Network(_)) {
        let refused = rustix::fs::access(path, Access::WRITE_OK).is_err_and(|error| error != OsError::ROFS);
        if refused || !network::asks_as_root() {
            found.say(For::Both, Reason::FilesystemUnknown { filesystem: "what this file's server answers root" });
        }
    }
    candidate.judge(|reason| found.say(For::Both, reason));

    let may_read = !found.is_settled() && on_disk.may_be_read(way);
    let start = if may_read { Some(start_of(&on_disk.file)?) } else { None };
    // A header that was not read is not missing.
    let area = start.and_then(|start| on_disk.area(&start, &mut found));
    let counted = match area.filter(|_| !found.is_settled()) {
        Some(area) => on_disk.extents(way, &area, &mut found)?,
        None => None,
    };
    if !found.is_settled() {
        on_disk.stand(way, &mut found)?;
    }
    let filesystem = on_disk.mount.map_or_else(|| UNKNOWN.to_owned(), |mount| mount.kind);
    Ok(found.finish(Facts { filesystem, page_size, size: on_disk.inode.size, backing: None }, counted))
}

/// An open file, while it is examined.
struct OnDisk {
    file: File,
    inode: Inode,
    mount: Option<Mount>,
    page_size: PageSize,
    release: Option<Release>,
}

impl OnDisk {
    /// States what the inode and the mount say.
    fn conditions(&self, path: &Path, way: Way, candidate: &mut Candidate) -> Result<(), ExamineError> {
        let (inode, mount) = (&self.inode, self.mount.as_ref());
        // A read-only btrfs subvolume shows in no mount option; asking for write access changes nothing.
        let denied = rustix::fs::access(path, Access::WRITE_OK) == Err(OsError::ROFS);
        let executed = process::runs(inode).map_err(no_fact("/proc"))?;
        let facts = [
            (Condition::FILESYSTEM_READ_ONLY, mount.is_some_and(Mount::is_filesystem_read_only)),
            (Condition::IMMUTABLE, inode.immutable),
            (Condition::APPEND_ONLY, inode.append_only),
            (Condition::EXECUTED, executed == Some(true)),
            (Condition::MOUNT_READ_ONLY, denied || mount.is_some_and(Mount::is_mount_read_only)),
            (Condition::VERITY, inode.verity),
            (Condition::UNLINKED, mount.is_some() && self.is_unlinked()),
            (Condition::ENCRYPTED, inode.encrypted),
            (Condition::DAX, inode.dax),
        ];
        for (condition, is_so) in facts {
            candidate.conditions.set(condition, is_so);
        }
        candidate.unknown.set(Condition::EXECUTED, executed.is_none());
        if let Way::NoPageRead(filesystem) = way {
            candidate.no_page_read = Some(filesystem);
        }
        if way.is_iomap() {
            let block = rustix::fs::fstatfs(&self.file).map_err(fact("the filesystem's block size"))?.f_bsize;
            candidate.block = Bytes::new(u64::try_from(block).unwrap_or(0));
        }
        Ok(())
    }

    /// Whether the name that was opened is gone: the kernel says so in the name of the descriptor.
    fn is_unlinked(&self) -> bool {
        let Ok(name) = std::fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())) else {
            return self.inode.links == 0;
        };
        // A name may also end so by itself; then it leads here.
        let says_so = name.to_string_lossy().ends_with(" (deleted)");
        says_so && !Inode::at(&name).is_ok_and(|other| other.identity == self.inode.identity)
    }

    /// Whether reading has no effect but to read: the files of /proc and /sys are not files on a disk.
    fn may_be_read(&self, way: Way) -> bool {
        match way {
            Way::Iomap
            | Way::Xfs
            | Way::Btrfs
            | Way::F2fs
            | Way::Bmap(_)
            | Way::ServedBmap
            | Way::Network(_)
            | Way::NoPageRead(_)
            | Way::NoBlockMap(_) => true,
            Way::Unknown(_) => {
                self.mount.as_ref().is_some_and(|mount| mount.source.is_absolute() && !mount.is_of_the_kernel())
            }
        }
    }

    /// The area that the header claims; without a header, for a full list, the area that the file could hold.
    fn area(&self, start: &Result<Vec<u8>, Reason>, found: &mut Collector) -> Option<Area> {
        let header = start.as_deref().map_err(|reason| *reason).and_then(|start| Header::read(start, self.page_size));
        match header.and_then(|header| header.area(Backing::RegularFile, self.inode.size, MAXIMUM_PAGES)) {
            Ok(area) => {
                found.advise(&self.inode);
                if let Some(warning) = area.truncated() {
                    found.say(For::Both, warning);
                }
                Some(area)
            }
            Err(reason) => {
                found.say(For::Both, reason);
                Area::without_header(self.inode.size, self.page_size).ok()
            }
        }
    }

    /// What only extents show; the counts of the kernel's walk, if it can be foretold.
    fn extents(&self, way: Way, area: &Area, found: &mut Collector) -> Result<Option<Counted>, ExamineError> {
        if let Some(reason) = through::inode(&self.inode, self.mount.as_ref(), self.page_size) {
            found.say(For::File, reason);
        }
        match way {
            Way::Iomap | Way::Xfs => {
                let claims = self.claims(way)?;
                let walk = Walk { file: &self.file, claims: &claims, area };
                let profile = Profile::Iomap { device: DeviceId::MAIN };
                let totals =
                    if way == Way::Xfs { walk.judge_settled(profile, found) } else { walk.judge(profile, found) }?;
                Ok(totals.map(Counted::exact))
            }
            Way::Btrfs => self.btrfs(area, found),
            Way::F2fs => self.f2fs(area, found),
            Way::Bmap(_) | Way::ServedBmap => self.bmap(way, area, found),
            Way::NoBlockMap(filesystem) => {
                found.say(For::Both, Reason::NoBlockMap { filesystem });
                Ok(None)
            }
            Way::Network(filesystem) => Ok(self.network(filesystem, area, found)),
            Way::NoPageRead(_) | Way::Unknown(_) => Ok(None),
        }
    }

    /// What the file stands on: its bios go to the filesystem's device, and whatever is below that.
    fn stand(&self, way: Way, found: &mut Collector) -> Result<(), ExamineError> {
        match way {
            Way::Iomap | Way::Xfs | Way::Btrfs | Way::F2fs | Way::Bmap(_) | Way::ServedBmap => {
                found.stand(For::Bio, topology::below(&self.inode)?);
            }
            // Refused already, by a reason of their own.
            Way::Network(_) | Way::NoPageRead(_) | Way::NoBlockMap(_) | Way::Unknown(_) => (),
        }
        Ok(())
    }

    fn through(way: Way, found: &mut Collector) {
        if let Some(reason) = through::filesystem(way) {
            found.say(For::File, reason);
        }
    }

    fn claims(&self, way: Way) -> Result<Claims, ExamineError> {
        Claims::of(&self.file, &self.inode, way).map_err(fact("where its extents lie"))
    }

    /// btrfs: the inode's promises, then extents, then where they are.
    fn btrfs(&self, area: &Area, found: &mut Collector) -> Result<Option<Counted>, ExamineError> {
        let volume = btrfs::volume(&self.file).map_err(fact("what this btrfs says of itself"))?;
        let inode = BtrfsInode {
            compressed: self.inode.compressed,
            no_cow: self.inode.no_cow,
            // The flag itself cannot be seen; whatever sets NOCOW from outside sets both.
            no_checksums: self.inode.no_cow,
            busy: volume.busy,
        };
        inode.judge(|reason| found.say(For::Both, reason));
        Self::through(Way::Btrfs, found);
        let claims = self.claims(Way::Btrfs)?;
        // Without the chunk tree, addresses are btrfs's own, not the device's. Chunks are laid in whole pages on both
        // sides, so whole pages are counted right; where extents break is not, and nothing is said of it.
        let sector = volume.sector.unwrap_or(BlockSize::KIB_4);
        let walk = Walk { file: &self.file, claims: &claims, area };
        let totals = walk.judge(Profile::Btrfs { sector }, found)?;
        match volume.placement {
            Err(reason) if !claims.has_places() => found.say(For::Both, reason),
            Err(_) | Ok(()) => (),
        }
        self.once_shared(&claims, area, found)?;
        if claims.is_scrubbed(&self.file).map_err(fact("whether it is scrubbed"))? {
            found.say(For::Both, Reason::Busy { holder: Holder::Scrub });
        }
        Ok(totals.map(|totals| Counted { totals, breaks_known: claims.has_places() }))
    }

    /// What older kernels take for shared, and newer do not.
    fn once_shared(&self, claims: &Claims, area: &Area, found: &mut Collector) -> Result<(), ExamineError> {
        if self.release.is_some_and(|release| release >= btrfs::ONCE_SHARED_ACCEPTED) {
            return Ok(());
        }
        if !claims.has_places() || found.is_refused() {
            return Ok(());
        }
        let odd = references::first_odd(&self.file, &self.inode, area.size()).map_err(fact("who holds its extents"))?;
        let certain = self.release.is_some_and(|release| release <= btrfs::ONCE_SHARED_REFUSED);
        if let Some(range) = odd {
            found.say(For::Both, Reason::OnceShared { range, certain });
        }
        Ok(())
    }

    /// NFS and SMB: the client counts sectors, if it serves swap at all; every refusal is the same errno.
    fn network(&self, filesystem: &'static str, area: &Area, found: &mut Collector) -> Option<Counted> {
        let totals = Activation::network(area, self.inode.allocated, Tally);
        let totals = totals.map_err(|reason| found.say(For::Both, reason)).ok();
        let serves = match filesystem {
            "NFS" => network::nfs_serves_swap(),
            // A client whose reads are smaller than a page has no `swap_activate`.
            _ => network::smb_serves_swap().filter(|serves| !serves || self.reads_whole_pages()),
        };
        if serves != Some(true) {
            found.say(For::Both, Reason::SwapNotServed { filesystem, certain: serves.is_some() });
        }
        totals.map(Counted::exact)
    }

    fn reads_whole_pages(&self) -> bool {
        let option = |mount: &Mount| mount.options.split(',').find_map(|it| it.strip_prefix("rsize=")?.parse().ok());
        // Room for the header of the protocol, too.
        self.mount
            .as_ref()
            .and_then(option)
            .is_some_and(|size: u64| size > self.page_size.bytes().get().saturating_mul(2))
    }

    /// f2fs: what it could move is foretold where it has room to.
    fn f2fs(&self, area: &Area, found: &mut Collector) -> Result<Option<Counted>, ExamineError> {
        let Some(mount) = &self.mount else { return Ok(None) };
        if f2fs::is_log_structured(mount) {
            // On a device with zones 6.18 goes on, and what it finds there shows only when it is tried.
            let unknown = Reason::FilesystemUnknown { filesystem: "f2fs on a zoned device" };
            let log_structured = Reason::LogStructured { filesystem: "f2fs" };
            found.say(For::Both, if f2fs::may_be_zoned(mount) { unknown } else { log_structured });
        } else {
            Self::through(Way::F2fs, found);
        }
        if self.inode.compressed {
            found.say(For::Both, Reason::CompressedFile);
        }
        let Some(volume) = f2fs::Volume::of(mount, self.page_size) else {
            found.say(For::Both, Reason::PlacementUnknown);
            return Ok(None);
        };
        let claims = self.claims(Way::F2fs)?;
        let walk = Walk { file: &self.file, claims: &claims, area };
        let profile = Profile::F2fs { main: volume.main, section: volume.section };
        let refused_before = found.is_refused();
        if let Some(totals) = walk.judge(profile, found)? {
            return Ok(Some(Counted::exact(totals)));
        }
        if !refused_before && self.release.is_none_or(|release| release < f2fs::HOLES_ARE_EINVAL) {
            found.forget_errno();
        }
        if !volume.has_room_for(self.inode.size, mount) {
            found.say(For::Both, Reason::PlacementUnknown);
        }
        // Where only runs to be moved stand against it, every page will have a place, and nobody knows which.
        Ok(Some(Counted::somewhere(area)))
    }

    /// A filesystem with only `bmap`, which a process may serve.
    fn bmap(&self, way: Way, area: &Area, found: &mut Collector) -> Result<Option<Counted>, ExamineError> {
        let claims = self.claims(way)?;
        let Some(block) = claims.bmap_unit() else {
            found.say(For::Both, Reason::PlacementUnknown);
            return Ok(None);
        };
        let walk = Walk { file: &self.file, claims: &claims, area };
        let totals = walk.judge(Profile::Bmap { block }, found)?;
        Self::through(way, found);
        Ok(totals.map(Counted::exact))
    }
}
