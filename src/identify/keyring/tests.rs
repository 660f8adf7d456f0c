//! Sets that follow each other.

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const STALE_MAX: Duration = Duration::from_secs(100);

fn at(second: u64) -> Now {
    Now {
        mono_ns: second * 1_000_000_000,
        unix_us: 0,
    }
}

fn key(kid: &str) -> Value {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = pair.public_key().modulus();
    let modulus = URL_SAFE_NO_PAD.encode(modulus.big_endian_without_leading_zero());
    json!({"kty": "RSA", "kid": kid, "n": modulus, "e": "AQAB"})
}

fn set(keys: &[&Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

fn standing(keyring: &Keyring, kid: Option<&str>) -> Option<super::super::keys::Standing> {
    let loaded = keyring.load();
    let found = loaded.as_ref()?.set.find(kid).ok()?;
    Some(found.standing.clone())
}

#[test]
fn keys_are_good_from_the_first_document_until_they_are_too_old() {
    let keyring = Keyring::remote(STALE_MAX);
    assert_eq!(keyring.available(at(1)), Err(Unavailable::NeverLoaded));
    assert_eq!((keyring.key_count(), keyring.age(at(7)).as_secs()), (0, 7));
    keyring.confirm(at(2));
    assert_eq!(
        keyring.available(at(2)),
        Err(Unavailable::NeverLoaded),
        "nothing to confirm"
    );
    let one = key("one");
    assert!(keyring.replace(&set(&[&one]), at(10)).unwrap().changed);
    for (second, expected) in [(10, Ok(())), (110, Ok(())), (111, Err(Unavailable::TooOld))] {
        assert_eq!(keyring.available(at(second)), expected, "{second}");
    }
    keyring.confirm(at(50));
    assert_eq!(keyring.available(at(150)), Ok(()));
    assert!(!keyring.replace(&set(&[&one]), at(60)).unwrap().changed);
    assert_eq!(
        (keyring.key_count(), keyring.age(at(70)).as_secs()),
        (1, 10)
    );
}

#[test]
fn a_document_that_is_no_good_changes_nothing() {
    let keyring = Keyring::remote(STALE_MAX);
    let one = key("one");
    keyring.replace(&set(&[&one]), at(0)).unwrap();
    let before = standing(&keyring, Some("one")).unwrap();
    let twin = set(&[&one, &key("one")]);
    let secret = set(&[&one, &json!({"kty": "oct", "kid": "s", "k": "AAAA"})]);
    let pem = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec();
    for document in [
        Vec::new(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"{\"keys\":[]}".to_vec(),
        b"<html></html>".to_vec(),
        vec![0xff; 10],
        twin,
        secret,
        pem,
    ] {
        let text = document.escape_ascii().to_string();
        assert!(keyring.replace(&document, at(90)).is_err(), "{text}");
        assert_eq!(keyring.age(at(90)).as_secs(), 90, "{text}");
        assert!(before.is_in_force(), "{text}");
    }
}

#[test]
fn what_was_withdrawn_is_out_of_force_and_what_stayed_is_not() {
    let keyring = Keyring::remote(STALE_MAX);
    let (one, two, three) = (key("one"), key("two"), key("three"));
    keyring.replace(&set(&[&one, &two]), at(0)).unwrap();
    let [first, second] = ["one", "two"].map(|kid| standing(&keyring, Some(kid)).unwrap());
    keyring.replace(&set(&[&two, &three]), at(1)).unwrap();
    assert!(!first.is_in_force() && second.is_in_force());
    assert!(standing(&keyring, Some("one")).is_none());
    // A key under the same name is another key, and one that comes back begins anew.
    let mut other = key("two");
    keyring.replace(&set(&[&one, &other]), at(2)).unwrap();
    assert!(!first.is_in_force() && !second.is_in_force());
    let second = standing(&keyring, Some("two")).unwrap();
    other["kid"] = json!("renamed");
    keyring.replace(&set(&[&other]), at(3)).unwrap();
    assert!(!second.is_in_force(), "the name is what tokens go by");
}

#[test]
fn tokens_without_a_name_are_good_while_the_only_key_is_the_only_one() {
    let keyring = Keyring::remote(STALE_MAX);
    let (one, two) = (key("one"), key("two"));
    keyring.replace(&set(&[&one]), at(0)).unwrap();
    let nameless = standing(&keyring, None).unwrap();
    keyring.replace(&set(&[&one]), at(1)).unwrap();
    assert!(nameless.is_in_force());
    keyring.replace(&set(&[&one, &two]), at(2)).unwrap();
    assert!(!nameless.is_in_force());
    assert!(standing(&keyring, None).is_none());
}

#[test]
fn keys_on_probation_go_with_the_first_failure_and_stay_with_the_first_success() {
    let before = Keyring::remote(STALE_MAX);
    let one = key("one");
    before.replace(&set(&[&one]), at(0)).unwrap();
    let known = standing(&before, Some("one")).unwrap();
    assert!(!before.fetch_failed(), "not on probation");

    let kept = Keyring::following_on_probation(&before, STALE_MAX);
    assert_eq!((kept.available(at(1)), kept.key_count()), (Ok(()), 1));
    assert!(!kept.replace(&set(&[&one]), at(1)).unwrap().changed);
    assert!(!kept.fetch_failed() && known.is_in_force());

    let dropped = Keyring::following_on_probation(&kept, STALE_MAX);
    // Whoever follows inherits the doubt.
    let dropped = Keyring::following(&dropped, STALE_MAX);
    assert!(dropped.fetch_failed());
    assert_eq!(dropped.available(at(1)), Err(Unavailable::NeverLoaded));
    assert!(!known.is_in_force(), "tokens of them are not remembered");
    assert!(!dropped.fetch_failed(), "once");
}
