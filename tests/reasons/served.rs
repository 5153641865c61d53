//! The reasons of an area that is served: of flags, of requests and how they end, of operations and pins.

use super::Row;
use swap_dio::admit::{Completion, Context, Policy, Request};
use swap_dio::flags::{Direction, Iocb, Kernel, OpenFile, Opf, Req, ReqOp};
use swap_dio::guard::{FileId, Operation, Pin, Pins, Relocation, Scope};
use swap_dio::reason::{Answer, Errno, FlagFault, GuardFault, RequestFault};
use swap_dio::swap_ops::{Batch, Folio, Plug, RwAsOps, SwapRw};
use swap_dio::translate::{Route, opf};
use swap_dio::{
    Activation, Area, Bytes, DeviceId, DirectIo, Features, FileExtent, Model, PageCount, PageIndex, PageSize, Profile,
    Reason, Release, Slot, SwapMap, Verdict,
};

const PAGE: u64 = 4096;

pub(crate) fn rows() -> Vec<Row> {
    [flags(), requests(), ends(), guards()].concat()
}

fn flags() -> Vec<Row> {
    use FlagFault as F;
    use Verdict::Refuse;
    let (no, maybe) = (Answer::Refuses(Errno::EINVAL), Answer::Depends(Errno::EINVAL));
    let unsupported = Answer::Refuses(Errno::EOPNOTSUPP);
    let (old, new, howells) = (&Kernel::V6_1, &Kernel::V6_18, &Kernel::HOWELLS_V3);
    let release = Release::new(6, 6);
    let (v6_1, v6_18) = ("Linux 6.1", "Linux 6.18");
    let call = |file: OpenFile, kernel, flags| file.kiocb_flags(kernel, flags, Direction::Write).expect_err("refused");
    let plain = OpenFile::default();
    let append_only = OpenFile { flags: Iocb::APPEND, append_only: true, ..plain };
    let append = "it would go to the end of the file, not to its page";
    let rows = [
        (refused(new.iocb(1 << 5)), F::Unknown { word: "ki_flags", bits: 1 << 5 }, "flags-unknown", maybe),
        (refused(new.opf(1 << 30)), F::Unknown { word: "bi_opf", bits: 1 << 30 }, "flags-unknown", maybe),
        (call(plain, old, 0x20), F::UnknownRwf { bits: 0x20, kernel: v6_1 }, "flags-unknown", unsupported),
        (refused(new.opf(4)), F::UnknownOp { word: "bi_opf", op: 4 }, "op-unknown", maybe),
        (refused(Kernel::of(release)), F::Numbering { release }, "flag-without-number", maybe),
        (
            refused(new.iocb_word(Iocb::SWAP)),
            F::NoNumber { prefix: "IOCB_", flag: "SWAP", kernel: v6_18 },
            "flag-without-number",
            maybe,
        ),
        (
            refused(new.iocb_written_for(howells, 1 << 22)),
            F::Renumbered { bit: 22, flag: "SWAP", from: "Howells' v3", now: "DIO_CALLER_COMP", kernel: v6_18 },
            "flag-renumbered",
            maybe,
        ),
        (
            refused(opf(Iocb::SWAP | Iocb::APPEND, Direction::Write, Route::Plain)),
            F::NotCarried { flag: "APPEND", why: append },
            "flag-not-carried",
            no,
        ),
        (
            refused(Opf::new(ReqOp::Write, Req::from_bits_retain(1 << 30))),
            F::UnnamedReq { bits: 1 << 30 },
            "flags-unknown",
            maybe,
        ),
        (refused(Opf::new(ReqOp::Read, Req::SWAP)), F::SwapMark { op: "REQ_OP_READ" }, "swap-mark", maybe),
        (call(plain, new, 0x30), F::Exclusive, "flags-exclusive", no),
        (
            call(plain, new, 0x08),
            F::Unsupported { flag: "NOWAIT", why: "the file may block (no FMODE_NOWAIT)" },
            "flag-unsupported",
            unsupported,
        ),
        (call(append_only, new, 0x20), F::AppendOnly, "append-only", Answer::Refuses(Errno::EPERM)),
    ];
    let whole = |(got, fault, code, answer)| (got, Reason::Flags(fault), code, Refuse, answer, false);
    rows.into_iter().map(whole).collect()
}

