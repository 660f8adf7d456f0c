//! What is written, what is kept for the next request, and what is tried again.

use super::*;

use std::path::Path;

// === What is written ===

#[tokio::test]
async fn requests_are_framed_by_what_their_body_says() {
    let length = |method, lines| {
        let asked = with_body(method, Framing::Length(5), &["he", "llo"]);
        (asked.with("content-length", "5"), lines, "hello")
    };
    let chunked = |method| {
        let asked = with_body(method, Framing::Chunked, &["he", "llo"]);
        (
            asked.with("transfer-encoding", "chunked"),
            "transfer-encoding: chunked",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        )
    };
    let table = [
        (asked(Method::GET), "", ""),
        (asked(Method::HEAD), "", ""),
        (asked(Method::POST), "", ""),
        (
            asked(Method::POST).with("content-length", "0"),
            "content-length: 0",
            "",
        ),
        length(Method::POST, "content-length: 5"),
        length(Method::GET, "content-length: 5"),
        chunked(Method::POST),
        chunked(Method::GET),
        chunked(Method::HEAD),
        chunked(Method::DELETE),
    ];
    for (asked, framing, body) in table {
        let service = Service::start().await;
        let method = asked.method.clone();
        let script = async {
            let mut stream = service.accept().await;
            let raw = read(&mut stream, body.len()).await;
            write(&mut stream, OK).await;
            raw
        };
        let way = service.way();
        let (answer, raw) = tokio::join!(ask(&way, asked), script);
        answer.unwrap();
        let (head, sent) = raw.split_once("\r\n\r\n").unwrap();
        let (line, head) = head.split_once("\r\n").unwrap();
        let mut lines: Vec<&str> = head.split("\r\n").collect();
        lines.sort_unstable();
        let mut expected = vec![
            "host: orders.example:8080",
            "via: 1.1 outrider",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-proto: http",
            "x-request-id: id-1",
        ];
        expected.extend((!framing.is_empty()).then_some(framing));
        expected.sort_unstable();
        assert_eq!(line, format!("{method} /orders?side=buy HTTP/1.1"));
        assert_eq!(lines, expected, "{method} {framing}");
        assert_eq!(sent, body, "{method} {framing}");
    }
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("service.sock");
    let listener = UnixListener::bind(path).unwrap();
    let way = way_to(Upstream::Unix(path.to_owned()), &patient());
    let script = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut raw = BytesMut::new();
        while !raw.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut raw).await.unwrap();
        }
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(ask(&way, asked(Method::GET)), script);
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
    assert_eq!(way.idle(), 1);
}

// === What is kept ===

#[tokio::test]
async fn a_connection_serves_again_after_every_clean_end() {
    let answers = [
        (Method::GET, OK, "ok"),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "",
        ),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            Method::GET,
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "",
        ),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
            "",
        ),
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            "",
        ),
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n",
            "ok",
        ),
        (
            Method::GET,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        ),
    ];
    let service = Service::start().await;
    let way = service.way();
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    for (method, raw, body) in answers {
        assert_eq!(way.idle(), 1, "before {raw}");
        let script = async {
            read(&mut stream, 0).await;
            write(&mut stream, raw).await;
        };
        let (answer, ()) = tokio::join!(ask(&way, asked(method.clone())), script);
        let answer = answer.unwrap();
        if method == Method::HEAD && raw.contains("content-length") {
            assert_eq!(answer.headers()["content-length"], "9");
        }
        assert_eq!(whole(answer).await.unwrap(), body);
    }
    assert_eq!(way.idle(), 1);
    service.nobody_comes().await;
}

