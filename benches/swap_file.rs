//! `cargo bench --features io-uring --bench swap_file`: the engine beside a bare loop of direct I/O of the same size
//! and depth, on one file, in turns: no policy, no ticket, no check, no look at the file.
//!
//! The file lies in the folder of the environment variable `SWAP_FILE_BENCH`, or else in /var/tmp; its disk decides how
//! much of a request is left to compare. Only the ratios mean something.
#![allow(unsafe_code)] // the bare ring pushes entries and registers memory itself

#[allow(dead_code)]
mod side_by_side;

use std::cell::RefCell;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};
use memmap2::{MmapMut, MmapOptions};
use rustix::io::{ReadWriteFlags, preadv2, pwritev2};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use side_by_side::is_bench_run;
use swap_dio::admit::Request;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Consumer, Ring, Serving, SwapFile};
use swap_dio::linux::{Plan, prepare};
use swap_dio::{Bytes, Model, PageCount, PageIndex};

fn main() {
    let folder = std::env::var_os("SWAP_FILE_BENCH").unwrap_or_else(|| "/var/tmp".into());
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let path = folder.path().join("swap");
    let go_on = |_| std::ops::ControlFlow::Continue(());
    if let Err(why) = prepare(&path, &Plan::new(Bytes::new(PAGES * PAGE), Model::File), go_on) {
        return println!("skipped: no file there can serve swap: {why}");
    }
    let file = SwapFile::open(&path, &Serving::new(Consumer::OtherKernel)).expect("a file that passes");
    let bare = descriptor(&path);
    // As a test each is only run. In a bench the turns are short and many, so that the disk's moods meet both alike.
    let turns = if is_bench_run() { 400 } else { 1 };
    for (direction, name) in [(Direction::Write, "pwritev2"), (Direction::Read, "preadv2")] {
        for pages in [1, 32] {
            // Of both: how scattered a piece of memory is decides what the device makes of it.
            let memory = RefCell::new(mapped(pages));
            let ratio = ratio(
                turns,
                || bare_loop(&bare, direction, pages, 32, &mut memory.borrow_mut()),
                || engine_loop(&file, direction, pages, 32, &mut memory.borrow_mut()),
            );
            print_ratio(&format!("{name}, {pages} pages"), ratio);
        }
    }
    for (direction, name) in [(Direction::Write, "writes"), (Direction::Read, "reads")] {
        for (depth, pages) in [(1, 1), (32, 1), (128, 1), (32, 32)] {
            let count = usize::from(depth) * if pages == 1 { 8 } else { 2 };
            // Each ring has memory of its own: of many, the luck of how scattered it is meets both alike.
            let rings = if turns > 1 { RINGS } else { 1 };
            let ratios = (0..rings).map(|_| {
                let mut bare = BareRing::new(&bare, depth, pages);
                let mut ring = Ring::new(&file, depth, PageCount::new(pages)).expect("a ring");
                let engine = || engine_ring(&file, &mut ring, direction, pages, count);
                ratio(turns.div_ceil(rings), || bare.run(direction, count), engine)
            });
            print_ratio(&format!("io_uring, {name}, {pages} pages, {depth} at once"), median(ratios.collect()));
        }
    }
}

/// Runs both in turns, either first every other time: how often the time of the second's median turn fits into the
/// first's.
fn ratio(turns: usize, mut bare: impl FnMut(), mut engine: impl FnMut()) -> f64 {
    let timed = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        if turn % 2 == 0 {
            times[0].push(timed(&mut bare));
            times[1].push(timed(&mut engine));
        } else {
            times[1].push(timed(&mut engine));
            times[0].push(timed(&mut bare));
        }
    }
    let [bare, engine] = times.map(|times| median(times.iter().map(Duration::as_secs_f64).collect()));
    bare / engine
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_ratio(title: &str, ratio: f64) {
    println!("{title:<44} {ratio:.3} x a bare loop's rate");
}

fn bare_loop(fd: &OwnedFd, direction: Direction, pages: u64, count: usize, memory: &mut MmapMut) {
    for place in places(pages).take(count) {
        let flags = ReadWriteFlags::empty();
        let done = match direction {
            Direction::Write => pwritev2(fd, &[IoSlice::new(memory)], place * PAGE, flags),
            Direction::Read => preadv2(fd, &mut [IoSliceMut::new(memory)], place * PAGE, flags),
        };
        assert_eq!(done, Ok(memory.len()));
    }
}

