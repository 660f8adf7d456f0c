//! Section `outbound`: one entry for each exchange that the service may reach, with where it listens, what may be called
//! and how the exchange is known. Never opens a socket, never holds a key.

mod endpoints;
mod lines;
mod listen;
mod sign;
mod waits;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::decide::outbound::{AllowLine, ExchangePolicy};
use crate::decide::policy::AuditMode;
use crate::model::decode::{Decode, Fields, Placed, decode_scalar, one_of, suggest};
use crate::model::endpoint::Endpoint;
use crate::model::exchange::{CUSTOM, PRESETS, Preset, Role};
use crate::model::fault::Faults;
use crate::model::node::{Node, Place};
use crate::model::outbound::{CallerToken, ClientCredentials, LocalListen, SocketRules};
use crate::model::pins::PinSettings;
use crate::model::secret::{Secret, SecretName, SecretRef};
use crate::model::settings::{AcceptLimits, Timeouts};

use super::addresses::collide;
use super::budget::{self, ExchangeSettings};
use super::files::Files;
use super::names::Label;
use super::section_or_defaults;

pub use sign::SignSettings;

use endpoints::Endpoints;
use listen::{LocalAddress, SocketMode};
use sign::Sign;

/// One way out, to one exchange.
#[derive(Debug)]
pub struct Outbound {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is written.
    pub place: Place,
    /// Where the service reaches it.
    pub listen: LocalListen,
    /// Where the exchange is, by interface.
    pub endpoints: Vec<(Role, Endpoint)>,
    /// What may be called.
    pub policy: Arc<ExchangePolicy>,
    /// Who signs; without it only public calls are made.
    pub sign: Option<SignSettings>,
    /// Whether WebSockets of the exchange's API are logged on before they are handed out.
    pub log_on: bool,
    /// What callers have to show.
    pub caller_token: Option<CallerToken>,
    /// Limits and time of the exchange.
    pub exchange: ExchangeSettings,
    /// When the record of a request that changes something is written.
    pub audit: AuditMode,
    /// What becomes of credentials that clients send by themselves.
    pub client_credentials: ClientCredentials,
    /// What is taken in at most.
    pub limits: AcceptLimits,
    /// How many of the connections only cancels may have.
    pub kept_for_cancels: u32,
    /// The bounds of each WebSocket.
    pub sockets: SocketRules,
    /// How long anything waits.
    pub timeouts: Timeouts,
}

/// An entry before files were read.
pub(super) struct Draft {
    pub(super) listen: Placed<LocalListen>,
    endpoints: Endpoints,
    pins: Option<PinSettings>,
    sign: Option<Sign>,
    log_on: Option<Placed<bool>>,
    caller_token: Option<SecretRef>,
    outbound: Outbound,
}

impl Draft {
    /// Reads the CA files.
    pub(super) fn load(self, files: &mut Files<'_>, faults: &mut Faults) -> Option<Outbound> {
        let Self {
            endpoints,
            pins,
            sign,
            log_on,
            caller_token,
            outbound,
            ..
        } = self;
        let (name, preset) = (&outbound.name, outbound.policy.preset);
        let endpoints = endpoints.load(name, preset, pins.as_ref(), files, faults);
        let sign = sign.map(|sign| sign.load(preset, files, faults));
        if let Some(log_on) = log_on.filter(|log_on| log_on.value) {
            sign::judge_log_on(&log_on, sign.as_ref().map(Option::as_ref), preset, faults);
        }
        let caller_token = caller_token.and_then(|reference| {
            files.want(&reference, faults);
            let token = files.secret(&reference.name)?;
            if token.expose_secret().trim_ascii().len() < CALLER_TOKEN_BYTES_MIN {
                let message = format!("a caller token has at least {CALLER_TOKEN_BYTES_MIN} bytes");
                faults.error(&reference.place, message);
            }
            let token = token.expose_secret().trim_ascii().to_vec();
            Some(CallerToken::new(Secret::new(token)))
        });
        Some(Outbound {
            endpoints: endpoints?,
            // A faulty one has told its fault.
            sign: match sign {
                Some(sign) => Some(sign?),
                None => None,
            },
            caller_token,
            ..outbound
        })
    }

