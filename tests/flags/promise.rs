//! What words promise: of an open file (contract §7.2), of statx (§9.2), of FUSE (§9.5); and what a model needs.

use swap_dio::flags::{Fmode, Fop};
use swap_dio::fuse::{Fopen, Init};
use swap_dio::reason::{FlagFault, RequestFault};
use swap_dio::{Bytes, DirectIo, Features, Model, PageSize, Reason};

const BOTH: Features = Features::DIO_READ.union(Features::DIO_WRITE);
const NOTHING: Features = Features::empty();

#[test]
fn an_open_file_promises_what_its_bits_say() {
    let modes = [
        (Fmode::READ, NOTHING),
        (Fmode::WRITE, NOTHING),
        (Fmode::CAN_ATOMIC_WRITE, NOTHING),
        (Fmode::NOCMTIME, Features::NO_TIMESTAMPS),
        (Fmode::CAN_ODIRECT, BOTH),
        (Fmode::NOWAIT, Features::NOWAIT),
    ];
    for mode in (0..=Fmode::all().bits()).map(Fmode::from_bits_truncate) {
        for operations in (0..=Fop::all().bits()).map(Fop::from_bits_truncate) {
            let mut expected: Features =
                modes.iter().filter(|(bit, _)| mode.contains(*bit)).map(|(_, promised)| *promised).collect();
            expected.set(Features::PARALLEL_WRITES, operations.contains(Fop::DIO_PARALLEL_WRITE));
            assert_eq!(Features::of_open_file(mode, operations), expected, "{mode:?}, {operations:?}");
        }
    }
}

fn aligned(memory: u64, offset: u64, read_offset: u64) -> DirectIo {
    DirectIo::Aligned { memory: Bytes::new(memory), offset: Bytes::new(offset), read_offset: Bytes::new(read_offset) }
}

#[test]
fn statx_says_yes_no_or_nothing() {
    const ALIGN: u32 = 0x2000;
    const READ: u32 = 0x2_0000;
    type Case = (&'static str, u32, [u32; 3], Result<DirectIo, (&'static str, u64)>);
    let cases: &[Case] = &[
        ("no mask", 0, [512, 512, 512], Ok(DirectIo::Unknown)),
        ("every other mask", !ALIGN, [512, 512, 512], Ok(DirectIo::Unknown)),
        ("only the mask of reads", READ, [0, 0, 512], Ok(DirectIo::Unknown)),
        ("no mask and nonsense", 0, [3, 5, 7], Ok(DirectIo::Unknown)),
        ("zeros", ALIGN, [0, 0, 0], Ok(DirectIo::Unsupported)),
        ("zeros, and one for reads", ALIGN | READ, [0, 0, 512], Ok(DirectIo::Unsupported)),
        ("no alignment of memory", ALIGN, [0, 512, 0], Ok(DirectIo::Unsupported)),
        ("no alignment of offsets", ALIGN, [512, 0, 0], Ok(DirectIo::Unsupported)),
        ("aligned", ALIGN, [4, 512, 0], Ok(aligned(4, 512, 512))),
        ("reads without their mask", ALIGN, [4, 4096, 512], Ok(aligned(4, 4096, 4096))),
        ("reads as writes", ALIGN | READ, [4, 4096, 0], Ok(aligned(4, 4096, 4096))),
        ("reads apart", ALIGN | READ, [4, 4096, 512], Ok(aligned(4, 4096, 512))),
        ("every mask", u32::MAX, [1, 1, 1], Ok(aligned(1, 1, 1))),
        ("the largest", ALIGN, [1 << 31, 1 << 31, 0], Ok(aligned(1 << 31, 1 << 31, 1 << 31))),
        ("memory is no power of two", ALIGN | READ, [3, 5, 7], Err(("memory", 3))),
        ("offsets are none", ALIGN | READ, [4, 5, 7], Err(("offsets", 5))),
        ("offsets of reads are none", ALIGN | READ, [4, 512, 7], Err(("offsets of reads", 7))),
        ("not said of reads, not looked at", ALIGN, [4, 512, 7], Ok(aligned(4, 512, 512))),
    ];
    for (name, mask, [memory, offset, read], expected) in cases {
        let got = DirectIo::from_statx(*mask, *memory, *offset, *read).map_err(refused);
        assert_eq!(got, *expected, "{name}");
        let promised = if matches!(got, Ok(DirectIo::Aligned { .. })) { BOTH } else { NOTHING };
        assert_eq!(got.map_or(NOTHING, |direct_io| direct_io.features()), promised, "{name}");
    }
    assert_eq!((DirectIo::STATX_DIOALIGN, DirectIo::STATX_DIO_READ_ALIGN), (ALIGN, READ));
}

