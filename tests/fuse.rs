//! FUSE without a library: the answer to `BMAP` for every kind of extent, and what holds a file until when.

use proptest::prelude::*;
use swap_dio::fuse::{Answer, Handle, Init, NotActive, Pin, Question, Write, check_block_size};
use swap_dio::guard::{Operation, Relocation};
use swap_dio::reason::Errno;
use swap_dio::{BlockSize, Bytes, DeviceId, ExtentFlags, ExtentState, FileExtent};

const KIB: u64 = 1 << 10;

fn written(logical: u64, physical: u64, length: u64) -> FileExtent {
    FileExtent::written(Bytes::new(logical * KIB), Bytes::new(physical * KIB), Bytes::new(length * KIB))
}

fn ask(extent: FileExtent, block_size: u32, index: u64) -> Answer {
    let covers = |at: Bytes| {
        let end = extent.logical.get() + extent.length.get();
        (extent.logical <= at && at.get() < end).then_some(extent)
    };
    Question::from_words(index, block_size).answer(covers)
}

#[test]
fn a_block_is_told_where_it_is_one_run_in_whole_blocks() {
    let plain = written(64, 1024, 64);
    let unwritten = FileExtent { state: ExtentState::Unwritten, ..plain };
    let state = |state| FileExtent { state, ..plain };
    let flags = |flags| FileExtent { flags, ..plain };
    let cases: &[(&str, FileExtent, u32, u64, Answer)] = &[
        ("a page", plain, 4096, 17, Answer::Block(257)),
        ("a sector", plain, 512, 129, Answer::Block(2049)),
        ("a large block", plain, 65536, 1, Answer::Block(16)),
        ("unwritten", unwritten, 4096, 16, Answer::Block(256)),
        ("before it", plain, 4096, 15, Answer::Hole),
        ("after it", plain, 4096, 32, Answer::Hole),
        ("longer than it", written(64, 1024, 6), 4096, 17, Answer::Hole),
        ("between blocks of the device", written(64, 1026, 64), 4096, 16, Answer::Refused(Errno::EINVAL)),
        ("block 0", written(0, 0, 64), 4096, 0, Answer::Hole),
        ("block 1", written(0, 0, 64), 4096, 1, Answer::Block(1)),
        ("a hole", state(ExtentState::Hole), 4096, 16, Answer::Hole),
        ("delayed", state(ExtentState::Delayed), 4096, 16, Answer::Hole),
        ("inline", state(ExtentState::Inline), 4096, 16, Answer::Hole),
        ("nowhere", FileExtent { physical: None, ..plain }, 4096, 16, Answer::Hole),
        ("on another device", FileExtent { device: DeviceId::new(2), ..plain }, 4096, 16, Answer::Hole),
        ("shared", flags(ExtentFlags::SHARED), 4096, 16, Answer::Hole),
        ("compressed", flags(ExtentFlags::COMPRESSED), 4096, 16, Answer::Hole),
        ("encrypted", flags(ExtentFlags::ENCRYPTED), 4096, 16, Answer::Hole),
        ("no block size", plain, 0, 16, Answer::Refused(Errno::EINVAL)),
        ("no power of two", plain, 4095, 16, Answer::Refused(Errno::EINVAL)),
        ("past 2^64", plain, 4096, u64::MAX, Answer::Refused(Errno::EINVAL)),
    ];
    for (name, extent, block_size, index, answer) in cases {
        assert_eq!(ask(*extent, *block_size, *index), *answer, "{name}");
    }
    assert_eq!(Answer::Hole.word(), Ok(0));
    assert_eq!(Answer::Refused(Errno::EINVAL).word(), Err(Errno::EINVAL));
}

proptest! {
    /// Whatever is asked of whatever extent: never `ENOSYS`, never block 0, and a block that is told lies in the
    /// extent.
    #[test]
    fn no_answer_is_wrong(logical: u64, physical: u64, length: u64, block_size: u32, index: u64, small: bool) {
        let cut = |value: u64| if small { value % (1 << 20) } else { value };
        let extent = FileExtent::written(Bytes::new(cut(logical)), Bytes::new(cut(physical)), Bytes::new(cut(length)));
        let block_size = if small { 512 << (block_size % 8) } else { block_size };
        let answer = Question::from_words(cut(index), block_size).answer(|_| Some(extent));
        match answer {
            Answer::Block(block) => {
                let (at, from) = (u128::from(block) * u128::from(block_size), u128::from(extent.physical.unwrap().get()));
                prop_assert!(block != 0);
                prop_assert!(at >= from && at + u128::from(block_size) <= from + u128::from(extent.length.get()));
                let offset = u128::from(cut(index)) * u128::from(block_size);
                prop_assert_eq!(at - from, offset - u128::from(extent.logical.get()));
            }
            Answer::Hole => (),
            Answer::Refused(errno) => prop_assert_eq!(errno, Errno::EINVAL),
        }
    }

    /// Against a model that knows which handles were open at a `BMAP`: the pin never lets go before it.
    #[test]
    fn a_pin_holds_as_long_as_any_handle_that_may_be_swapons(acts in proptest::collection::vec((0u8..6, 0usize..8), 0..60)) {
        let (mut pin, mut open, mut suspects, mut orphan) = (Pin::default(), Vec::new(), Vec::<Handle>::new(), false);
        for (act, which) in acts {
            match act {
                0 | 1 => open.push(pin.opened()),
                2 => {
                    pin.asked();
                    suspects.clone_from(&open);
                    orphan |= open.is_empty();
                }
                3 if !open.is_empty() => {
                    let handle = open.remove(which % open.len());
                    pin.released(handle);
                    suspects.retain(|other| *other != handle);
                }
                5 => {
                    pin.let_go(NotActive::by_write(Write::empty(), Init::empty()).expect("a proof"));
                    (suspects, orphan) = (Vec::new(), false);
                }
                4 if which == 0 => {
                    pin.forgotten();
                    (open, suspects, orphan) = (Vec::new(), Vec::new(), false);
                }
                _ => (),
            }
            prop_assert_eq!(pin.is_held(), !suspects.is_empty() || orphan);
        }
    }
}

