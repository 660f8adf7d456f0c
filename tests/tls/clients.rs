//! Client certificates: who is let in, and what becomes of the names.

use serde_json::Value;

use crate::authority::{Authority, client_of, self_signed};
use crate::client::Client;
use crate::sidecar::{Sidecar, outrider, refusals};

const HOST: &str = "orders.jts.local";

const ROUTES: &str = "  routes:
    - { name: open, match: { path: /open }, anonymous: true }
    - { name: any, match: { path: /any }, anonymous: true, require: { client_certificate: true } }
    - { name: bot, match: { path: /bot }, anonymous: true, require: { client_certificate: { uris: ['spiffe://prod.jts/bot'] } } }
    - { name: desk, match: { path: /desk }, anonymous: true, require: { client_certificate: { subjects: ['CN=desk,O=JTS\\, Inc.'], dns: [desk.jts.local], emails: [desk@jts.example] } } }
";

fn start(authority: &Authority, auth: &str) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    authority.server(&[HOST]).write(folder.path(), "tls");
    std::fs::write(folder.path().join("ca.crt"), &authority.pem).unwrap();
    let tls = format!(
        "  tls: {{ certificate: tls.crt, key: tls.key, client_ca: ca.crt{auth} }}\n{ROUTES}"
    );
    Sidecar::start(folder, &tls)
}

#[test]
fn optional_certificates_are_required_by_routes() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "");
    let (bot, desk) = (authority.client("bot"), authority.client("desk"));
    let nobody = Client::new(&authority, HOST, None);
    let bot = Client::new(&authority, HOST, Some(&bot));
    let desk = Client::new(&authority, HOST, Some(&desk));
    for (who, client, statuses) in [
        ("nobody", &nobody, ["200", "403", "403", "403"]),
        ("bot", &bot, ["200", "200", "200", "403"]),
        ("desk", &desk, ["200", "200", "403", "200"]),
    ] {
        for (path, status) in ["/open", "/any", "/bot", "/desk"].into_iter().zip(statuses) {
            let answer = client.send(sidecar.inbound, path, &[]).unwrap();
            assert_eq!(answer.status(), status, "{who} {path}: {}", answer.text);
        }
    }
    let codes: Vec<String> = refusals(&sidecar.events())
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    let missing = "authn.certificate_required";
    let other = "authz.certificate";
    assert_eq!(codes, [missing, missing, missing, other, other]);
}

#[test]
fn names_reach_the_service_and_the_audit_and_cannot_be_claimed() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "");
    let claimed = [
        "outrider-client: subject=CN=admin",
        "Outrider_Client: subject=CN=admin",
    ];
    let nobody = Client::new(&authority, HOST, None);
    for claim in claimed {
        let answer = nobody.send(sidecar.inbound, "/open", &[claim]).unwrap();
        assert_eq!(answer.status(), "200");
        assert!(!answer.text.contains("admin"), "{}", answer.text);
    }
    let made = authority.client("bot");
    let bot = Client::new(&authority, HOST, Some(&made));
    let answer = bot.send(sidecar.inbound, "/bot", &claimed[..1]).unwrap();
    assert!(!answer.text.contains("admin"), "{}", answer.text);
    let told = "subject=CN=bot%2CO=JTS\\%2C%20Inc.,uri=spiffe://prod.jts/bot,dns=bot.jts.local,email=bot@jts.example";
    assert!(answer.text.contains(told), "{}", answer.text);
    // A resumed session knows the certificate as well.
    let again = bot.send(sidecar.inbound, "/bot", &[]).unwrap();
    assert!(again.resumed && again.text.contains(told), "{}", again.text);

    let events = sidecar.events();
    let actors: Vec<&Value> = events
        .iter()
        .filter_map(|event| event.get("actor"))
        .collect();
    let auth = |actor: &&Value| actor.get("auth").and_then(Value::as_str).map(str::to_owned);
    let all: Vec<_> = actors.iter().filter_map(auth).collect();
    assert_eq!(all, ["none", "none", "mtls", "mtls"]);
    let holder = actors.last().unwrap();
    assert_eq!(holder.get("id").unwrap(), "spiffe://prod.jts/bot");
    assert_eq!(
        holder.pointer("/certificate/subject").unwrap(),
        "CN=bot,O=JTS\\, Inc."
    );
    assert_eq!(
        holder
            .pointer("/certificate/sha256")
            .unwrap()
            .as_str()
            .unwrap()
            .len(),
        64
    );
}

