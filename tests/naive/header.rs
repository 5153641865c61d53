//! `read_swap_header`, from the bytes, in its order.

use super::Refusal;

/// What the kernel makes of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) big_endian: bool,
    pub(crate) last_page: u32,
    pub(crate) bad_pages: Vec<u32>,
    pub(crate) bad_count: u32,
}

/// The header alone: signature, foreign bad-page bound, version, empty.
pub(crate) fn read(start: &[u8], page: usize) -> Result<Read, Refusal> {
    let magic = |page: usize| start.get(page - 10..page);
    let limit = u32::try_from((page - 10 - 1536) / 4).expect("small");
    match magic(page) {
        Some(b"SWAPSPACE2") => (),
        Some(b"SWAP-SPACE") => return Err(vec!["header-version"]),
        Some(b"LINHIB0001") => return Err(vec!["hibernation-image"]),
        Some([b'S', b'1' | b'2', rest @ ..]) if rest.starts_with(b"SUSPEND") => return Err(vec!["hibernation-image"]),
        Some(other) if other.starts_with(b"ULSUSPEND") => return Err(vec!["hibernation-image"]),
        Some([0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c, ..]) => return Err(vec!["hibernation-image"]),
        Some(_) | None => {
            // Two pages of zeros before a header that stands elsewhere are no header for larger pages.
            let one = matches!(start.get(1024..1028), Some([1, 0, 0, 0] | [0, 0, 0, 1]));
            let elsewhere =
                [4096, 8192, 16384, 32768, 65536].into_iter().any(|other| one && magic(other) == Some(b"SWAPSPACE2"));
            return Err(vec![if elsewhere { "header-page-size" } else { "header-missing" }]);
        }
    }
    let word = |at: usize| [start[at], start[at + 1], start[at + 2], start[at + 3]];
    let mut value: fn([u8; 4]) -> u32 = u32::from_ne_bytes;
    if value(word(1024)).swap_bytes() == 1 {
        value = |bytes| u32::from_ne_bytes(bytes).swap_bytes();
        if value(word(1032)) > limit {
            return Err(vec!["header-bad-pages"]);
        }
    }
    if value(word(1024)) != 1 {
        return Err(vec!["header-version"]);
    }
    if value(word(1028)) == 0 {
        return Err(vec!["header-empty"]);
    }
    let bad_count = value(word(1032));
    Ok(Read {
        big_endian: word(1024) == [0, 0, 0, 1],
        last_page: value(word(1028)),
        bad_pages: (0..bad_count.min(limit))
            .map(|index| value(word(1536 + 4 * usize::try_from(index).expect("small"))))
            .collect(),
        bad_count,
    })
}

/// The pages of the area: short, bad pages on a regular file, too many bad pages; then a maximum below two.
pub(crate) fn pages(read: &Read, page: usize, regular: bool, size: u64, maximum: u64) -> Result<u64, Refusal> {
    let last_page = u64::from(read.last_page);
    let mut pages = maximum;
    if pages > last_page {
        pages = last_page + 1;
    }
    // `sis->max` has 32 bits.
    pages = pages.min(0xffff_ffff);
    let held = size / u64::try_from(page).expect("small");
    // A device may not know its size; a file of less than a page has no signature, unless somebody lies.
    if (held != 0 || regular) && pages > held {
        return Err(vec!["header-short"]);
    }
    if read.bad_count != 0 && regular {
        return Err(vec!["header-bad-pages"]);
    }
    if usize::try_from(read.bad_count).expect("32 bits") > (page - 10 - 1536) / 4 {
        return Err(vec!["header-bad-pages"]);
    }
    if pages < 2 { Err(vec!["no-usable-page"]) } else { Ok(pages) }
}
