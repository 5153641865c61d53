//! Every reason, one row each: its values, its code, what follows from it. Here are those that the core is told.
//!
//! The enum may grow, so no match from outside can be complete: the codes exercised are held against a list that is
//! the promise to scripts, and a code that is in only one of the two fails.

#![cfg(feature = "alloc")]

mod engine;
mod made;
mod posture;
mod served;
mod topology;

use std::collections::BTreeSet;
use swap_dio::activation::BtrfsInode;
use swap_dio::candidate::{Candidate, Condition, Kind, check_flags};
use swap_dio::reason::SpecialFile::{CharacterDevice as Character, Fifo, Socket};
use swap_dio::reason::{Answer, Errno, Holder};
use swap_dio::{ByteRange, Bytes, Class, PageSize, Reason, Release, Verdict};

/// Every code there is. A code may be added, none may change its meaning or go.
const CODES: &str = "\
    active append-only area-too-large block-size-above-page-size busy checksummed compressed copy-on-write dax \
    delayed-allocation directory encrypted extent-empty extent-flags-unknown extent-order extent-outside-device \
    extent-overflow extent-overlap extents-too-many filesystem-unknown header-bad-pages header-empty \
    header-missing header-page-size header-short header-truncated header-unreadable header-version hibernation-image hole immutable in-memory \
    flags-unknown inline insecure-mode insecure-owner journaled-data loop-backing map-full misaligned multi-device network \
    no-block-map no-direct-io no-permission open-for-execution other-backing no-page-read no-usable-page not-a-file not-identity outside-area placement-unknown \
    profile-not-single read-only sequential-zone shared short-buffer swap-not-served table-full transaction uncommitted unlinked unwritten user-space-server verity \
    closed flag-not-carried flag-renumbered flag-unsupported flag-without-number flags-exclusive guarded header-page in-flight \
    io-failed mapping-moved op-unknown other-model pin-empty pin-overflow pin-page-size pin-unknown pinned pins-full promise-missing queue-full reclaim-context \
    attribute-changed extents-changed not-revalidated other-request size-changed \
    request-dropped request-empty request-too-long short-io shut-down swap-mark transaction-timestamp \
    device-allocates file-backed-server file-size-limit large-requests layer-unknown loop-below posture server-death ublk-flags";