#[test]
fn a_listener_that_requires_one_lets_nobody_else_in() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, ", client_certificate: required");
    let good = authority.client("bot");
    let good = Client::new(&authority, HOST, Some(&good));
    assert_eq!(
        good.send(sidecar.inbound, "/open", &[]).unwrap().status(),
        "200"
    );
    assert!(
        Client::new(&authority, HOST, None)
            .send(sidecar.inbound, "/open", &[])
            .is_err()
    );
    let told = refusals(&sidecar.events());
    let expected = (
        "tls.client_certificate".to_owned(),
        "no client certificate was shown".to_owned(),
    );
    assert_eq!(told, [expected]);
}

#[test]
fn a_certificate_that_is_not_good_is_refused_even_where_none_is_needed() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "");
    let (mut expired, mut early, mut server) =
        (client_of("bot"), client_of("bot"), client_of("bot"));
    (expired.from, expired.until) = (-20, -10);
    (early.from, early.until) = (10, 20);
    server.purpose = rcgen::ExtendedKeyUsagePurpose::ServerAuth;
    let dated = "the client certificate is expired or not yet valid";
    let issuer = "the client certificate is not from `client_ca`";
    let cases = [
        (authority.make(expired), dated),
        (authority.make(early), dated),
        // The same names from another CA, also from one that calls itself the same.
        (Authority::new("other").client("bot"), issuer),
        (Authority::new("ca").client("bot"), issuer),
        (self_signed(client_of("bot")), issuer),
        (
            authority.make(server),
            "the client certificate is not valid for a client",
        ),
    ];
    for (number, (made, _)) in cases.iter().enumerate() {
        let client = Client::new(&authority, HOST, Some(made));
        assert!(client.send(sidecar.inbound, "/open", &[]).is_err());
        // The client hears of it before it is on record, and the next may be another worker's.
        sidecar.wait_until("on record", || refusals(&sidecar.audit()).len() > number);
    }
    let told = refusals(&sidecar.events());
    let expected = cases
        .iter()
        .map(|(_, why)| ("tls.client_certificate".to_owned(), (*why).to_owned()));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[test]
fn explain_and_policy_tests_take_a_certificate() {
    let authority = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    authority.client("bot").write(path, "bot");
    // Neither needs the listener's own key.
    let tls = format!("  tls: {{ certificate: no.crt, key: no.key, client_ca: no.crt }}\n{ROUTES}");
    crate::sidecar::check(path, &tls);
    let ask = |more: &[&str]| {
        let question = ["explain", "-c", "sidecar.yaml", "--path", "/bot"];
        let output = outrider(&[&question[..], more].concat(), path);
        String::from_utf8(output.stdout).unwrap()
    };
    let without = ask(&[]);
    assert!(
        without.contains("denied: 403 authn.certificate_required"),
        "{without}"
    );
    let with = ask(&["--certificate", "bot.crt"]);
    assert!(
        with.contains("allowed") && with.contains("certificate of spiffe://prod.jts/bot"),
        "{with}"
    );

    let cases = "cases:
  - { name: bot, request: { path: /bot }, certificate: { uris: ['spiffe://prod.jts/bot'] }, expect: { decision: allow, route: bot } }
  - { name: desk, request: { path: /desk }, certificate: { subject: 'CN=desk,O=JTS\\, Inc.' }, expect: { decision: allow } }
  - { name: other, request: { path: /bot }, certificate: { subject: CN=bot }, expect: { decision: deny, code: authz.certificate, rule: bot/require.client_certificate } }
  - { name: none, request: { path: /any }, expect: { decision: deny, status: 403, code: authn.certificate_required } }
";
    std::fs::write(path.join("cases.yaml"), cases).unwrap();
    let output = outrider(&["test", "-c", "sidecar.yaml", "cases.yaml"], path);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
