//! Laws over chains drawn at random: more doubt never admits more.

use proptest::prelude::*;
use swap_dio::topology::{
    Consumer, Facts, Finding, Layer, Link, NbdClient, Override, Place, Posture, Server, State, Told,
};
use swap_dio::ublk::UblkDevice;

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![Just(Told::Yes), Just(Told::No), Just(Told::Unknown)]
}

fn server() -> impl Strategy<Value = Server> {
    let posture = prop_oneof![Just(Posture::Held), Just(Posture::Missing), Just(Posture::Unknown)];
    (posture, told(), told()).prop_map(|(posture, allocates_nothing, direct)| Server {
        posture,
        allocates_nothing,
        direct,
    })
}

fn layer() -> impl Strategy<Value = Layer> {
    let place = prop_oneof![Just(Place::Local), Just(Place::Remote), Just(Place::Unknown)];
    let client = prop_oneof![
        Just(NbdClient::Hardened),
        Just(NbdClient::Plain),
        Just(NbdClient::Netlink),
        Just(NbdClient::Unknown)
    ];
    let device = proptest::option::of((0u64..1 << 20, any::<bool>()))
        .prop_map(|device| device.map(|(flags, locks_buffers)| UblkDevice { flags, locks_buffers }));
    prop_oneof![
        4 => Just(Layer::Disk),
        2 => Just(Layer::Partition),
        2 => told().prop_map(|in_place| Layer::DeviceMapper { in_place }),
        1 => told().prop_map(|external| Layer::Md { external }),
        1 => Just(Layer::Zram),
        3 => told().prop_map(|direct| Layer::Loop { direct }),
        1 => (place, client, server()).prop_map(|(place, client, server)| Layer::Nbd { place, client, server }),
        1 => (device, proptest::option::of(0u32..64), server())
            .prop_map(|(device, max_sectors, server)| Layer::Ublk { device, max_sectors, server }),
        1 => Just(Layer::NetworkDevice("a network device")),
        4 => Just(Layer::Filesystem("ext4")),
        1 => Just(Layer::Memory("tmpfs")),
        1 => Just(Layer::NetworkFilesystem("NFS")),
        1 => server().prop_map(Layer::Fuse),
        1 => (told(), told(), told(), server()).prop_map(|(device, keeps_blocks, outlived, server)| Layer::Fuseblk {
            device,
            keeps_blocks,
            outlived,
            server
        }),
    ]
}

/// Mostly chains that can be; a few that cannot.
fn links() -> impl Strategy<Value = Vec<Link>> {
    let depth = prop_oneof![9 => Just(None), 1 => (0u8..20).prop_map(Some)];
    proptest::collection::vec((layer(), depth), 0..8).prop_map(|layers| {
        let place = |(at, (layer, depth)): (usize, (Layer, Option<u8>))| {
            let depth = depth.unwrap_or_else(|| u8::try_from(at).expect("a short chain"));
            Link { depth, layer }
        };
        layers.into_iter().enumerate().map(place).collect()
    })
}

fn consumer() -> impl Strategy<Value = Consumer> {
    prop_oneof![3 => Just(Consumer::SameKernel), 1 => Just(Consumer::OtherKernel)]
}

fn accepted() -> impl Strategy<Value = Override> {
    (0..=Override::all().bits()).prop_map(Override::from_bits_truncate)
}

fn judge(chain: &[Link], consumer: Consumer, accepted: Override) -> (bool, Vec<Finding>) {
    let mut findings = Vec::new();
    let outcome = Facts { chain, server: None, consumer, accepted }.judge(|finding| findings.push(finding));
    (outcome.is_ok(), findings)
}

