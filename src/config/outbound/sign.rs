//! Section `outbound[].sign`: which rule signs, and with which secrets. The key is made ready here, once; a secret that is
//! no key refuses to start. Never quotes one.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::config::files::Files;
use crate::config::report::line_of;
use crate::config::signers::{SigningRule, named, program};
use crate::config::why_unread;
use crate::model::decode::{Decode, Fields, Placed, one_of, scalar};
use crate::model::exchange::Preset;
use crate::model::fault::{Faults, Severity};
use crate::model::node::{Node, Place};
use crate::model::secret::{Secret, SecretBytes, SecretRef};
use crate::transform::signers::{
    Algorithm, BinanceSettings, KeyEncoding, Program, RecvWindow, SIGNERS, Secrets, Signer,
    SigningKey, TimeUnit, find,
};

/// Bytes of a file with a signing rule.
const RULE_BYTES_MAX: u64 = 256 << 10;

/// The secrets that the section always names.
const REQUIRED: [&str; 2] = ["key_id", "key"];

/// The secrets that it may name.
const SECRETS: [&str; 4] = ["key_id", "key", "passphrase", "password"];

/// The section before its secrets are read.
pub(super) struct Sign {
    signer: Option<Placed<SignerName>>,
    rule: Option<Placed<String>>,
    algorithm: Algorithm,
    /// By the names that rules have for them.
    secrets: BTreeMap<&'static str, SecretRef>,
    recv_window: Option<RecvWindow>,
    nonces: Option<Placed<String>>,
    place: Place,
}

/// Who signs, and where the numbers are kept that must only grow.
#[derive(Debug)]
pub struct SignSettings {
    /// The rule with its keys; `None` where no secrets are read.
    pub signer: Option<Signer>,
    /// The name of the secret that names the key: the account.
    pub account: String,
    /// The file of nonces, for rules that need them.
    pub nonces: Option<Placed<String>>,
    /// Where it is written.
    pub place: Place,
}

impl Sign {
    /// Reads the section. Without a preset, because its name is at fault, nothing is said of what goes with it.
    pub(super) fn read(fields: &mut Fields<'_>, preset: Option<&Preset>) -> Option<Self> {
        let doc =
            "how requests are signed, and with which keys; without it only public calls are made";
        let describing = fields.describing();
        let place = fields.key_place_of("sign");
        fields.section("sign", doc, |fields| {
            let doc = "the rule, by its name; presets have theirs";
            let signer: Option<Placed<SignerName>> = fields.optional("signer", doc);
            let doc = "a file with a signing rule of your own (YAML), relative to the folder of this file";
            let rule: Option<Placed<String>> = fields.optional("rule", doc);
            let doc = "the kind of key: hmac, ed25519 or rsa; for Binance, which takes all three";
            let algorithm = fields.or("algorithm", doc, "hmac", BinanceAlgorithm::HMAC);
            let doc = "the secret that names the key: what exchanges call the API key";
            let key_id: Option<SecretRef> = fields.required("key_id", doc);
            let doc = "the secret that signs: the API secret, or a private key (PEM)";
            let key: Option<SecretRef> = fields.required("key", doc);
            let doc = "the secret that some exchanges ask for beside the key";
            let passphrase: Option<SecretRef> = fields.optional("passphrase", doc);
            let doc = "the secret that opens an encrypted PEM";
            let password: Option<SecretRef> = fields.optional("password", doc);
            let doc = "milliseconds for which a request is good, where the client does not say it (Binance)";
            let recv_window: Option<RecvWindow> = fields.optional("recv_window", doc);
            let doc = "the file that keeps nonces growing over restarts, for rules that need them; one for each key";
            let nonces: Option<Placed<String>> = fields.optional("nonces", doc);
            if let Some(preset) = preset
                && !describing
            {
                judge(fields, &place, preset, signer.is_some(), rule.is_some());
            }
            let mut secrets = BTreeMap::from([("key_id", key_id?), ("key", key?)]);
            secrets.extend(passphrase.map(|reference| ("passphrase", reference)));
            secrets.extend(password.map(|reference| ("password", reference)));
            Some(Self {
                signer,
                rule,
                algorithm: algorithm.0,
                secrets,
                recv_window,
                nonces,
                place,
            })
        })
    }

    /// The names of the secrets that belong to this account alone.
    pub(super) fn keys(&self) -> impl Iterator<Item = &SecretRef> {
        self.secrets.values()
    }

