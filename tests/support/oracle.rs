//! What every hostile request is judged by, whatever its theme: the service's byte log, the one audit record, no secret
//! in any output, a process that lives, answers others and holds no socket more than before.

use std::collections::HashSet;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use super::case::{Case, Want};
use super::origin::{Origin, Received};
use super::sidecar::{Setup, Sidecar};
use super::wire::{NoAnswer, PATIENCE, Response, SILENCE, Wire, describe, shown};

/// The path of the request that shows that others are still answered. Every stage has an anonymous route for it.
pub const PROBE: &str = "/probe";

/// `Ok` if it holds, else what was expected.
pub fn demand(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A sidecar with its service, and what was done with them.
pub struct Stage {
    /// The proxy.
    pub sidecar: Sidecar,
    /// What stands behind it.
    pub origin: Origin,
    /// What must never be seen in any output.
    pub secrets: Vec<String>,
    at_rest: usize,
    ports: HashSet<String>,
    ran: Vec<Ran>,
    failures: Vec<String>,
}

/// One case after it was sent.
struct Ran {
    case: Case,
    peer: String,
    answer: Result<Response, NoAnswer>,
    /// What came behind the answer.
    behind: Vec<u8>,
    /// Whether the proxy ended the connection without being asked.
    closed: bool,
    /// Complete requests at the service before and after.
    upstream: (usize, usize),
}

impl Stage {
    /// Starts both; `inbound` are lines below `inbound:`, routes included.
    pub fn start(inbound: &str) -> Self {
        Self::start_with(inbound, &[])
    }

    /// The same with files beside the configuration.
    pub fn start_with(inbound: &str, files: &[(&str, &str)]) -> Self {
        let origin = Origin::start();
        let setup = Setup {
            files,
            ..Setup::new(&origin.url, inbound)
        };
        let sidecar = Sidecar::start(&setup);
        Self::over(sidecar, origin)
    }

    /// Takes over what was started otherwise.
    pub fn over(sidecar: Sidecar, origin: Origin) -> Self {
        let mut stage = Self {
            sidecar,
            origin,
            secrets: Vec::new(),
            at_rest: 0,
            ports: HashSet::new(),
            ran: Vec::new(),
            failures: Vec::new(),
        };
        // Until each worker has its connection to the service, which it keeps.
        let mut turns = 0;
        while stage.origin.connections() < stage.sidecar.workers as usize && turns < 100 {
            let probed = stage.probe();
            assert!(probed.is_ok(), "{probed:?}");
            turns += 1;
        }
        stage.at_rest = stage.sockets_at_rest();
        stage
    }

    /// Notes a failure of something that is no case.
    pub fn fail(&mut self, id: &str, why: impl Into<String>) {
        self.failures.push(format!("{id}: {}", why.into()));
    }

    /// Notes the failure of a demand, if it is one.
    pub fn expect(&mut self, id: &str, result: Result<(), String>) {
        if let Err(why) = result {
            self.fail(id, why);
        }
    }

    /// Sends a case and notes what came of it. It is judged by [`Self::settle`].
    pub fn run(&mut self, case: Case) {
        let mut wire = self.fresh(case.from);
        let before = self.origin.mark();
        for piece in &case.pieces {
            wire.send(piece);
            if case.pieces.len() > 1 {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let head_only = case
            .pieces
            .first()
            .is_some_and(|piece| piece.starts_with(b"HEAD "));
        let cut = matches!(case.want, Want::Cut { .. });
        let first = if cut { SILENCE } else { PATIENCE };
        let mut answer = wire.answer_to(head_only, first);
        if matches!(answer, Err(NoAnswer::Late(_))) {
            wire.finish();
            answer = wire.answer_to(head_only, PATIENCE);
        }
        let must_close = matches!(case.want, Want::Refused { closes: true, .. });
        let closed = wire.ends_within(if must_close { PATIENCE } else { Duration::ZERO });
        wire.finish();
        let behind = wire
            .rest(PATIENCE)
            .unwrap_or_else(|open| [open, b"(and still open)".to_vec()].concat());
        let probed = self.probe();
        if let Err(why) = probed {
            self.fail(&case.id, format!("the next client: {why}"));
        }
        let upstream = (before, self.origin.mark());
        self.ran.push(Ran {
            peer: wire.local().to_string(),
            case,
            answer,
            behind,
            closed,
            upstream,
        });
    }

    /// Judges every case that was sent, and what holds for all of them. Panics with every failure.
    pub fn settle(mut self) {
        let events = self.settled_events();
        let silent = self.ports.iter().filter(|port| {
            !events
                .iter()
                .any(|event| event["request"]["peer"] == port.as_str())
        });
        let silent: Vec<String> = silent
            .map(|port| format!("no record of the connection from {port}"))
            .collect();
        self.failures.extend(silent);
        for ran in &self.ran {
            let upstream = self.origin.since(ran.upstream.0);
            let upstream = &upstream[..ran.upstream.1 - ran.upstream.0];
            let upstream: Vec<&Received> =
                upstream.iter().filter(|got| got.target != PROBE).collect();
            let mine = events
                .iter()
                .filter(|event| event["request"]["peer"] == ran.peer.as_str());
            let mine: Vec<&Value> = mine.collect();
            let judged = judge(ran, &upstream, &mine).and_then(|()| judge_detail(ran, &mine));
            if let Err(why) = judged {
                let sent = shown(&ran.case.pieces.concat());
                self.failures
                    .push(format!("{}: {why}\n    sent {sent}", ran.case.id));
            }
        }
        let stray = self.origin.violations();
        if !stray.is_empty() {
            self.failures
                .push(format!("the service got what is no request: {stray:?}"));
        }
        let sockets = self.sockets_at_rest();
        if sockets > self.at_rest {
            let before = self.at_rest;
            self.failures
                .push(format!("{sockets} sockets are open, {before} were at rest"));
        }
        let leaks = self.leaks();
        self.failures.extend(leaks);
        let count = self.failures.len();
        assert!(count == 0, "{count} failures\n{}", self.failures.join("\n"));
    }

    /// A connection whose port no case had before, so that records are told apart by it.
    pub fn fresh(&mut self, from: Option<IpAddr>) -> Wire {
        loop {
            let wire = match from {
                Some(from) => Wire::connect_from(from, self.sidecar.inbound),
                None => self.sidecar.connect(),
            };
            if self.ports.insert(wire.local().to_string()) {
                return wire;
            }
        }
    }

    /// Asks for something that everybody may have.
    pub fn probe(&mut self) -> Result<(), String> {
        let mut wire = self.fresh(None);
        let answer = wire.ask(format!(
            "GET {PROBE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ));
        match &answer {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(_) | Err(_) => Err(describe(&answer)),
        }
    }

    /// The records, once there is one for each connection that asked for something.
    fn settled_events(&self) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let events = self.sidecar.requests(self.ports.len());
            let recorded = |port: &String| {
                events
                    .iter()
                    .any(|event| event["request"]["peer"] == port.as_str())
            };
            if self.ports.iter().all(recorded) || Instant::now() > until {
                return events;
            }
        }
    }

    /// The number of open sockets, once nothing changes any more.
    fn sockets_at_rest(&self) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let sockets = self.sidecar.sockets();
            thread::sleep(Duration::from_millis(20));
            let done =
                sockets <= self.at_rest || (self.at_rest == 0 && sockets == self.sidecar.sockets());
            if done || Instant::now() > until {
                return sockets;
            }
        }
    }

    /// Where a secret is seen.
    fn leaks(&self) -> Vec<String> {
        let mut outputs = self.sidecar.outputs();
        outputs.push(("metrics".to_owned(), self.sidecar.metrics().into_bytes()));
        for ran in &self.ran {
            // What the service says is its own affair; what the proxy says must hold no secret.
            if let Ok(answer) = &ran.answer
                && !matches!(ran.case.want, Want::Forwarded(_))
            {
                let name = format!("answer to {}", ran.case.id);
                outputs.push((name, format!("{answer:?} {}", answer.text()).into_bytes()));
            }
        }
        find_leaks(&outputs, &self.secrets)
    }
}

/// Every place in which one of the secrets stands. Says which secret only by its number.
pub fn find_leaks(outputs: &[(String, Vec<u8>)], secrets: &[String]) -> Vec<String> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let texts: Vec<_> = outputs
        .iter()
        .map(|(name, bytes)| (name, text(bytes)))
        .collect();
    let mut leaks = Vec::new();
    for (number, secret) in secrets
        .iter()
        .enumerate()
        .filter(|(_, secret)| !secret.is_empty())
    {
        for (name, text) in &texts {
            if text.contains(secret.as_str()) {
                leaks.push(format!("secret {number} stands in {name}"));
            }
        }
    }
    leaks
}

