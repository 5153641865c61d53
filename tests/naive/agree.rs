//! The laws: the crate and the models agree on every file, whichever way the claims are fed.

use super::{Claim, FLAGS, File, Map, Refusal, Rules, State};
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::{
    Activation, Area, Backing, BlockSize, Bytes, DeviceId, ExtentFlags, ExtentState, FileExtent, Header, PageCount,
    PageIndex, PageSize, Profile, Reason, Slot, SwapMap, Tally, Totals,
};

/// Feeds a file to the crate in every way and compares with its model. Tells whether the file was accepted.
pub(crate) fn check(file: &File) -> bool {
    let expected = file.activate();
    let stopped = first_refusal(file);
    let (map, reported) = everything(file);
    match (&expected, &stopped, &map) {
        (Ok(expected), Ok(stopped), Ok(map)) => {
            same(file, expected, map);
            same(file, expected, stopped);
            assert!(reported.is_empty(), "accepted, yet {reported:?}: {file:?}");
            memory(file, map);
        }
        (Err(codes), Err(first), Err(reason)) => {
            assert!(codes.contains(&first.code()), "{first:?}, the model says {codes:?}: {file:?}");
            assert_eq!(first, reason, "push and push_all: {file:?}");
            assert_eq!(reported.first(), Some(first), "the report begins with the first: {file:?}");
            assert_eq!(tally(file), Err(*first), "{file:?}");
        }
        _ => panic!("the model says {expected:?}, push {stopped:?}, push_all {map:?}: {file:?}"),
    }
    restart(file, &map);
    expected.is_ok()
}

/// Compares a map with the model's, page by page.
pub(crate) fn same(file: &File, expected: &Map, map: &SwapMap<Vec<Slot>>) {
    let pages = u64::try_from(expected.targets.len()).expect("small");
    let totals = Totals {
        pages: PageCount::new(pages),
        usable: PageCount::new(expected.usable),
        extents: u32::try_from(expected.extents).expect("small"),
        span: PageCount::new(expected.span),
    };
    assert_eq!(map.totals(), totals, "{file:?}");
    assert_eq!(map.is_identity(), expected.identity, "{file:?}");
    for (page, target) in (0..).zip(&expected.targets) {
        let run = map.run(PageIndex::new(page)).expect("a page of the area");
        let (first, length) = (run.first().get(), run.length().get());
        assert_eq!((first, run.target().get()), (page, *target), "page {page}: {file:?}");
        let expected_length = (0..).zip(&expected.targets[usize::try_from(page).expect("small")..]);
        let expected_length = expected_length.take_while(|(more, at)| target.checked_add(*more) == Some(**at)).count();
        assert_eq!(usize::try_from(length), Ok(expected_length), "page {page}: {file:?}");
    }
    assert!(map.run(PageIndex::new(pages)).is_err());
}

/// Feeds until the first refusal.
pub(crate) fn first_refusal(file: &File) -> Result<SwapMap<Vec<Slot>>, Reason> {
    let mut activation = start(file, Vec::new())?;
    for claim in &file.claims {
        if let Err(reason) = activation.push(&extent(claim)) {
            assert_eq!(activation.finish().map(|map| map.totals()), Err(reason), "no map after a refusal: {file:?}");
            return Err(reason);
        }
    }
    activation.finish()
}

/// Feeds everything and collects every reason.
pub(crate) fn everything(file: &File) -> (Result<SwapMap<Vec<Slot>>, Reason>, Vec<Reason>) {
    let mut reported = Vec::new();
    let mut activation = match start(file, Vec::new()) {
        Ok(activation) => activation,
        Err(reason) => return (Err(reason), vec![reason]),
    };
    for claim in &file.claims {
        activation.push_all(&extent(claim), |reason| reported.push(reason));
    }
    let map = activation.finish_all(|reason| reported.push(reason));
    (map, reported)
}

/// Counts without memory.
pub(crate) fn tally(file: &File) -> Result<Totals, Reason> {
    let mut activation = start(file, Tally)?;
    for claim in &file.claims {
        activation.push(&extent(claim))?;
    }
    activation.finish()
}

/// Every kind of memory gives the same map; one slot less than needed gives none.
fn memory(file: &File, map: &SwapMap<Vec<Slot>>) {
    assert_eq!(tally(file), Ok(map.totals()), "{file:?}");
    let needed = Slot::needed(usize::try_from(map.totals().extents).expect("small"));
    for slots in [0, needed - 1, needed, needed + 1] {
        let mut memory = vec![Slot::EMPTY; slots];
        let result = start(file, memory.as_mut_slice()).and_then(|mut activation| {
            for claim in &file.claims {
                activation.push(&extent(claim))?;
            }
            activation.finish()
        });
        match result {
            Ok(lent) if slots >= needed => {
                assert_eq!(lent.totals(), map.totals());
                for page in (0..map.totals().pages.get()).map(PageIndex::new) {
                    assert_eq!(lent.run(page), map.run(page), "{file:?}");
                }
            }
            Err(Reason::MapFull { capacity }) if slots < needed => {
                assert_eq!(usize::try_from(capacity), Ok(slots));
            }
            other => panic!("{slots} slots of {needed}: {other:?}: {file:?}"),
        }
    }
}

