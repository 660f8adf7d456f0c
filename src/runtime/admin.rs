//! The admin listener: pages that are read and orders that are given, both by closures from outside. Answers in JSON and
//! plain text only, to this machine only, and to no browser. Knows nothing of what a page says or an order does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{ALLOW, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tokio::net::TcpListener;

use super::pages::{self, Page};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What browsers say of where a request comes from (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Everything that the listener offers.
#[derive(Clone, Default)]
pub struct Offer {
    /// What can be read, by path: each gives JSON.
    pub pages: Vec<(&'static str, Show)>,
    /// What can be ordered, by path; [`ANY`] in it stands for the name of what the order is about.
    pub orders: Vec<(&'static str, Run)>,
}

/// The segment of an order's path that stands for a name.
pub const ANY: &str = "*";

/// Gives the text of a page.
pub type Show = Arc<dyn Fn() -> String + Send + Sync>;

/// Carries out an order, or says why not.
pub type Run = Arc<dyn Fn(&Asked<'_>) -> Result<String, NotDone> + Send + Sync>;

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It is not what it should be: 400.
    Wrong(String),
    /// There is nothing of this name: 404.
    Unknown(String),
    /// It does not fit what is: 409.
    Unfit(String),
}

impl From<&str> for NotDone {
    fn from(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

impl From<String> for NotDone {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl NotDone {
    fn answer(self) -> Page {
        let (status, why) = match self {
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, why),
            Self::Unknown(why) => (StatusCode::NOT_FOUND, why),
            Self::Unfit(why) => (StatusCode::CONFLICT, why),
        };
        text(status, why + "\n")
    }
}

/// An order as it was given.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is about, where the path names that.
    pub name: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// Who gave it.
    pub peer: SocketAddr,
}

/// Serves until `stop` is done.
pub async fn serve(listener: TcpListener, offer: Offer, stop: impl Future<Output = ()>) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let answer = move |request: &Request<_>, peer| answer(request, peer, port, &offer);
    pages::serve("admin", listener, Arc::new(answer), stop).await;
}

fn answer<B>(request: &Request<B>, peer: SocketAddr, port: u16, offer: &Offer) -> Page {
    if let Err(why) = is_ours(request, peer, port) {
        return text(StatusCode::FORBIDDEN, format!("{why}\n"));
    }
    let path = request.uri().path();
    let page = offer.pages.iter().find(|(own, _)| *own == path);
    let mut orders = offer.orders.iter();
    let order = orders.find_map(|(own, run)| Some((named(own, path)?, run)));
    match (page, order) {
        (Some((_, show)), _) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            pages::page(StatusCode::OK, JSON, show())
        }
        (Some(_), _) => other_method("GET, HEAD"),
        (None, Some((name, run))) if *request.method() == Method::POST => {
            let query = request.uri().query().unwrap_or_default();
            match run(&Asked { name, query, peer }) {
                Ok(said) => text(StatusCode::OK, said + "\n"),
                Err(not_done) => not_done.answer(),
            }
        }
        (None, Some(_)) => other_method("POST"),
        (None, None) => text(StatusCode::NOT_FOUND, "there is nothing here\n".to_owned()),
    }
}

/// The name in a path that is an order's own; an empty one where the order has none.
fn named<'p>(own: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, behind)) = own.split_once(ANY) else {
        return (own == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(behind)?;
    let is_name = !name.is_empty() && !name.contains('/');
    is_name.then_some(name)
}

/// Whether the request comes from a program on this machine that means this listener. A page in a browser can lead a name
/// of its own to loopback (DNS rebinding): then `Host` is that name. One that knows the address says `Origin`.
fn is_ours<B>(request: &Request<B>, peer: SocketAddr, port: u16) -> Result<(), &'static str> {
    let headers = request.headers();
    if !peer.ip().to_canonical().is_loopback() {
        return Err("only for this machine");
    }
    if request.uri().authority().is_some() || !is_host(headers, port) {
        return Err("Host must be a loopback address or localhost, with the port");
    }
    let from_page = headers
        .get_all(FETCH_SITE)
        .iter()
        .any(|site| site != "none");
    if headers.contains_key(ORIGIN) || from_page {
        return Err("not for pages in a browser");
    }
    Ok(())
}

fn is_host(headers: &HeaderMap, port: u16) -> bool {
    let mut lines = headers.get_all(HOST).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let Ok(authority) = Authority::try_from(only.as_bytes()) else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let local = name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let plain = !only.as_bytes().contains(&b'@');
    local && plain && authority.port_u16() == Some(port)
}

fn other_method(allowed: &'static str) -> Page {
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}\n"));
    let allowed = HeaderValue::from_static(allowed);
    refused.headers_mut().insert(ALLOW, allowed);
    refused
}

