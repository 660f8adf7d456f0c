//! Area E: tokens. Every bad one is answered alike; why it is bad stands only in the record.

use serde_json::json;

use super::demand_numbers;
use super::framing::anything;
use crate::support::oracle::{Case, demand};
use crate::support::tokens::Issuer;
use crate::support::wire::Response;
use crate::world::{get_as, guarded, issuer, now, stage, token_with};

use claims::{audiences, times};
use headers::{algorithms, confused, critical, embedded, signatures};
use shapes::{places, structures};

mod claims;
mod headers;
mod shapes;

pub(super) const IDS: &[u32] = &[58, 59, 62, 64, 65, 67, 70, 71, 76];
/// Cases that look at the clock.
pub(super) const TIMED: &[u32] = &[68, 74];

const INVALID: &str = "authn.invalid_token";

#[test]
fn forged_headers_and_signatures_are_refused() {
    let issuer = issuer();
    run(
        &issuer,
        vec![
            confused(&issuer),
            algorithms(&issuer),
            embedded(&issuer),
            critical(&issuer),
            signatures(&issuer),
        ],
    );
}

#[test]
fn wrong_claims_are_refused() {
    let issuer = issuer();
    run(&issuer, vec![times(&issuer), audiences(&issuer)]);
}

#[test]
fn what_is_no_token_is_refused() {
    let issuer = issuer();
    run(&issuer, vec![structures(&issuer), places(&issuer)]);
}

#[test]
fn the_numbers_are_complete() {
    let issuer = issuer();
    let all = [
        confused(&issuer),
        algorithms(&issuer),
        embedded(&issuer),
        critical(&issuer),
        signatures(&issuer),
        times(&issuer),
        audiences(&issuer),
        structures(&issuer),
        places(&issuer),
    ];
    let all: Vec<Case> = all.into_iter().flatten().map(|(case, _)| case).collect();
    demand_numbers(IDS, &all);
}

/// A case's name, the claims that differ, in seconds from the moment in which the token is made, and why it is refused.
type Edge = (
    &'static str,
    &'static [(&'static str, i64)],
    Option<&'static str>,
);

/// How far the clocks of an issuer and of a sidecar may be apart.
const SKEW: i64 = 30;

/// 68: the table of edges, as far as a real clock lets it be exact: on the side to which time goes with room for a machine
/// that does much else.
#[test]
fn the_edges_of_time() {
    let issuer = issuer();
    let mut stage = stage(&guarded(), &issuer);
    let edges: [Edge; 10] = [
        (
            "exp long past",
            &[("iat", -900), ("exp", -SKEW - 2)],
            Some("expired"),
        ),
        (
            "exp just past, within the skew",
            &[("iat", -900), ("exp", -SKEW + 20)],
            None,
        ),
        ("exp now", &[("iat", -900), ("exp", 0)], None),
        ("nbf within the skew", &[("nbf", SKEW - 2)], None),
        ("nbf ahead", &[("nbf", SKEW + 20)], Some("not_yet_valid")),
        (
            "nbf far ahead",
            &[("nbf", 3600), ("exp", 7200)],
            Some("not_yet_valid"),
        ),
        ("iat within the skew", &[("iat", SKEW - 2)], None),
        (
            "iat ahead by an hour",
            &[("iat", 3600), ("exp", 7200)],
            Some("issued_in_future"),
        ),
        (
            "exp before iat",
            &[("iat", 0), ("exp", -5)],
            Some("lifetime"),
        ),
        (
            "a life of two days",
            &[("iat", 0), ("exp", 172_800)],
            Some("lifetime"),
        ),
    ];
    for (name, claims, reason) in edges {
        let now = now();
        let changes = claims.iter().map(|(claim, from)| {
            let claim = (*claim).to_owned();
            (claim, json!(now + from))
        });
        let token = token_with(&issuer, &changes.collect());
        stage.secrets.push(token.clone());
        let asked = get_as(&token, "/orders/1");
        let id = format!("68 {name}");
        stage.run(match reason {
            Some(reason) => Case::denied(id, asked, 401, INVALID).because(reason),
            None => Case::forwarded(id, asked, anything),
        });
    }
    stage.settle();
}

