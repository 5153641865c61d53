//! Writing a header: the same bytes as mkswap(8) lays out, for any page size and byte order.

use super::{BAD_COUNT, BAD_PAGES, Endian, LABEL, LAST_PAGE, MAGIC, UUID, VERSION, bad_page_limit};
use crate::reason::Reason;
use crate::unit::{Bytes, PageCount, PageIndex, PageSize};

/// A header to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewHeader<'a> {
    /// The page size of the kernel that shall use the area.
    pub page_size: PageSize,
    /// The byte order; [`Endian::NATIVE`] unless the area is for another machine.
    pub endian: Endian,
    /// Pages in the area, the header page included.
    pub pages: PageCount,
    /// A UUID, or zeros for none.
    pub uuid: [u8; 16],
    /// A label, or [`Label::NONE`].
    pub label: Label,
    /// Pages that must not be used, for block devices only.
    pub bad_pages: &'a [PageIndex],
}

impl NewHeader<'_> {
    /// Lays the header out in `page`, from byte 1024 on; the boot sectors before it stay as they are.
    ///
    /// Bytes after the first page stay as they are.
    ///
    /// # Errors
    /// A buffer shorter than a page; an area of fewer than two pages or more than the format can say; a bad page
    /// that is the header or past the last; more bad pages than fit.
    pub fn write(&self, page: &mut [u8]) -> Result<(), Reason> {
        let needed = self.page_size.bytes();
        let got = Bytes::new(u64::try_from(page.len()).unwrap_or(u64::MAX));
        let short = Reason::ShortBuffer { got, needed };
        let length = usize::try_from(needed.get()).map_err(|_| short)?;
        let page = page.get_mut(..length).ok_or(short)?;

        let last_page = match self.pages.get().checked_sub(1).map(u32::try_from) {
            None | Some(Ok(0)) => return Err(Reason::NoUsablePage { found: self.pages }),
            Some(Err(_)) => {
                return Err(Reason::AreaTooLarge { pages: self.pages, limit: MOST_PAGES });
            }
            Some(Ok(last)) => last,
        };
        let limit = bad_page_limit(self.page_size);
        let count = u32::try_from(self.bad_pages.len()).unwrap_or(u32::MAX);
        if count > limit {
            return Err(Reason::BadPagesTooMany { count, limit });
        }
        let last = PageIndex::new(last_page.into());
        for bad in self.bad_pages {
            if bad.get() == 0 || *bad > last {
                return Err(Reason::BadPageOutside { bad: *bad, last });
            }
        }

        page.get_mut(VERSION..).unwrap_or_default().fill(0);
        put(page, VERSION, &self.endian.bytes(1));
        put(page, LAST_PAGE, &self.endian.bytes(last_page));
        put(page, BAD_COUNT, &self.endian.bytes(count));
        put(page, UUID, &self.uuid);
        put(page, LABEL, &self.label.0);
        let words = page.get_mut(BAD_PAGES..).unwrap_or_default().chunks_exact_mut(4);
        for (word, bad) in words.zip(self.bad_pages) {
            word.copy_from_slice(&self.endian.bytes(u32::try_from(bad.get()).unwrap_or(last_page)));
        }
        if let Some(magic) = page.last_chunk_mut() {
            *magic = MAGIC;
        }
        Ok(())
    }
}

/// A label of at most 16 bytes, padded with zeros.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Label([u8; 16]);

impl Label {
    /// No label.
    pub const NONE: Self = Self([0; 16]);

    /// Returns `None` when the text is longer than 16 bytes or holds a zero byte.
    pub fn new(text: &str) -> Option<Self> {
        let mut label = [0; 16];
        label.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.bytes().any(|byte| byte == 0)).then_some(Self(label))
    }
}

/// Puts a field into a page that is known to be long enough.
fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = page.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        field.copy_from_slice(bytes);
    }
}

/// `last_page` has 32 bits.
const MOST_PAGES: PageCount = PageCount::new(1 << 32);
