//! Requests to a TLS server of our own: which one gets a byte of HTTP, which one does not, and what is kept.

use super::*;

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use rcgen::ExtendedKeyUsagePurpose;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, SupportedProtocolVersion, version};
use tokio::io::AsyncRead;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::exchange::pki::{Authority, GOOD, HOST, NOW, Said, Server as Shown, other_pin};
use super::super::exchange::{Exchange, Mismatch, OnMismatch};
use crate::model::clock::{Clock, Now};
use crate::model::decode::Placed;
use crate::model::endpoint::Endpoint;
use crate::model::fault::Faults;
use crate::model::node::Place;
use crate::model::pins::{PinMode, PinSet, SpkiPin};
use crate::model::settings::{CaText, TlsVersion};

/// A clock that a test moves.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Now {
        Now {
            mono_ns: 0,
            unix_us: self.0.load(Ordering::Relaxed),
        }
    }
}

/// An exchange: an authority, and a server with a certificate of it.
struct Venue {
    root: Authority,
    shown: Shown,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

impl Venue {
    async fn start() -> Self {
        Self::showing(&GOOD, BOTH, b"http/1.1").await
    }

    async fn showing(
        said: &Said,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[u8],
    ) -> Self {
        let root = Authority::new("Root");
        let shown = root.server(said);
        let provider = crate::runtime::crypto::provider();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.certificate.clone()], shown.private_key())
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        // What a client with early data and tickets would be tempted by.
        config.max_early_data_size = 16 * 1024;
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        Self {
            root,
            shown,
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    fn endpoint(&self, pins: Option<PinSet>) -> Endpoint {
        Endpoint {
            upstream: "binance".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: self.listener.local_addr().unwrap().port(),
            server_name: HOST.to_owned(),
            ca: Some(CaText {
                pem: self.root.pem(),
                origin: "ca.pem".to_owned(),
                place: Place::Default,
            }),
            pins: pins.map(|value| Placed {
                value,
                place: Place::Default,
            }),
            min_version: TlsVersion::V1_3,
            place: Place::Default,
        }
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let accepted = timeout(SOON, self.listener.accept()).await;
        let (stream, _) = accepted.expect("a connection").unwrap();
        timeout(SOON, self.acceptor.accept(stream)).await.unwrap()
    }

    /// Takes one connection, and what it brings behind the handshake until it ends.
    async fn overhear(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        if let Ok(mut stream) = self.accept().await {
            timeout(SOON, stream.read_to_end(&mut heard))
                .await
                .unwrap()
                .ok();
        }
        heard
    }

    async fn nobody_comes(&self) {
        let coming = timeout(QUIET, self.listener.accept()).await;
        assert!(coming.is_err(), "a connection too many");
    }
}

/// What was told of mismatches: mode, and whether it was a repetition.
type Told = Arc<Mutex<Vec<(PinMode, bool)>>>;

struct Trader {
    way: Way,
    exchange: Arc<Exchange>,
    told: Told,
    clock: Arc<Hand>,
}

fn trader(endpoint: Endpoint) -> Trader {
    trader_with(endpoint, &patient())
}

fn trader_with(endpoint: Endpoint, timeouts: &Timeouts) -> Trader {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let clock = Arc::new(Hand(AtomicI64::new(NOW.unix_us)));
    let shared: Arc<dyn Clock> = clock.clone();
    let mut faults = Faults::default();
    let on_mismatch: OnMismatch = Arc::new(move |missed: &Mismatch<'_>| {
        tell.lock().unwrap().push((missed.mode, missed.repeated));
    });
    let exchange = Exchange::new(endpoint, &shared, on_mismatch, &mut faults);
    let exchange = Arc::new(exchange.expect("an endpoint that is fit"));
    let limits = PoolLimits {
        connections_max: 4,
        idle_max: 2,
    };
    let forwarder = Forwarder::to_exchange(Arc::clone(&exchange), timeouts, limits, spawner());
    Trader {
        way: forwarder,
        exchange,
        told,
        clock,
    }
}

fn pins(pin: SpkiPin, mode: PinMode) -> Option<PinSet> {
    PinSet::new([pin, other_pin()], mode, None).ok()
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n\r\n") {
        let read = timeout(SOON, stream.read_buf(&mut raw))
            .await
            .expect("bytes");
        assert!(read.unwrap() > 0, "closed early");
    }
    String::from_utf8(raw).unwrap()
}

