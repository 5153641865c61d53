//! Activation: a stream of claims about one file, judged as swapon(2) of that filesystem would, into a map.
//!
//! Feed [`FileExtent`]s in the order of the file; ranges that no claim covers are holes. [`Activation::push`]
//! stops at the first refusal, in the kernel's order; [`Activation::push_all`] reports every one. Once anything
//! was refused there is no map, whatever follows. It allocates nothing but what the caller's [`Store`] does.
//!
//! | profile | file | accepts | a swap page is |
//! | --- | --- | --- | --- |
//! | [`Profile::Iomap`] | ext4, XFS, zonefs | written and unwritten | the next whole physical page |
//! | [`Profile::Bmap`] | FAT, ext2, fuseblk, ntfs3 | what `bmap` answers non-zero | the next whole physical page |
//! | [`Profile::Btrfs`] | btrfs | the same, one device, profile single | the next whole physical page |
//! | [`Profile::F2fs`] | f2fs | the same, in whole sections | the next block |
//! | [`Profile::File`] | through any filesystem | written only, each page one run | the same page of the file |
//! | [`Activation::network`] | NFS, SMB | by count of sectors only | the same page of the file |
//! | [`Activation::block_device`] | a device | all but the bad pages | the same page of the device |
//!
//! Sources are named in the file of each profile. Counts follow Linux v6.18.

mod block_device;
mod bmap;
mod btrfs;
mod f2fs;
mod file;
mod fill;
mod iomap;
mod network;
mod obstacle;
mod run;
mod trim;

use crate::extent::{DeviceId, ExtentFlags, ExtentState, FileExtent};
use crate::header::{Area, Backing};
use crate::map::Store;
use crate::model::Model;
use crate::reason::Reason;
use crate::unit::{BlockSize, Bytes, PageIndex, PageSize};
use fill::Fill;

pub use btrfs::BtrfsInode;

/// Whose rules judge the claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    /// The bio model by `iomap_swapfile_activate`: ext4, XFS, zonefs.
    Iomap {
        /// The device that the kernel would swap to: the inode's, which is not the mount's for XFS realtime files.
        /// [`DeviceId::MAIN`] where there is only one.
        device: DeviceId,
    },
    /// The bio model by `generic_swapfile_activate`: filesystems with only `->bmap`, fuseblk among them.
    Bmap {
        /// The unit of `bmap` (`i_blkbits`).
        block: BlockSize,
    },
    /// The bio model by `btrfs_swap_activate`. Physical offsets are device offsets, never btrfs logical addresses.
    Btrfs {
        /// The sector size.
        sector: BlockSize,
    },
    /// The bio model by `f2fs_swap_activate`.
    F2fs {
        /// The device page where the main area begins: sections count from there.
        main: PageIndex,
        /// The section size in bytes.
        section: Bytes,
    },
    /// The file model: what a server that reaches the file through its filesystem may allow.
    File,
}

impl Profile {
    /// The I/O model that the profile's map is for.
    pub const fn model(&self) -> Model {
        match self {
            Self::Iomap { .. } | Self::Bmap { .. } | Self::Btrfs { .. } | Self::F2fs { .. } => Model::Bio,
            Self::File => Model::File,
        }
    }
}

/// An activation under way.
///
/// # Invariants
/// 1. Claims ascend and do not overlap. 2. After a refusal no map comes out, until [`Activation::restart`].
#[derive(Debug)]
pub struct Activation<S> {
    profile: Profile,
    walk: Walk,
    fill: Fill<S>,
    /// Where the kernel's walk over the file ends.
    limit: Bytes,
    /// Where the last claim ended.
    next: Bytes,
    device: Option<Bytes>,
    refused: Option<Reason>,
}

impl<S: Store> Activation<S> {
    /// Begins the activation of an area by the rules of a profile, into `store`.
    ///
    /// A store is a slice of [`Slot`](crate::Slot)s ([`Slot::needed`](crate::Slot::needed) of them), with `alloc` a
    /// `Vec` of them, or [`Tally`](crate::Tally), which counts and gives no map.
    ///
    /// # Errors
    /// [`Reason::OtherBacking`]: a device has no extents, see [`Activation::block_device`].
    /// [`Reason::BlockSizeAbovePageSize`]: no profile counts in blocks larger than a page.
    pub fn new(profile: Profile, area: &Area, store: S) -> Result<Self, Reason> {
        if area.backing() != Backing::RegularFile {
            return Err(Reason::OtherBacking);
        }
        let page = area.page_size();
        let (Profile::Bmap { block } | Profile::Btrfs { sector: block }) = profile else {
            return Ok(Self::begin(profile, area, store));
        };
        if block.bytes() > page.bytes() {
            return Err(Reason::BlockSizeAbovePageSize { block: block.bytes(), page, refused: Some(true) });
        }
        Ok(Self::begin(profile, area, store))
    }