    /// Which world its key belongs to: nothing else may have it.
    fn world(&self) -> String {
        let preset = self.outbound.policy.preset;
        match self.endpoints.stand_in() {
            Some(host) => format!("the stand-in {host}"),
            None if preset.family == CUSTOM.family => format!("`{}`", self.outbound.name),
            None => format!("{} {}", preset.family, preset.environment.as_str()),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let place = fields.place();
        let doc = "its name in audit and metrics: a to z, 0 to 9 and -";
        let name: Option<Label> = fields.required("name", doc);
        let listen = read_listen(fields);
        let doc = "the exchange, by the name of a preset; or custom, and then `endpoints` say where it is";
        let exchange: Option<Exchange> = fields.required("exchange", doc);
        let preset = exchange.map_or(&CUSTOM, |exchange| exchange.0);
        let endpoints = Endpoints::read(fields, preset, exchange.is_some());
        let pins = PinSettings::read(fields);
        let signs = fields.has("sign");
        let sign = Sign::read(fields, exchange.map(|exchange| exchange.0));
        let doc = "true: WebSockets of the exchange's API are logged on with our key before a client has them (Ed25519 only)";
        let log_on: Option<Placed<bool>> = fields.optional("log_on", doc);
        let logs_on = log_on.as_ref().is_some_and(|log_on| log_on.value);
        let doc = "the secret that callers have to show in the header Outrider-Caller-Token; without it whoever reaches the listener may call";
        let caller_token: Option<SecretRef> = fields.optional("caller_token", doc);
        let exchange_settings = budget::read(fields);
        let doc = "when the record of a request that changes something is written: with_answer, or before_forward, and then it is durable before the request leaves";
        let audit = fields.or("audit", doc, "with_answer", AuditMode::WithAnswer);
        let doc = "what may be called, a line each: GET /api/v3/**, POST /api/v3/order, WS order.place, STREAM **; everything else may not";
        let allow: Option<Vec<Allow>> = fields.required("allow", doc);
        let allow = allow.map(|lines| lines.into_iter().map(|line| line.0).collect::<Vec<_>>());
        if let (Some(_), Some(allow)) = (exchange, &allow) {
            lines::judge(fields, preset, allow);
            if let (Some(endpoints), true) = (&endpoints, preset.ws_api.is_some()) {
                endpoints.warn_of_two_worlds(fields, allow);
            }
        }
        let doc = "what becomes of a key, a time and a signature that clients send by themselves: replace or refuse";
        let client_credentials = fields.or(
            "client_credentials",
            doc,
            "replace",
            ClientCredentials::Replace,
        );
        let doc = "what the listener takes in at most";
        let limits = section_or_defaults(fields, "bounds", doc, waits::read_bounds);
        let doc = "the bounds of each WebSocket";
        let sockets = section_or_defaults(fields, "sockets", doc, waits::read_sockets);
        let doc = "how long the listener and the way to the exchange wait";
        let timeouts = section_or_defaults(fields, "timeouts", doc, waits::read_timeouts);
        let (name, listen, allow) = (name?, listen?, allow?);
        let (limits, kept_for_cancels) = limits?;
        let name: Arc<str> = Arc::from(name.0);
        exchange?;
        if signs && sign.is_none() {
            return None;
        }
        Some(Self {
            endpoints: endpoints?,
            pins,
            sign,
            log_on,
            caller_token,
            outbound: Outbound {
                name: Arc::clone(&name),
                place,
                listen: listen.value.clone(),
                endpoints: Vec::new(),
                policy: Arc::new(ExchangePolicy {
                    name,
                    preset,
                    allow,
                }),
                sign: None,
                log_on: logs_on,
                caller_token: None,
                exchange: exchange_settings,
                audit,
                client_credentials,
                limits,
                kept_for_cancels,
                sockets: sockets?,
                timeouts: timeouts?,
            },
            listen,
        })
    }
}

/// Reads the list; without one there is no way out.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Vec<Draft>> {
    let doc = "the ways out: exchanges that the service may reach, each over a listener of its own on this machine";
    let written = fields.has("outbound");
    let read = fields.list_of("outbound", doc, Draft::read);
    if !written {
        return Some(Vec::new());
    }
    let drafts = read?;
    refuse_doubles(fields, &drafts);
    bind_keys(fields, &drafts);
    Some(drafts)
}

fn read_listen(fields: &mut Fields<'_>) -> Option<Placed<LocalListen>> {
    let doc = "where the service reaches it: 127.0.0.1:PORT, or unix:/PATH; never an address of the network";
    let address: Option<Placed<LocalAddress>> = fields.required("listen", doc);
    let doc = "who may connect to the socket: \"0600\" the same user only, \"0660\" its group too";
    let mode: Option<SocketMode> = fields.optional("socket_mode", doc);
    let Placed { value, place } = address?;
    let listen = value.into_listen(mode.unwrap_or_default());
    if mode.is_some() && matches!(listen, LocalListen::Tcp(_)) {
        let at = fields.place_of("socket_mode");
        let help = "leave it out, or listen on unix:/PATH";
        fields.error(&at, "`socket_mode` is for sockets in the file system", help);
    }
    Some(Placed {
        value: listen,
        place,
    })
}

