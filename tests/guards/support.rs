//! What every test here needs: a policy from YAML, a request in one line, and the two ways to ask about it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use outrider::accept::facts::facts;
use outrider::config;
use outrider::decide::{self, Admission, Entry, Evaluation, Line};
use outrider::identify::{self, Verification};
use outrider::model::caller::{Caller, Identity};
use outrider::model::certificate::{CertificateNames, ClientCertificate, Fingerprint};
use outrider::model::clock::Now;
use outrider::model::denial::{Cause, Denial, Quota};
use outrider::model::facts::Connection;
use outrider::pipeline::{Assumed, Explanation, Question, Snapshot, Verdict, explain};
use outrider::roles::load;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::tokens::Issuer;

/// The moment at which every test begins, in seconds since 1970.
pub(crate) const START: i64 = 1_800_000_000;

/// The issuer whose key is configured.
pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::new(2048));

/// A policy that takes tokens: `listener` holds further keys of `inbound`, `routes` the items of its list.
pub(crate) fn policy(listener: &str, routes: &str) -> Snapshot {
    refusable(listener, routes).unwrap_or_else(|report| panic!("{report}"))
}

/// The same where the configuration may be refused: the error is the report.
pub(crate) fn refusable(listener: &str, routes: &str) -> Result<Snapshot, String> {
    let text = format!(
        "service: test\n\
         inbound:\n  \
           listen: 127.0.0.1:1\n  \
           forward_to: http://127.0.0.1:2\n  \
           tokens:\n    \
             issuer: https://auth.example\n    \
             audience: orders\n    \
             failures: {{ rate: 1/min, burst: 3 }}\n    \
             keys:\n      \
               inline: '{keys}'\n  \
           roles:\n    \
             trader: [orders:place, positions:view]\n    \
             risk: [\"orders:*\"]\n\
         {listener}\n  \
           routes:\n\
         {routes}\n\
         audit: {{ spool: ./audit }}\n",
        keys = ISSUER.jwks(),
        listener = indented(listener, 2),
        routes = indented(routes, 4),
    );
    let loaded = config::load_bytes("sidecar.yaml", text.as_bytes(), Path::new("/nowhere"), []);
    let inbound = loaded
        .map_err(|report| report.render(false))?
        .config
        .inbound;
    let made = load::snapshot(inbound).map_err(|fault| fault.message)?;
    Ok(made.snapshot)
}

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().map(|line| format!("{:by$}{line}", ""));
    lines.collect::<Vec<_>>().join("\n")
}

/// A request as it would come in.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    chunked: bool,
    claims: Option<Value>,
    peer: IpAddr,
    certificate: Option<Arc<ClientCertificate>>,
    mono_ns: u64,
    unix: i64,
}

/// A request of a loopback client without credentials, at the start.
pub(crate) fn ask(method: &str, target: &str) -> Ask {
    Ask {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        chunked: false,
        claims: None,
        peer: IpAddr::from([127, 0, 0, 1]),
        certificate: None,
        mono_ns: 1_000_000_000_000,
        unix: START,
    }
}

/// `GET /` of a loopback client.
pub(crate) fn get() -> Ask {
    ask("GET", "/")
}

