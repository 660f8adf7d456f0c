//! What pages of other origins may do (the CORS protocol of the Fetch standard), as plain data made at load.
//! Never sees a request whole.

use std::fmt;
use std::net::Ipv6Addr;

use http::{HeaderName, HeaderValue, Method};

/// What a listener or a route says of pages from other origins.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Whose pages.
    pub origins: Origins,
    /// The methods they may use; empty means those that routes take at the path.
    pub methods: Vec<Method>,
    /// The request headers they may set.
    pub headers: Vec<HeaderName>,
    /// `Access-Control-Allow-Headers`.
    pub headers_line: HeaderValue,
    /// `Access-Control-Expose-Headers`.
    pub expose_line: HeaderValue,
    /// Whether cookies and client certificates go with their requests.
    pub credentials: bool,
    /// `Access-Control-Max-Age`, in seconds.
    pub max_age: HeaderValue,
}

/// Whose pages may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's; never with credentials.
    Any,
    /// Those that one of these names.
    Listed(Vec<OriginPattern>),
}

impl Cors {
    /// Whether pages of this origin may read answers.
    #[must_use]
    pub fn takes(&self, origin: &HeaderValue) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(patterns) => patterns
                .iter()
                .any(|pattern| pattern.matches(origin.as_bytes())),
        }
    }
}

/// What a browser asks before it sends a request that a form could not have sent (Fetch section 4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightAsk {
    /// `Access-Control-Request-Method`.
    pub method: Method,
    /// The names in `Access-Control-Request-Headers`.
    pub headers: Vec<HeaderName>,
}

/// What a preflight came to. Either way the answer is a 204: what the browser does not find in it, it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreflightVerdict {
    /// The browser sends the request.
    Granted,
    /// It does not; for the operator, why.
    Refused(String),
}

impl PreflightVerdict {
    /// The code of [`Self::Granted`].
    pub const GRANTED: &'static str = "cors.preflight";
    /// The code of [`Self::Refused`].
    pub const REFUSED: &'static str = "cors.refused";

    /// The stable code, in records and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Granted => Self::GRANTED,
            Self::Refused(_) => Self::REFUSED,
        }
    }
}

/// An origin as it stands in a configuration: exact, or all hosts one label below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// Up to and including `://`.
    scheme: String,
    /// Host and port; with a dot in front where any one label may stand before it.
    rest: String,
    any_label: bool,
}

/// Why a text is no origin, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginFault {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

fn fault<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, OriginFault> {
    Err(OriginFault {
        message: message.into(),
        help: help.into(),
    })
}

impl OriginPattern {
    /// Reads `scheme://host[:port]`, spelt as browsers spell it: they compare byte for byte, and so do we.
    pub fn parse(text: &str) -> Result<Self, OriginFault> {
        const FORM: &str = "write it as a browser sends it: https://app.example.com";
        if text == "null" {
            let help = "`null` is what sandboxed frames and local files send, whoever wrote them: name an origin";
            return fault("the origin `null` is nobody's in particular", help);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return fault(format!("`{text}` has no scheme"), FORM);
        };
        if !matches!(scheme, "https" | "http") {
            return fault(format!("`{text}` is neither https nor http"), FORM);
        }
        if let Some(at) = rest.find(['/', '?', '#']) {
            let origin = rest.get(..at).unwrap_or_default();
            let help = format!("write {scheme}://{origin}");
            return fault(format!("`{text}` is more than an origin"), help);
        }
        if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let help = format!("write {scheme}://{}", rest.to_ascii_lowercase());
            return fault(
                format!("`{text}` has capitals, which browsers send small"),
                help,
            );
        }
        let (host, port) = split_port(rest);
        if let Some(port) = port {
            judge_port(scheme, host, port, text)?;
        }
        let any_label = host.starts_with("*.");
        let named = host.strip_prefix("*.").unwrap_or(host);
        judge_host(named, any_label, text)?;
        let rest = rest.strip_prefix('*').unwrap_or(rest).to_owned();
        Ok(Self {
            scheme: format!("{scheme}://"),
            rest,
            any_label,
        })
    }

    /// Whether an `Origin` is this one.
    #[must_use]
    pub fn matches(&self, origin: &[u8]) -> bool {
        let Some(rest) = origin.strip_prefix(self.scheme.as_bytes()) else {
            return false;
        };
        if !self.any_label {
            return rest == self.rest.as_bytes();
        }
        let label = rest.strip_suffix(self.rest.as_bytes());
        label.is_some_and(is_label)
    }

    /// Whether pages of this origin come over a network in clear.
    #[must_use]
    pub fn is_clear_and_remote(&self) -> bool {
        let (host, _) = split_port(&self.rest);
        let v4 = host.parse::<std::net::Ipv4Addr>();
        let loopback = host == "localhost"
            || host.ends_with(".localhost")
            || host == "[::1]"
            || v4.is_ok_and(|address| address.is_loopback());
        self.scheme == "http://" && !loopback
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = if self.any_label { "*" } else { "" };
        write!(out, "{}{any}{}", self.scheme, self.rest)
    }
}

