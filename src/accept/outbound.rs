//! The door of the way out: a service on this machine asks, and nobody else. Judges whom a request is for, keeps pages
//! in browsers out, and takes off what the client sent to be believed. Never asks what may be called.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::facts::{FactRules, facts as judged};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Extent, Preset, Role};
use crate::model::facts::{Connection, Facts, Framing};
use crate::model::form::{self, FormFault};
use crate::model::outbound::ClientCredentials;

#[cfg(test)]
mod tests;

/// Where a local caller shows its token. Never forwarded.
pub const CALLER_TOKEN: HeaderName = HeaderName::from_static("outrider-caller-token");

/// Where a local listener is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// On loopback.
    Tcp(SocketAddr),
    /// On a socket in the file system, where no web page gets and any host may be named.
    Unix,
}

/// What a request on the way out is judged by.
#[derive(Debug)]
pub struct LocalRules {
    /// How heads are judged.
    pub facts: FactRules,
    /// The exchange.
    pub preset: &'static Preset,
    /// Headers that clients send to be believed.
    pub own_headers: Vec<HeaderName>,
    /// Parameters of the query or a form that clients send to be believed.
    pub own_parameters: Vec<String>,
    /// What becomes of the client's own credentials.
    pub credentials: ClientCredentials,
}

/// A request on the way out, judged; without what the client sent to be believed.
#[derive(Debug)]
pub struct LocalFacts {
    /// The request.
    pub facts: Facts,
    /// Which of the exchange's interfaces it is for.
    pub role: Role,
    /// What stands in [`CALLER_TOKEN`].
    pub token: Option<HeaderValue>,
    /// How much it asks for.
    pub extent: Extent,
}

/// Judges a head. What is judged is what is left: the head's target and fields are changed in place.
pub fn facts(
    connection: &Connection,
    bound: &Bound,
    head: &mut Parts,
    rules: &LocalRules,
) -> Result<LocalFacts, Box<Denial>> {
    refuse_pages(&head.headers)?;
    if head.uri.authority().is_some() {
        let why = "a target in absolute form: this is no forward proxy";
        return Err(Denial::new(Cause::Target, why));
    }
    let token = take_one(&mut head.headers, &CALLER_TOKEN)?;
    clean_target(head, rules)?;
    take_headers(&mut head.headers, rules)?;
    let facts = judged(connection, head, &rules.facts)?;
    refuse_foreign_host(&facts, bound)?;
    if facts.path.respelt() {
        let why = "plain characters of the path spelt in percent form";
        return Err(Denial::new(Cause::Path, why));
    }
    let query = facts.path.query().unwrap_or_default();
    Ok(LocalFacts {
        role: rules.preset.role(facts.path.path()),
        extent: Extent::of_query(query),
        token,
        facts,
    })
}

/// Judges a question of this program's own, which comes by no listener.
pub fn own(head: &Parts, rules: &LocalRules) -> Result<LocalFacts, Box<Denial>> {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let facts = judged(&Connection::clear(nobody), head, &rules.facts)?;
    Ok(LocalFacts {
        role: rules.preset.role(facts.path.path()),
        extent: Extent::ALL,
        token: None,
        facts,
    })
}

/// Judges a body that is at hand whole, and gives back what is left of it.
pub fn body(facts: &Facts, body: Bytes, rules: &LocalRules) -> Result<Bytes, Box<Denial>> {
    if body.is_empty() {
        return Ok(body);
    }
    if facts.encoded {
        let why = "an encoded body cannot be judged or signed";
        return Err(Denial::new(Cause::ContentType, why));
    }
    if !is_form(facts.content_type.as_ref()) {
        return match rules.preset.speaks_codes {
            // Binance reads forms only; what it would ignore must not be signed either.
            true => Err(Denial::new(Cause::ContentType, "the body is not a form")),
            false => Ok(body),
        };
    }
    if !is_utf8(facts.content_type.as_ref()) {
        let why = "a form in another charset than UTF-8";
        return Err(Denial::new(Cause::ContentType, why));
    }
    let cleaned = form::clean(&body, &rules.own_parameters).map_err(|fault| unclear(&fault))?;
    refuse_noted(cleaned.noted.any(), rules)?;
    let query = facts.path.query().unwrap_or_default();
    form::refuse_duplicates(query, &cleaned.text).map_err(|fault| unclear(&fault))?;
    Ok(match cleaned.text.as_bytes() == body.as_ref() {
        true => body,
        false => Bytes::from(cleaned.text),
    })
}