    /// Refuses claims that end past the device, which only a lying filesystem makes. Without this they pass, as the
    /// kernel lets them: it is the caller who knows the device.
    #[must_use]
    pub fn on_device_of(mut self, size: Bytes) -> Self {
        self.device = Some(size);
        self
    }

    /// Takes the next claim. After a refusal it gives that reason again and looks at nothing.
    ///
    /// # Errors
    /// The first reason in the kernel's order: the claim's shape (empty, overflow, past the device, order), a hole
    /// before it, then the profile's own list.
    #[inline]
    pub fn push(&mut self, claim: &FileExtent) -> Result<(), Reason> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let mut refusals = Refusals { first: None, report: |_| () };
        self.take(claim, &mut refusals);
        match refusals.first {
            None => Ok(()),
            Some(reason) => Err(reason),
        }
    }

    /// Takes the next claim and reports every reason against it, the kernel's first.
    pub fn push_all(&mut self, claim: &FileExtent, report: impl FnMut(Reason)) {
        self.take(claim, &mut Refusals { first: None, report });
    }

    /// Whether as many pages are found as the header claims: a kernel that asks `bmap` block by block asks no more.
    pub fn is_full(&self) -> bool {
        self.fill.is_full()
    }

    /// Forgets every claim: the filesystem has moved blocks, so every address read before is void.
    ///
    /// The mapping must be read again from the start of the file. Linux v6.18.4 did not do that for the last run
    /// of an f2fs file and swapped over other files' blocks.
    pub fn restart(&mut self) {
        self.walk = Walk::of(&self.profile, self.fill.page_size(), self.limit, true);
        self.fill.clear();
        self.next = Bytes::ZERO;
        self.refused = None;
    }

    /// Ends the stream and gives the proof.
    ///
    /// # Errors
    /// The first reason of the whole stream, in the kernel's order: what was refused before; a hole up to the end
    /// of the file; no usable page; memory that is too small for the map.
    pub fn finish(self) -> Result<S::Proof, Reason> {
        self.finish_all(|_| ())
    }

    /// The same, and reports what shows only at the end.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_all(mut self, report: impl FnMut(Reason)) -> Result<S::Proof, Reason> {
        let mut refusals = Refusals { first: self.refused, report };
        if self.next < self.limit {
            self.take_hole(self.limit, &mut refusals);
        }
        self.walk.end(self.limit, &mut self.fill, &mut refusals);
        // The kernel does not count the pages of a file that it has refused already.
        if refusals.first.is_none() {
            refusals.note(self.fill.enough());
        }
        match refusals.first {
            Some(reason) => Err(reason),
            None => self.fill.seal(self.profile.model()),
        }
    }

    fn begin(profile: Profile, area: &Area, store: S) -> Self {
        let size = area.size();
        let limit = match profile {
            Profile::Iomap { .. } | Profile::F2fs { .. } | Profile::File => size.align_down(area.page_size().into()),
            Profile::Bmap { block } | Profile::Btrfs { sector: block } => size.align_down(block),
        };
        let (walk, fill) = (Walk::of(&profile, area.page_size(), limit, false), Fill::new(area, store));
        Self { profile, walk, fill, limit, next: Bytes::ZERO, device: None, refused: None }
    }

    #[inline]
    fn take(&mut self, claim: &FileExtent, refusals: &mut Refusals<impl FnMut(Reason)>) {
        match self.end_of(claim) {
            Ok(end) => {
                if claim.logical > self.next && self.next < self.limit {
                    self.take_hole(claim.logical.min(self.limit), refusals);
                }
                self.next = end;
                // Past the end of the walk nothing is judged: preallocation there is no obstacle.
                if claim.logical < self.limit {
                    let clipped;
                    let claim = if end <= self.limit {
                        claim
                    } else {
                        let length = self.limit.checked_sub(claim.logical).unwrap_or(Bytes::ZERO);
                        clipped = FileExtent { length, ..*claim };
                        &clipped
                    };
                    // The only place on the way of a claim that passes, so that the walk can be inlined here.
                    self.walk.take(claim, &mut self.fill, refusals);
                }
            }
            Err(reason) => refusals.say(reason),
        }
        if refusals.first.is_some() && self.refused.is_none() {
            self.refused = refusals.first;
        }
    }

    /// Judges the hole before a claim, or after the last.
    #[cold]
    fn take_hole(&mut self, to: Bytes, refusals: &mut Refusals<impl FnMut(Reason)>) {
        let gap = hole(self.next, to);
        self.walk.take(&gap, &mut self.fill, refusals);
    }

    /// Judges the shape of a claim: what no honest filesystem gets wrong.
    #[inline]
    fn end_of(&self, claim: &FileExtent) -> Result<Bytes, Reason> {
        let range = claim.range();
        if claim.length == Bytes::ZERO {
            return Err(Reason::ExtentEmpty { offset: claim.logical });
        }
        let end = claim.logical.checked_add(claim.length).ok_or(Reason::ExtentOverflow { range })?;
        if let Some(physical) = claim.physical {
            let end = physical.checked_add(claim.length).ok_or(Reason::ExtentOverflow { range })?;
            match self.device {
                Some(device) if end > device => return Err(Reason::OutsideDevice { range, end, device }),
                Some(_) | None => (),
            }
        }
        if claim.logical < self.next {
            return Err(Reason::ExtentOrder { offset: claim.logical, expected: self.next });
        }
        Ok(end)
    }
}

