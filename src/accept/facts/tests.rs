//! Facts by table: each rule with what it takes and what it refuses.

use http::Request;

use super::*;
use crate::model::ip::{Cidr, CidrSet};

const PEER: &str = "192.0.2.7:4711";
const HOP: &str = "10.0.0.1:4711";

fn rules() -> FactRules {
    let cidrs = CidrSet::new([Cidr::parse("10.0.0.0/8").unwrap()]);
    FactRules {
        trusted: TrustedHops { cidrs },
        target_bytes_max: 100,
        headers_max: 40,
    }
}

fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
    let uri = Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(target.as_bytes())).unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request = request.header(*name, value);
    }
    request.body(()).unwrap().into_parts().0
}

fn clear(peer: &str) -> Connection {
    Connection::clear(peer.parse().unwrap())
}

fn judge(method: &str, target: &str, fields: &[(&str, &str)]) -> Result<Facts, Box<Denial>> {
    facts(&clear(PEER), &head(method, target, fields), &rules())
}

fn cause(method: &str, target: &str, fields: &[(&str, &str)]) -> Option<Cause> {
    judge(method, target, fields)
        .err()
        .map(|denial| denial.cause)
}

#[test]
fn a_plain_request_is_judged_once() {
    let fields = [
        ("host", "Orders.example:8443"),
        ("content-type", "application/json"),
        ("content-length", "12"),
        ("authorization", "Bearer abc.def.ghi"),
    ];
    let facts = judge("POST", "/api/v1/orders?x=1", &fields).unwrap();
    assert_eq!(facts.method, Method::POST);
    assert_eq!(facts.authority.as_str(), "Orders.example:8443");
    assert_eq!(facts.authority.host(), "Orders.example");
    assert_eq!(facts.path.target().as_str(), "/api/v1/orders?x=1");
    assert_eq!(facts.framing, Framing::Length(12));
    assert_eq!(facts.content_type.unwrap(), "application/json");
    assert_eq!(facts.peer, PEER.parse().unwrap());
    assert_eq!(facts.client_ip, facts.peer.ip());
    let Credentials::Bearer(token) = facts.credentials else {
        panic!("{:?}", facts.credentials);
    };
    assert_eq!(token.expose_token(), b"abc.def.ghi");
}

#[test]
fn hosts_have_one_reading() {
    let refused: &[(&str, &[(&str, &str)])] = &[
        ("no host", &[]),
        ("two", &[("host", "a"), ("host", "b")]),
        ("two alike", &[("host", "a"), ("host", "a")]),
        ("a list", &[("host", "a, b")]),
        ("empty", &[("host", "")]),
        ("user information", &[("host", "a@b")]),
        ("a dot at the end", &[("host", "a.example.")]),
        ("a dot before the port", &[("host", "a.example.:80")]),
        ("a dot at the start", &[("host", ".a")]),
        ("an empty label", &[("host", "a..b")]),
        ("only a dot", &[("host", ".")]),
        ("a port beyond 16 bits", &[("host", "a:99999")]),
        ("a port that is none", &[("host", "a:x")]),
        ("an empty port", &[("host", "a:")]),
        ("two ports", &[("host", "a:1:2")]),
        ("only a port", &[("host", ":80")]),
        ("a space", &[("host", "a b")]),
        ("a path", &[("host", "a/b")]),
        ("an escape", &[("host", "a%2eb")]),
        ("outside ASCII", &[("host", "\u{e4}")]),
        ("brackets around no address", &[("host", "[a]")]),
        ("a bracket too many", &[("host", "[::1]]")]),
        ("text before a bracket", &[("host", "a[::1]")]),
        ("a zone", &[("host", "[fe80::1%25eth0]")]),
    ];
    for (name, fields) in refused {
        let found = cause("GET", "/", fields);
        let expected = match *name {
            "outside ASCII" => [Some(Cause::Host), Some(Cause::Header)],
            _ => [Some(Cause::Host); 2],
        };
        assert!(expected.contains(&found), "{name}: {found:?}");
    }
    for host in [
        "a",
        "a:80",
        "A.b-c_d",
        "127.0.0.1:3000",
        "[::1]",
        "[2001:db8::1]:8443",
    ] {
        let facts = judge("GET", "/", &[("host", host)]).unwrap();
        assert_eq!(facts.authority.as_str(), host);
    }
    assert_eq!(
        judge("GET", "/", &[("host", "[::1]:80")])
            .unwrap()
            .authority
            .host(),
        "[::1]"
    );
}