/// What the policy of an area of eight pages refuses, and the policy itself.
fn requests() -> Vec<Row> {
    use RequestFault as F;
    use Verdict::{Admit, Refuse, Retry};
    let no = Answer::Refuses(Errno::EINVAL);
    let (eio, again) = (Answer::Refuses(Errno::EIO), Answer::Refuses(Errno::EAGAIN));
    let unsupported = Answer::Refuses(Errno::EOPNOTSUPP);
    let (bytes, count, page) = (Bytes::new, PageCount::new, PageIndex::new);
    let odd = [0; 4097];
    let two_pages = DirectIo::Aligned { memory: bytes(2 * PAGE), offset: bytes(PAGE), read_offset: bytes(PAGE) };
    let write = Request::new(Direction::Write, page(1), count(1), bytes(PAGE));
    let asks = |request: Request| asked(|policy| refused(policy.admit(&request)));
    let whole =
        |got, fault, code, verdict, answer, remedy| (got, Reason::Request(fault), code, verdict, answer, remedy);
    vec![
        whole(asks(Request { pages: count(0), ..write }), F::Empty, "request-empty", Refuse, no, false),
        whole(
            asks(Request { pages: count(33), ..write }),
            F::TooLong { pages: count(33), limit: count(32) },
            "request-too-long",
            Refuse,
            no,
            false,
        ),
        whole(
            asks(Request { folio: count(2), ..write }),
            F::Folio { pages: count(1), folio: count(2) },
            "misaligned",
            Refuse,
            no,
            false,
        ),
        whole(
            asked(|policy| refused(policy.writing(page(1), &odd))),
            F::BufferLength { length: bytes(4097), page: bytes(PAGE) },
            "misaligned",
            Refuse,
            no,
            false,
        ),
        whole(
            asks(Request { alignment: bytes(512), ..write }),
            F::BufferAlignment { got: bytes(512), needed: bytes(PAGE) },
            "misaligned",
            Refuse,
            no,
            false,
        ),
        whole(asks(Request { first: page(0), ..write }), F::HeaderPage, "header-page", Refuse, no, false),
        whole(
            refused(Features::empty().promise(Model::Bio)),
            F::Promise { who: "the bio model", promise: "STABLE_MAPPING" },
            "promise-missing",
            Refuse,
            unsupported,
            false,
        ),
        whole(
            refused(DirectIo::from_statx(DirectIo::STATX_DIOALIGN, 512, 768, 0)),
            F::AlignmentOdd { what: "offsets", got: bytes(768) },
            "misaligned",
            Refuse,
            no,
            false,
        ),
        whole(
            refused(two_pages.fits(PageSize::KIB_4)),
            F::AlignmentAbovePage { what: "memory", got: bytes(2 * PAGE), page: bytes(PAGE) },
            "misaligned",
            Refuse,
            no,
            false,
        ),
        whole(other_model(), F::OtherModel { server: Model::File, area: Model::Bio }, "other-model", Refuse, no, false),
        whole(
            asks(Request { context: Context::Noio, ..write }),
            F::Context { context: "GFP_NOIO" },
            "reclaim-context",
            Retry,
            again,
            false,
        ),
        whole(
            asked(|policy| {
                policy.close().expect("nothing is in flight");
                refused(policy.admit(&write))
            }),
            F::Closed,
            "closed",
            Refuse,
            eio,
            false,
        ),
        whole(
            asked(|policy| {
                policy.mapping_moved();
                refused(policy.admit(&write))
            }),
            F::MappingMoved,
            "mapping-moved",
            Refuse,
            eio,
            true,
        ),
        whole(
            asked(|policy| {
                policy.shut_down();
                refused(policy.admit(&write))
            }),
            F::ShutDown,
            "shut-down",
            Refuse,
            eio,
            true,
        ),
        whole(
            asked(|policy| {
                let _held = policy.admit(&write).expect("the first");
                refused(policy.admit(&write))
            }),
            F::QueueFull { limit: 1 },
            "queue-full",
            Retry,
            again,
            false,
        ),
        whole(
            asked(|policy| {
                let _held = policy.admit(&write).expect("the first");
                refused(policy.close())
            }),
            F::InFlight { requests: 1 },
            "in-flight",
            Retry,
            Answer::Refuses(Errno::EBUSY),
            false,
        ),
        whole(
            asked(|policy| {
                drop(policy.admit(&write).expect("the first"));
                refused(policy.close())
            }),
            F::Dropped,
            "request-dropped",
            Refuse,
            eio,
            false,
        ),
        (
            Features::required(Model::File).promise(Model::File).expect("enough").warning().expect("times are stamped"),
            Reason::TimestampTransaction,
            "transaction-timestamp",
            Admit,
            Answer::Accepts,
            true,
        ),
    ]
}