    /// Reads the secrets and makes the signer.
    pub(super) fn load(
        self,
        preset: &Preset,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<SignSettings> {
        let rule = self.signing_rule(preset, files, faults)?;
        if let SigningRule::Scheme(program) = &rule
            && !self.has_secrets_of(program, faults)
        {
            return None;
        }
        for reference in self.secrets.values() {
            files.want(reference, faults);
        }
        let account = self.secrets.get("key_id");
        let account = account.map(|reference| reference.name.to_string());
        let found = |name: &str| {
            let reference = self.secrets.get(name)?;
            files.secret(&reference.name).map(copied)
        };
        // Where no secrets are read, and where one is missing and that is told, there is nothing to be made.
        let whole = self.secrets.keys().all(|name| found(name).is_some());
        let signer = match (&rule, whole) {
            (_, false) => None,
            (SigningRule::Binance, true) => Some(self.binance(&found, faults)?),
            (SigningRule::Scheme(program), true) => {
                let mut secrets = Secrets::default();
                for name in self.secrets.keys() {
                    if let Some(value) = found(name) {
                        secrets.insert(*name, value);
                    }
                }
                let made = Signer::scheme(program, secrets);
                let made = made.map_err(|why| faults.error(&self.place, why));
                Some(made.ok()?)
            }
        };
        let needs_nonces = signer
            .as_ref()
            .is_some_and(|signer| signer.needs().nonce.is_some());
        if needs_nonces && self.nonces.is_none() {
            let message = "this rule needs nonces that grow over restarts too";
            let help = "add `nonces: ./var/NAME.nonces`, one file for each key";
            faults.error_with_help(&self.place, message, help);
            return None;
        }
        Some(SignSettings {
            signer,
            account: account.unwrap_or_default(),
            nonces: self.nonces,
            place: self.place,
        })
    }

    fn signing_rule(
        &self,
        preset: &Preset,
        files: &mut Files<'_>,
        faults: &mut Faults,
    ) -> Option<SigningRule> {
        if let Some(file) = &self.rule {
            return read_rule(file, files, faults).map(SigningRule::Scheme);
        }
        let (name, place) = match &self.signer {
            Some(signer) => (signer.value.0, &signer.place),
            None => (preset.signer, &self.place),
        };
        named(name).map_err(|why| faults.error(place, why)).ok()
    }

    /// Whether the secrets are those that the rule signs with, all of them and no other.
    fn has_secrets_of(&self, program: &Program, faults: &mut Faults) -> bool {
        let known: Vec<&str> = program.secrets().collect();
        let missing = known
            .iter()
            .filter(|name| !self.secrets.contains_key(*name));
        let strange = self
            .secrets
            .iter()
            .filter(|(name, _)| !known.contains(name));
        let mut sound = true;
        for name in missing {
            let message = format!("the rule signs with a secret `{name}`, which is missing");
            let help = match SECRETS.contains(name) {
                true => format!("add `{name}: secret:NAME`"),
                false => format!("in the rule, call it one of {}", SECRETS.join(", ")),
            };
            faults.error_with_help(&self.place, message, help);
            sound = false;
        }
        for (name, reference) in strange {
            let message = format!("the rule has no secret `{name}`");
            let help = match REQUIRED.contains(name) {
                true => format!("write a rule that signs with {}", REQUIRED.join(" and ")),
                false => "leave it out".to_owned(),
            };
            faults.error_with_help(&reference.place, message, help);
            sound = false;
        }
        sound
    }

    fn binance(
        &self,
        found: &impl Fn(&str) -> Option<SecretBytes>,
        faults: &mut Faults,
    ) -> Option<Signer> {
        let encoding = match self.algorithm == Algorithm::HmacSha256 {
            true => KeyEncoding::Utf8,
            false => KeyEncoding::Pem,
        };
        let (key_id, key, password) = (found("key_id")?, found("key")?, found("password"));
        let settings = BinanceSettings {
            recv_window: self.recv_window.clone(),
            time_unit: TimeUnit::Milliseconds,
        };
        let place = |name| {
            self.secrets
                .get(name)
                .map_or(&self.place, |found| &found.place)
        };
        let key = SigningKey::load(self.algorithm, encoding, &key, password.as_ref());
        let key = key
            .map_err(|fault| faults.error(place("key"), fault.0))
            .ok()?;
        let signer = Signer::binance(settings, key_id, key);
        signer
            .map_err(|fault| faults.error(place("key_id"), fault.0))
            .ok()
    }
}

/// A secret of one's own: the signer keeps it beyond the configuration.
fn copied(secret: &SecretBytes) -> SecretBytes {
    Secret::new(secret.expose_secret().clone())
}

/// What goes together.
fn judge(fields: &mut Fields<'_>, place: &Place, preset: &Preset, signer: bool, rule: bool) {
    if signer && rule {
        let help = "keep one of the two";
        let place = fields.key_place_of("rule");
        fields.error(&place, "both `signer` and `rule` say how to sign", help);
    }
    if preset.signer.is_empty() && !signer && !rule {
        let message = format!("`{}` has no signing rule of its own", preset.name);
        fields.error(
            place,
            message,
            "name one with `signer`, or a file with `rule`",
        );
    }
    let binance = !rule && !signer && preset.signer == "binance";
    for key in ["algorithm", "recv_window"] {
        if fields.has(key) && !binance && !signer {
            let place = fields.place_of(key);
            let message = format!("`{key}` is for Binance's rule");
            fields.error(&place, message, "leave it out");
        }
    }
}

/// Only some keys may log a WebSocket on, and only where there is one.
pub(super) fn judge_log_on(
    log_on: &Placed<bool>,
    sign: Option<Option<&SignSettings>>,
    preset: &Preset,
    faults: &mut Faults,
) {
    let refusal = match sign {
        None => "`log_on` needs a key to log on with: a section `sign`",
        // Its own fault is told, or no secrets are read.
        Some(None) => return,
        Some(Some(sign)) => match &sign.signer {
            Some(signer) if !signer.can_log_on() => {
                "only Ed25519 keys of Binance log WebSockets on"
            }
            Some(_) | None if preset.ws_api.is_none() => {
                "this exchange has no WebSocket that is logged on"
            }
            Some(_) | None => return,
        },
    };
    faults.error_with_help(&log_on.place, refusal, "leave `log_on` out");
}

fn read_rule(file: &Placed<String>, files: &mut Files<'_>, faults: &mut Faults) -> Option<Program> {
    let name = &file.value;
    let read = match files.read(name, RULE_BYTES_MAX + 1) {
        Err(error) => Err(why_unread(&error)),
        Ok(bytes) if bytes.len() as u64 > RULE_BYTES_MAX => Err("is larger than 256KiB".to_owned()),
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()),
    };
    let text = match read {
        Ok(text) => text,
        Err(why) => {
            faults.error(&file.place, format!("the file `{name}` {why}"));
            return None;
        }
    };
    match program(name, &text) {
        Ok((program, warnings)) => {
            for warning in warnings.faults() {
                let line = line_of(&warning.place);
                let message = format!("`{name}`, {line}: {}", warning.message);
                faults.warning(
                    &file.place,
                    message,
                    warning.help.clone().unwrap_or_default(),
                );
            }
            Some(program)
        }
        Err(report) => {
            let first = report
                .faults()
                .iter()
                .find(|fault| fault.severity == Severity::Error);
            let first = first.map_or("", |fault| fault.message.as_str());
            let message = format!("the rule `{name}` is not sound: {first}");
            let help = "its faults follow, each with its line";
            faults.error_with_help(&file.place, message, help);
            files.refuse(*report);
            None
        }
    }
}

/// The name of a rule that comes with the program.
#[derive(Clone, Copy)]
struct SignerName(&'static str);

impl Decode for SignerName {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let text = scalar(node, "the name of a signing rule", faults)?;
        match find(text) {
            Ok(kind) => Some(Self(kind.name)),
            Err(help) => {
                let message = format!("there is no signer `{text}`");
                faults.error_with_help(&node.place, message, help);
                None
            }
        }
    }

    fn schema() -> Json {
        let names: Vec<&str> = SIGNERS.iter().map(|kind| kind.name).collect();
        json!({"enum": names})
    }
}

/// The kind of a key at Binance.
#[derive(Clone, Copy)]
struct BinanceAlgorithm(Algorithm);

impl BinanceAlgorithm {
    const HMAC: Self = Self(Algorithm::HmacSha256);
}

impl Decode for BinanceAlgorithm {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [
            ("hmac", Self::HMAC),
            ("ed25519", Self(Algorithm::Ed25519)),
            ("rsa", Self(Algorithm::RsaSha256)),
        ];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["hmac", "ed25519", "rsa"]})
    }
}
