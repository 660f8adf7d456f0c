//! `outrider sign`: for one request, what would be signed and how, with secrets masked; that sends nothing, and takes no
//! nonce from a running sidecar. Or a test whether exchanges accept the configured keys.

mod configured;
mod self_test;

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::Method;

use super::exit::{self, Failure};
use super::explain::parse_header;
use super::outbound::columns;
use super::question::parse_now;
use crate::config::signers::{SigningRule, named, program};
use crate::model::clock::{Clock as _, Now, SystemClock};
use crate::model::exchange::Security;
use crate::model::form::{FormFault, clean, refuse_duplicates};
use crate::model::json::shown;
use crate::model::secret::Secret;
use crate::transform::signers::{
    Algorithm, BinanceSettings, Explained, Fresh, KeyEncoding, Line, RecvWindow, Secrets,
    SignInput, Signer, SigningKey, TimeUnit,
};

/// The arguments of `sign`.
#[derive(Args, Debug)]
pub(super) struct SignArgs {
    /// Print the string that is signed and the request that would be sent, with secrets masked
    #[arg(long, required_unless_present = "self_test")]
    explain: bool,
    /// Ask each exchange, with its configured key, something that changes nothing, and say whether the key is accepted
    #[arg(
        long,
        requires = "config",
        conflicts_with_all = ["explain", "frame", "headers", "body", "now", "method", "target"]
    )]
    self_test: bool,
    /// The configuration, with its keys
    #[arg(
        short,
        long,
        value_name = "FILE",
        conflicts_with_all = ["signer", "rule", "secrets", "algorithm", "recv_window", "host", "security"]
    )]
    config: Option<PathBuf>,
    /// The way out, by its name in the configuration; may be left out if there is one
    #[arg(long, value_name = "NAME", requires = "config")]
    outbound: Option<String>,
    /// A frame of the exchange's WebSocket API, such as {"id":1,"method":"order.place","params":{}}
    #[arg(
        long,
        value_name = "JSON",
        requires = "config",
        conflicts_with_all = ["headers", "body", "method", "target"]
    )]
    frame: Option<String>,
    /// A header line of the request, such as "content-type: application/json"; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "config", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// The signer, by its name
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "rule",
        required_unless_present_any = ["rule", "config"]
    )]
    signer: Option<String>,
    /// A file that holds a signer in the scheme of docs/signers.md
    #[arg(long, value_name = "FILE")]
    rule: Option<PathBuf>,
    /// A secret and the file that holds it, such as key=/run/secrets/key; may be repeated
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = parse_secret)]
    secrets: Vec<(String, PathBuf)>,
    /// The kind of Binance's key
    #[arg(long, value_enum, default_value_t = BinanceKey::Hmac)]
    algorithm: BinanceKey,
    /// Binance's receive window in milliseconds, where the request names none
    #[arg(long, value_name = "MS", value_parser = RecvWindow::parse)]
    recv_window: Option<RecvWindow>,
    /// The exchange's host
    #[arg(long, value_name = "HOST", default_value = "")]
    host: String,
    /// The body
    #[arg(long, value_name = "TEXT", default_value = "")]
    body: String,
    /// What the call asks for
    #[arg(long, value_enum, default_value_t = Asked::Signed)]
    security: Asked,
    /// The exchange's time, such as 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_now)]
    now: Option<Now>,
    /// The method
    #[arg(value_name = "METHOD", value_parser = parse_method, required_unless_present_any = ["self_test", "frame"])]
    method: Option<Method>,
    /// Path and query
    #[arg(value_name = "TARGET", required_unless_present_any = ["self_test", "frame"])]
    target: Option<String>,
}

/// A kind of key that Binance takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BinanceKey {
    /// HMAC-SHA256
    Hmac,
    /// Ed25519, in PEM
    Ed25519,
    /// RSA, in PEM
    Rsa,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Asked {
    /// Nothing: it is public
    None,
    /// The name of the key
    Key,
    /// A signature
    Signed,
}

/// Runs the command.
pub(super) fn run(args: &SignArgs, out: &mut dyn Write) -> u8 {
    if args.self_test {
        return self_test::run(args, out);
    }
    let now = args.now.unwrap_or_else(|| SystemClock::new().now());
    let told = match args.config {
        Some(_) => configured::told(args, now),
        None => signer(args).and_then(|signer| told(args, &signer, now)),
    };
    match told {
        Ok(text) => super::answer(out, text, exit::OK),
        Err(failure) => failure.tell(),
    }
}

