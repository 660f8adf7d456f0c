//! `sign --explain -c FILE`: for one request or frame, what a way out of the configuration would sign, with its own signer
//! and its own secrets, masked. The request is judged first as the running program judges it; nothing is sent.

use bytes::Bytes;
use http::Method;

use super::super::outbound::{columns, denied, described, find, head};
use super::{Failure, SignArgs, exit, fresh, rows, why};
use crate::config::{self, Outbound};
use crate::model::clock::Now;
use crate::model::denial::Denial;
use crate::model::exchange::{Role, Security};
use crate::model::form::clean;
use crate::model::frame::{Frame, FrameFault};
use crate::pipeline::outbound::{Judged, judge, judge_frame};
use crate::roles::ways_out;
use crate::transform::signers::{Explained, Line, Session, SignInput, Signer};

/// All that is printed.
pub(super) fn told(args: &SignArgs, now: Now) -> Result<String, Failure> {
    let loaded = config::load(file(args), std::env::vars_os());
    let loaded =
        loaded.map_err(|report| Failure::new(exit::CONFIGURATION, report.refusal(false)))?;
    let way = find(loaded, args.outbound.as_deref())?;
    match (&args.frame, &args.method, &args.target) {
        (Some(frame), _, _) => of_frame(args, &way, frame, now),
        (None, Some(method), Some(target)) => of_request(args, &way, method, target, now),
        (None, _, _) => Err(Failure::new(exit::USAGE, "name a method and a target")),
    }
}

fn of_request(
    args: &SignArgs,
    way: &Outbound,
    method: &Method,
    target: &str,
    now: Now,
) -> Result<String, Failure> {
    let signer = signer(way);
    let rules = ways_out::rules(way, signer);
    let body = Bytes::copy_from_slice(args.body.as_bytes());
    let parts = head(method, target, &args.headers, &body);
    let parts = parts.map_err(|why| Failure::new(exit::USAGE, why))?;
    let replaced = replaced(target, &args.body, &rules.own_parameters)?;
    let refused = |denial: Box<Denial>| Failure::new(exit::FAILURE, denied(file(args), &denial));
    let Judged {
        facts,
        body,
        known,
        line,
    } = judge(&way.policy, &rules, parts, body).map_err(refused)?;
    let line = line.map_err(refused)?;
    let endpoint = way.endpoints.iter().find(|(role, _)| *role == Role::Rest);
    let host = endpoint.map(|(_, endpoint)| ways_out::target(endpoint).name);
    let host = host.unwrap_or_default();
    let path = &facts.facts.path;
    let input = SignInput {
        method,
        host: &host,
        path: path.path(),
        query: path.query().unwrap_or_default(),
        body: &body,
        security: known.security,
    };
    let explained = match signer.filter(|signer| signer.signs(method, input.path)) {
        Some(signer) => {
            let explained = signer.explain(&input, &fresh(signer, now)?);
            explained.map_err(|fault| Failure::new(exit::FAILURE, fault.to_string()))?
        }
        None if known.security == Security::None || signer.is_some() => Explained {
            steps: Vec::new(),
            query: input.query.to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
            headers: Vec::new(),
        },
        None => return Err(no_key(way)),
    };
    let call = format!("{method} https://{host}{}", input.path);
    let mut lines = vec![("outbound", &*way.name), ("call", &call)];
    let described = described(file(args), &known, Ok(&line));
    lines.extend(described.iter().map(|(name, text)| (*name, text.as_str())));
    lines.extend(rows(&explained, &replaced));
    Ok(columns(&lines))
}

fn of_frame(args: &SignArgs, way: &Outbound, text: &str, now: Now) -> Result<String, Failure> {
    let signer = signer(way);
    let rules = ways_out::rules(way, signer);
    let mut frame =
        Frame::parse(text).map_err(|fault| Failure::new(exit::USAGE, unclear(fault)))?;
    let refused = |denial: Box<Denial>| Failure::new(exit::FAILURE, denied(file(args), &denial));
    let judged = judge_frame(&way.policy, &rules, &mut frame).map_err(refused)?;
    let session = match way.log_on {
        true => Session::LoggedOn,
        false => Session::Anonymous,
    };
    let security = judged.known.security;
    let steps = match signer {
        Some(signer) => {
            let explained = signer.explain_frame(&frame, security, session, &fresh(signer, now)?);
            explained.map_err(|fault| Failure::new(exit::FAILURE, fault.to_string()))?
        }
        None if security == Security::None => Vec::new(),
        None => return Err(no_key(way)),
    };
    let replaced: Vec<&str> = judged
        .stripped
        .names(way.policy.preset.credentials.members)
        .collect();
    let replaced = replaced.join(", ");
    let mut lines = vec![("outbound", &*way.name), ("call", &*frame.method)];
    let described = described(file(args), &judged.known, Ok(&judged.line));
    lines.extend(described.iter().map(|(name, text)| (*name, text.as_str())));
    if !replaced.is_empty() {
        lines.push(("replaced", &replaced));
    }
    for Line { name, text } in &steps {
        lines.push((name, text));
    }
    let plain = frame.text();
    if steps.is_empty() {
        lines.push(("frame", &plain));
    }
    Ok(columns(&lines))
}

/// Which of the client's own parameters are taken off.
fn replaced(target: &str, body: &str, own: &[String]) -> Result<String, Failure> {
    let (_, query) = target.split_once('?').unwrap_or((target, ""));
    let is_form = !body.trim_start().starts_with(['{', '[']);
    let body = if is_form { body } else { "" };
    let noted = |text: &str| {
        let cleaned = clean(text.as_bytes(), own).map(|cleaned| cleaned.noted);
        cleaned.map_err(|fault| Failure::new(exit::FAILURE, format!("the request {}", why(&fault))))
    };
    let names = noted(query)?.and(noted(body)?);
    Ok(names.names(own).collect::<Vec<_>>().join(", "))
}

fn signer(way: &Outbound) -> Option<&Signer> {
    way.sign.as_ref().and_then(|sign| sign.signer.as_ref())
}

fn no_key(way: &Outbound) -> Failure {
    let why = format!("`{}` has no key, and this call needs one", way.name);
    Failure::new(exit::FAILURE, why)
}

fn file(args: &SignArgs) -> &std::path::Path {
    args.config.as_deref().unwrap_or_else(|| "".as_ref())
}

const fn unclear(fault: FrameFault) -> &'static str {
    match fault {
        FrameFault::NotARequest => {
            "the frame is no JSON object with `method`, and perhaps `id` and `params`"
        }
        FrameFault::Duplicate => "the frame has a name twice",
        FrameFault::TooMany => "the frame has too many parameters",
    }
}
