//! Whatever is done to a good token, it is no longer good; and nothing that comes in makes us panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::support::*;

static GOOD: LazyLock<String> = LazyLock::new(good_token);

#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let byte = || prop_oneof![Just(b'.'), Just(b'='), Just(b'A'), b'0'..=b'z', any::<u8>()];
    prop_oneof![
        (place(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (place(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        place().prop_map(Change::Remove),
        place().prop_map(Change::Cut),
        (place(), place()).prop_map(|(one, other)| Change::Swap(one, other)),
        (place(), place()).prop_map(|(one, other)| Change::Repeat(one, other)),
    ]
}

fn apply(token: &mut Vec<u8>, change: &Change) {
    if token.is_empty() {
        return;
    }
    let length = token.len();
    match change {
        Change::Replace(at, byte) => token[at.index(length)] = *byte,
        Change::Insert(at, byte) => token.insert(at.index(length), *byte),
        Change::Remove(at) => drop(token.remove(at.index(length))),
        Change::Cut(at) => token.truncate(at.index(length)),
        Change::Swap(one, other) => token.swap(one.index(length), other.index(length)),
        Change::Repeat(one, other) => {
            let (one, other) = (one.index(length), other.index(length));
            let piece = token[one.min(other)..one.max(other)].to_vec();
            token.extend(piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_token_is_refused(changes in prop::collection::vec(change(), 1..4)) {
        let mut token = GOOD.clone().into_bytes();
        changes.iter().for_each(|change| apply(&mut token, change));
        let verdict = VERIFIER.verify(&token, at(NOW));
        prop_assert_eq!(verdict.is_ok(), token == GOOD.as_bytes());
    }

    #[test]
    fn any_bytes_are_refused(token in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(VERIFIER.verify(&token, at(NOW)).is_err());
    }

    #[test]
    fn any_header_and_claims_do_no_harm(header in ".{0,200}", claims in ".{0,200}", second in any::<i64>()) {
        let token = crate::tokens::compose(&header.into(), &claims.into(), &[0; 256]);
        let now = outrider::model::clock::Now { mono_ns: 0, unix_us: second };
        prop_assert!(VERIFIER.verify(token.as_bytes(), now).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn signed_nonsense_does_no_harm(claims in ".{0,300}", second in any::<i64>()) {
        let token = ISSUER.sign_text(&ISSUER.header().to_string(), &claims);
        let now = outrider::model::clock::Now { mono_ns: 0, unix_us: second };
        prop_assert!(VERIFIER.verify(token.as_bytes(), now).is_err());
    }

    #[test]
    fn any_text_of_keys_does_no_harm(text in ".{0,300}") {
        prop_assert!(outrider::identify::keys::KeySet::parse(&text, None).is_err());
    }
}
