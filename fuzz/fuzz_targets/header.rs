//! Law: any bytes are judged as the naive model of `read_swap_header` judges them, and what was read can be written.
//!
//! The bytes are laid over a page with a signature, so that the fuzzer need not find it. Run it with
//! `cargo fuzz run header` in the repository's root.

#![no_main]

#[path = "../../tests/naive/mod.rs"]
mod naive;

use libfuzzer_sys::fuzz_target;
use naive::{agree, header as model, plain};
use swap_dio::header::{Label, NewHeader};
use swap_dio::{Activation, Backing, Bytes, Header, PageCount, PageIndex, PageSize, Reason};

/// A start of a file, and the file.
#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    page: u8,
    /// Whether the bytes are taken as they are, or as the fields from offset 1024 on.
    raw: bool,
    magic: Option<[u8; 10]>,
    regular: bool,
    size: u64,
    maximum: u64,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let page_size = PageSize::ALL[usize::from(input.page) % PageSize::ALL.len()];
    let page = usize::try_from(page_size.bytes().get()).expect("small");
    let start = if input.raw {
        input.bytes.to_vec()
    } else {
        let mut start = vec![0; page];
        let room = &mut start[1024..page - 10];
        let length = room.len().min(input.bytes.len());
        room[..length].copy_from_slice(&input.bytes[..length]);
        start[page - 10..].copy_from_slice(&input.magic.unwrap_or(*b"SWAPSPACE2"));
        start
    };

    let expected = model::read(&start, page);
    let header = match (Header::read(&start, page_size), &expected) {
        (Ok(header), Ok(read)) => {
            assert_eq!(header.last_page().get(), u64::from(read.last_page));
            assert!(header.bad_pages().map(|bad| bad.get()).eq(read.bad_pages.iter().map(|bad| u64::from(*bad))));
            header
        }
        (Err(reason), Err(codes)) => return assert!(codes.contains(&reason.code()), "{reason:?}, not {codes:?}"),
        (got, expected) => panic!("{got:?}, the model says {expected:?}"),
    };
    let read = expected.expect("both are");
    let backing = if input.regular { Backing::RegularFile } else { Backing::BlockDevice };
    let area = header.area(backing, Bytes::new(input.size), PageCount::new(input.maximum));
    let pages = model::pages(&read, page, input.regular, input.size, input.maximum);
    assert_eq!(area.map(|area| area.pages().get()).map_err(|reason| vec![reason.code()]), pages);

    if let (Ok(area), Ok(pages @ ..=4096)) = (area, pages) {
        let bad: Vec<u64> = read.bad_pages.iter().map(|bad| u64::from(*bad)).collect();
        let expected = plain::block_device(page_size.bytes().get(), pages, u64::from(read.last_page), &bad);
        let got = Activation::block_device(&area, Vec::new());
        // The area of a file is none of a device, whatever its header says.
        if input.regular {
            assert_eq!(got.map(|map| map.totals()), Err(Reason::OtherBacking));
        } else {
            agree::same_totals(&expected, &got);
        }
    }
    write(&header, page_size, &start);
});

/// Writes what was read: the fields come out as they were, if the list of bad pages is one that may be written.
fn write(header: &Header<'_>, page_size: PageSize, start: &[u8]) {
    let bad: Vec<PageIndex> = header.bad_pages().collect();
    let pages = PageCount::new(header.last_page().get() + 1);
    let (endian, uuid) = (header.endian(), header.uuid());
    let label = std::str::from_utf8(&header.label()).ok().and_then(|text| Label::new(text.trim_end_matches('\0')));
    let new = NewHeader { page_size, endian, pages, uuid, label: label.unwrap_or(Label::NONE), bad_pages: &bad };
    let sound = bad.iter().all(|bad| bad.get() != 0 && *bad <= header.last_page());
    let mut page = start.to_vec();
    assert_eq!(new.write(&mut page).is_ok(), sound);
    if sound {
        let again = Header::read(&page, page_size).expect("just written");
        assert_eq!((again.endian(), again.last_page(), again.uuid()), (endian, header.last_page(), uuid));
        assert!(again.bad_pages().eq(bad));
        assert!(label.is_none() || again.label() == header.label());
    }
}
