//! From a parsed head to [`Facts`]: host, target, framing, credentials and client address, each with one reading or
//! refused. Pure; never asks the policy and never looks at the body.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use memchr::memchr;

use crate::model::denial::{Cause, Denial};
use crate::model::facts::{Authority, BearerToken, Connection, Credentials, Facts, Framing};
use crate::model::ip::{canonical, forwarded_entry};
use crate::model::path::{JudgedPath, decoded};
use crate::model::settings::TrustedHops;

mod names;
mod origin;
#[cfg(test)]
mod tests;

pub use origin::sole as sole_origin;

/// Entries of `X-Forwarded-For` that are looked at, from the right. No real chain of proxies is longer.
const FORWARDED_ENTRIES_MAX: usize = 32;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a head is judged by.
#[derive(Clone, Debug)]
pub struct FactRules {
    /// Who may speak for others in `X-Forwarded-For`.
    pub trusted: TrustedHops,
    /// Bytes of a request target, in whatever form it is sent.
    pub target_bytes_max: usize,
    /// Lines of a request head. Counted here because hyper's own counter costs an allocation a request.
    pub headers_max: usize,
}

/// Judges a head that hyper parsed. What hyper hides of it is judged by [`super::raw_head`].
pub fn facts(
    connection: &Connection,
    head: &Parts,
    rules: &FactRules,
) -> Result<Facts, Box<Denial>> {
    let peer = connection.peer;
    judge_version_and_method(head)?;
    if head.headers.len() > rules.headers_max {
        return refuse(
            Cause::HeadTooLarge,
            "more header lines than `bounds.headers_max` allows",
        );
    }
    let target = judge_target(head, rules.target_bytes_max)?;
    let authority = judge_host(&head.headers, &head.uri)?;
    let framing = judge_framing(head)?;
    names::judge(&head.headers)?;
    judge_expectation(&head.headers)?;
    let origin = origin::judge(&head.headers)?;
    let preflight = match (&head.method, &origin) {
        (&Method::OPTIONS, Some(_)) => origin::judge_preflight(&head.headers)?,
        _ => None,
    };
    let path = JudgedPath::judge(target).or_else(|why| refuse(Cause::Path, why))?;
    // Laravel and others run such a POST as that method, and then no rule for it was asked.
    if head.method == Method::POST
        && path
            .query()
            .is_some_and(|query| query_names(query, b"_method"))
    {
        return refuse(Cause::MethodRefused, "the query names another method");
    }
    Ok(Facts {
        method: head.method.clone(),
        authority,
        framing,
        content_type: judge_content_type(&head.headers)?,
        encoded: is_encoded(&head.headers),
        origin,
        preflight,
        credentials: judge_credentials(&head.headers, path.query()),
        path,
        peer: SocketAddr::new(canonical(peer.ip()), peer.port()),
        client_ip: client_ip(peer, &head.headers, &rules.trusted),
        certificate: connection.certificate.clone(),
    })
}

fn refuse<T>(cause: Cause, why: &'static str) -> Result<T, Box<Denial>> {
    Err(Denial::new(cause, why))
}

fn judge_version_and_method(head: &Parts) -> Result<(), Box<Denial>> {
    if !matches!(head.version, Version::HTTP_10 | Version::HTTP_11) {
        return refuse(Cause::Head, "not HTTP/1.0 or HTTP/1.1");
    }
    // Some servers run `delete` as DELETE, and then no rule for DELETE was asked.
    if head
        .method
        .as_str()
        .bytes()
        .any(|byte| byte.is_ascii_lowercase())
    {
        return refuse(Cause::MethodRefused, "a method in lower case");
    }
    match head.method {
        Method::CONNECT => refuse(Cause::MethodRefused, "CONNECT asks for a tunnel"),
        Method::TRACE => refuse(Cause::MethodRefused, "TRACE would show headers back"),
        _ => Ok(()),
    }
}

/// The path and query of the target, whether it stands alone or in an absolute form (RFC 9112 section 3.2).
fn judge_target(head: &Parts, bytes_max: usize) -> Result<&PathAndQuery, Box<Denial>> {
    let uri = &head.uri;
    let Some(target) = uri.path_and_query() else {
        return refuse(Cause::Target, "the target is only an authority");
    };
    let scheme = uri
        .scheme_str()
        .map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |named| named.as_str().len());
    if scheme + authority + target.as_str().len() > bytes_max {
        return refuse(
            Cause::TargetTooLong,
            "the target is longer than `bounds.target_bytes_max` allows",
        );
    }
    match (target.as_str(), &head.method) {
        ("*", &Method::OPTIONS) => refuse(Cause::MethodRefused, "OPTIONS for the whole server"),
        ("*", _) => refuse(Cause::Target, "an asterisk is a target of OPTIONS only"),
        _ => Ok(target),
    }
}

/// Exactly one `Host`, also in HTTP/1.0: without it there is no saying whom the request is for.
fn judge_host(headers: &HeaderMap, uri: &Uri) -> Result<Authority, Box<Denial>> {
    let host = match Lines::of(headers, &HOST) {
        Lines::One(host) => Authority::judge(host).or_else(|why| refuse(Cause::Host, why))?,
        Lines::None => return refuse(Cause::Host, "no Host"),
        Lines::Several => return refuse(Cause::Host, "more than one Host"),
    };
    let Some(named) = uri.authority() else {
        return Ok(host);
    };
    let default_port = match uri.scheme_str() {
        Some("http") => ":80",
        Some("https") => ":443",
        Some(_) | None => return refuse(Cause::Target, "the target's scheme is not http or https"),
    };
    let bare = |text: &'_ str| text.strip_suffix(default_port).map_or(text.len(), str::len);
    let (named, own) = (named.as_str(), host.as_str());
    let same = match (named.get(..bare(named)), own.get(..bare(own))) {
        (Some(named), Some(own)) => named.eq_ignore_ascii_case(own),
        _ => false,
    };
    if !same {
        return refuse(Cause::Host, "the target names another host than Host");
    }
    Ok(host)
}

