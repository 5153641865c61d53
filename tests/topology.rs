//! Who may serve swap, and on what: the table row by row, its laws, and the chains of this machine.

#[path = "topology/disks.rs"]
mod disks;
#[path = "topology/fake.rs"]
mod fake;
#[path = "topology/flags.rs"]
mod flags;
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
#[path = "topology/whose.rs"]
mod whose;

use swap_dio::topology::{
    Allowed, Consumer, Facts, Layer, Link, NbdClient, Override, Place, Posture, Rule, Server, Told,
};
use swap_dio::ublk::UblkDevice;
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
            vec![],
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
            vec![RECLAIM],
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
            "loop over a file on a loop over ext4",
            vec![LOOP, EXT4, LOOP, EXT4, Layer::Disk],
            Some("loop-backing"),
            vec![FILE, RECLAIM],
        ),
        ("loop over a disk", vec![LOOP, Layer::Disk], Some("loop-backing"), vec![RECLAIM]),
        ("ext4 on a loop over a disk", vec![EXT4, LOOP, MAPPED, Layer::Disk], Some("loop-backing"), vec![RECLAIM]),
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
fn names_of_risks_lead_back() {
    for (name, risk) in Override::NAMES {
        assert_eq!((Override::named(name), risk.to_string().as_str()), (Some(*risk), *name));
    }
    let all: Override = Override::NAMES.iter().map(|(_, risk)| *risk).collect();
    assert_eq!((all, Override::named(""), Override::named("loop")), (Override::all(), None, None));
}
