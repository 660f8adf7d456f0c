//! Raw heads by table: clean ones, faulty ones, each cut at every byte.

use tokio::io::AsyncReadExt;

use super::*;

pub(super) const CLEAN: &[(&str, &str, u64)] = &[
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
