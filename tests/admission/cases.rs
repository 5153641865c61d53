//! Requests of the peers' cases, family G, that need no kernel to be answered.

use super::mapped::{self, Map, PAGE, activate, map, room};
use super::{ENOUGH, SOUND};
use swap_dio::admit::{Policy, Request};
use swap_dio::flags::Direction;
use swap_dio::guard::{FileId, Operation, Pin, Pins, Relocation, Ruling, Scope};
use swap_dio::{Bytes, ExtentState, Features, FileExtent, Model, PageCount, PageIndex, PageSize, Reason};

fn run(first: u64, pages: u64, state: ExtentState) -> FileExtent {
    let [logical, physical, length] = [first, first + 100, pages].map(|pages| Bytes::new(pages * PAGE));
    FileExtent { state, ..FileExtent::written(logical, physical, length) }
}

/// The code of the refusal of a file of eight pages; `None` for a map of all of them.
fn refusal(model: Model, claims: &[FileExtent]) -> Option<&'static str> {
    let mut slots = room(8);
    match activate(model, 8, claims, slots.as_mut_slice()) {
        Ok(map) => {
            assert_eq!(map.totals().pages, PageCount::new(8));
            None
        }
        Err(reason) => Some(reason.code()),
    }
}

/// The code of the refusal of a request to an area of eight pages in the file model.
fn admitted(request: Request) -> Option<&'static str> {
    let mut slots = room(1);
    let policy = Policy::new(map(Model::File, &[(100, 8)], &mut slots), ENOUGH).expect("enough");
    policy.admit(&request).map(|ticket| ticket.complete(0)).map_err(|reason| reason.code()).err()
}

#[test]
fn p104_a_hole_is_refused_before_there_is_a_request() {
    use ExtentState::{Hole, Written};
    let rows = [
        ("none", vec![run(0, 8, Written)], None),
        ("said", vec![run(0, 3, Written), run(3, 1, Hole), run(4, 4, Written)], Some("hole")),
        ("not said", vec![run(0, 3, Written), run(4, 4, Written)], Some("hole")),
        ("at the end", vec![run(0, 7, Written)], Some("hole")),
        ("all of it", vec![], Some("hole")),
    ];
    for (name, claims, code) in rows {
        assert_eq!(refusal(Model::File, &claims), code, "{name}");
    }
}

#[test]
fn p106_p110_unwritten_is_refused_for_the_file_and_taken_for_the_device() {
    use ExtentState::{Unwritten, Written};
    let rows = [
        ("one page", vec![run(0, 3, Written), run(3, 1, Unwritten), run(4, 4, Written)]),
        ("all of it", vec![run(0, 8, Unwritten)]),
        ("the last page", vec![run(0, 7, Written), run(7, 1, Unwritten)]),
    ];
    for (name, claims) in rows {
        assert_eq!(refusal(Model::File, &claims), Some("unwritten"), "{name}: zeros are read, writes convert");
        assert_eq!(refusal(Model::Bio, &claims), None, "{name}: nobody reads through the file");
    }
}

#[test]
fn p107_a_request_ends_inside_the_validated_pages() {
    // First page, pages, whether it passes: eight pages, and the file may be longer by now.
    let rows = [
        (1, 7, true),
        (7, 1, true),
        (8, 1, false),
        (7, 2, false),
        (1, 8, false),
        (1, 32, false),
        (9, 1, false),
        (u64::MAX - 1, 1, false),
        (u64::MAX, 1, false),
        (u64::MAX, 32, false),
    ];
    for (first, pages, passes) in rows {
        for direction in Direction::ALL {
            let request = Request::new(direction, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE));
            assert_eq!(admitted(request), if passes { None } else { Some("outside-area") }, "{first}, {pages}");
        }
    }
    // The page that is named is the first of the request that is outside.
    let mut slots = room(1);
    let policy = Policy::new(map(Model::File, &[(100, 8)], &mut slots), ENOUGH).expect("enough");
    for (first, pages, named) in [(7, 2, 8), (1, 32, 8), (8, 4, 8), (9, 4, 9), (u64::MAX, 3, u64::MAX)] {
        let request = Request::new(Direction::Read, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE));
        let expected = Reason::OutsideArea { page: PageIndex::new(named), pages: PageCount::new(8) };
        assert_eq!(policy.admit(&request).err(), Some(expected), "{first}, {pages}");
    }
}

#[test]
fn p109_alignment_is_ours_to_ask_for() {
    // btrfs takes any, through the page cache. An offset is a page by its type; a length and an address are asked.
    #[repr(align(4096))]
    struct Memory([u8; 3 * 4096]);
    let mut memory = Memory([0; 3 * 4096]);
    // Where in the memory, how long, and the code.
    let rows = [
        (0, 4096, None),
        (0, 8192, None),
        (4096, 8192, None),
        (512, 4096, Some("misaligned")),
        (1, 4096, Some("misaligned")),
        (2048, 8192, Some("misaligned")),
        (0, 100, Some("misaligned")),
        (1, 100, Some("misaligned")),
        (0, 4095, Some("misaligned")),
        (0, 4097, Some("misaligned")),
        (0, 0, Some("request-empty")),
    ];
    let (first, mut slots) = (PageIndex::new(3), room(1));
    let policy = Policy::new(map(Model::File, &[(100, 8)], &mut slots), ENOUGH).expect("enough");
    for (at, length, code) in rows {
        let write = policy.writing(first, &memory.0[at..at + length]);
        let read = policy.reading(first, &mut memory.0[at..at + length]);
        for (request, direction) in [(write, Direction::Write), (read, Direction::Read)] {
            let judged = request.map_or_else(
                |reason| Some(reason.code()),
                |request| {
                    assert_eq!((request.direction, request.first), (direction, first));
                    assert_eq!(usize::try_from(request.pages.get() * PAGE), Ok(length));
                    admitted(request)
                },
            );
            assert_eq!(judged, code, "{length} bytes at {at}");
        }
    }
}