/// An activation that was fed junk and restarted is a fresh one.
fn restart(file: &File, fresh: &Result<SwapMap<Vec<Slot>>, Reason>) {
    let Ok(mut activation) = start(file, Vec::new()) else { return };
    for number in 0..40u64 {
        let (at, place) = (number * file.page, (80 - number * 2) * file.page);
        let junk = FileExtent::written(Bytes::new(at), Bytes::new(place), Bytes::new(file.page));
        activation.push_all(&junk, |_| ());
    }
    for claim in file.claims.iter().rev() {
        activation.push_all(&extent(claim), |_| ());
    }
    activation.restart();
    for claim in &file.claims {
        activation.push_all(&extent(claim), |_| ());
    }
    match (activation.finish(), fresh) {
        (Ok(map), Ok(fresh)) => {
            assert_eq!(map.totals(), fresh.totals(), "{file:?}");
            assert_eq!(map.is_identity(), fresh.is_identity(), "{file:?}");
            assert!(map.extents().eq(fresh.extents()), "{file:?}");
        }
        (Err(reason), Err(fresh)) => assert_eq!(reason, *fresh, "{file:?}"),
        // Read again after blocks were moved, the last run may end inside a section.
        (Ok(_), Err(Reason::SectionUnaligned { range, .. })) => {
            let needed = file.max.min(file.size / file.page) * file.page;
            assert!(range.offset.get() + range.length.get() >= needed, "{file:?}");
        }
        (map, fresh) => panic!("restarted {map:?}, fresh {fresh:?}: {file:?}"),
    }
}

fn start<S: swap_dio::map::Store>(file: &File, store: S) -> Result<Activation<S>, Reason> {
    let activation = Activation::new(profile(file), &area(file), store)?;
    Ok(match file.device_size {
        Some(size) => activation.on_device_of(Bytes::new(size)),
        None => activation,
    })
}

/// The area of a regular file, by way of a header that says so many pages.
pub(crate) fn area(file: &File) -> Area {
    let page_size = page_size(file.page);
    let mut page = vec![0; usize::try_from(file.page).expect("small")];
    let header = NewHeader {
        page_size,
        endian: Endian::NATIVE,
        pages: PageCount::new(file.max),
        uuid: [0; 16],
        label: Label::NONE,
        bad_pages: &[],
    };
    header.write(&mut page).expect("two pages at least");
    let header = Header::read(&page, page_size).expect("just written");
    header.area(Backing::RegularFile, Bytes::new(file.size), MAXIMUM_PAGES).expect("as long as the header says")
}

pub(crate) fn profile(file: &File) -> Profile {
    let block = |bytes| BlockSize::new(bytes).expect("a power of two");
    match file.rules {
        Rules::Iomap { device } => Profile::Iomap { device: DeviceId::new(device) },
        Rules::Bmap { block: bytes } => Profile::Bmap { block: block(bytes) },
        Rules::Btrfs { sector } => Profile::Btrfs { sector: block(sector) },
        Rules::F2fs { main, section } => Profile::F2fs { main: PageIndex::new(main), section: Bytes::new(section) },
        Rules::File => Profile::File,
    }
}

pub(crate) fn page_size(bytes: u64) -> PageSize {
    PageSize::new(bytes).expect("4 to 64 KiB")
}

pub(crate) fn extent(claim: &Claim) -> FileExtent {
    let flag = |code: &str| match code {
        "uncommitted" => ExtentFlags::UNCOMMITTED,
        "shared" => ExtentFlags::SHARED,
        "compressed" => ExtentFlags::COMPRESSED,
        "encrypted" => ExtentFlags::ENCRYPTED,
        "profile-not-single" => ExtentFlags::NOT_SINGLE,
        "busy" => ExtentFlags::GROUP_READ_ONLY,
        "sequential-zone" => ExtentFlags::SEQUENTIAL_ZONE,
        "misaligned" => ExtentFlags::NOT_ALIGNED,
        other => panic!("{other} is no flag"),
    };
    FileExtent {
        logical: Bytes::new(claim.logical),
        physical: claim.physical.map(Bytes::new),
        length: Bytes::new(claim.length),
        state: match claim.state {
            State::Hole => ExtentState::Hole,
            State::Delayed => ExtentState::Delayed,
            State::Written => ExtentState::Written,
            State::Unwritten => ExtentState::Unwritten,
            State::Inline => ExtentState::Inline,
        },
        flags: FLAGS.iter().filter(|(bit, _)| claim.flags & bit != 0).map(|(_, code)| flag(code)).collect(),
        device: DeviceId::new(claim.device),
    }
}

/// Compares an answer without claims, of a network file or a block device.
pub(crate) fn same_totals(expected: &Result<Map, Refusal>, got: &Result<SwapMap<Vec<Slot>>, Reason>) {
    match (expected, got) {
        (Ok(expected), Ok(map)) => {
            let totals = map.totals();
            assert_eq!(usize::try_from(totals.pages.get()), Ok(expected.targets.len()));
            assert_eq!(totals.usable.get(), expected.usable);
            assert_eq!(u64::from(totals.extents), expected.extents);
            assert_eq!(totals.span.get(), expected.span);
            assert_eq!(map.is_identity(), expected.identity);
            for (page, target) in (0..).zip(&expected.targets) {
                assert_eq!(map.run(PageIndex::new(page)).map(|run| run.target().get()), Ok(*target));
            }
        }
        (Err(codes), Err(reason)) => assert!(codes.contains(&reason.code()), "{reason:?}, the model says {codes:?}"),
        _ => panic!("the model says {expected:?}, the crate {got:?}"),
    }
}
