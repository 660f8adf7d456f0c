//! The tokens already verified, by SHA-256 of the whole token. Holds identities, never a decision and never a token.

use std::fmt;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::model::caller::Identity;

use super::keys::Standing;
use super::times::Window;

/// What each remembered token is counted with at least, in bytes: an identity with some twenty short permissions.
pub const ENTRY_BYTES: u64 = 2_048;

/// A token's SHA-256: the token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Fingerprint(..)")
    }
}

/// An identity and the span in which its token is good.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who.
    pub identity: Arc<Identity>,
    /// When.
    pub window: Window,
    /// Whether the key that its signature was verified with is still in force.
    pub standing: Standing,
}

/// Sharded; a hit takes one shard's read lock and clones an `Arc`.
pub(super) struct TokenCache {
    entries: Option<Cache<Fingerprint, Entry, ByBytes>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl TokenCache {
    /// Room for so many tokens, and for so many times [`ENTRY_BYTES`]. Zero remembers nothing.
    pub(super) fn new(entries_max: u32) -> Self {
        let built = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(entries_max).unwrap_or(usize::MAX))
            .weight_capacity(u64::from(entries_max).saturating_mul(ENTRY_BYTES))
            .build();
        let options = built.ok().filter(|_| entries_max > 0);
        let entries = options.map(|options| {
            let hasher = DefaultHashBuilder::default();
            Cache::with_options(options, ByBytes, hasher, DefaultLifecycle::default())
        });
        Self {
            entries,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The identity of a token that is still good at this second and whose key is still in force. One that is not is
    /// forgotten.
    pub(super) fn get(&self, fingerprint: &Fingerprint, second: i64) -> Option<Arc<Identity>> {
        let found = self.find(fingerprint, second);
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Hits and misses since this was asked last.
    pub(super) fn take_counts(&self) -> (u64, u64) {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        (take(&self.hits), take(&self.misses))
    }

    fn find(&self, fingerprint: &Fingerprint, second: i64) -> Option<Arc<Identity>> {
        let cache = self.entries.as_ref()?;
        let Entry { verified, .. } = cache.get(fingerprint)?;
        if verified.window.contains(second) && verified.standing.is_in_force() {
            return Some(verified.identity);
        }
        cache.remove(fingerprint);
        None
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, verified: Verified) {
        if let Some(cache) = &self.entries {
            let bytes = footprint(&verified.identity);
            cache.insert(fingerprint, Entry { verified, bytes });
        }
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }

    /// What they are counted with, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.as_ref().map_or(0, Cache::weight)
    }
}

#[derive(Clone)]
struct Entry {
    verified: Verified,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Fingerprint, Entry> for ByBytes {
    fn weight(&self, _: &Fingerprint, entry: &Entry) -> u64 {
        entry.bytes.max(ENTRY_BYTES)
    }
}

/// Bytes that an identity takes, with its fingerprint and what the allocator adds to each piece.
fn footprint(identity: &Identity) -> u64 {
    const PIECE: usize = 16;
    let text = |text: &str| text.len() + PIECE;
    let list = |list: &[String]| -> usize {
        list.iter()
            .map(|item| size_of::<String>() + text(item))
            .sum()
    };
    let header =
        |value: &Option<HeaderValue>| value.as_ref().map_or(0, |value| value.len() + PIECE);
    let permissions = identity.permissions.iter();
    let fixed = size_of::<Identity>() + 2 * (size_of::<Fingerprint>() + size_of::<Entry>());
    let bytes = fixed
        + text(&identity.issuer)
        + text(&identity.subject)
        + identity.session.as_deref().map_or(0, text)
        + identity.token_id.as_deref().map_or(0, text)
        + list(&identity.roles)
        + list(&identity.methods)
        + permissions
            .map(|own| size_of::<String>() + text(own.as_str()))
            .sum::<usize>()
        + identity
            .claims
            .iter()
            .map(|(name, value)| 2 * (text(name) + text(value)))
            .sum::<usize>()
        + header(&identity.headers.subject)
        + header(&identity.headers.roles)
        + header(&identity.headers.permissions)
        + header(&identity.headers.session);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
