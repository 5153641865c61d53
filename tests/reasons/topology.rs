//! The reasons of who serves, and on what: each is given by the judgement of a chain that has it.

use super::Row;
use swap_dio::reason::{Answer, TopologyFault as Fault};
use swap_dio::topology::{
    Consumer, Facts, Layer, Link, MAX_DEPTH, NbdClient, Override, Place, Posture, Rule, Server, Told,
};
use swap_dio::ublk::{Recovery, UblkDevice};
use swap_dio::{Reason, Verdict};

const NONE: Server = Server { posture: Posture::Unknown, allocates_nothing: Told::Unknown, direct: Told::Unknown };
const BAD: Server = Server { posture: Posture::Missing, allocates_nothing: Told::No, direct: Told::No };
const EXT4: Layer = Layer::Filesystem("ext4");
const LOOP: Layer = Layer::Loop { direct: Told::Yes };

pub(crate) fn rows() -> Vec<Row> {
    use Verdict::{Admit, Refuse};
    let ublk = |flags, max_sectors, server| Layer::Ublk {
        device: Some(UblkDevice { flags, locks_buffers: true }),
        max_sectors,
        server,
    };
    let fuseblk = |device, keeps_blocks| Layer::Fuseblk { device, keeps_blocks, outlived: Told::No, server: NONE };
    let nbd = |place, client| Layer::Nbd { place, client, server: NONE };
    let served = "a ublk server";
    let remote = "an NBD device served on another machine";
    let death = Fault::ServerDeath { server: served, outcome: Recovery::None.outcome() };
    let netlink = "it connected by netlink, where -swap does nothing";
    let pair = Fault::UblkFlag {
        flag: "UBLK_DEV_F_MLOCK_IO_BUFFER with UBLK_F_USER_COPY",
        why: "the driver has no buffers of the server's that could be locked",
    };
    let loops: Vec<Layer> = vec![LOOP; MAX_DEPTH + 1];
    let array = Layer::Md { external: Told::Yes };
    let mapped = |in_place| vec![Layer::DeviceMapper { in_place }, Layer::Disk];
    let rows: Vec<(Vec<Layer>, Rule, Fault, &str, Verdict)> = vec![
        (vec![Layer::Unknown("x")], Rule::Known, Fault::LayerUnknown { layer: "x" }, "layer-unknown", Refuse),
        (loops, Rule::Known, Fault::Endless { limit: MAX_DEPTH }, "layer-unknown", Refuse),
        (vec![Layer::NetworkDevice("x")], Rule::Local, Fault::NetworkDevice { device: "x" }, "network", Refuse),
        (
            vec![nbd(Place::Remote, NbdClient::Hardened)],
            Rule::Local,
            Fault::NetworkDevice { device: remote },
            "network",
            Refuse,
        ),
        (vec![LOOP, Layer::Fuse(NONE)], Rule::LoopNotOverFuse, Fault::LoopOverFuse, "loop-backing", Refuse),
        (vec![EXT4, LOOP, EXT4, Layer::Disk], Rule::FilesystemNotOnLoop, Fault::LoopBelow, "loop-below", Admit),
        (vec![LOOP, Layer::Disk], Rule::LoopNotOverDisk, Fault::LoopOverDisk, "loop-backing", Refuse),
        (mapped(Told::No), Rule::MapsInPlace, Fault::Allocates { certain: true }, "device-allocates", Admit),
        (mapped(Told::Unknown), Rule::MapsInPlace, Fault::Allocates { certain: false }, "device-allocates", Admit),
        (
            vec![ublk(0, None, NONE), EXT4, Layer::Disk],
            Rule::RawDisk,
            Fault::FileBacked { server: served },
            "file-backed-server",
            Refuse,
        ),
        (vec![Layer::Fuse(NONE)], Rule::ServedByKnownWay, Fault::ServedFile, "user-space-server", Refuse),
        (
            vec![nbd(Place::Local, NbdClient::Hardened)],
            Rule::NbdNotLocal,
            Fault::LocalNbd { certain: true },
            "user-space-server",
            Refuse,
        ),
        (
            vec![nbd(Place::Unknown, NbdClient::Hardened)],
            Rule::NbdNotLocal,
            Fault::LocalNbd { certain: false },
            "user-space-server",
            Refuse,
        ),
        (
            vec![nbd(Place::Local, NbdClient::Netlink)],
            Rule::ClientHardened,
            Fault::NbdSwap { why: netlink },
            "posture",
            Refuse,
        ),
        (
            vec![fuseblk(Told::Yes, Told::Yes), nbd(Place::Local, NbdClient::Hardened)],
            Rule::NoServerBelow,
            Fault::Served { below: "an NBD device served on this machine", above: "FUSE over a block device" },
            "user-space-server",
            Refuse,
        ),
        (vec![fuseblk(Told::No, Told::Yes)], Rule::OverDevice, Fault::NoDevice, "user-space-server", Refuse),
        (
            vec![fuseblk(Told::Yes, Told::No), Layer::Disk],
            Rule::BlocksStay,
            Fault::BlocksMove,
            "user-space-server",
            Refuse,
        ),
        (vec![ublk(0, None, NONE)], Rule::DeathProvided, death, "server-death", Refuse),
        (
            vec![ublk(0, None, BAD)],
            Rule::AllocatesNothing,
            Fault::DataPath { certain: true },
            "user-space-server",
            Refuse,
        ),
        (
            vec![ublk(0, None, NONE)],
            Rule::AllocatesNothing,
            Fault::DataPath { certain: false },
            "user-space-server",
            Refuse,
        ),
        (vec![ublk(0, None, BAD)], Rule::PostureHeld, Fault::Posture { certain: true }, "posture", Refuse),
        (vec![ublk(0, None, NONE)], Rule::PostureHeld, Fault::Posture { certain: false }, "posture", Refuse),
        (
            vec![ublk(0, Some(33), NONE)],
            Rule::SmallRequests,
            Fault::LargeRequests { max_sectors: Some(33) },
            "large-requests",
            Refuse,
        ),
        (
            vec![ublk(0, None, NONE)],
            Rule::SmallRequests,
            Fault::LargeRequests { max_sectors: None },
            "large-requests",
            Refuse,
        ),
        (
            vec![ublk(0, None, NONE)],
            Rule::BackingSeen,
            Fault::BackingUnknown { server: served },
            "user-space-server",
            Refuse,
        ),
        (
            vec![ublk(0, None, BAD), Layer::Disk],
            Rule::Direct,
            Fault::Buffered { certain: true },
            "user-space-server",
            Refuse,
        ),
        (
            vec![ublk(0, None, NONE), Layer::Disk],
            Rule::Direct,
            Fault::Buffered { certain: false },
            "user-space-server",
            Refuse,
        ),
        (vec![array, Layer::Disk], Rule::AllocatesNothing, Fault::ExternalMetadata, "user-space-server", Refuse),
        (vec![ublk(1 << 7, None, NONE)], Rule::UblkFlags, pair, "ublk-flags", Refuse),
        (
            vec![ublk(1 << 40, None, NONE)],
            Rule::UblkFlags,
            Fault::UblkFlagsUnknown { bits: 1 << 40 },
            "ublk-flags",
            Refuse,
        ),
    ];
    let found = |(chain, rule, fault, code, verdict): (Vec<Layer>, Rule, Fault, _, _)| {
        let reason = Reason::Topology(fault);
        (given(&chain, rule), reason, code, verdict, Answer::Accepts, true)
    };
    let mut rows: Vec<Row> = rows.into_iter().map(found).collect();
    // Only an adapter says this one.
    let file = Reason::Topology(Fault::LoopFile);
    rows.push((file, file, "loop-backing", Refuse, Answer::Accepts, true));
    rows
}

/// The last reason that a rule gives a chain, each layer of which stands on the next.
fn given(chain: &[Layer], rule: Rule) -> Reason {
    let depth = |index: usize| u8::try_from(index).expect("a short chain");
    let chain: Vec<Link> =
        chain.iter().enumerate().map(|(at, layer)| Link { depth: depth(at), layer: *layer }).collect();
    let facts = Facts { chain: &chain, server: None, consumer: Consumer::SameKernel, accepted: Override::empty() };
    let mut reasons = Vec::new();
    let _ = facts.judge(|finding| reasons.extend(finding.reason().filter(|_| finding.rule == rule)));
    reasons.pop().unwrap_or_else(|| panic!("{rule:?} gives {chain:?} no reason"))
}