impl Ask {
    /// From this address.
    pub(crate) fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    /// With one more header line.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of known length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Bytes::copy_from_slice(body.as_ref());
        self
    }

    /// With a body in chunks, which may turn out to be empty.
    pub(crate) fn chunked(mut self, body: &[u8]) -> Self {
        self.chunked = true;
        self.body(body)
    }

    /// With a verified token of `subject`, whose roles and further claims are these.
    pub(crate) fn by(mut self, subject: &str, further: Value) -> Self {
        let mut claims = json!({"sub": subject});
        let own = claims.as_object_mut().unwrap();
        own.extend(further.as_object().unwrap().clone());
        self.claims = Some(claims);
        self
    }

    /// With a verified token of somebody without roles.
    pub(crate) fn known(self) -> Self {
        self.by("somebody", json!({}))
    }

    /// With a real token in the header.
    pub(crate) fn token(self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.with(AUTHORIZATION.as_str(), &value)
    }

    /// So many nanoseconds after the start, on the clock that never goes back.
    pub(crate) fn after(mut self, nanoseconds: u64) -> Self {
        self.mono_ns += nanoseconds;
        self
    }

    /// So many seconds after the start, on the wall clock.
    pub(crate) fn on_the_wall(mut self, seconds: i64) -> Self {
        self.unix += seconds;
        self
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono_ns: self.mono_ns,
            unix_us: self.unix * 1_000_000,
        }
    }

    /// On a connection whose client proved to hold a certificate with these names.
    pub(crate) fn holding(mut self, names: CertificateNames) -> Self {
        let fingerprint = Fingerprint([7; 32]);
        let shown = ClientCertificate::new(names, "1".to_owned(), fingerprint, i64::MAX);
        self.certificate = Some(Arc::new(shown));
        self
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection {
            peer: SocketAddr::new(self.peer, 4711),
            secure: self.certificate.is_some(),
            certificate: self.certificate.clone(),
        }
    }

    pub(crate) fn head(&self) -> Parts {
        let request = Request::builder()
            .method(self.method.as_str())
            .uri(self.target.as_str())
            .body(());
        let mut head = request.unwrap().into_parts().0;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            head.headers.append(name, value);
        }
        if !head.headers.contains_key(HOST) {
            let host = HeaderValue::from_static("orders.example");
            head.headers.insert(HOST, host);
        }
        if self.chunked {
            let coding = HeaderValue::from_static("chunked");
            head.headers.insert(TRANSFER_ENCODING, coding);
        } else if !self.body.is_empty() {
            let length = HeaderValue::from(self.body.len());
            head.headers.insert(CONTENT_LENGTH, length);
        }
        head
    }

    fn assumed(&self, snapshot: &Snapshot) -> Option<Arc<Identity>> {
        let claims = self.claims.as_ref()?.to_string();
        let verifier = snapshot.tokens.as_ref().unwrap();
        Some(verifier.assume(claims.as_bytes(), self.now()).unwrap())
    }

    /// Asks as `outrider explain` does: every guard answers, nothing is spent.
    pub(crate) fn explained(&self, snapshot: &Snapshot) -> Explanation {
        let assumed = self.assumed(snapshot);
        let question = Question {
            head: self.head(),
            body: self.body.clone(),
            connection: self.connection(),
            assumed: assumed.map_or(Assumed::Nothing, Assumed::Verified),
            now: self.now(),
        };
        explain(snapshot, &question)
    }

    /// Walks as a live request does: the first refusal ends it, limits are spent.
    pub(crate) fn live(&self, snapshot: &Snapshot) -> Result<Passed, Box<Denial>> {
        let Snapshot { policy, ledger, .. } = snapshot;
        let now = self.now();
        let evaluation = &mut Evaluation::live(ledger, now);
        let facts = facts(&self.connection(), &self.head(), &snapshot.fact_rules)?;
        let entry = entered(decide::admit(policy, &facts, evaluation)?);
        let caller = match self.assumed(snapshot) {
            Some(identity) => Caller::Token(identity),
            None => identify::caller(
                &facts,
                snapshot.tokens.as_deref(),
                Verification::Allowed,
                now,
            )?,
        };
        let head = decide::head(entry, &facts, &caller, evaluation)?;
        let permit = decide::body(head, &facts, &caller, &self.body, evaluation)?;
        Ok(Passed {
            route: permit.route().name.to_string(),
            quota: permit.quota().cloned(),
            shadow: permit.shadow().to_vec(),
        })
    }

    /// What becomes of it, as a question: the cause of its refusal, if it is refused. A live request to a policy whose
    /// limits are unspent must come to the same.
    pub(crate) fn refusal(&self, snapshot: &Snapshot) -> Option<Cause> {
        let asked = match self.explained(snapshot).verdict {
            Verdict::Forwarded { .. } => None,
            Verdict::Preflight(verdict) => panic!("{verdict:?}, of {self:?}"),
            Verdict::Refused(denial) => Some((denial.cause, denial.rule, denial.advice)),
        };
        let live = self.live(snapshot).err();
        let live = live.map(|denial| (denial.cause, denial.rule, denial.advice));
        assert_eq!(asked, live, "explained and live, of {self:?}");
        asked.map(|(cause, ..)| cause)
    }

    /// The cause for which a live request is refused, if it is.
    pub(crate) fn spent(&self, snapshot: &Snapshot) -> Option<Cause> {
        self.live(snapshot).err().map(|denial| denial.cause)
    }
}

/// What a permit says.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) route: String,
    pub(crate) quota: Option<Quota>,
    pub(crate) shadow: Vec<Denial>,
}

/// What the rule of this name said.
pub(crate) fn line<'e>(found: &'e Explanation, rule: &str) -> &'e Line {
    let mut lines = found.lines.iter();
    let line = lines.find(|line| &*line.rule.name == rule);
    line.unwrap_or_else(|| panic!("{rule} said nothing: {:?}", found.lines))
}

/// The way on of a request that is no preflight.
pub(crate) fn entered(admission: Admission<'_>) -> Entry<'_> {
    match admission {
        Admission::Enters(entry) => entry,
        Admission::Answered(preflight) => panic!("answered: {preflight:?}"),
    }
}
