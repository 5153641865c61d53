//! Requests: admitted, refused, ended; flags in every numbering; pins; a plug that feeds both shapes of server.

use core::cell::Cell;
use core::hint::black_box;

use swap_dio::admit::{Context, Outcome, Policy, Request};
use swap_dio::flags::{Direction, Fmode, Fop, Iocb, Kernel, OpenFile};
use swap_dio::fuse::{Fopen, Init};
use swap_dio::guard::{FileId, Operation, Pin, Pins, Relocation, Scope};
use swap_dio::swap_ops::{Batch, Folio, OpsAsRw, Plug, RwAsOps, SwapRw};
use swap_dio::transaction::{Cost, Mapping, Via, cell};
use swap_dio::translate::{Route, opf};
use swap_dio::{
    Activation, Area, Bytes, Completion, DeviceId, DirectIo, Features, FileExtent, Model, PageCount, PageIndex,
    PageSize, Profile, Reason, Release, Slot, SwapMap, ublk,
};

use crate::holds;

/// Words in, flags, words out, for every kernel and every bit.
pub(crate) fn flags() -> Option<()> {
    for kernel in Kernel::ALL.iter().copied() {
        for bit in 0..32 {
            let word = black_box(1u32 << bit);
            if let Ok(flags) = kernel.iocb(word) {
                holds(kernel.iocb_word(flags) == Ok(word))?;
                black_box(Kernel::V6_18.iocb_written_for(kernel, word)).ok();
                for direction in Direction::ALL {
                    for route in Route::ALL {
                        let request = opf(black_box(flags | Iocb::SWAP), direction, route);
                        holds(request.is_err() || direction == Direction::Read || request.ok()?.is_swap_write())?;
                        black_box(opf(black_box(flags), direction, route)).ok();
                    }
                    let file = OpenFile { mode: Fmode::all(), operations: Fop::all(), ..OpenFile::default() };
                    black_box(file.kiocb_flags(kernel, word, direction)).ok();
                }
            }
            black_box(kernel.opf(word | 1)).and_then(|opf| kernel.opf_word(opf)).ok();
            black_box((kernel.fop(word).is_ok(), kernel.fmode(word)));
            black_box(ublk::read(word | 1)).and_then(|request| ublk::write(&request)).ok();
            black_box(Fopen::from_word(word)).ok();
            black_box(Features::of_fuse(Init::from_words(word, word), Fopen::all()));
        }
    }
    holds(Kernel::of(black_box(Release::new(6, 6))).is_err() && Kernel::of(black_box(Release::new(6, 18))).is_ok())
}

/// Promises, from every source, and what each I/O costs.
pub(crate) fn promises() -> Option<()> {
    for model in Model::ALL {
        let features = Features::required(black_box(model));
        holds(features.promise(model).is_ok() && Features::empty().promise(black_box(model)).is_err())?;
    }
    let direct_io = DirectIo::from_statx(black_box(0x2000), black_box(512), black_box(4096), 0).ok()?;
    holds(
        direct_io.fits(black_box(PageSize::KIB_4)).is_ok() && DirectIo::from_statx(0x2000, black_box(3), 1, 0).is_err(),
    )?;
    black_box(Features::of_open_file(black_box(Fmode::all()), black_box(Fop::all())));
    for via in Via::ALL {
        for mapping in Mapping::ALL {
            let cost = cell(Direction::Write, black_box(mapping), black_box(via)).cost;
            black_box((cost.breaks(), cost.words().count()));
        }
    }
    holds(cell(Direction::Write, Mapping::Written, black_box(Via::Ext4)).cost == Cost::TOLERATED)
}

/// Pins and operations: what is active is not moved.
pub(crate) fn guard() -> Option<()> {
    let mut memory = [Slot::EMPTY; 4];
    let map = map(Profile::Iomap { device: DeviceId::MAIN }, &mut memory)?;
    let mut places = [Pin::EMPTY; 8];
    let mut pins = Pins::new(places.as_mut_slice(), PageSize::KIB_4);
    let run = [(PageIndex::new(0), PageCount::new(u64::MAX))];
    let pinned = pins.pin_map(black_box(FileId::new(12)), map).ok()?;
    holds(pins.pin(FileId::new(12), run).is_err() && pins.pin(black_box(FileId::new(13)), run).is_err())?;
    for act in Relocation::ALL {
        holds(pins.check(black_box(act), Scope::Everything).is_err())?;
        let scope = Scope::Pages { first: black_box(PageIndex::new(u64::MAX)), pages: PageCount::new(u64::MAX) };
        holds(pins.check(black_box(act), scope).is_ok())?;
    }
    let mut policy = Policy::pinned(pinned, Features::STABLE_MAPPING).ok()?;
    policy.drain();
    pins.unpin(policy.retire().ok()??).ok()?;
    holds(pins.check(Relocation::Balance, Scope::File(FileId::new(12))).is_ok())?;
    let refused = Operation::ALL.into_iter().filter(|operation| black_box(operation).check().is_err()).count();
    holds(refused > 20)
}