/// The fewest bytes of a caller token: what nobody guesses.
const CALLER_TOKEN_BYTES_MIN: usize = 16;

/// A key of one world never leaves for another: neither to another exchange, nor from a testnet to the real one.
fn bind_keys(fields: &mut Fields<'_>, drafts: &[Draft]) {
    let mut owners: BTreeMap<&SecretName, (String, &Arc<str>)> = BTreeMap::new();
    for draft in drafts {
        let world = draft.world();
        for key in draft.sign.iter().flat_map(Sign::keys) {
            match owners.get(&key.name) {
                Some((owner, name)) if *owner != world => {
                    let message = format!(
                        "the secret `{}` is a key of {owner} (`{name}`), and must not leave for {world}",
                        key.name
                    );
                    let help = "give each world keys of its own";
                    fields.error(&key.place, message, help);
                }
                Some(_) => {}
                None => {
                    owners.insert(&key.name, (world.clone(), &draft.outbound.name));
                }
            }
        }
    }
}

/// Names and listeners are there once each.
fn refuse_doubles(fields: &mut Fields<'_>, drafts: &[Draft]) {
    let mut names = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        let name = &draft.outbound.name;
        if names.insert(Arc::clone(name), at).is_some() {
            let message = format!("two entries of `outbound` are called `{name}`");
            fields.error(
                &draft.outbound.place,
                message,
                "give one of them another name",
            );
        }
        let same = |other: &Draft| same_listener(&other.listen.value, &draft.listen.value);
        if drafts.iter().take(at).any(same) {
            let message = format!("two entries of `outbound` listen on {}", draft.listen.value);
            let help = "give one of them another port or path";
            fields.error(&draft.listen.place, message, help);
        }
    }
}

fn same_listener(one: &LocalListen, other: &LocalListen) -> bool {
    match (one, other) {
        (LocalListen::Tcp(one), LocalListen::Tcp(other)) => collide(*one, *other),
        (LocalListen::Unix { path: one, .. }, LocalListen::Unix { path: other, .. }) => {
            one == other
        }
        (LocalListen::Tcp(_), LocalListen::Unix { .. })
        | (LocalListen::Unix { .. }, LocalListen::Tcp(_)) => false,
    }
}

/// Refuses ways out that listen where another listener does.
pub(super) fn compare(fields: &mut Fields<'_>, drafts: &[Draft], name: &str, other: SocketAddr) {
    for draft in drafts {
        let LocalListen::Tcp(own) = draft.listen.value else {
            continue;
        };
        if collide(own, other) {
            let outbound = &draft.outbound.name;
            let message = format!("`{outbound}` ({own}) and `{name}` ({other}) are one address");
            let help = "give one of them another port";
            fields.error(&draft.listen.place, message, help);
        }
    }
}

/// The name of a preset.
#[derive(Clone, Copy)]
struct Exchange(&'static Preset);

impl Decode for Exchange {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let mut names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        names.push(CUSTOM.name);
        let text = crate::model::decode::scalar(node, "the name of an exchange", faults)?;
        let found = match text == CUSTOM.name {
            true => Some(&CUSTOM),
            false => Preset::named(text),
        };
        if found.is_none() {
            let message = format!("no exchange is called `{text}`");
            faults.error_with_help(&node.place, message, suggest(text, &names));
        }
        found.map(Self)
    }

    fn schema() -> Json {
        let mut names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        names.push(CUSTOM.name);
        json!({"enum": names})
    }
}

/// A line of `allow`.
struct Allow(AllowLine);

impl Decode for Allow {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = "a line such as `GET /api/v3/**`";
        decode_scalar(node, expected, faults, |text| {
            AllowLine::parse(text, &node.place).map(Self)
        })
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^((GET|POST|PUT|PATCH|DELETE|[*]) +/|(WS|STREAM) +)[^ ]*$",
            "examples": ["GET /api/v3/**", "POST /api/v3/order", "WS order.place", "STREAM **"],
        })
    }
}

impl Decode for ClientCredentials {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [("replace", Self::Replace), ("refuse", Self::Refuse)];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["replace", "refuse"]})
    }
}

#[cfg(test)]
mod tests;
