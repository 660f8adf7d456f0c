//! Pins: the public keys of which one must stand in an exchange's chain, and how long they count. Never sees a
//! certificate.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::decode::{Decode, Fields, Placed, decode_list, decode_scalar, one_of, suggest};
use super::fault::Faults;
use super::node::{Entry, Node, Place, Value};

/// What a pin begins with.
const PREFIX: &str = "sha256/";

/// The fewest pins of a host: the key in use, and one to change to (RFC 7469 section 4.3).
pub const PINS_MIN: usize = 2;

/// More pins than anybody keeps track of.
const PINS_MAX: usize = 32;

/// Keys that prove nothing, because everybody has their private half.
const SHARED: &[(&str, &str)] = &[(
    "sha256/QoH2+wIocE83ZkR4/oyn5ru2JtE+/ZrYS9brNjujldU=",
    "Interactive Brokers ships this key, private half included, with every Client Portal Gateway",
)];

/// SHA-256 of a public key: of the DER of its `SubjectPublicKeyInfo` (RFC 7469 section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpkiPin([u8; 32]);

impl SpkiPin {
    /// The pin with this digest.
    #[must_use]
    pub const fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads `sha256/` and 44 characters of base64 (RFC 4648 section 4), padding included. One key has one spelling.
    ///
    /// # Errors
    /// What is wrong with the text, a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is not a pin");
        let encoded = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| format!("{}: it does not begin with `{PREFIX}`", refused()))?;
        let digest = STANDARD
            .decode(encoded)
            .map_err(|_| format!("{}: what follows `{PREFIX}` is not base64", refused()))?;
        let length = digest.len();
        let digest = digest
            .try_into()
            .map_err(|_| format!("{}: SHA-256 has 32 bytes, and this has {length}", refused()))?;
        Ok(Self(digest))
    }

    /// Why this key proves nothing, a sentence, if everybody has its private half.
    #[must_use]
    pub fn shared(self) -> Option<&'static str> {
        let text = self.to_string();
        let known = SHARED.iter().find(|(pin, _)| *pin == text);
        known.map(|(_, why)| *why)
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Decode for SpkiPin {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let read = decode_scalar(node, "a pin", faults, Self::parse)?;
        if let Some(why) = read.shared() {
            let message = format!("a pin that proves nothing: {why}");
            let help = "give the gateway a key of its own, and pin that one";
            faults.error_with_help(&node.place, message, help);
            return None;
        }
        Some(read)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^sha256/[A-Za-z0-9+/]{43}=$"})
    }
}

/// What happens if no key of a chain is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinMode {
    /// The connection is closed before a byte of HTTP is sent.
    Enforce,
    /// It is told, and the connection is used: to try pins out.
    Report,
}

impl PinMode {
    /// The word in the configuration, in metrics and in evidence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

impl Decode for PinMode {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let modes = [Self::Enforce, Self::Report].map(|mode| (mode.name(), mode));
        one_of(node, faults, &modes)
    }

    fn schema() -> Json {
        json!({"enum": ["enforce", "report"]})
    }
}

/// The pins of one host: at least two, of keys that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSet {
    pins: Vec<SpkiPin>,
    mode: PinMode,
    expires: Option<i64>,
}

impl PinSet {
    /// A set that counts until the moment `expires` (seconds since 1970), or for ever.
    ///
    /// # Errors
    /// There are fewer than two different pins; a sentence.
    pub fn new(
        pins: impl IntoIterator<Item = SpkiPin>,
        mode: PinMode,
        expires: Option<i64>,
    ) -> Result<Self, String> {
        let mut pins: Vec<SpkiPin> = pins.into_iter().collect();
        pins.sort_unstable();
        pins.dedup();
        match pins.len() {
            0 => Err("there is no pin; that would mean every key".to_owned()),
            found if found < PINS_MIN => Err("there is one pin, and none to change to".to_owned()),
            found if found > PINS_MAX => Err(format!("there are more than {PINS_MAX} pins")),
            _ => Ok(Self {
                pins,
                mode,
                expires,
            }),
        }
    }

    /// Whether this key is pinned.
    #[must_use]
    pub fn holds(&self, pin: SpkiPin) -> bool {
        self.pins.binary_search(&pin).is_ok()
    }

    /// All of them, in no order that means anything.
    #[must_use]
    pub fn pins(&self) -> &[SpkiPin] {
        &self.pins
    }

    /// What happens if none is met.
    #[must_use]
    pub const fn mode(&self) -> PinMode {
        self.mode
    }

    /// From when on the set counts no more, in seconds since 1970.
    #[must_use]
    pub const fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Whether the set counts no more.
    #[must_use]
    pub fn is_expired(&self, unix_seconds: i64) -> bool {
        self.expires.is_some_and(|end| end <= unix_seconds)
    }
}

/// The pins of an outbound: one set for all of its hosts, or one for each.
#[derive(Clone, Debug)]
pub struct PinSettings {
    sets: Sets,
    /// Where the configuration names them.
    pub place: Place,
}

#[derive(Clone, Debug)]
enum Sets {
    All(Placed<PinSet>),
    Each(BTreeMap<String, Placed<PinSet>>),
}