/// What does not fit, and by how much.
fn refused(reason: Reason) -> (&'static str, u64) {
    match reason {
        Reason::Request(
            RequestFault::AlignmentAbovePage { what, got, .. } | RequestFault::AlignmentOdd { what, got },
        ) => (what, got.get()),
        _ => (reason.code(), 0),
    }
}

#[test]
fn alignments_fit_whole_pages_or_are_named() {
    let cases = [
        ("unknown", DirectIo::Unknown, PageSize::KIB_4, Ok(())),
        ("unsupported", DirectIo::Unsupported, PageSize::KIB_4, Ok(())),
        ("small", aligned(1, 512, 512), PageSize::KIB_4, Ok(())),
        ("a page", aligned(4096, 4096, 4096), PageSize::KIB_4, Ok(())),
        ("memory above", aligned(8192, 8192, 8192), PageSize::KIB_4, Err(("memory", 8192))),
        ("offsets above", aligned(4096, 8192, 16384), PageSize::KIB_4, Err(("offsets", 8192))),
        ("offsets of reads above", aligned(4096, 4096, 16384), PageSize::KIB_4, Err(("offsets of reads", 16384))),
        ("stated by hand, no power of two", aligned(3, 512, 512), PageSize::KIB_4, Err(("memory", 3))),
        ("stated by hand, nothing", aligned(4, 0, 512), PageSize::KIB_4, Err(("offsets", 0))),
        ("a larger page", aligned(8192, 16384, 65536), PageSize::KIB_64, Ok(())),
    ];
    for (name, direct_io, page, expected) in cases {
        assert_eq!(direct_io.fits(page).map_err(refused), expected, "{name}");
    }
}

const INIT: &[(Init, u32)] = &[
    (Init::ASYNC_DIO, 15),
    (Init::WRITEBACK_CACHE, 16),
    (Init::MAX_PAGES, 22),
    (Init::INIT_EXT, 30),
    (Init::PASSTHROUGH, 37),
    (Init::HAS_RESEND, 39),
    (Init::OVER_IO_URING, 41),
];

#[test]
fn the_words_of_init_are_joined() {
    assert_eq!(INIT.iter().map(|(flag, _)| *flag).collect::<Init>(), Init::all());
    for a in 0..64u32 {
        for b in 0..64u32 {
            let bits = 1u64 << a | 1 << b;
            let (low, high) = (u32::try_from(bits & 0xffff_ffff), u32::try_from(bits >> 32));
            let (low, high) = (low.expect("masked"), high.expect("shifted"));
            let extended = a == 30 || b == 30;
            let expected: Init = INIT
                .iter()
                .filter(|(_, bit)| (a == *bit || b == *bit) && (*bit < 32 || extended))
                .map(|(flag, _)| *flag)
                .collect();
            assert_eq!(Init::from_words(low, high), expected, "bits {a} and {b}");
        }
    }
    assert_eq!(Init::from_words(u32::MAX, u32::MAX), Init::all());
}

