//! What a plug asks of its user: context, alignment, folios; and what is told to those who do not give it.

use super::mapped::PAGE;
use super::naive::Step;
use super::server::{How, Log};
use super::{Shape, pages, sound};

/// The end of each folio, by number.
fn ends(log: &Log) -> Vec<&'static str> {
    let mut ends: Vec<_> = log.ends.borrow().iter().map(|(id, _, end)| (*id, end.err().unwrap_or("done"))).collect();
    ends.sort_unstable();
    ends.into_iter().map(|(_, end)| end).collect()
}

#[test]
fn who_reclaims_inside_a_filesystem_may_not_enter_one() {
    // Served through a file, REQUIRE_NOFS, context, and what a write is told. A read may always.
    let rows = [
        (false, false, 0, "done"),
        (false, false, 1, "done"),
        (false, false, 2, "reclaim-context"),
        (false, true, 0, "done"),
        (false, true, 1, "reclaim-context"),
        (false, true, 2, "reclaim-context"),
        (true, false, 0, "done"),
        (true, false, 1, "reclaim-context"),
        (true, false, 2, "reclaim-context"),
        (true, true, 0, "done"),
        (true, true, 1, "reclaim-context"),
        (true, true, 2, "reclaim-context"),
    ];
    for (file, no_fs, context, told) in rows {
        for (write, told) in [(true, told), (false, "done")] {
            for by_operations in [true, false] {
                let mut play = sound(file, write, &pages(1, 2));
                (play.rules.no_fs, play.rules.context, play.by_operations) = (no_fs, context, by_operations);
                let log = play.check(Shape::Ops);
                assert_eq!(ends(&log), [told; 2], "file: {file}, no fs: {no_fs}, {context}, write: {write}");
            }
        }
    }
}

#[test]
fn a_wrong_context_passes_and_does_not_hide_what_stays() {
    // The header page is refused for good; that the task may not enter a filesystem now will pass.
    for by_operations in [true, false] {
        let mut play = sound(false, true, &pages(0, 1));
        (play.rules.no_fs, play.rules.context, play.by_operations) = (true, 1, by_operations);
        assert_eq!(ends(&play.check(Shape::Ops)), ["header-page"], "by the operations: {by_operations}");
    }
}

#[test]
fn one_bad_folio_fails_the_whole_request() {
    let add = |page, pages, alignment| Step::Add(page, pages, alignment);
    let rows = [
        ("sound", vec![add(1, 1, PAGE), add(2, 1, 512)], vec!["done"; 2]),
        ("an address of 256", vec![add(1, 1, PAGE), add(2, 1, 256)], vec!["misaligned"; 2]),
        ("no alignment", vec![add(1, 1, PAGE), add(2, 1, 0)], vec!["misaligned"; 2]),
        ("the header", vec![add(0, 1, PAGE), add(1, 1, PAGE)], vec!["header-page"; 2]),
        ("the end", vec![add(69, 1, PAGE), add(70, 1, PAGE)], vec!["outside-area"; 2]),
        // A folio that is none is told at once, and is no part of a request.
        ("three pages", vec![add(1, 1, PAGE), add(2, 3, PAGE), add(2, 1, PAGE)], vec!["done", "misaligned", "done"]),
        ("no page", vec![add(1, 1, PAGE), add(2, 0, PAGE), add(2, 1, PAGE)], vec!["done", "misaligned", "done"]),
        ("above the limit", vec![add(1, 64, PAGE)], vec!["request-too-long"]),
        ("far out", vec![add(u64::MAX, 1, PAGE), add(1, 1 << 63, PAGE)], vec!["outside-area", "request-too-long"]),
    ];
    for (name, steps, told) in rows {
        let play = sound(true, true, &steps);
        // The model counts in bare integers: what does not fit there is not asked of it.
        let log = if name == "far out" { play.serve(Shape::Ops, 0).0 } else { play.check(Shape::Ops) };
        assert_eq!(ends(&log), told, "{name}");
    }
}

#[test]
fn alignment_is_asked_of_each_folio() {
    // Direct I/O needs 512 here. A multiple of 768 need not be one, whatever stands beside it.
    let rows: [(&[u64], bool); 6] = [
        (&[512], true),
        (&[1536, 1024], true),
        (&[512, 4096, 1536], true),
        (&[768], false),
        (&[768, 1024], false),
        (&[768, 512], false),
    ];
    for (alignments, passes) in rows {
        let steps: Vec<_> = (1..).zip(alignments).map(|(page, alignment)| Step::Add(page, 1, *alignment)).collect();
        let (log, _) = sound(true, true, &steps).serve(Shape::Ops, 0);
        let told = if passes { "done" } else { "misaligned" };
        assert_eq!(ends(&log), vec![told; alignments.len()], "{alignments:?}");
    }
}

#[test]
fn each_way_to_end_a_batch_tells_every_folio() {
    let rows = [
        (How::Full, "done"),
        (How::Short, "short-io"),
        (How::Nothing, "short-io"),
        (How::Long, "short-io"),
        (How::Error, "io-failed"),
        (How::Lie, "io-failed"),
        (How::Drop, "request-dropped"),
    ];
    for (how, told) in rows {
        for write in [false, true] {
            let mut now = sound(true, write, &pages(1, 5));
            now.rules.hows = vec![how];
            assert_eq!(ends(&now.check(Shape::Ops)), [told; 5], "{how:?}");
            let mut later = sound(true, write, &[pages(1, 5), vec![Step::Flush, Step::Finish(how)]].concat());
            later.rules.hows = vec![How::Queue];
            assert_eq!(ends(&later.check(Shape::Ops)), [told; 5], "{how:?}, queued");
            later.rules.asynchronous = false;
            assert_eq!(ends(&later.check(Shape::Ops)), ["promise-missing"; 5], "{how:?}, not promised");
        }
    }
    let mut kept = sound(true, true, &pages(1, 5));
    kept.rules.hows = vec![How::Queue];
    assert_eq!(ends(&kept.check(Shape::Ops)), ["request-dropped"; 5], "queued, and its server is gone");
}
