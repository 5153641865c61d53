//! Every reason, one row each: its values, its code, what follows from it. Here are those that the core is told.
//!
//! The enum may grow, so no match from outside can be complete: the codes exercised are held against a list that is
//! the promise to scripts, and a code that is in only one of the two fails.

#![cfg(feature = "alloc")]

mod made;

use std::collections::BTreeSet;
use swap_dio::reason::{Answer, Errno, Holder, SpecialFile};
use swap_dio::{Bytes, Class, Reason, Verdict};

/// Every code there is. A code may be added, none may change its meaning or go.
const CODES: &str = "\
    active append-only area-too-large block-size-above-page-size busy checksummed compressed copy-on-write dax \
    delayed-allocation directory encrypted extent-empty extent-flags-unknown extent-order extent-outside-device \
    extent-overflow extent-overlap extents-too-many filesystem-unknown header-bad-pages header-empty \
    header-missing header-page-size header-short header-truncated header-version hibernation-image hole immutable \
    inline insecure-mode insecure-owner journaled-data loop-backing map-full misaligned multi-device network \
    no-block-map no-direct-io no-page-read no-usable-page not-a-file not-identity outside-area placement-unknown \
    profile-not-single read-only sequential-zone shared short-buffer uncommitted unlinked unwritten verity";

/// What the core gave, what it should be, its code, its verdict, swapon's answer, whether there is something to type.
type Row = (Reason, Reason, &'static str, Verdict, Answer, bool);

/// What the path and the inode are like: facts that are stated to the core, or that only an adapter says.
fn told() -> Vec<Row> {
    use Reason as R;
    use Verdict::{Admit, Refuse, Retry};
    let (no, ok) = (Answer::Refuses(Errno::EINVAL), Answer::Accepts);
    let (perm, busy) = (Answer::Refuses(Errno::EPERM), Answer::Refuses(Errno::EBUSY));
    let maybe = Answer::Depends(Errno::EINVAL);
    let made = |reason: Reason, code, verdict, answer, remedy| (reason, reason, code, verdict, answer, remedy);
    vec![
        made(R::Directory, "directory", Refuse, Answer::Refuses(Errno::EISDIR), true),
        made(R::NotAFile { kind: SpecialFile::Fifo }, "not-a-file", Refuse, no, true),
        made(R::NotAFile { kind: SpecialFile::Socket }, "not-a-file", Refuse, Answer::Refuses(Errno::ENXIO), true),
        made(R::NotAFile { kind: SpecialFile::CharacterDevice }, "not-a-file", Refuse, maybe, true),
        made(R::ReadOnly, "read-only", Refuse, Answer::Refuses(Errno::EROFS), true),
        made(R::Immutable, "immutable", Refuse, perm, true),
        made(R::AppendOnly, "append-only", Refuse, perm, true),
        made(R::Verity, "verity", Refuse, perm, true),
        made(R::Unlinked, "unlinked", Refuse, Answer::Refuses(Errno::ENOENT), false),
        made(R::Active, "active", Retry, busy, true),
        made(R::DeviceHeld { holder: Holder::Mount }, "busy", Retry, busy, true),
        made(R::DeviceHeld { holder: Holder::StackedDevice }, "busy", Retry, busy, true),
        made(R::Busy { holder: Holder::ExclusiveOperation }, "busy", Retry, busy, true),
        made(R::Busy { holder: Holder::SnapshotCreation }, "busy", Retry, no, true),
        made(R::Encrypted, "encrypted", Refuse, maybe, true),
        made(R::NoPageRead { filesystem: "tmpfs" }, "no-page-read", Refuse, no, true),
        made(R::Dax, "dax", Refuse, no, true),
        made(R::CopyOnWrite, "copy-on-write", Refuse, no, true),
        made(R::Checksummed, "checksummed", Refuse, no, true),
        made(R::CompressedFile, "compressed", Refuse, no, true),
        made(R::NoBlockMap { filesystem: "9p" }, "no-block-map", Refuse, no, true),
        made(R::FilesystemUnknown { filesystem: "somefs" }, "filesystem-unknown", Refuse, maybe, true),
        made(R::PlacementUnknown, "placement-unknown", Refuse, maybe, true),
        made(R::Network { filesystem: "nfs" }, "network", Refuse, ok, true),
        made(R::JournaledData, "journaled-data", Refuse, ok, true),
        made(R::NoDirectIo, "no-direct-io", Refuse, ok, true),
        made(R::LoopBacking, "loop-backing", Refuse, ok, true),
        made(
            R::ExtentFlagsUnknown { offset: Bytes::ZERO, bits: 1 << 30 },
            "extent-flags-unknown",
            Refuse,
            maybe,
            false,
        ),
        made(R::ExtentsTooMany { limit: 1 << 32 }, "extents-too-many", Refuse, maybe, false),
        made(R::ProfileNotSingle { range: None }, "profile-not-single", Refuse, no, true),
        made(R::InsecureMode { mode: 0o644 }, "insecure-mode", Admit, ok, true),
        made(R::InsecureOwner { uid: 1000 }, "insecure-owner", Admit, ok, true),
    ]
}

fn rows() -> Vec<Row> {
    told().into_iter().chain(made::rows()).collect()
}

#[test]
fn every_reason_is_what_it_says() {
    for (got, expected, code, verdict, answer, remedy) in rows() {
        assert_eq!(got, expected);
        assert_eq!((got.code(), got.verdict(), got.answer()), (code, verdict, answer), "{got:?}");
        assert_eq!(got.remedy().is_some(), remedy, "{got:?}: {:?}", got.remedy());
        let errno = match answer {
            Answer::Refuses(errno) | Answer::Depends(errno) => Some(errno),
            Answer::Accepts => None,
        };
        assert_eq!(got.errno(), errno, "{got:?}");
        let class = match verdict {
            Verdict::Admit => Class::Warning,
            Verdict::Retry => Class::Transient,
            Verdict::Refuse => Class::Permanent,
        };
        assert_eq!(got.class(), class, "{got:?}");
    }
}

#[test]
fn every_code_has_a_row_and_every_row_a_code() {
    let exercised: BTreeSet<&str> = rows().iter().map(|(got, ..)| got.code()).collect();
    let promised: BTreeSet<&str> = CODES.split_whitespace().collect();
    assert_eq!(exercised, promised);
    for code in promised {
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}: kebab-case");
    }
}

