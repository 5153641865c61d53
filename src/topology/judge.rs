//! The judgement: each layer is held against the rules that it and its place in the chain call for.
//!
//! Where a rule does not apply nothing is reported; where it applies it is reported, met or not; ublk's
//! flags that cannot be seen count as a promise that was not made (`AllocatesNothing`). No layer is
//! passed over, and the match over them has no catch-all arm.

use super::accept::Override;
use super::finding::{Allowed, Finding, State};
use super::layer::{Consumer, Layer, Link, MAX_DEPTH, MAX_LINKS, NbdClient, Place, Posture, Server, Told};
use super::rule::Rule;
use crate::reason::{Reason, TopologyFault as Fault, Verdict};

/// What a topology is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The area's layers from its own down, each followed by what it stands on.
    pub chain: &'a [Link],
    /// The server that keeps the pages there, in a word or two, if one does that is no layer: all of the chain is
    /// below it.
    pub server: Option<&'static str>,
    /// Whose swap it is.
    pub consumer: Consumer,
    /// Risks that are accepted.
    pub accepted: Override,
}

impl Facts<'_> {
    /// Judges a chain, and reports each condition that it calls for.
    ///
    /// # Errors
    /// The first condition that is neither met nor accepted, advice aside.
    pub fn judge(&self, report: impl FnMut(Finding)) -> Result<Allowed, Reason> {
        let mut walk = Walk { facts: self, report, link: 0, first: None, depends_on: Override::empty() };
        let next = self.server.map_or(Next::Requests, Next::Server);
        let mut above = [Above { next, server: self.server, in_file: false }; MAX_DEPTH];
        if self.chain.is_empty() {
            walk.unknown("an area of which no layer is stated");
        }
        if self.chain.len() > MAX_LINKS {
            walk.hold(Rule::Known, Err(Reason::Topology(Fault::Endless { limit: MAX_LINKS })));
        }
        let mut last: Option<u8> = None;
        for (index, link) in self.chain.iter().take(MAX_LINKS).enumerate() {
            walk.link = index;
            let is_in_place = match last {
                None => link.depth == 0,
                Some(last) => link.depth > 0 && link.depth <= last.saturating_add(1),
            };
            last = Some(link.depth);
            let place = usize::from(link.depth);
            let Some(at) = above.get(place).copied().filter(|_| is_in_place) else {
                walk.hold(Rule::Known, Err(Reason::Topology(Fault::Endless { limit: MAX_DEPTH })));
                continue;
            };
            let next = self.chain.get(index.saturating_add(1));
            let below = next.filter(|next| Some(next.depth) == link.depth.checked_add(1));
            let below = walk.layer(link.layer, at, below.map(|below| below.layer));
            if let Some(slot) = place.checked_add(1).and_then(|deeper| above.get_mut(deeper)) {
                *slot = below;
            }
        }
        // Nothing is admitted by having asked nothing: a chain without a layer has said so above.
        walk.first.map_or(Ok(Allowed::new(self.consumer, walk.depends_on)), Err)
    }
}

/// What stands right above a layer, and further up.
#[derive(Clone, Copy, Debug)]
struct Above {
    next: Next,
    /// A server somewhere above: in its word.
    server: Option<&'static str>,
    /// The area is a file: what is below is the filesystem's device.
    in_file: bool,
}

/// What a layer is to the one above it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Requests of the block layer come in, or the area is this layer itself.
    Requests,
    /// A loop device opens a file here.
    Loop,
    /// A server opens a file or a device here.
    Server(&'static str),
}

struct Walk<'a, F> {
    facts: &'a Facts<'a>,
    report: F,
    link: usize,
    first: Option<Reason>,
    depends_on: Override,
}

