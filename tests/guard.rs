//! What may be done to an active swap file: the kernel's answers, written out once more, and the pins.

#[path = "guard/law.rs"]
mod law;
mod mapped;

use mapped::{map, room};
use swap_dio::guard::{FileId, Operation, Pin, Pinned, Pins, Relocation, Ruling, Scope};
use swap_dio::reason::{Answer, Errno, GuardFault};
use swap_dio::{Model, PageCount, PageIndex, PageSize, Reason, Verdict};

const DONE: Ruling = Ruling::Allowed;
const TEXT: Ruling = Ruling::Refused(Errno::ETXTBSY);
const PERM: Ruling = Ruling::Refused(Errno::EPERM);
const BUSY: Ruling = Ruling::Refused(Errno::EBUSY);
const INVALID: Ruling = Ruling::Refused(Errno::EINVAL);

/// `kernel-contract.md`, 6.5, and the cases of family F that show it.
const TABLE: &[(Operation, Ruling, &str)] = &[
    (Operation::Write, TEXT, "P-090"),
    (Operation::WriteDevice, TEXT, ""),
    (Operation::WriteResumeDevice, DONE, ""),
    (Operation::TruncateDown, TEXT, "P-094"),
    (Operation::TruncateUp, DONE, ""),
    (Operation::Allocate, TEXT, "P-096"),
    (Operation::MapSharedWritable, TEXT, "P-091"),
    (Operation::MapOther, DONE, "P-091"),
    (Operation::StoreShared, Ruling::Signal, "P-092"),
    (Operation::CopyRange, TEXT, "P-090"),
    (Operation::Remap, TEXT, "P-097"),
    (Operation::ExchangeRange, TEXT, "P-100"),
    (Operation::SwapExtents, INVALID, "P-100"),
    (Operation::MoveExtent, TEXT, "P-100"),
    (Operation::SwapBootLoader, INVALID, "P-100"),
    (Operation::SetCompression, INVALID, ""),
    (Operation::Defragment, TEXT, ""),
    (Operation::Snapshot, TEXT, ""),
    (Operation::RemoveDevice, TEXT, ""),
    (Operation::Shrink, TEXT, "P-102"),
    (Operation::Balance, Ruling::Skipped, "P-102"),
    (Operation::Scrub, Ruling::Skipped, "P-102"),
    (Operation::DeleteSubvolume, PERM, ""),
    (Operation::Unlink, PERM, ""),
    (Operation::Rename, PERM, ""),
    (Operation::Link, DONE, ""),
    (Operation::SetAttributes, DONE, "P-099"),
    (Operation::Open, DONE, ""),
    (Operation::Read, DONE, "P-099"),
    (Operation::Inspect, DONE, "P-099"),
    (Operation::Execute, TEXT, ""),
    (Operation::EnableVerity, TEXT, ""),
    (Operation::Activate, BUSY, ""),
    (Operation::CompressBlocks, Ruling::Skipped, ""),
    (Operation::Revalidate, Ruling::Skipped, ""),
    (Operation::Unmount, BUSY, "P-099"),
];

#[test]
fn every_operation_is_answered_as_the_kernel_does() {
    for operation in Operation::ALL {
        let rows: Vec<_> = TABLE.iter().filter(|(listed, ..)| *listed == operation).collect();
        let [(_, ruling, case)] = rows[..] else { panic!("{operation:?} has {} rows", rows.len()) };
        assert_eq!(operation.ruling(), *ruling, "{operation:?}, {case}");
        let words = operation.words();
        let expected = match *ruling {
            DONE => None,
            Ruling::Refused(errno) => {
                Some((GuardFault::Operation { operation: words, errno }, Answer::Refuses(errno), Some(errno)))
            }
            Ruling::Signal => Some((GuardFault::Signal { operation: words }, Answer::Signal, None)),
            Ruling::Skipped => Some((GuardFault::Skipped { operation: words }, Answer::Accepts, None)),
        };
        match (operation.check(), expected) {
            (Ok(()), None) => (),
            (Err(reason), Some((fault, answer, errno))) => {
                assert_eq!((reason, reason.answer(), reason.errno()), (Reason::Guard(fault), answer, errno));
                assert_eq!((reason.code(), reason.verdict()), ("guarded", Verdict::Retry), "{operation:?}");
                assert!(reason.to_string().starts_with(words), "{reason}");
            }
            (got, expected) => panic!("{operation:?}, {case}: {got:?}, not {expected:?}"),
        }
    }
    assert_eq!(TABLE.len(), Operation::ALL.len());
}

