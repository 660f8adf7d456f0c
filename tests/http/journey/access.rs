//! Who gets through, and what the service is told about them.

use serde_json::json;

use crate::bypass::anything;
use crate::support::oracle::{Case, demand};
use crate::support::tokens::Issuer;
use crate::world::{
    TOKENS, bearer, get, get_as, issuer, now, post, request, stage, token, token_with,
};

const ROUTES: &str = "  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - { name: open, match: { path: /open/** }, anonymous: true }
    - name: place
      match: { method: POST, path: /orders, host: orders.test }
      require: { permissions: [orders:place] }
    - name: view
      match: { methods: [GET, HEAD], path: \"/orders/{id}\" }
      require: { permissions: [orders:view, positions:view] }
    - name: admin
      match: { path: /admin/** }
      require: { permissions: [admin:all] }
    - name: withdraw
      match: { method: POST, path: /withdraw }
      require: { permissions: [orders:place], mfa_within: 15m }
    - name: trial
      match: { method: GET, path: /trial }
      require: { permissions: [admin:all], mfa_within: 1m, mode: shadow }
    - name: passed-on
      match: { method: GET, path: /passed-on }
      forward_token: true
";

fn policy() -> String {
    format!("{TOKENS}{ROUTES}")
}

fn run(issuer: &Issuer, cases: Vec<Case>, secrets: Vec<String>) {
    let mut stage = stage(&policy(), issuer);
    stage.secrets = secrets;
    for case in cases {
        stage.run(case);
    }
    stage.settle();
}

#[test]
fn permissions_decide() {
    let issuer = issuer();
    let with = |changes| token_with(&issuer, &changes);
    let trader = token(&issuer);
    let both = with(json!({"roles": ["trader"], "permissions": ["positions:view"]}));
    let scoped = with(json!({"roles": null, "scope": "openid orders:view positions:view"}));
    let area = with(json!({"roles": null, "permissions": ["orders:*", "positions:*"]}));
    let stranger = with(json!({"roles": ["unknown-role"]}));
    let bare = with(json!({"roles": null}));
    let admin = with(json!({"roles": ["admin"]}));
    let near = with(
        json!({"roles": null, "permissions": ["admin:al", "admin", "ADMIN:all", "*", "*:*", "admin:all "]}),
    );
    let place = |token: &str, host: &str| {
        format!(
            "POST /orders HTTP/1.1\r\nHost: {host}\r\n{}Content-Length: 2\r\n\r\n{{}}",
            bearer(token)
        )
    };
    let passes = |id: &str, bytes: String| Case::forwarded(id, bytes, anything);
    let missing =
        |id: &str, bytes: String| Case::denied(id, bytes, 403, "authz.insufficient_scope");
    let cases = vec![
        passes("a role's permission", place(&trader, "orders.test")),
        passes(
            "the host in another case and with a port",
            place(&trader, "Orders.Test:8080"),
        ),
        Case::denied(
            "another host",
            place(&trader, "other.test"),
            404,
            "route.none",
        ),
        missing("one of two permissions", get_as(&trader, "/orders/1")),
        passes(
            "both, from a role and from the token",
            get_as(&both, "/orders/1"),
        ),
        passes("from scope", get_as(&scoped, "/orders/1")),
        passes("whole areas", get_as(&area, "/orders/1")),
        passes("HEAD as GET", request("HEAD", "/orders/1", &bearer(&area))),
        missing("an unknown role", get_as(&stranger, "/orders/1")),
        missing("no role", get_as(&bare, "/orders/1")),
        passes("admin", get_as(&admin, "/admin/x")),
        missing("words near admin", get_as(&near, "/admin/x")),
        missing("admin does not mean all", get_as(&admin, "/orders/1")),
        Case::denied("nobody", get("/orders/1"), 401, "authn.required"),
        passes("nobody where nobody is asked", get("/open/x")),
        passes("somebody where nobody is asked", get_as(&trader, "/open/x")),
    ];
    run(
        &issuer,
        cases,
        vec![trader, both, scoped, area, stranger, bare, admin, near],
    );
}

#[test]
fn a_second_factor_is_asked_for_where_it_counts() {
    let issuer = issuer();
    let with = |changes| token_with(&issuer, &changes);
    let sent = |token: &str| post("/withdraw", &bearer(token), "{}");
    let fresh = json!({"amr": ["pwd", "otp"], "auth_time": now() - 60});
    let stale =
        |id: &str, changes| Case::denied(id, sent(&with(changes)), 401, "authz.step_up_required");
    let cases = vec![
        Case::forwarded("fresh", sent(&with(fresh.clone())), anything),
        Case::forwarded(
            "fresh with mfa",
            sent(&with(json!({"amr": ["mfa"], "auth_time": now() - 800}))),
            anything,
        ),
        stale("no amr", json!({"auth_time": now()})),
        stale(
            "only a password",
            json!({"amr": ["pwd"], "auth_time": now()}),
        ),
        stale("no auth_time", json!({"amr": ["mfa"]})),
        stale(
            "too long ago",
            json!({"amr": ["mfa"], "auth_time": now() - 1000}),
        ),
        stale(
            "in the future",
            json!({"amr": ["mfa"], "auth_time": now() + 1000}),
        ),
        Case::denied(
            "auth_time as text",
            sent(&with(json!({"amr": ["mfa"], "auth_time": "now"}))),
            401,
            "authn.invalid_token",
        ),
        Case::denied(
            "the permission first",
            sent(&with(
                json!({"roles": [], "amr": ["mfa"], "auth_time": now()}),
            )),
            403,
            "authz.insufficient_scope",
        ),
    ];
    run(&issuer, cases, vec![with(fresh)]);
}

/// What the service is told stands in our headers, and only there.
#[test]
fn the_service_is_told_who_calls_and_cannot_be_lied_to() {
    let issuer = issuer();
    let who = token_with(
        &issuer,
        &json!({
            "sub": "user, 7\u{e9}", "roles": ["trader", "a,b"], "permissions": ["positions:view"], "sid": "session-9",
        }),
    );
    let spoofed = "outrider-subject: root\r\nOutrider-Roles: admin\r\noutrider_permissions: admin:all\r\nOUTRIDER_SESSION: s\r\n\
                   outrider-client: x\r\noutrider-anything: x\r\nOutrider_Else: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nRemote-User: root\r\nX-Remote-User: root\r\n";
    let told = |got: &crate::support::origin::Received, name: &str, expected: Option<&str>| {
        demand(
            got.one(name) == expected && (expected.is_some() || !got.has(name)),
            format!("{name}: {:?}", got.all(name)),
        )
    };
    let cases = vec![
        Case::forwarded(
            "a caller",
            request("GET", "/orders/1", &format!("{}{spoofed}", bearer(&who))),
            move |got, _| {
                told(got, "outrider-subject", Some("user,%207%C3%A9"))?;
                told(got, "outrider-roles", Some("trader,a%2Cb"))?;
                told(
                    got,
                    "outrider-permissions",
                    Some("orders:place,orders:view,positions:view"),
                )?;
                told(got, "outrider-session", Some("session-9"))?;
                told(got, "x-forwarded-for", Some("127.0.0.1"))?;
                told(got, "x-forwarded-proto", Some("http"))?;
                told(got, "authorization", None)?;
                let ours = got.headers.iter().filter(|(name, _)| {
                    name.to_ascii_lowercase()
                        .replace('_', "-")
                        .starts_with("outrider-")
                });
                demand(ours.count() == 4, format!("{:?}", got.headers))?;
                for name in [
                    "outrider-client",
                    "outrider-anything",
                    "x-forwarded-host",
                    "forwarded",
                    "remote-user",
                    "x-remote-user",
                ] {
                    told(got, name, None)?;
                }
                Ok(())
            },
        ),
        Case::forwarded(
            "nobody",
            request("GET", "/open/x", spoofed),
            move |got, _| {
                let lower = |name: &str| name.to_ascii_lowercase().replace('_', "-");
                let ours = got
                    .headers
                    .iter()
                    .filter(|(name, _)| lower(name).starts_with("outrider-"));
                demand(ours.count() == 0, format!("{:?}", got.headers))
            },
        ),
        Case::forwarded(
            "the token, where the route passes it on",
            get_as(&who, "/passed-on"),
            {
                let expected = format!("Bearer {who}");
                move |got, _| {
                    demand(
                        got.one("authorization") == Some(&expected),
                        "the token does not arrive",
                    )
                }
            },
        ),
        Case::forwarded(
            "traceparent goes on",
            request(
                "GET",
                "/open/x",
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            ),
            |got, _| {
                let sent = got.one("traceparent").unwrap_or_default();
                demand(
                    sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
                    format!("traceparent: {sent}"),
                )
            },
        ),
        Case::forwarded(
            "a broken traceparent does not",
            request("GET", "/open/x", "traceparent: 00-zz-\"x\r\n"),
            |got, _| {
                demand(
                    got.one("traceparent")
                        .is_none_or(|sent| !sent.contains("zz")),
                    "it arrives",
                )
            },
        ),
    ];
    run(&issuer, cases, vec![who]);
}

/// RFC 6750 section 3 and RFC 9470 section 3: what a client can learn from a refusal, and no more.
#[test]
fn challenges_say_what_is_missing() {
    let issuer = issuer();
    let mut stage = stage(&policy(), &issuer);
    let trader = token(&issuer);
    let asked = [
        (
            "no token",
            get("/orders/1").into_bytes(),
            401,
            "Bearer realm=\"order-gateway\"",
        ),
        (
            "a bad token",
            get_as("a.b.c", "/orders/1").into(),
            401,
            "Bearer realm=\"order-gateway\", error=\"invalid_token\"",
        ),
        (
            "a missing permission",
            get_as(&trader, "/orders/1").into(),
            403,
            "Bearer realm=\"order-gateway\", error=\"insufficient_scope\", scope=\"orders:view positions:view\"",
        ),
        (
            "a stale factor",
            post("/withdraw", &bearer(&trader), "{}"),
            401,
            "Bearer realm=\"order-gateway\", error=\"insufficient_user_authentication\", max_age=\"900\"",
        ),
        (
            "two tokens",
            request("GET", "/orders/1", &bearer("a.b.c").repeat(2)).into(),
            400,
            "Bearer realm=\"order-gateway\", error=\"invalid_request\"",
        ),
    ];
    for (id, bytes, status, challenge) in asked {
        let answer = stage.fresh(None).ask(bytes).unwrap();
        let told = answer
            .one("www-authenticate")
            .unwrap_or_default()
            .to_owned();
        stage.expect(id, demand(answer.status == status, format!("{answer}")));
        stage.expect(id, demand(told == challenge, format!("told {told}")));
    }
    let answer = stage.fresh(None).ask(get("/nowhere")).unwrap();
    stage.expect(
        "404",
        demand(
            answer.one("www-authenticate").is_none(),
            "404 is no matter of credentials",
        ),
    );
    stage.settle();
}

/// A rule on trial refuses nothing, and what it would have refused is on record.
#[test]
fn a_shadowed_rule_only_tells() {
    let issuer = issuer();
    let mut stage = stage(&policy(), &issuer);
    let trader = token(&issuer);
    let mut wire = stage.fresh(None);
    let answer = wire.ask(get_as(&trader, "/trial")).unwrap();
    stage.expect(
        "shadow",
        demand(
            answer.status == 200 && answer.one("www-authenticate").is_none(),
            format!("{answer}"),
        ),
    );
    let nobody = stage.fresh(None).ask(get("/trial")).unwrap();
    stage.expect(
        "shadow",
        demand(
            nobody.status == 401,
            format!("identity is never on trial: {nobody}"),
        ),
    );
    let peer = wire.local().to_string();
    drop(wire);
    let mut events = Vec::new();
    stage.sidecar.wait_until("recorded", || {
        events = stage.sidecar.requests(0);
        events.retain(|event| event["request"]["peer"] == peer.as_str());
        !events.is_empty()
    });
    let event = &events[0];
    let expected = json!([
        {"code": "authz.insufficient_scope", "rule": "trial/require.permissions"},
        {"code": "authz.step_up_required", "rule": "trial/require.mfa_within"},
    ]);
    stage.expect(
        "shadow",
        demand(
            event["shadow"] == expected && event["outcome"] == "success",
            format!("{event}"),
        ),
    );
    let counted = stage.sidecar.metric(
        "outrider_shadow_denials_total",
        &["trial/require.permissions"],
    );
    stage.expect(
        "shadow",
        demand((counted - 1.0).abs() < 0.1, format!("counted {counted}")),
    );
    stage.settle();
}
