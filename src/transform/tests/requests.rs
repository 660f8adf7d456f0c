//! What the service gets.

use super::*;

/// What the service gets of a GET with these fields.
fn sent(lines: &[(&str, &str)]) -> HeaderMap {
    sent_by(lines, &Caller::Anonymous, false)
}

fn sent_by(lines: &[(&str, &str)], caller: &Caller, forward_token: bool) -> HeaderMap {
    let mut route = open_route();
    route.forward_token = forward_token;
    let facts = facts(Method::GET, "/orders?side=buy", Framing::None);
    let stamp = Stamp {
        request_id: &ID,
        secure: false,
        traceparent: None,
    };
    let (head, ()) = with_lines(Request::builder(), lines)
        .body(())
        .unwrap()
        .into_parts();
    let body = Full::new(Bytes::new());
    let request = prepare(&permit(route, None), &facts, caller, head, body, &stamp).into_request();
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.uri().to_string(), "/orders?side=buy");
    request.headers().clone()
}

fn with_lines(builder: http::request::Builder, lines: &[(&str, &str)]) -> http::request::Builder {
    lines.iter().fold(builder, |builder, (name, value)| {
        builder.header(*name, *value)
    })
}

fn trader() -> Caller {
    let text = |text: &'static str| Some(HeaderValue::from_static(text));
    Caller::Token(Arc::new(Identity {
        issuer: "https://auth.example".into(),
        subject: "alice".into(),
        roles: vec!["trader".into()],
        permissions: Vec::new(),
        session: None,
        token_id: None,
        expires_at: 0,
        authenticated_at: None,
        methods: Vec::new(),
        claims: Default::default(),
        headers: IdentityHeaders {
            subject: text("alice"),
            roles: text("trader"),
            permissions: text("orders:place"),
            session: None,
        },
    }))
}

/// The fields that every request has.
const ALWAYS: &[&str] = &[
    "host",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

fn extra_names(headers: &HeaderMap) -> Vec<&str> {
    headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !ALWAYS.contains(name))
        .collect()
}

#[test]
fn a_plain_request_gets_our_fields_and_nothing_else() {
    let headers = sent(&[("host", "orders.example:8080"), ("accept", "*/*")]);
    assert_eq!(extra_names(&headers), ["accept"]);
    assert_eq!(all(&headers, "host"), ["orders.example:8080"]);
    assert_eq!(all(&headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&headers, "x-request-id"), ["0193-request"]);
    assert_eq!(all(&headers, "via"), ["1.1 outrider"]);
}

