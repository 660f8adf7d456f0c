//! The address lists: both families, mapped forms, precedence, listener and route, and lists of 100,000 networks.

use outrider::decide::Said;
use outrider::model::denial::Cause;
use outrider::pipeline::Verdict;

use crate::support::{ask, get, line, policy, refusable};
use crate::work::{MUCH, worked};

const OPEN: &str = "- { name: open, match: { path: /** }, anonymous: true }";

#[test]
fn lists_of_the_listener() {
    let lists = "allow_ips: [10.0.0.0/8, 192.0.2.7, \"fd00::/8\", \"2001:db8:1::/48\"]\n\
                 deny_ips: [10.66.0.0/16, \"fd00:bad::/32\"]";
    let snapshot = policy(lists, OPEN);
    for (address, may) in [
        ("10.0.0.0", true),
        ("10.255.255.255", true),
        ("9.255.255.255", false),
        ("11.0.0.0", false),
        ("10.65.255.255", true),
        ("10.66.0.0", false),
        ("10.66.255.255", false),
        ("10.67.0.0", true),
        ("192.0.2.7", true),
        ("192.0.2.6", false),
        ("192.0.2.8", false),
        ("127.0.0.1", false),
        ("fd00::1", true),
        ("fdff:ffff::1", true),
        ("fe00::1", false),
        ("fd00:bad::1", false),
        ("fd00:bae::1", true),
        ("2001:db8:1:ffff::1", true),
        ("2001:db8:2::1", false),
        ("::1", false),
        // Case 83: the mapped form is the IPv4 address it carries; NAT64 and the compatible form are not.
        ("::ffff:10.0.0.5", true),
        ("::ffff:10.66.0.5", false),
        ("::ffff:11.0.0.1", false),
        ("::10.0.0.5", false),
        ("64:ff9b::a00:5", false),
    ] {
        let refused = get().from(address).refusal(&snapshot);
        assert_eq!(refused, (!may).then_some(Cause::Ip), "{address}");
    }
}

#[test]
fn a_deny_list_holds_against_an_allow_list_that_is_narrower() {
    let lists = "allow_ips: [10.66.1.1]\ndeny_ips: [10.66.0.0/16]";
    let snapshot = policy(lists, OPEN);
    let found = get().from("10.66.1.1").explained(&snapshot);
    assert_eq!(line(&found, "inbound/deny_ips").said, Said::Deny(Cause::Ip));
    assert_eq!(line(&found, "inbound/allow_ips").said, Said::Pass);
    let Verdict::Refused(denial) = found.verdict else {
        panic!("a denied address passed");
    };
    assert_eq!(denial.rule.unwrap().to_string(), "inbound/deny_ips");
}

#[test]
fn a_deny_list_alone_lets_everybody_else_in() {
    let snapshot = policy("deny_ips: [\"::/0\"]", OPEN);
    assert_eq!(get().from("192.0.2.1").refusal(&snapshot), None);
    assert_eq!(
        get().from("2001:db8::1").refusal(&snapshot),
        Some(Cause::Ip)
    );
    assert_eq!(get().from("::ffff:192.0.2.1").refusal(&snapshot), None);
}

#[test]
fn a_route_has_lists_of_its_own_and_cannot_widen_the_listeners() {
    let routes = "- { name: inner, match: { path: /inner }, anonymous: true, allow_ips: [0.0.0.0/0], deny_ips: [10.7.0.0/16] }\n\
                  - { name: outer, match: { path: /outer }, anonymous: true }";
    let snapshot = policy("allow_ips: [10.0.0.0/8]", routes);
    for (path, address, rule) in [
        ("/inner", "10.1.0.1", None),
        ("/inner", "10.7.0.1", Some("inner/deny_ips")),
        ("/outer", "10.7.0.1", None),
        ("/inner", "192.0.2.1", Some("inbound/allow_ips")),
        ("/outer", "192.0.2.1", Some("inbound/allow_ips")),
    ] {
        let denial = ask("GET", path).from(address).live(&snapshot).err();
        let by = denial.map(|denial| denial.rule.unwrap().to_string());
        assert_eq!(by.as_deref(), rule, "{path} from {address}");
    }
}

