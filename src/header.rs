//! The first page of a swap area: version 1, either byte order, any page size; read by reference, and written.
//!
//! Decides what swapon(2) decides from the header alone, in its order. [`Header::read`] judges the page,
//! [`Header::area`] what the page claims against the file, and gives the [`Area`] that an activation works on.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 1024 | boot sectors, never read |
//! | 1024 | 4 | version, 1 |
//! | 1028 | 4 | last page: the area has one page more |
//! | 1032 | 4 | number of bad pages |
//! | 1036 | 16 | UUID, never read by the kernel |
//! | 1052 | 16 | label, never read by the kernel |
//! | 1536 | 4 each | bad pages |
//! | page size − 10 | 10 | `SWAPSPACE2` |
//!
//! Source: Linux v6.18, `include/linux/swap.h` (`union swap_header`), `mm/swapfile.c:read_swap_header` and
//! `setup_swap_map`. The marks of suspended systems: util-linux, `libblkid/src/superblocks/swap.c`.

mod write;

pub use write::{Label, NewHeader};

use crate::reason::{HibernationMark, Reason};
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// A swap header that was found sound, over the caller's copy of the page.
///
/// # Invariants
/// Signature present, version 1, `last_page` at least 1, and (foreign byte order only) a bad-page list that fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    page: &'a [u8],
    page_size: PageSize,
    endian: Endian,
    last_page: u32,
    bad_pages: u32,
}

impl<'a> Header<'a> {
    /// Judges the first page of an area on a kernel with pages of `page_size`.
    ///
    /// `start` holds the area's first bytes: one page; with up to 64 KiB a header for another page size can be
    /// named instead of missed. What lies past the file's end counts as zeros, as in the page cache.
    ///
    /// # Errors
    /// In the kernel's order: no signature (or what stands in its place), a foreign bad-page count past its
    /// limit, version, empty.
    pub fn read(start: &'a [u8], page_size: PageSize) -> Result<Self, Reason> {
        let Some(page) = page_of(start, page_size).filter(|page| magic_of(page) == Some(MAGIC)) else {
            return Err(Self::what_else(start, page_size));
        };
        let version = field(page, VERSION);
        let endian = if version == [0, 0, 0, 1] {
            Endian::Big
        } else if version == [1, 0, 0, 0] {
            Endian::Little
        } else {
            return Err(Reason::HeaderVersion { found: u32::from_ne_bytes(version) });
        };
        let bad_pages = endian.value(field(page, BAD_COUNT));
        let limit = bad_page_limit(page_size);
        // The kernel swaps the list's bytes before it looks at anything else, so it bounds the list first.
        if endian != Endian::NATIVE && bad_pages > limit {
            return Err(Reason::BadPagesTooMany { count: bad_pages, limit });
        }
        let last_page = endian.value(field(page, LAST_PAGE));
        if last_page == 0 {
            return Err(Reason::HeaderEmpty);
        }
        Ok(Self { page, page_size, endian, last_page, bad_pages })
    }

    /// Judges the claim against a file or device of `size`, on a kernel that can address `maximum` pages.
    ///
    /// [`MAXIMUM_PAGES`] is right for every 64-bit architecture.
    ///
    /// # Errors
    /// In the kernel's order: shorter than claimed, bad pages on a regular file, too many bad pages; last, a
    /// `maximum` of fewer than two pages.
    pub fn area(&self, backing: Backing, size: Bytes, maximum: PageCount) -> Result<Area, Reason> {
        let claimed = u64::from(self.last_page).saturating_add(1);
        let pages = claimed.min(maximum.get()).min(MAXIMUM_PAGES.get());
        let available = size.whole_pages(self.page_size).get();
        // No page at all is a block device that does not know its size: the kernel lets it pass. A regular file of
        // that size has no signature to get here with; here it has, if somebody lies.
        let unknown = backing == Backing::BlockDevice && available == 0;
        if !unknown && pages > available {
            let (claimed, available) = (PageCount::new(claimed), PageCount::new(available));
            return Err(Reason::HeaderShort { claimed, available });
        }
        let (count, limit) = (self.bad_pages, bad_page_limit(self.page_size));
        if count != 0 && backing == Backing::RegularFile {
            return Err(Reason::BadPagesOnFile { count });
        }
        if count > limit {
            return Err(Reason::BadPagesTooMany { count, limit });
        }
        match u32::try_from(pages) {
            Ok(pages @ 2..) => Ok(self.claim(pages, backing, size)),
            Ok(_) | Err(_) => Err(Reason::NoUsablePage { found: PageCount::new(pages) }),
        }
    }

