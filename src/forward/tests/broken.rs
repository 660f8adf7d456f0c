//! What is refused, broken off or given up, and that no such connection is used again.

use super::*;

#[tokio::test]
async fn a_service_that_is_not_there_is_unreachable() {
    // A port that is taken, so that nobody else gets it, but on which nobody listens.
    let vacant = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    vacant.bind(&any.into()).unwrap();
    let address = vacant.local_addr().unwrap().as_socket().unwrap();
    let authority = address.to_string();
    let way = way_to(Upstream::Tcp { authority, address }, &patient());
    assert_eq!(cause(slot(&way).await), Cause::UpstreamUnreachable);
    let nowhere = Upstream::Unix("/nonexistent/service.sock".into());
    assert_eq!(
        cause(slot(&way_to(nowhere, &patient())).await),
        Cause::UpstreamUnreachable
    );
}

#[tokio::test]
async fn answers_with_two_readings_are_refused_and_the_connection_closed() {
    let heads = [
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2",
        ),
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2",
        ),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 2, 2"),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 2, 3"),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: +2"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: -2"),
        (Method::GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip"),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked",
        ),
        (Method::GET, "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked"),
        (Method::GET, "HTTP/1.1 204 No Content\r\ncontent-length: 2"),
        (
            Method::GET,
            "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked",
        ),
        (
            Method::GET,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nname : value\r\ncontent-length: 2",
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nname: value\r\n folded\r\ncontent-length: 2",
        ),
        (Method::GET, "HTTP/2.0 200 OK\r\ncontent-length: 2"),
        (Method::GET, "ok"),
    ];
    for (method, head) in heads {
        let service = Service::start().await;
        let way = service.way();
        let raw = format!("{head}\r\n\r\n");
        let (answer, mut stream) = exchange(&way, &service, asked(method), &raw).await;
        assert_eq!(cause(answer), Cause::UpstreamBroken, "{head}");
        read_to_close(&mut stream).await;
        assert_eq!(way.idle(), 0, "{head}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_never_become_another_answer() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    let heads = [
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n",
        ),
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n",
        ),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (Method::GET, OK),
    ];
    for (method, head) in heads {
        for at_once in [true, false] {
            let service = Service::start().await;
            let way = service.way();
            let first = if at_once {
                format!("{head}{smuggled}")
            } else {
                head.to_owned()
            };
            let (answer, mut stream) =
                exchange(&way, &service, asked(method.clone()), &first).await;
            whole(answer.unwrap()).await.unwrap();
            if !at_once {
                write(&mut stream, smuggled).await;
                read_to_close(&mut stream).await;
            }
            let (answer, _stream) = exchange(&way, &service, asked(Method::GET), OK).await;
            assert_eq!(
                whole(answer.unwrap()).await.unwrap(),
                "ok",
                "{method} {head}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    let service = Service::start().await;
    let timeouts = Timeouts {
        response_head: SHORT,
        ..patient()
    };
    let way = way_to(service.upstream(), &timeouts);
    let (slot, mut stream) = tokio::join!(slot(&way), service.accept());
    let far = Instant::now() + 100 * SOON;
    let sending = slot.unwrap().send(asked(Method::POST).outbound(), far);
    let script = async {
        read(&mut stream, 0).await;
        write(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    };
    let (answer, ()) = timeout(SOON, async { tokio::join!(sending, script) })
        .await
        .expect("not only at the deadline");
    assert_eq!(cause(answer), Cause::UpstreamTimeout);
    read_to_close(&mut stream).await;
    assert_eq!(way.idle(), 0);
}

#[tokio::test]
async fn the_time_for_the_head_begins_when_the_request_is_out() {
    let service = Service::start().await;
    let timeouts = Timeouts {
        response_head: AMPLE,
        ..patient()
    };
    let way = way_to(service.upstream(), &timeouts);
    let (asked, hand) = streamed(Method::POST, Framing::Length(6));
    let script = async {
        let mut stream = service.accept().await;
        for piece in ["ab", "cd", "ef"] {
            sleep(AMPLE / 2).await;
            hand.send(Ok(Bytes::from_static(piece.as_bytes())))
                .await
                .unwrap();
        }
        read(&mut stream, 6).await;
        write(&mut stream, OK).await;
        stream
    };
    let (answer, _stream) = tokio::join!(ask(&way, asked), script);
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
}

#[tokio::test]
async fn the_deadline_of_the_request_bounds_a_service_that_takes_no_body() {
    let service = Service::start().await;
    let way = service.way();
    let (asked, _hand) = streamed(Method::POST, Framing::Chunked);
    let slot = slot(&way).await.unwrap();
    let answer = slot.send(asked.outbound(), Instant::now() + SHORT).await;
    assert_eq!(cause(answer), Cause::UpstreamTimeout);
}

#[tokio::test]
async fn an_answer_that_stops_or_breaks_has_no_clean_end() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let misframed = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalfway\r\n";
    let close: fn(TcpStream) = |stream| drop(stream);
    let keep: fn(TcpStream) = |stream| std::mem::forget(stream);
    let table = [
        (length, close, AnswerFault::Broken),
        (chunked, close, AnswerFault::Broken),
        (length, reset, AnswerFault::Broken),
        (chunked, reset, AnswerFault::Broken),
        (misframed, keep, AnswerFault::Broken),
        (length, keep, AnswerFault::Idle),
        (chunked, keep, AnswerFault::Idle),
    ];
    for (raw, end, fault) in table {
        let service = Service::start().await;
        let mut timeouts = patient();
        if fault == AnswerFault::Idle {
            timeouts.response_idle = SHORT;
        }
        let way = way_to(service.upstream(), &timeouts);
        let (answer, stream) = exchange(&way, &service, asked(Method::GET), raw).await;
        let answer = answer.unwrap();
        end(stream);
        assert_eq!(whole(answer).await, Err(fault), "{raw}");
        assert_eq!(way.idle(), 0, "{raw}");
    }
}

#[tokio::test]
async fn an_answer_that_trickles_ends_at_the_deadline() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = tokio::join!(slot(&way), service.accept());
    let sending = slot
        .unwrap()
        .send(asked(Method::GET).outbound(), Instant::now() + AMPLE);
    let script = async {
        read(&mut stream, 0).await;
        write(
            &mut stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n",
        )
        .await;
        while stream.write_all(b"x").await.is_ok() {
            sleep(SHORT / 4).await;
        }
    };
    let client = async { whole(sending.await.unwrap()).await };
    let (body, ()) = timeout(SOON, async { tokio::join!(client, script) })
        .await
        .unwrap();
    assert_eq!(body, Err(AnswerFault::Late));
}

#[tokio::test]
async fn every_piece_of_an_answer_has_its_own_time() {
    let service = Service::start().await;
    let timeouts = Timeouts {
        response_idle: AMPLE,
        ..patient()
    };
    let way = way_to(service.upstream(), &timeouts);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), head).await;
    let script = async {
        for piece in ["h", "e", "l", "l", "o"] {
            sleep(AMPLE / 4).await;
            write(&mut stream, piece).await;
        }
    };
    let (body, ()) = tokio::join!(whole(answer.unwrap()), script);
    assert_eq!(body.unwrap(), "hello");
}