#[test]
fn fields_of_one_hop_do_not_reach_the_service() {
    let hop: &[(&str, &str)] = &[
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("connection", "Upgrade, HTTP2-Settings"),
        ("trailer", "Authorization"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
        ("content-length", "17"),
    ];
    for line in hop {
        let name = line.0;
        let headers = sent(&[*line]);
        assert!(
            !headers.contains_key(name) || name == "content-length",
            "{name}"
        );
        assert_ne!(all(&headers, name), [line.1], "{name}");
    }
    let nominated = sent(&[
        ("connection", "close, X-Signature"),
        ("connection", " x-desk ,, keep-alive,\tX-Trace-Me"),
        ("x-signature", "a"),
        ("x-signature", "b"),
        ("x-desk", "prop"),
        ("x-trace-me", "1"),
        ("x-stays", "1"),
    ]);
    assert_eq!(extra_names(&nominated), ["x-stays"]);
}

#[test]
fn nominating_our_fields_does_not_remove_them() {
    let connection =
        "close, Outrider-Subject, OUTRIDER-ROLES, X-Request-Id, Host, X-Forwarded-For, Via";
    let lines = [("connection", connection), ("outrider-subject", "root")];
    let headers = sent_by(&lines, &trader(), false);
    for (name, value) in [
        ("outrider-subject", "alice"),
        ("outrider-roles", "trader"),
        ("outrider-permissions", "orders:place"),
        ("x-request-id", "0193-request"),
        ("host", "orders.example:8080"),
        ("x-forwarded-for", "192.0.2.7"),
        ("via", "1.1 outrider"),
    ] {
        assert_eq!(all(&headers, name), [value], "{name}");
    }
    assert!(!headers.contains_key("outrider-session"));
    assert!(!headers.contains_key("connection"));
}

#[test]
fn what_a_client_must_not_say_is_removed_in_both_spellings() {
    let names = [
        "outrider-subject",
        "outrider-anything",
        "outrider-",
        "forwarded",
        "x-forwarded-host",
        "x-forwarded-uri",
        "x-forwarded-prefix",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-envoy-original-path",
        "x-http-method-override",
        "x-remote-user",
        "ssl-client-cert",
        "true-client-ip",
        "proxy",
    ];
    for name in names {
        for spelling in [
            name.to_owned(),
            name.replace('-', "_"),
            name.to_ascii_uppercase(),
        ] {
            let headers = sent(&[(&spelling, "/health"), (&spelling, "again")]);
            assert_eq!(extra_names(&headers), [""; 0], "{spelling}");
        }
    }
    let lines = [
        ("x-forwarded-for", "10.9.9.9"),
        ("x_forwarded_for", "10.9.9.9"),
    ];
    let forwarded = sent(&lines);
    assert_eq!(all(&forwarded, "x-forwarded-for"), ["192.0.2.7"]);
    assert!(!forwarded.contains_key("x_forwarded_for"));
    let kept = sent(&[("outriders", "1"), ("x-forward", "1"), ("proxy-hint", "1")]);
    assert_eq!(extra_names(&kept), ["outriders", "x-forward", "proxy-hint"]);
}

#[test]
fn the_token_passes_only_where_the_route_says_so() {
    let lines = [("authorization", "Bearer abc")];
    assert!(!sent_by(&lines, &trader(), false).contains_key("authorization"));
    assert_eq!(
        all(&sent_by(&lines, &trader(), true), "authorization"),
        ["Bearer abc"]
    );
}

#[test]
fn a_trace_context_passes_only_if_it_is_well_formed() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let table = [
        (good, true),
        (
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            true,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            false,
        ),
        (
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            false,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            false,
        ),
        ("", false),
    ];
    for (parent, passes) in table {
        let headers = sent(&[("traceparent", parent), ("tracestate", "a=1")]);
        assert_eq!(headers.contains_key("traceparent"), passes, "{parent}");
        assert_eq!(headers.contains_key("tracestate"), passes, "{parent}");
    }
    let twice = sent(&[
        ("traceparent", good),
        ("traceparent", good),
        ("tracestate", "a=1"),
    ]);
    assert_eq!(extra_names(&twice), [""; 0]);
    assert_eq!(extra_names(&sent(&[("tracestate", "a=1")])), [""; 0]);
}

#[test]
fn via_keeps_what_came_and_names_the_version_that_was_received() {
    let (mut head, ()) = Request::builder()
        .header("via", "1.1 edge")
        .body(())
        .unwrap()
        .into_parts();
    head.version = Version::HTTP_10;
    let stamp = Stamp {
        request_id: &ID,
        secure: true,
        traceparent: None,
    };
    let facts = facts(Method::GET, "/", Framing::None);
    let body = Full::new(Bytes::new());
    let permit = permit(open_route(), None);
    let request = prepare(&permit, &facts, &Caller::Anonymous, head, body, &stamp).into_request();
    assert_eq!(all(request.headers(), "via"), ["1.1 edge", "1.0 outrider"]);
    assert_eq!(all(request.headers(), "x-forwarded-proto"), ["https"]);
}

#[test]
fn what_a_client_must_not_say_is_stripped_in_every_spelling() {
    for name in [
        "outrider",
        "outrider.subject",
        "outrider~roles",
        "outrider!",
        "outrider_subject",
        "x.http.method.override",
        "x_http-method.override",
        "x-original-method",
        "x-override-url",
        "x-rewrite-path",
        "request-uri",
        "request_uri",
        "x-ms-client-principal",
        "x-ms-client-principal-id",
        "x-goog-authenticated-user-email",
        "x-goog-iap-jwt-assertion",
        "x-amzn-oidc-data",
        "cf-access-jwt-assertion",
        "tailscale-user-login",
        "wl-proxy-client-ip",
        "wl-proxy-remote-user",
        "x-arr-clientcert",
        "x-azure-clientip",
        "x-appengine-user-ip",
        "fly-client-ip",
        "x-middleware-subrequest",
        "front-end-https",
        "x-scheme",
        "x.real.ip",
    ] {
        assert_eq!(extra_names(&sent(&[(name, "x")])), [""; 0], "{name}");
    }
    for name in [
        "outriders",
        "x-schemes",
        "x-client",
        "proxy-status",
        "x.trace",
    ] {
        assert_eq!(extra_names(&sent(&[(name, "x")])), [name], "{name}");
    }
}
