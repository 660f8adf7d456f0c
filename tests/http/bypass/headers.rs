//! Area D: headers that steer, hide or forge. What the proxy sets always arrives; what steers others never decides.

use serde_json::json;

use super::demand_numbers;
use super::framing::anything;
use crate::support::oracle::{Case, demand};
use crate::support::tokens::Issuer;
use crate::world::{bearer, get, get_as, guarded, issuer, post, request, stage, token, token_with};

pub(super) const IDS: &[u32] = &[47, 50, 52, 53, 55, 56];

#[test]
fn headers_neither_steer_nor_forge() {
    let issuer = issuer();
    let mut cases = nominated(&issuer);
    cases.extend(steering(&issuer));
    cases.extend(hop_by_hop(&issuer));
    cases.extend(injected(&issuer));
    cases.extend(credentials(&issuer));
    cases.extend(schemes(&issuer));
    demand_numbers(IDS, &cases);
    let mut stage = stage(&guarded(), &issuer);
    stage.secrets.push(token(&issuer));
    for case in cases {
        stage.run(case);
    }
    stage.settle();
}

fn open(headers: &str) -> String {
    request("GET", "/open/x", headers)
}

fn nominated(issuer: &Issuer) -> Vec<Case> {
    let token = token(issuer);
    let asked = |value: &str| {
        request(
            "GET",
            "/orders/1",
            &format!("{}Connection: {value}\r\n", bearer(&token)),
        )
    };
    let mut cases = Vec::new();
    for value in [
        "close, Authorization",
        "authorization",
        "HOST",
        "close, X-Request-Id",
        "x-forwarded-for",
        "X-Forwarded-Proto",
        "outrider-subject",
        "Outrider_Roles",
        "OUTRIDER-X",
        "traceparent",
        "content-length",
        "content-type",
        "transfer-encoding",
        "keep-alive, authorization",
        ",,authorization",
        "close\r\nConnection: authorization",
        "a b",
    ] {
        cases.push(Case::refused(
            format!("47 {value:?}"),
            asked(value),
            400,
            "request.header",
        ));
    }
    for value in [
        "close, X-Auth-Subject, x-signature",
        "X-A",
        "keep-alive",
        "close",
        "Keep-Alive, x-a",
    ] {
        let lines = format!("{value}\r\nX-A: 1\r\nX-Auth-Subject: root\r\nx-signature: s");
        cases.push(Case::forwarded(
            format!("47 {value:?}"),
            asked(&lines),
            |got, _| {
                demand(
                    got.one("outrider-subject") == Some("user-1"),
                    "outrider-subject does not arrive once",
                )?;
                demand(
                    got.one("x-request-id").is_some(),
                    "X-Request-Id does not arrive once",
                )?;
                demand(!got.has("connection"), "Connection arrives")
            },
        ));
    }
    cases
}

fn steering(issuer: &Issuer) -> Vec<Case> {
    const STEERING: [&str; 12] = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Prefix",
        "X-Forwarded-Host",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Envoy-Original-Path",
        "X-Original-Host",
        "X-HTTP-Method-Override",
        "Forwarded",
        "X-Real-IP",
    ];
    let mut cases = Vec::new();
    for name in STEERING {
        let asked = request("GET", "/orders", &format!("{name}: /probe\r\n"));
        cases.push(Case::denied(
            format!("50 {name}"),
            asked,
            401,
            "authn.required",
        ));
    }
    let all: String = STEERING
        .iter()
        .map(|name| format!("{name}: /probe\r\n"))
        .collect();
    let proto = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.1\r\n";
    let asked = request(
        "GET",
        "/orders/1",
        &format!("{}{all}{proto}", bearer(&token(issuer))),
    );
    cases.push(Case::forwarded(
        "50 all of them on an allowed request",
        asked,
        |got, _| {
            for name in STEERING {
                demand(!got.has(name), format!("{name} arrives"))?;
            }
            demand(
                got.one("x-forwarded-proto") == Some("http"),
                format!("X-Forwarded-Proto: {:?}", got.all("x-forwarded-proto")),
            )?;
            demand(
                got.one("x-forwarded-for") == Some("127.0.0.1"),
                format!("X-Forwarded-For: {:?}", got.all("x-forwarded-for")),
            )
        },
    ));
    cases
}

