//! The tree of nodes: every place slices back to what was written, and hostile documents end soon.

use outrider::config::yaml;
use outrider::model::fault::Faults;
use outrider::model::node::{Node, Place, Value};
use proptest::prelude::*;

use crate::work::{MUCH, worked};

fn parse(text: &str) -> Option<Node> {
    yaml::parse(text, &mut Faults::default())
}

/// What the place cuts out of the text; line and column must say the same.
fn cut<'t>(text: &'t str, place: &Place) -> &'t str {
    let Place::File {
        line,
        column,
        offset,
        length,
    } = place
    else {
        panic!("{place:?} is not in the file");
    };
    let before = &text[..*offset];
    assert_eq!(before.matches('\n').count() + 1, *line as usize);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    assert_eq!(before[start..].chars().count() + 1, *column as usize);
    &text[*offset..offset + length]
}

/// Every key and scalar stands where its place says, and means what is written there.
fn places_hold(text: &str, node: &Node) {
    match &node.value {
        Value::Null => {}
        Value::Scalar {
            text: value,
            quoted: false,
        } => assert_eq!(cut(text, &node.place), value),
        Value::Scalar { quoted: true, .. } => {
            let written = cut(text, &node.place);
            assert!(
                written.starts_with(['"', '\'']) && written.len() >= 2,
                "{written}"
            );
        }
        Value::List(items) => items.iter().for_each(|item| places_hold(text, item)),
        Value::Map(entries) => {
            for entry in entries {
                // A key in quotes stands with them.
                assert_eq!(cut(text, &entry.key_place).trim_matches('\''), entry.key);
                places_hold(text, &entry.value);
            }
        }
    }
}

#[test]
fn plain_scalars_mean_what_is_written() {
    let written = [
        "0755", "1.10", "no", "on", "1_000", "0x1F", "1e3", "12:30", "100/min", "Null", ".inf",
    ];
    for text in written {
        let node = parse(&format!("key: {text}")).unwrap();
        let Value::Scalar {
            text: value,
            quoted,
        } = &node.get("key").unwrap().value
        else {
            panic!("{text} is not a scalar");
        };
        assert_eq!((value.as_str(), *quoted), (text, false));
    }
}

#[test]
fn quoted_and_block_scalars_are_read_through() {
    let text =
        "a: \"tab\\there\"\nb: 'it''s'\nc: |\n  two\n  lines\nd: >-\n  one\n  line\ne: \"null\"\n";
    let node = parse(text).unwrap();
    let read = |key: &str| match &node.get(key).unwrap().value {
        Value::Scalar { text, quoted: true } => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(read("a"), "tab\there");
    assert_eq!(read("b"), "it's");
    assert_eq!(read("c"), "two\nlines\n");
    assert_eq!(read("d"), "one line");
    assert_eq!(read("e"), "null");
}

#[test]
fn nothing_is_nothing_in_each_spelling() {
    let node = parse("a:\nb: ~\nc: null\nd: {e: }\n").unwrap();
    for key in ["a", "b", "c"] {
        assert!(matches!(node.get(key).unwrap().value, Value::Null), "{key}");
    }
}

#[test]
fn maps_and_lists_have_their_whole_extent() {
    let text = "a: { b: [1, 2] } # c\nd:\n  - x: 1\n    y: 2\nz: 0\n";
    let node = parse(text).unwrap();
    assert_eq!(cut(text, &node.get("a").unwrap().place), "{ b: [1, 2] }");
    assert_eq!(cut(text, &node.get("d").unwrap().place), "- x: 1\n    y: 2");
}

#[test]
fn byte_order_mark_and_windows_line_ends_are_read() {
    let text = "\u{feff}a: x\r\nb: y\r\n";
    let node = parse(text).unwrap();
    assert!(node.get("a").is_some() && node.get("b").is_some());
}

#[test]
fn hostile_documents_end_soon() {
    let laughs: String = (0..60)
        .map(|at| {
            format!(
                "a{at}: &a{at} [{}]\n",
                vec![format!("*a{}", at.max(1) - 1); 9].join(", ")
            )
        })
        .collect();
    let deep_flow = "[".repeat(1_000_000);
    let deep_block: String = (0..5_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let wide = format!("a: [{}]", "1, ".repeat(1_000_000));
    let same = "a: 1\n".repeat(50_000);
    let big = " ".repeat(yaml::DOCUMENT_BYTES_MAX + 1);
    for text in [laughs, deep_flow, deep_block, wide, same, big] {
        let before = worked();
        assert!(parse(&text).is_none());
        assert!(worked() - before < MUCH, "{} bytes", text.len());
    }
}

#[test]
fn a_hundred_thousand_networks_fit() {
    let list: String = (0..100_000)
        .map(|at| format!("- 10.{}.{}.0/24\n", at / 256 % 256, at % 256))
        .collect();
    assert!(parse(&list).is_some());
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9äöü€][a-zA-Z0-9/._äöü€-]{0,12}",
        "[a-z]{1,4} [0-9]{1,4}",
        "[ -~äöü€]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        "[ a-zäöü€]{0,12}".prop_map(|text| format!("\"{text}\\n\"")),
    ]
}

/// A document in block and flow style with every kind of scalar.
fn document() -> impl Strategy<Value = String> {
    let flow = proptest::collection::vec(scalar(), 0..4)
        .prop_map(|items| format!("[{}]", items.join(", ")));
    let flow_map =
        (scalar(), scalar()).prop_map(|(one, other)| format!("{{ a: {one}, 'b': {other} }}"));
    let value = prop_oneof![scalar(), flow, flow_map];
    proptest::collection::vec(value, 1..8).prop_map(|values| {
        let mut text = String::new();
        for (at, value) in values.iter().enumerate() {
            match at % 3 {
                0 => text.push_str(&format!("kéy{at}: {value} # comment\n")),
                1 => text.push_str(&format!(
                    "list{at}:\n  - {value}\n  - x: {value}\n    y: 1\n"
                )),
                _ => text.push_str(&format!("map{at}:\n    inner:   {value}\n\n")),
            }
        }
        text
    })
}

proptest! {
    #[test]
    fn places_slice_back_to_what_was_written(text in document()) {
        if let Some(node) = parse(&text) {
            places_hold(&text, &node);
        }
    }

    #[test]
    fn any_text_is_a_tree_or_a_fault(text in "\\PC{0,60}|[-:{}\\[\\],&*!|>'\"%@` #a\n\t]{0,40}") {
        let mut faults = Faults::default();
        let node = yaml::parse(&text, &mut faults);
        prop_assert_eq!(node.is_none(), faults.any_error());
    }
}
