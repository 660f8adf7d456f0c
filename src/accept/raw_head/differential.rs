//! Raw heads against hyper itself: where no fault is noted, both see the same requests.

use std::convert::Infallible;
use std::sync::Mutex;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tests::CLEAN;
use super::*;

/// What hyper made of the bytes: method and target of each request, with the verdict at the moment of the call; and whether
/// hyper came to a clean end.
async fn ask_hyper(bytes: Vec<u8>, cut: usize) -> (Vec<(String, Option<HeadFault>)>, bool) {
    let (mut client, server) = tokio::io::duplex(cut.max(1));
    let watched = Watched::new(server);
    let watch = watched.watch();
    let (calls, ordinal) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        let fault = watch.fault_of(ordinal.fetch_add(1, Ordering::Relaxed) + 1);
        let target = format!("{} {}", request.method(), request.uri());
        calls.lock().unwrap().push((target, fault));
        async {
            let mut body = request.into_body();
            while let Some(Ok(_)) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
            {}
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = http1::Builder::new();
    builder.half_close(true);
    let connection = builder.serve_connection(TokioIo::new(watched), service);
    let (ended, ()) = tokio::join!(connection, async {
        let (mut answers, mut requests) = tokio::io::split(&mut client);
        let send = async {
            // hyper may hang up before everything is sent.
            let _sent = requests.write_all(&bytes).await;
            let _shut = requests.shutdown().await;
        };
        let mut sink = Vec::new();
        let (_read, ()) = tokio::join!(answers.read_to_end(&mut sink), send);
    });
    (calls.into_inner().unwrap(), ended.is_ok())
}

/// Method and target of every head that a follower sees, cut out of the bytes at the boundaries it found.
fn targets_seen(bytes: &[u8]) -> (Vec<String>, Option<(u64, HeadFault)>) {
    let mut follower = Follower::default();
    let (mut targets, mut begin, mut was_inside) = (Vec::new(), 0, false);
    for (at, byte) in bytes.iter().enumerate() {
        let heads = follower.heads();
        follower.follow(std::slice::from_ref(byte));
        if follower.inside_head() && !was_inside {
            begin = at;
        }
        was_inside = follower.inside_head();
        if follower.heads() > heads {
            let head = String::from_utf8_lossy(&bytes[begin..=at]);
            let words: Vec<&str> = head.split(' ').take(2).collect();
            targets.push(words.join(" "));
        }
    }
    (targets, follower.fault())
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let starts = prop::sample::select(vec![
        "GET /a HTTP/1.1\r\n",
        "POST /b HTTP/1.1\r\n",
        "POST /c HTTP/1.0\r\n",
        "GET /d#e HTTP/1.1\r\n",
        "GET /f HTTP/1.1\n",
        "PUT http://h/g HTTP/1.1\r\n",
    ]);
    let fields = prop::sample::select(vec![
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "content-length: 0\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: 17\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-encoding:\tCHUNKED \r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        " folded: 1\r\n",
        "X: y\n",
        "X: \r\r\n",
    ]);
    let bodies = prop::sample::select(vec![
        "",
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n",
        "3 \r\nabc\r\n00\r\n\r\n",
        "0\r\n\r\n",
        "0\r\nT: u\n\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "\r\n",
        "GET /i HTTP/1.1\r\n\r\n",
        "GET /j HTTP/1.1\n\n",
    ]);
    let message = (starts, prop::collection::vec(fields, 0..4), bodies);
    prop::collection::vec(message, 1..5).prop_map(|messages| {
        let mut bytes = Vec::new();
        for (start, fields, body) in messages {
            bytes.extend_from_slice(start.as_bytes());
            fields
                .iter()
                .for_each(|field| bytes.extend_from_slice(field.as_bytes()));
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    })
}

/// Where no fault was found, hyper sees the same requests, or refuses what follows altogether. In bytes that were spoilt it
/// may also close without a word, where a chunk was spoilt that nobody read: then it sees fewer, never others.
fn agrees_with_hyper(bytes: Vec<u8>, cut: usize, spoilt: bool) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (seen, fault) = targets_seen(&bytes);
    let old = bytes.windows(8).any(|word| word == b"HTTP/1.0");
    let (calls, clean_end) = runtime.block_on(ask_hyper(bytes, cut));
    let trusted = calls.iter().take_while(|(_, fault)| fault.is_none());
    let trusted: Vec<&String> = trusted.map(|(target, _)| target).collect();
    prop_assert!(trusted.len() <= seen.len());
    for (own, hypers) in seen.iter().zip(&trusted) {
        // http writes an empty path as a slash.
        prop_assert_eq!(own.trim_end_matches('/'), hypers.trim_end_matches('/'));
    }
    let later_trusted = calls
        .iter()
        .skip(trusted.len())
        .any(|(_, fault)| fault.is_none());
    prop_assert!(!later_trusted, "a request behind a faulty one passes");
    match fault {
        Some((first, _)) => prop_assert!((trusted.len() as u64) < first),
        // After an HTTP/1.0 request hyper closes without reading what follows.
        None if clean_end && !old && !spoilt => prop_assert_eq!(trusted.len(), seen.len()),
        None => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn hyper_sees_the_same_boundaries(bytes in pieces(), cut in 1_usize..80) {
        agrees_with_hyper(bytes, cut, false)?;
    }

    #[test]
    fn hyper_sees_the_same_boundaries_in_spoilt_bytes(
        mut bytes in pieces(),
        at in any::<prop::sample::Index>(),
        spoilt in prop::sample::select(b"\r\n :#0;\tA\0".to_vec()),
        cut in 1_usize..80,
    ) {
        let at = at.index(bytes.len());
        bytes[at] = spoilt;
        agrees_with_hyper(bytes, cut, true)?;
    }
}

#[tokio::test]
async fn hyper_reads_every_clean_message() {
    for (name, text, heads) in CLEAN {
        let (calls, clean_end) = ask_hyper(text.as_bytes().to_vec(), 4096).await;
        assert_eq!(calls.len() as u64, *heads, "{name}");
        assert!(calls.iter().all(|(_, fault)| fault.is_none()), "{name}");
        assert!(clean_end, "{name}");
    }
}