#[test]
fn p112_any_multiple_of_a_page_up_to_the_limit() {
    for model in Model::ALL {
        let mut slots = room(1);
        let features = ENOUGH.difference(Features::LARGE_FOLIO);
        let policy = Policy::new(map(model, &[(500, 80)], &mut slots), features).expect("enough");
        for (pages, first) in (1..=34).flat_map(|pages| (1..80).map(move |first| (pages, first))) {
            let request =
                Request::new(Direction::Write, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE));
            match policy.admit(&request) {
                Err(reason) if pages > 32 => assert_eq!(reason.code(), "request-too-long", "{reason}"),
                Err(reason) => assert_eq!((reason.code(), first + pages > 80), ("outside-area", true), "{reason}"),
                Ok(ticket) => {
                    assert!(pages <= 32 && first + pages <= 80, "{pages} at {first}");
                    assert_eq!(ticket.bytes(), Bytes::new(pages * PAGE));
                    // Swap offset times page, on the device by the map.
                    let from = if model == Model::File { first } else { 500 + first };
                    let runs: Vec<_> = ticket.runs().map(|run| (run.target().get(), run.length().get())).collect();
                    assert_eq!(runs, [(from, pages)], "{model:?}");
                    let all = i64::try_from(pages * PAGE).expect("small");
                    assert!(ticket.complete(all).result().is_some_and(|result| result.is_ok()));
                }
            }
        }
    }
}

#[test]
fn p114_a_filesystem_serves_swap_only_if_it_promises_all_of_it() {
    let map_of = |model| {
        let mut slots = room(1);
        let features =
            |features| Policy::new(map(model, &[(100, 8)], &mut slots), features).map(|policy| policy.promises());
        let mut judge = features;
        let needed = Features::required(model);
        assert!(judge(needed).is_ok_and(|promises| promises.model() == model), "{model:?}");
        for (name, promise) in needed.iter_names() {
            let reason = judge(Features::all().difference(promise)).expect_err("a promise is missing");
            assert_eq!(reason.code(), "promise-missing", "{model:?}, {name}");
            assert!(reason.to_string().contains(name), "{reason}");
        }
        needed
    };
    // Minimal memory is a promise of whoever serves; else bios go straight to the device, which must only stay.
    assert!(map_of(Model::File).contains(Features::MEMALLOC_SAFE | Features::NO_BUFFERED_FALLBACK));
    assert_eq!(map_of(Model::Bio), Features::STABLE_MAPPING);
}

#[test]
fn p115_pins_refuse_what_no_kernel_guard_stops() {
    // What the kernel refuses, it refuses to files that swapon(2) activated; a server's own file has the pins only.
    assert!(matches!(Operation::TruncateDown.ruling(), Ruling::Refused(_)));
    let file = FileId::new(12);
    let mut places = [Pin::EMPTY; 4];
    let mut pins = Pins::new(places.as_mut_slice(), PageSize::KIB_4);
    let mut slots = room(2);
    let map: Map<'_> = map(Model::Bio, &[(100, 4), (200, 4)], &mut slots);
    let pinned = pins.pin_map(file, map).expect("room for two");
    let mut policy = Policy::pinned(pinned, ENOUGH).expect("enough");
    let punch = Scope::Pages { first: PageIndex::new(203), pages: PageCount::new(1) };
    // ftruncate and rename over it free its blocks, a punch some of them, chattr +c rewrites them, a clone shares.
    let acts = [
        ("ftruncate", Relocation::Free, Scope::File(file)),
        ("punch", Relocation::Free, punch),
        ("rename over it", Relocation::Free, Scope::File(file)),
        ("chattr +c", Relocation::Rewrite, Scope::File(file)),
        ("clone", Relocation::Share, Scope::File(file)),
        ("balance", Relocation::Balance, Scope::Everything),
    ];
    let judge = |pins: &Pins<&mut [Pin]>, expected: Option<&str>| {
        for (name, act, scope) in acts {
            assert_eq!(pins.check(act, scope).map_err(|reason| reason.code()).err(), expected, "{name}");
        }
    };
    judge(&pins, Some("pinned"));
    let ticket = policy.admit(&SOUND.request).expect("sound");
    judge(&pins, Some("pinned"));
    assert!(ticket.complete(4 * 4096).result().is_some_and(|result| result.is_ok()));
    assert_eq!(policy.close(), Ok(()));
    judge(&pins, Some("pinned"));
    let pinned = policy.retire().expect("nothing is in flight").expect("the key that it was given");
    judge(&pins, Some("pinned"));
    assert_eq!((mapped::target(policy.map(), 5), pinned.file()), (Some(201), file));
    assert_eq!(policy.admit(&SOUND.request).map(drop).map_err(|reason| reason.code()), Err("closed"), "for good");
    assert!(policy.retire().expect("still nothing").is_none(), "the key is given back once");
    pins.unpin(pinned).expect("its own pins");
    judge(&pins, None);
}
