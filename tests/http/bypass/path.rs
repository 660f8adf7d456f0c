//! Area C: paths. What the policy judges is what the service gets, byte for byte, or nothing is sent.

use super::demand_numbers;
use crate::support::oracle::{Case, demand};
use crate::support::tokens::Issuer;
use crate::world::{get, get_as, guarded, issuer, request, stage, token};

pub(super) const IDS: &[u32] = &[34, 35, 37, 38, 40, 41, 44];

const PATH: &str = "request.path";
const NONE: &str = "route.none";

#[test]
fn paths_have_one_reading() {
    let issuer = issuer();
    let mut cases = ambiguous();
    cases.extend(respelt());
    cases.extend(near_admin(&issuer));
    cases.extend(templates(&issuer));
    demand_numbers(IDS, &cases);
    let mut stage = stage(&guarded(), &issuer);
    stage.secrets.push(token(&issuer));
    for case in cases {
        stage.run(case);
    }
    stage.settle();
}

fn refused(id: u32, path: &str) -> Case {
    Case::refused(format!("{id} {path}"), get(path), 400, PATH)
}

fn nowhere(id: u32, path: &str) -> Case {
    Case::denied(format!("{id} {path}"), get(path), 404, NONE)
}

/// Forwarded exactly as it was sent.
fn literal(id: u32, path: &'static str) -> Case {
    Case::forwarded(format!("{id} {path}"), get(path), move |got, _| {
        demand(got.target == path, format!("forwarded {}", got.target))
    })
}

fn ambiguous() -> Vec<Case> {
    let dots = [
        "/public/../admin",
        "/public/./../admin",
        "/public/..",
        "/..",
        "/.",
        "/public/.",
        "/public/./x",
        "/../../etc/passwd",
        "/public/..;/admin",
        "/public/..\\admin",
        "/public\\..\\admin",
        "/public/;/../admin",
        "/public/x;a=b",
        "/public/%2e%2e/admin",
        "/public/.%2e/admin",
        "/public/%2E./admin",
        "/public/%2e",
        "/public/x%00",
        "/public/%0d%0aX:%201",
        "/public/%3b/x",
        "/public/%5c..%5cadmin",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/x\"y",
        "/public/<x>",
        "/public/{x}",
        "/public/x|y",
        "/public/x^y",
        "/public/x`y",
    ];
    let slashes = [
        "//admin",
        "/public//admin",
        "///admin/secret",
        "/public//",
        "//",
        "/public///x",
    ];
    let mut cases: Vec<Case> = dots
        .iter()
        .map(|path| {
            refused(34, path)
                .or_code("request.head")
                .or_code("request.target")
        })
        .collect();
    cases.extend(
        slashes
            .iter()
            .map(|path| refused(35, path).or_code("request.target")),
    );
    cases.push(literal(34, "/public/..."));
    cases.push(literal(34, "/public/x..y"));
    cases.push(literal(35, "/public/"));
    cases
}

fn respelt() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "/%2e%2e/admin",
        "/public/%2e%2e%2fadmin",
        "/public/%2fadmin",
        "/public%2fx",
        "/public/%2Fx",
        "/tidy/%2e%2e/admin",
        "/tidy/a%2fb",
    ]
    .map(|path| refused(37, path))
    .into();
    cases.extend(
        [
            "/%252e%252e/admin",
            "/%2561dmin",
            "/public/%252f",
            "/public/%25%32%66",
            "/public/%2525x",
        ]
        .map(|path| refused(38, path)),
    );
    // Where no route says that it takes another spelling, the path that it means decides which route refuses it.
    for path in ["/%61dmin", "/adm%69n", "/%61%64%6d%69%6e"] {
        cases.push(refused(37, path));
    }
    cases.push(refused(37, "/public/%7Euser"));
    cases.push(Case::forwarded(
        "37 a route that says normalise",
        get("/tidy/%61b%2Dc/%7Eu?q=%61"),
        |got, _| {
            demand(
                got.target == "/tidy/ab-c/~u?q=%61",
                format!("forwarded {}", got.target),
            )
        },
    ));
    cases.push(literal(37, "/public/caf%C3%A9"));
    cases.push(literal(37, "/public/a%20b"));
    cases.push(literal(38, "/public/100%25"));
    cases
}

/// A trader, who is no admin, asks around `/admin`.
fn near_admin(issuer: &Issuer) -> Vec<Case> {
    let token = token(issuer);
    let asked = |path: &str| get_as(&token, path);
    let nowhere = |path: &str| Case::denied(format!("40 {path:?}"), asked(path), 404, NONE);
    let refused = |path: &str| {
        Case::refused(format!("40 {path:?}"), asked(path), 400, PATH)
            .or_code("request.head")
            .or_code("request.target")
    };
    let missing = |path: &str| {
        Case::denied(
            format!("40 {path:?}"),
            asked(path),
            403,
            "authz.insufficient_scope",
        )
    };
    vec![
        missing("/admin"),
        missing("/admin/"),
        missing("/admin/x"),
        nowhere("/ADMIN"),
        nowhere("/Admin/x"),
        nowhere("/admin."),
        nowhere("/admin%20"),
        nowhere("/adminx"),
        refused("/admin%00"),
        refused("/admin "),
        refused("/admin\u{a0}"),
        refused("/admin;x"),
        refused("/admin%3bx"),
        refused("/admin%09"),
        Case::denied(
            "40 a method in lower case",
            "get /probe HTTP/1.1\r\nHost: a\r\n\r\n",
            405,
            "route.method",
        ),
    ]
}

fn templates(issuer: &Issuer) -> Vec<Case> {
    let token = token(issuer);
    let asked = |path: &str| get_as(&token, path);
    let nowhere_as =
        |id: u32, path: &str| Case::denied(format!("{id} {path}"), asked(path), 404, NONE);
    let refused_as =
        |id: u32, path: &str| Case::refused(format!("{id} {path}"), asked(path), 400, PATH);
    let one = |path: &'static str| {
        Case::forwarded(format!("41 {path}"), asked(path), move |got, _| {
            demand(got.target == path, format!("forwarded {}", got.target))
        })
    };
    vec![
        one("/orders/*"),
        one("/orders/1"),
        one("/orders/a%20b"),
        one("/orders/1?x=/../y"),
        nowhere_as(41, "/orders/a/b"),
        nowhere_as(41, "/orders/"),
        refused_as(41, "/orders/%2f"),
        refused_as(41, "/orders/.."),
        nowhere_as(44, "/orders-admin"),
        nowhere_as(44, "/ordersx"),
        nowhere_as(44, "/order"),
        nowhere(44, "/publicx"),
        nowhere(44, "/public-x/y"),
        refused_as(44, "/orders/../positions"),
        Case::denied(
            "44 another method",
            request("DELETE", "/orders", ""),
            405,
            "route.method",
        ),
    ]
}
