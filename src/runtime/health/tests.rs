//! The health listener over a socket.

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
async fn half_heads_do_not_keep_a_probe_out() {
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
        let mut patient = TcpStream::connect(address).await.unwrap();
        let whole = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        patient.write_all(whole).await.unwrap();
        let mut answer = [0; 4096];
        assert!(patient.read(&mut answer).await.unwrap() > 0);
        let mut held = Vec::new();
        let from = tokio::time::Instant::now();
        for _ in 0..2 * CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HTT").await.unwrap();
            held.push(stream);
        }
        let probed = ask(address, "GET /livez HTTP/1.1").await;
        assert!(probed.starts_with("HTTP/1.1 200 "), "{probed}");
        patient.write_all(whole).await.unwrap();
        let kept = patient.read(&mut answer).await;
        let quick = from.elapsed() < HEAD_TIMEOUT;
        assert!(quick, "the answer waited for a head to time out");
        assert!(kept.is_ok_and(|bytes| bytes > 0), "who has asked stays");
        drop(held);
        stop.send(()).unwrap();
    };
    tokio::join!(serving, asking);
}
