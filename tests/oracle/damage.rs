//! Headers: whole ones, and every way in which one can be wrong.

use std::fmt;

use fastrand::Rng;
use swap_dio::header::{Endian, Label, NewHeader};
use swap_dio::{PageCount, PageIndex, PageSize};

/// A header to be written; the last page is settled when the file's size is known.
#[derive(Clone, Debug)]
pub(crate) struct NewPage {
    last: Last,
    damage: Damage,
    /// What stands in the boot sectors, the UUID and the label, which nobody reads.
    junk: bool,
    bad: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Last {
    /// All whole pages of the file.
    Whole,
    More(u32),
    /// So many thousandths of them.
    Fewer(u32),
    Exactly(u32),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Damage {
    None,
    ForeignOrder,
    NoMagic,
    Magic(&'static [u8]),
    Version(u32),
    BadCount(u32),
    PageSize(u64),
    OneByte { at: u64, bit: u8 },
}

impl NewPage {
    /// Draws one: whole, most of the time.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let last = match rng.u32(..100) {
            0..80 => Last::Whole,
            80..92 => Last::Fewer(rng.u32(..1000)),
            92..96 => Last::More(rng.u32(1..4)),
            96 => Last::More(1 << rng.u32(2..31)),
            97 => Last::Exactly(u32::MAX - rng.u32(..2)),
            98 => Last::Exactly(rng.u32(1..4)),
            _ => Last::Exactly(0),
        };
        let damage = match rng.u32(..100) {
            0..84 => Damage::None,
            84..88 => Damage::ForeignOrder,
            88 => Damage::NoMagic,
            89 | 90 => Damage::Magic(MAGICS[rng.usize(..MAGICS.len())]),
            91 | 92 => Damage::Version([0, 2, 0x0200_0000, u32::MAX][rng.usize(..4)]),
            93 | 94 => Damage::BadCount([1, 2, 637, 638, u32::MAX][rng.usize(..5)]),
            95 | 96 => Damage::PageSize([8192, 16384, 65536][rng.usize(..3)]),
            _ => Damage::OneByte { at: HEADER + rng.u64(..4096 - HEADER), bit: rng.u8(..8) },
        };
        Self { last, damage, junk: rng.u32(..4) == 0, bad: Vec::new() }
    }

    /// Draws one for a block device of so many pages, which may have bad pages.
    pub(crate) fn draw_for_device(rng: &mut Rng, pages: u32) -> Self {
        let mut page = Self::draw(rng);
        if rng.bool() {
            // More entries than pages make the kernel count below zero, which is for a rare moment only.
            let most = if rng.u32(..100) == 0 { 637 } else { [2, 8, pages, 637][rng.usize(..4)].min(pages) };
            let out = if rng.u32(..8) == 0 { 2 } else { 0 };
            page.bad = (0..rng.u32(1..most.max(2))).map(|_| rng.u32(1..pages + out)).collect();
            if rng.u32(..20) == 0 {
                page.bad.push(0);
            }
        }
        page
    }

    /// The last page that it claims, for a file of so many bytes.
    fn last_page(&self, size: u64, page_size: u64) -> u32 {
        let whole = u32::try_from((size / page_size).saturating_sub(1)).unwrap_or(u32::MAX);
        match self.last {
            Last::Whole => whole,
            Last::More(more) => whole.saturating_add(more),
            Last::Fewer(thousandths) => u32::try_from(u64::from(whole) * u64::from(thousandths) / 1000).unwrap_or(0),
            Last::Exactly(last) => last,
        }
    }

    /// The bytes of a header, and where in the file they go.
    pub(crate) fn bytes(&self, size: u64, page_size: u64) -> Vec<(u64, Vec<u8>)> {
        let foreign = if Endian::NATIVE == Endian::Little { Endian::Big } else { Endian::Little };
        let endian = if self.damage == Damage::ForeignOrder { foreign } else { Endian::NATIVE };
        let word = |value: u32| if endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        let laid_for = if let Damage::PageSize(other) = self.damage { other } else { page_size };
        let bad_pages: Vec<PageIndex> = Vec::new();
        let header = NewHeader {
            page_size: PageSize::new(laid_for).expect("a page size"),
            endian,
            pages: PageCount::new(2),
            uuid: if self.junk { [0xa5; 16] } else { [0; 16] },
            label: if self.junk { Label::new("a label").expect("a label") } else { Label::NONE },
            bad_pages: &bad_pages,
        };
        let mut page = vec![0; 64 << 10];
        header.write(&mut page).expect("a plain header");
        page.truncate(usize::try_from(laid_for).expect("a page fits in memory"));
        // What our own writer rightly refuses to write is poked in.
        put(&mut page, LAST_PAGE, &word(self.last_page(size, page_size)));
        put(&mut page, BAD_COUNT, &word(u32::try_from(self.bad.len()).expect("few")));
        for (index, bad) in self.bad.iter().enumerate() {
            put(&mut page, BAD_PAGES + 4 * index, &word(*bad));
        }
        let end = page.len() - MAGIC.len();
        match self.damage {
            Damage::None | Damage::ForeignOrder | Damage::PageSize(_) => (),
            Damage::NoMagic => put(&mut page, end, &[0; 10]),
            Damage::Magic(magic) => put(&mut page, end, magic),
            Damage::Version(version) => put(&mut page, VERSION, &word(version)),
            Damage::BadCount(count) => put(&mut page, BAD_COUNT, &word(count)),
            Damage::OneByte { at, bit } => page[usize::try_from(at).expect("within a page")] ^= 1 << bit,
        }
        let mut parts = vec![(HEADER, page.split_off(1024))];
        if self.junk {
            parts.push((0, vec![0xa5; 1024]));
        }
        parts
    }

    /// In words, once the size is known.
    pub(crate) fn told(&self, size: u64, page_size: u64) -> String {
        let bad = if self.bad.is_empty() { String::new() } else { format!(", bad pages {:?}", self.bad) };
        let junk = if self.junk { ", junk in the boot sectors" } else { "" };
        format!("header: last page {}{}{bad}{junk}", self.last_page(size, page_size), self.damage)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::ForeignOrder => write!(f, ", the other byte order"),
            Self::NoMagic => write!(f, ", no magic"),
            Self::Magic(magic) => write!(f, ", magic {:?}", String::from_utf8_lossy(magic)),
            Self::Version(version) => write!(f, ", version {version}"),
            Self::BadCount(count) => write!(f, ", bad-page count {count}"),
            Self::PageSize(size) => write!(f, ", laid out for pages of {size} bytes"),
            Self::OneByte { at, bit } => write!(f, ", bit {bit} of byte {at} flipped"),
        }
    }
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    page[at..at + bytes.len()].copy_from_slice(bytes);
}

const MAGIC: &[u8; 10] = b"SWAPSPACE2";
/// The obsolete one, images of hibernation, and near misses.
const MAGICS: &[&[u8]] = &[
    b"SWAP-SPACE",
    b"S1SUSPEND\0",
    b"S2SUSPEND\0",
    b"ULSUSPEND\0",
    b"LINHIB0001",
    b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c",
    b"SWAPSPACE1",
    b"swapspace2",
];

const HEADER: u64 = 1024;
const VERSION: usize = 1024;
const LAST_PAGE: usize = 1028;
const BAD_COUNT: usize = 1032;
const BAD_PAGES: usize = 1536;