/// A page in a browser reaches loopback too. It says so in fields that it cannot leave out: `Origin`, and those of fetch
/// metadata. `Sec-Fetch-Mode` alone is what Node's own `fetch` sends.
fn refuse_pages(headers: &HeaderMap) -> Result<(), Box<Denial>> {
    static MARKS: [HeaderName; 5] = [
        ORIGIN,
        HeaderName::from_static("sec-fetch-site"),
        HeaderName::from_static("sec-fetch-dest"),
        HeaderName::from_static("sec-fetch-user"),
        ACCESS_CONTROL_REQUEST_METHOD,
    ];
    if MARKS.iter().any(|mark| headers.contains_key(mark)) {
        return Err(Denial::new(
            Cause::LocalPage,
            "the request is of a page in a browser",
        ));
    }
    Ok(())
}

/// A name that somebody's DNS leads to this machine is not a name of ours (DNS rebinding).
fn refuse_foreign_host(facts: &Facts, bound: &Bound) -> Result<(), Box<Denial>> {
    let Bound::Tcp(address) = bound else {
        return Ok(());
    };
    let named = facts.authority.as_str();
    let (host, port) = match named.strip_prefix(facts.authority.host()) {
        Some(port) => (facts.authority.host(), port.trim_start_matches(':')),
        None => (named, ""),
    };
    let own_port = match port {
        "" => address.port() == 80,
        port => port.parse() == Ok(address.port()),
    };
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let own_host = host.eq_ignore_ascii_case("localhost")
        || literal
            .parse()
            .is_ok_and(|named: std::net::IpAddr| address.ip() == named);
    match own_host && own_port {
        true => Ok(()),
        false => Err(Denial::new(
            Cause::LocalHost,
            "Host is not this listener's own",
        )),
    }
}

fn take_one(
    headers: &mut HeaderMap,
    name: &HeaderName,
) -> Result<Option<HeaderValue>, Box<Denial>> {
    if headers.get_all(name).iter().count() > 1 {
        return Err(Denial::new(Cause::Header, "more than one caller token"));
    }
    let mut taken = headers.remove(name);
    if let Some(token) = &mut taken {
        token.set_sensitive(true);
    }
    Ok(taken)
}

/// Takes the client's time and signature off the query, and encodes what no query may hold.
fn clean_target(head: &mut Parts, rules: &LocalRules) -> Result<(), Box<Denial>> {
    let Some(query) = head.uri.query() else {
        return Ok(());
    };
    let cleaned =
        form::clean(query.as_bytes(), &rules.own_parameters).map_err(|fault| unclear(&fault))?;
    refuse_noted(cleaned.noted.any(), rules)?;
    form::refuse_duplicates(&cleaned.text, "").map_err(|fault| unclear(&fault))?;
    if cleaned.text == query {
        return Ok(());
    }
    let path = head.uri.path();
    let target = match cleaned.text.as_str() {
        "" => PathAndQuery::try_from(path),
        text => PathAndQuery::try_from([path, "?", text].concat()),
    };
    let target = target.map_err(|_| Denial::new(Cause::Target, "the target is no target"))?;
    head.uri = Uri::from(target);
    Ok(())
}

fn take_headers(headers: &mut HeaderMap, rules: &LocalRules) -> Result<(), Box<Denial>> {
    let mut found = false;
    for name in &rules.own_headers {
        found |= headers.remove(name).is_some();
    }
    refuse_noted(found, rules)
}

fn refuse_noted(found: bool, rules: &LocalRules) -> Result<(), Box<Denial>> {
    match (found, rules.credentials) {
        (true, ClientCredentials::Refuse) => {
            let why = "the request brings a key, a time or a signature of its own";
            Err(Denial::new(Cause::ExchangeCredentials, why))
        }
        (false, _) | (true, ClientCredentials::Replace) => Ok(()),
    }
}

fn unclear(fault: &FormFault) -> Box<Denial> {
    let why = match fault {
        FormFault::Duplicate(_) => "a parameter stands twice",
        FormFault::Percent => "a percent sign without two hex digits",
        FormFault::TooMany => "more parameters than any call has",
    };
    Denial::new(Cause::ExchangeParameters, why)
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a form is in UTF-8: nothing says otherwise. In another charset the exchange would read other names than were
/// judged.
fn is_utf8(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type.and_then(|value| value.to_str().ok());
    let mut parameters = text.unwrap_or_default().split(';').skip(1);
    parameters.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        let is_charset = name.trim().to_ascii_lowercase().starts_with("charset");
        !is_charset || value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
    })
}

/// Refuses a body where there must be none: with these methods an exchange reads parameters of the query only. Asked
/// before a byte of it is read.
///
/// # Errors
/// [`Cause::BodyNotAllowed`].
pub fn refuse_body_on_get(facts: &Facts) -> Result<(), Box<Denial>> {
    match facts.method {
        Method::GET | Method::HEAD if facts.framing != Framing::None => {
            let why = "exchanges read the parameters of a GET in its query";
            Err(Denial::new(Cause::BodyNotAllowed, why))
        }
        _ => Ok(()),
    }
}
