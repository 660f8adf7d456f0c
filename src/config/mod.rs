//! The only door from text to types: one YAML file and the environment become one [`Config`], or a [`Report`] of every
//! fault. Never binds, never starts, never guesses.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::model::decode::{
    Decode, Fields, Placed, Section, decode_scalar, read_section, refuse_quotes,
};
use crate::model::fault::Faults;
use crate::model::node::{Node, Place, Value};
use crate::model::settings::{FileRead, SpoolSettings};
use crate::secrets::{Gathered, Sources};

mod addresses;
mod admin;
mod audit;
mod bounds;
pub mod budget;
mod cors;
mod deprecation;
mod effective;
mod env;
mod files;
mod inbound;
mod keys;
mod keys_url;
mod names;
mod numbers;
mod outbound;
mod reach;
mod report;
mod routes;
pub mod signers;
mod surroundings;
mod syntax;
mod timeouts;
mod tls;
mod tokens;
pub mod yaml;

pub use admin::Admin;
pub use effective::Setting;
pub use files::Contents;
pub use inbound::Inbound;
pub use outbound::{Outbound, SignSettings};
pub use report::{Report, plural};

use addresses::{Listen, collide};
use files::{Extent, Files};
use names::Label;

/// A whole configuration.
#[derive(Debug)]
pub struct Config {
    /// The service's name, in audit, metrics and logs.
    pub service: String,
    /// The inbound journey; one that nobody can go if the configuration has none.
    pub inbound: Inbound,
    /// The ways out, in the order of the file.
    pub outbound: Vec<Outbound>,
    /// Every secret that the other sections refer to; empty where no secrets were read.
    pub secrets: Gathered,
    /// Where evidence is written.
    pub audit: SpoolSettings,
    /// Liveness, readiness and metrics.
    pub health: Health,
    /// The listener of operators, if there is one.
    pub admin: Option<Admin>,
    /// Threads that serve requests.
    pub workers: Workers,
}

/// The listener of `/livez`, `/readyz` and `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its address.
    pub listen: SocketAddr,
}

/// Threads that serve requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor that the process may use.
    Auto,
    /// So many.
    Count(NonZeroUsize),
}

/// A configuration that was read, with what can be told of it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, but probably not as meant.
    pub warnings: Report,
    root: Node,
    file: String,
}

impl Loaded {
    /// Every setting that applies, with its origin.
    #[must_use]
    pub fn effective(&self) -> Vec<Setting> {
        effective::settings(&self.root, &schema(), &self.file)
    }

    /// Where the value of a key such as `inbound.listen` is written.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        let found = key
            .split('.')
            .try_fold(&self.root, |node, segment| node.get(segment));
        found.map_or(Place::Default, |node| node.place.clone())
    }
}

/// Reads the file, the files it names and the `OUTRIDER_` variables of the environment.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Box<Report>> {
    load_from(path, environment, Extent::Whole)
}