fn judge(ran: &Ran, upstream: &[&Received], events: &[&Value]) -> Result<(), String> {
    let count = upstream.len();
    match &ran.case.want {
        Want::Refused {
            statuses,
            codes,
            closes,
        } => {
            let told = describe(&ran.answer);
            let response = ran
                .answer
                .as_ref()
                .map_err(|_| format!("expected {statuses:?}, got {told}"))?;
            demand(
                statuses.contains(&response.status),
                format!("expected {statuses:?}, got {told}"),
            )?;
            demand(count == 0, format!("{count} requests at the service"))?;
            demand(
                ran.behind.is_empty(),
                format!("behind the answer: {}", shown(&ran.behind)),
            )?;
            demand(!closes || ran.closed, "the connection was left open")?;
            judge_problem(response, codes)?;
            judge_record(events, codes)
        }
        Want::Cut { codes } => {
            if let Ok(response) = &ran.answer {
                let expected = (400..500).contains(&response.status);
                demand(
                    expected,
                    format!("expected a refusal or an end, got {response}"),
                )?;
                judge_problem(response, codes)?;
            }
            demand(count == 0, format!("{count} requests at the service"))?;
            demand(
                ran.behind.is_empty(),
                format!("behind the answer: {}", shown(&ran.behind)),
            )?;
            judge_record(events, codes)
        }
        Want::Forwarded(check) => {
            let told = describe(&ran.answer);
            let [request] = upstream else {
                return Err(format!("{count} requests at the service, answered {told}"));
            };
            let response = ran
                .answer
                .as_ref()
                .map_err(|_| format!("expected an answer, got {told}"))?;
            check(request, response)?;
            demand(
                ran.behind.is_empty(),
                format!("behind the answer: {}", shown(&ran.behind)),
            )?;
            let [event] = events else {
                return Err(format!("{} records", events.len()));
            };
            let reason = &event["reason"]["code"];
            demand(reason.is_null(), format!("recorded with reason {reason}"))
        }
    }
}

