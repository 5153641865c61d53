//! Sockets that a log may be written to: known by themselves, whoever else has how many.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use swap_dio::linux::reclaim::Step;
use swap_dio::posture::{Holding, PostureDoubt};

use super::asleep::{Asleep, found};
use super::machine;

/// A child that has the socket as number 0, in a network namespace of its own or not.
fn holder(socket: OwnedFd, before: &[&str]) -> Asleep {
    let words: Vec<&str> = before.iter().copied().chain(["sleep", "60"]).collect();
    let (program, arguments) = words.split_first().expect("sleep");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null());
    Asleep(command.spawn().expect("a child")).named("sleep")
}

fn holding(child: &Asleep) -> Holding {
    found(&child.report(), Step::LogSinks).holding
}

const ONE: Holding = Holding::CannotTell(PostureDoubt::Readers { sinks: 1 });

fn datagram() -> OwnedFd {
    UnixDatagram::unbound().expect("a socket").into()
}

#[test]
fn sockets_are_told_apart_by_what_they_are() {
    let (stream, _other) = UnixStream::pair().expect("sockets");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let packets = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for (name, socket, expected) in [
        ("a datagram socket", datagram(), ONE),
        ("a stream", stream.into(), Holding::Held),
        ("TCP", listener.into(), Holding::Held),
        ("UDP", packets.into(), Holding::Held),
    ] {
        assert_eq!(holding(&holder(socket, &[])), expected, "{name}");
    }
}

#[test]
fn a_socket_of_another_network_namespace_is_none_less() {
    if !machine::ready(&["unshare"]) {
        return;
    }
    assert_eq!(holding(&holder(datagram(), &["unshare", "--net"])), ONE);
}

/// Any user may have so many sockets that no table of them all is read to its end.
#[test]
fn a_crowd_of_sockets_hides_none() {
    let limit = getrlimit(Resource::Nofile);
    let many = Rlimit { current: limit.maximum.or(Some(1 << 20)), ..limit };
    if setrlimit(Resource::Nofile, many).is_err() || many.current.is_some_and(|files| files < 9_000) {
        println!("skipped: no more than {:?} files", many.current);
        return;
    }
    let name = |number: usize| format!("swap-dio-{}-{number:0>90}", std::process::id());
    let bound = |number: usize| UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name(number))?);
    let crowd: Vec<UnixDatagram> = (0..8_000).map(bound).collect::<std::io::Result<_>>().expect("as many sockets");
    let table = std::fs::read("/proc/self/net/unix").expect("a table");
    assert!(table.len() > 1 << 20, "{} bytes for {}", table.len(), crowd.len());
    assert_eq!(holding(&holder(datagram(), &[])), ONE);
}
