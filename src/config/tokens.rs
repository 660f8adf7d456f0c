//! Section `inbound.tokens`: how callers' tokens are verified. Never judges a key, the room `identify` does.

use std::time::Duration;

use crate::model::decode::{Decode, Fields, Section};
use crate::model::fault::Faults;
use crate::model::settings::{Allowance, TokenSettings};
use crate::model::units::{ByteSize, Rate};

use super::files::Files;
use super::keys::{KeyFiles, Keys};
use super::numbers::{Count, HOUR, Size, Time};

/// The section before the files that it names were read.
pub(super) struct Tokens {
    settings: TokenSettings,
    files: KeyFiles,
}

impl Tokens {
    /// Reads the files.
    pub(super) fn load(
        mut self,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<TokenSettings> {
        let source = &mut self.settings.keys.source;
        self.files.load(source, files, faults)?;
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
            files: keys.files,
        })
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
