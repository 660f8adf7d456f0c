//! Section `inbound`: the listener, the service behind it, and everything between. Never opens a socket.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::decide::guards::{Context, Scope};
use crate::decide::policy::{Mode, Policy, StagedRules};
use crate::model::cors::Cors;
use crate::model::decode::{Decode, Fields, Placed, Section, one_of};
use crate::model::fault::Faults;
use crate::model::ip::{Cidr, CidrSet};
use crate::model::node::Node;
use crate::model::settings::{
    AcceptLimits, HeaderPreset, LimitHeaders, RoleMap, Timeouts, TlsSettings, TokenSettings,
    TrustedHops, Upstream,
};

use super::addresses::{ForwardTo, Listen, arrives_at};
use super::files::Files;
use super::names::Roles;
use super::routes::{self, Listener};
use super::tls::Tls;
use super::tokens::Tokens;
use super::{bounds, cors, of_defaults, section_or_defaults, timeouts};

/// The inbound journey.
#[derive(Debug)]
pub struct Inbound {
    /// Where clients connect; nowhere if there is no way in.
    pub listen: Option<SocketAddr>,
    /// How the listener speaks TLS; without it, it speaks clear text.
    pub tls: Option<TlsSettings>,
    /// Where the service is, if there is a way in.
    pub upstream: Option<Upstream>,
    /// What is taken in at most.
    pub limits: AcceptLimits,
    /// How long anything waits.
    pub timeouts: Timeouts,
    /// Who may speak for others.
    pub client_ip: TrustedHops,
    /// How tokens are verified; without it every route is anonymous.
    pub tokens: Option<TokenSettings>,
    /// What each role may.
    pub roles: RoleMap,
    /// Which security headers answers get.
    pub headers: HeaderPreset,
    /// Which rate-limit fields answers get.
    pub limit_headers: LimitHeaders,
    /// Routes, rules and limits.
    pub policy: Policy,
}

impl Inbound {
    /// No way in, beside a way out: nothing listens and there is no route. What is left is how long the end of the process
    /// takes, without the pause for clients elsewhere who do not know of it yet.
    pub(super) fn absent() -> Option<Self> {
        let timeouts = of_defaults(timeouts::read)?;
        Some(Self {
            listen: None,
            tls: None,
            upstream: None,
            limits: of_defaults(bounds::read)?,
            timeouts: Timeouts {
                drain_pause: Duration::ZERO,
                ..timeouts
            },
            client_ip: TrustedHops::default(),
            tokens: None,
            roles: RoleMap::default(),
            headers: HeaderPreset::Api,
            limit_headers: LimitHeaders::Draft,
            policy: Policy::default(),
        })
    }
}

/// The section before files were read and other sections compared.
pub(super) struct Draft {
    pub(super) listen: Placed<Listen>,
    pub(super) forward_to: Placed<ForwardTo>,
    inbound: Inbound,
    tokens: Option<Tokens>,
    tls: Option<Tls>,
}

impl Draft {
    /// Reads the key file.
    pub(super) fn load(self, files: &mut Files<'_>, faults: &mut Faults) -> Option<Inbound> {
        let tokens = match self.tokens {
            Some(tokens) => Some(tokens.load(files, faults)?),
            None => None,
        };
        Some(Inbound {
            tokens,
            tls: self.tls.map(|tls| tls.load(files, faults)),
            ..self.inbound
        })
    }

    /// What each role may.
    pub(super) const fn roles(&self) -> &RoleMap {
        &self.inbound.roles
    }

    /// Whether tokens are configured.
    pub(super) const fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }
}

impl Section for Draft {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let listen: Option<Placed<Listen>> =
            fields.required("listen", "the address and port that clients connect to");
        let doc = "TLS for clients; without it they speak clear text";
        let tls: Option<Tls> = fields.optional("tls", doc);
        if let (Some(listen), false) = (&listen, fields.has("tls")) {
            warn_of_clear_text(fields, listen);
        }
        let doc = "where the service listens: http://ADDRESS:PORT, or unix:/PATH";
        let forward_to: Option<Placed<ForwardTo>> = fields.required("forward_to", doc);
        let doc = "whose word counts when a request says for whom it comes";
        let client_ip = section_or_defaults(fields, "client_ip", doc, read_hops);
        let doc = "how callers' tokens are verified; without it every route must be anonymous";
        let tokens: Option<Tokens> = fields.optional("tokens", doc);
        let doc = "what each role may: a list of permissions such as orders:place or orders:*";
        let roles: Option<Roles> = fields.optional("roles", doc);
        let doc = "security headers of every answer: api, web or none";
        let headers = fields.or("headers", doc, "api", HeaderPreset::Api);
        let doc =
            "rate-limit fields of answers: draft (RateLimit), legacy (X-RateLimit-*), both or none";
        let limit_headers = fields.or("limit_headers", doc, "draft", LimitHeaders::Draft);
        let doc = "what the listener takes in at most";
        let limits = section_or_defaults(fields, "bounds", doc, bounds::read);
        let doc = "how long the listener and the way to the service wait";
        let timeouts = section_or_defaults(fields, "timeouts", doc, timeouts::read);
        let doc = "pages of other origins in browsers: who may read answers; without it the service says so itself";
        let cors = fields.section("cors", doc, |section| cors::read(section, limit_headers));
        let cors = cors.map(Arc::new);
        // A faulty `tls` has its own fault; what would follow from it is not told.
        let unclear = fields.has("tls") && tls.is_none();
        let asks_clients = unclear || tls.as_ref().is_some_and(Tls::asks_clients);
        let asked = Asked {
            client_certificates: asks_clients,
            limit_headers,
            cors,
        };
        let policy = read_policy(fields, limits.as_ref(), asked);
        if let (Some(listen), Some(forward_to)) = (&listen, &forward_to) {
            refuse_loop(fields, listen.value.0, forward_to, "inbound.listen");
        }
        let (listen, forward_to) = (listen?, forward_to?);
        Some(Self {
            inbound: Inbound {
                listen: Some(listen.value.0),
                tls: None,
                upstream: Some(forward_to.value.0.clone()),
                limits: limits?,
                timeouts: timeouts?,
                client_ip: client_ip?,
                tokens: None,
                roles: roles.map(|roles| roles.0).unwrap_or_default(),
                headers,
                limit_headers,
                policy: policy?,
            },
            listen,
            forward_to,
            tokens,
            tls,
        })
    }
}