/// Host and port; an IPv6 address has its colons in brackets.
fn split_port(rest: &str) -> (&str, Option<&str>) {
    let colon = rest.rfind(':').filter(|at| rest.rfind(']') < Some(*at));
    match colon.and_then(|at| rest.split_at_checked(at)) {
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => (rest, None),
    }
}

fn judge_port(scheme: &str, host: &str, port: &str, text: &str) -> Result<(), OriginFault> {
    let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    if !plain || port.parse::<u16>().is_err() {
        let help = "write another one, or leave out the port";
        return fault(
            format!("`{text}` has a port that is not a number from 1 to 65535"),
            help,
        );
    }
    if matches!((scheme, port), ("https", "443") | ("http", "80")) {
        let help = format!("browsers leave it out: write {scheme}://{host}");
        return fault(
            format!("`{text}` names the port that {scheme} has anyway"),
            help,
        );
    }
    Ok(())
}

fn judge_host(host: &str, any_label: bool, text: &str) -> Result<(), OriginFault> {
    if host.contains('*') {
        let help = "`*` stands for one whole label at the front: https://*.example.com";
        return fault(format!("`{text}` has a `*` where none can stand"), help);
    }
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        let spelt = format!("[{address}]");
        if spelt != host {
            let help = format!("browsers send {spelt}");
            return fault(
                format!("`{text}` spells its address in a longer form"),
                help,
            );
        }
        return Ok(());
    }
    if host.is_empty() || !host.split('.').all(|label| is_label(label.as_bytes())) {
        let help = "use a to z, 0 to 9, - and dots; names in other scripts in their xn-- form";
        return fault(format!("`{text}` has no valid host"), help);
    }
    if any_label && !host.contains('.') {
        let help = "name a domain of your own: https://*.example.com";
        return fault(format!("`{text}` stands for hosts of everybody"), help);
    }
    Ok(())
}

fn is_label(label: &[u8]) -> bool {
    let plain =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte);
    (1..=63).contains(&label.len()) && label.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_spelt_as_browsers_spell_them_or_refused() {
        for text in [
            "https://app.example",
            "https://app.example:8443",
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:3000",
            "https://*.example.com",
            "https://*.example.com:8443",
            "https://xn--bcher-kva.example",
        ] {
            let read = OriginPattern::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
        }
        for (text, help) in [
            ("null", "sandboxed"),
            ("app.example", "https://"),
            ("*", "https://"),
            ("ftp://app.example", "https://"),
            ("file://", "https://"),
            ("https://app.example/", "write https://app.example"),
            ("https://app.example/login", "write https://app.example"),
            ("https://app.example?x", "write https://app.example"),
            ("https://App.Example", "write https://app.example"),
            ("https://app.example:443", "write https://app.example"),
            ("http://app.example:80", "write http://app.example"),
            ("https://app.example:0443", "1 to 65535"),
            ("https://app.example:", "1 to 65535"),
            ("https://app.example:70000", "1 to 65535"),
            ("https://user@app.example", "a to z"),
            ("https://", "a to z"),
            ("https://app..example", "a to z"),
            ("https://bücher.example", "xn--"),
            ("https://[0:0:0:0:0:0:0:1]", "[::1]"),
            ("https://*app.example", "one whole label"),
            ("https://*.*.example", "one whole label"),
            ("https://app.*.example", "one whole label"),
            ("https://*.com", "of your own"),
            ("https://*", "one whole label"),
        ] {
            let refused = OriginPattern::parse(text).unwrap_err();
            assert!(refused.help.contains(help), "{text}: {refused:?}");
        }
    }

    #[test]
    fn only_the_whole_origin_matches() {
        for (pattern, origin, expected) in [
            ("https://app.example", "https://app.example", true),
            ("https://app.example", "http://app.example", false),
            ("https://app.example", "https://app.example:444", false),
            (
                "https://app.example",
                "https://app.example.evil.test",
                false,
            ),
            (
                "https://app.example",
                "https://evil.test/https://app.example",
                false,
            ),
            ("https://app.example", "https://APP.example", false),
            ("https://app.example", "null", false),
            ("https://*.example.com", "https://app.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://a.b.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            (
                "https://*.example.com",
                "https://evil.test/.example.com",
                false,
            ),
            (
                "https://*.example.com",
                "https://evil.test#.example.com",
                false,
            ),
            ("https://*.example.com", "https://u@.example.com", false),
            ("https://*.example.com", "https://app.example.com:1", false),
            ("https://*.example.com:1", "https://app.example.com:1", true),
        ] {
            let pattern = OriginPattern::parse(pattern).unwrap();
            let found = pattern.matches(origin.as_bytes());
            assert_eq!(found, expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn clear_origins_elsewhere_are_told_apart() {
        for (text, expected) in [
            ("http://app.example", true),
            ("http://*.example.com", true),
            ("http://192.0.2.1:8080", true),
            ("https://app.example", false),
            ("http://localhost:3000", false),
            ("http://app.localhost", false),
            ("http://127.0.0.2", false),
            ("http://[::1]:1", false),
        ] {
            let pattern = OriginPattern::parse(text).unwrap();
            assert_eq!(pattern.is_clear_and_remote(), expected, "{text}");
        }
    }
}