#[test]
fn the_word_of_open_is_read_or_refused_by_value() {
    let bits = [
        (Fopen::DIRECT_IO, 0),
        (Fopen::KEEP_CACHE, 1),
        (Fopen::NONSEEKABLE, 2),
        (Fopen::CACHE_DIR, 3),
        (Fopen::STREAM, 4),
        (Fopen::NOFLUSH, 5),
        (Fopen::PARALLEL_DIRECT_WRITES, 6),
        (Fopen::PASSTHROUGH, 7),
    ];
    for word in super::words(0) {
        let flags = bits.iter().filter(|(_, bit)| word & 1 << bit != 0).map(|(flag, _)| *flag).collect();
        let refused = |bits: u32| Reason::Flags(FlagFault::Unknown { word: "open_flags", bits: bits.into() });
        let expected = if word < 256 { Ok(flags) } else { Err(refused(word & !0xff)) };
        assert_eq!(Fopen::from_word(word), expected, "{word:#x}");
    }
}

#[test]
fn a_fuse_file_promises_by_its_handle() {
    let direct = BOTH | Features::NO_BUFFERED_FALLBACK;
    for init in (0..128u32).map(|choice| INIT.iter().enumerate().filter(move |(at, _)| choice & 1 << at != 0)) {
        let init: Init = init.map(|(_, (flag, _))| *flag).collect();
        for open in (0..256).map(Fopen::from_bits_truncate) {
            let mut expected = direct;
            expected.set(Features::ASYNC_COMPLETION, init.contains(Init::ASYNC_DIO));
            expected.set(Features::PARALLEL_WRITES, open.contains(Fopen::PARALLEL_DIRECT_WRITES));
            // `FOPEN_DIRECT_IO` overrides passthrough.
            // What has no positions has no pages.
            if !open.contains(Fopen::DIRECT_IO) || open.intersects(Fopen::STREAM | Fopen::NONSEEKABLE) {
                expected = NOTHING;
            }
            assert_eq!(Features::of_fuse(init, open), expected, "{init:?}, {open:?}");
        }
    }
}

/// Promises and their names.
type Promised = &'static [(Features, &'static str)];

/// What each model rests on, in the order of the bits.
const REQUIRED: [(Model, &str, Promised); 2] = [
    (Model::Bio, "the bio model", &[(Features::STABLE_MAPPING, "STABLE_MAPPING")]),
    (
        Model::File,
        "the file model",
        &[
            (Features::DIO_READ, "DIO_READ"),
            (Features::DIO_WRITE, "DIO_WRITE"),
            (Features::NO_BUFFERED_FALLBACK, "NO_BUFFERED_FALLBACK"),
            (Features::TXN_FREE_SUBMIT, "TXN_FREE_SUBMIT"),
            (Features::TXN_FREE_COMPLETE, "TXN_FREE_COMPLETE"),
            (Features::STABLE_MAPPING, "STABLE_MAPPING"),
            (Features::ONE_IO_PER_PAGE, "ONE_IO_PER_PAGE"),
            (Features::MEMALLOC_SAFE, "MEMALLOC_SAFE"),
        ],
    ),
];

#[test]
fn the_first_promise_that_is_missing_is_named() {
    for (model, who, required) in REQUIRED {
        let needed: Features = required.iter().map(|(promise, _)| *promise).collect();
        assert_eq!(Features::required(model), needed, "{who}");
        for missing in 0..1u32 << required.len() {
            let gone = |at: &usize| missing & 1 << at != 0;
            let removed: Features = (0..required.len()).filter(gone).map(|at| required[at].0).collect();
            let first = (0..required.len()).find(gone).map(|at| required[at].1);
            for made in [needed - removed, Features::all() - removed] {
                let got = made.promise(model).map(|promises| (promises.features(), promises.model()));
                let expected = match first {
                    None => Ok((made, model)),
                    Some(promise) => Err(Reason::Request(RequestFault::Promise { who, promise })),
                };
                assert_eq!(got, expected, "{who}, without {removed:?}");
            }
        }
    }
}

#[test]
fn what_is_not_required_is_not_missed() {
    for (model, who, _) in REQUIRED {
        for spare in (Features::all() - Features::required(model)).iter() {
            let promises = (Features::all() - spare).promise(model).expect("enough");
            let warns = model == Model::File && spare == Features::NO_TIMESTAMPS;
            let warning = warns.then_some(Reason::TimestampTransaction);
            assert_eq!(promises.warning(), warning, "{who}, without {spare:?}");
        }
    }
}
