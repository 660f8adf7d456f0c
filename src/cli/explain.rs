//! `outrider explain`: for one request, what each guard would answer and why. Spends nothing, sends nothing.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::accept::tls::read_certificate;
use crate::config;
use crate::decide::policy::Mode;
use crate::decide::{Line, Said};
use crate::model::certificate::ClientCertificate;
use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::denial::{Advice, Denial};
use crate::model::node::Place;
use crate::model::secret::Secret;
use crate::pipeline::outbound::judge;
use crate::pipeline::{Explanation, Snapshot, Verdict, explain};
use crate::roles::ways_out;

use super::exit::{self, Failure};
use super::outbound::{columns, denied, described, find, head};
use super::question::{PolicyArgs, Sketch, parse_now, read, read_bytes};

/// The arguments of `explain`.
#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// A way out, by its name: what it would make of the request, instead of the way in
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["keys", "token", "claims", "certificate", "client_ip", "now"]
    )]
    outbound: Option<String>,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// Path and query
    #[arg(long)]
    path: String,
    /// A header line, such as "content-type: application/json"; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// A file that holds an access token
    #[arg(long, value_name = "FILE", conflicts_with = "claims")]
    token: Option<PathBuf>,
    /// A file of claims (JSON) that count as a verified token; issuer, audience and times may be left out
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// A client certificate (PEM) that counts as verified
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The client's address
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// A file that holds the body
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The moment, such as 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_now)]
    now: Option<Now>,
}

/// Runs the command.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> u8 {
    if let Some(name) = &args.outbound {
        return match outward(args, name) {
            Ok(text) => super::answer(out, text, exit::OK),
            Err(failure) => failure.tell(),
        };
    }
    let answered = sketch(args).and_then(|sketch| {
        let snapshot = args.policy.snapshot()?;
        let question = sketch
            .question(&snapshot)
            .map_err(|why| Failure::new(exit::USAGE, why))?;
        let file = args.policy.config.display().to_string();
        Ok(render(
            &snapshot,
            &sketch,
            &file,
            &explain(&snapshot, &question),
        ))
    });
    match answered {
        Ok(text) => super::answer(out, text, exit::OK),
        Err(failure) => failure.tell(),
    }
}

/// What a way out would make of the request: the line that allows it, and what is known of the call.
fn outward(args: &ExplainArgs, name: &str) -> Result<String, Failure> {
    let file = &args.policy.config;
    let loaded = config::load_without_secrets(file, std::env::vars_os());
    let loaded =
        loaded.map_err(|report| Failure::new(exit::CONFIGURATION, report.refusal(false)))?;
    let way = find(loaded, Some(name))?;
    let usage = |why: String| Failure::new(exit::USAGE, why);
    if matches!(&*args.method, "WS" | "STREAM") {
        let why = "what goes over a WebSocket is no request: `outrider sign --explain --frame` takes a frame of the API";
        return Err(usage(why.to_owned()));
    }
    let method = Method::from_bytes(args.method.as_bytes());
    let method = method.map_err(|_| usage(format!("`{}` is no method", args.method)))?;
    let body = args.body.as_deref().map(read_bytes).transpose()?;
    let body = body.unwrap_or_default();
    let parts = head(&method, &args.path, &args.headers, &body).map_err(usage)?;
    let rules = ways_out::rules(&way, None);
    let lines = match judge(&way.policy, &rules, parts, body) {
        Ok(judged) => described(
            file,
            &judged.known,
            judged.line.as_ref().map_err(|denial| &**denial),
        ),
        Err(denial) => vec![("DENIED", denied(file, &denial))],
    };
    let lines: Vec<(&str, &str)> = lines
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    Ok(format!(
        "{method} {} by {}\n\n{}",
        args.path,
        way.name,
        columns(&lines)
    ))
}

fn sketch(args: &ExplainArgs) -> Result<Sketch, Failure> {
    Ok(Sketch {
        method: args.method.clone(),
        path: args.path.clone(),
        headers: args.headers.clone(),
        token: args
            .token
            .as_deref()
            .map(read)
            .transpose()?
            .map(Secret::new),
        claims: args.claims.as_deref().map(read).transpose()?,
        client_ip: args.client_ip,
        certificate: args.certificate.as_deref().map(certificate).transpose()?,
        body: args
            .body
            .as_deref()
            .map(read_bytes)
            .transpose()?
            .unwrap_or_default(),
        now: args.now,
    })
}

/// The first certificate of a PEM file.
fn certificate(path: &Path) -> Result<Arc<ClientCertificate>, Failure> {
    let text = read(path)?;
    let refusal = |why: &str| Failure::new(exit::USAGE, format!("{}: {why}", path.display()));
    let der = CertificateDer::from_pem_slice(text.as_bytes());
    let der = der.map_err(|_| refusal("holds no certificate (PEM)"))?;
    read_certificate(&der).map(Arc::new).map_err(refusal)
}