#[test]
fn an_address_is_refused_before_it_learns_which_paths_exist() {
    let snapshot = policy(
        "deny_ips: [192.0.2.0/24]",
        "- { name: a, match: { path: /a } }",
    );
    for path in ["/a", "/b"] {
        let request = ask("GET", path).from("192.0.2.1");
        assert_eq!(request.refusal(&snapshot), Some(Cause::Ip), "{path}");
    }
}

#[test]
fn only_a_trusted_hop_speaks_for_another_address() {
    let listener = "client_ip: { trusted_cidrs: [10.0.0.0/8] }\ndeny_ips: [192.0.2.0/24]";
    let snapshot = policy(listener, OPEN);
    for (peer, forwarded, refused) in [
        ("10.0.0.1", "192.0.2.9", true),
        ("10.0.0.1", "198.51.100.1", false),
        ("10.0.0.1", "198.51.100.1, 192.0.2.9", true),
        ("10.0.0.1", "192.0.2.9, 198.51.100.1", false),
        ("10.0.0.1", "192.0.2.9, 10.0.0.2", true),
        ("10.0.0.1", "::ffff:192.0.2.9", true),
        ("203.0.113.1", "192.0.2.9", false),
        ("192.0.2.9", "198.51.100.1", true),
    ] {
        let request = get().from(peer).with("x-forwarded-for", forwarded);
        let refusal = request.refusal(&snapshot);
        assert_eq!(
            refusal,
            refused.then_some(Cause::Ip),
            "{forwarded} by {peer}"
        );
    }
}

#[test]
fn case_86_odd_spellings_of_addresses_are_refused_at_load() {
    for spelt in [
        "010.0.0.1",
        "0x0a.0.0.1",
        "167772161",
        "10.1",
        "\"fe80::1%eth0\"",
        "10.0.0.1/8",
        "\"::ffff:10.0.0.0/104\"",
        "\"::ffff:10.0.0.1\"",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/",
        "localhost",
        "\"*\"",
    ] {
        for key in ["deny_ips", "allow_ips"] {
            let listener = format!("{key}: [{spelt}]");
            assert!(refusable(&listener, OPEN).is_err(), "{listener}");
        }
    }
    assert!(refusable("allow_ips: []", OPEN).is_err());
    assert!(
        refusable("deny_ips: []", OPEN).is_ok(),
        "nobody is on that list"
    );
}

#[test]
fn a_hundred_thousand_networks_load_and_are_found() {
    let listed = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        // Every second /32 of 10.0.0.0/8, so that no two merge.
        [10, a, b, c]
    };
    let v4 = (0..50_000u32).map(|n| {
        let [a, b, c, d] = listed(n * 2);
        format!("  - {a}.{b}.{c}.{d}\n")
    });
    let v6 = (0..50_000u32).map(|n| {
        let (high, low) = ((n * 2) >> 16, (n * 2) & 0xffff);
        format!("  - \"2001:db8:{high:x}:{low:x}::/64\"\n")
    });
    let list: String = v4.chain(v6).collect();
    let before = worked();
    let snapshot = policy(&format!("deny_ips:\n{list}"), OPEN);
    assert!(worked() - before < MUCH, "{:?}", worked() - before);
    for n in (0..100_000u32).step_by(997) {
        let [a, b, c, d] = listed(n);
        let v4 = get().from(&format!("{a}.{b}.{c}.{d}"));
        let v6 = get().from(&format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff));
        let expected = n.is_multiple_of(2).then_some(Cause::Ip);
        assert_eq!(v4.refusal(&snapshot), expected, "{n}");
        assert_eq!(v6.refusal(&snapshot), expected, "{n}");
    }
    let before = worked();
    for n in 0..10_000u32 {
        let [a, b, c, d] = listed(n);
        let request = get().from(&format!("{a}.{b}.{c}.{d}"));
        assert_eq!(request.spent(&snapshot).is_some(), n.is_multiple_of(2));
    }
    // Each a walk through the list would be a hundred times that.
    assert!(worked() - before < MUCH, "{:?}", worked() - before);
}
