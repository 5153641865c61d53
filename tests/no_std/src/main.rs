//! `cargo run --release`: links the core alone, without std, alloc or any way to panic, and runs it.
//!
//! The panic handler calls a symbol that nobody defines. So this links only if the optimiser proves that no input can
//! make the core panic. When it does not: `cargo rustc --release -- --emit asm`, then look who calls `panic_fmt`.
//! Inputs pass through `black_box`, so that nothing is proven for one input only. Exit status 0: the answers are right
//! too; else the number of the check that is not.
//!
//! Left out on purpose: `Debug` and `Display`. They run in the caller's formatter, which is not ours to prove.
#![no_std]
#![no_main]

mod serve;

use core::hint::black_box;

use swap_dio::candidate::{Candidate, Condition, Kind, check_flags};
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::reason::Fault;
use swap_dio::{
    Activation, Area, Backing, BlockSize, Bytes, DeviceId, FileExtent, Header, PageCount, PageIndex, PageSize, Profile,
    Reason, Release, Sectors, Slot, SwapExtent, SwapMap, Tally, Verdict,
};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    swap_dio_core_can_panic()
}

unsafe extern "C" {
    safe fn swap_dio_core_can_panic() -> !;
}

// What calls `main`, and memcpy and memset, which the compiler itself asks for.
#[link(name = "c")]
unsafe extern "C" {}

/// The entry: status 0 when every check holds.
#[unsafe(no_mangle)]
pub extern "C" fn main(_: i32, _: *const *const u8) -> i32 {
    let core = [header, activations, one_extent, lookups, refusals];
    let served = [serve::flags, serve::promises, serve::guard, serve::requests, serve::plug];
    (1..).zip(core.into_iter().chain(served)).find(|(_, check)| check().is_none()).map_or(0, |(number, _)| number)
}

/// Writes a header, reads it, holds it against a file.
fn header() -> Option<()> {
    let mut page = [0u8; 65536];
    for page_size in PageSize::ALL {
        for endian in [Endian::Little, Endian::Big] {
            let bad_pages = [PageIndex::new(3), PageIndex::new(black_box(7))];
            let label = Label::new(black_box("no_std"))?;
            let pages = PageCount::new(black_box(40));
            let new = NewHeader { page_size, endian, pages, uuid: black_box([7; 16]), label, bad_pages: &bad_pages };
            black_box(&new).write(black_box(&mut page)).ok()?;
            let header = Header::read(black_box(&page), black_box(page_size)).ok()?;
            let size = pages.to_bytes(page_size)?;
            let area = header.area(black_box(Backing::BlockDevice), black_box(size), black_box(MAXIMUM_PAGES)).ok()?;
            let same = header.uuid() == [7; 16] && header.endian() == endian && header.bad_pages().eq(bad_pages);
            holds(same && header.last_page().get() == 39 && header.label().starts_with(b"no_std"))?;
            holds(area.pages() == pages && area.truncated().is_none())?;
            let map = Activation::block_device(black_box(&area), Tally).ok()?;
            holds(map.usable.get() == 37)?;
        }
    }
    let short = black_box(100);
    holds(Header::read(page.get(..short)?, PageSize::KIB_4).is_err())
}

/// Every profile, into memory of the caller and into none, with claims that it cannot foresee.
fn activations() -> Option<()> {
    let profiles = [
        Profile::Iomap { device: DeviceId::MAIN },
        Profile::Bmap { block: BlockSize::KIB_4 },
        Profile::Bmap { block: BlockSize::SECTOR },
        Profile::Btrfs { sector: BlockSize::KIB_4 },
        Profile::F2fs { main: PageIndex::new(0), section: Bytes::new(2 << 20) },
        Profile::File,
    ];
    for profile in profiles {
        let area = Area::without_header(black_box(Bytes::new(8 << 20)), black_box(PageSize::KIB_4)).ok()?;
        let mut memory = [Slot::EMPTY; 8];
        let mut activation = Activation::new(black_box(profile), &area, memory.as_mut_slice()).ok()?;
        activation = activation.on_device_of(black_box(Bytes::new(1 << 40)));
        activation.push(&black_box(claim(0, 4 << 20, 3 << 20))).err();
        activation.restart();
        let mut refused = 0u32;
        activation.push_all(&black_box(claim(0, 4 << 20, 4 << 20)), |_| refused = refused.saturating_add(1));
        activation.push(&black_box(claim(4 << 20, 20 << 20, 4 << 20))).ok()?;
        let map = activation.finish_all(|_| refused = refused.saturating_add(1)).ok()?;
        let extents = if profile == Profile::File { 1 } else { 2 };
        holds(refused == 0 && map.totals().extents == extents && map.totals().pages.get() == 2048)?;

        let mut activation = Activation::new(black_box(profile), &area, Tally).ok()?;
        activation.push(&black_box(claim(0, 4 << 20, 8 << 20))).ok()?;
        holds(activation.finish().ok()?.usable.get() == 2047)?;
    }
    Some(())
}

