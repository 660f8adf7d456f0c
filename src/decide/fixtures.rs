//! For the tests of the rooms behind the decision: a permit, got by walking the decision. Never forges one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

use super::guards::{Ask, Guard, Pass};
use super::policy::{AuditMode, Matching, Mode, Policy, Route, Rule, StagedRules};
use super::{Admission, Evaluation, Permit, admit, body, head};
use crate::ledger::Ledger;
use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::{Denial, Quota, RuleId};
use crate::model::facts::{Authority, Credentials, Facts, Framing};
use crate::model::node::Place;
use crate::model::path::{JudgedPath, PathTemplate};
use crate::model::settings::Allowance;
use crate::model::units::{ByteSize, Rate};

/// A route that takes everything from everybody.
pub(crate) fn open_route() -> Route {
    Route {
        name: Arc::from("everything"),
        index: 0,
        place: Place::Default,
        matching: Matching {
            methods: Matching::methods(Vec::new()),
            path: PathTemplate::parse("/**").unwrap(),
            hosts: Vec::new(),
        },
        lookalikes: Box::default(),
        anonymous: true,
        normalise: false,
        forward_token: false,
        body_on_get: true,
        body_bytes_max: ByteSize(1 << 20),
        audit: AuditMode::WithAnswer,
        rules: StagedRules::default(),
        limit_policy: None,
        cors: None,
        deprecation: None,
    }
}

/// A request from 192.0.2.7 through a hop at 10.0.0.1, for `orders.example:8080`.
pub(crate) fn facts(method: Method, target: &'static str, framing: Framing) -> Facts {
    Facts {
        method,
        authority: Authority::judge(&HeaderValue::from_static("orders.example:8080")).unwrap(),
        path: JudgedPath::judge(&PathAndQuery::from_static(target)).unwrap(),
        framing,
        content_type: None,
        encoded: false,
        origin: None,
        preflight: None,
        credentials: Credentials::None,
        peer: SocketAddr::from(([10, 0, 0, 1], 4711)),
        client_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        certificate: None,
    }
}

/// The permit of a route, with the state of a limit if one is given. The policy lives as long as the test's process.
pub(crate) fn permit(mut route: Route, quota: Option<Quota>) -> Permit<'static> {
    if let Some(quota) = quota {
        route.rules.head.push(counted(quota));
    }
    let policy: &'static Policy = Box::leak(Box::new(Policy {
        routes: vec![route],
        ..Policy::default()
    }));
    let one = Rate {
        count: NonZeroU32::MIN,
        per: Duration::from_secs(1),
    };
    let ledger = Ledger::new(
        &[],
        Allowance {
            rate: one,
            burst: 1,
        },
    );
    let facts = facts(Method::GET, "/", Framing::None);
    let now = Now {
        mono_ns: 0,
        unix_us: 0,
    };
    let (caller, mut evaluation) = (Caller::Anonymous, Evaluation::live(&ledger, now));
    let admitted = admit(policy, &facts, &mut evaluation).unwrap();
    let Admission::Enters(entry) = admitted else {
        panic!("the request is no preflight");
    };
    let head = head(entry, &facts, &caller, &mut evaluation).unwrap();
    body(head, &facts, &caller, b"", &mut evaluation).unwrap()
}

fn counted(quota: Quota) -> Rule {
    Rule {
        id: RuleId {
            name: Arc::from("everything/limits.test"),
            place: Place::Default,
        },
        mode: Mode::Enforce,
        guard: Box::new(Counted(quota)),
    }
}

#[derive(Debug)]
struct Counted(Quota);

impl Guard for Counted {
    fn check(&self, _: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        Ok(Pass::Counted(self.0.clone()))
    }

    fn explain(&self, _: &Ask<'_>) -> String {
        self.0.name.to_string()
    }
}