fn hop_by_hop(issuer: &Issuer) -> Vec<Case> {
    let lines = "TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n\
                 Connection: Upgrade, HTTP2-Settings, TE\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let clean = |got: &crate::support::origin::Received,
                 response: &crate::support::wire::Response| {
        for name in [
            "te",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "connection",
            "upgrade",
            "http2-settings",
            "trailer",
        ] {
            demand(!got.has(name), format!("{name} arrives"))?;
        }
        demand(response.status == 200, format!("answered {response}"))
    };
    let asked = request(
        "GET",
        "/orders/1",
        &format!("{}{lines}", bearer(&token(issuer))),
    );
    let mut cases = vec![Case::forwarded("52 all of them", asked, clean)];
    for upgrade in ["h2c", "H2C", "h2c, websocket", "websocket", "TLS/1.0"] {
        let asked = open(&format!("Connection: upgrade\r\nUpgrade: {upgrade}\r\n"));
        cases.push(Case::forwarded(
            format!("52 Upgrade: {upgrade}"),
            asked,
            clean,
        ));
    }
    let chunked = "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n";
    let body = "5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\nX-Late: 1\r\n\r\n";
    let asked = format!("{}{body}", request("POST", "/open/x", chunked));
    cases.push(Case::forwarded("52 trailers", asked, |got, _| {
        demand(
            got.trailers.is_empty() && !got.has("trailer"),
            format!("trailers arrive: {:?}", got.trailers),
        )?;
        demand(got.body == b"hello", "the body does not arrive")
    }));
    cases
}

fn injected(issuer: &Issuer) -> Vec<Case> {
    let mut cases = Vec::new();
    let replaced = |sent: &'static str| {
        move |got: &crate::support::origin::Received, response: &crate::support::wire::Response| {
            let told = got.one("x-request-id").unwrap_or_default().to_owned();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let sound = (1..=64).contains(&told.len()) && told.bytes().all(plain);
            demand(sound && told != sent, format!("X-Request-Id: {told:?}"))?;
            demand(
                response.one("x-request-id") == Some(&told),
                "the answer has another X-Request-Id",
            )
        }
    };
    for (name, id) in [
        ("escape", "\u{1}[31m"),
        ("quote", "\"}{\"level\":\"error\"}"),
        ("blank", "a b"),
        ("beyond ASCII", "caf\u{e9}"),
        ("line separator", "a\u{2028}b"),
        ("empty", ""),
        ("slash", "../../x"),
    ] {
        let asked = open(&format!("X-Request-Id: {id}\r\n"));
        let case = if name == "escape" {
            Case::refused("53 X-Request-Id escape", asked, 400, "request.head")
        } else {
            Case::forwarded(format!("53 X-Request-Id {name}"), asked, replaced(id))
        };
        cases.push(case);
    }
    let long: &'static str = Box::leak("x".repeat(65).into_boxed_str());
    cases.push(Case::forwarded(
        "53 X-Request-Id too long",
        open(&format!("X-Request-Id: {long}\r\n")),
        replaced(long),
    ));
    cases.push(Case::forwarded(
        "53 X-Request-Id twice",
        open("X-Request-Id: a\r\nX-Request-Id: b\r\n"),
        replaced("a"),
    ));
    cases.push(Case::forwarded(
        "53 X-Request-Id kept",
        open("X-Request-Id: Abc-1.2_3\r\n"),
        |got, response| {
            let kept = got.one("x-request-id") == Some("Abc-1.2_3")
                && response.one("x-request-id") == Some("Abc-1.2_3");
            demand(kept, "a good X-Request-Id is not kept")
        },
    ));
    for (name, agent) in [
        ("escape", "\u{1b}[31mred".to_owned()),
        ("8 KiB", "x".repeat(8192)),
        ("quote", "\"}\\n{\"level\":1".to_owned()),
        ("separator", "a\u{2028}b".to_owned()),
    ] {
        let asked = open(&format!("User-Agent: {agent}\r\n"));
        cases.push(match name {
            "escape" => Case::refused("53 User-Agent escape", asked, 400, "request.head"),
            _ => Case::forwarded(format!("53 User-Agent {name}"), asked, anything),
        });
    }
    for sub in ["line\nbreak", "a\u{2028}b", "\u{1b}[31m", "zero\u{0}"] {
        let token = token_with(issuer, &json!({"sub": sub}));
        let id = format!("53 sub {sub:?}");
        cases.push(
            Case::denied(id, get_as(&token, "/orders/1"), 401, "authn.invalid_token")
                .because("subject"),
        );
    }
    let quoted = token_with(issuer, &json!({"sub": "\"},{\"x\":\"caf\u{e9}%0a"}));
    cases.push(Case::forwarded(
        "53 sub with quotes",
        get_as(&quoted, "/orders/1"),
        |got, _| {
            let told = got.one("outrider-subject").unwrap_or_default();
            demand(
                told == "\"},{\"x\":\"caf%C3%A9%250a",
                format!("outrider-subject: {told}"),
            )
        },
    ));
    let path = get("/nowhere/%1b");
    cases.push(Case::refused(
        "53 an escape in the path",
        path,
        400,
        "request.path",
    ));
    cases
}

