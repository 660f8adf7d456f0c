use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const CLEAN: &[(&str, &str, u64)] = &[
    ("nothing", "", 0),
    ("one GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
    (
        "three in a row",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
        3,
    ),
    (
        "a body that looks like a head",
        "POST / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2,
    ),
    (
        "a length of nothing",
        "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2,
    ),
    (
        "chunks with extensions and trailers",
        "POST / HTTP/1.1\r\nTransfer-Encoding: \tChunked \r\n\r\n5;a=\"b\"\r\n\r\n\r\n\r\r\nA \t;x\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2,
    ),
    (
        "a hash behind the request line",
        "GET / HTTP/1.1\r\nX: #\r\n\r\n",
        1,
    ),
    (
        "names that only begin alike",
        "GET / HTTP/1.1\r\nContent-Length-X: 3\r\nX-Transfer-Encoding: gzip\r\nContent-Leng: 9\r\n\r\n",
        1,
    ),
    (
        "a long line",
        "GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\nX: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
        1,
    ),
];

const FAULTY: &[(&str, &str, u64, HeadFault)] = &[
    (
        "case 1",
        "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        1,
        HeadFault::LengthAndEncoding,
    ),
    (
        "case 2",
        "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 6\r\n\r\n",
        1,
        HeadFault::LengthAndEncoding,
    ),
    (
        "case 4",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        1,
        HeadFault::LengthTwice,
    ),
    (
        "case 4, as a list",
        "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, a sign",
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, a minus",
        "POST / HTTP/1.1\r\nContent-Length: -0\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, hexadecimal",
        "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, an underscore",
        "POST / HTTP/1.1\r\nContent-Length: 5_0\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, a space inside",
        "POST / HTTP/1.1\r\nContent-Length: 5 0\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, empty",
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 5, 2^64",
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        1,
        HeadFault::LengthBroken,
    ),
    (
        "case 7",
        "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "case 8, a list",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "case 8, a control character",
        "POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "case 8, a parameter",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "a coding far behind its name",
        "POST / HTTP/1.1\r\nTransfer-Encoding:                                                                    chunked, x\r\n\r\n",
        1,
        HeadFault::Encoding,
    ),
    (
        "case 13, request line",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        1,
        HeadFault::BareLineFeed,
    ),
    (
        "case 13, field",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        1,
        HeadFault::BareLineFeed,
    ),
    (
        "case 13, last line",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        1,
        HeadFault::BareLineFeed,
    ),
    (
        "case 14",
        "GET / HTTP/1.1\r\nX-A: 1\r\n  Transfer-Encoding: chunked\r\n\r\n",
        1,
        HeadFault::Fold,
    ),
    (
        "case 16",
        "GET / HTTP/1.1\r\n\tContent-Length: 5\r\n\r\n",
        1,
        HeadFault::Fold,
    ),
    (
        "case 28",
        "GET /admin#/../public HTTP/1.1\r\n\r\n",
        1,
        HeadFault::Fragment,
    ),
    (
        "an empty line first",
        "\r\nGET / HTTP/1.1\r\n\r\n",
        1,
        HeadFault::LeadingLine,
    ),
    (
        "a bare line feed first",
        "\nGET / HTTP/1.1\r\n\r\n",
        1,
        HeadFault::BareLineFeed,
    ),
    (
        "an empty line between",
        "GET / HTTP/1.1\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2,
        HeadFault::LeadingLine,
    ),
    (
        "case 10, a prefix",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "case 10, too large",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "case 10, empty",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "case 11, a line feed in an extension",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "case 11, a lone return",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\rX\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "a chunk longer than told",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n",
        2,
        HeadFault::Lost,
    ),
    (
        "a bare line feed in trailers",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
        2,
        HeadFault::Lost,
    ),
];

/// Feeds the bytes in two pieces, or one by one if `split` is `None`.
fn follow(bytes: &[u8], split: Option<usize>) -> Follower {
    let mut follower = Follower::default();
    match split {
        Some(at) => {
            follower.follow(&bytes[..at]);
            follower.follow(&bytes[at..]);
        }
        None => bytes.chunks(1).for_each(|byte| follower.follow(byte)),
    }
    follower
}

fn splits(bytes: &[u8]) -> impl Iterator<Item = Option<usize>> {
    (0..=bytes.len()).map(Some).chain([None])
}

#[test]
fn clean_messages_are_counted_however_they_are_cut() {
    for (name, text, heads) in CLEAN {
        for split in splits(text.as_bytes()) {
            let follower = follow(text.as_bytes(), split);
            assert_eq!(follower.fault(), None, "{name}, cut at {split:?}");
            assert_eq!(follower.heads(), *heads, "{name}, cut at {split:?}");
            assert!(!follower.inside_head(), "{name}, cut at {split:?}");
        }
    }
}

#[test]
fn faults_are_found_however_they_are_cut() {
    for (name, text, ordinal, fault) in FAULTY {
        for split in splits(text.as_bytes()) {
            let follower = follow(text.as_bytes(), split);
            let found = follower.fault();
            assert_eq!(found, Some((*ordinal, *fault)), "{name}, cut at {split:?}");
        }
    }
}

#[test]
fn a_head_that_has_begun_is_told_from_an_idle_connection() {
    for (text, inside) in [
        ("", false),
        ("G", true),
        ("GET / HTTP/1.1\r\n", true),
        ("GET / HTTP/1.1\r\nX: y\r\n\r", true),
        ("GET / HTTP/1.1\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET", false),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nGETG", true),
    ] {
        assert_eq!(
            follow(text.as_bytes(), None).inside_head(),
            inside,
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn every_request_from_the_first_faulty_one_on_is_faulty() {
    let text = "GET / HTTP/1.1\r\n\r\nGET /#a HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let mut watched = Watched::new(text.as_bytes());
    let watch = watched.watch();
    assert_eq!(
        watch.fault_of(1),
        Some(HeadFault::Lost),
        "no head was seen yet"
    );
    let mut out = Vec::new();
    watched.read_to_end(&mut out).await.unwrap();
    assert_eq!(out, text.as_bytes());
    assert_eq!(watch.fault_of(1), None);
    assert_eq!(watch.fault_of(2), Some(HeadFault::Fragment));
    assert_eq!(watch.fault_of(3), Some(HeadFault::Lost));
    assert!(watch.any_head_after(1));
}

/// What hyper made of the bytes: the target of each request, with the verdict at the moment of the call; and whether
/// hyper came to a clean end.
async fn ask_hyper(bytes: Vec<u8>, cut: usize) -> (Vec<(String, Option<HeadFault>)>, bool) {
    let (mut client, server) = tokio::io::duplex(cut.max(1));
    let watched = Watched::new(server);
    let watch = watched.watch();
    let (calls, ordinal) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        let fault = watch.fault_of(ordinal.fetch_add(1, Ordering::Relaxed) + 1);
        let target = request.uri().to_string();
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

/// The target of every head that a follower sees, cut out of the bytes at the boundaries it found.
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
            targets.push(head.split(' ').nth(1).unwrap_or_default().to_owned());
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

/// Where no fault was found, hyper sees the same requests, or refuses what follows altogether.
fn agrees_with_hyper(bytes: Vec<u8>, cut: usize) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (seen, fault) = targets_seen(&bytes);
    let (calls, _) = runtime.block_on(ask_hyper(bytes, cut));
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
    if let Some((first, _)) = fault {
        prop_assert!((trusted.len() as u64) < first);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20000))]

    #[test]
    fn hyper_sees_the_same_boundaries(bytes in pieces(), cut in 1_usize..80) {
        agrees_with_hyper(bytes, cut)?;
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
        agrees_with_hyper(bytes, cut)?;
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