/// How the body is framed, from what hyper left in the head.
fn judge_framing(head: &Parts) -> Result<Framing, Box<Denial>> {
    let length = match Lines::of(&head.headers, &CONTENT_LENGTH) {
        Lines::None => None,
        Lines::One(value) => match plain_number(value) {
            Some(length) => Some(length),
            None => return refuse(Cause::Framing, "Content-Length is not a plain number"),
        },
        Lines::Several => return refuse(Cause::Framing, "more than one Content-Length"),
    };
    match (Lines::of(&head.headers, &TRANSFER_ENCODING), length) {
        (Lines::None, None | Some(0)) => Ok(Framing::None),
        (Lines::None, Some(length)) => Ok(Framing::Length(length)),
        (Lines::One(_), _) if head.version == Version::HTTP_10 => {
            refuse(Cause::Framing, "Transfer-Encoding in HTTP/1.0")
        }
        (Lines::One(_), Some(_)) => {
            refuse(Cause::Framing, "both Content-Length and Transfer-Encoding")
        }
        (Lines::One(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (Lines::One(_), None) => refuse(Cause::Framing, "a Transfer-Encoding other than chunked"),
        (Lines::Several, _) => refuse(Cause::Framing, "more than one Transfer-Encoding"),
    }
}

fn plain_number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn judge_expectation(headers: &HeaderMap) -> Result<(), Box<Denial>> {
    match Lines::of(headers, &EXPECT) {
        Lines::None => Ok(()),
        Lines::One(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        Lines::One(_) | Lines::Several => {
            refuse(Cause::Expectation, "an expectation other than 100-continue")
        }
    }
}

fn judge_content_type(headers: &HeaderMap) -> Result<Option<HeaderValue>, Box<Denial>> {
    match Lines::of(headers, &CONTENT_TYPE) {
        Lines::None => Ok(None),
        Lines::One(value) => Ok(Some(value.clone())),
        Lines::Several => refuse(Cause::ContentType, "more than one Content-Type"),
    }
}

/// Whether anything but a plain `identity` is said of the body's coding (RFC 9110 section 8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(plain)
}

/// One set of credentials in one place, and never in the query (RFC 6750 section 2, RFC 9700 section 4.3.2).
fn judge_credentials(headers: &HeaderMap, query: Option<&str>) -> Credentials {
    let in_query = query.is_some_and(|query| query_names(query, b"access_token"));
    match (Lines::of(headers, &AUTHORIZATION), in_query) {
        (Lines::Several, _) => Credentials::Several("more than one Authorization"),
        (Lines::One(_), true) => Credentials::Several("Authorization and a token in the query"),
        (Lines::None, true) => Credentials::Malformed("a token in the query"),
        (Lines::None, false) => Credentials::None,
        (Lines::One(value), false) if joins_bearers(value.as_bytes()) => {
            Credentials::Several("an Authorization of several parts")
        }
        (Lines::One(value), false) => match BearerToken::judge(value) {
            Ok(token) => Credentials::Bearer(token),
            Err(why) => Credentials::Malformed(why),
        },
    }
}

/// Whether `Bearer` stands in a list. Other schemes have commas of their own and are refused as they are.
fn joins_bearers(value: &[u8]) -> bool {
    memchr(b',', value).is_some()
        && value.split(|byte| *byte == b',').any(|part| {
            let scheme = part.trim_ascii_start().get(..b"bearer ".len());
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
        })
}

/// Whether a parameter of the query is called so, however it is spelt and whatever separates it.
fn query_names(query: &str, parameter: &[u8]) -> bool {
    let pairs = query.as_bytes().split(|byte| matches!(byte, b'&' | b';'));
    let names = pairs.map(|pair| pair.split(|byte| *byte == b'=').next().unwrap_or_default());
    // Escapes only make a name longer, and so most names are told apart unread.
    let mut long = names.filter(|name| name.len() >= parameter.len());
    long.any(|name| {
        let name = decoded(name).map(|byte| byte.to_ascii_lowercase());
        name.eq(parameter.iter().copied())
    })
}

/// The right-most address that no trusted hop vouches for. What stands left of an unreadable entry is not believed:
/// then the hop that wrote it counts as the client. The header is forwarded anew, so nothing of it survives unjudged.
fn client_ip(peer: SocketAddr, headers: &HeaderMap, trusted: &TrustedHops) -> IpAddr {
    let mut client = canonical(peer.ip());
    if !trusted.cidrs.contains(client) {
        return client;
    }
    let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for entry in entries.take(FORWARDED_ENTRIES_MAX) {
        let Some(address) = forwarded_entry(entry) else {
            return client;
        };
        client = address;
        if !trusted.cidrs.contains(client) {
            return client;
        }
    }
    client
}

/// How often a field stands in the head.
enum Lines<'a> {
    None,
    One(&'a HeaderValue),
    Several,
}

impl<'a> Lines<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}
