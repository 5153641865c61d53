//! How does my filesystem serve swap without a single transaction?
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! A small filesystem with a journal implements `swap_rw`, by the core of this crate alone: no OS, no privilege, all
//! of it in memory. Read `embed/fs.rs` next: `Fs::write` is what a filesystem does for anybody, `swap_rw` at its end is
//! how swap gets there.

#[path = "embed/fs.rs"]
mod fs;
#[path = "embed/journal.rs"]
mod journal;

use std::cell::Cell;
use std::process::ExitCode;

use fs::{Data, Fs, Memory, PAGE};
use journal::Journal;
use swap_dio::admit::Policy;
use swap_dio::flags::Direction;
use swap_dio::map::SwapMap;
use swap_dio::swap_ops::{Folio, Plug, RwAsOps};
use swap_dio::transaction::{Cost, Mapping, Via, cell};
use swap_dio::{Activation, Area, Bytes, Features, PageIndex, PageSize, Profile, Reason, Slot};

fn main() -> Result<ExitCode, Reason> {
    println!("1. Swap through a filesystem that keeps the contract");
    let kept = serve()?;
    println!("\n2. What one page at each place costs there, with the policy bypassed");
    let foretold = bypass();
    println!("\n3. A machine without memory: no free page, and a journal with room for 8 transactions");
    let stuck = starve()?;
    Ok(if kept && foretold && stuck { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Swaps out and in, and counts what the filesystem did besides.
fn serve() -> Result<bool, Reason> {
    let fs = Fs::new(&[Mapping::Written; PAGES], Journal::new(8, 1));
    let mut slots = [Slot::EMPTY; Slot::needed(PAGES)];
    let policy = Policy::new(activate(&fs, &mut slots)?, PROMISES)?;
    let usable = policy.map().totals().usable;
    println!("   a file of {PAGES} pages, written in full: activated, {usable} to swap to");

    let ends = Ends::default();
    let mut ram: Vec<Frame> = (0..usable.get()).map(|page| Frame([page as u8; PAGE])).collect();
    swap(&policy, &fs, Direction::Write, &mut ram, &ends)?;
    ram.iter_mut().for_each(|frame| frame.0.fill(0xff));
    swap(&policy, &fs, Direction::Read, &mut ram, &ends)?;
    let wrong = ram.iter().enumerate().filter(|(page, frame)| frame.0 != [*page as u8; PAGE]).count();

    let (good, bad, transactions) = (ends.good.get(), ends.bad.get(), fs.journal.transactions());
    println!("   {usable} out and in again: {good} ended well, {bad} in an error, {wrong} wrong pages");
    println!("   transactions: {transactions}");
    policy.close()?;
    Ok(good == 2 * (PAGES - 1) && bad == 0 && wrong == 0 && transactions == 0)
}

/// One place of each kind: what the ordinary path does with it, and what the policy says of a write there.
fn bypass() -> bool {
    println!("   {:<22} {:<35} {:<22} swap there", "place", "a write", "a read");
    let mut foretold = true;
    for mapping in Mapping::ALL {
        let mut places = vec![Mapping::Written; 4];
        places[2] = mapping;
        if mapping == Mapping::PastEnd {
            places.truncate(2);
        }
        let fs = |places: &[Mapping]| Fs::new(places, Journal::new(8, 1));
        let (written, read) = (fs(&places), fs(&places));
        let asked = fs(&places);
        let verdict = write_by_policy(&asked);
        let admitted_ran = asked.journal.transactions();
        let (write_ends, read_ends) = (written.write(2, &[7; PAGE]).is_ok(), read.read(2).is_ok());
        let (write, read) = (written.journal.take_costs(), read.journal.take_costs());
        // What the crate's table says of such a filesystem, and that no costly write is admitted.
        foretold &= write == cell(Direction::Write, mapping, Via::Iomap).cost && write_ends;
        foretold &= read == cell(Direction::Read, mapping, Via::Iomap).cost && read_ends;
        foretold &= verdict.is_ok() == (write | read).is_empty() && admitted_ran == 0;
        let verdict = verdict.map_or_else(|reason| format!("refuse: {}", reason.code()), |()| "admit".to_owned());
        println!("   {:<22} {:<35} {:<22} {verdict}", mapping.words(), words(write), words(read));
    }
    foretold
}

/// Swap-out is what should free memory: here there is none until it has ended.
fn starve() -> Result<bool, Reason> {
    let fs = Fs::new(&[Mapping::Written; PAGES], Journal::new(8, 0));
    let mut slots = [Slot::EMPTY; Slot::needed(PAGES)];
    let policy = Policy::new(activate(&fs, &mut slots)?, PROMISES)?;
    let ends = Ends::default();
    let mut ram: Vec<Frame> = (1..PAGES).map(|page| Frame([page as u8; PAGE])).collect();
    swap(&policy, &fs, Direction::Write, &mut ram, &ends)?;
    println!("   in place, admitted: {} of {} writes ended", ends.good.get(), PAGES - 1);

    let fs = Fs::new(&[Mapping::Unwritten; PAGES], Journal::new(8, 0));
    let stuck = (1..PAGES).find_map(|page| fs.write(page, &[7; PAGE]).err().map(|why| (page, why)));
    match &stuck {
        Some((page, why)) => println!("   into unwritten extents, bypassed: write {page} never ends\n     {why}"),
        None => println!("   into unwritten extents, bypassed: every write ended"),
    }
    Ok(ends.good.get() == PAGES - 1 && stuck.is_some())
}

/// What was done, in words.
fn words(cost: Cost) -> String {
    let words: Vec<&str> = cost.words().collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Judges the file for the file model.
fn activate<'s>(fs: &Fs, slots: &'s mut [Slot]) -> Result<SwapMap<&'s [Slot]>, Reason> {
    let area = Area::without_header(fs.size(), PageSize::KIB_4)?;
    let mut activation = Activation::new(Profile::File, &area, slots)?;
    fs.extents().iter().try_for_each(|extent| activation.push(extent))?;
    activation.finish()
}

/// Writes page 2 as swap does, from activation on: done, or why not.
fn write_by_policy(fs: &Fs) -> Result<(), Reason> {
    let mut slots = [Slot::EMPTY; 1];
    let policy = Policy::new(activate(fs, &mut slots)?, PROMISES)?;
    let (ends, mut frame, server) = (Ends::default(), Frame([7; PAGE]), RwAsOps(fs));
    let mut plug = Plug::new(&policy, &server, Direction::Write)?;
    plug.add(PageIndex::new(2), Lent { data: &mut frame.0, ends: &ends });
    plug.flush();
    ends.last.take().unwrap_or(Ok(()))
}

/// Swaps memory out or in, from page 1 on: page 0 is the header's.
fn swap(policy: &Policy<&[Slot]>, fs: &Fs, direction: Direction, ram: &mut [Frame], ends: &Ends) -> Result<(), Reason> {
    let server = RwAsOps(fs);
    let mut plug = Plug::new(policy, &server, direction)?;
    for (page, frame) in (1..).zip(ram) {
        plug.add(PageIndex::new(page), Lent { data: &mut frame.0, ends });
    }
    // Dropped, the plug submits what is left in it.
    Ok(())
}

/// What our filesystem can promise: `swap_rw` in `embed/fs.rs` is where it keeps that.
const PROMISES: Features = Features::DIO_READ
    .union(Features::DIO_WRITE)
    .union(Features::NO_BUFFERED_FALLBACK)
    .union(Features::TXN_FREE_SUBMIT)
    .union(Features::TXN_FREE_COMPLETE)
    .union(Features::STABLE_MAPPING)
    .union(Features::ONE_IO_PER_PAGE)
    .union(Features::MEMALLOC_SAFE)
    .union(Features::NO_TIMESTAMPS);

/// A page of memory.
#[repr(align(4096))]
struct Frame(Data);

/// A page, lent to an I/O until that tells its end.
struct Lent<'m> {
    data: &'m mut Data,
    ends: &'m Ends,
}

/// How many pages ended in which way.
#[derive(Default)]
struct Ends {
    good: Cell<usize>,
    bad: Cell<usize>,
    last: Cell<Option<Result<(), Reason>>>,
}

impl Folio for Lent<'_> {
    fn alignment(&self) -> Bytes {
        Bytes::new(1 << self.data.as_ptr().addr().trailing_zeros())
    }

    fn end(self, _: Direction, result: Result<(), Reason>) {
        let count = if result.is_ok() { &self.ends.good } else { &self.ends.bad };
        count.set(count.get() + 1);
        self.ends.last.set(Some(result));
    }
}

impl Memory for Lent<'_> {
    fn data(&mut self) -> &mut Data {
        self.data
    }
}

const PAGES: usize = 64;