/// Every chain that differs from this one by one fact that is less good: what was so is not, or cannot be told.
fn weaker(layer: Layer) -> Vec<Layer> {
    let servers = |server: Server| {
        let unseen = if server.posture == Posture::Missing { Posture::Missing } else { Posture::Unknown };
        let postures = [Posture::Missing, unseen].map(|posture| Server { posture, ..server });
        let quiet = [Told::No, unseen_of(server.allocates_nothing)];
        let quiet = quiet.map(|allocates_nothing| Server { allocates_nothing, ..server });
        let direct = [Told::No, Told::Unknown].map(|direct| Server { direct, ..server });
        [postures, quiet, direct].concat()
    };
    match layer {
        Layer::DeviceMapper { .. } => {
            [Told::No, Told::Unknown].map(|in_place| Layer::DeviceMapper { in_place }).to_vec()
        }
        Layer::Fuse(server) => servers(server).into_iter().map(Layer::Fuse).collect(),
        Layer::Md { .. } => [Told::Yes, Told::Unknown].map(|external| Layer::Md { external }).to_vec(),
        Layer::Nbd { place, client, server } => {
            let mut all: Vec<Layer> =
                servers(server).into_iter().map(|server| Layer::Nbd { place, client, server }).collect();
            all.push(Layer::Nbd { place, client: NbdClient::Unknown, server });
            all.extend((place == Place::Local).then_some(Layer::Nbd { place: Place::Unknown, client, server }));
            all
        }
        Layer::Ublk { device, max_sectors, server } => {
            let mut all: Vec<Layer> =
                servers(server).into_iter().map(|server| Layer::Ublk { device, max_sectors, server }).collect();
            all.push(Layer::Ublk { device, max_sectors: None, server });
            all.push(Layer::Ublk { device, max_sectors: Some(33), server });
            all
        }
        Layer::Fuseblk { device, keeps_blocks, outlived, server } => {
            let mut all: Vec<Layer> = servers(server)
                .into_iter()
                .map(|server| Layer::Fuseblk { device, keeps_blocks, outlived, server })
                .collect();
            for told in [Told::No, Told::Unknown] {
                all.push(Layer::Fuseblk { device: told, keeps_blocks, outlived, server });
                let unseen = if told == Told::No { told } else { unseen_of(keeps_blocks) };
                all.push(Layer::Fuseblk { device, keeps_blocks: unseen, outlived, server });
                all.push(Layer::Fuseblk { device, keeps_blocks, outlived: told, server });
            }
            all
        }
        Layer::Loop { .. } => vec![Layer::Loop { direct: Told::No }, Layer::Loop { direct: Told::Unknown }],
        Layer::Disk
        | Layer::Partition
        | Layer::Zram
        | Layer::NetworkDevice(_)
        | Layer::Filesystem(_)
        | Layer::Memory(_)
        | Layer::NetworkFilesystem(_)
        | Layer::Unknown(_)
        | Layer::Endless => Vec::new(),
        other => unreachable!("{other:?} is drawn by nobody"),
    }
}

/// What is seen to be otherwise is the worst: nobody's word makes up for it.
fn unseen_of(told: Told) -> Told {
    if told == Told::No { Told::No } else { Told::Unknown }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_verdict_is_what_its_findings_are(chain in links(), consumer in consumer(), accepted in accepted()) {
        let (admits, findings) = judge(&chain, consumer, accepted);
        prop_assert!(!findings.is_empty(), "nothing asked, nothing admitted");
        let refusing = findings.iter().any(|finding| finding.verdict() != swap_dio::Verdict::Admit);
        prop_assert_eq!(admits, !refusing);
        for finding in &findings {
            let is_accepted = matches!(finding.state, State::Accepted { by, .. } if !accepted.contains(by) || by.is_empty());
            prop_assert!(!is_accepted, "accepted by what was not named: {}", finding);
            prop_assert!(!finding.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_unknown_layer_refuses_wherever_it_stands(chain in links(), at in 0usize..9, consumer in consumer()) {
        let at = at.min(chain.len());
        let mut doubtful = chain.clone();
        let depth = chain.get(at).map_or_else(|| chain.last().map_or(0, |last| last.depth.saturating_add(1)), |link| link.depth);
        for link in &mut doubtful[at..] {
            link.depth = link.depth.saturating_add(1);
        }
        doubtful.insert(at, Link { depth, layer: Layer::Unknown("something") });
        prop_assert!(!judge(&doubtful, consumer, Override::all()).0, "{:?}", doubtful);
    }

    /// Below a server a chain is admitted no sooner than by itself. Risks aside: a file is opened there by others' rules.
    #[test]
    fn a_server_above_admits_no_more(chain in links(), consumer in consumer()) {
        let accepted = Override::empty();
        let below = Facts { chain: &chain, server: Some("it"), consumer, accepted }.judge(|_| ()).is_ok();
        prop_assert!(!below || judge(&chain, consumer, accepted).0, "{:?}", chain);
    }

    #[test]
    fn less_known_never_admits_more(chain in links(), consumer in consumer(), accepted in accepted()) {
        if judge(&chain, consumer, accepted).0 {
            return Ok(());
        }
        for (at, link) in chain.iter().enumerate() {
            for layer in weaker(link.layer) {
                let mut weak = chain.clone();
                weak[at].layer = layer;
                prop_assert!(!judge(&weak, consumer, accepted).0, "{:?} refuses, {:?} does not", chain, weak);
            }
        }
    }

    #[test]
    fn fewer_risks_accepted_never_admit_more(chain in links(), consumer in consumer(), accepted in accepted(), fewer in accepted()) {
        if judge(&chain, consumer, accepted & fewer).0 {
            prop_assert!(judge(&chain, consumer, accepted).0);
        }
        // Neither does this kernel's own swap against another's.
        if judge(&chain, Consumer::SameKernel, Override::empty()).0 {
            prop_assert!(judge(&chain, Consumer::OtherKernel, Override::empty()).0);
        }
    }
}