fn text(status: StatusCode, body: String) -> Page {
    pages::page(status, TEXT, body)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::header::CONTENT_TYPE;

    use super::*;

    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5);

    fn ask(method: &str, target: &str, headers: &[(&str, &str)], peer: SocketAddr) -> (u16, u32) {
        let given = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&given);
        let show: Show = Arc::new(|| "{}".to_owned());
        let run: Run = Arc::new(move |_: &Asked<'_>| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok("done".to_owned())
        });
        let unfit: Run = Arc::new(|asked: &Asked<'_>| match asked.name {
            "gone" => Err(NotDone::Unknown("gone".to_owned())),
            "busy" => Err(NotDone::Unfit("busy".to_owned())),
            name => Err(NotDone::from(name)),
        });
        let offer = Offer {
            pages: vec![("/page", show)],
            orders: vec![("/order", run), ("/things/*/do", unfit)],
        };
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let page = answer(&request.body(()).unwrap(), peer, 9911, &offer);
        let kind = page.headers()[CONTENT_TYPE].to_str().unwrap();
        assert!(kind == JSON || kind == TEXT, "{kind}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        (page.status().as_u16(), given.load(Ordering::Relaxed))
    }

    #[test]
    fn hosts_that_are_not_this_listener_are_refused() {
        let good = [
            "127.0.0.1:9911",
            "127.1.2.3:9911",
            "localhost:9911",
            "LocalHost:9911",
            "[::1]:9911",
        ];
        for host in good {
            assert_eq!(
                ask("POST", "/order", &[("host", host)], PEER),
                (200, 1),
                "{host}"
            );
        }
        let bad = [
            "evil.example:9911",
            "127.0.0.1.evil.example:9911",
            "localhost.evil.example:9911",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:99111",
            "10.0.0.1:9911",
            "0.0.0.0:9911",
            "user@localhost:9911",
            "",
        ];
        for host in bad {
            assert_eq!(
                ask("POST", "/order", &[("host", host)], PEER),
                (403, 0),
                "{host}"
            );
        }
        assert_eq!(ask("POST", "/order", &[], PEER), (403, 0));
        let two = [("host", "localhost:9911"), ("host", "localhost:9911")];
        assert_eq!(ask("POST", "/order", &two, PEER), (403, 0));
        let absolute = "http://evil.example:9911/order";
        let host = [("host", "localhost:9911")];
        assert_eq!(ask("POST", absolute, &host, PEER), (403, 0));
        let elsewhere = "10.0.0.1:5".parse().unwrap();
        assert_eq!(ask("POST", "/order", &host, elsewhere), (403, 0));
    }

    #[test]
    fn browsers_are_refused() {
        for page in [
            ("origin", "null"),
            ("origin", "http://localhost:9911"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let headers = [("host", "localhost:9911"), page];
            assert_eq!(ask("POST", "/order", &headers, PEER), (403, 0), "{page:?}");
            assert_eq!(ask("GET", "/page", &headers, PEER), (403, 0), "{page:?}");
        }
    }

    #[test]
    fn pages_are_read_and_orders_are_posted() {
        let table = [
            ("GET", "/page", 200, 0),
            ("HEAD", "/page", 200, 0),
            ("POST", "/page", 405, 0),
            ("GET", "/order", 405, 0),
            ("HEAD", "/order", 405, 0),
            ("PUT", "/order", 405, 0),
            ("POST", "/order?x=1", 200, 1),
            ("GET", "/", 404, 0),
            ("POST", "/page/", 404, 0),
            ("POST", "/things/one/do", 400, 0),
            ("POST", "/things/gone/do", 404, 0),
            ("POST", "/things/busy/do", 409, 0),
            ("GET", "/things/one/do", 405, 0),
            ("POST", "/things//do", 404, 0),
            ("POST", "/things/one/two/do", 404, 0),
            ("POST", "/things/do", 404, 0),
        ];
        for (method, target, status, given) in table {
            let host = [("host", "127.0.0.1:9911")];
            let got = ask(method, target, &host, PEER);
            assert_eq!(got, (status, given), "{method} {target}");
        }
    }
}