fn credentials(issuer: &Issuer) -> Vec<Case> {
    let good = bearer(&token(issuer));
    let bad = bearer("a.b.c");
    let asked = |headers: &str| request("GET", "/orders/1", headers);
    let several = |id: &str, bytes: String| {
        Case::refused(format!("55 {id}"), bytes, 400, "authn.invalid_request")
            .or_code("request.header")
    };
    let joined = good.trim_end().to_owned();
    vec![
        several("good and bad", asked(&format!("{good}{bad}"))),
        several("bad and good", asked(&format!("{bad}{good}"))),
        several("good twice", asked(&format!("{good}{good}"))),
        several(
            "good and Basic",
            asked(&format!("{good}Authorization: Basic eDp5\r\n")),
        ),
        several("a list", asked(&format!("{joined}, Bearer b\r\n"))),
        several(
            "good and in the query",
            request("GET", "/orders/1?access_token=x", &good),
        ),
        several(
            "good and in the query, respelt",
            request("GET", "/orders/1?a=1&access%5Ftoken=x", &good),
        ),
        several(
            "on an anonymous route",
            request("GET", "/open/x", &format!("{good}{bad}")),
        ),
    ]
}

fn schemes(issuer: &Issuer) -> Vec<Case> {
    let token = token(issuer);
    let asked = |value: &str| request("GET", "/orders/1", &format!("Authorization: {value}\r\n"));
    let mut cases = Vec::new();
    for value in [
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("Bearer {token}   "),
        format!("  Bearer {token}"),
    ] {
        cases.push(Case::forwarded(
            format!("56 {}", &value.replace(&token, "T")),
            asked(&value),
            anything,
        ));
    }
    for value in [
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Basic {token}"),
        "Basic eDp5".into(),
        format!("Bearer \"{token}\""),
        format!("Bearer '{token}'"),
        format!("Bearer {token} x"),
        "Bearer".into(),
        "Bearer ".into(),
        token.clone(),
        format!("Token {token}"),
        format!("DPoP {token}"),
        format!("Bearer: {token}"),
        format!("Bearer={token}"),
        String::new(),
        format!("Bearer {token};x"),
        format!("Bearer {token}\u{e9}"),
    ] {
        let id = format!("56 {:?}", value.replace(&token, "T"));
        let case = Case::denied(id, asked(&value), 401, "authn.invalid_token");
        cases.push(match value.is_ascii() {
            true => case,
            false => Case::refused(case.id, asked(&value), 400, "request.header"),
        });
    }
    let carriage = asked(&format!("Bearer {token}\rX"));
    cases.push(Case::refused(
        "56 a carriage return",
        carriage,
        400,
        "request.head",
    ));
    cases.push(Case::denied(
        "56 none",
        get("/orders/1"),
        401,
        "authn.required",
    ));
    cases.push(Case::denied(
        "56 bad on an anonymous route",
        request("GET", "/open/x", "Authorization: Bearer a.b.c\r\n"),
        401,
        "authn.invalid_token",
    ));
    let refused = post("/orders", "Authorization: Basic eDp5\r\n", "{}");
    cases.push(Case::denied(
        "56 with a body",
        refused,
        401,
        "authn.invalid_token",
    ));
    cases
}
