//! Area G: client addresses. Who is believed, and which spellings are none.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::demand_numbers;
use super::framing::anything;
use crate::support::oracle::{Case, Stage, demand};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::world::{OPEN, request};

pub(super) const IDS: &[u32] = &[83, 85, 86];

const DENIED: &str = "ip.denied";

/// 127.0.0.8 and 127.0.0.9 are trusted hops; 127.0.0.66 is denied outright.
fn policy() -> String {
    format!(
        "  client_ip: {{ trusted_cidrs: [127.0.0.8/31, 10.1.0.0/16] }}\n  deny_ips: [127.0.0.66, 10.9.0.0/16, \"fd00:bad::/32\"]\n{OPEN}"
    )
}

#[test]
fn only_trusted_hops_speak_for_others() {
    let cases = forwarded_for();
    let mut stage = Stage::start(&policy());
    for case in cases {
        stage.run(case);
    }
    for (headers, from, client) in resolved() {
        let mut wire = stage.fresh(Some(from.parse().unwrap()));
        let answer = wire.ask(request("GET", "/open/ip", headers)).unwrap();
        let upstream = stage.origin.since(0);
        let last = upstream
            .iter()
            .rev()
            .find(|got| got.target == "/open/ip")
            .unwrap();
        let told = last.one("x-forwarded-for").unwrap_or_default().to_owned();
        let peer = wire.local().to_string();
        stage.expect(
            "85",
            demand(answer.status == 200, format!("{headers:?}: {answer}")),
        );
        stage.expect(
            "85",
            demand(told == client, format!("{headers:?}: forwarded {told:?}")),
        );
        let mut recorded = None;
        stage.sidecar.wait_until("recorded", || {
            let events = stage.sidecar.requests(0);
            recorded = events
                .into_iter()
                .find(|event| event["request"]["peer"] == peer.as_str());
            recorded.is_some()
        });
        let event: Value = recorded.unwrap_or_default();
        let sound = event["request"]["client_ip"] == client && event["actor"]["ip"] == client;
        stage.expect(
            "85",
            demand(sound, format!("{headers:?} from {from}: recorded {event}")),
        );
    }
    stage.settle();
}

/// What is sent, from where, and who it counts as.
fn resolved() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("X-Forwarded-For: 10.0.0.5\r\n", "127.0.0.1", "127.0.0.1"),
        ("X-Forwarded-For: 10.0.0.5\r\n", "127.0.0.9", "10.0.0.5"),
        (
            "X-Forwarded-For: 1.2.3.4, 10.0.0.5, 10.1.0.1\r\n",
            "127.0.0.9",
            "10.0.0.5",
        ),
        (
            "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.0.0.5\r\n",
            "127.0.0.9",
            "10.0.0.5",
        ),
        (
            "X-Forwarded-For: 10.0.0.5\r\nX-Forwarded-For: 10.1.0.1\r\n",
            "127.0.0.9",
            "10.0.0.5",
        ),
        (
            "X-Forwarded-For: 10.0.0.5, unknown\r\n",
            "127.0.0.9",
            "127.0.0.9",
        ),
        (
            "X-Forwarded-For: unknown, 10.0.0.5\r\n",
            "127.0.0.9",
            "10.0.0.5",
        ),
        ("X-Forwarded-For: 10.0.0.5:80\r\n", "127.0.0.9", "10.0.0.5"),
        (
            "X-Forwarded-For: [2001:db8::1]\r\n",
            "127.0.0.9",
            "2001:db8::1",
        ),
        (
            "X-Forwarded-For: ::ffff:10.0.0.5\r\n",
            "127.0.0.9",
            "10.0.0.5",
        ),
        ("X-Forwarded-For: 010.0.0.1\r\n", "127.0.0.9", "127.0.0.9"),
        ("X-Forwarded-For: 0x0a.0.0.1\r\n", "127.0.0.9", "127.0.0.9"),
        ("X-Forwarded-For: 167772161\r\n", "127.0.0.9", "127.0.0.9"),
        ("X-Forwarded-For: 10.1\r\n", "127.0.0.9", "127.0.0.9"),
        (
            "X-Forwarded-For: fe80::1%eth0\r\n",
            "127.0.0.9",
            "127.0.0.9",
        ),
        ("X-Forwarded-For: 10.0.0.5,\r\n", "127.0.0.9", "127.0.0.9"),
        ("Forwarded: for=10.0.0.5\r\n", "127.0.0.9", "127.0.0.9"),
        ("X-Real-IP: 10.0.0.5\r\n", "127.0.0.9", "127.0.0.9"),
    ]
}

