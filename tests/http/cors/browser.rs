//! A real browser, because what CORS comes to is decided there: Chromium runs a page from one of two origins, and tells
//! what its script could read. Without a browser this test fails; `tests/run` installs one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::origin::{Received, send};
use crate::world::{TOKENS, issuer, pair, token};

/// A browser needs seconds for its start, on a busy machine minutes.
const BROWSER: Duration = Duration::from_secs(300);

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Tries everything and posts what it could read. The frame ends the loading of the page only then.
const PAGE: &str = r"<!doctype html><title>page</title><script>
document.cookie = 'visitor=1';
const api = 'http://API', token = 'Bearer TOKEN', told = {};
async function attempt(name, path, options) {
  try {
    const answer = await fetch(api + path, options);
    const field = name => answer.headers.get(name);
    const code = ((await answer.text()).match(/.code.:.([a-z_.]+)/) || [])[1] || null;
    told[name] = { status: answer.status, code, retry: field('retry-after'), limit: field('ratelimit'),
      id: field('x-request-id') !== null, page: field('x-page'), hidden: field('x-hidden') };
  } catch (error) { told[name] = String(error); }
}
(async () => {
  const json = { authorization: token, 'content-type': 'application/json' };
  await attempt('plain', '/open/x');
  await attempt('included', '/open/cookie', { credentials: 'include' });
  await attempt('included-unasked', '/bare', { credentials: 'include' });
  await attempt('placed', '/orders', { method: 'POST', headers: json, body: '{}' });
  await attempt('unknown', '/orders', { method: 'POST', headers: { authorization: 'Bearer a.b.c' }, body: '{}' });
  await attempt('put', '/orders', { method: 'PUT', headers: json, body: '{}' });
  await attempt('header', '/open/x', { headers: { 'x-unheard-of': '1' } });
  await attempt('nowhere', '/nowhere');
  await attempt('first', '/limited');
  await attempt('second', '/limited');
  await fetch('/result', { method: 'POST', body: JSON.stringify(told) });
})();
</script><iframe src=/wait></iframe>";