#[test]
fn an_absolute_target_agrees_with_host_or_is_refused() {
    for (target, host, expected) in [
        ("http://public/x", "public", None),
        ("http://PUBLIC/x", "public", None),
        ("http://public:80/x", "public", None),
        ("http://public/x", "Public:80", None),
        ("https://public:443/x", "public", None),
        ("http://[::1]:3000/x", "[::1]:3000", None),
        ("http://public", "public", None),
        ("http://admin.internal/x", "public", Some(Cause::Host)),
        ("http://public:443/x", "public", Some(Cause::Host)),
        ("http://public:8080/x", "public", Some(Cause::Host)),
        ("http://user@public/x", "public", Some(Cause::Host)),
        ("ftp://public/x", "public", Some(Cause::Target)),
        ("http://public?x=1", "public", Some(Cause::Path)),
    ] {
        assert_eq!(
            cause("GET", target, &[("host", host)]),
            expected,
            "{target} {host}"
        );
    }
    let facts = judge("GET", "http://public/x?y", &[("host", "public")]).unwrap();
    assert_eq!(facts.path.target().as_str(), "/x?y");
}

#[test]
fn other_target_forms_and_tunnels_are_refused() {
    let long = format!("/{}", "a".repeat(100));
    for (method, target, expected) in [
        ("GET", "foo", Cause::Target),
        ("GET", "*", Cause::Target),
        ("OPTIONS", "*", Cause::MethodRefused),
        ("CONNECT", "host:443", Cause::MethodRefused),
        ("CONNECT", "/", Cause::MethodRefused),
        ("TRACE", "/", Cause::MethodRefused),
        ("POST", "/?_method=DELETE", Cause::MethodRefused),
        ("POST", "/?a=1&%5Fmethod=PUT", Cause::MethodRefused),
        ("POST", "/?a;_METHOD", Cause::MethodRefused),
        ("delete", "/", Cause::MethodRefused),
        ("Delete", "/", Cause::MethodRefused),
        ("GEt", "/", Cause::MethodRefused),
        ("xPROPFIND", "/", Cause::MethodRefused),
        ("GET", long.as_str(), Cause::TargetTooLong),
        ("GET", "/a/../b", Cause::Path),
        ("GET", "//admin", Cause::Path),
    ] {
        assert_eq!(
            cause(method, target, &[("host", "a")]),
            Some(expected),
            "{method} {target}"
        );
    }
}

#[test]
fn framing_is_one_length_or_one_chunked() {
    let framing = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = [("host", "a")].iter().chain(fields).copied().collect();
        judge("POST", "/", &fields)
            .map(|facts| facts.framing)
            .map_err(|denial| denial.cause)
    };
    for (fields, expected) in [
        (&[][..], Ok(Framing::None)),
        (&[("content-length", "0")], Ok(Framing::None)),
        (&[("content-length", "5")], Ok(Framing::Length(5))),
        (&[("transfer-encoding", "chunked")], Ok(Framing::Chunked)),
        (&[("transfer-encoding", "Chunked")], Ok(Framing::Chunked)),
        (&[("content-length", "+5")], Err(Cause::Framing)),
        (&[("content-length", "")], Err(Cause::Framing)),
        (&[("content-length", "5, 5")], Err(Cause::Framing)),
        (
            &[("content-length", "5"), ("content-length", "5")],
            Err(Cause::Framing),
        ),
        (
            &[
                ("transfer-encoding", "identity"),
                ("transfer-encoding", "chunked"),
            ],
            Err(Cause::Framing),
        ),
        (
            &[("transfer-encoding", "gzip, chunked")],
            Err(Cause::Framing),
        ),
        (&[("transfer-encoding", ",chunked")], Err(Cause::Framing)),
        (&[("transfer-encoding", "chunked;")], Err(Cause::Framing)),
        (&[("transfer-encoding", "\"chunked\"")], Err(Cause::Framing)),
        (
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            Err(Cause::Framing),
        ),
    ] {
        assert_eq!(framing(fields), expected, "{fields:?}");
    }
    let mut old = head(
        "POST",
        "/",
        &[("host", "a"), ("transfer-encoding", "chunked")],
    );
    old.version = Version::HTTP_10;
    let refused = facts(&clear(PEER), &old, &rules()).unwrap_err();
    assert_eq!(refused.cause, Cause::Framing);
    old.version = Version::HTTP_2;
    let refused = facts(&clear(PEER), &old, &rules()).unwrap_err();
    assert_eq!(refused.cause, Cause::Head);
}