/// Every step of admission, and every way to end.
pub(crate) fn requests() -> Option<()> {
    let mut memory = [Slot::EMPTY; 4];
    let features = black_box(Features::all().difference(Features::SYNCHRONOUS));
    let policy = Policy::new(map(Profile::File, &mut memory)?, features).ok()?.with_direct_io(&DirectIo::Aligned {
        memory: black_box(Bytes::new(512)),
        offset: Bytes::new(512),
        read_offset: Bytes::new(512),
    });
    let policy = policy.ok()?.at_most(black_box(PageCount::new(64))).in_flight_at_most(black_box(2));
    for (first, pages) in [(1, 32), (0, 1), (1, 0), (100, 60), (u64::MAX, u64::MAX), (1, 65)] {
        for context in [Context::Unrestricted, Context::Nofs, Context::Noio] {
            let (first, pages) = (PageIndex::new(black_box(first)), PageCount::new(black_box(pages)));
            let request = Request::new(black_box(Direction::Write), first, pages, black_box(Bytes::new(512)));
            let request = Request { context: black_box(context), route: black_box(Route::Async), ..request };
            if let Ok(ticket) = policy.admit(black_box(&request)) {
                holds(ticket.runs().map(|run| run.length().get()).fold(0, u64::wrapping_add) == pages.get())?;
                let length = i64::try_from(ticket.bytes().get()).ok()?;
                holds(
                    ticket.complete(black_box(length)).outcome() == Outcome::Done(Bytes::new(length.unsigned_abs())),
                )?;
            }
        }
    }
    let buffer = [0u8; 4096];
    let request = policy.writing(PageIndex::new(1), black_box(&buffer)).ok()?;
    let request = Request { alignment: Bytes::new(4096), ..request };
    for returned in [0, -5, -529, -5000, i64::MIN, i64::MAX] {
        let ticket = policy.admit(black_box(&request)).ok()?;
        holds(ticket.complete(black_box(returned)).to_kernel() < 0)?;
    }
    let (queued, in_flight) = policy.admit(black_box(&request)).ok()?.queue().ok()?;
    holds(queued.to_kernel() == -529 && policy.close().is_err())?;
    holds(in_flight.complete(black_box(4096)).to_kernel() == 4096 && policy.close().is_ok())?;
    policy.shut_down();
    policy.mapping_moved();
    holds(policy.admit(black_box(&request)).is_err())
}

/// A plug over both shapes: every folio is told once.
pub(crate) fn plug() -> Option<()> {
    let mut memory = [Slot::EMPTY; 4];
    let policy = Policy::new(map(Profile::File, &mut memory)?, Features::required(Model::File)).ok()?;
    let told = Cell::new(0u32);
    for direction in Direction::ALL {
        let mut plug = Plug::new(&policy, &RwAsOps(OpsAsRw(RwAsOps(Server))), black_box(direction)).ok()?;
        for page in 0..70 {
            plug.add(PageIndex::new(black_box(page)), Page(&told));
        }
        plug.flush();
        plug.add(PageIndex::new(black_box(9)), Page(&told));
    }
    holds(told.get() == 142 && policy.dropped() == 0)
}

struct Page<'t>(&'t Cell<u32>);

impl Folio for Page<'_> {
    fn alignment(&self) -> Bytes {
        Bytes::new(4096)
    }

    fn end(self, _: Direction, _: Result<(), Reason>) {
        self.0.set(self.0.get().wrapping_add(1));
    }
}

struct Server;

impl<'p, F: Folio> SwapRw<'p, F> for Server {
    fn swap_rw(&self, batch: Batch<'p, F>) -> Completion {
        batch.complete(black_box(4096))
    }
}

/// A file of 128 pages in four runs.
fn map(profile: Profile, memory: &mut [Slot]) -> Option<SwapMap<&[Slot]>> {
    let area = Area::without_header(black_box(Bytes::new(128 << 12)), PageSize::KIB_4).ok()?;
    let mut activation = Activation::new(profile, &area, memory).ok()?;
    for run in 0..4u64 {
        let (logical, length) = (run << 17, 32 << 12);
        let physical = Bytes::new(black_box((8 - run) << 20));
        activation.push(&FileExtent::written(Bytes::new(logical), physical, Bytes::new(length))).ok()?;
    }
    activation.finish().ok()
}
