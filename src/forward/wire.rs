//! The socket as hyper sees it: a service that stops reading can still be heard, and whether a byte of a request has left
//! can be proved. Never changes a byte.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool::Place;

/// What has left of the request that a connection is taken by. Shared by the socket, which writes, and by whoever waits
/// for the answer, and asks when it does not come.
#[derive(Debug, Default)]
pub(super) struct Seal(AtomicU8);

/// No byte has left.
const UNTOUCHED: u8 = 0;
/// A byte may have left.
const WRITTEN: u8 = 1;
/// No byte has left, and none will.
const SEALED: u8 = 2;
/// The connection is no longer HTTP.
const SWITCHED: u8 = 3;

impl Seal {
    /// A request begins.
    pub(super) fn begin(&self) {
        self.0.store(UNTOUCHED, Ordering::Release);
    }

    /// Gives the request up. Whether that was in time: then no byte of it has left, and none ever will.
    pub(super) fn close(&self) -> bool {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let closed = self.0.compare_exchange(UNTOUCHED, SEALED, order.0, order.1);
        closed.is_ok() || closed == Err(SEALED)
    }

    /// The connection goes on as something else than HTTP.
    pub(super) fn switch(&self) {
        self.0.store(SWITCHED, Ordering::Release);
    }

    /// Before bytes are handed to the socket: whether they are the first, or else why they must not go.
    fn write(&self) -> io::Result<bool> {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        match self
            .0
            .compare_exchange(UNTOUCHED, WRITTEN, order.0, order.1)
        {
            Ok(_) => Ok(true),
            Err(SEALED) => Err(ErrorKind::ConnectionAborted.into()),
            Err(_) => Ok(false),
        }
    }

    /// The first bytes were not taken by the socket.
    fn take_back(&self) {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        // If the request was given up meanwhile, that was answered by "perhaps", and stays so.
        self.0
            .compare_exchange(WRITTEN, UNTOUCHED, order.0, order.1)
            .ok();
    }

    fn is_http(&self) -> bool {
        self.0.load(Ordering::Acquire) != SWITCHED
    }
}

/// A socket that a failed write does not end. A service may answer early and close while the request's body is under way
/// (RFC 9112 section 9.6): writing then fails, but its answer waits to be read. Reading comes to its own end soon, because
/// what fails a write ends the reading too, and that end is what is reported.
pub(super) struct Wire<T> {
    socket: T,
    seal: Arc<Seal>,
    /// Given back when the socket closes.
    _place: Place,
}

impl<T> Wire<T> {
    pub(super) const fn new(socket: T, seal: Arc<Seal>, place: Place) -> Self {
        Self {
            socket,
            seal,
            _place: place,
        }
    }

    /// Writes, and notes whether a byte was taken. A failed write may have taken some.
    fn sealed(&self, first: bool, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if first && matches!(written, Poll::Pending | Poll::Ready(Ok(0))) {
            self.seal.take_back();
        }
        if self.seal.is_http() {
            return hold_back(written);
        }
        written
    }
}

/// Holds back the error of a write to a peer that is gone. Nobody wakes the writer again; the reader's end does.
fn hold_back(written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    if let Poll::Ready(Err(error)) = &written
        && matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        )
    {
        return Poll::Pending;
    }
    written
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let first = self.seal.write()?;
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.sealed(first, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = self.seal.write()?;
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.sealed(first, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn wire(room: usize) -> (Wire<DuplexStream>, Arc<Seal>, DuplexStream) {
        let (ours, theirs) = duplex(room);
        let seal = Arc::new(Seal::default());
        (
            Wire::new(ours, Arc::clone(&seal), Place::of(&Arc::default())),
            seal,
            theirs,
        )
    }

    #[tokio::test]
    async fn what_is_given_up_before_its_first_byte_never_leaves() {
        let (mut wire, seal, mut theirs) = wire(64);
        assert!(seal.close() && seal.close());
        assert!(wire.write_all(b"order").await.is_err());
        drop(wire);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        assert!(heard.is_empty());
    }

    #[tokio::test]
    async fn after_the_first_byte_it_is_too_late_until_the_next_request() {
        let (mut wire, seal, _theirs) = wire(64);
        wire.write_all(b"o").await.unwrap();
        assert!(!seal.close());
        wire.write_all(b"rder").await.unwrap();
        seal.begin();
        assert!(seal.close());
    }

    #[tokio::test]
    async fn a_byte_that_the_socket_did_not_take_has_not_left() {
        let (mut wire, seal, _theirs) = wire(1);
        wire.write_all(b"x").await.unwrap();
        seal.begin();
        let waiting = std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut wire).poll_write(cx, b"order").is_pending())
        });
        assert!(waiting.await);
        assert!(seal.close());
    }
}