const ROUTES: &str = "  routes:
    - { name: open, match: { method: GET, path: /open/** }, anonymous: true }
    - { name: place, match: { methods: [POST], path: /orders }, require: { permissions: [orders:place] } }
    - { name: bare, match: { path: /bare }, anonymous: true, cors: { origins: [\"http://127.0.0.1:PORT\"] } }
    - name: limited
      match: { method: GET, path: /limited }
      anonymous: true
      limits: [{ name: rare, per: all, rate: 1/h, burst: 1 }]
";

#[test]
fn a_real_browser_reads_what_its_page_may_and_nothing_else() {
    let issuer = issuer();
    let pages = Pages::listen();
    let port = pages.address.port();
    let cors = format!(
        "  cors: {{ origins: [\"http://127.0.0.1:{port}\"], credentials: true, expose: [X-Page] }}\n"
    );
    let (sidecar, origin) = pair(
        &format!("{cors}{TOKENS}{ROUTES}").replace("PORT", &port.to_string()),
        Some(&issuer),
    );
    origin.answer(|_: &Received| {
        vec![send(
            "HTTP/1.1 200 OK\r\nX-Page: 7\r\nX-Hidden: 1\r\nContent-Length: 0\r\n\r\n",
        )]
    });
    let page = PAGE
        .replace("API", &sidecar.inbound.to_string())
        .replace("TOKEN", &token(&issuer));
    pages.show(page);

    let told = pages.visit(&format!("http://127.0.0.1:{port}/"));
    for (name, status, code) in [
        ("plain", 200, Value::Null),
        ("included", 200, Value::Null),
        ("placed", 200, Value::Null),
        ("unknown", 401, "authn.invalid_token".into()),
        ("nowhere", 404, "route.none".into()),
        ("first", 200, Value::Null),
        ("second", 429, "limit.exceeded".into()),
    ] {
        let found = &told[name];
        assert_eq!(
            (&found["status"], &found["code"]),
            (&status.into(), &code),
            "{name} of {told:#}"
        );
        assert_eq!(found["id"], true, "{name} of {told:#}");
    }
    assert_eq!(
        (&told["plain"]["page"], &told["plain"]["hidden"]),
        (&"7".into(), &Value::Null)
    );
    let wait: u64 = told["second"]["retry"].as_str().unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{told:#}");
    assert!(
        told["second"]["limit"]
            .as_str()
            .unwrap()
            .starts_with("\"rare\";r=0;t="),
        "{told:#}"
    );
    for name in ["included-unasked", "put", "header"] {
        assert!(
            told[name]
                .as_str()
                .is_some_and(|told| told.contains("Failed to fetch")),
            "{name} of {told:#}"
        );
    }
    let reached = origin.since(0);
    let with_cookie = |got: &&Received| {
        got.one("cookie")
            .is_some_and(|value| value.contains("visitor=1"))
    };
    let cookies: Vec<&str> = reached
        .iter()
        .filter(with_cookie)
        .map(|got| got.target.as_str())
        .collect();
    assert_eq!(cookies, ["/open/cookie", "/bare"]);
    assert!(
        reached
            .iter()
            .all(|got| got.method != "OPTIONS" && got.method != "PUT"),
        "{reached:?}"
    );

    // The same page from a name that is not listed: simple requests arrive, but nothing can be read.
    let told = pages.visit(&format!("http://localhost:{port}/"));
    for (name, found) in told.as_object().unwrap() {
        assert!(
            found
                .as_str()
                .is_some_and(|told| told.contains("Failed to fetch")),
            "{name} of {told:#}"
        );
    }
    let placed = |got: &&Received| got.target == "/orders";
    assert_eq!(
        origin.since(0).iter().filter(placed).count(),
        1,
        "a preflight was passed over"
    );
}

/// A server of one page, and of what the page has to say.
struct Pages {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    page: Mutex<String>,
    told: Mutex<Option<String>>,
    changed: Condvar,
}

impl Pages {
    /// Listens on one port of 127.0.0.1, which `localhost` names too.
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&server);
                // A browser that goes away is no fault of the page.
                thread::spawn(move || shared.serve(&stream).ok());
            }
        });
        Self { address, shared }
    }

    fn show(&self, page: String) {
        *self.shared.page.lock().unwrap() = page;
    }

    /// Loads the page in a fresh browser, and gives what it posted.
    fn visit(&self, url: &str) -> Value {
        *self.shared.told.lock().unwrap() = None;
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Browser::start(url, profile.path());
        let said = browser.finish();
        let told = self.shared.told.lock().unwrap().take();
        let told = told
            .unwrap_or_else(|| panic!("the page of {url} told nothing; the browser said: {said}"));
        serde_json::from_str(&told).unwrap()
    }
}

impl Shared {
    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let content = match first.split(' ').nth(1) {
            Some("/") => self.page.lock().unwrap().clone(),
            Some("/result") => {
                *self.told.lock().unwrap() = Some(String::from_utf8(body).unwrap());
                self.changed.notify_all();
                String::new()
            }
            Some("/wait") => {
                let told = self.told.lock().unwrap();
                let waited = self
                    .changed
                    .wait_timeout_while(told, BROWSER, |told| told.is_none());
                drop(waited);
                String::new()
            }
            _ => String::new(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(content.as_bytes())
    }
}

/// A browser without a window, which ends when its page has loaded.
struct Browser(Child);

impl Browser {
    fn start(url: &str, profile: &std::path::Path) -> Self {
        let started = NAMES.iter().find_map(|name| {
            let mut command = Command::new(name);
            command
                .args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--disable-dev-shm-usage",
                ])
                .args([
                    "--disable-background-networking",
                    "--no-first-run",
                    "--no-proxy-server",
                    "--dump-dom",
                ])
                .arg(format!("--user-data-dir={}", profile.display()))
                .arg(url)
                .env("HOME", profile)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            command.spawn().ok()
        });
        Self(started.unwrap_or_else(|| {
            panic!("no browser: none of {NAMES:?} can be started; tests/run installs one")
        }))
    }

    /// Waits for its end; what it complained about.
    fn finish(&mut self) -> String {
        let mut stderr = self.0.stderr.take().unwrap();
        let complaints = thread::spawn(move || {
            let mut said = Vec::new();
            stderr.read_to_end(&mut said).ok();
            String::from_utf8_lossy(&said).into_owned()
        });
        let until = Instant::now() + BROWSER;
        while self.0.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                self.0.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(20));
        }
        complaints.join().unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After an end that was waited for there is nothing left to stop.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
