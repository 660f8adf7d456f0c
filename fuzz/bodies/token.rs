//! What must hold of every token: only those that the issuer signed are good, byte for byte. Shared by the fuzz target
//! and the replay. The private half of the key was thrown away when the seeds were made.

use std::sync::LazyLock;
use std::time::Duration;

use outrider::identify::Verifier;
use outrider::model::clock::Now;
use outrider::model::node::Place;
use outrider::model::settings::{Allowance, KeyMaterial, KeySource, RoleMap, TokenSettings};
use outrider::model::units::{ByteSize, Rate};

/// All tokens of this issuer that are good at [`NOW`]. Whatever else is accepted was forged.
pub(crate) const GOOD: [&[u8]; 3] = [
    include_bytes!("../corpus/token/good-plain"),
    include_bytes!("../corpus/token/good-at-jwt"),
    include_bytes!("../corpus/token/good-mfa"),
];

const NOW: Now = Now {
    mono_ns: 1,
    unix_us: 1_800_000_000_000_000,
};

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let settings = TokenSettings {
        issuer: "https://auth.example".to_owned(),
        audience: "order-gateway".to_owned(),
        keys: KeyMaterial {
            source: KeySource::Text {
                text: include_str!("../keys/issuer.jwks.json").to_owned(),
                kid: None,
            },
            origin: "inline".to_owned(),
            place: Place::Default,
        },
        clock_skew: Duration::from_secs(30),
        lifetime_max: Duration::from_secs(86_400),
        token_bytes_max: ByteSize(16_384),
        cache_entries_max: 16,
        failures: Allowance {
            rate: Rate::parse("10/min").unwrap(),
            burst: 10,
        },
    };
    let (verifier, dropped) = Verifier::new(&settings, &RoleMap::new()).unwrap();
    assert!(dropped.is_empty());
    verifier
});

/// Verifies the bytes as a bearer token, twice.
pub(crate) fn token(bytes: &[u8]) {
    let verdict = VERIFIER
        .verify(bytes, NOW)
        .map(|verified| verified.identity);
    let good = GOOD.contains(&bytes);
    assert_eq!(verdict.is_ok(), good, "{:?}", verdict.as_ref().err());
    let again = VERIFIER
        .verify(bytes, NOW)
        .map(|verified| verified.identity);
    assert_eq!(again, verdict, "two verdicts on one token");
}
