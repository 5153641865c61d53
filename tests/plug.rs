//! The plug against a naive merger: the same requests in the same order, and each folio told its end once.

#[path = "plug/demands.rs"]
mod demands;
mod mapped;
#[path = "plug/naive.rs"]
mod naive;
#[path = "plug/server.rs"]
mod server;

use mapped::{PAGE, map, room, targets};
use naive::{Rules, Step};
use proptest::prelude::*;
use server::{Handle, Heard, How, Log, Memory, Server, Submitted};
use std::cell::RefCell;
use swap_dio::admit::{Context, Outcome, Policy};
use swap_dio::flags::Direction;
use swap_dio::reason::RequestFault;
use swap_dio::swap_ops::{OpsAsRw, OpsFlags, Plug, RwAsOps, SwapOps};
use swap_dio::{Bytes, DirectIo, Features, Model, PageCount, PageIndex, Reason, Slot};

const NOFS: OpsFlags = OpsFlags::REQUIRE_NOFS;

/// A script and everything that has a say in it.
#[derive(Clone, Debug)]
struct Play {
    places: Vec<(u64, u64)>,
    rules: Rules,
    /// Which of the two demands it, where `rules.no_fs` is so.
    by_operations: bool,
    steps: Vec<Step>,
}

/// Where the server stands.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Ops,
    Rw,
    OpsAsRw,
}

impl Play {
    fn policy<'s>(&self, slots: &'s mut [Slot]) -> Policy<&'s [Slot]> {
        let rules = &self.rules;
        let model = if rules.file { Model::File } else { Model::Bio };
        let mut features = Features::required(model);
        features.set(Features::SYNCHRONOUS, rules.synchronous);
        features.set(Features::ASYNC_COMPLETION, rules.asynchronous);
        features.set(Features::LARGE_FOLIO, rules.large);
        features.set(Features::SURVIVES_SHUTDOWN, rules.survives);
        features.set(Features::REQUIRES_NOFS, rules.no_fs && !self.by_operations);
        let [memory, page] = [rules.alignment, PAGE].map(Bytes::new);
        Policy::new(map(model, &self.places, slots), features)
            .expect("enough")
            .at_most(PageCount::new(rules.limit))
            .in_flight_at_most(u32::try_from(rules.in_flight).expect("small"))
            .with_direct_io(&DirectIo::Aligned { memory, offset: page, read_offset: page })
            .expect("fits in a page")
    }

    /// Plays the script through a server of a shape, and holds everything against the model.
    fn check(&self, shape: Shape) -> Log {
        let mut seen = self.rules.play(&self.steps);
        let (log, dropped) = self.serve(shape, seen.left() / 2);
        for _ in 0..seen.left() / 2 {
            seen.finish(How::Full);
        }
        while seen.left() > 0 {
            seen.finish(How::Drop);
        }
        assert_eq!(dropped, seen.dropped);

        let direction = if self.rules.write { Direction::Write } else { Direction::Read };
        let submitted: Vec<Submitted> =
            seen.submitted.into_iter().map(|(first, pages, ids)| (direction, first, pages, ids)).collect();
        assert_eq!(*log.submitted.borrow(), submitted);
        let mut ends = vec![Vec::new(); seen.ends.len()];
        for (id, way, result) in log.ends.borrow().iter() {
            assert_eq!(*way, direction);
            ends[*id].push(result.err().unwrap_or("done"));
        }
        let expected: Vec<Vec<_>> = seen.ends.into_iter().map(|told| told.into_iter().collect()).collect();
        assert_eq!(ends, expected, "what each folio was told");
        log
    }

    /// Plays the script; of what is queued at the end the first so many are done, the others go with the server.
    ///
    /// Gives also how many requests the policy found given up.
    fn serve(&self, shape: Shape, done: usize) -> (Log, u32) {
        let rules = &self.rules;
        let mut slots = room(self.places.len());
        let (policy, log) = (self.policy(&mut slots), Log::default());
        let flags = if rules.no_fs && self.by_operations { NOFS } else { OpsFlags::empty() };
        let model = if rules.file { Model::File } else { Model::Bio };
        let server = Server::new(&log, &rules.hows, &rules.together, model, flags);
        let (handle, heard) = (Handle(&server), RefCell::new(Vec::new()));
        match shape {
            Shape::Ops => self.run(&policy, &handle, &server),
            Shape::Rw => self.run(&policy, &RwAsOps(Heard(handle, &heard)), &server),
            Shape::OpsAsRw => self.run(&policy, &RwAsOps(Heard(OpsAsRw(handle), &heard)), &server),
        }
        check_answers(shape, &heard.into_inner(), &log);
        (0..done).for_each(|_| server.finish(How::Full));
        assert_eq!(usize::try_from(policy.in_flight()), Ok(server.queued.borrow().len()));
        drop(server);
        assert_eq!(policy.in_flight(), 0);
        let dropped = policy.dropped();
        (log, dropped)
    }

    fn run<'p, 'l, O: SwapOps<'p, Memory<'l>>>(
        &self,
        policy: &'p Policy<&[Slot]>,
        operations: &O,
        server: &Server<'p, 'l>,
    ) {
        let direction = if self.rules.write { Direction::Write } else { Direction::Read };
        let context = [Context::Unrestricted, Context::Nofs, Context::Noio][usize::from(self.rules.context)];
        let mut plug = Plug::new(policy, operations, direction).expect("of its model").within(context);
        let mut next = 0;
        for step in &self.steps {
            match *step {
                Step::Add(page, pages, alignment) => {
                    plug.add(PageIndex::new(page), Memory { id: next, pages, alignment, log: server.log });
                    next += 1;
                }
                Step::Flush => plug.flush(),
                Step::Finish(how) => server.finish(how),
                Step::ShutDown => policy.shut_down(),
                Step::Move => policy.mapping_moved(),
            }
        }
    }
}

