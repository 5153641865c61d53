//! Makes a file that passes, the first time; or turns one that holds a swap header into one that does.
//!
//! What is refused is refused before anything is written, by the same reasons as an examination's. A new file is
//! nobody's until it is finished: it has no name before it is allocated, written, formatted and on stable storage, so
//! that no error, no signal and no lack of space leaves half of one; and an existing name is never replaced. At the
//! end it is examined by its name, as anybody else would.
//!
//! Sizes are bytes. Source: Linux v6.18, open(2) (`O_TMPFILE`), fallocate(2), `fs/ext4/file.c` (no direct I/O into a
//! hole of a file without extents, so such a file grows by writing), mkswap(8) (ten pages at least).

mod align;
mod attributes;
mod convert;
mod draft;
mod error;
mod fill;
mod folder;
mod progress;
pub(super) mod users;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

pub use convert::convert;
pub use error::PrepareError;
pub use progress::{Phase, Progress};

use super::error::ExamineError;
use super::examine::examine;
use super::inode::{Device, Inode};
use super::report::{Depth, Examination};
use crate::header::{Endian, Label, NewHeader};
use crate::model::Model;
use crate::reason::{Reason, Verdict};
use crate::unit::{Bytes, PageCount, PageSize};
use draft::Draft;
use fill::Zeros;
use folder::Folder;
use progress::Watch;

/// A file to be made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    size: Bytes,
    model: Model,
    label: Label,
    uuid: Option<[u8; 16]>,
}

impl Plan {
    /// A file of `size`, rounded down to whole pages, for that way of swap I/O; no label, a random UUID.
    pub const fn new(size: Bytes, model: Model) -> Self {
        Self { size, model, label: Label::NONE, uuid: None }
    }

    /// The same with a label.
    #[must_use]
    pub const fn label(self, label: Label) -> Self {
        Self { label, ..self }
    }

    /// The same with that UUID.
    #[must_use]
    pub const fn uuid(self, uuid: [u8; 16]) -> Self {
        Self { uuid: Some(uuid), ..self }
    }

    /// The way of swap I/O that it is for.
    pub const fn model(&self) -> Model {
        self.model
    }

    /// The header page, and the size of the file.
    fn format(&self, page_size: PageSize) -> Result<(Vec<u8>, Bytes), PrepareError> {
        let pages = self.size.whole_pages(page_size);
        if pages < LEAST {
            return Err(PrepareError::TooSmall { size: self.size, page: page_size, least: LEAST });
        }
        let uuid = match self.uuid {
            Some(uuid) => uuid,
            None => random_uuid()?,
        };
        let endian = Endian::NATIVE;
        let header = NewHeader { page_size, endian, pages, uuid, label: self.label, bad_pages: &[] };
        let mut page = vec![0; usize::try_from(page_size.bytes().get()).unwrap_or(0)];
        header.write(&mut page).map_err(PrepareError::Header)?;
        // A header that was written says so many pages in 32 bits: their bytes fit.
        let size = pages
            .to_bytes(page_size)
            .ok_or(PrepareError::Header(Reason::AreaTooLarge { pages, limit: crate::header::MAXIMUM_PAGES }))?;
        Ok((page, size))
    }
}

/// Makes a file at `path`, where nothing is, that serves swap as planned, and gives its examination, every reason
/// listed.
///
/// `progress` is told before and after each short step; when it breaks, everything is undone. Blocks are allocated in
/// slices of 1 GiB and written in chunks of 4 MiB. For [`Model::Bio`] they are allocated and stay unwritten, where
/// the filesystem can do that; else, and for [`Model::File`], zeros are written to all of them.
///
/// # Errors
/// In this order: the size, the path, what the filesystem can never do, the space, what fails on the way, and what
/// the examination of the finished file says. After an error there is no file, neither half nor whole.
pub fn prepare(
    path: &Path,
    plan: &Plan,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Examination, PrepareError> {
    let page_size = super::page_size().ok_or(ExamineError::PageSize)?;
    plan.format(page_size)?; // a size that is none, before the path is looked at
    let folder = Folder::of(path)?;
    folder.check(plan.model, page_size)?;
    let plan = Plan { size: folder.whole_units(plan.size, page_size), ..*plan };
    let (header, size) = plan.format(page_size)?;
    let mut watch = Watch::new(size, &mut progress);
    draft::clear_remains(&folder.fd, &folder.name, page_size, &mut watch)?;
    folder.check_space(size)?;

    let draft = Draft::new(&folder.fd, &folder.name, page_size, &mut watch)?;
    let file = draft.file();
    let inode = attributes::settle(file, folder.way, plan.model, page_size)?;
    let is_allocated = fill::allocate(file, size, &mut watch)?;
    let must_align = plan.model == Model::File && folder.block < page_size.bytes();
    if must_align && is_allocated {
        align::to_pages(file, size, page_size, &mut watch)?;
    }
    if plan.model == Model::File || !is_allocated {
        let zeros = Zeros::new(file, inode.direct_io, page_size)?;
        let mut begun = 0;
        if must_align && !is_allocated {
            begun = size.get().min(FIRST_LOOK);
            zeros.write(0, begun, &mut watch)?;
            align::check_start(file, Bytes::new(begun), page_size)?;
        }
        zeros.write(begun, size.get(), &mut watch)?;
    }
    fill::sync(file, &mut watch)?;
    fill::write_header(file, &header)?;
    fill::sync(file, &mut watch)?;
    watch.tell(Phase::Examine, size.get())?;

    let published = draft.publish(&folder.name)?;
    // From here on it is a finished area: stopping would gain nothing.
    let found = verify(path, plan.model, inode.identity, true);
    if found.is_err() {
        published.withdraw();
    }
    found
}

/// Examines the finished file by its name, which must still lead to it; what passes by itself is given a moment.
fn verify(path: &Path, model: Model, file: (Device, u64), is_new: bool) -> Result<Examination, PrepareError> {
    let mut tries = 0u32;
    loop {
        let found = examine(path, Depth::All)?;
        if !Inode::at(path).is_ok_and(|named| named.identity == file) {
            return Err(ExamineError::Replaced.into());
        }
        let reasons = judgement(&found, model).reasons();
        // A file that was made in this call is no area that was active before, whatever /proc/swaps leaves open.
        let is_ours = |why: &&Reason| !(is_new && matches!(why, Reason::Active { certain: false }));
        let Some(why) = reasons.iter().find(is_ours).copied() else { return Ok(found) };
        tries = tries.saturating_add(1);
        if why.verdict() == Verdict::Refuse || tries >= TRIES {
            return Err(PrepareError::NotAdmitted { why, removed: is_new });
        }
        std::thread::sleep(PAUSE);
    }
}

const fn judgement(found: &Examination, model: Model) -> &super::report::Judgement {
    match model {
        Model::Bio => &found.bio,
        Model::File => &found.file,
    }
}

/// Version 4, variant 1, as RFC 9562 lays out.
fn random_uuid() -> Result<[u8; 16], PrepareError> {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut uuid = [0; 16];
    let got = rustix::io::retry_on_intr(|| getrandom(&mut uuid, GetRandomFlags::empty()));
    // Up to 256 bytes come whole or not at all.
    got.map_err(error::failed("get random bytes"))?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(uuid)
}

/// What mkswap(8) formats at least.
const LEAST: PageCount = PageCount::new(10);
/// How much of a file that cannot be allocated is written before it is looked at.
const FIRST_LOOK: u64 = 4 << 20;
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);