#[test]
fn swapon_as_it_was_seen() {
    let mut pin = Pin::default();
    let swapon = pin.opened();
    assert!(!pin.is_held(), "opening alone holds nothing");
    for _ in 0..2048 {
        pin.asked();
    }
    assert!(pin.is_held());
    // swapoff opens the path itself, and closes it first.
    let swapoff = pin.opened();
    pin.released(swapoff);
    assert!(pin.is_held());
    pin.released(swapon);
    assert!(!pin.is_held());
}

#[test]
fn somebody_who_looked_first_does_not_hide_swapon() {
    let mut pin = Pin::default();
    let filefrag = pin.opened();
    pin.asked();
    let swapon = pin.opened();
    pin.asked();
    pin.released(filefrag);
    assert!(pin.is_held(), "swapon came while filefrag still looked");
    pin.released(swapon);
    assert!(!pin.is_held());
}

#[test]
fn without_handles_only_forgetting_lets_go() {
    let mut pin = Pin::default();
    pin.asked();
    let handle = pin.opened();
    pin.released(handle);
    assert!(pin.is_held());
    pin.forgotten();
    assert!(!pin.is_held());
}

#[test]
fn a_held_file_stays_where_it_is() {
    let mut pin = Pin::default();
    let known = pin.opened();
    for act in Relocation::ALL {
        assert_eq!(pin.check_relocation(act), Ok(()));
    }
    pin.asked_without_open();
    pin.released(known);
    for act in Relocation::ALL {
        let reason = pin.check_relocation(act).expect_err("swapon's handle is another one");
        assert!(reason.to_string().contains(act.words()), "{reason}");
        assert_eq!(reason.errno(), Some(act.errno()));
    }
    pin.forgotten();
    assert!(!pin.is_held());
}

#[test]
fn a_request_that_an_active_area_would_not_see_lets_go() {
    let all = Init::all();
    for bits in 0..8 {
        let write = Write::from_bits_retain(bits);
        let proves = |connection| NotActive::by_write(write, connection).is_some();
        assert_eq!(proves(all - Init::ASYNC_DIO), !write.contains(Write::CACHE), "{write:?}");
        assert!(!proves(all) && !proves(Init::ASYNC_DIO), "{write:?}");
    }
    assert!(NotActive::by_truncation(Bytes::new(1)).is_none());

    let proof = || NotActive::by_truncation(Bytes::ZERO).expect("nothing is left");
    let mut pin = Pin::default();
    pin.asked();
    pin.let_go(proof());
    assert!(!pin.is_held());
    // Handles that were open stay so, and hold again after the next question.
    let first = pin.opened();
    pin.asked();
    pin.let_go(proof());
    let second = pin.opened();
    assert!(!pin.is_held());
    pin.asked();
    pin.released(second);
    assert!(pin.is_held());
    pin.released(first);
    assert!(!pin.is_held());
}

#[test]
fn a_wrapper_that_cannot_tell_handles_holds_until_the_last() {
    let mut pin = Pin::default();
    pin.opened();
    pin.asked();
    pin.opened();
    pin.released_some();
    assert!(pin.is_held());
    pin.released_some();
    assert!(!pin.is_held());
    pin.released_some();
    assert_eq!(pin.check(Operation::Write), Ok(()), "one too many does no harm");
}

#[test]
fn a_held_file_is_guarded_as_the_kernel_guards_it() {
    let mut pin = Pin::default();
    let handle = pin.opened();
    assert!(Operation::ALL.iter().all(|operation| pin.check(*operation).is_ok()));
    pin.asked();
    for operation in Operation::ALL {
        assert_eq!(pin.check(operation), operation.check(), "{operation:?}");
    }
    pin.released(handle);
    assert!(Operation::ALL.iter().all(|operation| pin.check(*operation).is_ok()));
}

#[test]
fn a_file_states_the_block_size_of_its_mount_or_none() {
    let mount = BlockSize::KIB_4;
    assert_eq!((check_block_size(mount, 4096), check_block_size(mount, 0)), (Ok(()), Ok(())));
    let reason = check_block_size(mount, 512).expect_err("two units");
    assert_eq!(reason.code(), "misaligned");
    assert!(reason.to_string().contains("512 bytes") && reason.to_string().contains("4 KiB"), "{reason}");
}

#[test]
fn words_of_a_write() {
    assert_eq!(Write::from_word(0b101), Ok(Write::CACHE | Write::KILL_SUIDGID));
    assert!(Write::from_word(8).is_err());
}