fn engine_loop(file: &SwapFile, direction: Direction, pages: u64, count: usize, memory: &mut MmapMut) {
    for place in places(pages).take(count) {
        let ticket = file.admit(&request(direction, place, pages)).expect("sound");
        let ended = match direction {
            Direction::Write => file.write(ticket, &[IoSlice::new(memory)]),
            Direction::Read => file.read(ticket, &mut [IoSliceMut::new(memory)]),
        };
        assert_eq!(ended.result(), Some(Ok(())));
    }
}

fn engine_ring<'f>(file: &'f SwapFile, ring: &mut Ring<'f>, direction: Direction, pages: u64, count: usize) {
    let mut left = places(pages).take(count);
    let mut flying = 0;
    loop {
        while let Some(memory) = ring.lend() {
            let Some(place) = left.next() else {
                ring.give_back(memory);
                break;
            };
            let ticket = file.admit(&request(direction, place, pages)).expect("sound");
            ring.start(memory, ticket).expect("it fits");
            flying += 1;
        }
        if flying == 0 {
            break;
        }
        let ended = ring.next(Duration::from_secs(20)).expect("a ring").expect("an end in time");
        assert_eq!(ended.completion.result(), Some(Ok(())));
        ring.give_back(ended.memory);
        flying -= 1;
    }
}

/// The same by hand.
struct BareRing {
    ring: IoUring,
    memory: Vec<MmapMut>,
    free: Vec<u16>,
    pages: u64,
}

impl BareRing {
    fn new(fd: &OwnedFd, depth: u16, pages: u64) -> Self {
        let ring = IoUring::builder().setup_coop_taskrun().build(depth.into()).expect("a ring");
        let mut memory: Vec<MmapMut> = (0..depth).map(|_| mapped(pages)).collect();
        let pieces: Vec<libc::iovec> = memory
            .iter_mut()
            .map(|piece| libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() })
            .collect();
        // SAFETY: the mappings live as long as the ring, in the same value.
        unsafe { ring.submitter().register_buffers(&pieces) }.expect("registered memory");
        ring.submitter().register_files(&[fd.as_raw_fd()]).expect("a registered file");
        Self { ring, memory, free: (0..depth).collect(), pages }
    }

    fn run(&mut self, direction: Direction, count: usize) {
        let mut left = places(self.pages).take(count);
        let mut flying = 0;
        loop {
            while let Some(at) = self.free.pop() {
                let Some(place) = left.next() else {
                    self.free.push(at);
                    break;
                };
                let memory = &mut self.memory[usize::from(at)];
                let (address, length) = (memory.as_mut_ptr(), u32::try_from(memory.len()).expect("small"));
                let fd = types::Fixed(0);
                let entry = match direction {
                    Direction::Read => opcode::ReadFixed::new(fd, address, length, at).offset(place * PAGE).build(),
                    Direction::Write => opcode::WriteFixed::new(fd, address, length, at).offset(place * PAGE).build(),
                };
                // SAFETY: registered memory that is mapped until the value is dropped, and that nobody touches.
                unsafe { self.ring.submission().push(&entry.user_data(at.into())) }.expect("room");
                flying += 1;
            }
            if flying == 0 {
                break;
            }
            let Some(entry) = self.ring.completion().next() else {
                self.ring.submit_and_wait(1).expect("a ring");
                continue;
            };
            let at = usize::try_from(entry.user_data()).expect("a place");
            assert_eq!(usize::try_from(entry.result()), Ok(self.memory[at].len()));
            self.free.push(u16::try_from(at).expect("a place"));
            flying -= 1;
        }
    }
}

/// Places of requests, spread over the file, the same in each run.
fn places(pages: u64) -> impl Iterator<Item = u64> {
    let mut random = side_by_side::Random::new();
    std::iter::repeat_with(move || random.below(PAGES / pages) * pages)
}

fn request(direction: Direction, first: u64, pages: u64) -> Request {
    Request::new(direction, PageIndex::new(first), PageCount::new(pages), Bytes::new(PAGE))
}

fn mapped(pages: u64) -> MmapMut {
    let length = usize::try_from(pages * PAGE).expect("small");
    MmapOptions::new().len(length).populate().map_anon().expect("memory")
}

/// The engine's own descriptor: its lease keeps every other opening out.
fn descriptor(path: &Path) -> OwnedFd {
    let is_it = |entry: &std::fs::DirEntry| std::fs::read_link(entry.path()).is_ok_and(|name| name == path);
    let entry = std::fs::read_dir("/proc/self/fd").expect("/proc").filter_map(Result::ok).find(is_it);
    let number = entry.expect("an open file").file_name().to_string_lossy().parse().expect("a number");
    let process = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).expect("its descriptor")
}

const PAGE: u64 = 4096;
const RINGS: usize = 25;
/// 64 MiB.
const PAGES: u64 = 16 << 10;