#[test]
fn operations_are_told_apart_and_say_where() {
    let words: std::collections::BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.words()).collect();
    assert_eq!(words.len(), Operation::ALL.len());
    for operation in Operation::ALL {
        let place = operation.source().split_once(':');
        assert!(place.is_some_and(|(file, function)| file.contains('/') && !function.is_empty()), "{operation:?}");
    }
}

/// Runs of pages, bare.
fn runs(runs: &[(u64, u64)]) -> impl Iterator<Item = (PageIndex, PageCount)> {
    runs.iter().map(|(first, pages)| (PageIndex::new(*first), PageCount::new(*pages)))
}

/// The pins that are held, bare, by page: file, first page, pages.
fn held(pins: &Pins<&mut [Pin]>) -> Vec<(u64, u64, u64)> {
    let bare = pins.held().iter().map(|pin| (pin.file().get(), pin.first().get(), pin.pages().get()));
    let mut held: Vec<_> = bare.collect();
    held.sort_unstable_by_key(|(_, first, _)| *first);
    held
}

/// What a check of some pages says: the pin that is named.
fn check(pins: &Pins<&mut [Pin]>, first: u64, pages: u64) -> Option<(u64, u64, u64)> {
    let scope = Scope::Pages { first: PageIndex::new(first), pages: PageCount::new(pages) };
    match pins.check(Relocation::Balance, scope) {
        Ok(()) => None,
        Err(Reason::Guard(GuardFault::Pinned { file, first, pages, .. })) => Some((file, first.get(), pages.get())),
        Err(other) => panic!("{other}"),
    }
}

/// Pins of two files: 7 has pages 10 to 13 and 30, 9 has 14 to 15; there is room for one more run.
fn two_files(places: &mut [Pin]) -> (Pins<&mut [Pin]>, Pinned, Pinned) {
    let mut pins = Pins::new(places, PageSize::KIB_4);
    let seven = pins.pin(FileId::new(7), runs(&[(30, 1), (10, 4)])).expect("room");
    let nine = pins.pin(FileId::new(9), runs(&[(14, 2)])).expect("room");
    (pins, seven, nine)
}

#[test]
fn pinning_is_all_or_nothing() {
    use GuardFault as F;
    let at = PageIndex::new;
    let twice = |file, first| F::TwicePinned { file, first: at(first) };
    let full = F::PinsFull { capacity: 4 };
    type Case<'c> = (&'static str, u64, &'c [(u64, u64)], Option<GuardFault>);
    let rows: [Case<'_>; 16] = [
        ("beside the others", 8, &[(16, 14)], None),
        ("before all", 8, &[(0, 10)], None),
        ("far away", 8, &[(1 << 51, 5)], None),
        ("a file that is active", 7, &[(100, 1)], Some(F::AlreadyPinned { file: 7 })),
        ("a file that is active, no run", 9, &[], Some(F::AlreadyPinned { file: 9 })),
        ("no room", 8, &[(100, 1), (102, 1)], Some(full)),
        ("no run", 8, &[], Some(F::EmptyPin { file: 8 })),
        ("an empty run", 8, &[(100, 0)], Some(F::EmptyPin { file: 8 })),
        ("another's last page", 8, &[(13, 1)], Some(twice(7, 13))),
        ("into another", 8, &[(9, 2)], Some(twice(7, 10))),
        ("out of another", 8, &[(15, 9)], Some(twice(9, 15))),
        ("around another", 8, &[(29, 3)], Some(twice(7, 30))),
        ("the same run", 8, &[(14, 2)], Some(twice(9, 14))),
        ("around all", 8, &[(0, 100)], Some(twice(7, 10))),
        ("inside another", 8, &[(11, 1)], Some(twice(7, 11))),
        ("its own", 8, &[(50, 3), (52, 1)], Some(full)),
    ];
    for (name, file, more, fault) in rows {
        let mut places = [Pin::EMPTY; 4];
        let (mut pins, ..) = two_files(&mut places);
        let before = held(&pins);
        assert_eq!(before, [(7, 10, 4), (9, 14, 2), (7, 30, 1)]);
        match (pins.pin(FileId::new(file), runs(more)), fault) {
            (Ok(pinned), None) => {
                assert_eq!((pinned.file().get(), pins.held().len()), (file, 4), "{name}");
                pins.unpin(pinned).expect("its own");
            }
            (Err(reason), Some(fault)) => assert_eq!(reason, Reason::Guard(fault), "{name}"),
            (got, expected) => panic!("{name}: {got:?}, not {expected:?}"),
        }
        assert_eq!(held(&pins), before, "{name}: as it was");
    }
    // Inside one file, where there is room.
    let mut places = [Pin::EMPTY; 4];
    let mut pins = Pins::new(places.as_mut_slice(), PageSize::KIB_4);
    for (more, first) in [([(50, 3), (52, 1)], 52), ([(52, 1), (50, 3)], 52), ([(50, 1), (50, 1)], 50)] {
        let reason = pins.pin(FileId::new(8), runs(&more)).expect_err("twice");
        assert_eq!(reason, Reason::Guard(twice(8, first)));
        assert_eq!(held(&pins), []);
    }
}

