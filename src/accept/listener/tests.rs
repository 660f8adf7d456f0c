//! Places for connections, on real sockets of the loopback.

use std::net::Ipv6Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::model::ip::LOOPBACK;
use crate::model::units::ByteSize;
use crate::runtime::drain::Drained;

fn gate(connections_max: u32, connections_per_ip_max: u32) -> Arc<Gate> {
    let limits = AcceptLimits {
        connections_max,
        connections_per_ip_max,
        head_bytes_max: ByteSize(16 * 1024),
        headers_max: 64,
        target_bytes_max: ByteSize(8 * 1024),
        body_bytes_max: ByteSize(1024),
        whole_body_bytes_max: ByteSize(1024),
    };
    Arc::new(Gate::new(&limits, Duration::from_secs(30)))
}

/// Starts a loop whose connections echo one byte at a time until the peer is done.
fn start(gate: &Arc<Gate>, drain: &Drain) -> SocketAddr {
    let socket = bind(SocketAddr::new(LOOPBACK, 0), PortUse::Alone).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::from_std(socket).unwrap();
    let echo = |mut stream: TcpStream, _peer| async move {
        let (mut read, mut write) = stream.split();
        // The test sees the bytes, so the outcome of the copy does not matter.
        let _copied = tokio::io::copy(&mut read, &mut write).await;
    };
    drain.spawn(run(listener, Arc::clone(gate), drain.clone(), echo));
    address
}

async fn is_served(stream: &mut TcpStream) -> bool {
    let mut echo = [0];
    stream.write_all(b"x").await.is_ok() && matches!(stream.read(&mut echo).await, Ok(1))
}

#[tokio::test]
async fn connections_are_served_until_the_drain() {
    let (gate, drain) = (gate(8, 8), Drain::new());
    let address = start(&gate, &drain);
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut stream).await);
    assert_eq!(gate.counts().accepted, 1);
    assert_eq!(gate.free_places(), 7);
    drop(stream);
    assert_eq!(
        drain.drain(Duration::from_secs(60)).await,
        Drained::Finished
    );
    assert_eq!(gate.free_places(), 8);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_peer_with_enough_connections_is_closed_at_once() {
    let (gate, drain) = (gate(8, 2), Drain::new());
    let address = start(&gate, &drain);
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(!is_served(&mut third).await);
    assert_eq!(gate.counts().refused_per_peer, 1);
    drop(first);
    while gate.free_places() < 7 {
        tokio::task::yield_now().await;
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut fourth).await);
}

#[tokio::test]
async fn without_a_place_a_connection_waits_for_one() {
    let (gate, drain) = (gate(1, 8), Drain::new());
    let address = start(&gate, &drain);
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut first).await);
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"x").await.unwrap();
    while gate.counts().waited == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.counts().accepted, 1);
    drop(first);
    let mut echo = [0];
    assert_eq!(second.read(&mut echo).await.unwrap(), 1);
}

#[tokio::test]
async fn a_drain_ends_a_wait_for_a_place() {
    let (gate, drain) = (gate(0, 8), Drain::new());
    let address = start(&gate, &drain);
    let _stream = TcpStream::connect(address).await.unwrap();
    while gate.counts().waited == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        drain.drain(Duration::from_secs(60)).await,
        Drained::Finished
    );
}

#[test]
fn seats_are_counted_by_network_and_forgotten() {
    let gate = gate(8, 2);
    let peer = |text: &str| counted(text.parse().unwrap());
    let one = Seat::take(&gate, peer("2001:db8::1"));
    let two = Seat::take(&gate, peer("2001:db8::2"));
    assert!(one.is_some() && two.is_some());
    assert!(Seat::take(&gate, peer("2001:db8::3")).is_none());
    assert!(Seat::take(&gate, peer("2001:db8:0:1::3")).is_some());
    drop((one, two));
    assert!(gate.peers().is_empty());
}

#[test]
fn a_port_is_shared_only_if_asked_for() {
    let any = SocketAddr::new(LOOPBACK, 0);
    let first = bind(any, PortUse::Shared).unwrap();
    let address = first.local_addr().unwrap();
    assert!(bind(address, PortUse::Shared).is_ok());
    let alone = bind(any, PortUse::Alone).unwrap();
    assert!(bind(alone.local_addr().unwrap(), PortUse::Alone).is_err());
}

#[tokio::test]
async fn an_unspecified_v6_address_takes_v4_too() {
    let Ok(socket) = bind(
        SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
        PortUse::Alone,
    ) else {
        // A machine without IPv6 has nothing to show here.
        return;
    };
    let port = socket.local_addr().unwrap().port();
    let listener = TcpListener::from_std(socket).unwrap();
    let _client = TcpStream::connect(SocketAddr::new(LOOPBACK, port))
        .await
        .unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(crate::model::ip::canonical(peer.ip()), LOOPBACK);
}
