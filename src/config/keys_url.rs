//! The URL of a JWK Set: `https`, or `http` on loopback. Never another scheme, never a user's name, never a fragment.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, decode_scalar};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::settings::KeysUrl;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2_048;

impl Decode for KeysUrl {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = "a URL such as https://auth.example/.well-known/jwks.json";
        decode_scalar(node, expected, faults, parse)
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^(https://[^/?#@]+|http://(localhost|127[.][0-9.]+|\\[::1\\])(:[0-9]{1,5})?)([/?][^#]*)?$",
            "examples": ["https://auth.example/.well-known/jwks.json"],
        })
    }
}

/// What is wrong is said without the text: it may hold a password.
fn parse(text: &str) -> Result<KeysUrl, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("this URL is longer than {URL_BYTES_MAX} bytes"));
    }
    let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => {
            return Err("keys are fetched over https:// only, or http:// on loopback".to_owned());
        }
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            "a URL of keys names no user: it is shown in logs and to whoever may ask".to_owned(),
        );
    }
    if rest.contains('#') {
        return Err("a URL of keys has no fragment (#): it would not be sent".to_owned());
    }
    let broken = || "this is not a URL (like https://auth.example/jwks.json)".to_owned();
    let uri: Uri = text.parse().map_err(|_| broken())?;
    let host = uri
        .host()
        .map(without_brackets)
        .filter(|host| is_host(host));
    let host = host.ok_or_else(broken)?;
    let port = match port(authority) {
        None => Ok(if https { 443 } else { 80 }),
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => Err(broken()),
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(broken),
    }?;
    if !https && !is_loopback(host) {
        return Err(format!(
            "keys from `{host}` need https://: whoever can change them on the way can issue tokens"
        ));
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(KeysUrl {
        https,
        host: host.to_owned(),
        port,
        authority: authority.to_owned(),
        target: format!("{slash}{target}"),
    })
}

/// What stands behind the last colon that is not part of an IPv6 address.
fn port(authority: &str) -> Option<&str> {
    let behind = authority.rsplit(']').next().unwrap_or(authority);
    behind.rsplit_once(':').map(|(_, port)| port)
}

fn without_brackets(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host)
}

/// An IP address, or a name that cannot be taken for one: a name whose last label is a number is an address to some
/// programs (`127.1`, `0x7f.1`) and a name to others.
fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|first: char| first.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let sound = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    labels.len() <= 253 && !numeric && labels.split('.').all(sound)
}

/// `localhost` is 127.0.0.1, whatever the machine's files say.
fn is_loopback(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let cases = [
            (
                "https://auth.example/jwks",
                true,
                "auth.example",
                443,
                "auth.example",
                "/jwks",
            ),
            (
                "https://auth.example:8443",
                true,
                "auth.example",
                8443,
                "auth.example:8443",
                "/",
            ),
            (
                "https://a.example?p=1",
                true,
                "a.example",
                443,
                "a.example",
                "/?p=1",
            ),
            (
                "https://[2001:db8::1]:1/k",
                true,
                "2001:db8::1",
                1,
                "[2001:db8::1]:1",
                "/k",
            ),
            (
                "http://127.0.0.1:80/k?x=@",
                false,
                "127.0.0.1",
                80,
                "127.0.0.1:80",
                "/k?x=@",
            ),
            ("http://[::1]/k", false, "::1", 80, "[::1]", "/k"),
            (
                "http://localhost:9/k",
                false,
                "localhost",
                9,
                "localhost:9",
                "/k",
            ),
        ];
        for (text, https, host, port, authority, target) in cases {
            let url = parse(text).unwrap();
            assert_eq!(
                (url.https, url.host.as_str(), url.port),
                (https, host, port),
                "{text}"
            );
            assert_eq!(
                (url.authority.as_str(), url.target.as_str()),
                (authority, target),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_and_not_quoted() {
        let cases = [
            "",
            "auth.example/jwks",
            "//auth.example/jwks",
            "file:///etc/keys.json",
            "data:application/json,{}",
            "ftp://auth.example/jwks",
            "HTTPS://auth.example/jwks",
            "https:auth.example",
            "https://",
            "https:///jwks",
            "https://user:hunter2@auth.example/jwks",
            "https://hunter2@auth.example/jwks",
            "https://auth.example/jwks#hunter2",
            "https://auth.example:0/jwks",
            "https://auth.example:65536/jwks",
            "https://auth.example:/jwks",
            "https://auth.example:+1/jwks",
            "https://auth example/jwks",
            "https://auth.example/a b",
            "https://127.1/jwks",
            "https://auth..example/jwks",
            "http://auth.example/jwks",
            "http://127.0.0.1.example/jwks",
            "http://127.1/jwks",
            "http://0.0.0.0/jwks",
            "http://10.0.0.1/jwks",
            "http://169.254.169.254/jwks",
            "http://[::ffff:127.0.0.1]/jwks",
            "http://[::]/jwks",
            "http://localhost.example/jwks",
        ];
        for text in cases {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        assert!(parse(&format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }
}
