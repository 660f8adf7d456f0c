//! The exchange's port: connections come in, show what they are in a handshake, and are served until somebody ends
//! them. Knows nothing of what is said over them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{HandshakeKind, ServerConfig};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor};

use crate::model::ip::LOOPBACK;
use crate::runtime::drain::Drain;

use super::evidence::{Open, count};
use super::rest;
use super::state::State;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The port and everything that holds for all of its connections.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) state: Arc<State>,
    pub(super) configuration: Arc<ArcSwap<ServerConfig>>,
    pub(super) drain: Drain,
    /// Whether connections are refused, and whether they are by now.
    pub(super) shut: watch::Sender<bool>,
    pub(super) is_shut: watch::Sender<bool>,
    /// Counted up to end what is idle, and to end everything.
    pub(super) end_idle: watch::Sender<u64>,
    pub(super) end_all: watch::Sender<u64>,
    /// Counted up to announce a shutdown to WebSockets.
    pub(super) notice: watch::Sender<u64>,
    port: Arc<Port>,
}

/// Keeps the port while nobody listens on it, so that no other process gets it.
#[derive(Debug)]
struct Port {
    address: SocketAddr,
    _held: Socket,
}

/// One connection, as far as a fault can reach it.
#[derive(Debug)]
pub(super) struct Line {
    socket: Option<Socket>,
}

impl Door {
    /// Takes a free port of this machine.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn new(
        state: Arc<State>,
        configuration: Arc<ServerConfig>,
        drain: Drain,
    ) -> io::Result<Self> {
        let held = shared_socket(SocketAddr::new(LOOPBACK, 0))?;
        let address = held.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("the port has no address"))?;
        Ok(Self {
            state,
            configuration: Arc::new(ArcSwap::new(configuration)),
            drain,
            shut: watch::Sender::new(false),
            is_shut: watch::Sender::new(false),
            end_idle: watch::Sender::new(0),
            end_all: watch::Sender::new(0),
            notice: watch::Sender::new(0),
            port: Arc::new(Port {
                address,
                _held: held,
            }),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When the port cannot be listened on.
    pub(super) fn open(&self) -> io::Result<()> {
        let listener = self.listen()?;
        let door = self.clone();
        self.drain.spawn(async move { door.serve(listener).await });
        Ok(())
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = shared_socket(self.address())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    /// Accepts until the exchange stops; refuses while it is told to.
    async fn serve(self, first: TcpListener) {
        let mut listener = Some(first);
        let mut shut = self.shut.subscribe();
        loop {
            let is_shut = *shut.borrow_and_update();
            if is_shut {
                drop(listener.take());
            } else if listener.is_none() {
                listener = self.listen().ok();
            }
            self.is_shut.send_replace(listener.is_none());
            tokio::select! {
                () = self.drain.draining() => return,
                changed = shut.changed() => if changed.is_err() { return },
                stream = accepted(listener.as_ref()) => self.welcome(stream),
            }
        }
    }

    fn welcome(&self, stream: TcpStream) {
        count(&self.state.evidence.counts.connections);
        let door = self.clone();
        self.drain.spawn(async move {
            let mut all = door.end_all.subscribe();
            tokio::select! {
                () = door.connection(stream) => {}
                () = door.drain.draining() => {}
                _ended = all.changed() => {}
            }
        });
    }

    async fn connection(&self, stream: TcpStream) {
        let counts = &self.state.evidence.counts;
        let _open = Open::new(&counts.open);
        // Orders are small; nothing is gained by holding them back.
        let _best_effort = stream.set_nodelay(true);
        let line = Arc::new(Line {
            socket: SockRef::from(&stream).try_clone().ok(),
        });
        let handshake = tokio::time::timeout(HANDSHAKE_MAX, self.handshake(stream));
        match handshake.await {
            Ok(Ok(stream)) => self.speak(stream, line).await,
            Ok(Err(_)) | Err(_) => count(&counts.handshakes_failed),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let evidence = &self.state.evidence;
        evidence.server_name(hello.client_hello().server_name());
        let stream = hello.into_stream(self.configuration.load_full()).await?;
        if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
            count(&evidence.counts.resumed);
        }
        Ok(stream)
    }

    async fn speak(&self, stream: TlsStream<TcpStream>, line: Arc<Line>) {
        let service = service_fn(|request| {
            let (door, line) = (self.clone(), Arc::clone(&line));
            async move { rest::answer(&door, &line, request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let mut idle = self.end_idle.subscribe();
        loop {
            tokio::select! {
                // A client that hangs up is not the exchange's concern.
                _ended = connection.as_mut() => return,
                changed = idle.changed() => {
                    if changed.is_err() { return }
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

impl Line {
    /// The connection ends with a reset instead of an orderly end.
    pub(super) fn reset(&self) {
        if let Some(socket) = &self.socket {
            // Should it fail, the connection ends in an orderly way, and a test notices.
            let _best_effort = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// The next connection; never one without a listener.
async fn accepted(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
        // Out of file descriptors, most likely; others end in the meantime.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A socket that shares its port with others of this process, so that one can hold it and one can listen.
fn shared_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