/// The state of a walk by one profile's rules. Each lives in the file of its name.
#[derive(Debug)]
enum Walk {
    Trim(trim::Walk),
    Bmap(bmap::Walk),
    F2fs(f2fs::Walk),
    File(file::Walk),
}

impl Walk {
    const fn of(profile: &Profile, page_size: PageSize, limit: Bytes, moved: bool) -> Self {
        match *profile {
            Profile::Iomap { device } => Self::Trim(iomap::walk(device)),
            Profile::Btrfs { .. } => Self::Trim(btrfs::walk()),
            Profile::Bmap { block } => Self::Bmap(bmap::Walk::new(block, limit)),
            Profile::F2fs { main, section } => Self::F2fs(f2fs::Walk::new(main, section, moved)),
            Profile::File => Self::File(file::Walk::new(page_size)),
        }
    }

    #[inline]
    fn take<S: Store>(&mut self, claim: &FileExtent, fill: &mut Fill<S>, refusals: &mut Refusals<impl FnMut(Reason)>) {
        match self {
            Self::Trim(walk) => walk.take(claim, fill, refusals),
            Self::Bmap(walk) => walk.take(claim, fill, refusals),
            Self::F2fs(walk) => walk.take(claim, fill, refusals),
            Self::File(walk) => walk.take(claim, refusals),
        }
    }

    fn end<S: Store>(&mut self, limit: Bytes, fill: &mut Fill<S>, refusals: &mut Refusals<impl FnMut(Reason)>) {
        match self {
            Self::Trim(walk) => walk.end(fill, refusals),
            Self::Bmap(_) => (),
            Self::F2fs(walk) => walk.end(limit, fill, refusals),
            Self::File(_) => file::end(limit, fill, refusals),
        }
    }
}

/// What was refused so far: the first reason is the answer, every reason goes to the report.
struct Refusals<F> {
    first: Option<Reason>,
    report: F,
}

impl<F: FnMut(Reason)> Refusals<F> {
    #[cold]
    fn say(&mut self, reason: Reason) {
        self.first.get_or_insert(reason);
        (self.report)(reason);
    }

    /// Says why not, if so.
    #[inline]
    fn note(&mut self, result: Result<(), Reason>) {
        if let Err(reason) = result {
            self.say(reason);
        }
    }
}

/// The claim that nobody made for a range between two claims.
fn hole(from: Bytes, to: Bytes) -> FileExtent {
    FileExtent {
        logical: from,
        physical: None,
        length: to.checked_sub(from).unwrap_or(Bytes::ZERO),
        state: ExtentState::Hole,
        flags: ExtentFlags::empty(),
        device: DeviceId::MAIN,
    }
}