#[test]
fn fields_with_two_readings_are_refused() {
    for (fields, expected) in [
        (&[("expect", "100-Continue")][..], None),
        (&[("expect", "200-ok")], Some(Cause::Expectation)),
        (
            &[("expect", "100-continue"), ("expect", "100-continue")],
            Some(Cause::Expectation),
        ),
        (
            &[
                ("content-type", "text/plain"),
                ("content-type", "text/plain"),
            ],
            Some(Cause::ContentType),
        ),
        (&[("transfer_encoding", "chunked")], Some(Cause::Header)),
        (&[("content_length", "5")], Some(Cause::Header)),
        (&[("x_forwarded_for", "10.0.0.1")], Some(Cause::Header)),
        (&[("x-forwarded_host", "b")], Some(Cause::Header)),
        (&[("x_desk", "prop")], None),
        (
            &[("x_desk", "prop"), ("x-desk", "retail")],
            Some(Cause::Header),
        ),
        (&[("outrider_subject", "root")], None),
        (&[("outrider-subject", "root")], None),
        (&[("authorization", "Bearer \u{e4}")], Some(Cause::Header)),
        (&[("content-type", "text/\u{e4}")], Some(Cause::Header)),
        (&[("connection", "\u{e4}")], Some(Cause::Header)),
        (&[("x-forwarded-for", "\u{e4}")], Some(Cause::Header)),
        (&[("x-note", "\u{e4}")], None),
    ] {
        let fields: Vec<_> = [("host", "a")].iter().chain(fields).copied().collect();
        assert_eq!(cause("GET", "/", &fields), expected, "{fields:?}");
    }
    let many: Vec<_> = (0..40).map(|_| ("x", "y")).chain([("host", "a")]).collect();
    assert_eq!(cause("GET", "/", &many), Some(Cause::HeadTooLarge));
    assert_eq!(cause("GET", "/", &many[1..]), None);
}

#[test]
fn connection_may_nominate_only_what_is_the_clients_own() {
    for (value, refused) in [
        ("close", false),
        ("keep-alive, X-Own,, ", false),
        ("Upgrade, HTTP2-Settings", false),
        ("TE", false),
        (
            "close, X-Auth-Subject, x-signature, Authorization, X-Request-Id",
            true,
        ),
        ("Host", true),
        ("outrider-subject", true),
        ("OUTRIDER_roles", true),
        ("x-forwarded-for", true),
        ("X_Request_Id", true),
        ("traceparent", true),
        ("content-length", true),
        ("close; host", true),
        ("\"host\"", true),
    ] {
        let found = cause("GET", "/", &[("host", "a"), ("connection", value)]);
        assert_eq!(found, refused.then_some(Cause::Header), "{value}");
    }
    let second = [
        ("host", "a"),
        ("connection", "close"),
        ("connection", "authorization"),
    ];
    assert_eq!(cause("GET", "/", &second), Some(Cause::Header));
}