#[tokio::test]
async fn an_answer_that_is_fetched_too_late_is_cut_off() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = tokio::join!(slot(&way), service.accept());
    let deadline = Instant::now() + AMPLE;
    let sending = slot.unwrap().send(asked(Method::GET).outbound(), deadline);
    let script = async {
        read(&mut stream, 0).await;
        write(&mut stream, OK).await;
    };
    let (answer, ()) = tokio::join!(sending, script);
    sleep_until(deadline + SHORT).await;
    assert_eq!(whole(answer.unwrap()).await, Err(AnswerFault::Late));
    read_to_close(&mut stream).await;
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_passed_on_and_nothing_kept() {
    let service = Service::start().await;
    let way = service.way();
    let (answer, stream) = exchange(
        &way,
        &service,
        asked(Method::GET),
        "HTTP/1.1 200 OK\r\n\r\nall",
    )
    .await;
    drop(stream);
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "all");
    assert_eq!(way.idle(), 0);
}

#[tokio::test]
async fn an_early_answer_is_passed_on_and_its_connection_closed() {
    let refused = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig";
    for closes in [false, true] {
        let service = Service::start().await;
        let way = service.way();
        let (asked, hand) = streamed(Method::POST, Framing::Length(1 << 20));
        hand.send(Ok(Bytes::from(vec![b'x'; 1 << 16])))
            .await
            .unwrap();
        let (answer, stream) = exchange(&way, &service, asked, refused).await;
        let answer = answer.unwrap();
        let mut kept = None;
        if closes {
            drop(stream);
        } else {
            kept = Some(stream);
        }
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(whole(answer).await.unwrap(), "big");
        assert_eq!(way.idle(), 0);
        if let Some(stream) = &mut kept {
            read_to_close(stream).await;
        }
        timeout(SOON, hand.closed())
            .await
            .expect("the rest of the body is not wanted");
    }
}

