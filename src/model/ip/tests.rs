use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn set(networks: &[&str]) -> CidrSet {
    CidrSet::new(networks.iter().map(|text| Cidr::parse(text).unwrap()))
}

#[test]
fn mapped_addresses_are_the_address_they_carry_and_no_other_form_is() {
    let ten = set(&["10.0.0.0/8"]);
    for (text, inside) in [
        ("10.0.0.5", true),
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("9.255.255.255", false),
        ("::ffff:10.0.0.5", true),
        ("::ffff:11.0.0.5", false),
        ("::10.0.0.5", false),
        ("64:ff9b::10.0.0.5", false),
        ("2002:a00:5::", false),
    ] {
        assert_eq!(ten.contains(address(text)), inside, "{text}");
    }
    assert!(set(&["64:ff9b::/96"]).contains(address("64:ff9b::10.0.0.5")));
    assert!(!set(&["::/0"]).contains(address("::ffff:10.0.0.5")));
    assert!(set(&["0.0.0.0/0"]).contains(address("::ffff:10.0.0.5")));
    assert!(!CidrSet::default().contains(address("0.0.0.0")));
}

#[test]
fn v6_is_counted_by_its_64() {
    assert_eq!(
        counted(address("2001:db8:1:2:3:4:5:6")),
        address("2001:db8:1:2::")
    );
    assert_eq!(counted(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    assert_eq!(counted(address("192.0.2.1")), address("192.0.2.1"));
    assert_eq!(counted(address("::1")), address("::"));
}

#[test]
fn networks_are_written_plainly_or_refused() {
    for text in [
        "10.0.0.0/8",
        "0.0.0.0/0",
        "192.0.2.7",
        "192.0.2.7/32",
        "fd00::/8",
        "::/0",
        "::1",
        "64:ff9b::/96",
    ] {
        assert!(Cidr::parse(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "010.0.0.1",
        "10.0.0.010",
        "0x0a.0.0.1",
        "167772161",
        "10.1",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.1/8",
        "fd00::1/8",
        "::ffff:10.0.0.0/104",
        "::ffff:10.0.0.1",
        "::ffff:0:0/96",
        "::ffff:0.0.0.0/95",
        "fe80::1%eth0",
        "[::1]",
        " 10.0.0.1",
        "10.0.0.1 ",
        "localhost",
    ] {
        assert!(Cidr::parse(text).is_err(), "{text}");
    }
}

#[test]
fn forwarded_entries_are_addresses_or_nothing() {
    for (text, expected) in [
        ("192.0.2.1", Some("192.0.2.1")),
        (" 192.0.2.1\t", Some("192.0.2.1")),
        ("192.0.2.1:80", Some("192.0.2.1")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("[2001:db8::1]:80", Some("2001:db8::1")),
        ("::ffff:192.0.2.1", Some("192.0.2.1")),
        ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
        ("[::ffff:192.0.2.1]:80", Some("192.0.2.1")),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("010.0.0.1", None),
        ("0x0a.0.0.1", None),
        ("167772161", None),
        ("10.1", None),
        ("fe80::1%eth0", None),
        ("[fe80::1%2]:80", None),
        ("[192.0.2.1]", None),
        ("192.0.2.1:", None),
        ("192.0.2.1:99999", None),
        ("\"192.0.2.1\"", None),
        ("for=192.0.2.1", None),
    ] {
        assert_eq!(forwarded_entry(text), expected.map(address), "{text:?}");
    }
}

/// Networks and addresses close to one another, so that borders are met.
fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    let v4 = (0_u32..64, 24_u8..=32).prop_map(|(host, prefix)| {
        let net = ipnet::Ipv4Net::new(Ipv4Addr::from_bits(0x0a00_0000 + host * 4), prefix);
        IpNet::V4(net.unwrap().trunc())
    });
    let v6 = (0_u128..64, 120_u8..=128).prop_map(|(host, prefix)| {
        let net = ipnet::Ipv6Net::new(Ipv6Addr::from_bits((0xfd00 << 112) + host * 4), prefix);
        IpNet::V6(net.unwrap().trunc())
    });
    let wide = prop::sample::select(vec![
        "0.0.0.0/0",
        "255.255.255.255/32",
        "::/0",
        "0.0.0.0/32",
    ])
    .prop_map(|text| text.parse::<IpNet>().unwrap());
    prop::collection::vec(prop_oneof![8 => v4, 8 => v6, 1 => wide], 0..12)
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u32..300).prop_map(|host| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host))),
        (0_u128..300).prop_map(|host| IpAddr::V6(Ipv6Addr::from_bits((0xfd00 << 112) + host))),
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits).to_ipv6_mapped())),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

proptest! {
    #[test]
    fn a_set_says_what_its_networks_say(networks in networks(), addresses in prop::collection::vec(addresses(), 20)) {
        let set = CidrSet::new(networks.iter().copied().map(Cidr));
        for address in addresses {
            let plain = canonical(address);
            let naive = networks.iter().any(|net| net.contains(&plain));
            prop_assert_eq!(set.contains(address), naive, "{} in {:?}", address, networks);
        }
    }

    #[test]
    fn a_forwarded_entry_reads_back(address in addresses(), port in any::<u16>()) {
        let expected = Some(canonical(address));
        prop_assert_eq!(forwarded_entry(&address.to_string()), expected);
        let with_port = SocketAddr::new(address, port).to_string();
        prop_assert_eq!(forwarded_entry(&with_port), expected);
    }
}