/// The two ways to activate that take no stream.
fn one_extent() -> Option<()> {
    let area = Area::without_header(black_box(Bytes::new(1 << 20)), black_box(PageSize::KIB_4)).ok()?;
    let mut memory = [Slot::EMPTY; 1];
    let map = Activation::network(&area, black_box(Sectors::new(2048)), memory.as_mut_slice()).ok()?;
    holds(map.run(black_box(PageIndex::new(9))).ok()?.length().get() == 247)
}

/// Every way to ask a map, of more than one level.
fn lookups() -> Option<()> {
    let mut memory = [Slot::EMPTY; Slot::needed(EXTENTS)];
    let map = scattered(&mut memory)?;
    let end = map.totals().pages.get();
    let mut cursor = map.cursor();
    for page in (0..end).map(PageIndex::new) {
        let run = map.run(black_box(page)).ok()?;
        holds(target_of(page) == Some(run.target()) && cursor.run(black_box(page)).ok()? == run)?;
        let [same, outside] = map.runs(black_box([page, PageIndex::new(end)]));
        holds(same.ok()? == run && outside.is_err())?;
        let block = map.device_block(black_box(page.get()), black_box(BlockSize::KIB_4)).ok()?;
        holds(block == run.target().get())?;
    }
    holds(map.device_block(black_box(u64::MAX), black_box(BlockSize::SECTOR)).is_err())?;
    holds(map.extents().count() == EXTENTS && cursor.run(black_box(PageIndex::new(u64::MAX))).is_err())?;
    let mut scratch: [Option<SwapExtent>; EXTENTS] = [None; EXTENTS];
    map.check_disjoint(black_box(scratch.as_mut_slice())).ok()?;
    holds(map.check_disjoint(black_box(&mut scratch[..1])).is_err())
}

/// What is refused is told: reason, code, verdict.
fn refusals() -> Option<()> {
    let area = Area::without_header(black_box(Bytes::new(64 << 10)), black_box(PageSize::KIB_4)).ok()?;
    let mut activation = Activation::new(black_box(Profile::File), &area, Tally).ok()?;
    let reason = activation.push(&black_box(claim(4096, 0, 60 << 10))).err()?;
    let hole = matches!(reason, Reason::Extent { fault: Fault::Hole, range } if range.length == Bytes::new(4096));
    holds(hole && reason.code() == "hole" && reason.verdict() == Verdict::Refuse)?;
    black_box((reason.class(), reason.answer(), reason.remedy()));
    let candidate = Candidate {
        kind: black_box(Kind::RegularFile),
        release: Release::parse(black_box("6.18.44")),
        page_size: PageSize::KIB_4,
        conditions: black_box(Condition::all()),
        unknown: black_box(Condition::empty()),
        active_areas: black_box(0),
        holder: None,
        block: black_box(Bytes::new(8192)),
        no_page_read: black_box(None),
    };
    let mut first = None;
    candidate.judge(|reason| {
        first.get_or_insert(reason);
    });
    holds(first == Some(Reason::NoPermission) && check_flags(black_box(1 << 31)).is_err())?;
    activation.push(&black_box(claim(u64::MAX, u64::MAX, u64::MAX))).err()?;
    holds(activation.finish() == Err(reason))
}

/// A map of extents of two pages, each below the one before it.
fn scattered(memory: &mut [Slot]) -> Option<SwapMap<&[Slot]>> {
    let pages = u64::try_from(EXTENTS).ok()?.checked_mul(2)?;
    let area = Area::without_header(black_box(Bytes::new(pages << 12)), black_box(PageSize::KIB_4)).ok()?;
    let profile = Profile::Iomap { device: DeviceId::MAIN };
    let mut activation = Activation::new(profile, &area, black_box(memory)).ok()?;
    for page in (0..pages).step_by(2) {
        let target = target_of(PageIndex::new(page))?.get();
        activation.push(&black_box(claim(page << 12, target << 12, 2 << 12))).ok()?;
    }
    activation.finish().ok()
}

fn target_of(page: PageIndex) -> Option<PageIndex> {
    let window = 10_000u64.checked_sub(page.get() & !1)?;
    Some(PageIndex::new(window.checked_mul(2)? | page.get() & 1))
}

const fn claim(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent::written(Bytes::new(logical), Bytes::new(physical), Bytes::new(length))
}

const fn holds(condition: bool) -> Option<()> {
    if condition { Some(()) } else { None }
}

/// Enough for two levels of inner nodes.
const EXTENTS: usize = 1000;
