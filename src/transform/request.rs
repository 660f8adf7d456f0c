//! The request as the service gets it: strip first, then set. What was judged is what is sent; the body is only wrapped.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use http_body::Body;

use super::{REQUEST_ID, hop_by_hop, trace_context};
use crate::decide::Permit;
use crate::model::caller::{Caller, IdentityHeaders};
use crate::model::facts::{Facts, Framing};
use crate::model::ip::IpText;

const SUBJECT: HeaderName = HeaderName::from_static("outrider-subject");
const ROLES: HeaderName = HeaderName::from_static("outrider-roles");
const PERMISSIONS: HeaderName = HeaderName::from_static("outrider-permissions");
const SESSION: HeaderName = HeaderName::from_static("outrider-session");
const CLIENT: HeaderName = HeaderName::from_static("outrider-client");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a client must not tell the service, whatever stands for the dash: `_`, and in some servers every byte that is no
/// letter or digit, reads alike. A name ending in `-` stands for all that begin so.
const CLIENT_MUST_NOT_SAY: &[&str] = &[
    // Ours: who the caller is.
    "outrider",
    "outrider-",
    // Who the caller is, by the words of other proxies that services still believe.
    "remote-user",
    "x-remote-",
    "x-auth-request-",
    "x-authenticated-",
    "x-webauth-",
    "x-ms-client-principal",
    "x-ms-client-principal-",
    "x-goog-authenticated-user-",
    "x-goog-iap-jwt-assertion",
    "x-amzn-oidc-",
    "cf-access-",
    "tailscale-user-",
    "wl-proxy-remote-user",
    // Which certificate the client showed.
    "ssl-client-",
    "x-ssl-",
    "x-client-cert",
    "x-client-dn",
    "x-arr-clientcert",
    "client-cert",
    "client-cert-chain",
    // Where the client is, and how it came.
    "forwarded",
    "x-forwarded-",
    "x-original-forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "wl-proxy-client-ip",
    "x-azure-clientip",
    "x-appengine-user-ip",
    "front-end-https",
    "x-scheme",
    // Another target than the one that was judged.
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-override-url",
    "x-rewrite-url",
    "x-rewrite-path",
    "request-uri",
    "x-host",
    "x-http-host-override",
    "x-envoy-",
    // Steps that the service's own framework then leaves out (CVE-2025-29927).
    "x-middleware-subrequest",
    // Another method than the one that was judged.
    "x-original-method",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    // Files that the server should hand out itself (Rack::Sendfile).
    "x-sendfile-type",
    "x-accel-mapping",
    // Becomes HTTP_PROXY in CGI (CVE-2016-5385).
    "proxy",
];

/// What the pipeline knows beside the facts.
#[derive(Clone, Debug)]
pub struct Stamp<'a> {
    /// The request's id.
    pub request_id: &'a HeaderValue,
    /// Whether the client came over TLS.
    pub secure: bool,
    /// Our own span, where requests are traced; else the client's own stays.
    pub traceparent: Option<HeaderValue>,
}

/// A request ready for the service. Only [`prepare`] and, on the way out, [`super::outbound::sign`] make one, and they ask for a permit.
#[derive(Debug)]
pub struct Outbound<B>(Request<B>);

impl<B> Outbound<B> {
    /// What [`super::outbound::sign`] has made; it asks for a permit too.
    pub(super) const fn of(request: Request<B>) -> Self {
        Self(request)
    }

    /// The request as it goes onto the wire: version 1.1, origin form.
    pub(crate) fn into_request(self) -> Request<B> {
        self.0
    }
}

/// Makes the request for the service out of the head that came. Works in the header map of that head.
///
/// The client's `Host` is kept, because the service may tell its sites apart by it and it was judged; that is why there is
/// no `X-Forwarded-Host`. `X-Forwarded-For` holds the one address that rules and limits went by. `Via` is what RFC 9110
/// section 7.6.3 demands of a gateway.
pub fn prepare<B: Body>(
    permit: &Permit<'_>,
    facts: &Facts,
    caller: &Caller,
    head: http::request::Parts,
    body: B,
    stamp: &Stamp<'_>,
) -> Outbound<B> {
    let mut headers = head.headers;
    let length = headers.remove(CONTENT_LENGTH);
    strip(&mut headers, permit.route().forward_token);
    headers.reserve(SET_BY_US);
    set_framing(&mut headers, facts, length, &body);
    set_identity(&mut headers, caller);
    set_certificate(&mut headers, facts);
    headers.insert(HOST, facts.authority.as_header().clone());
    headers.insert(FORWARDED_FOR, address(facts.client_ip));
    let proto = if stamp.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    headers.insert(REQUEST_ID, stamp.request_id.clone());
    trace_context::set(&mut headers, stamp.traceparent.as_ref());
    headers.append(VIA, via(head.version));

    let mut request = Request::new(body);
    *request.method_mut() = facts.method.clone();
    *request.uri_mut() = Uri::from(facts.path.target().clone());
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Outbound(request)
}