#[test]
fn no_room_is_told_before_an_empty_run() {
    let mut places = [Pin::EMPTY; 4];
    let (mut pins, ..) = two_files(&mut places);
    let told = pins.pin(FileId::new(8), runs(&[(100, 1), (102, 0)])).map(drop);
    assert_eq!(told, Err(Reason::Guard(GuardFault::PinsFull { capacity: 4 })), "as documented");
}

#[test]
fn what_is_pinned_is_found_up_to_the_last_page() {
    for (first, pages) in [(u64::MAX - 1, 1), (u64::MAX, 1), (u64::MAX - 1, 2), (u64::MAX, 2), (1, u64::MAX)] {
        let mut places = [Pin::EMPTY; 1];
        let mut pins = Pins::new(places.as_mut_slice(), PageSize::KIB_4);
        // Refused is as good as found.
        let Ok(_pinned) = pins.pin(FileId::new(8), runs(&[(first, pages)])) else { continue };
        for page in [first, first.saturating_add(pages - 1)] {
            assert!(check(&pins, page, 1).is_some(), "{pages} pages from {first} on are pinned, {page} may move");
        }
    }
}

#[test]
fn a_refusal_names_the_first_pin_in_the_way() {
    let mut places = [Pin::EMPTY; 4];
    let (mut pins, seven, nine) = two_files(&mut places);
    let (low, high, other) = (Some((7, 10, 4)), Some((7, 30, 1)), Some((9, 14, 2)));
    // First page, pages, and the pin.
    let rows = [
        (0, 10, None),
        (0, 11, low),
        (10, 1, low),
        (13, 1, low),
        (13, 2, low),
        (14, 1, other),
        (15, 99, other),
        (16, 14, None),
        (16, 15, high),
        (30, 1, high),
        (31, u64::MAX, None),
        (0, u64::MAX, low),
        (u64::MAX, u64::MAX, None),
    ];
    for (first, pages, pin) in rows {
        assert_eq!(check(&pins, first, pages), pin, "{pages} at {first}");
    }
    let everything = |pins: &Pins<&mut [Pin]>| pins.check(Relocation::Balance, Scope::Everything).is_err();
    let file = |pins: &Pins<&mut [Pin]>, id| pins.check(Relocation::Defragment, Scope::File(FileId::new(id))).is_err();
    assert_eq!([everything(&pins), file(&pins, 7), file(&pins, 9), file(&pins, 8)], [true, true, true, false]);
    pins.unpin(seven).expect("its own");
    assert_eq!([check(&pins, 10, 4), check(&pins, 10, 5), check(&pins, 30, 1)], [None, other, None]);
    assert_eq!([everything(&pins), file(&pins, 7), file(&pins, 9)], [true, false, true]);
    pins.unpin(nine).expect("its own");
    assert_eq!([everything(&pins), file(&pins, 9), check(&pins, 0, u64::MAX).is_some()], [false; 3]);
}

#[test]
fn an_act_on_no_page_touches_nothing() {
    let mut places = [Pin::EMPTY; 4];
    let (pins, ..) = two_files(&mut places);
    for first in [0, 9, 10, 11, 13, 14, 15, 16, 30, 31, u64::MAX] {
        assert_eq!(check(&pins, first, 0), None, "at {first}");
    }
}

#[test]
fn every_act_has_its_answer() {
    let mut places = [Pin::EMPTY; 4];
    let (pins, ..) = two_files(&mut places);
    for act in Relocation::ALL {
        let errno = if act == Relocation::Collect { Errno::EAGAIN } else { Errno::ETXTBSY };
        let fault = GuardFault::Pinned {
            act: act.words(),
            file: 7,
            first: PageIndex::new(10),
            pages: PageCount::new(4),
            errno,
        };
        let reason = pins.check(act, Scope::Everything).expect_err("pinned");
        assert_eq!((reason, reason.errno()), (Reason::Guard(fault), Some(errno)), "{act:?}");
        assert_eq!((reason.code(), reason.verdict()), ("pinned", Verdict::Retry), "{act:?}");
    }
}