#[tokio::test]
async fn an_early_answer_arrives_though_the_service_closes_at_once() {
    let service = Service::start().await;
    let way = service.way();
    let (asked, hand) = streamed(Method::POST, Framing::Length(1 << 30));
    let upload = async {
        while hand
            .send(Ok(Bytes::from(vec![b'x'; 1 << 16])))
            .await
            .is_ok()
        {}
    };
    let script = async {
        let mut stream = service.accept().await;
        read(&mut stream, 0).await;
        write(
            &mut stream,
            "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig",
        )
        .await;
        drop(stream);
    };
    let client = async {
        let answer = ask(&way, asked).await;
        answer.map(|answer| answer.status())
    };
    let (status, (), ()) = tokio::join!(client, script, upload);
    assert_eq!(status.unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_request_body_that_breaks_is_the_clients_fault_and_has_no_clean_end() {
    for framing in [Framing::Length(10), Framing::Chunked] {
        let service = Service::start().await;
        let way = service.way();
        let (asked, hand) = streamed(Method::POST, framing);
        let script = async {
            let mut stream = service.accept().await;
            hand.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
            read(&mut stream, 4).await;
            hand.send(Err(Broke(Cause::BodyTooLarge))).await.unwrap();
            read_to_close(&mut stream).await
        };
        let (answer, rest) = tokio::join!(ask(&way, asked), script);
        assert_eq!(cause(answer), Cause::BodyTooLarge);
        assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
        assert_eq!(way.idle(), 0);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_the_connection_with_it() {
    let service = Service::start().await;
    let way = service.way();
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), half).await;
    drop(answer);
    read_to_close(&mut stream).await;
    let script = async {
        let mut stream = service.accept().await;
        read(&mut stream, 0).await;
        stream
    };
    // Gone while it waits for the answer.
    let mut stream = tokio::select! {
        answer = ask(&way, asked(Method::GET)) => panic!("{:?}", answer.map(|_| ())),
        stream = script => stream,
    };
    read_to_close(&mut stream).await;
    assert_eq!(way.idle(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_service_back() {
    let service = Service::start().await;
    let way = service.way();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), head).await;
    let _unread = answer.unwrap();
    let flood = vec![b'x'; 64 << 20];
    assert!(
        timeout(QUIET, stream.write_all(&flood)).await.is_err(),
        "64 MiB were taken in"
    );
}

#[tokio::test]
async fn a_connection_is_used_again_by_the_very_next_request() {
    let service = Service::start().await;
    let way = service.way();
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    let tagged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond";
    let answer = exchange_on(&way, &mut stream, tagged).await;
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "second");
}