/// The most fields that are set here.
const SET_BY_US: usize = 11;

fn strip(headers: &mut HeaderMap, forward_token: bool) {
    if !forward_token {
        headers.remove(AUTHORIZATION);
    }
    // The expectation was met or refused at the door (RFC 9110 section 10.1.1).
    hop_by_hop::strip(headers, |name| {
        name == "expect" || client_must_not_say(name)
    });
    trace_context::clean(headers);
}

/// The client's own framing fields are gone: hyper frames anew by what the body says of its length. Two things it cannot
/// know are said here. A chunked body needs its coding named, or hyper drops it with GET and HEAD; and a length of zero
/// that the client stated is stated again, because some services refuse a POST without any.
fn set_framing<B: Body>(
    headers: &mut HeaderMap,
    facts: &Facts,
    length: Option<HeaderValue>,
    body: &B,
) {
    match facts.framing {
        Framing::Chunked if body.size_hint().exact().is_none() => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Framing::None if length.is_some() => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Framing::Chunked | Framing::Length(_) | Framing::None => {}
    }
}

fn set_identity(headers: &mut HeaderMap, caller: &Caller) {
    let Some(identity) = caller.identity() else {
        return;
    };
    let IdentityHeaders {
        subject,
        roles,
        permissions,
        session,
    } = &identity.headers;
    let told = [
        (SUBJECT, subject),
        (ROLES, roles),
        (PERMISSIONS, permissions),
        (SESSION, session),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
}

fn set_certificate(headers: &mut HeaderMap, facts: &Facts) {
    let shown = facts.certificate.as_ref();
    if let Some(told) = shown.and_then(|certificate| certificate.header.as_ref()) {
        headers.insert(CLIENT, told.clone());
    }
}

pub(super) fn client_must_not_say(name: &str) -> bool {
    let begins = name.bytes().next().unwrap_or_default();
    BEGINNINGS & letter_bit(begins) != 0 && is_listed(name)
}

/// The first letters of the list: most names that clients send begin with others.
const BEGINNINGS: u32 = {
    let (mut letters, mut rest) = (0, CLIENT_MUST_NOT_SAY);
    while let [entry, behind @ ..] = rest {
        letters |= match entry.as_bytes() {
            [first, ..] => letter_bit(*first),
            [] => 0,
        };
        rest = behind;
    }
    letters
};

/// A bit for each letter, none for anything else.
const fn letter_bit(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' => 1 << (byte - b'a'),
        _ => 0,
    }
}

fn is_listed(name: &str) -> bool {
    CLIENT_MUST_NOT_SAY.iter().any(|entry| {
        let told = if entry.ends_with('-') {
            name.as_bytes().get(..entry.len())
        } else {
            Some(name.as_bytes())
        };
        told.is_some_and(|told| folds_to(told, entry.as_bytes()))
    })
}

/// Whether a name in lower case is `entry` once every byte but letters and digits is a dash.
fn folds_to(name: &[u8], entry: &[u8]) -> bool {
    let fold = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => *byte,
        false => b'-',
    };
    name.len() == entry.len() && name.iter().map(fold).eq(entry.iter().copied())
}

/// The address as text, with one allocation.
fn address(ip: IpAddr) -> HeaderValue {
    let text = HeaderValue::from_bytes(IpText::of(ip).as_bytes());
    // Not reachable: an address is ASCII. `unknown` is what RFC 7239 section 6.2 has for it.
    text.unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Our entry in `Via`: the version that was received and a name that says nothing of the machine.
fn via(received: Version) -> HeaderValue {
    HeaderValue::from_static(if received == Version::HTTP_10 {
        "1.0 outrider"
    } else {
        "1.1 outrider"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_found_and_usual_ones_are_not() {
        for entry in CLIENT_MUST_NOT_SAY {
            assert!(client_must_not_say(entry), "{entry}");
        }
        for name in [
            "accept",
            "content-type",
            "cookie",
            "origin",
            "x-",
            "x-api-key",
            "proxies",
            "-",
            "1",
        ] {
            assert!(!client_must_not_say(name), "{name}");
        }
    }
}
