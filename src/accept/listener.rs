//! Listening sockets and the accept loop: who gets a place, and what happens when there is none.
//! Never reads a byte of a connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::ip::counted;
use crate::model::settings::AcceptLimits;
use crate::runtime::drain::Drain;

#[cfg(test)]
mod tests;

/// Connections that the kernel keeps while none is accepted; more are answered by the client's own patience.
const BACKLOG: i32 = 1024;

const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_LAST: Duration = Duration::from_secs(1);

/// Whether several sockets of this process share the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortUse {
    /// One socket has it.
    Alone,
    /// One socket for each worker; the kernel spreads connections over them.
    Shared,
}

/// Binds and listens. An unspecified IPv6 address takes IPv4 too, whatever the system's default. Not blocking, so that
/// each worker can hand its socket to its own runtime.
pub fn bind(address: SocketAddr, port: PortUse) -> io::Result<std::net::TcpListener> {
    let socket = bound(address, port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Fails if anybody listens on the address. Asked before a port is shared: the kernel would let another process of the
/// same user share it too, without a word, and give it a part of the connections.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    bound(address, PortUse::Alone).map(drop)
}

fn bound(address: SocketAddr, port: PortUse) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections of the process before to time out.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == PortUse::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A listening socket: on an address, or in the file system.
pub trait Listener: Send + Sync {
    /// A connection.
    type Stream: Send + 'static;

    /// The next connection and who is at its other end.
    fn take(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Sets what can only be set on a connection. `stall` is how long its peer may leave sent bytes unread.
    fn tune(stream: &Self::Stream, stall: Duration) -> io::Result<()>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn take(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }

    fn tune(stream: &TcpStream, stall: Duration) -> io::Result<()> {
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stall))?;
        Ok(())
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    /// Whoever opens the socket is on this machine; there is no more to know.
    async fn take(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, _unnamed) = self.accept().await?;
        Ok((stream, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
    }

    fn tune(_: &UnixStream, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// Binds and listens on a socket in the file system. One that a process before left behind is taken away; one that
/// answers belongs to somebody. Nobody can connect before the permissions are what `mode` says.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixStream;
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file is made with the permissions that the socket has when it is bound (unix(7)).
    let socket = std::fs::File::from(std::os::fd::OwnedFd::from(socket));
    socket.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    let socket = Socket::from(std::os::fd::OwnedFd::from(socket));
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(std::os::unix::net::UnixListener::from(
        std::os::fd::OwnedFd::from(socket),
    ))
}

/// Accepts until the drain begins, and serves each connection as a task of the drain. Returns when nothing is accepted
/// any more; the socket is closed then.
pub async fn run<L: Listener, F>(
    listener: L,
    gate: Arc<Gate>,
    drain: Drain,
    serve: impl Fn(L::Stream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut stop = std::pin::pin!(drain.draining());
    let mut pause = BACK_OFF_FIRST;
    loop {
        let admitted = tokio::select! {
            biased;
            () = &mut stop => return,
            admitted = gate.admit(&listener) => admitted,
        };
        match admitted {
            Ok(Some((stream, peer, place))) => {
                pause = BACK_OFF_FIRST;
                let connection = serve(stream, peer);
                drain.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Ok(None) => {}
            Err(error) if concerns_one_connection(&error) => {}
            Err(_) => {
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = BACK_OFF_LAST.min(pause * 2);
            }
        }
    }
}

/// The peer gave up between the handshake and `accept`: no reason to wait.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// The places for connections, over all workers and for each peer.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    places_max: usize,
    peers: Mutex<HashMap<IpAddr, u32>>,
    per_peer_max: AtomicU32,
    write_stall_ms: AtomicU64,
    accepted: AtomicU64,
    refused_per_peer: AtomicU64,
    waited: AtomicU64,
    errors: AtomicU64,
}

/// What a gate has counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Connections that got a place.
    pub accepted: u64,
    /// Connections closed at once because their peer had enough of them.
    pub refused_per_peer: u64,
    /// Connections that had to wait for a place.
    pub waited: u64,
    /// Failures of `accept`.
    pub errors: u64,
}

impl Gate {
    /// A gate with these places. `write_stall` is how long a peer may leave sent bytes unread (`TCP_USER_TIMEOUT`).
    #[must_use]
    pub fn new(limits: &AcceptLimits, write_stall: Duration) -> Self {
        let places = usize::try_from(limits.connections_max).unwrap_or(usize::MAX);
        let places_max = places.min(Semaphore::MAX_PERMITS);
        let gate = Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            peers: Mutex::default(),
            per_peer_max: AtomicU32::new(0),
            write_stall_ms: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused_per_peer: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        };
        gate.retune(limits, write_stall);
        gate
    }

    /// Takes other limits for connections that come from now on. How many there are in all stays as it is.
    pub fn retune(&self, limits: &AcceptLimits, write_stall: Duration) {
        let stall_ms = u64::try_from(write_stall.as_millis()).unwrap_or(u64::MAX);
        self.write_stall_ms.store(stall_ms, Ordering::Relaxed);
        let per_peer = limits.connections_per_ip_max;
        self.per_peer_max.store(per_peer, Ordering::Relaxed);
    }

    /// The counters, for metrics.
    #[must_use]
    pub fn counts(&self) -> GateCounts {
        GateCounts {
            accepted: self.accepted.load(Ordering::Relaxed),
            refused_per_peer: self.refused_per_peer.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    /// Places that are free.
    #[must_use]
    pub fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// Places that are taken: connections open now, over all workers.
    #[must_use]
    pub fn taken_places(&self) -> usize {
        self.places_max.saturating_sub(self.free_places())
    }

    /// Accepts one connection and waits for its place; `None` if it was closed at once. The place is sought after
    /// `accept`, so that an idle worker holds none: at most one connection a worker waits in its hand.
    async fn admit<L: Listener>(
        self: &Arc<Self>,
        listener: &L,
    ) -> io::Result<Option<(L::Stream, SocketAddr, Place)>> {
        let accepted = listener.take().await.inspect_err(|_| count(&self.errors));
        let (stream, peer) = accepted?;
        let Some(seat) = Seat::take(self, counted(peer.ip())) else {
            count(&self.refused_per_peer);
            return Ok(None);
        };
        let free = Arc::clone(&self.places).try_acquire_owned().ok();
        let permit = match free {
            Some(permit) => permit,
            None => {
                count(&self.waited);
                let waiting = Arc::clone(&self.places).acquire_owned().await;
                waiting.map_err(io::Error::other)?
            }
        };
        // A peer that is gone already shows when its stream is read.
        let stall = Duration::from_millis(self.write_stall_ms.load(Ordering::Relaxed));
        let _tuned = L::tune(&stream, stall);
        count(&self.accepted);
        let place = Place {
            _seat: seat,
            _permit: permit,
        };
        Ok(Some((stream, peer, place)))
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // The map is whole at every step, so a panic elsewhere does not spoil it.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
struct Place {
    _seat: Seat,
    _permit: OwnedSemaphorePermit,
}

/// A connection's share of what its peer may have. The map holds only peers with open connections, so it is bounded by
/// their number.
#[derive(Debug)]
struct Seat {
    gate: Arc<Gate>,
    peer: IpAddr,
}

impl Seat {
    fn take(gate: &Arc<Gate>, peer: IpAddr) -> Option<Self> {
        let mut peers = gate.peers();
        let open = peers.entry(peer).or_insert(0);
        if *open >= gate.per_peer_max.load(Ordering::Relaxed) {
            if *open == 0 {
                peers.remove(&peer);
            }
            return None;
        }
        *open += 1;
        Some(Self {
            gate: Arc::clone(gate),
            peer,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.gate.peers();
        if let Some(open) = peers.get_mut(&self.peer) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}