/// What the core gave, what it should be, its code, its verdict, swapon's answer, whether there is something to type.
type Row = (Reason, Reason, &'static str, Verdict, Answer, bool);

/// What the path and the inode are like: facts that are stated to the core, or that only an adapter says.
fn told() -> Vec<Row> {
    use Reason as R;
    use Verdict::{Admit, Refuse, Retry};
    let (no, ok) = (Answer::Refuses(Errno::EINVAL), Answer::Accepts);
    let (perm, busy) = (Answer::Refuses(Errno::EPERM), Answer::Refuses(Errno::EBUSY));
    let (enxio, rofs) = (Answer::Refuses(Errno::ENXIO), Answer::Refuses(Errno::EROFS));
    let (text, if_text) = (Answer::Refuses(Errno::ETXTBSY), Answer::Depends(Errno::ETXTBSY));
    let (maybe, full) = (Answer::Depends(Errno::EINVAL), Answer::Depends(Errno::EPERM));
    let if_busy = Answer::Depends(Errno::EBUSY);
    let (balance, snapshot) = (Holder::ExclusiveOperation, Holder::SnapshotCreation);
    let made = |reason: Reason, code, verdict, answer, remedy| (reason, reason, code, verdict, answer, remedy);
    vec![
        (flags(0x8_0000 | 5), R::FlagsUnknown { bits: 0x8_0000 }, "flags-unknown", Refuse, no, false),
        (condition(Condition::UNPRIVILEGED), R::NoPermission, "no-permission", Refuse, perm, true),
        (path(Candidate { active_areas: 22, ..CLEAN }), R::TableFull { active: 22 }, "table-full", Retry, full, true),
        (kind(Kind::Directory), R::Directory, "directory", Refuse, Answer::Refuses(Errno::EISDIR), true),
        (kind(Kind::Special(Fifo)), R::NotAFile { kind: Fifo }, "not-a-file", Refuse, no, true),
        (kind(Kind::Special(Socket)), R::NotAFile { kind: Socket }, "not-a-file", Refuse, enxio, true),
        (kind(Kind::Special(Character)), R::NotAFile { kind: Character }, "not-a-file", Refuse, maybe, true),
        (condition(Condition::FILESYSTEM_READ_ONLY), R::ReadOnly, "read-only", Refuse, rofs, true),
        (condition(Condition::MOUNT_READ_ONLY), R::ReadOnly, "read-only", Refuse, rofs, true),
        (condition(Condition::IMMUTABLE), R::Immutable, "immutable", Refuse, perm, true),
        (condition(Condition::APPEND_ONLY), R::AppendOnly, "append-only", Refuse, perm, true),
        (
            condition(Condition::EXECUTED),
            R::OpenForExecution { certain: true },
            "open-for-execution",
            Retry,
            text,
            true,
        ),
        (
            doubt(Condition::EXECUTED),
            R::OpenForExecution { certain: false },
            "open-for-execution",
            Retry,
            if_text,
            true,
        ),
        (condition(Condition::VERITY), R::Verity, "verity", Refuse, perm, true),
        (held(Holder::Mount), R::DeviceHeld { holder: Holder::Mount }, "busy", Retry, busy, true),
        (held(Holder::Someone), R::DeviceHeld { holder: Holder::Someone }, "busy", Retry, busy, true),
        (condition(Condition::ZONED), R::SequentialZone, "sequential-zone", Refuse, no, true),
        (condition(Condition::UNLINKED), R::Unlinked, "unlinked", Refuse, Answer::Refuses(Errno::ENOENT), false),
        (condition(Condition::ACTIVE), R::Active { certain: true }, "active", Retry, busy, true),
        (doubt(Condition::ACTIVE), R::Active { certain: false }, "active", Retry, if_busy, true),
        (condition(Condition::ENCRYPTED), R::Encrypted, "encrypted", Refuse, maybe, true),
        (large_on(6, 18), above(Some(true)), "block-size-above-page-size", Refuse, no, true),
        (large_on(7, 0), above(Some(true)), "block-size-above-page-size", Refuse, no, true),
        (large_on(6, 12), above(Some(false)), "block-size-above-page-size", Refuse, ok, true),
        (large_on(6, 15), above(None), "block-size-above-page-size", Refuse, maybe, true),
        (
            path(Candidate { no_page_read: Some("tmpfs"), ..CLEAN }),
            R::NoPageRead { filesystem: "tmpfs" },
            "no-page-read",
            Refuse,
            no,
            true,
        ),
        (condition(Condition::DAX), R::Dax, "dax", Refuse, no, true),
        (btrfs(BtrfsInode { no_cow: false, ..NOCOW }), R::CopyOnWrite, "copy-on-write", Refuse, no, true),
        (btrfs(BtrfsInode { no_checksums: false, ..NOCOW }), R::Checksummed, "checksummed", Refuse, no, true),
        (btrfs(BtrfsInode { compressed: true, ..NOCOW }), R::CompressedFile, "compressed", Refuse, no, true),
        (btrfs(BtrfsInode { busy: Some(balance), ..NOCOW }), R::Busy { holder: balance }, "busy", Retry, busy, true),
        (btrfs(BtrfsInode { busy: Some(snapshot), ..NOCOW }), R::Busy { holder: snapshot }, "busy", Retry, no, true),
        made(R::NoBlockMap { filesystem: "9p" }, "no-block-map", Refuse, no, true),
        made(R::FilesystemUnknown { filesystem: "somefs" }, "filesystem-unknown", Refuse, Answer::Unknown, true),
        made(R::TransactionPerWrite { filesystem: "btrfs" }, "transaction", Refuse, ok, true),
        made(R::DeviceReadOnly, "read-only", Refuse, ok, true),
        made(R::PlacementUnknown, "placement-unknown", Refuse, maybe, true),
        made(R::LogStructured { filesystem: "f2fs" }, "copy-on-write", Refuse, no, true),
        made(R::OnceShared { range: RANGE, certain: true }, "shared", Refuse, no, true),
        made(R::OnceShared { range: RANGE, certain: false }, "shared", Refuse, maybe, true),
        made(R::InMemory { filesystem: "tmpfs" }, "in-memory", Refuse, ok, true),
        made(R::HeaderUnreadable, "header-unreadable", Refuse, Answer::Refuses(Errno::EIO), true),
        made(R::UserSpaceServer, "user-space-server", Refuse, ok, true),
        made(R::Busy { holder: Holder::Scrub }, "busy", Verdict::Retry, maybe, true),
        made(R::Network { filesystem: "nfs" }, "network", Refuse, ok, true),
        made(R::SwapNotServed { filesystem: "NFS", certain: true }, "swap-not-served", Refuse, no, true),
        made(R::SwapNotServed { filesystem: "NFS", certain: false }, "swap-not-served", Refuse, maybe, true),
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
        made(R::ProfileNotSingle, "profile-not-single", Refuse, no, true),
        made(R::InsecureMode { mode: 0o644 }, "insecure-mode", Admit, ok, true),
        made(R::InsecureOwner { uid: 1000 }, "insecure-owner", Admit, ok, true),
    ]
}

/// A regular file that nothing is wrong with.
const CLEAN: Candidate = Candidate {
    kind: Kind::RegularFile,
    release: Some(Release::new(6, 18)),
    page_size: PageSize::KIB_4,
    conditions: Condition::empty(),
    unknown: Condition::empty(),
    active_areas: 21,
    holder: None,
    block: Bytes::new(4096),
    no_page_read: None,
};

/// The only reason against a path.
fn path(candidate: Candidate) -> Reason {
    let mut all = Vec::new();
    candidate.judge(|reason| all.push(reason));
    assert_eq!(all.len(), 1, "{candidate:?}: {all:?}");
    all.remove(0)
}

/// A btrfs inode that promises everything.
const NOCOW: BtrfsInode = BtrfsInode { compressed: false, no_cow: true, no_checksums: true, busy: None };

/// The only reason against a btrfs inode.
fn btrfs(inode: BtrfsInode) -> Reason {
    let mut all = Vec::new();
    inode.judge(|reason| all.push(reason));
    assert_eq!(all.len(), 1, "{inode:?}: {all:?}");
    all.remove(0)
}

fn condition(conditions: Condition) -> Reason {
    path(Candidate { conditions, ..CLEAN })
}

fn doubt(unknown: Condition) -> Reason {
    path(Candidate { unknown, ..CLEAN })
}

const RANGE: ByteRange = ByteRange::new(Bytes::new(4096), Bytes::new(8192));

/// 16 KiB blocks, on a kernel.
fn large_on(major: u32, minor: u32) -> Reason {
    path(Candidate { release: Some(Release::new(major, minor)), block: Bytes::new(16384), ..CLEAN })
}

fn above(refused: Option<bool>) -> Reason {
    Reason::BlockSizeAbovePageSize { block: Bytes::new(16384), page: PageSize::KIB_4, refused }
}

#[test]
fn releases_are_read_and_ordered() {
    let rows = [
        ("6.18.44-fc-v657", Some((6, 18))),
        ("6.1.0-56-amd64", Some((6, 1))),
        ("7.3-rc4", Some((7, 3))),
        ("6", None),
        ("", None),
        ("x.y", None),
        ("99999999999.1", None),
    ];
    for (text, expected) in rows {
        assert_eq!(Release::parse(text), expected.map(|(major, minor)| Release::new(major, minor)), "{text}");
    }
    assert!(Release::new(6, 1) < Release::new(6, 12) && Release::new(6, 18) < Release::new(7, 0));
}

fn kind(kind: Kind) -> Reason {
    path(Candidate { kind, ..CLEAN })
}

fn held(holder: Holder) -> Reason {
    path(Candidate { kind: Kind::BlockDevice, holder: Some(holder), ..CLEAN })
}

fn flags(flags: u32) -> Reason {
    assert_eq!(check_flags(0x7_ffff), Ok(()), "every flag that there is");
    check_flags(flags).expect_err("a bit too many")
}

#[test]
fn a_path_is_judged_in_the_kernels_order() {
    let mut none = Vec::new();
    CLEAN.judge(|reason| none.push(reason));
    assert_eq!(none, []);
    let all = Candidate {
        conditions: Condition::all().difference(Condition::FILESYSTEM_READ_ONLY),
        active_areas: 22,
        block: Bytes::new(8192),
        no_page_read: Some("tmpfs"),
        ..CLEAN
    };
    let mut codes = Vec::new();
    all.judge(|reason| codes.push(reason.code()));
    let order = "no-permission table-full immutable append-only open-for-execution read-only verity sequential-zone \
        unlinked active encrypted block-size-above-page-size no-page-read dax";
    assert_eq!(codes.join(" "), order);
}

fn rows() -> Vec<Row> {
    told()
        .into_iter()
        .chain(made::rows())
        .chain(served::rows())
        .chain(engine::rows())
        .chain(posture::rows())
        .chain(topology::rows())
        .collect()
}

#[test]
fn every_reason_is_what_it_says() {
    for (got, expected, code, verdict, answer, remedy) in rows() {
        assert_eq!(got, expected);
        assert_eq!((got.code(), got.verdict(), got.answer()), (code, verdict, answer), "{got:?}");
        assert_eq!(got.remedy().is_some(), remedy, "{got:?}: {:?}", got.remedy());
        let errno = match answer {
            Answer::Refuses(errno) | Answer::Depends(errno) => Some(errno),
            Answer::Accepts | Answer::Unknown | Answer::Signal => None,
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
        let kernel_name = ["RWF_", "Linux "].iter().any(|name| message.starts_with(name));
        assert!(kernel_name || !message.starts_with(char::is_uppercase), "{message:?}: lower case");
        assert!(!message.ends_with('.') && !message.ends_with(' '), "{message:?}: no full stop");
        assert!(!message.contains("Bytes(") && !message.contains("Some("), "{message:?}: for people");
        let Some(remedy) = got.remedy() else { continue };
        assert!(!remedy.is_empty() && !remedy.contains('\n') && !remedy.ends_with('.'), "{remedy:?}");
        let in_place = remedy.replace("FILE.new", "");
        let destroys = ["mkswap FILE", "of=FILE", "truncate -s 0"].iter().any(|act| in_place.contains(act));
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
