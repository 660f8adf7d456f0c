//! What is a pin, what is a set of them, and what is refused where.

use super::*;
use crate::model::decode::{describe_section, read_section};

const ONE: &str = "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=";
const OTHER: &str = "sha256/i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CY=";
const SHARED_KEY: &str = "sha256/QoH2+wIocE83ZkR4/oyn5ru2JtE+/ZrYS9brNjujldU=";

fn place(column: u32) -> Place {
    Place::File {
        line: 1,
        column,
        offset: 0,
        length: 1,
    }
}

fn scalar(text: &str) -> Node {
    Node {
        value: Value::Scalar {
            text: text.to_owned(),
            quoted: false,
        },
        place: Place::Default,
    }
}

/// A list whose items stand in columns 1, 2, 3, itself in column 9.
fn list(pins: &[&str]) -> Node {
    let items = (1..).zip(pins).map(|(column, pin)| Node {
        place: place(column),
        ..scalar(pin)
    });
    Node {
        value: Value::List(items.collect()),
        place: place(9),
    }
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(key, value): (&str, Node)| Entry {
        key: key.to_owned(),
        key_place: place(8),
        value,
    };
    Node {
        value: Value::Map(entries.into_iter().map(entry).collect()),
        place: place(7),
    }
}

fn read(entries: Vec<(&str, Node)>) -> Result<Option<PinSettings>, Vec<(u32, String)>> {
    let mut faults = Faults::default();
    let read = read_section(&map(entries), &mut faults, |fields| {
        Some(PinSettings::read(fields))
    });
    match (read, faults.any_error()) {
        (Some(settings), false) => Ok(settings),
        (None, true) => Err(told(faults)),
        (read, _) => panic!("{read:?} and {faults:?}"),
    }
}

fn told(faults: Faults) -> Vec<(u32, String)> {
    let column = |place: &Place| match place {
        Place::File { column, .. } => *column,
        Place::Env(_) | Place::Default => 0,
    };
    let faults = faults.into_sorted().into_iter();
    faults
        .map(|fault| (column(&fault.place), fault.message))
        .collect()
}