impl<F: FnMut(Finding)> Walk<'_, F> {
    /// Judges one layer; what it is to the layers below it.
    fn layer(&mut self, layer: Layer, above: Above, below: Option<Layer>) -> Above {
        let has_below = below.is_some();
        match layer.missing_below().filter(|_| !has_below) {
            Some(missing) => self.unknown(missing),
            None => self.named(layer),
        }
        let requests = Above { next: Next::Requests, ..above };
        match layer {
            Layer::Disk | Layer::Partition | Layer::Zram => requests,
            Layer::DeviceMapper { in_place } => {
                let allocates = |certain| Fault::Allocates { certain };
                self.ask(Rule::MapsInPlace, in_place, allocates(true), allocates(false));
                requests
            }
            Layer::Md { external } => {
                let untold = |fault| State::Untold(Reason::Topology(fault));
                self.note(
                    Rule::AllocatesNothing,
                    match external {
                        Told::No => State::Met,
                        Told::Yes => untold(Fault::ExternalMetadata),
                        Told::Unknown => untold(Fault::DataPath { certain: false }),
                    },
                );
                requests
            }
            Layer::Loop { .. } => {
                // Over a file it is refused by what the file is.
                if below.is_some_and(Layer::is_device) {
                    self.refuse(Rule::LoopNotOverDisk, Fault::LoopOverDisk);
                }
                Above { next: Next::Loop, ..above }
            }
            Layer::Filesystem(_) => {
                self.file(above);
                Above { next: Next::Requests, in_file: true, ..above }
            }
            Layer::Memory(filesystem) => {
                self.hold(Rule::NotInMemory, Err(Reason::InMemory { filesystem }));
                requests
            }
            Layer::NetworkFilesystem(filesystem) => {
                self.hold(Rule::Local, Err(Reason::Network { filesystem }));
                requests
            }
            Layer::NetworkDevice(device) => {
                self.refuse(Rule::Local, Fault::NetworkDevice { device });
                requests
            }
            Layer::Fuse(server) => self.served_file(layer, server, above, has_below),
            Layer::Fuseblk { device, keeps_blocks, outlived, server } => {
                if above.next != Next::Requests {
                    return self.served_file(layer, server, above, has_below);
                }
                self.ask(Rule::OverDevice, device, Fault::NoDevice, Fault::NoDevice);
                let moves = Reason::Topology(Fault::BlocksMove);
                self.tell(Rule::BlocksStay, keeps_blocks, moves, Reason::UserSpaceServer);
                let outcome = "swapoff finds no name any more, and only a reboot ends the swap";
                let death = Fault::ServerDeath { server: "the server of a fuseblk mount", outcome };
                self.ask(Rule::DeathProvided, outlived, death, death);
                self.below_a_server(layer, above);
                Above { next: Next::Requests, server: Some(layer.word()), in_file: true }
            }
            Layer::Nbd { place, client, server } => {
                self.nbd_client(client);
                self.nbd(layer, place, server, above, has_below)
            }
            Layer::Ublk { .. } => self.ublk(layer, above, has_below),
            Layer::Unknown(_) | Layer::Endless => requests,
        }
    }

    /// A file of a filesystem of this kernel.
    fn file(&mut self, above: Above) {
        match above {
            // The area itself, or a filesystem's own business.
            Above { next: Next::Requests, .. } => (),
            Above { next: Next::Server(server), .. } | Above { next: Next::Loop, server: Some(server), .. } => {
                self.refuse(Rule::RawDisk, Fault::FileBacked { server });
            }
            Above { next: Next::Loop, server: None, in_file: true } => {
                self.refuse(Rule::FilesystemNotOnLoop, Fault::LoopBelow);
            }
            Above { next: Next::Loop, server: None, in_file: false } => {
                self.hold(Rule::LoopNotOverFile, Err(Reason::LoopBacking));
            }
        }
    }

    /// A file that a FUSE server reads and writes.
    fn served_file(&mut self, layer: Layer, server: Server, above: Above, has_below: bool) -> Above {
        match above.next {
            Next::Requests => self.refuse(Rule::ServedByKnownWay, Fault::ServedFile),
            Next::Loop => self.refuse(Rule::LoopNotOverFuse, Fault::LoopOverFuse),
            Next::Server(server) => self.refuse(Rule::RawDisk, Fault::FileBacked { server }),
        }
        self.posture(server);
        self.data_path(server.allocates_nothing);
        self.below_a_server(layer, above);
        self.backing("a FUSE server", server, has_below);
        Above { next: Next::Server("a FUSE server"), server: Some(layer.word()), ..above }
    }

    fn nbd_client(&mut self, client: NbdClient) {
        let (told, why) = match client {
            NbdClient::Hardened => (Told::Yes, ""),
            NbdClient::Plain => (Told::No, "its memory is not locked, as -swap would do"),
            NbdClient::Netlink => (Told::No, "it connected by netlink, where -swap does nothing"),
            NbdClient::Unknown => (Told::Unknown, "what it did before it connected cannot be told"),
        };
        self.ask(Rule::ClientHardened, told, Fault::NbdSwap { why }, Fault::NbdSwap { why });
    }

    fn nbd(&mut self, layer: Layer, place: Place, server: Server, above: Above, has_below: bool) -> Above {
        if place == Place::Remote {
            self.refuse(Rule::Local, Fault::NetworkDevice { device: layer.word() });
            return Above { next: Next::Requests, ..above };
        }
        let fault = |certain| Reason::Topology(Fault::LocalNbd { certain });
        let remote = if place == Place::Local { Told::No } else { Told::Unknown };
        self.tell(Rule::NbdNotLocal, remote, fault(true), fault(false));
        self.posture(server);
        self.data_path(server.allocates_nothing);
        self.below_a_server(layer, above);
        self.backing("an NBD server", server, has_below);
        Above { next: Next::Server("an NBD server"), server: Some(layer.word()), ..above }
    }

    fn ublk(&mut self, layer: Layer, above: Above, has_below: bool) -> Above {
        let Layer::Ublk { device, max_sectors, server } = layer else { return above };
        let name = "a ublk server";
        self.posture(server);
        let small = max_sectors.map_or(Told::Unknown, |got| if got <= SMALL { Told::Yes } else { Told::No });
        let large = Fault::LargeRequests { max_sectors };
        self.ask(Rule::SmallRequests, small, large, large);
        // Flags that cannot be seen may say that the driver allocates: the same promise covers both.
        let quiet = if device.is_some() { server.allocates_nothing } else { weaker(server.allocates_nothing) };
        self.data_path(quiet);
        if let Some(device) = device {
            let mut sound = true;
            device.check(|reason| {
                sound = false;
                self.hold(Rule::UblkFlags, Err(reason));
            });
            if sound {
                self.hold(Rule::UblkFlags, Ok(()));
            }
        }
        let outcome = device.map_or(crate::ublk::Recovery::None, |device| device.recovery()).outcome();
        self.refuse(Rule::DeathProvided, Fault::ServerDeath { server: name, outcome });
        self.below_a_server(layer, above);
        self.backing(name, server, has_below);
        Above { next: Next::Server(name), server: Some(layer.word()), ..above }
    }

    fn posture(&mut self, server: Server) {
        let told = match server.posture {
            Posture::Held => Told::Yes,
            Posture::Missing => Told::No,
            Posture::Unknown => Told::Unknown,
        };
        self.ask(Rule::PostureHeld, told, Fault::Posture { certain: true }, Fault::Posture { certain: false });
    }

    fn data_path(&mut self, quiet: Told) {
        let path = |certain| Fault::DataPath { certain };
        self.ask(Rule::AllocatesNothing, quiet, path(true), path(false));
    }

    /// What a server keeps the pages on: files below refuse where they are met.
    fn backing(&mut self, name: &'static str, server: Server, has_below: bool) {
        let fault = Fault::BackingUnknown { server: name };
        self.ask(Rule::BackingSeen, if has_below { Told::Yes } else { Told::Unknown }, fault, fault);
        let buffered = |certain| Fault::Buffered { certain };
        self.ask(Rule::Direct, server.direct, buffered(true), buffered(false));
    }

    fn below_a_server(&mut self, layer: Layer, above: Above) {
        if let Some(server) = above.server {
            self.refuse(Rule::NoServerBelow, Fault::Served { below: layer.word(), above: server });
        }
    }

    /// Whether a layer has a name here.
    fn named(&mut self, layer: Layer) {
        match layer {
            Layer::Unknown(layer) => self.unknown(layer),
            Layer::Endless => {
                self.hold(Rule::Known, Err(Reason::Topology(Fault::Endless { limit: MAX_DEPTH })));
            }
            Layer::Disk
            | Layer::Partition
            | Layer::DeviceMapper { .. }
            | Layer::Md { .. }
            | Layer::Zram
            | Layer::Loop { .. }
            | Layer::Nbd { .. }
            | Layer::Ublk { .. }
            | Layer::NetworkDevice(_)
            | Layer::Filesystem(_)
            | Layer::Memory(_)
            | Layer::NetworkFilesystem(_)
            | Layer::Fuse(_)
            | Layer::Fuseblk { .. } => self.hold(Rule::Known, Ok(())),
        }
    }

    fn unknown(&mut self, layer: &'static str) {
        self.refuse(Rule::Known, Fault::LayerUnknown { layer });
    }

    fn refuse(&mut self, rule: Rule, fault: Fault) {
        self.hold(rule, Err(Reason::Topology(fault)));
    }

    /// A condition that may not be told.
    fn ask(&mut self, rule: Rule, told: Told, not_met: Fault, untold: Fault) {
        self.tell(rule, told, Reason::Topology(not_met), Reason::Topology(untold));
    }

    fn tell(&mut self, rule: Rule, told: Told, not_met: Reason, untold: Reason) {
        match told {
            Told::Yes => self.note(rule, State::Met),
            Told::No => self.note(rule, State::NotMet(not_met)),
            Told::Unknown => self.note(rule, State::Untold(untold)),
        }
    }

    fn hold(&mut self, rule: Rule, held: Result<(), Reason>) {
        self.note(rule, held.map_or_else(State::NotMet, |()| State::Met));
    }

    /// Reports a condition, as it stands with this consumer and what is accepted.
    fn note(&mut self, rule: Rule, state: State) {
        let state = match state {
            State::NotMet(reason) | State::Untold(reason) => {
                let mut by = rule.row().lifted_by & self.facts.accepted;
                // A promise is worth nothing against what is seen.
                if matches!(state, State::NotMet(_)) {
                    by = by.difference(Override::PROMISES);
                }
                if self.facts.consumer == Consumer::OtherKernel && !rule.is_for_any_consumer() {
                    State::Spared
                } else if !by.is_empty() {
                    self.depends_on |= by;
                    State::Accepted { by, reason }
                } else {
                    if self.first.is_none() && reason.verdict() != Verdict::Admit {
                        self.first = Some(reason);
                    }
                    state
                }
            }
            State::Met | State::Spared | State::Accepted { .. } => state,
        };
        (self.report)(Finding { link: self.link, rule, state });
    }
}

/// A yes that rests on something unseen is none.
const fn weaker(told: Told) -> Told {
    match told {
        Told::No => Told::No,
        Told::Yes | Told::Unknown => Told::Unknown,
    }
}

/// Sectors that need no array: four pages, `DIO_INLINE_BIO_VECS` of `block/fops.c`.
const SMALL: u32 = 32;