/// How one page ends.
fn ends() -> Vec<Row> {
    use RequestFault as F;
    let write = Request::new(Direction::Write, PageIndex::new(1), PageCount::new(1), Bytes::new(PAGE));
    let ends = |returned| asked(|policy| failed(&policy.admit(&write).expect("sound").complete(returned)));
    let rows = [
        (ends(0), F::Short { done: Bytes::ZERO, asked: Bytes::new(PAGE) }, "short-io"),
        (ends(-5), F::Failed { errno: 5 }, "io-failed"),
        (ends(-11), F::Failed { errno: 11 }, "io-failed"),
        (ends(-15), F::Failed { errno: 15 }, "io-failed"),
        (ends(-26), F::Failed { errno: 26 }, "io-failed"),
        (ends(-4096), F::NoErrno { returned: -4096 }, "io-failed"),
        (ends(-529), F::NotQueued, "io-failed"),
    ];
    let eio = Answer::Refuses(Errno::EIO);
    rows.into_iter()
        .map(|(got, fault, code)| (got, Reason::Request(fault), code, Verdict::Refuse, eio, false))
        .collect()
}

fn guards() -> Vec<Row> {
    use GuardFault as F;
    use Verdict::{Refuse, Retry};
    let (no, text) = (Answer::Refuses(Errno::EINVAL), Answer::Refuses(Errno::ETXTBSY));
    let busy = Answer::Refuses(Errno::EBUSY);
    let (first, pages, file) = (PageIndex::new(3), PageCount::new(2), FileId::new(7));
    let run = [(first, pages)];
    let (mut one, mut two) = ([Pin::EMPTY; 1], [Pin::EMPTY; 2]);
    let mut pins = Pins::new(one.as_mut_slice(), PageSize::KIB_4);
    let pinned = pins.pin(file, run).expect("room for one");
    let mut others = Pins::new(two.as_mut_slice(), PageSize::KIB_4);
    let none = refused(others.pin(file, []));
    let mut none_yet = Pins::new(Vec::new(), PageSize::KIB_4);
    let no_device = refused(none_yet.pin_map(file, mapped(Profile::File, &mut [Slot::EMPTY; 1])));
    let mut large = Pins::new(Vec::new(), PageSize::KIB_64);
    let device = Profile::Iomap { device: DeviceId::MAIN };
    let other_size = refused(large.pin_map(file, mapped(device, &mut [Slot::EMPTY; 1])));
    let sizes = F::PinPageSize { map: PageSize::KIB_4, pins: PageSize::KIB_64 };
    let unknown = others.unpin(pinned).expect_err("not theirs").reason;
    let last = PageIndex::new(u64::MAX);
    let overflow = refused(others.pin(file, [(last, pages)]));
    let _others = others.pin(FileId::new(8), run).expect("room for two");
    let whole = |got, fault, code, verdict, answer, remedy| (got, Reason::Guard(fault), code, verdict, answer, remedy);
    let errno = Errno::ETXTBSY;
    vec![
        whole(
            refused(Operation::Write.check()),
            F::Operation { operation: "a write", errno },
            "guarded",
            Retry,
            text,
            true,
        ),
        whole(
            refused(Operation::StoreShared.check()),
            F::Signal { operation: "a store through a shared mapping" },
            "guarded",
            Retry,
            Answer::Signal,
            true,
        ),
        whole(
            refused(Operation::Scrub.check()),
            F::Skipped { operation: "scrub" },
            "guarded",
            Retry,
            Answer::Accepts,
            true,
        ),
        whole(
            refused(pins.check(Relocation::Balance, Scope::Everything)),
            F::Pinned { act: "balance", file: 7, first, pages, errno },
            "pinned",
            Retry,
            text,
            true,
        ),
        whole(refused(pins.pin(file, run)), F::AlreadyPinned { file: 7 }, "active", Retry, busy, false),
        whole(refused(others.pin(file, run)), F::TwicePinned { file: 8, first }, "pinned", Retry, busy, false),
        whole(
            refused(pins.pin(FileId::new(8), run)),
            F::PinsFull { capacity: 1 },
            "pins-full",
            Refuse,
            Answer::Refuses(Errno::ENOMEM),
            false,
        ),
        whole(none, F::EmptyPin { file: 7 }, "pin-empty", Refuse, no, false),
        whole(overflow, F::PinOverflow { file: 7, first: last, pages }, "pin-overflow", Refuse, no, false),
        whole(other_size, sizes, "pin-page-size", Refuse, no, false),
        whole(no_device, F::NoDevicePages, "not-identity", Refuse, no, false),
        whole(unknown, F::PinUnknown { file: 7 }, "pin-unknown", Refuse, no, false),
    ]
}