#[test]
fn credentials_stand_in_one_place() {
    let kind = |target: &str, values: &[&str]| {
        let fields = values.iter().map(|value| ("authorization", *value));
        let fields: Vec<_> = [("host", "a")].into_iter().chain(fields).collect();
        match judge("GET", target, &fields).unwrap().credentials {
            Credentials::None => "none",
            Credentials::Bearer(_) => "bearer",
            Credentials::Malformed(_) => "malformed",
            Credentials::Several(_) => "several",
        }
    };
    for (target, values, expected) in [
        ("/", &[][..], "none"),
        ("/", &["bearer x"], "bearer"),
        ("/", &["Bearer  x"], "malformed"),
        ("/", &["Bearer\tx"], "malformed"),
        ("/", &["BearerX"], "malformed"),
        ("/", &["Bearer"], "malformed"),
        ("/", &["Bearer \"x\""], "malformed"),
        ("/", &["Basic eDp5"], "malformed"),
        ("/", &["Digest username=\"a\", realm=\"b\""], "malformed"),
        ("/", &["Bearer a, Bearer b"], "several"),
        ("/", &["Bearer a,"], "several"),
        ("/", &["Basic eDp5, Bearer b"], "several"),
        ("/", &["Bearer good", "Bearer bad"], "several"),
        ("/?access_token=x", &[], "malformed"),
        ("/?a=1&Access%5ftoken=x", &[], "malformed"),
        ("/?a=1;access_token", &[], "malformed"),
        ("/?access_token=x", &["Bearer a"], "several"),
        (
            "/?my_access_token=x&a=access_token",
            &["Bearer a"],
            "bearer",
        ),
        ("/?%=1&%zz=2", &["Bearer a"], "bearer"),
    ] {
        assert_eq!(kind(target, values), expected, "{target} {values:?}");
    }
}

#[test]
fn the_right_most_untrusted_address_is_the_client() {
    let many = "10.0.0.9,".repeat(300) + "192.0.2.99";
    let many_trusted = "203.0.113.5,".to_owned() + &"10.0.0.9,".repeat(300) + "10.0.0.8";
    for (peer, lines, expected) in [
        (PEER, &["10.0.0.5"][..], "192.0.2.7"),
        (HOP, &[], "10.0.0.1"),
        (HOP, &["192.0.2.1"], "192.0.2.1"),
        (HOP, &["203.0.113.9, 192.0.2.1, 10.0.0.3"], "192.0.2.1"),
        (HOP, &["203.0.113.9", "192.0.2.1, 10.0.0.3"], "192.0.2.1"),
        (HOP, &["203.0.113.9, 192.0.2.1", "10.0.0.3"], "192.0.2.1"),
        (HOP, &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (HOP, &["203.0.113.9, unknown, 10.0.0.3"], "10.0.0.3"),
        (HOP, &["203.0.113.9, unknown"], "10.0.0.1"),
        (HOP, &["203.0.113.9, "], "10.0.0.1"),
        (HOP, &["10.0.0.5:80"], "10.0.0.5"),
        (HOP, &["192.0.2.1:80"], "192.0.2.1"),
        (HOP, &["[::1]"], "::1"),
        (HOP, &["[2001:db8::1]:80"], "2001:db8::1"),
        (HOP, &["::ffff:192.0.2.1"], "192.0.2.1"),
        (HOP, &["192.0.2.9, ::ffff:10.0.0.3"], "192.0.2.9"),
        (HOP, &["010.0.0.5"], "10.0.0.1"),
        (HOP, &[many.as_str()], "192.0.2.99"),
        (HOP, &[many_trusted.as_str()], "10.0.0.9"),
        ("[::ffff:10.0.0.1]:1", &["192.0.2.1"], "192.0.2.1"),
        ("[::ffff:192.0.2.7]:1", &["192.0.2.1"], "192.0.2.7"),
    ] {
        let fields = lines.iter().map(|line| ("x-forwarded-for", *line));
        let fields: Vec<_> = [("host", "a")].into_iter().chain(fields).collect();
        let facts = facts(&clear(peer), &head("GET", "/", &fields), &rules()).unwrap();
        assert_eq!(facts.peer.ip(), canonical(facts.peer.ip()));
        assert_eq!(
            facts.client_ip,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {lines:?}"
        );
    }
}
