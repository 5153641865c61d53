//! Who may serve swap, and on what: the table row by row, its laws, and the chains of this machine.

#[path = "topology/disks.rs"]
mod disks;
#[path = "topology/fake.rs"]
mod fake;
#[path = "topology/hostile.rs"]
mod hostile;
#[path = "topology/law.rs"]
mod law;
#[allow(dead_code, reason = "every test uses its own part")]
mod machine;
#[path = "topology/names.rs"]
mod names;
#[path = "topology/real.rs"]
mod real;
#[path = "topology/servers.rs"]
mod servers;

use swap_dio::topology::{
    Allowed, Consumer, Facts, Layer, Link, NbdClient, Override, Place, Posture, Rule, Server, Told,
};
use swap_dio::ublk::{Recovery, UblkDevice, UblkFeatures};
use swap_dio::{Reason, Verdict};

/// A server that does all that is asked of one.
const HARDENED: Server = Server { posture: Posture::Held, allocates_nothing: Told::Yes, direct: Told::Yes };
const NAIVE: Server = Server { posture: Posture::Missing, ..HARDENED };
const EXT4: Layer = Layer::Filesystem("ext4");
const MAPPED: Layer = Layer::DeviceMapper { in_place: Told::Yes };
const LOOP: Layer = Layer::Loop { direct: Told::Yes };
const FUSEBLK: Layer =
    Layer::Fuseblk { device: Told::Yes, keeps_blocks: Told::Yes, outlived: Told::Yes, server: HARDENED };

const fn ublk(server: Server) -> Layer {
    Layer::Ublk { device: Some(UblkDevice { flags: 0x42, locks_buffers: true }), max_sectors: Some(32), server }
}

const fn nbd(place: Place) -> Layer {
    Layer::Nbd { place, client: NbdClient::Hardened, server: HARDENED }
}

/// Layers that stand one on the other.
fn chain(layers: &[Layer]) -> Vec<Link> {
    let depth = |index| u8::try_from(index).expect("a short chain");
    layers.iter().enumerate().map(|(index, layer)| Link { depth: depth(index), layer: *layer }).collect()
}

fn judge(chain: &[Link], consumer: Consumer, accepted: Override) -> Result<Allowed, Reason> {
    Facts { chain, server: None, consumer, accepted }.judge(|_| ())
}

/// Name, chain, the first reason for this kernel's swap or none, the smallest sets of risks that lift it.
type Row = (&'static str, Vec<Layer>, Option<&'static str>, Vec<Override>);

const fn all_of(risks: &[Override]) -> Override {
    let (mut all, mut index) = (Override::empty(), 0);
    while index < risks.len() {
        all = all.union(risks[index]);
        index += 1;
    }
    all
}

const DEATH: Override = Override::SERVER_DEATH;
const RECLAIM: Override = Override::GLOBAL_RECLAIM_EXCLUDED;
const FILE: Override = Override::FILE_BACKED;
const FUSE: Override = Override::LOOP_OVER_FUSE;