/// The same for whoever only asks what the policy says: no secret need be there, and none is read.
pub fn load_without_secrets(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Box<Report>> {
    load_from(path, environment, Extent::NoSecrets)
}

/// The same for whoever brings keys of their own: neither the files that hold keys nor
/// secrets need be there, and they are not read.
pub fn load_without_keys(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Box<Report>> {
    load_from(path, environment, Extent::NoKeys)
}

fn load_from(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    extent: Extent,
) -> Result<Loaded, Box<Report>> {
    let environment: Vec<_> = environment.into_iter().collect();
    let (bytes, read) = files::read(path, FILE_BYTES_READ);
    match bytes {
        Ok(bytes) => {
            let files = Files::new(parent(path), &environment, extent);
            load_read(read, &bytes, files, &environment)
        }
        Err(error) => {
            let mut faults = Faults::default();
            let message = format!("the configuration {}", why_unread(&error));
            faults.error(&Place::Default, message);
            let report = Report::new(&path.display().to_string(), "", faults);
            let fingerprint = files::fingerprint(std::slice::from_ref(&read), &environment);
            Err(Box::new(report.read_from(vec![read], fingerprint)))
        }
    }
}

/// One byte more than allowed tells a file that is too large from one that just fits.
const FILE_BYTES_READ: u64 = yaml::DOCUMENT_BYTES_MAX as u64 + 1;

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Reads a text as if it were the file of this name in `folder`, where its key file is looked for.
pub fn load_bytes(
    file: &str,
    bytes: &[u8],
    folder: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Box<Report>> {
    let environment: Vec<_> = environment.into_iter().collect();
    let read = files::noted(Path::new(file), FILE_BYTES_READ, bytes);
    let files = Files::new(folder, &environment, Extent::Whole);
    load_read(read, bytes, files, &environment)
}

fn load_read(
    own: FileRead,
    bytes: &[u8],
    mut files: Files<'_>,
    environment: &[(OsString, OsString)],
) -> Result<Loaded, Box<Report>> {
    let file = own.path.display().to_string();
    let loaded = load_text(&file, bytes, &mut files, environment);
    let mut read = vec![own];
    read.extend(files.into_read());
    let fingerprint = files::fingerprint(&read, environment);
    match loaded {
        Ok(loaded) => Ok(Loaded {
            warnings: loaded.warnings.read_from(read, fingerprint),
            ..loaded
        }),
        Err(report) => Err(Box::new(report.read_from(read, fingerprint))),
    }
}

fn load_text(
    file: &str,
    bytes: &[u8],
    files: &mut Files<'_>,
    environment: &[(OsString, OsString)],
) -> Result<Loaded, Box<Report>> {
    let mut faults = Faults::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let lossy = String::from_utf8_lossy(bytes);
            let place = yaml::place_at(&lossy, error.valid_up_to(), 1);
            let help = "save the file as UTF-8";
            faults.error_with_help(&place, "here stands a byte that is not UTF-8", help);
            return Err(Box::new(Report::new(file, &lossy, faults)));
        }
    };
    let environment = environment.iter().cloned();
    let read = read_text(text, files, environment, &mut faults);
    let others = files.take_refused();
    let report = || Box::new(Report::new(file, text, faults).followed_by(others));
    match read {
        Some((config, root)) => Ok(Loaded {
            config,
            warnings: *report(),
            root,
            file: file.to_owned(),
        }),
        None => Err(report()),
    }
}

/// Why a file could not be read, for the person who named it.
fn why_unread(error: &io::Error) -> String {
    const REASONS: &[(io::ErrorKind, &str)] = &[
        (io::ErrorKind::NotFound, "does not exist"),
        (
            io::ErrorKind::PermissionDenied,
            "may not be read by this user",
        ),
        (io::ErrorKind::IsADirectory, "is a folder"),
    ];
    let known = REASONS.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(
        || format!("cannot be read: {}", error.kind()),
        |(_, reason)| (*reason).to_owned(),
    )
}

/// The JSON Schema (draft 2020-12) of the file.
#[must_use]
pub fn schema() -> Json {
    let mut schema = Draft::schema();
    if let Json::Object(members) = &mut schema {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("title".to_owned(), json!("Outrider sidecar.yaml"));
        // At least one way.
        let ways_out =
            json!({"required": ["outbound"], "properties": {"outbound": {"minItems": 1}}});
        members.insert(
            "anyOf".to_owned(),
            json!([{"required": ["inbound"]}, ways_out]),
        );
    }
    schema
}

/// All or nothing: `None` if there was any error.
fn read_text(
    text: &str,
    files: &mut Files<'_>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    faults: &mut Faults,
) -> Option<(Config, Node)> {
    let mut root = yaml::parse(text, faults)?;
    let schema = Draft::schema();
    let sections: Vec<&str> = schema
        .get("properties")
        .and_then(Json::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    env::patch(&mut root, &sections, environment, faults);
    let draft = Draft::decode(&root, faults)?;
    if let Some(inbound) = draft
        .inbound
        .as_ref()
        .filter(|inbound| inbound.has_tokens())
    {
        reach::ungranted(&root, inbound.roles(), faults);
    }
    let config = draft.load(files, faults)?;
    (!faults.any_error()).then_some((config, root))
}

/// The whole file before other files were read.
struct Draft {
    service: Label,
    inbound: Option<inbound::Draft>,
    outbound: Vec<outbound::Draft>,
    secrets: Sources,
    audit: audit::Audit,
    health: Placed<Listen>,
    admin: Option<Placed<Listen>>,
    workers: Workers,
}

impl Section for Draft {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "the service's name in audit, metrics and logs: a to z, 0 to 9 and -";
        let service = fields.required("service", doc);
        let doc =
            "the way in: from clients to the service; may be left out where there is a way out";
        let inbound: Option<inbound::Draft> = fields.optional("inbound", doc);
        let outbound = outbound::read(fields);
        let ways_out = outbound.as_deref().unwrap_or_default();
        if !fields.has("inbound") && outbound.is_some() && ways_out.is_empty() {
            let place = fields.place();
            let message = "there is neither `inbound` nor `outbound`, so there is nothing to do";
            let help = "write `inbound` for a way to the service, `outbound` for ways to exchanges, or both";
            fields.error(&place, message, help);
        }
        let doc = "where secrets are kept, in the order in which they are asked; without it, the environment";
        let secrets: Option<Sources> = fields.optional("secrets", doc);
        let audit = fields.required("audit", "where evidence is written, and how much is kept");
        let doc = "liveness, readiness and metrics";
        let health = section_or_defaults(fields, "health", doc, read_health);
        let doc =
            "the listener of operators: pages to read and orders to give; without it there is none";
        let admin = fields.section("admin", doc, admin::read);
        let doc = "threads that serve requests; auto is one for each processor";
        let workers = fields.or("workers", doc, "auto", Workers::Auto);
        if let Some(health) = &health {
            compare_all(fields, inbound.as_ref(), ways_out, health, admin.as_ref());
        }
        if fields.has("inbound") && inbound.is_none() {
            return None;
        }
        Some(Self {
            service: service?,
            inbound,
            outbound: outbound?,
            secrets: secrets.unwrap_or_default(),
            audit: audit?,
            health: health?,
            admin,
            workers,
        })
    }
}

impl Draft {
    fn load(self, files: &mut Files<'_>, faults: &mut Faults) -> Option<Config> {
        let mut audit = self.audit.0;
        audit.folder = files.folder().join(&audit.folder);
        files.open_secrets(self.secrets, faults);
        let inbound = match self.inbound {
            Some(draft) => draft.load(files, faults),
            None => Inbound::absent(),
        };
        let outbound = self.outbound.into_iter();
        let outbound: Vec<_> = outbound.map(|draft| draft.load(files, faults)).collect();
        Some(Config {
            service: self.service.0,
            inbound: inbound?,
            outbound: outbound.into_iter().collect::<Option<_>>()?,
            secrets: files.take_secrets(),
            audit,
            health: Health {
                listen: self.health.value.0,
            },
            admin: self.admin.map(|admin| Admin {
                listen: admin.value.0,
            }),
            workers: self.workers,
        })
    }
}

/// Loopback, because metrics tell much; a pod that is probed from outside says so.
const HEALTH_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9912);