fn told(args: &SignArgs, signer: &Signer, now: Now) -> Result<String, Failure> {
    let refused = |message: String| Failure::new(exit::FAILURE, message);
    let (Some(method), Some(target)) = (&args.method, &args.target) else {
        return Err(Failure::new(exit::USAGE, "name a method and a target"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let own = signer.own().params;
    let form = |text: &str, what: &str| {
        clean(text.as_bytes(), &own).map_err(|fault| refused(format!("the {what} {}", why(&fault))))
    };
    let query = form(query, "query")?;
    let is_form = !args.body.trim_start().starts_with(['{', '[']);
    let (body, noted) = if is_form {
        let body = form(&args.body, "body")?;
        refuse_duplicates(&query.text, &body.text)
            .map_err(|fault| refused(format!("the request {}", why(&fault))))?;
        (body.text, query.noted.and(body.noted))
    } else {
        (args.body.clone(), query.noted)
    };
    let body = Bytes::from(body);
    let input = SignInput {
        method,
        host: &args.host,
        path,
        query: &query.text,
        body: &body,
        security: args.security.into(),
    };
    let explained = signer
        .explain(&input, &fresh(signer, now)?)
        .map_err(|fault| refused(fault.to_string()))?;
    let replaced: Vec<&str> = noted.names(&own).collect();
    Ok(columns(&rows(&explained, &replaced.join(", "))))
}

fn rows<'e>(explained: &'e Explained, replaced: &'e str) -> Vec<(&'e str, &'e str)> {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    if !replaced.is_empty() {
        lines.push(("replaced", replaced));
    }
    let pair = |line: &'e Line| (line.name.as_str(), line.text.as_str());
    lines.extend(explained.steps.iter().map(pair));
    lines.push(("query", &explained.query));
    lines.push(("body", &explained.body));
    lines.extend(explained.headers.iter().map(pair));
    lines
}

fn signer(args: &SignArgs) -> Result<Signer, Failure> {
    let refused = |message: String| Failure::new(exit::CONFIGURATION, message);
    let rule = match (&args.signer, &args.rule) {
        (Some(name), _) => named(name).map_err(refused)?,
        (None, Some(file)) => SigningRule::Scheme(read_rule(file)?),
        (None, None) => return Err(Failure::new(exit::USAGE, "name a signer")),
    };
    let mut secrets = Secrets::default();
    for (name, file) in &args.secrets {
        let bytes = read(file)?;
        secrets.insert(name.clone(), Secret::new(bytes));
    }
    match rule {
        SigningRule::Scheme(program) => Signer::scheme(&program, secrets).map_err(refused),
        SigningRule::Binance => binance(args, secrets).map_err(refused),
    }
}

fn binance(args: &SignArgs, mut secrets: Secrets) -> Result<Signer, String> {
    let mut take = |name: &str| {
        secrets
            .take(name)
            .ok_or_else(|| format!("the secret `{name}` is missing"))
    };
    let (key_id, key) = (take("key_id")?, take("key")?);
    let password = secrets.take("password");
    if let Some(strange) = secrets.names().next() {
        return Err(format!(
            "binance has no secret `{strange}`; it has key_id, key and password"
        ));
    }
    let (algorithm, encoding) = match args.algorithm {
        BinanceKey::Hmac => (Algorithm::HmacSha256, KeyEncoding::Utf8),
        BinanceKey::Ed25519 => (Algorithm::Ed25519, KeyEncoding::Pem),
        BinanceKey::Rsa => (Algorithm::RsaSha256, KeyEncoding::Pem),
    };
    let key = SigningKey::load(algorithm, encoding, &key, password.as_ref())
        .map_err(|fault| format!("the secret `key`: {fault}"))?;
    let settings = BinanceSettings {
        recv_window: args.recv_window.clone(),
        time_unit: TimeUnit::Milliseconds,
    };
    Signer::binance(settings, key_id, key).map_err(|fault| format!("the secret `key_id`: {fault}"))
}

fn fresh(signer: &Signer, now: Now) -> Result<Fresh, Failure> {
    let mut fresh = Fresh {
        unix_us: now.unix_us,
        nonce: 0,
        random: [0; 32],
    };
    let needs = signer.needs();
    if let Some(unit) = needs.nonce {
        fresh.nonce = unit.of(now.unix_us).unwrap_or_default();
    }
    if needs.random && aws_lc_rs::rand::fill(&mut fresh.random).is_err() {
        let why = "the system gives no random bytes";
        return Err(Failure::new(exit::FAILURE, why));
    }
    Ok(fresh)
}

fn read_rule(file: &Path) -> Result<crate::transform::signers::Program, Failure> {
    let name = file.display().to_string();
    let bytes = read(file)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{name}: save the file as UTF-8");
        Failure::new(exit::CONFIGURATION, message)
    })?;
    match program(&name, &text) {
        Ok((program, _)) => Ok(program),
        Err(report) => Err(Failure::new(exit::CONFIGURATION, report.refusal(false))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        let message = format!("{}: {}", file.display(), error.kind());
        Failure::new(exit::CONFIGURATION, message)
    })
}

fn why(fault: &FormFault) -> String {
    match fault {
        FormFault::Duplicate(name) => format!("has `{}` twice", shown(name)),
        FormFault::Percent => "has a `%` that two hexadecimal digits do not follow".to_owned(),
        FormFault::TooMany => "has too many parameters".to_owned(),
    }
}

fn parse_secret(text: &str) -> Result<(String, PathBuf), String> {
    let pair = text
        .split_once('=')
        .filter(|(name, file)| !name.is_empty() && !file.is_empty());
    pair.map(|(name, file)| (name.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| "write NAME=FILE".to_owned())
}

fn parse_method(text: &str) -> Result<Method, String> {
    let upper = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| upper);
    method.ok_or_else(|| "write the method in upper case".to_owned())
}

impl From<Asked> for Security {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::None => Self::None,
            Asked::Key => Self::KeyOnly,
            Asked::Signed => Self::Signed,
        }
    }
}

#[cfg(test)]
mod tests;