    /// The area, with what the list of bad pages means for it.
    fn claim(&self, pages: u32, backing: Backing, size: Bytes) -> Area {
        let last_page = self.last_page();
        let bad_outside = self.bad_pages().find(|bad| bad.get() == 0 || *bad > last_page);
        // A page past what this kernel can address is not in its table.
        let listed = self.bad_pages().filter(|bad| bad.get() < u64::from(pages)).count();
        let bad_pages = u32::try_from(listed).unwrap_or(u32::MAX);
        Area { page_size: self.page_size, pages, size, backing, last_page, bad_pages, bad_outside }
    }

    /// The byte order that the header was written in; the kernel takes either.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// The index of the last page that the header claims.
    pub fn last_page(&self) -> PageIndex {
        PageIndex::new(self.last_page.into())
    }

    /// The bad pages as listed: unchecked, unsorted, duplicates kept. At most as many as fit in the page.
    pub fn bad_pages(&self) -> impl Iterator<Item = PageIndex> + Clone + use<'a> {
        let count = self.bad_pages.min(bad_page_limit(self.page_size));
        let (endian, count) = (self.endian, usize::try_from(count).unwrap_or(usize::MAX));
        let list = self.page.get(BAD_PAGES..).unwrap_or_default();
        list.chunks_exact(4).take(count).map(move |word| PageIndex::new(endian.value(field(word, 0)).into()))
    }

    /// The UUID as stored; all zeros when there is none.
    pub fn uuid(&self) -> [u8; 16] {
        field(self.page, UUID)
    }

    /// The label as stored, padded with zeros.
    pub fn label(&self) -> [u8; 16] {
        field(self.page, LABEL)
    }

    /// What stands where the signature should be.
    fn what_else(start: &[u8], page_size: PageSize) -> Reason {
        if let Some(mark) = page_of(start, page_size).and_then(magic_of).and_then(hibernation_mark) {
            return Reason::HibernationImage { mark };
        }
        if page_of(start, page_size).and_then(magic_of) == Some(OBSOLETE_MAGIC) {
            return Reason::HeaderObsolete;
        }
        let version: [u8; 4] = field(start, VERSION);
        let is_one = version == [1, 0, 0, 0] || version == [0, 0, 0, 1];
        for other in PageSize::ALL {
            if is_one && other != page_size && page_of(start, other).and_then(magic_of) == Some(MAGIC) {
                return Reason::HeaderPageSize { found: other, running: page_size };
            }
        }
        Reason::HeaderMissing { page_size }
    }
}

/// The extent of a swap area: what its header claims, held against its file.
///
/// # Invariants
/// At least two pages, the header page included, and (unless the size is 0) no more than the file has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Area {
    page_size: PageSize,
    pages: u32,
    size: Bytes,
    backing: Backing,
    last_page: PageIndex,
    /// Listed pages that the area has, each as often as it is listed.
    bad_pages: u32,
    /// The first listed page that is the header or past the last.
    bad_outside: Option<PageIndex>,
}

impl Area {
    /// The area of a regular file whose header is still to be written: every whole page of it.
    ///
    /// # Errors
    /// Fewer than two pages: the header page and one to use.
    pub fn without_header(size: Bytes, page_size: PageSize) -> Result<Self, Reason> {
        let available = size.whole_pages(page_size);
        if available.get() < 2 {
            return Err(Reason::NoUsablePage { found: available });
        }
        let pages = u32::try_from(available.get()).unwrap_or(u32::MAX);
        let last_page = PageIndex::new(u64::from(pages).saturating_sub(1));
        let backing = Backing::RegularFile;
        Ok(Self { page_size, pages, size, backing, last_page, bad_pages: 0, bad_outside: None })
    }

