//! Whose swap it is, and a server that is no layer of the chain.

use swap_dio::topology::{Consumer, Facts, Layer, Override};
use swap_dio::ublk::{UblkDevice, UblkFeatures};

use crate::{EXT4, HARDENED, LOOP, MAPPED, NAIVE, chain, judge, ublk};

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