#[test]
fn a_pin_has_one_spelling() {
    for good in [ONE, OTHER, SHARED_KEY] {
        assert_eq!(SpkiPin::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "sha256/",
        "++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI",
        "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI==",
        // The last character would have bits that mean nothing.
        "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aJ=",
        "sha256/--MBgDH5WGvL9Bcn5Be30cRcL0f5O-NyoXuWtQdX1aI=",
        "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1Q==",
        "sha256//++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        "SHA256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        "sha1/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        " sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        "sha256/++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI= ",
        "sha256/ ++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=",
        "sha256:4ac4ba9c0fab4f3d8a9dbd1ff1f8a1e9b3a0a9e2f8ecbbd0a5f0d0ef0ca0bb9a",
    ] {
        assert!(SpkiPin::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_set_has_two_keys_at_least() {
    let pin = |number| SpkiPin::of_digest([number; 32]);
    let set = |pins: &[u8]| {
        let pins = pins.iter().map(|number| pin(*number));
        PinSet::new(pins, PinMode::Enforce, None)
    };
    for few in [&[][..], &[1], &[1, 1, 1]] {
        assert!(set(few).is_err(), "{few:?}");
    }
    let many: Vec<u8> = (0..33).collect();
    assert!(set(&many).is_err());
    let two = set(&[2, 1, 2]).unwrap();
    assert!(two.holds(pin(1)) && two.holds(pin(2)) && !two.holds(pin(3)));
}

#[test]
fn a_list_is_for_every_host_and_a_map_for_those_it_names() {
    let settings = read(vec![("pins", list(&[ONE, OTHER]))]).unwrap().unwrap();
    for host in ["api.example", "stream.example"] {
        let set = &settings.of_host(host).unwrap().value;
        assert_eq!(
            (set.pins().len(), set.mode(), set.expires()),
            (2, PinMode::Enforce, None)
        );
    }
    let hosts = map(vec![("API.example", list(&[ONE, OTHER]))]);
    let entries = vec![
        ("pins", hosts),
        ("pin_mode", scalar("report")),
        ("pins_expire", scalar("2027-06-30")),
    ];
    let settings = read(entries).unwrap().unwrap();
    let set = &settings.of_host("api.example").unwrap().value;
    assert_eq!(set.mode(), PinMode::Report);
    // 2027-06-30T00:00:00Z
    assert_eq!(set.expires(), Some(1_814_313_600));
    assert!(!set.is_expired(1_814_313_599) && set.is_expired(1_814_313_600));
    assert!(settings.of_host("stream.example").is_none());
    assert!(read(Vec::new()).unwrap().is_none());
}

/// The one fault of a section.
fn refused(entries: Vec<(&str, Node)>) -> (u32, String) {
    let mut faults = read(entries).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

#[test]
fn what_pins_nothing_is_refused_at_its_place() {
    let short = "`sha256/AAAA` is not a pin: SHA-256 has 32 bytes, and this has 3";
    let shared = "a pin that proves nothing: Interactive Brokers ships this key";
    let two = || list(&[ONE, OTHER]);
    let table: [(Node, u32, &str); 9] = [
        (list(&[]), 9, "there is no pin; that would mean every key"),
        (list(&[ONE]), 9, "there is one pin, and none to change to"),
        (list(&[ONE, ONE]), 2, "the same pin stands here twice"),
        (list(&[ONE, "sha256/AAAA"]), 2, short),
        (list(&[ONE, SHARED_KEY]), 2, shared),
        (map(Vec::new()), 7, "expected a list of pins, found"),
        (scalar(ONE), 0, "expected a list of pins, found"),
        (
            map(vec![("a", list(&[ONE]))]),
            9,
            "there is one pin, and none to change to",
        ),
        (
            map(vec![("a", two()), ("A", two())]),
            8,
            "the host `a` stands here twice",
        ),
    ];
    for (pins, column, message) in table {
        let (at, said) = refused(vec![("pins", pins)]);
        assert_eq!(at, column, "{said}");
        assert!(said.starts_with(message), "{said}");
    }
}

#[test]
fn what_belongs_to_pins_is_nothing_without_them() {
    for (key, value) in [("pin_mode", "report"), ("pins_expire", "2027-06-30")] {
        let (_, said) = refused(vec![(key, scalar(value))]);
        assert_eq!(said, format!("`{key}` is given, but there are no pins"));
    }
    let pinned = |key, value| read(vec![("pins", list(&[ONE, OTHER])), (key, scalar(value))]);
    assert!(pinned("pin_mode", "off").is_err());
    for day in [
        "2027-02-30",
        "2027-6-30",
        "30.06.2027",
        "2027-06-30T00:00:00Z",
        "20270630",
        "",
    ] {
        assert!(pinned("pins_expire", day).is_err(), "{day}");
    }
}

#[test]
fn a_map_names_the_hosts_that_are_connected_to_and_no_others() {
    let hosts = map(vec![("api.example", list(&[ONE, OTHER]))]);
    let settings = read(vec![("pins", hosts)]).unwrap().unwrap();
    let judged = |hosts: &[&str]| {
        let mut faults = Faults::default();
        settings.judge(hosts, &mut faults);
        told(faults)
            .into_iter()
            .map(|(_, message)| message)
            .collect::<Vec<_>>()
    };
    assert!(judged(&["api.example"]).is_empty());
    assert_eq!(
        judged(&["api.example", "ws.example"]),
        ["there are no pins for the host `ws.example`"]
    );
    assert_eq!(
        judged(&["ap.example"]),
        [
            "there are no pins for the host `ap.example`",
            "pins for `api.example`, which nothing here connects to"
        ]
    );
}

#[test]
fn the_schema_says_the_same() {
    let schema = describe_section(|fields| Some(PinSettings::read(fields)));
    for key in ["pins", "pin_mode", "pins_expire"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let list = &schema["properties"]["pins"]["anyOf"][0];
    assert_eq!(list["minItems"], 2);
    assert_eq!(schema["properties"]["pin_mode"]["default"], "enforce");
}
