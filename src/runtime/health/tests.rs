//! The health listener over a socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::super::pages::{CONNECTIONS_MAX, HEAD_TIMEOUT};
use super::*;

async fn ask(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn each_path_answers_what_it_should() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let readiness = Readiness::new();
    let guard = readiness.wait_for("keys");
    let shown = Shown {
        readiness,
        metrics: Arc::new(|| "outrider_build_info 1\n".to_owned()),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, shown, async {
        drop(stopped.await);
    });
    let asking = async {
        let table = [
            ("GET /livez HTTP/1.1", "200", "ok"),
            ("GET /healthz HTTP/1.1", "200", "ok"),
            ("GET /startupz HTTP/1.1", "503", "starting"),
            ("GET /readyz HTTP/1.1", "503", "not ready"),
            ("GET /readyz?verbose HTTP/1.1", "503", "[-]keys waiting"),
            ("GET /metrics HTTP/1.1", "200", "outrider_build_info 1"),
            ("POST /metrics HTTP/1.1", "405", "allow: GET, HEAD"),
            ("DELETE /livez HTTP/1.1", "405", "only GET"),
            ("GET /config_dump HTTP/1.1", "404", "nothing here"),
            ("GET / HTTP/1.1", "404", "nothing here"),
        ];
        for (head, status, part) in table {
            let answer = ask(address, head).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{head}: {answer}"
            );
            assert!(answer.contains(part), "{head}: {answer}");
        }
        guard.ready();
        for path in ["/startupz", "/readyz"] {
            let answer = ask(address, &format!("GET {path} HTTP/1.1")).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        let verbose = ask(address, "GET /readyz?verbose HTTP/1.1").await;
        assert!(
            verbose.contains("[+]keys ok\nreadyz check passed\n"),
            "{verbose}"
        );
        stop.send(()).unwrap();
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn idle_connections_do_not_take_every_place_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shown = Shown {
        readiness: Readiness::new(),
        metrics: Arc::new(String::new),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, shown, async {
        drop(stopped.await);
    });
    let asking = async {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let waiting = tokio::time::timeout(
            HEAD_TIMEOUT + Duration::from_secs(5),
            ask(address, "GET /livez HTTP/1.1"),
        );
        let answer = waiting.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        drop(held);
        stop.send(()).unwrap();
    };
    tokio::join!(serving, asking);
}
