//! Our words and fuser's, both ways, over all bits.

use fuser::{FopenFlags, InitFlags, OpenFlags, WriteFlags};
use swap_dio::fuse::adapter::{truncates, writes};
use swap_dio::fuse::{Fopen, Init, Write};
use swap_dio::reason::Errno;

#[test]
fn words_of_open() {
    for bit in (0..32).map(|shift| 1u32 << shift) {
        let theirs = FopenFlags::from_bits_retain(bit);
        match (Fopen::try_from(theirs), Fopen::from_bits(bit)) {
            (Ok(ours), Some(same)) => {
                assert_eq!(ours, same);
                assert_eq!(FopenFlags::from(ours), theirs);
                let (our_name, their_name) = (named(ours.iter_names()), named(theirs.iter_names()));
                assert_eq!(format!("FOPEN_{our_name}"), their_name, "bit {bit:#x}");
            }
            (Err(reason), None) => assert!(reason.to_string().contains(&format!("{bit:#x}")), "{reason}"),
            (converted, ours) => panic!("bit {bit:#x}: {converted:?}, {ours:?}"),
        }
    }
    assert_eq!(FopenFlags::from(Fopen::all()), FopenFlags::all());
    assert_eq!(Fopen::try_from(FopenFlags::all()), Ok(Fopen::all()));
}

#[test]
fn words_of_write() {
    for bit in (0..32).map(|shift| 1u32 << shift) {
        let theirs = WriteFlags::from_bits_retain(bit);
        assert_eq!(Write::try_from(theirs).ok(), Write::from_bits(bit), "bit {bit:#x}");
        if let Ok(ours) = Write::try_from(theirs) {
            assert_eq!(WriteFlags::from(ours), theirs);
            assert_eq!(format!("FUSE_WRITE_{}", named(ours.iter_names())), named(theirs.iter_names()));
        }
    }
    assert_eq!(WriteFlags::from(Write::all()), WriteFlags::all());
}

#[test]
fn words_of_init() {
    let mut taken = Init::empty();
    for bit in (0..64).map(|shift| 1u64 << shift) {
        let theirs = InitFlags::from_bits_retain(bit);
        let ours = Init::from(theirs);
        assert_eq!(ours.bits(), bit & Init::all().bits(), "bit {bit:#x}");
        if !ours.is_empty() {
            assert_eq!(InitFlags::from(ours), theirs);
            assert_eq!(format!("FUSE_{}", named(ours.iter_names())), named(theirs.iter_names()));
        }
        taken |= ours;
    }
    assert_eq!(taken, Init::all());
    assert_eq!(Init::from(InitFlags::from(Init::all())), Init::all());
    // As the words of the wire say it.
    let (low, high) = (u32::MAX, u32::MAX);
    assert_eq!(Init::from(InitFlags::all()), Init::from_words(low, high));
}

#[test]
fn flags_of_a_handle() {
    let cases = [
        (libc::O_RDONLY, false, false),
        (libc::O_WRONLY, true, false),
        (libc::O_RDWR | libc::O_LARGEFILE, true, false),
        (libc::O_RDONLY | libc::O_TRUNC, false, true),
        (libc::O_RDWR | libc::O_TRUNC | libc::O_DIRECT, true, true),
        (!libc::O_TRUNC & !libc::O_ACCMODE, false, false),
        (-1, false, true), // an access mode that there is not
    ];
    for (flags, writing, truncating) in cases {
        assert_eq!((writes(OpenFlags(flags)), truncates(OpenFlags(flags))), (writing, truncating), "{flags:#x}");
    }
}

#[test]
fn errnos_keep_their_number() {
    for (ours, number) in [(Errno::EPERM, libc::EPERM), (Errno::ETXTBSY, libc::ETXTBSY), (Errno::EAGAIN, libc::EAGAIN)]
    {
        assert_eq!(fuser::Errno::from(ours).code(), number);
    }
}

fn named<F>(names: impl Iterator<Item = (&'static str, F)>) -> String {
    names.map(|(name, _)| name).collect::<Vec<_>>().join("|")
}
