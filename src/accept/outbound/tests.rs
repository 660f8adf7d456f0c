//! The door of the way out against requests of services and of others.

use http::Request;

use super::*;
use crate::model::exchange::Symbols;
use crate::model::ip::CidrSet;
use crate::model::settings::TrustedHops;

const KEY: &str = "x-mbx-apikey";

fn rules(credentials: ClientCredentials) -> LocalRules {
    let preset = Preset::named("binance-spot").unwrap();
    LocalRules {
        facts: FactRules {
            trusted: TrustedHops {
                cidrs: CidrSet::new(Vec::new()),
            },
            target_bytes_max: 8192,
            headers_max: 64,
        },
        preset,
        own_headers: vec![HeaderName::from_static(KEY)],
        own_parameters: vec!["timestamp".to_owned(), "signature".to_owned()],
        credentials,
    }
}

fn judge_by(
    rules: &LocalRules,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<(LocalFacts, Parts), Cause> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let connection = Connection::clear("127.0.0.1:5000".parse().unwrap());
    let bound = Bound::Tcp("127.0.0.1:9101".parse().unwrap());
    match facts(&connection, &bound, &mut head, rules) {
        Ok(facts) => Ok((facts, head)),
        Err(denial) => Err(denial.cause),
    }
}

fn judge(target: &str, headers: &[(&str, &str)]) -> Result<(LocalFacts, Parts), Cause> {
    judge_by(&rules(ClientCredentials::Replace), "GET", target, headers)
}

const HOST: (&str, &str) = ("host", "127.0.0.1:9101");

#[test]
fn only_the_listeners_own_names_are_served() {
    for host in ["127.0.0.1:9101", "localhost:9101", "LOCALHOST:9101"] {
        assert!(judge("/api/v3/time", &[("host", host)]).is_ok(), "{host}");
    }
    for host in [
        "localhost",
        "127.0.0.1",
        "127.0.0.1:9102",
        "127.0.0.2:9101",
        "evil.example:9101",
        "localhost.evil.example:9101",
        "[::1]:9101",
    ] {
        let found = judge("/api/v3/time", &[("host", host)]);
        assert_eq!(found.err(), Some(Cause::LocalHost), "{host}");
    }
}

#[test]
fn pages_in_browsers_are_refused_and_node_is_not() {
    for mark in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-dest", "empty"),
        ("access-control-request-method", "POST"),
    ] {
        let found = judge("/api/v3/time", &[HOST, mark]);
        assert_eq!(found.err(), Some(Cause::LocalPage), "{mark:?}");
    }
    assert!(judge("/api/v3/time", &[HOST, ("sec-fetch-mode", "cors")]).is_ok());
}

#[test]
fn the_clients_credentials_come_off_before_anything_is_judged() {
    let target = "/api/v3/openOrders?symbol=A&timestamp=1&recvWindow=10000&signature=x";
    let (judged, head) = judge(target, &[HOST, (KEY, "dummy")]).unwrap();
    let query = judged.facts.path.query();
    assert_eq!(query, Some("symbol=A&recvWindow=10000"));
    assert_eq!(head.uri.query(), query);
    assert!(!head.headers.contains_key(KEY));
    assert_eq!(judged.extent.symbols, Symbols::One);
    let (judged, _) = judge("/api/v3/openOrders?timestamp=1", &[HOST]).unwrap();
    assert_eq!(judged.facts.path.query(), None);
    assert_eq!(judged.extent, Extent::ALL);
}

#[test]
fn where_they_are_refused_each_one_is() {
    let rules = rules(ClientCredentials::Refuse);
    let plain = judge_by(&rules, "GET", "/api/v3/time", &[HOST]);
    assert!(plain.is_ok());
    for (target, header) in [
        ("/api/v3/time", (KEY, "")),
        ("/api/v3/time?timestamp=1", ("accept", "*/*")),
        ("/api/v3/time?a=b&%73ignature=1", ("accept", "*/*")),
    ] {
        let found = judge_by(&rules, "GET", target, &[HOST, header]);
        assert_eq!(found.err(), Some(Cause::ExchangeCredentials), "{target}");
    }
}

#[test]
fn two_readings_are_refused() {
    for (target, cause) in [
        ("/api/v3/order?symbol=A&symbol=B", Cause::ExchangeParameters),
        (
            "/api/v3/order?symbol=A&%73ymbol=B",
            Cause::ExchangeParameters,
        ),
        ("/api/v3/order?symbol=%zz", Cause::ExchangeParameters),
        ("/api//v3/order", Cause::Path),
        ("/api/v3/%6frder", Cause::Path),
        ("http://127.0.0.1:9101/api/v3/time", Cause::Target),
    ] {
        assert_eq!(judge(target, &[HOST]).err(), Some(cause), "{target}");
    }
}

#[test]
fn forms_are_cleaned_and_other_bodies_refused() {
    let rules = rules(ClientCredentials::Replace);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let target = "/api/v3/order?symbol=A";
    let (judged, _) = judge_by(&rules, "POST", target, &[HOST, kind]).unwrap();
    let left = |text: &'static str| {
        let found = body(&judged.facts, Bytes::from_static(text.as_bytes()), &rules);
        found.map_err(|denial| denial.cause)
    };
    assert_eq!(
        left("side=BUY&timestamp=1&signature=x"),
        Ok("side=BUY".into())
    );
    assert_eq!(left("side=BUY"), Ok("side=BUY".into()));
    assert_eq!(left("symbol=B"), Err(Cause::ExchangeParameters));
    let json = ("content-type", "application/json");
    let (judged, _) = judge_by(&rules, "POST", target, &[HOST, json]).unwrap();
    let found = body(&judged.facts, Bytes::from_static(b"{}"), &rules);
    assert_eq!(
        found.err().map(|denial| denial.cause),
        Some(Cause::ContentType)
    );
    assert!(body(&judged.facts, Bytes::new(), &rules).is_ok());
}

#[test]
fn a_form_is_in_utf_8_or_refused() {
    let rules = rules(ClientCredentials::Replace);
    for (parameters, expected) in [
        ("", true),
        ("; charset=UTF-8", true),
        (";charset=\"utf-8\"", true),
        ("; boundary=x", true),
        ("; charset=utf-16", false),
        ("; charset=utf-8; Charset=iso-8859-1", false),
        ("; charset", false),
        ("; charset=\"utf-7;x\"", false),
    ] {
        let kind = format!("application/x-www-form-urlencoded{parameters}");
        let fields = [HOST, ("content-type", kind.as_str())];
        let (judged, _) = judge_by(&rules, "POST", "/api/v3/order", &fields).unwrap();
        let found = body(&judged.facts, Bytes::from_static(b"side=BUY"), &rules);
        let cause = found.err().map(|denial| denial.cause);
        assert_eq!(cause, (!expected).then_some(Cause::ContentType), "{kind}");
    }
}
