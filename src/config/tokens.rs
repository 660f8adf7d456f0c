//! Section `inbound.tokens`: how callers' tokens are verified. Reads the key file; never judges a key, the room
//! `identify` does.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, Placed, Section};
use crate::model::fault::Faults;
use crate::model::node::Place;
use crate::model::settings::{Allowance, KeyMaterial, TokenSettings};
use crate::model::units::{ByteSize, Rate};

use super::files::Files;
use super::numbers::{Count, HOUR, Size, Time};

/// Bytes of a key file: a hundred keys are 50 KiB.
const KEY_FILE_BYTES_MAX: u64 = 1 << 20;

/// The section before its key file was read.
pub(super) struct Tokens {
    settings: TokenSettings,
    file: Option<Placed<String>>,
}

impl Tokens {
    /// Reads the key file.
    pub(super) fn load(
        mut self,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<TokenSettings> {
        if let Some(file) = self.file {
            self.settings.keys.text = read_key_file(files, &file, faults)?;
        }
        Some(self.settings)
    }
}

impl Section for Tokens {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let issuer = fields.required(
            "issuer",
            "who issues the tokens: the one value of `iss` that is accepted",
        );
        let audience = fields.required(
            "audience",
            "who the tokens are for: the value that `aud` must hold, usually this service's name",
        );
        let keys = fields.required_with(
            "keys",
            "the issuer's public RSA keys",
            Keys::schema_of_one,
            Keys::decode,
        );
        let clock_skew = fields.or(
            "clock_skew",
            "tolerance for `exp`, `nbf` and `iat`",
            "30s",
            // Clocks kept by NTP differ by milliseconds; half a minute forgives one that was not.
            Time::<0, 300_000>(Duration::from_secs(30)),
        );
        let lifetime_max = fields.or(
            "lifetime_max",
            "the longest time from `iat` to `exp` that is accepted",
            "24h",
            // A trading day. A token that lives longer cannot be taken back by waiting.
            Time::<1_000, { 366 * 24 * HOUR }>(Duration::from_secs(24 * 3600)),
        );
        let token_bytes_max = fields.or(
            "token_bytes_max",
            "bytes of a token; longer ones are refused unread",
            "16KiB",
            // Tokens with fifty roles have about 4 KiB.
            Size::<256, 1_048_576>(ByteSize(16 << 10)),
        );
        let cache_entries_max = fields.or(
            "cache_entries_max",
            "verified tokens remembered, about 2 KiB each",
            "10000",
            // 20 MiB, and more callers than one sidecar sees in a token's lifetime.
            Count::<1, 1_000_000>(10_000),
        );
        let failures = super::section_or_defaults(
            fields,
            "failures",
            "bad tokens that one client address may send before only known tokens are looked at",
            read_failures,
        );
        let keys = keys?;
        Some(Self {
            settings: TokenSettings {
                issuer: issuer?,
                audience: audience?,
                keys: keys.material,
                clock_skew: clock_skew.0,
                lifetime_max: lifetime_max.0,
                token_bytes_max: token_bytes_max.0,
                cache_entries_max: cache_entries_max.0,
                failures: failures?,
            },
            file: keys.file,
        })
    }
}

/// The keys before their file was read.
struct Keys {
    material: KeyMaterial,
    file: Option<Placed<String>>,
}

impl Keys {
    fn schema_of_one() -> Json {
        let mut schema = Self::schema();
        if let Json::Object(members) = &mut schema {
            let one = json!([{"required": ["file"]}, {"required": ["inline"]}]);
            members.insert("oneOf".to_owned(), one);
        }
        schema
    }
}

impl Section for Keys {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let file: Option<Placed<String>> = fields.optional(
            "file",
            "a file with a PEM public key, a JWK or a JWK Set; relative to the folder of this file",
        );
        let inline: Option<Placed<String>> = fields.optional(
            "inline",
            "the text of a PEM public key, a JWK or a JWK Set, instead of a file",
        );
        let kid = fields.optional("kid", "the `kid` that tokens name a PEM key by");
        let place = fields.place();
        let (origin, place, text) = match (&file, &inline) {
            (Some(file), None) => (file.value.clone(), file.place.clone(), String::new()),
            (None, Some(inline)) => (
                "inline".to_owned(),
                inline.place.clone(),
                inline.value.clone(),
            ),
            (Some(_), Some(inline)) => {
                fields.error(
                    &inline.place,
                    "`file` and `inline` both give the keys",
                    "keep one",
                );
                return None;
            }
            (None, None) => {
                // A faulty value has its own fault already.
                if !fields.has("file") && !fields.has("inline") {
                    fields.error(
                        &place,
                        "`keys` names no key",
                        "write `file: NAME` or `inline: TEXT`",
                    );
                }
                return None;
            }
        };
        let material = KeyMaterial {
            text,
            origin,
            place,
            kid,
        };
        Some(Self { material, file })
    }
}

fn read_failures(fields: &mut Fields<'_>) -> Allowance {
    // A client that renews its token late fails a few times; sixty a minute are no client, but cost little to verify.
    let rate = fields.or("rate", "over time", "60/min", DEFAULT_FAILURES);
    let burst = fields.or("burst", "at once", "60", Count::<1, 1_000_000>(60));
    Allowance {
        rate,
        burst: burst.0,
    }
}

const DEFAULT_FAILURES: Rate = Rate {
    count: match std::num::NonZeroU32::new(60) {
        Some(count) => count,
        None => std::num::NonZeroU32::MIN,
    },
    per: Duration::from_secs(60),
};

fn read_key_file(
    files: &mut Files<'_>,
    file: &Placed<String>,
    faults: &mut Faults,
) -> Option<String> {
    let name = &file.value;
    // One byte more than allowed tells a file that is too large from one that just fits.
    let refusal = match files.read(name, KEY_FILE_BYTES_MAX + 1) {
        Err(error) => format!("the key file `{name}` {}", super::why_unread(&error)),
        Ok(bytes) if bytes.len() as u64 > KEY_FILE_BYTES_MAX => {
            format!("the key file `{name}` is larger than 1MiB")
        }
        Ok(bytes) if bytes.trim_ascii().is_empty() => format!("the key file `{name}` is empty"),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Some(text),
            Err(_) => format!("the key file `{name}` is not text"),
        },
    };
    let place: &Place = &file.place;
    let help =
        "it holds a PEM public key, a JWK or a JWK Set; its name is relative to this file's folder";
    faults.error_with_help(place, refusal, help);
    None
}