/// 74: a cached token ends with its time, also in the middle of a connection.
#[test]
fn a_cached_token_expires_on_its_connection() {
    let issuer = issuer();
    let exact = guarded().replace(
        "audience: order-gateway",
        "audience: order-gateway\n    clock_skew: 0s",
    );
    let mut stage = stage(&exact, &issuer);
    let end = now() + 8;
    let token = token_with(&issuer, &json!({"exp": end}));
    stage.secrets.push(token.clone());
    let mut wire = stage.fresh(None);
    let first = wire.ask(get_as(&token, "/orders/1")).unwrap();
    let second = wire.ask(get_as(&token, "/orders/2")).unwrap();
    stage.expect(
        "74",
        demand(
            first.status == 200 && second.status == 200,
            format!("at first {first}, {second}"),
        ),
    );
    while now() <= end {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let third = wire.ask(get_as(&token, "/orders/3")).unwrap();
    stage.expect(
        "74",
        demand(
            third.status == 401 && third.code().as_deref() == Some(INVALID),
            format!("then {third}"),
        ),
    );
    drop(wire);
    stage.settle();
}

/// A case and the token in it.
type Sent = (Case, String);

fn run(issuer: &Issuer, groups: Vec<Vec<Sent>>) {
    let mut stage = stage(&guarded(), issuer);
    for (case, token) in groups.into_iter().flatten() {
        // A short piece of text is no secret that could be looked for.
        if token.len() > 40 {
            stage.secrets.push(token);
        }
        stage.run(case);
    }
    stage.settle();
}

/// A bad token: 401, the same words as for every other, the reason only in the record.
fn bad(id: String, token: String, reason: &'static str) -> Sent {
    let case = Case::denied(id, get_as(&token, "/orders/1"), 401, INVALID).because(reason);
    (case, token)
}

fn good(id: &str, token: String) -> Sent {
    let case = Case::forwarded(id, get_as(&token, "/orders/1"), |got, response| {
        demand(!got.has("authorization"), "the token is forwarded")?;
        anything(got, response)
    });
    (case, token)
}

/// The answers to bad tokens tell nothing about why: alike but for the request's id.
#[test]
fn bad_tokens_are_answered_alike() {
    let issuer = issuer();
    let mut stage = stage(&guarded(), &issuer);
    let groups = [audiences(&issuer), signatures(&issuer), critical(&issuer)];
    let mut seen = Vec::new();
    for (case, _) in groups
        .into_iter()
        .flatten()
        .filter(|(case, _)| case.detail.is_some())
    {
        let mut wire = stage.fresh(None);
        let response = wire.ask(&case.pieces[0]).unwrap();
        seen.push(without_id(&case.id, &response));
    }
    let (first_id, headers, body) = seen[0].clone();
    for (id, other_headers, other_body) in seen {
        let alike = other_headers == headers && other_body == body;
        stage.expect(
            &id,
            demand(
                alike,
                format!("not answered as {first_id}: {other_headers:?} {other_body}"),
            ),
        );
    }
    stage.settle();
}

/// The case, and what must be the same in every answer: the fields and the body.
type Alike = (String, Vec<(String, String)>, String);

fn without_id(case: &str, response: &Response) -> Alike {
    let id = response.one("x-request-id").unwrap_or_default();
    let body = response.text().replace(id, "ID");
    let varies =
        |name: &str| ["x-request-id", "date"].contains(&name.to_ascii_lowercase().as_str());
    let headers = response.headers.iter().filter(|(name, _)| !varies(name));
    (case.to_owned(), headers.cloned().collect(), body)
}