impl PinSettings {
    /// Reads the keys `pins`, `pin_mode` and `pins_expire` of a section. `None` if there are no pins, or if something is
    /// wrong with them; then the section reads as faulty.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "SPKI pins of the exchange, at least two (see `outrider pin`): a list for all of its hosts, or a map from host to list";
        let lists = fields.optional_with("pins", doc, Lists::schema, Lists::decode);
        let doc = "what happens if no key of the exchange's chain is pinned: enforce closes the connection unused, report only tells";
        let mode = fields.or("pin_mode", doc, "enforce", PinMode::Enforce);
        let doc = "the day (UTC) from which on the pins count no more and no connection is made; without it they count for ever";
        let expires: Option<Day> = fields.optional("pins_expire", doc);
        for key in ["pin_mode", "pins_expire"] {
            if fields.has(key) && !fields.has("pins") {
                let place = fields.place_of(key);
                fields.error(
                    &place,
                    format!("`{key}` is given, but there are no pins"),
                    "add `pins`; `outrider pin HOST` prints them",
                );
            }
        }
        let place = fields.place_of("pins");
        let expires = expires.map(|day| day.0);
        Some(Self {
            sets: lists?.into_sets(mode, expires)?,
            place,
        })
    }

    /// The pins of a host, named in lower case.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Option<&Placed<PinSet>> {
        match &self.sets {
            Sets::All(set) => Some(set),
            Sets::Each(hosts) => hosts.get(host),
        }
    }

    /// Judges the pins against the hosts that are connected to, in lower case: a host without pins, and pins for a host
    /// that nobody connects to are errors.
    pub fn judge(&self, hosts: &[&str], faults: &mut Faults) {
        let Sets::Each(pinned) = &self.sets else {
            return;
        };
        for host in hosts.iter().filter(|host| !pinned.contains_key(**host)) {
            let message = format!("there are no pins for the host `{host}`");
            let help = format!(
                "`outrider pin {host}` prints them; a list instead of a map is for all hosts"
            );
            faults.error_with_help(&self.place, message, help);
        }
        for (host, set) in pinned
            .iter()
            .filter(|(host, _)| !hosts.contains(&host.as_str()))
        {
            let message = format!("pins for `{host}`, which nothing here connects to");
            faults.error_with_help(&set.place, message, suggest(host, hosts));
        }
    }
}

/// The lists as they stand in the file.
enum Lists {
    All(Placed<Vec<SpkiPin>>),
    Each(Vec<(String, Placed<Vec<SpkiPin>>)>),
}

impl Lists {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::List(_) => list(node, faults).map(Self::All),
            Value::Map(entries) if !entries.is_empty() => each(entries, faults).map(Self::Each),
            Value::Map(_) | Value::Null | Value::Scalar { .. } => {
                let message = format!("expected a list of pins, found {}", node.kind());
                let help = "write at least two, or a map from host to list; `outrider pin HOST` prints them";
                faults.error_with_help(&node.place, message, help);
                None
            }
        }
    }

    fn schema() -> Json {
        let list = json!({
            "type": "array",
            "items": SpkiPin::schema(),
            "minItems": PINS_MIN,
            "maxItems": PINS_MAX,
            "uniqueItems": true,
        });
        json!({
            "anyOf": [list, {"type": "object", "minProperties": 1, "additionalProperties": list}]
        })
    }

    fn into_sets(self, mode: PinMode, expires: Option<i64>) -> Option<Sets> {
        let set = |pins: Placed<Vec<SpkiPin>>| {
            let place = pins.place;
            let set = PinSet::new(pins.value, mode, expires);
            set.map(|value| Placed { value, place }).ok()
        };
        match self {
            Self::All(pins) => set(pins).map(Sets::All),
            Self::Each(hosts) => {
                let hosts = hosts.into_iter();
                let sets = hosts.map(|(host, pins)| set(pins).map(|set| (host, set)));
                sets.collect::<Option<_>>().map(Sets::Each)
            }
        }
    }
}

fn each(entries: &[Entry], faults: &mut Faults) -> Option<Vec<(String, Placed<Vec<SpkiPin>>)>> {
    let mut sound = true;
    let mut hosts: Vec<(String, Placed<Vec<SpkiPin>>)> = Vec::new();
    for entry in entries {
        let host = entry.key.to_ascii_lowercase();
        if hosts.iter().any(|(known, _)| *known == host) {
            let message = format!("the host `{host}` stands here twice");
            faults.error_with_help(&entry.key_place, message, "join the two lists");
            sound = false;
        }
        match list(&entry.value, faults) {
            Some(pins) => hosts.push((host, pins)),
            None => sound = false,
        }
    }
    sound.then_some(hosts)
}

fn list(node: &Node, faults: &mut Faults) -> Option<Placed<Vec<SpkiPin>>> {
    let pins = decode_list(node, faults, Placed::<SpkiPin>::decode)?;
    let mut sound = true;
    for (at, pin) in pins.iter().enumerate() {
        if pins.iter().take(at).any(|before| before.value == pin.value) {
            let help = "the second pin is of another key: the one to change to";
            faults.error_with_help(&pin.place, "the same pin stands here twice", help);
            sound = false;
        }
    }
    let read = pins.into_iter().map(|pin| pin.value).collect::<Vec<_>>();
    if let Err(message) = PinSet::new(read.iter().copied(), PinMode::Enforce, None)
        && sound
    {
        let help = "`outrider pin HOST` prints the chain, and which keys to choose";
        faults.error_with_help(&node.place, message, help);
        sound = false;
    }
    sound.then(|| Placed {
        value: read,
        place: node.place.clone(),
    })
}

/// A day, as the moment in seconds since 1970 at which it begins in UTC.
#[derive(Clone, Copy)]
struct Day(i64);

impl Decode for Day {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a day such as 2027-06-30", faults, |text| {
            let day = (text.len() == 10)
                .then(|| text.parse::<Date>().ok())
                .flatten();
            let begin = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
            begin
                .map(|begin| Self(begin.timestamp().as_second()))
                .ok_or_else(|| format!("`{text}` is not a day (like 2027-06-30)"))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
    }
}

#[cfg(test)]
mod tests;