pub(super) fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not `NAME: VALUE`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The explanation: the request, the route and every guard in the order in which they are asked, the decision.
fn render(snapshot: &Snapshot, sketch: &Sketch, file: &str, found: &Explanation) -> String {
    let from = match &found.facts {
        Some(facts) => format!(" from {}, {}", facts.client_ip, who(found)),
        None => String::new(),
    };
    let (before, after) = found
        .lines
        .split_at_checked(found.before_identity)
        .unwrap_or((&found.lines, &[]));
    let mut rows = Vec::new();
    rows.extend(route_row(snapshot, file, found));
    rows.extend(before.iter().map(|line| Row::of_guard(file, line)));
    rows.extend(own_refusal(found));
    rows.extend(after.iter().map(|line| Row::of_guard(file, line)));
    format!(
        "{} {}{from}\n\n{}\n{}\n",
        sketch.method,
        sketch.path,
        table(&rows),
        decision(file, &found.verdict)
    )
}

fn who(found: &Explanation) -> String {
    let credentials = match (found.caller.identity(), &found.identity_refused) {
        (Some(identity), _) => format!("as {}", identity.subject),
        (None, Some(_)) => "with credentials that are refused".to_owned(),
        (None, None) => "without credentials".to_owned(),
    };
    let facts = found.facts.as_ref();
    match facts.and_then(|facts| facts.certificate.as_ref()) {
        None => credentials,
        Some(shown) => {
            let holder = shown.names.principal();
            format!("{credentials}, with the certificate of {holder}")
        }
    }
}

/// One line of the table.
struct Row {
    said: &'static str,
    name: String,
    place: String,
    why: String,
}

impl Row {
    fn of_guard(file: &str, line: &Line) -> Self {
        let said = match (line.said, line.mode) {
            (Said::Pass, _) => "pass",
            (Said::Named, Mode::Enforce) => "limit",
            (Said::Named, Mode::Shadow) => "shadow",
            (Said::Deny(_), Mode::Enforce) => "DENY",
            (Said::Deny(_), Mode::Shadow) => "would deny",
        };
        Self {
            said,
            name: line.rule.name.to_string(),
            place: at(file, &line.rule.place),
            why: line.why.clone(),
        }
    }
}

fn route_row(snapshot: &Snapshot, file: &str, found: &Explanation) -> Option<Row> {
    let route = snapshot.policy.routes.get(found.route?)?;
    Some(Row {
        said: "route",
        name: route.name.to_string(),
        place: at(file, &route.place),
        why: format!("matches {}", route.matching.path.as_str()),
    })
}

/// The refusal that no written rule is responsible for: of the request itself, or of its credentials.
fn own_refusal(found: &Explanation) -> Option<Row> {
    let row = |name: &str, denial: &Denial| Row {
        said: "DENY",
        name: name.to_owned(),
        place: String::new(),
        why: denial.detail.clone(),
    };
    match (&found.identity_refused, &found.verdict) {
        (Some(denial), _) => Some(row("credentials", denial)),
        (None, Verdict::Refused(denial)) if denial.rule.is_none() => Some(row("request", denial)),
        (None, Verdict::Refused(_) | Verdict::Forwarded { .. } | Verdict::Preflight(_)) => None,
    }
}

/// Columns as wide as what stands in them.
fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let said = width(|row| row.said.chars().count());
    let name = width(|row| row.name.chars().count());
    let place = width(|row| row.place.chars().count());
    let line = |row: &Row| {
        format!(
            "  {:said$}  {:name$}  {:place$}  {}\n",
            row.said, row.name, row.place, row.why
        )
    };
    rows.iter().map(line).collect()
}

fn at(file: &str, place: &Place) -> String {
    match place {
        Place::File { line, .. } => format!("{file}:{line}"),
        Place::Env(name) => format!("${name}"),
        Place::Default => "default".to_owned(),
    }
}

fn decision(file: &str, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Forwarded { shadow } if shadow.is_empty() => {
            "allowed: the request would be forwarded".to_owned()
        }
        Verdict::Forwarded { shadow } => {
            let rules: Vec<String> = shadow
                .iter()
                .filter_map(|denial| denial.rule.as_ref())
                .map(ToString::to_string)
                .collect();
            format!(
                "allowed: the request would be forwarded; would deny in shadow mode: {}",
                rules.join(", ")
            )
        }
        Verdict::Preflight(PreflightVerdict::Granted) => {
            "answered: 204 cors.preflight: the browser may send the request".to_owned()
        }
        Verdict::Preflight(PreflightVerdict::Refused(why)) => {
            format!("answered: 204 cors.refused: the browser will not send the request: {why}")
        }
        Verdict::Refused(denial) => refused(file, denial),
    }
}

fn refused(file: &str, denial: &Denial) -> String {
    let status = denial.cause.status().as_u16();
    let by = match &denial.rule {
        Some(rule) => format!(" by {rule} ({})", at(file, &rule.place)),
        None => String::new(),
    };
    let would_do = match &denial.advice {
        Advice::Methods(methods) => format!("; these would do: {methods}"),
        Advice::None
        | Advice::Scope(_)
        | Advice::StepUp(_)
        | Advice::RetryAfter(_)
        | Advice::Quota(_) => String::new(),
    };
    format!(
        "denied: {status} {}{by}: {}{would_do}",
        denial.cause.code(),
        denial.detail
    )
}