fn rows() -> Vec<Row> {
    let unsure =
        |keeps_blocks, outlived| Layer::Fuseblk { device: Told::Yes, keeps_blocks, outlived, server: HARDENED };
    let large = Layer::Ublk {
        device: Some(UblkDevice { flags: 0, locks_buffers: true }),
        max_sectors: Some(128),
        server: HARDENED,
    };
    let unseen = Layer::Ublk { device: None, max_sectors: Some(32), server: HARDENED };
    vec![
        // Kernel filesystems and devices on disks that no process serves.
        ("a file on ext4 on a disk", vec![EXT4, Layer::Disk], None, vec![]),
        ("a disk", vec![Layer::Disk], None, vec![]),
        ("a thin volume: advice", vec![Layer::DeviceMapper { in_place: Told::No }, Layer::Disk], None, vec![]),
        ("a partition", vec![Layer::Partition, Layer::Disk], None, vec![]),
        (
            "ext4 on dm on md on a partition",
            vec![EXT4, MAPPED, Layer::Md { external: Told::No }, Layer::Partition, Layer::Disk],
            None,
            vec![],
        ),
        ("zram", vec![Layer::Zram], None, vec![]),
        (
            "md with external metadata",
            vec![Layer::Md { external: Told::Yes }, Layer::Disk],
            Some("user-space-server"),
            vec![RECLAIM, Override::DATA_PATH],
        ),
        // fuseblk and BMAP.
        ("fuseblk, all promised", vec![FUSEBLK, Layer::Disk], None, vec![]),
        (
            "fuseblk, blocks unsure",
            vec![unsure(Told::Unknown, Told::Yes), Layer::Disk],
            Some("user-space-server"),
            vec![Override::BLOCKS_STAY],
        ),
        (
            "fuseblk that moves blocks",
            vec![unsure(Told::No, Told::Yes), Layer::Disk],
            Some("user-space-server"),
            vec![Override::BLOCKS_STAY],
        ),
        (
            "fuseblk that does not outlive its server",
            vec![unsure(Told::Yes, Told::No), Layer::Disk],
            Some("server-death"),
            vec![DEATH],
        ),
        (
            "fuseblk seen from outside",
            vec![unsure(Told::Unknown, Told::Unknown), Layer::Partition, Layer::Disk],
            Some("user-space-server"),
            vec![all_of(&[Override::BLOCKS_STAY, DEATH])],
        ),
        (
            "fuseblk on a loop device over ext4",
            vec![FUSEBLK, LOOP, EXT4, Layer::Disk],
            Some("file-backed-server"),
            vec![FILE, RECLAIM],
        ),
        (
            "fuseblk on ublk",
            vec![FUSEBLK, ublk(HARDENED), Layer::Disk],
            Some("server-death"),
            vec![all_of(&[DEATH, RECLAIM])],
        ),
        // ublk.
        ("ublk over a disk, full posture", vec![ublk(HARDENED), Layer::Disk], Some("server-death"), vec![DEATH]),
        ("ublk, naive", vec![ublk(NAIVE), Layer::Disk], Some("posture"), vec![all_of(&[DEATH, RECLAIM])]),
        (
            "ublk, large requests",
            vec![large, Layer::Disk],
            Some("large-requests"),
            vec![all_of(&[DEATH, Override::LARGE_REQUESTS]), all_of(&[DEATH, RECLAIM])],
        ),
        (
            "ublk, flags unseen",
            vec![unseen, Layer::Disk],
            Some("user-space-server"),
            vec![all_of(&[DEATH, Override::DATA_PATH]), all_of(&[DEATH, RECLAIM])],
        ),
        (
            "ublk over a file",
            vec![ublk(HARDENED), EXT4, Layer::Disk],
            Some("server-death"),
            vec![all_of(&[DEATH, FILE]), all_of(&[DEATH, RECLAIM])],
        ),
        (
            "ublk over a loop device over ext4",
            vec![ublk(HARDENED), LOOP, EXT4, Layer::Disk],
            Some("server-death"),
            vec![all_of(&[DEATH, FILE]), all_of(&[DEATH, RECLAIM])],
        ),
        (
            "ublk over what nobody sees",
            vec![ublk(HARDENED)],
            Some("server-death"),
            vec![all_of(&[DEATH, Override::DATA_PATH])],
        ),
        (
            "ublk, seen from outside",
            vec![ublk(Server { posture: Posture::Unknown, ..HARDENED }), Layer::Disk],
            Some("posture"),
            vec![all_of(&[DEATH, Override::POSTURE_HELD]), all_of(&[DEATH, RECLAIM])],
        ),
        // Loop devices over FUSE, NBD.
        (
            "loop over FUSE over a disk",
            vec![LOOP, Layer::Fuse(HARDENED), Layer::Disk],
            Some("loop-backing"),
            vec![FUSE, RECLAIM],
        ),
        (
            "loop over FUSE over a file",
            vec![LOOP, Layer::Fuse(HARDENED), EXT4, Layer::Disk],
            Some("loop-backing"),
            vec![all_of(&[FUSE, FILE]), RECLAIM],
        ),
        (
            "loop over FUSE, allocating",
            vec![LOOP, Layer::Fuse(Server { allocates_nothing: Told::No, ..HARDENED }), Layer::Disk],
            Some("loop-backing"),
            vec![all_of(&[FUSE, Override::DATA_PATH]), RECLAIM],
        ),
        (
            "loop over FUSE over what nobody sees",
            vec![LOOP, Layer::Fuse(HARDENED)],
            Some("loop-backing"),
            vec![all_of(&[FUSE, Override::DATA_PATH]), all_of(&[RECLAIM, Override::DATA_PATH])],
        ),
        ("loop over FUSE, naive", vec![LOOP, Layer::Fuse(NAIVE), Layer::Disk], Some("loop-backing"), vec![RECLAIM]),
        (
            "a partition of a loop over FUSE",
            vec![Layer::Partition, LOOP, Layer::Fuse(HARDENED), Layer::Disk],
            Some("loop-backing"),
            vec![FUSE, RECLAIM],
        ),
        (
            "ext4 on a loop over FUSE",
            vec![EXT4, LOOP, Layer::Fuse(HARDENED), Layer::Disk],
            Some("loop-backing"),
            vec![FUSE, RECLAIM],
        ),
        ("loop over fuseblk", vec![LOOP, FUSEBLK, Layer::Disk], Some("loop-backing"), vec![FUSE, RECLAIM]),
        (
            "local NBD",
            vec![nbd(Place::Local), Layer::Disk],
            Some("user-space-server"),
            vec![Override::LOCAL_NBD, RECLAIM],
        ),
        (
            "NBD from nobody knows where",
            vec![nbd(Place::Unknown), Layer::Disk],
            Some("user-space-server"),
            vec![Override::LOCAL_NBD, RECLAIM],
        ),
        (
            "local NBD over a file",
            vec![nbd(Place::Local), EXT4, Layer::Disk],
            Some("user-space-server"),
            vec![all_of(&[Override::LOCAL_NBD, FILE]), RECLAIM],
        ),
        ("NBD from afar", vec![nbd(Place::Remote)], Some("network"), vec![]),
        ("iSCSI", vec![EXT4, Layer::NetworkDevice("iSCSI")], Some("network"), vec![]),
        ("NFS", vec![Layer::NetworkFilesystem("NFS")], Some("network"), vec![]),
        ("plain FUSE", vec![Layer::Fuse(HARDENED), Layer::Disk], Some("user-space-server"), vec![RECLAIM]),
        // Loop devices of the kernel's own.
        ("loop over ext4", vec![LOOP, EXT4, Layer::Disk], Some("loop-backing"), vec![FILE, RECLAIM]),
        (
            "loop over loop over ext4",
            vec![LOOP, EXT4, LOOP, EXT4, Layer::Disk],
            Some("loop-backing"),
            vec![FILE, RECLAIM],
        ),
        ("loop over a disk", vec![LOOP, Layer::Disk], None, vec![]),
        (
            "loop over a disk, through the page cache",
            vec![Layer::Loop { direct: Told::No }, Layer::Disk],
            Some("loop-backing"),
            vec![RECLAIM],
        ),
        ("loop over tmpfs", vec![LOOP, Layer::Memory("tmpfs")], Some("in-memory"), vec![]),
        ("ext4 on a loop over ext4: advice", vec![EXT4, LOOP, EXT4, Layer::Disk], None, vec![]),
        // What is not in the table.
        ("nothing", vec![], Some("layer-unknown"), vec![]),
        ("a device of no known driver", vec![EXT4, Layer::Unknown("x")], Some("layer-unknown"), vec![]),
        ("a filesystem on nothing", vec![EXT4], Some("layer-unknown"), vec![]),
        ("an array of nothing", vec![MAPPED], Some("layer-unknown"), vec![]),
        ("no end", vec![LOOP, Layer::Endless], Some("layer-unknown"), vec![]),
    ]
}

