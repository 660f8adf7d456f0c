//! `outrider explain`: for one request, what each guard would answer and why. Spends nothing, sends nothing.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::accept::tls::read_certificate;
use crate::decide::policy::Mode;
use crate::decide::{Line, Said};
use crate::model::certificate::ClientCertificate;
use crate::model::clock::Now;
use crate::model::denial::Denial;
use crate::model::node::Place;
use crate::model::secret::Secret;
use crate::pipeline::{Explanation, Snapshot, Verdict, explain};

use super::exit;
use super::question::{PolicyArgs, Sketch, parse_now, read};

/// The arguments of `explain`.
#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    #[command(flatten)]
    policy: PolicyArgs,
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
    let answered = sketch(args).and_then(|sketch| {
        let snapshot = args.policy.snapshot()?;
        let question = sketch
            .question(&snapshot)
            .map_err(|why| (exit::USAGE, why))?;
        let file = args.policy.config.display().to_string();
        Ok(render(
            &snapshot,
            &sketch,
            &file,
            &explain(&snapshot, &question),
        ))
    });
    match answered {
        Ok(text) => match out.write_all(text.as_bytes()) {
            Ok(()) => exit::OK,
            Err(_) => exit::IO,
        },
        Err((code, message)) => {
            super::complain(&message);
            code
        }
    }
}

fn sketch(args: &ExplainArgs) -> Result<Sketch, (u8, String)> {
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
        body: args.body.as_deref().map(read).transpose()?,
        now: args.now,
    })
}

/// The first certificate of a PEM file.
fn certificate(path: &Path) -> Result<Arc<ClientCertificate>, (u8, String)> {
    let text = read(path)?;
    let refusal = |why: &str| (exit::USAGE, format!("{}: {why}", path.display()));
    let der = CertificateDer::from_pem_slice(text.as_bytes());
    let der = der.map_err(|_| refusal("holds no certificate (PEM)"))?;
    read_certificate(&der).map(Arc::new).map_err(refusal)
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not `NAME: VALUE`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The explanation as a table, one guard a line, the decision last.
fn render(snapshot: &Snapshot, sketch: &Sketch, file: &str, found: &Explanation) -> String {
    let shown = sketch
        .certificate
        .as_ref()
        .map(|shown| shown.names.principal());
    let who = match (found.caller.identity(), shown) {
        (Some(identity), None) => format!("as {}", identity.subject),
        (Some(identity), Some(holder)) => {
            format!("as {} with the certificate of {holder}", identity.subject)
        }
        (None, Some(holder)) => format!("with the certificate of {holder}"),
        (None, None) => "as nobody known".to_owned(),
    };
    let from = found
        .facts
        .as_ref()
        .map_or_else(String::new, |facts| format!(" from {}", facts.client_ip));
    let mut rows = vec![format!("{} {}{from} {who}\n", sketch.method, sketch.path)];
    if let Some(route) = found
        .route
        .and_then(|index| snapshot.policy.routes.get(index))
    {
        let template = route.matching.path.as_str();
        rows.push(row(
            "route",
            &route.name,
            &at(file, &route.place),
            &format!("matches {template}"),
        ));
    }
    if let Some(refused) = &found.identity_refused {
        rows.push(row(
            "DENY",
            "token",
            "",
            &format!("{} ({})", refused.cause.code(), refused.detail),
        ));
    }
    rows.extend(found.lines.iter().map(|line| guard_row(file, line)));
    rows.push(format!("\n{}", decision(file, &found.verdict)));
    let mut text = rows.join("\n");
    text.push('\n');
    text
}

fn guard_row(file: &str, line: &Line) -> String {
    let said = match (line.said, line.mode) {
        (Said::Pass, _) => "pass",
        (Said::Named, _) => "limit",
        (Said::Deny(_), Mode::Enforce) => "DENY",
        (Said::Deny(_), Mode::Shadow) => "would deny",
    };
    row(
        said,
        &line.rule.name,
        &at(file, &line.rule.place),
        &line.why,
    )
}

fn row(said: &str, name: &str, place: &str, why: &str) -> String {
    format!("  {said:<10}  {name:<36}  {place:<20}  {why}")
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
        Verdict::Refused(denial) => refused(file, denial),
    }
}

fn refused(file: &str, denial: &Denial) -> String {
    let status = denial.cause.status().as_u16();
    let by = match &denial.rule {
        Some(rule) => format!(" by {rule} ({})", at(file, &rule.place)),
        None => String::new(),
    };
    format!(
        "denied: {status} {}{by}: {}",
        denial.cause.code(),
        denial.detail
    )
}
