//! Section `inbound.tokens.keys`: a file, a text or a URL. Reads the files it names; never the network, never a key.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, Placed, Section};
use crate::model::fault::Faults;
use crate::model::settings::{CaText, KeyMaterial, KeySource, KeysUrl, RemoteKeys};
use crate::model::units::ByteSize;

use super::files::Files;
use super::numbers::{HOUR, SECOND, Size, Time};

/// Bytes of a file: a hundred keys are 50 KiB, all public certificate authorities 250 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Keys that say how a URL is fetched, and mean nothing without one.
const OF_URL: [&str; 5] = [
    "ca_file",
    "refresh",
    "stale_max",
    "timeout",
    "document_bytes_max",
];

/// The section before the files that it names were read.
pub(super) struct Keys {
    pub(super) material: KeyMaterial,
    pub(super) files: KeyFiles,
}

/// The files that the section names.
#[derive(Default)]
pub(super) struct KeyFiles {
    keys: Option<Placed<String>>,
    ca: Option<Placed<String>>,
}

impl Keys {
    /// The schema with what the list of keys alone does not say.
    pub(super) fn schema_of_one() -> Json {
        let mut schema = Self::schema();
        if let Json::Object(members) = &mut schema {
            let one = json!([
                {"required": ["file"]},
                {"required": ["inline"]},
                {"required": ["url"], "not": {"required": ["kid"]}},
            ]);
            members.insert("oneOf".to_owned(), one);
            let needs_url = OF_URL.map(|key| (key.to_owned(), json!(["url"])));
            let needs_url = Json::Object(needs_url.into_iter().collect());
            members.insert("dependentRequired".to_owned(), needs_url);
        }
        schema
    }
}