/// The policy of an area of eight pages in the file model, one request at a time.
fn asked(ask: impl FnOnce(&Policy<&[Slot]>) -> Reason) -> Reason {
    let mut slots = [Slot::EMPTY; 1];
    let map = mapped(Profile::File, &mut slots);
    ask(&Policy::new(map, Features::required(Model::File)).expect("enough").in_flight_at_most(1))
}

/// `swap_rw`, which takes pages of a file, over an area of the device's.
fn other_model() -> Reason {
    let mut slots = [Slot::EMPTY; 1];
    let map = mapped(Profile::Iomap { device: DeviceId::MAIN }, &mut slots);
    let policy = Policy::new(map, Features::STABLE_MAPPING).expect("enough");
    let server = RwAsOps(Nobody);
    refused(Plug::<_, Nobody, _>::new(&policy, &server, Direction::Write).map(drop))
}

/// A server without I/O, for memory that is none.
struct Nobody;

impl Folio for Nobody {
    fn alignment(&self) -> Bytes {
        Bytes::ZERO
    }

    fn end(self, _: Direction, _: Result<(), Reason>) {}
}

impl<'p> SwapRw<'p, Self> for Nobody {
    fn swap_rw(&self, batch: Batch<'p, Self>) -> Completion {
        batch.complete(0)
    }
}

/// Eight pages in one run.
fn mapped(profile: Profile, slots: &mut [Slot]) -> SwapMap<&[Slot]> {
    let area = Area::without_header(Bytes::new(8 * PAGE), PageSize::KIB_4).expect("eight pages");
    let mut activation = Activation::new(profile, &area, slots).expect("no blocks to compare");
    activation.push(&FileExtent::written(Bytes::ZERO, Bytes::ZERO, area.size())).expect("sound");
    activation.finish().expect("sound")
}

fn refused<T>(result: Result<T, Reason>) -> Reason {
    result.err().expect("refused")
}

fn failed(completion: &Completion) -> Reason {
    refused(completion.result().expect("it has ended"))
}