#[test]
fn each_row_for_both_consumers_and_each_risk() {
    for (name, layers, refused, lifted) in rows() {
        let chain = chain(&layers);
        let same = |accepted| judge(&chain, Consumer::SameKernel, accepted);
        assert_eq!(same(Override::empty()).err().map(|why| why.code()), refused, "{name}");
        // Another kernel's swap asks for layers that are known, and no more.
        let other = judge(&chain, Consumer::OtherKernel, Override::empty());
        assert_eq!(other.is_ok(), refused != Some("layer-unknown"), "{name}: {other:?}");
        assert_eq!(other.map_or(Override::empty(), Allowed::depends_on), Override::empty(), "{name}");
        // Exactly those sets of risks lift it that hold one of the smallest ones.
        for bits in 0..=Override::all().bits() {
            let accepted = Override::from_bits(bits).expect("no bit but the named");
            let expected = refused.is_none() || lifted.iter().any(|smallest| accepted.contains(*smallest));
            let found = same(accepted);
            assert_eq!(found.is_ok(), expected, "{name}, accepting {accepted}: {found:?}");
            if let Ok(allowed) = found {
                let depends = allowed.depends_on();
                assert!(accepted.contains(depends), "{name}: it depends on what was accepted");
                assert!(refused.is_none() || !depends.is_empty(), "{name}: and says on what");
                assert_eq!(allowed.to_string().contains("accepting"), !depends.is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn another_kernel_is_asked_what_is_not_about_memory() {
    let flagged = |flags| Layer::Ublk {
        device: Some(UblkDevice { flags, locks_buffers: true }),
        max_sectors: None,
        server: NAIVE,
    };
    for (layers, refused) in [
        (vec![flagged(0)], None),
        // A zoned device has no write in place; another user's device shows every page.
        (vec![flagged(UblkFeatures::ZONED.bits())], Some("ublk-flags")),
        (vec![flagged(1 << 63)], Some("ublk-flags")),
        (vec![Layer::Unknown("x")], Some("layer-unknown")),
    ] {
        let found = judge(&chain(&layers), Consumer::OtherKernel, Override::all());
        assert_eq!(found.as_ref().err().map(|why| why.code()), refused, "{layers:?}");
        // The proof says whose it is.
        assert!(found.is_err() || found.is_ok_and(|allowed| allowed.consumer() == Consumer::OtherKernel));
    }
}

#[test]
fn every_rule_is_asked_and_has_its_line() {
    let mut asked = Vec::new();
    for (_, layers, ..) in rows() {
        let facts =
            Facts { chain: &chain(&layers), server: None, consumer: Consumer::SameKernel, accepted: Override::empty() };
        let _ = facts.judge(|finding| asked.push(finding.rule));
    }
    for rule in Rule::ALL {
        assert!(asked.contains(&rule), "{rule:?} is asked by no row");
        let row = rule.row();
        for words in [row.topology, row.condition, row.measured, row.source] {
            assert!(!words.is_empty() && !words.contains('\n') && !words.contains('|'), "{rule:?}: {words:?}");
        }
    }
}

#[test]
fn advice_admits_and_is_reported() {
    let mapped = |in_place| vec![Layer::DeviceMapper { in_place }, Layer::Disk];
    for (layers, code) in [
        (vec![EXT4, LOOP, EXT4, Layer::Disk], "loop-below"),
        (mapped(Told::No), "device-allocates"),
        (mapped(Told::Unknown), "device-allocates"),
    ] {
        let chain = chain(&layers);
        let facts = Facts { chain: &chain, server: None, consumer: Consumer::SameKernel, accepted: Override::empty() };
        let mut reasons = Vec::new();
        let allowed = facts.judge(|finding| reasons.extend(finding.reason()));
        assert!(allowed.is_ok_and(|allowed| allowed.depends_on().is_empty()));
        let [reason] = reasons.as_slice() else { panic!("one reason: {reasons:?}") };
        assert_eq!((reason.code(), reason.verdict()), (code, Verdict::Admit));
    }
}

#[test]
fn what_a_server_that_is_no_layer_keeps_the_pages_on() {
    let judge = |layers: &[Layer], consumer| {
        let facts = Facts { chain: &chain(layers), server: Some("it"), consumer, accepted: Override::empty() };
        facts.judge(|_| ()).map_err(|why| why.code()).err()
    };
    for (layers, refused) in [
        (vec![Layer::Disk], None),
        (vec![MAPPED, Layer::Partition, Layer::Disk], None),
        (vec![EXT4, Layer::Disk], Some("file-backed-server")),
        (vec![LOOP, EXT4, Layer::Disk], Some("file-backed-server")),
        (vec![ublk(HARDENED), Layer::Disk], Some("server-death")),
        (vec![LOOP, Layer::Fuse(HARDENED), Layer::Disk], Some("loop-backing")),
        (vec![Layer::NetworkFilesystem("NFS")], Some("network")),
    ] {
        assert_eq!(judge(&layers, Consumer::SameKernel), refused, "{layers:?}");
        assert_eq!(judge(&layers, Consumer::OtherKernel), None, "{layers:?}");
    }
    // What serves a server is refused even where its death is provided for.
    let below = [ublk(HARDENED), Layer::Disk];
    let facts = Facts {
        chain: &chain(&below),
        server: Some("it"),
        consumer: Consumer::SameKernel,
        accepted: Override::SERVER_DEATH,
    };
    let refused = facts.judge(|_| ()).expect_err("a server below a server");
    assert!(refused.to_string().contains("stands below it"), "{refused}");
}

#[test]
fn a_tree_is_judged_branch_by_branch() {
    let array = Layer::Md { external: Told::No };
    let link = |depth, layer| Link { depth, layer };
    let two = |second| [link(0, array), link(1, Layer::Partition), link(2, Layer::Disk), link(1, second)];
    assert!(judge(&two(Layer::Disk), Consumer::SameKernel, Override::empty()).is_ok());
    let network = judge(&two(Layer::NetworkDevice("x")), Consumer::SameKernel, Override::all());
    assert_eq!(network.map_err(|why| why.code()), Err("network"));
    // Layers that stand nowhere.
    for links in [
        vec![link(1, Layer::Disk)],
        vec![link(0, array), link(2, Layer::Disk)],
        vec![link(0, Layer::Disk), link(0, Layer::Disk)],
    ] {
        let found = judge(&links, Consumer::OtherKernel, Override::all());
        assert_eq!(found.map_err(|why| why.code()), Err("layer-unknown"), "{links:?}");
    }
}

#[test]
fn ublk_flags_over_every_bit() {
    // What the driver sets by itself, what is harmless, recovery: admitted. Every other bit refuses, alone and in
    // pairs.
    let admitted = UblkFeatures::URING_CMD_COMP_IN_TASK
        | UblkFeatures::CMD_IOCTL_ENCODE
        | UblkFeatures::USER_RECOVERY
        | UblkFeatures::USER_RECOVERY_REISSUE
        | UblkFeatures::USER_RECOVERY_FAIL_IO
        | UblkFeatures::UPDATE_SIZE
        | UblkFeatures::QUIESCE
        | UblkFeatures::PER_IO_DAEMON
        | UblkFeatures::BUF_REG_OFF_DAEMON
        | UblkFeatures::SAFE_STOP_DEV
        | UblkFeatures::NO_AUTO_PART_SCAN;
    for (one, other) in (0..64).flat_map(|one| (0..64).map(move |other| (one, other))) {
        for locks_buffers in [false, true] {
            let flags = 1u64 << one | 1u64 << other;
            let mut reasons = Vec::new();
            UblkDevice { flags, locks_buffers }.check(|reason| reasons.push(reason));
            let expected = (flags & !admitted.bits()).count_ones() > 0;
            assert_eq!(!reasons.is_empty(), expected, "{flags:#x}: {reasons:?}");
            assert!(reasons.iter().all(|reason| reason.code() == "ublk-flags"));
        }
    }
    let recovery = |flags: UblkFeatures| UblkDevice { flags: flags.bits(), locks_buffers: false }.recovery();
    let user = UblkFeatures::USER_RECOVERY;
    assert_eq!(recovery(UblkFeatures::empty()), Recovery::None);
    assert_eq!(recovery(UblkFeatures::USER_RECOVERY_REISSUE), Recovery::None, "without the first it means nothing");
    assert_eq!(recovery(user), Recovery::Wait);
    assert_eq!(recovery(user | UblkFeatures::USER_RECOVERY_REISSUE), Recovery::Reissue);
    assert_eq!(recovery(user | UblkFeatures::USER_RECOVERY_FAIL_IO), Recovery::Fail);
}

#[test]
fn names_of_risks_lead_back() {
    for (name, risk) in Override::NAMES {
        assert_eq!((Override::named(name), risk.to_string().as_str()), (Some(*risk), *name));
    }
    let all: Override = Override::NAMES.iter().map(|(_, risk)| *risk).collect();
    assert_eq!((all, Override::named(""), Override::named("loop")), (Override::all(), None, None));
}