/// What `swap_rw` returned: by itself what became of the batch, around `swap_ops` that it is queued.
fn check_answers(shape: Shape, heard: &[Outcome], log: &Log) {
    let submitted = log.submitted.borrow().len();
    match shape {
        Shape::Ops => assert_eq!(heard, []),
        Shape::Rw => assert_eq!(heard.len(), submitted),
        Shape::OpsAsRw => assert_eq!(heard, vec![Outcome::Queued; submitted]),
    }
}

prop_compose! {
    /// Folios that mostly follow each other, in an area whose runs often do so on the device.
    fn play()(
        mut places in prop::collection::vec((0..12u64, 1..6u64), 0..8),
        flags in any::<[bool; 9]>(),
        limit in prop_oneof![3 => 1..9u64, 3 => Just(32), 1 => Just(0), 1 => 30..70u64],
        alignment in prop_oneof![Just(512u64), Just(PAGE), Just(1)],
        in_flight in prop_oneof![Just(1usize), Just(2), Just(128)],
        context in prop_oneof![4 => Just(0u8), 1 => 1..3u8],
        together in prop_oneof![2 => Just(vec![true]), 1 => prop::collection::vec(prop::bool::weighted(0.8), 1..20)],
        hows in prop::collection::vec(how(), 1..8),
        steps in prop::collection::vec(step(), 0..90),
    ) -> Play {
        places.push((500, 60));
        let [file, write, synchronous, asynchronous, large, survives, no_fs, by_operations, whole] = flags;
        let model = if file { Model::File } else { Model::Bio };
        let targets = targets(model, &places);
        let rules = Rules {
            file, write, targets, limit, alignment, in_flight, synchronous: synchronous && whole, asynchronous, large,
            survives, no_fs, context, together, hows,
        };
        let mut next = 1;
        let steps = steps.into_iter().map(|step| match step {
            // A page that is far away is the next one.
            Step::Add(page, pages, alignment) => {
                let page = if page >= 100 { next } else { page };
                next = page + pages;
                Step::Add(page, pages, alignment)
            }
            other => other,
        });
        Play { places, steps: steps.collect(), rules, by_operations }
    }
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Full),
        1 => prop::sample::select(How::AT_ONCE.as_slice()),
        1 => Just(How::Drop),
        2 => Just(How::Queue),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pages =
        prop_oneof![12 => Just(1u64), 2 => Just(2), 1 => Just(4), 1 => Just(64), 1 => prop_oneof![Just(0u64), Just(3)]];
    let alignment = prop_oneof![20 => Just(PAGE), 2 => Just(2 * PAGE), 1 => Just(512u64), 1 => Just(0)];
    let page = prop_oneof![12 => Just(100u64), 1 => 0..100u64];
    let finish = prop_oneof![3 => prop::sample::select(How::AT_ONCE.as_slice()), 1 => Just(How::Drop)];
    prop_oneof![
        60 => (page, pages, alignment).prop_map(|(page, pages, alignment)| Step::Add(page, pages, alignment)),
        4 => Just(Step::Flush),
        4 => finish.prop_map(Step::Finish),
        1 => prop_oneof![Just(Step::ShutDown), Just(Step::Move)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_plug_merges_as_the_naive_merger(play in play()) {
        play.check(Shape::Ops);
    }

    #[test]
    fn every_shape_is_seen_the_same(mut play in play()) {
        // What the other shape has no word for: a batch that is dropped, a merge that is refused, fewer demands.
        play.rules.hows.iter_mut().filter(|how| **how == How::Drop).for_each(|how| *how = How::Error);
        play.rules.together = vec![true];
        (play.rules.no_fs, play.by_operations) = (true, true);
        // `swap_rw` has pages of the file.
        play.rules.file = true;
        play.rules.targets = targets(Model::File, &play.places);
        let direct = play.check(Shape::Ops);
        prop_assert_eq!(&play.check(Shape::Rw), &direct);
        prop_assert_eq!(&play.check(Shape::OpsAsRw), &direct);
    }
}

/// Sound in every way, for one batch after the other; the area has seventy pages, the device two runs.
fn sound(file: bool, write: bool, steps: &[Step]) -> Play {
    let places = vec![(100, 40), (200, 30)];
    let targets = targets(if file { Model::File } else { Model::Bio }, &places);
    let rules = Rules {
        file,
        write,
        targets,
        limit: 32,
        alignment: 512,
        in_flight: 128,
        synchronous: false,
        asynchronous: true,
        large: true,
        survives: false,
        no_fs: false,
        context: 0,
        together: vec![true],
        hows: vec![How::Full],
    };
    Play { places, rules, by_operations: true, steps: steps.to_vec() }
}

/// Pages one after the other, one folio each.
fn pages(first: u64, count: u64) -> Vec<Step> {
    (first..first + count).map(|page| Step::Add(page, 1, PAGE)).collect()
}

/// What was submitted: first page and pages of each request.
fn requests(play: &Play) -> Vec<(u64, u64)> {
    let log = play.check(Shape::Ops);
    log.submitted.into_inner().into_iter().map(|(_, first, pages, _)| (first, pages)).collect()
}

#[test]
fn neighbours_are_one_request_up_to_the_limit() {
    let limited = |limit| move |rules: &mut Rules| rules.limit = limit;
    let nothing = |_: &mut Rules| ();
    let large = |pages: &[(u64, u64)]| pages.iter().map(|(page, pages)| Step::Add(*page, *pages, PAGE)).collect();
    type Change<'c> = &'c dyn Fn(&mut Rules);
    // Name, steps, change, requests in the file model, in the bio model: there page 40 lies elsewhere.
    type Case<'c> = (&'static str, Vec<Step>, Change<'c>, Vec<(u64, u64)>, Vec<(u64, u64)>);
    let rows: [Case<'_>; 11] = [
        ("none", vec![], &nothing, vec![], vec![]),
        ("one", pages(1, 1), &nothing, vec![(1, 1)], vec![(1, 1)]),
        ("33 places, 64 pages", pages(1, 36), &limited(64), vec![(1, 32), (33, 4)], vec![(1, 32), (33, 4)]),
        ("33", pages(1, 33), &nothing, vec![(1, 32), (33, 1)], vec![(1, 32), (33, 1)]),
        ("a limit of three", pages(1, 7), &limited(3), vec![(1, 3), (4, 3), (7, 1)], vec![(1, 3), (4, 3), (7, 1)]),
        ("across runs", pages(38, 4), &nothing, vec![(38, 4)], vec![(38, 2), (40, 2)]),
        ("backwards", [pages(5, 1), pages(4, 1)].concat(), &nothing, vec![(5, 1), (4, 1)], vec![(5, 1), (4, 1)]),
        ("twice", [pages(5, 1), pages(5, 1)].concat(), &nothing, vec![(5, 1), (5, 1)], vec![(5, 1), (5, 1)]),
        (
            "flushed",
            [pages(5, 1), vec![Step::Flush; 2], pages(6, 1)].concat(),
            &nothing,
            vec![(5, 1), (6, 1)],
            vec![(5, 1), (6, 1)],
        ),
        (
            "large folios",
            large(&[(1, 16), (17, 8), (25, 16)]),
            &nothing,
            vec![(1, 24), (25, 16)],
            vec![(1, 24), (25, 16)],
        ),
        (
            "at once",
            pages(1, 3),
            &|rules| rules.synchronous = true,
            vec![(1, 1), (2, 1), (3, 1)],
            vec![(1, 1), (2, 1), (3, 1)],
        ),
    ];
    for (name, steps, change, by_file, by_device) in rows {
        for (file, expected) in [(true, by_file), (false, by_device)] {
            let mut play = sound(file, true, &steps);
            change(&mut play.rules);
            assert_eq!(requests(&play), expected, "{name}, file: {file}");
        }
    }
    let mut read = sound(true, false, &pages(1, 3));
    read.rules.synchronous = true;
    assert_eq!(requests(&read), [(1, 3)], "a read waits for its neighbours");
}

#[test]
fn the_two_models_never_mix() {
    let refused = |server, area| Some(Reason::Request(RequestFault::OtherModel { server, area }));
    let log = Log::default();
    for (area, other) in [(Model::Bio, Model::File), (Model::File, Model::Bio)] {
        let play = sound(area == Model::File, true, &[]);
        let mut slots = room(play.places.len());
        let policy = play.policy(&mut slots);
        let [same, wrong] =
            [area, other].map(|model| Server::new(&log, &[How::Full], &[true], model, OpsFlags::empty()));
        let told = Plug::new(&policy, &Handle(&same), Direction::Write).map(drop).err();
        assert_eq!(told, None);
        let told = Plug::new(&policy, &Handle(&wrong), Direction::Write).map(drop).err();
        assert_eq!(told, refused(other, area));
        // `swap_rw` is the file model's, whoever serves it.
        let by_rw = Plug::new(&policy, &RwAsOps(Handle(&same)), Direction::Write).map(drop).err();
        assert_eq!(by_rw, if area == Model::File { None } else { refused(Model::File, area) });
    }
    // Operations of a device behind `swap_rw`: each batch is refused, and each folio told.
    let play = sound(true, true, &[]);
    let mut slots = room(play.places.len());
    let policy = play.policy(&mut slots);
    let device = Server::new(&log, &[How::Full], &[true], Model::Bio, OpsFlags::empty());
    let operations = RwAsOps(OpsAsRw(Handle(&device)));
    let mut plug = Plug::new(&policy, &operations, Direction::Write).expect("it looks like a file");
    plug.add(PageIndex::new(1), Memory { id: 0, pages: 1, alignment: PAGE, log: &log });
    drop(plug);
    assert_eq!(*log.ends.borrow(), [(0, Direction::Write, Err("other-model"))]);
    assert!(log.submitted.borrow().is_empty());
}