#[test]
fn messages_and_remedies_are_one_plain_line() {
    for (got, ..) in rows() {
        let message = got.to_string();
        assert!(!message.is_empty() && !message.contains('\n') && !message.contains("  "), "{message:?}");
        assert!(!message.starts_with(char::is_uppercase), "{message:?}: lower case");
        assert!(!message.ends_with('.') && !message.ends_with(' '), "{message:?}: no full stop");
        assert!(!message.contains("Bytes(") && !message.contains("Some("), "{message:?}: for people");
        let Some(remedy) = got.remedy() else { continue };
        assert!(!remedy.is_empty() && !remedy.contains('\n') && !remedy.ends_with('.'), "{remedy:?}");
        let destroys = ["mkswap FILE", "of=FILE", "truncate -s 0"].iter().any(|act| remedy.contains(act));
        assert!(!destroys || remedy.contains("lost"), "{remedy:?}: says what is lost");
    }
}

#[test]
fn a_reason_about_a_part_of_the_file_says_which() {
    let parts = [
        "extent-overflow",
        "extent-outside-device",
        "delayed-allocation",
        "inline",
        "uncommitted",
        "shared",
        "multi-device",
        "unwritten",
    ];
    for (got, ..) in rows() {
        if parts.contains(&got.code()) {
            assert!(got.range().is_some(), "{got:?}");
        }
        if let Some(range) = got.range() {
            assert!(range.length != Bytes::ZERO, "{got:?}");
            let offset = range.offset.to_string();
            assert!(
                got.to_string().contains(&offset) || ["profile-not-single", "sequential-zone"].contains(&got.code()),
                "{got}: names {offset}"
            );
        }
    }
}