impl KeyFiles {
    /// Reads the files into the source.
    pub(super) fn load(
        self,
        source: &mut KeySource,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<()> {
        if !files.wants_keys() {
            return Some(());
        }
        match source {
            KeySource::Text { text, .. } => {
                if let Some(file) = self.keys {
                    *text = read_file(files, &file, &KEY_FILE, faults)?;
                }
            }
            KeySource::Remote(remote) => {
                if let Some(file) = self.ca {
                    remote.ca = Some(CaText {
                        pem: read_file(files, &file, &CA_FILE, faults)?,
                        origin: file.value,
                        place: file.place,
                    });
                }
            }
        }
        Some(())
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
        let url: Option<Placed<KeysUrl>> = fields.optional(
            "url",
            "where a JWK Set is fetched, in the background: https, or http on loopback",
        );
        let kid = fields.optional("kid", "the `kid` that tokens name a PEM key by");
        let (remote, ca) = read_remote(fields);
        match choose(fields, file, inline, url)? {
            Chosen::File(file) => Some(Self {
                material: KeyMaterial {
                    source: KeySource::Text {
                        text: String::new(),
                        kid,
                    },
                    origin: file.value.clone(),
                    place: file.place.clone(),
                },
                files: KeyFiles {
                    keys: Some(file),
                    ca: None,
                },
            }),
            Chosen::Inline(inline) => Some(Self {
                material: KeyMaterial {
                    source: KeySource::Text {
                        text: inline.value,
                        kid,
                    },
                    origin: "inline".to_owned(),
                    place: inline.place,
                },
                files: KeyFiles::default(),
            }),
            Chosen::Url(url) => Some(Self {
                material: KeyMaterial {
                    origin: url.value.origin(),
                    source: KeySource::Remote(remote.of(url.value)),
                    place: url.place,
                },
                files: KeyFiles { keys: None, ca },
            }),
        }
    }
}

/// The one way of giving keys that is written.
enum Chosen {
    File(Placed<String>),
    Inline(Placed<String>),
    Url(Placed<KeysUrl>),
}

/// Exactly one, and nothing beside it that belongs to another.
fn choose(
    fields: &mut Fields<'_>,
    file: Option<Placed<String>>,
    inline: Option<Placed<String>>,
    url: Option<Placed<KeysUrl>>,
) -> Option<Chosen> {
    let written: Vec<&str> = ["file", "inline", "url"]
        .into_iter()
        .filter(|key| fields.has(key))
        .collect();
    let Some((first, others)) = written.split_first() else {
        let place = fields.place();
        let help = "write `file: NAME`, `inline: TEXT` or `url: https://...`";
        fields.error(&place, "`keys` names no key", help);
        return None;
    };
    if let Some(second) = others.first() {
        let place = fields.place_of(second);
        let message = format!("`{first}` and `{second}` both give the keys");
        fields.error(&place, message, "keep one");
        return None;
    }
    if *first == "url" && fields.has("kid") {
        let message = "`kid` names a PEM key; the keys behind a URL have their own";
        fields.error(&fields.place_of("kid"), message, "remove `kid`");
        return None;
    }
    if *first != "url" {
        for key in OF_URL {
            if !fields.has(key) {
                continue;
            }
            let message = format!("`{key}` says how a URL is fetched, and there is none");
            fields.error(&fields.place_of(key), message, format!("remove `{key}`"));
        }
    }
    // A faulty value has its own fault already.
    let chosen = file.map(Chosen::File);
    let chosen = chosen.or_else(|| inline.map(Chosen::Inline));
    chosen.or_else(|| url.map(Chosen::Url))
}

/// How a URL is fetched.
struct Remote {
    refresh: Duration,
    stale_max: Duration,
    timeout: Duration,
    document_bytes_max: ByteSize,
}

impl Remote {
    fn of(self, url: KeysUrl) -> RemoteKeys {
        RemoteKeys {
            url,
            ca: None,
            refresh: self.refresh,
            stale_max: self.stale_max,
            timeout: self.timeout,
            document_bytes_max: self.document_bytes_max,
        }
    }
}

fn read_remote(fields: &mut Fields<'_>) -> (Remote, Option<Placed<String>>) {
    let ca: Option<Placed<String>> = fields.optional(
        "ca_file",
        "a PEM file of the certificate authorities to trust for the URL, instead of the public ones",
    );
    let refresh = fields.or(
        "refresh",
        "how often the URL is fetched; sooner after a failure, and once for an unknown `kid`",
        "5m",
        // A key that was withdrawn is believed so much longer at most while the issuer can be reached.
        Time::<SECOND, { 24 * HOUR }>(Duration::from_secs(300)),
    );
    let stale_max = fields.or(
        "stale_max",
        "how old the last good document may become before every token is answered with 503",
        "24h",
        // An issuer's outage of a night must not stop trading; one of a day is looked at by a person.
        Time::<SECOND, { 7 * 24 * HOUR }>(Duration::from_secs(24 * 3600)),
    );
    let timeout = fields.or(
        "timeout",
        "for one fetch, from the name's resolution to the last byte",
        "5s",
        // A healthy issuer answers within 100 ms; nobody waits for this one.
        Time::<100, 60_000>(Duration::from_secs(5)),
    );
    let document_bytes_max = fields.or(
        "document_bytes_max",
        "bytes of the document; a longer one is refused",
        "256KiB",
        // 64 keys with certificate chains.
        Size::<1_024, 1_048_576>(ByteSize(256 << 10)),
    );
    if stale_max.0 < refresh.0 {
        let key = ["stale_max", "refresh"]
            .into_iter()
            .find(|key| fields.has(key));
        let place = key.map_or_else(|| fields.place(), |key| fields.place_of(key));
        let message =
            "keys would be too old (`stale_max`) before they are fetched again (`refresh`)";
        fields.error(&place, message, "raise `stale_max`, or lower `refresh`");
    }
    let remote = Remote {
        refresh: refresh.0,
        stale_max: stale_max.0,
        timeout: timeout.0,
        document_bytes_max: document_bytes_max.0,
    };
    (remote, ca)
}

/// What a file is called in a fault, and what it holds.
struct Kind {
    name: &'static str,
    help: &'static str,
}

const KEY_FILE: Kind = Kind {
    name: "key file",
    help: "it holds a PEM public key, a JWK or a JWK Set; its name is relative to this file's folder",
};

const CA_FILE: Kind = Kind {
    name: "CA file",
    help: "it holds PEM certificates; its name is relative to this file's folder",
};

fn read_file(
    files: &mut Files<'_>,
    file: &Placed<String>,
    kind: &Kind,
    faults: &mut Faults,
) -> Option<String> {
    let (kind, help, name) = (kind.name, kind.help, &file.value);
    // One byte more than allowed tells a file that is too large from one that just fits.
    let refusal = match files.read(name, FILE_BYTES_MAX + 1) {
        Err(error) => format!("the {kind} `{name}` {}", super::why_unread(&error)),
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => {
            format!("the {kind} `{name}` is larger than 1MiB")
        }
        Ok(bytes) if bytes.trim_ascii().is_empty() => format!("the {kind} `{name}` is empty"),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Some(text),
            Err(_) => format!("the {kind} `{name}` is not text"),
        },
    };
    faults.error_with_help(&file.place, refusal, help);
    None
}