fn judge_detail(ran: &Ran, events: &[&Value]) -> Result<(), String> {
    let Some(detail) = ran.case.detail else {
        return Ok(());
    };
    let told = events.first().map(|event| &event["reason"]["detail"]);
    demand(
        told.is_some_and(|told| told == detail),
        format!("expected {detail}, recorded {told:?}"),
    )
}

/// An answer of the proxy says the same as its record; hyper's own answers say nothing.
fn judge_problem(response: &Response, codes: &[&str]) -> Result<(), String> {
    if response.body.is_empty() {
        return Ok(());
    }
    let code = response.code().unwrap_or_default();
    demand(
        codes.contains(&code.as_str()),
        format!("expected {codes:?}, got {response}"),
    )?;
    let kind = response.one("content-type").unwrap_or_default();
    demand(
        kind == "application/problem+json",
        format!("the content type is {kind:?}"),
    )?;
    demand(response.one("x-request-id").is_some(), "no X-Request-Id")
}

fn judge_record(events: &[&Value], codes: &[&str]) -> Result<(), String> {
    let [event] = events else {
        return Err(format!("{} records: {events:?}", events.len()));
    };
    let reason = event["reason"]["code"].as_str().unwrap_or_default();
    demand(
        codes.contains(&reason),
        format!("expected {codes:?}, recorded {event}"),
    )
}
