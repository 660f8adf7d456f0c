//! Connections that go on as something else than HTTP.

use super::*;

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst";

fn upgrading() -> Asked {
    asked(Method::GET)
        .with("connection", "upgrade")
        .with("upgrade", "websocket")
}

async fn upgrade(way: &Way, asked: Asked) -> Result<Upgrade<Pieces>, SendFault> {
    let slot = slot(way).await.unwrap();
    slot.upgrade(asked.outbound(), Instant::now() + SOON).await
}

fn one_place(service: &Service) -> Way {
    let limits = PoolLimits {
        connections_max: 1,
        idle_max: 1,
    };
    Forwarder::new(service.upstream(), &patient(), limits, spawner())
}

#[tokio::test]
async fn the_connection_is_handed_out_from_the_first_byte_and_keeps_its_place() {
    let service = Service::start().await;
    let way = one_place(&service);
    let script = async {
        let mut stream = service.accept().await;
        let head = read(&mut stream, 0).await;
        write(&mut stream, SWITCHED).await;
        (head, stream)
    };
    let (switched, (_head, mut stream)) = tokio::join!(upgrade(&way, upgrading()), script);
    let Ok(Upgrade::Switched(mut switched)) = switched else {
        panic!("{switched:?}");
    };
    assert_eq!(switched.head.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(switched.head.headers["upgrade"], "websocket");
    let mut first = [0; 5];
    switched.stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
    switched.stream.write_all(b"second").await.unwrap();
    switched.stream.flush().await.unwrap();
    let mut second = [0; 6];
    stream.read_exact(&mut second).await.unwrap();
    assert_eq!(&second, b"second");
    assert_eq!(cause(slot(&way).await), Cause::Overloaded);
    drop(switched);
    assert_eq!(read_to_close(&mut stream).await, "");
    assert!(slot(&way).await.is_ok());
}

#[tokio::test]
async fn an_upstream_that_declines_answers_in_http() {
    let service = Service::start().await;
    let way = service.way();
    let script = async {
        let mut stream = service.accept().await;
        read(&mut stream, 0).await;
        write(
            &mut stream,
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        )
        .await;
        stream
    };
    let (declined, _stream) = tokio::join!(upgrade(&way, upgrading()), script);
    let Ok(Upgrade::Answered(answer)) = declined else {
        panic!("{declined:?}");
    };
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(whole(answer).await.unwrap(), "no");
    assert_eq!(way.idle(), 1);
}

#[tokio::test]
async fn writing_to_a_peer_that_is_gone_fails_once_it_is_no_longer_http() {
    let service = Service::start().await;
    let way = service.way();
    let script = async {
        let mut stream = service.accept().await;
        read(&mut stream, 0).await;
        write(&mut stream, SWITCHED).await;
        stream
    };
    let (switched, stream) = tokio::join!(upgrade(&way, upgrading()), script);
    let Ok(Upgrade::Switched(mut switched)) = switched else {
        panic!("{switched:?}");
    };
    reset(stream);
    let failing = async {
        while switched.stream.write_all(b"more").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        timeout(SOON, failing).await.is_ok(),
        "a write that waits for ever"
    );
}