fn read_health(fields: &mut Fields<'_>) -> Placed<Listen> {
    let doc = "the address and port of /livez, /readyz and /metrics";
    let listen = fields.or("listen", doc, "127.0.0.1:9912", Listen(HEALTH_LISTEN));
    let place = fields.place_of("listen");
    Placed {
        value: listen,
        place,
    }
}

/// No two listeners on one address.
fn compare_all(
    fields: &mut Fields<'_>,
    inbound: Option<&inbound::Draft>,
    ways_out: &[outbound::Draft],
    health: &Placed<Listen>,
    admin: Option<&Placed<Listen>>,
) {
    if let Some(inbound) = inbound {
        compare_listeners(fields, inbound, health);
        outbound::compare(fields, ways_out, "inbound.listen", inbound.listen.value.0);
    }
    outbound::compare(fields, ways_out, "health.listen", health.value.0);
    if let Some(admin) = admin {
        outbound::compare(fields, ways_out, "admin.listen", admin.value.0);
        admin::compare(fields, admin, inbound, health);
    }
}

fn compare_listeners(fields: &mut Fields<'_>, inbound: &inbound::Draft, health: &Placed<Listen>) {
    let (one, other) = (inbound.listen.value.0, health.value.0);
    if collide(one, other) {
        // Where the default collides, the address that was written is the one to change.
        let place = match health.place {
            Place::Default => &inbound.listen.place,
            Place::File { .. } | Place::Env(_) => &health.place,
        };
        let message =
            format!("`inbound.listen` ({one}) and `health.listen` ({other}) are one address");
        fields.error(place, message, "give one of them another port");
    }
    inbound::refuse_loop(fields, other, &inbound.forward_to, "health.listen");
}

impl Decode for Workers {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        if matches!(&node.value, Value::Scalar { text, .. } if text == "auto") {
            return Some(Self::Auto);
        }
        let expected = "auto or a number of threads";
        refuse_quotes(node, faults, expected)?;
        decode_scalar(node, expected, faults, |text| {
            let plain = !text.starts_with(['0', '+']);
            let count = text.parse().ok().filter(|_| plain);
            count
                .filter(|count: &NonZeroUsize| count.get() <= WORKERS_MAX)
                .map(Self::Count)
                .ok_or_else(|| {
                    format!("`{text}` is no number of threads; write auto, or 1 to {WORKERS_MAX}")
                })
        })
    }

    fn schema() -> Json {
        json!({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": WORKERS_MAX}]})
    }
}

/// More threads than any machine has processors to give a sidecar.
const WORKERS_MAX: usize = 256;

/// A section whose keys all have defaults, so that leaving it out is the same as writing it empty; `None` if faulty.
fn section_or_defaults<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    doc: &'static str,
    read: impl Fn(&mut Fields<'_>) -> T,
) -> Option<T> {
    let written = fields.section(key, doc, |section| Some(read(section)));
    if fields.describing() || fields.has(key) {
        return written;
    }
    of_defaults(read)
}

/// A section whose keys all have defaults, with all of them.
fn of_defaults<T>(read: impl Fn(&mut Fields<'_>) -> T) -> Option<T> {
    let empty = Node {
        value: Value::Map(Vec::new()),
        place: Place::Default,
    };
    read_section(&empty, &mut Faults::default(), |section| {
        Some(read(section))
    })
}