    /// The area of a whole block device that is served to others: what its first page holds is theirs to say.
    ///
    /// # Errors
    /// As [`without_header`](Self::without_header).
    pub fn of_device(size: Bytes, page_size: PageSize) -> Result<Self, Reason> {
        Ok(Self { backing: Backing::BlockDevice, ..Self::without_header(size, page_size)? })
    }

    /// The kernel's page size.
    pub const fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Pages in the area, the header page included: `sis->max` before activation.
    pub fn pages(&self) -> PageCount {
        PageCount::new(self.pages.into())
    }

    /// The size of the file or device: `i_size`.
    pub const fn size(&self) -> Bytes {
        self.size
    }

    /// What the area lies on.
    pub const fn backing(&self) -> Backing {
        self.backing
    }

    /// The warning that the kernel logs when it cannot address all that the header claims.
    pub fn truncated(&self) -> Option<Reason> {
        // Judged by the last page, not by the count: one page more than can be used passes without a word.
        let last_page = self.last_page.get();
        let claimed = PageCount::new(last_page.saturating_add(1));
        (last_page > self.pages().get()).then_some(Reason::HeaderTruncated { claimed, usable: self.pages() })
    }

    /// The listed bad pages that the area has, a duplicate each time; or the first that it may not have.
    pub(crate) fn bad_pages(&self) -> Result<u32, Reason> {
        match self.bad_outside {
            Some(bad) => Err(Reason::BadPageOutside { bad, last: self.last_page }),
            None => Ok(self.bad_pages),
        }
    }

    /// Pages as the 32 bits that the kernel's `sis->max` has.
    pub(crate) const fn max(&self) -> u32 {
        self.pages
    }
}

/// What the area lies on: a list of bad pages is for devices only.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Backing {
    /// A file on a filesystem.
    RegularFile,
    /// A whole block device or partition.
    BlockDevice,
}

/// The byte order of a header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// The byte order of the machine that this was compiled for.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };

    const fn value(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    const fn bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// The most pages that any kernel addresses in one area: `sis->max` has 32 bits.
pub const MAXIMUM_PAGES: PageCount = PageCount::new(0xffff_ffff);

const MAGIC: [u8; 10] = *b"SWAPSPACE2";
const OBSOLETE_MAGIC: [u8; 10] = *b"SWAP-SPACE";
const VERSION: usize = 1024;
const LAST_PAGE: usize = 1028;
const BAD_COUNT: usize = 1032;
const UUID: usize = 1036;
const LABEL: usize = 1052;
const BAD_PAGES: usize = 1536;

/// Whose suspended system stands where the signature should be, by the first bytes of its mark.
const HIBERNATION_MARKS: [(HibernationMark, &[u8]); 5] = [
    (HibernationMark::Swsusp1, b"S1SUSPEND"),
    (HibernationMark::Swsusp2, b"S2SUSPEND"),
    (HibernationMark::Uswsusp, b"ULSUSPEND"),
    (HibernationMark::LinuxHibernate, b"LINHIB0001"),
    (HibernationMark::TuxOnIce, b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"),
];

/// `MAX_SWAP_BADPAGES`: what fits between the list's start and the signature.
const fn bad_page_limit(page_size: PageSize) -> u32 {
    match page_size.shift() {
        12 => 637,
        13 => 1661,
        14 => 3709,
        15 => 7805,
        _ => 15997,
    }
}

/// The first page, if `start` holds a whole one.
fn page_of(start: &[u8], page_size: PageSize) -> Option<&[u8]> {
    start.get(..usize::try_from(page_size.bytes().get()).ok()?)
}

fn hibernation_mark(magic: [u8; 10]) -> Option<HibernationMark> {
    HIBERNATION_MARKS.iter().find(|(_, bytes)| magic.starts_with(bytes)).map(|(mark, _)| *mark)
}

fn magic_of(page: &[u8]) -> Option<[u8; 10]> {
    page.last_chunk().copied()
}

/// `N` bytes at an offset; zeros where the page ends before, which no page of 4 KiB or more does.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