fn forwarded_for() -> Vec<Case> {
    let asked = |value: &str| request("GET", "/open/x", &format!("X-Forwarded-For: {value}\r\n"));
    let denied =
        |id: &str, value: &str, from: &str| Case::refused(id, asked(value), 403, DENIED).from(from);
    let passed =
        |id: &str, value: &str, from: &str| Case::forwarded(id, asked(value), anything).from(from);
    let many = vec!["10.1.0.1"; 5000].join(",");
    let some = vec!["10.1.0.1"; 60].join(", ");
    vec![
        denied("85 a denied peer", "10.0.0.5", "127.0.0.66"),
        passed(
            "85 an untrusted peer speaks for a denied one",
            "10.9.0.1",
            "127.0.0.1",
        ),
        denied(
            "85 a trusted peer speaks for a denied one",
            "10.9.0.1",
            "127.0.0.9",
        ),
        denied(
            "85 behind two trusted hops",
            "10.9.0.1, 10.1.0.1",
            "127.0.0.9",
        ),
        passed(
            "85 a denied one left of an untrusted one",
            "10.9.0.1, 10.0.0.5",
            "127.0.0.9",
        ),
        denied("83 mapped", "::ffff:10.9.0.1", "127.0.0.9"),
        denied("83 mapped, in hex", "::ffff:a09:1", "127.0.0.9"),
        passed(
            "83 compatible form is another address",
            "::10.9.0.1",
            "127.0.0.9",
        ),
        passed(
            "83 NAT64 is another address",
            "64:ff9b::10.9.0.1",
            "127.0.0.9",
        ),
        denied("83 IPv6", "fd00:bad::1", "127.0.0.9"),
        denied(
            "83 IPv6 in brackets with a port",
            "[fd00:bad::1]:443",
            "127.0.0.9",
        ),
        Case::refused(
            "85 5000 entries",
            asked(&many),
            431,
            "request.head_too_large",
        )
        .from("127.0.0.9"),
        passed("85 sixty entries", &some, "127.0.0.9"),
        passed(
            "86 an octal spelling is no address",
            "012.011.0.1",
            "127.0.0.9",
        ),
        passed("86 a number is no address", "168361985", "127.0.0.9"),
        passed("86 a short form is no address", "10.9.1", "127.0.0.9"),
    ]
}

#[test]
fn the_numbers_are_complete() {
    demand_numbers(IDS, &forwarded_for());
}

/// 83: an IPv4 client on a listener that takes both families is its IPv4 address.
#[test]
fn an_ipv4_client_of_a_dual_stack_listener_is_itself() {
    let origin = Origin::start();
    let inbound = format!("  deny_ips: [127.0.0.66]\n{OPEN}");
    let setup = Setup {
        listen: "\"[::]:0\"",
        ..Setup::new(&origin.url, &inbound)
    };
    let mut sidecar = Sidecar::start(&setup);
    sidecar.inbound.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut stage = Stage::over(sidecar, origin);
    let asked = request("GET", "/open/x", "");
    let mut wire = stage.fresh(Some("127.0.0.66".parse().unwrap()));
    let answer = wire.ask(&asked).unwrap();
    stage.expect(
        "83",
        demand(
            answer.status == 403,
            format!("the denied address got {answer}"),
        ),
    );
    let mut wire = stage.fresh(Some("127.0.0.67".parse().unwrap()));
    let answer = wire.ask(&asked).unwrap();
    stage.expect(
        "83",
        demand(answer.status == 200, format!("its neighbour got {answer}")),
    );
    let told = stage
        .origin
        .since(0)
        .last()
        .and_then(|got| got.one("x-forwarded-for").map(str::to_owned));
    stage.expect(
        "83",
        demand(
            told.as_deref() == Some("127.0.0.67"),
            format!("forwarded for {told:?}"),
        ),
    );
    drop(wire);
    stage.settle();
}

/// 86: rules with spellings that mean different addresses to different programs.
#[test]
fn rules_with_odd_addresses_are_refused_at_load() {
    for text in [
        "010.0.0.1",
        "0x0a.0.0.1",
        "167772161",
        "10.1",
        "10.0.0.0/33",
        "fe80::1%eth0",
        "10.0.0.1/8",
        "::ffff:10.0.0.0/104",
        "10.0.0.0/08",
    ] {
        let origin = Origin::start();
        let inbound = format!("  deny_ips: [\"{text}\"]\n{OPEN}");
        let (code, said) = Sidecar::fails_to_start(&Setup::new(&origin.url, &inbound));
        assert_eq!(code, Some(78), "{text}: {said}");
        assert!(said.contains(text), "{text} is not named: {said}");
    }
}
