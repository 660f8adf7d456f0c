//! The demo's client: one request over a connection of its own. Never used outside the demo.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest a request of the story may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Sends a request and reads the whole answer.
pub(super) async fn send(to: SocketAddr, request: Request<String>) -> io::Result<Response<String>> {
    match tokio::time::timeout(PATIENCE, exchange(to, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::other(format!(
            "{to} did not answer within {}s",
            PATIENCE.as_secs()
        ))),
    }
}

async fn exchange(to: SocketAddr, request: Request<String>) -> io::Result<Response<String>> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = request.map(|body| Full::new(Bytes::from(body)));
    let answer = async {
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?
            .into_parts();
        #[expect(
            clippy::disallowed_methods,
            reason = "limited, and only the demo's own answers"
        )]
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(io::Error::other)?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Response::from_parts(head, text))
    };
    // The connection ends when the answer is there, because nothing else is sent on it.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(io::Error::other(error)),
        },
    }
}