#[test]
fn only_its_own_key_unpins() {
    let (mut here, mut there) = ([Pin::EMPTY; 4], [Pin::EMPTY; 4]);
    let unknown = |file| Reason::Guard(GuardFault::PinUnknown { file });
    // Another filesystem with the same inode numbers, whose pins came in the same order: all that can be mixed up.
    let (mut pins, seven, nine) = two_files(&mut here);
    let (mut others, other_seven, other_nine) = two_files(&mut there);
    let before = held(&pins);
    let [other_seven, nine] =
        [pins.unpin(other_seven), others.unpin(nine)].map(|unpinned| unpinned.expect_err("foreign"));
    assert_eq!([other_seven.reason, nine.reason], [unknown(7), unknown(9)]);
    assert_eq!((held(&pins), held(&others)), (before.clone(), before));
    // The key came back: where it belongs, it still fits.
    pins.unpin(seven).expect("its own");
    pins.unpin(nine.pinned).expect("its own");
    others.unpin(other_nine).expect("its own");
    others.unpin(other_seven.pinned).expect("its own");
    assert_eq!((held(&pins), held(&others)), (vec![], vec![]));
}

#[test]
fn a_key_is_good_once_for_one_activation() {
    let (mut here, mut there) = ([Pin::EMPTY; 4], [Pin::EMPTY; 4]);
    let mut pins = Pins::new(here.as_mut_slice(), PageSize::KIB_4);
    let mut others = Pins::new(there.as_mut_slice(), PageSize::KIB_4);
    let file = FileId::new(5);
    let unknown = Reason::Guard(GuardFault::PinUnknown { file: 5 });
    let first = pins.pin(file, runs(&[(1, 1)])).expect("room");
    assert_eq!(others.unpin(first).map_err(Reason::from), Err(unknown), "these never pinned it");
    assert_eq!(held(&pins), [(5, 1, 1)], "its key is lost: it stays");
    // A failed pin in between, then the same file, twice.
    let sixth = FileId::new(6);
    let old = pins.pin(sixth, runs(&[(2, 1)])).expect("room");
    pins.unpin(old).expect("its own");
    assert!(pins.pin(sixth, runs(&[(1, 1)])).is_err());
    let new = pins.pin(sixth, runs(&[(2, 1)])).expect("free again");
    assert_eq!((new.file(), held(&pins)), (sixth, vec![(5, 1, 1), (6, 2, 1)]));
    pins.unpin(new).expect("its own");
    assert_eq!(held(&pins), [(5, 1, 1)]);
}

#[test]
fn maps_of_the_device_are_pinned_and_maps_of_the_file_are_not() {
    let mut places = [Pin::EMPTY; 4];
    let mut pins = Pins::new(places.as_mut_slice(), PageSize::KIB_4);
    let (mut bio, mut file) = (room(3), room(3));
    let bio = map(Model::Bio, &[(50, 2), (20, 3), (23, 1)], &mut bio);
    let file = map(Model::File, &[(50, 2), (20, 4)], &mut file);
    assert_eq!(pins.pin_map(FileId::new(1), file).map(drop), Err(Reason::Guard(GuardFault::NoDevicePages)));
    let pinned = pins.pin_map(FileId::new(1), bio).expect("room");
    assert_eq!(held(&pins), [(1, 20, 4), (1, 50, 2)], "every extent, the header's page too");
    pins.unpin(pinned.into_parts().1).expect("its own");
    // Pages of another size are other places.
    let mut large_places = [Pin::EMPTY; 1];
    let mut large = Pins::new(large_places.as_mut_slice(), PageSize::KIB_64);
    let mut slots = room(1);
    let fault = GuardFault::PinPageSize { map: PageSize::KIB_4, pins: PageSize::KIB_64 };
    let told = large.pin_map(FileId::new(1), map(Model::Bio, &[(50, 2)], &mut slots)).map(drop);
    assert_eq!(told, Err(Reason::Guard(fault)));
    // A filesystem that lies gives two swap pages one page of the device: not to be pinned.
    let mut slots = room(2);
    let liar = map(Model::Bio, &[(50, 2), (51, 3)], &mut slots);
    let fault = GuardFault::TwicePinned { file: 1, first: PageIndex::new(51) };
    assert_eq!(pins.pin_map(FileId::new(1), liar).map(drop), Err(Reason::Guard(fault)));
    assert_eq!(held(&pins), []);
}
