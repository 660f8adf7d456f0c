//! One exchange with a server that does what it likes.

use http::HeaderName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers one request with these bytes, then closes. Gives what was asked.
async fn get(answer: &[u8], etag: Option<&'static str>) -> (Result<Got, GetError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = KeysUrl {
        https: false,
        host: "127.0.0.1".to_owned(),
        port,
        authority: format!("127.0.0.1:{port}"),
        target: "/keys?tenant=1".to_owned(),
    };
    // Only who answers nothing is not waited for.
    let wait = match answer {
        [] => Duration::from_millis(300),
        _ => Duration::from_secs(60),
    };
    let getter = Getter::new(&url, None, wait, 100).unwrap();
    let etag = etag.map(HeaderValue::from_static);
    let serving = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(socket.read_u8().await.unwrap());
        }
        let _early_end = socket.write_all(answer).await;
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        String::from_utf8(asked).unwrap()
    };
    tokio::pin!(serving);
    let asking = getter.get(etag.as_ref());
    tokio::pin!(asking);
    tokio::select! {
        asked = &mut serving => (asking.await, asked),
        got = &mut asking => (got, String::new()),
    }
}

#[tokio::test]
async fn a_document_comes_with_what_its_server_says_of_it() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"7\"\r\n\
        Cache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\n{}";
    let (got, asked) = get(answer, Some("\"6\"")).await;
    let Ok(Got::Document { bytes, etag, fresh }) = got else {
        panic!("{got:?}");
    };
    assert_eq!(bytes, b"{}");
    assert_eq!(etag.unwrap(), "\"7\"");
    assert_eq!(fresh, Some(Duration::from_secs(60)));
    assert!(
        asked.starts_with("GET /keys?tenant=1 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("if-none-match: \"6\"\r\n"), "{asked}");
    assert!(asked.contains("host: 127.0.0.1:"), "{asked}");
}

#[tokio::test]
async fn a_document_without_a_length_ends_with_the_connection_or_its_last_chunk() {
    for answer in [
        b"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[]}".as_slice(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"keys\":[]}\r\n0\r\n\r\n",
    ] {
        let (got, _) = get(answer, None).await;
        assert!(matches!(got, Ok(Got::Document { bytes, .. }) if bytes == b"{\"keys\":[]}"));
    }
}

#[tokio::test]
async fn everything_else_is_a_failure() {
    let long = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "64\r\n",
        &"x".repeat(100),
        "\r\n1\r\nx\r\n",
    ]
    .concat();
    let cases: [(&[u8], &str); 10] = [
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n",
            "a redirect (302",
        ),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "a redirect (304"),
        (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "the answer is 500",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "the answer is 204"),
        (
            b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\n{}",
            "the answer is 206",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n{",
            "more than 100 bytes",
        ),
        (long.as_bytes(), "more than 100 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
            "no valid answer",
        ),
        (b"220 smtp.example\r\n", "no valid answer"),
        (b"", "in time"),
    ];
    for (answer, expected) in cases {
        let (got, _) = get(answer, None).await;
        let error = got.unwrap_err().to_string();
        assert!(
            error.contains(expected),
            "{}: {error}",
            answer.escape_ascii()
        );
    }
}

#[tokio::test]
async fn not_modified_is_an_answer_to_whoever_asked_so() {
    let (got, _) = get(b"HTTP/1.1 304 Not Modified\r\n\r\n", Some("\"6\"")).await;
    assert!(
        matches!(got, Ok(Got::NotModified { fresh: None })),
        "{got:?}"
    );
}

#[test]
fn max_age_is_read_where_it_means_something() {
    let cases = [
        ("max-age=60", Some(60)),
        ("public, max-age=60, must-revalidate", Some(60)),
        ("max-age=0", None),
        ("no-store", None),
        ("max-age=-1", None),
        ("max-age=99999999999999999999999", None),
        ("s-maxage=5", None),
    ];
    for (line, seconds) in cases {
        let name = HeaderName::from_static("cache-control");
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(line))]);
        assert_eq!(fresh(&headers), seconds.map(Duration::from_secs), "{line}");
    }
}