#[tokio::test]
async fn idle_connections_have_a_cap_an_age_and_an_end() {
    let service = Service::start().await;
    let timeouts = Timeouts {
        upstream_idle: SHORT,
        ..patient()
    };
    let way = way_to(service.upstream(), &timeouts);
    let mut open = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (answer, stream) = exchange(&way, &service, asked(Method::GET), OK).await;
        open.push(answer.unwrap());
        streams.push(stream);
    }
    for answer in open {
        whole(answer).await.unwrap();
    }
    assert_eq!(way.idle(), 2, "the cap");
    sleep(SHORT).await;
    let (answer, _new) = exchange(&way, &service, asked(Method::GET), OK).await;
    assert_eq!(way.idle(), 0, "the age, seen at checkout");
    whole(answer.unwrap()).await.unwrap();
    for stream in &mut streams {
        read_to_close(stream).await;
    }
    assert_eq!(way.idle(), 1);
    let swept = async {
        while way.idle() > 0 {
            sleep(SHORT / 4).await;
        }
    };
    timeout(SOON, way.tend(swept))
        .await
        .expect("the age, seen by the sweep");
    let (answer, mut last) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    assert_eq!(way.idle(), 0, "after the stop nothing is kept");
    read_to_close(&mut last).await;
}

#[tokio::test]
async fn connections_have_a_limit() {
    let service = Service::start().await;
    let limits = PoolLimits {
        connections_max: 1,
        idle_max: 1,
    };
    let way: Way = Forwarder::new(service.upstream(), &patient(), limits, spawner());
    let (first, mut stream) = tokio::join!(slot(&way), service.accept());
    assert_eq!(cause(slot(&way).await), Cause::Overloaded);
    drop(first);
    read_to_close(&mut stream).await;
    assert!(slot(&way).await.is_ok());
}

// === What is tried again, once ===

#[tokio::test]
async fn a_connection_that_closed_while_idle_is_replaced_before_anything_is_sent() {
    let service = Service::start().await;
    let way = service.way();
    let (answer, stream) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    assert_eq!(way.idle(), 1);
    drop(stream);
    all_closed(&way).await;
    assert_eq!(way.idle(), 0, "nobody waits on it");
    let (answer, _stream) = exchange(&way, &service, asked(Method::POST), OK).await;
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
}

/// A slot on a pooled connection that the service closes between checkout and sending.
async fn stale_slot(way: &Way, service: &Service) -> Slot<Pieces> {
    let (answer, stream) = exchange(way, service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    let slot = slot(way).await.unwrap();
    assert_eq!(way.idle(), 0, "the pooled one is taken");
    drop(stream);
    all_closed(way).await;
    slot
}

#[tokio::test]
async fn a_request_of_which_nothing_was_sent_takes_one_fresh_connection_with_its_whole_body() {
    let service = Service::start().await;
    let way = service.way();
    let slot = stale_slot(&way, &service).await;
    let asked = with_body(Method::POST, Framing::Length(5), &["he", "llo"]);
    let script = async {
        let mut stream = service.accept().await;
        let raw = read(&mut stream, 5).await;
        write(&mut stream, OK).await;
        (raw, stream)
    };
    let sending = slot.send(asked.outbound(), Instant::now() + SOON);
    let (answer, (raw, _stream)) = tokio::join!(sending, script);
    assert!(raw.ends_with("\r\n\r\nhello"), "{raw}");
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
    service.nobody_comes().await;
}

#[tokio::test]
async fn the_fresh_connection_is_the_last() {
    let service = Service::start().await;
    let way = service.way();
    let slot = stale_slot(&way, &service).await;
    let sending = slot.send(asked(Method::POST).outbound(), Instant::now() + SOON);
    let script = async { drop(service.accept().await) };
    let (answer, ()) = tokio::join!(sending, script);
    let cause = cause(answer);
    assert!(
        matches!(cause, Cause::UpstreamBroken | Cause::UpstreamUnreachable),
        "{cause:?}"
    );
    service.nobody_comes().await;
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_not_replaced() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, stream) = tokio::join!(slot(&way), service.accept());
    drop(stream);
    all_closed(&way).await;
    let sending = slot
        .unwrap()
        .send(asked(Method::GET).outbound(), Instant::now() + SOON);
    assert_eq!(cause(sending.await), Cause::UpstreamUnreachable);
    service.nobody_comes().await;
}

#[tokio::test]
async fn a_request_of_which_a_byte_was_sent_is_never_sent_again() {
    let service = Service::start().await;
    let way = service.way();
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    let script = async {
        read(&mut stream, 0).await;
        drop(stream);
    };
    let (answer, ()) = tokio::join!(ask(&way, asked(Method::GET)), script);
    assert_eq!(cause(answer), Cause::UpstreamBroken);
    service.nobody_comes().await;
}