/// Tokens in clear text can be read and used by whoever is on the way.
fn warn_of_clear_text(fields: &mut Fields<'_>, listen: &Placed<Listen>) {
    if !listen.value.0.ip().to_canonical().is_loopback() {
        let message = "clients connect from other machines, and in clear text";
        let help = "add `tls`, or let whatever stands in front speak TLS and reach this listener on loopback";
        fields.warning(&listen.place, message, help);
    }
}

/// Refuses to forward to ourselves, which would go round until the connections are spent.
pub(super) fn refuse_loop(
    fields: &mut Fields<'_>,
    listen: SocketAddr,
    forward_to: &Placed<ForwardTo>,
    name: &str,
) {
    let Upstream::Tcp { address, .. } = &forward_to.value.0 else {
        return;
    };
    if arrives_at(*address, listen) {
        let message =
            format!("`forward_to` leads back to the sidecar itself: `{name}` is {listen}");
        fields.error(
            &forward_to.place,
            message,
            "write the service's own address and port",
        );
    }
}

fn read_hops(fields: &mut Fields<'_>) -> TrustedHops {
    let doc = "networks of the proxies in front: only they may speak for others in X-Forwarded-For";
    let cidrs: Option<Vec<Cidr>> = fields.optional("trusted_cidrs", doc);
    TrustedHops {
        cidrs: CidrSet::new(cidrs.unwrap_or_default()),
    }
}

/// What the listener is asked for beside its routes, and they depend on.
struct Asked {
    client_certificates: bool,
    limit_headers: LimitHeaders,
    cors: Option<Arc<Cors>>,
}

fn read_policy(
    fields: &mut Fields<'_>,
    bounds: Option<&AcceptLimits>,
    asked: Asked,
) -> Option<Policy> {
    let Asked {
        client_certificates,
        limit_headers,
        cors,
    } = asked;
    let limits = RefCell::new(Vec::new());
    let context = Context {
        owner: "inbound",
        tokens: fields.has("tokens"),
        client_certificates,
        anonymous: false,
        mode: Mode::Enforce,
        limits: &limits,
    };
    let shared = routes::staged(routes::guards(Scope::Inbound, &context, fields));
    let listener = Listener {
        tokens: context.tokens,
        client_certificates,
        // A faulty `bounds` has its own fault; routes are then held against nothing.
        body_bytes_max: bounds.map_or(crate::model::units::ByteSize(u64::MAX), |b| {
            b.body_bytes_max
        }),
        shared: &shared,
        limits: &limits,
        limit_headers,
        cors: cors.as_ref(),
    };
    let routes = routes::read(fields, &listener)?;
    if routes.iter().any(|route| route.anonymous) {
        warn_of_shared_counts(fields, &shared);
    }
    Some(Policy {
        shared,
        routes,
        limits: limits.into_inner(),
        cors,
    })
}

/// Who is not known cannot be told apart: one such client spends what all of them have.
fn warn_of_shared_counts(fields: &mut Fields<'_>, shared: &StagedRules) {
    let staged = [&shared.admit, &shared.head, &shared.body];
    for rule in staged.into_iter().flatten() {
        let per = rule.guard.limit().map_or("", |limit| &limit.per);
        if per == "user" || per.starts_with("claim:") {
            let message = "callers of anonymous routes have no user and no claim: they share one count of this limit";
            let help = "write `per: client_ip`, or give the limit to the routes that need a token";
            fields.warning(&rule.id.place, message, help);
        }
    }
}

impl Decode for HeaderPreset {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [("api", Self::Api), ("web", Self::Web), ("none", Self::None)];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["api", "web", "none"]})
    }
}

impl Decode for LimitHeaders {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [
            ("draft", Self::Draft),
            ("legacy", Self::Legacy),
            ("both", Self::Both),
            ("none", Self::None),
        ];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["draft", "legacy", "both", "none"]})
    }
}