/// Answers one request on a stream that is there.
async fn answer_on(stream: &mut TlsStream<TcpStream>) {
    read_head(stream).await;
    stream.write_all(OK.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// One request on a new connection, answered; the stream stays in the exchange's hand.
async fn trade(
    trader: &Trader,
    venue: &Venue,
) -> (Result<Answer, Box<Denial>>, TlsStream<TcpStream>) {
    let script = async {
        let mut stream = venue.accept().await.unwrap();
        answer_on(&mut stream).await;
        stream
    };
    tokio::join!(ask(&trader.way, asked(Method::GET)), script)
}

/// The refusal of a request that never reaches the venue, and what the venue heard.
async fn refused(trader: &Trader, venue: &Venue) -> (Cause, Vec<u8>) {
    let (answer, heard) = tokio::join!(ask(&trader.way, asked(Method::POST)), venue.overhear());
    (cause(answer), heard)
}

// === Who gets a byte ===

#[tokio::test]
async fn a_request_goes_over_tls_1_3_to_the_exchange_that_is_pinned_and_the_connection_is_kept() {
    let venue = Venue::start().await;
    for pin in [venue.shown.pin(), venue.root.pin()] {
        let trader = trader(venue.endpoint(pins(pin, PinMode::Enforce)));
        assert!(trader.exchange.seen().chain().is_none());
        let (answer, mut stream) = trade(&trader, &venue).await;
        assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
        let session = stream.get_ref().1;
        assert_eq!(session.server_name(), Some(HOST));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let (answer, ()) =
            tokio::join!(ask(&trader.way, asked(Method::GET)), answer_on(&mut stream));
        assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
        venue.nobody_comes().await;
        let chain = trader.exchange.seen().chain().unwrap();
        let seen: Vec<SpkiPin> = chain.links().iter().map(|link| link.pin).collect();
        assert_eq!(seen, [venue.shown.pin(), venue.root.pin()]);
        assert!(trader.told.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_without_a_pinned_key_gets_no_byte_of_http() {
    let venue = Venue::start().await;
    let stranger = Authority::new("Stranger").pin();
    let trader = trader(venue.endpoint(pins(stranger, PinMode::Enforce)));
    for repeated in [false, true] {
        let (cause, heard) = refused(&trader, &venue).await;
        assert_eq!(cause, Cause::PinMismatch);
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
        let told = trader.told.lock().unwrap().pop();
        assert_eq!(told, Some((PinMode::Enforce, repeated)));
    }
    assert!(trader.exchange.seen().chain().is_none());
    assert_eq!(trader.way.idle(), 0);
}

#[tokio::test]
async fn pins_that_are_tried_out_let_pass_and_tell() {
    let venue = Venue::start().await;
    let stranger = Authority::new("Stranger").pin();
    let trader = trader(venue.endpoint(pins(stranger, PinMode::Report)));
    let (answer, _stream) = trade(&trader, &venue).await;
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
    assert_eq!(*trader.told.lock().unwrap(), [(PinMode::Report, false)]);
}

#[tokio::test]
async fn a_certificate_that_is_not_good_gets_no_byte_of_http_whatever_is_pinned() {
    let table = [
        Said {
            months: (1, 6),
            ..GOOD
        },
        Said {
            host: "evil.example",
            ..GOOD
        },
        Said {
            purpose: ExtendedKeyUsagePurpose::ClientAuth,
            ..GOOD
        },
    ];
    for said in table {
        let venue = Venue::showing(&said, BOTH, b"http/1.1").await;
        for pins in [
            None,
            pins(venue.shown.pin(), PinMode::Enforce),
            pins(venue.root.pin(), PinMode::Report),
        ] {
            let trader = trader(venue.endpoint(pins));
            let (cause, heard) = refused(&trader, &venue).await;
            assert_eq!(
                (cause, heard.len()),
                (Cause::UpstreamUntrusted, 0),
                "{}",
                said.host
            );
        }
    }
    let venue = Venue::start().await;
    let mut endpoint = venue.endpoint(pins(venue.shown.pin(), PinMode::Enforce));
    // The public authorities.
    endpoint.ca = None;
    let (cause, heard) = refused(&trader(endpoint), &venue).await;
    assert_eq!((cause, heard.len()), (Cause::UpstreamUntrusted, 0));
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_where_it_is_asked_for() {
    let venue = Venue::showing(&GOOD, &[&version::TLS12], b"http/1.1").await;
    let good = pins(venue.root.pin(), PinMode::Enforce);
    let (cause, heard) = refused(&trader(venue.endpoint(good.clone())), &venue).await;
    assert_eq!((cause, heard.len()), (Cause::UpstreamUnreachable, 0));
    let mut endpoint = venue.endpoint(good);
    endpoint.min_version = TlsVersion::V1_2;
    let (answer, stream) = trade(&trader(endpoint), &venue).await;
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
    let mut endpoint = venue.endpoint(pins(Authority::new("X").pin(), PinMode::Enforce));
    endpoint.min_version = TlsVersion::V1_2;
    let (cause, heard) = refused(&trader(endpoint), &venue).await;
    assert_eq!((cause, heard.len()), (Cause::PinMismatch, 0));
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_is_refused() {
    let venue = Venue::showing(&GOOD, BOTH, b"h2").await;
    let (cause, heard) = refused(&trader(venue.endpoint(None)), &venue).await;
    assert_eq!((cause, heard.len()), (Cause::UpstreamUnreachable, 0));
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let venue = Venue::start().await;
    let timeouts = Timeouts {
        handshake: SHORT,
        ..patient()
    };
    let trader = trader_with(venue.endpoint(None), &timeouts);
    let mute = async {
        let (mut stream, _) = venue.listener.accept().await.unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.ok();
    };
    let (slot, ()) = tokio::join!(slot(&trader.way), mute);
    assert_eq!(cause(slot), Cause::UpstreamUnreachable);
    let hanging_up = async { drop(venue.listener.accept().await) };
    let (slot, ()) = tokio::join!(super::slot(&trader.way), hanging_up);
    assert_eq!(cause(slot), Cause::UpstreamUnreachable);
}

// === What is kept, and what is not ===

#[tokio::test]
async fn every_handshake_is_a_full_one_so_that_pins_are_asked_each_time() {
    for versions in [BOTH, &[&version::TLS12]] {
        let venue = Venue::showing(&GOOD, versions, b"http/1.1").await;
        let mut endpoint = venue.endpoint(pins(venue.root.pin(), PinMode::Enforce));
        endpoint.min_version = TlsVersion::V1_2;
        let trader = trader(endpoint);
        for _ in 0..3 {
            let (answer, stream) = trade(&trader, &venue).await;
            whole(answer.unwrap()).await.unwrap();
            let kind = stream.get_ref().1.handshake_kind();
            assert!(
                !matches!(kind, Some(HandshakeKind::Resumed) | None),
                "{kind:?}"
            );
            drop(stream);
            all_closed(&trader.way).await;
        }
    }
}

#[tokio::test]
async fn other_pins_share_nothing_with_those_before() {
    let venue = Venue::start().await;
    let before = trader(venue.endpoint(pins(venue.root.pin(), PinMode::Enforce)));
    let (answer, _stream) = trade(&before, &venue).await;
    let chain = before.exchange.seen().chain().unwrap();
    whole(answer.unwrap()).await.unwrap();
    assert_eq!(before.way.idle(), 1);
    let other = Authority::new("Other").pin();
    let after = trader(venue.endpoint(pins(other, PinMode::Enforce)));
    let (cause, heard) = refused(&after, &venue).await;
    assert_eq!((cause, heard.len()), (Cause::PinMismatch, 0));
    // A stream that was opened before would not be opened now.
    assert!(before.exchange.would_use(&chain));
    assert!(!after.exchange.would_use(&chain));
    let trying = trader(venue.endpoint(pins(other, PinMode::Report)));
    assert!(trying.exchange.would_use(&chain));
}

#[tokio::test]
async fn a_kept_connection_ends_with_the_pins_it_was_checked_with() {
    let venue = Venue::start().await;
    let end = NOW.unix_seconds() + 10;
    let expiring = PinSet::new([venue.root.pin(), other_pin()], PinMode::Enforce, Some(end));
    let trader = trader(venue.endpoint(Some(expiring.unwrap())));
    trader
        .clock
        .0
        .store((end - 3) * 1_000_000, Ordering::Relaxed);
    let (answer, stream) = trade(&trader, &venue).await;
    whole(answer.unwrap()).await.unwrap();
    assert_eq!(trader.way.idle(), 1);
    sleep(AMPLE + QUIET).await;
    trader.clock.0.store(end * 1_000_000, Ordering::Relaxed);
    let (cause, heard) = refused(&trader, &venue).await;
    assert_eq!((cause, heard.len()), (Cause::UpstreamUntrusted, 0));
    assert_eq!(trader.way.idle(), 0);
    drop(stream);
}
