//! Faults that a test asks for: which requests they befall, and how often. Causes none itself.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::evidence::lock;

/// Something that goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is done, but the answer is -1007 after a while: the sender cannot know the outcome.
    UnknownOutcome(Duration),
    /// 503 with -1008; the request is not looked at.
    Unavailable,
    /// The connection is reset when the head has come.
    ResetBeforeBody,
    /// The connection is reset when the body has come; the request is not done.
    ResetAfterBody,
    /// The request is done, and the connection is reset instead of an answer.
    ResetAfterwards,
    /// The request is done; half of the answer comes, and the connection ends.
    HalfAnswer,
    /// The request is done; the answer comes after a while.
    Slow(Duration),
    /// The request is done; each byte of the answer's body comes after a pause.
    Drip(Duration),
    /// The request is done; the answer is chunked and has no length.
    Chunked,
    /// 403 with a page of HTML, as the firewall in front of the exchange answers.
    Forbidden,
    /// 409 with -2021.
    Conflict,
}

/// Faults to come, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<Planned>>);

#[derive(Debug)]
struct Planned {
    fault: Fault,
    /// `POST /api/v3/order`, or a beginning of it; everything if empty.
    route: String,
    times: u32,
}

impl Faults {
    /// The next so many requests whose route begins so have this fault.
    pub(super) fn plan(&self, fault: Fault, route: &str, times: u32) {
        let planned = Planned {
            fault,
            route: route.to_owned(),
            times,
        };
        lock(&self.0).push_back(planned);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The fault of this request.
    pub(super) fn take(&self, route: &str) -> Option<Fault> {
        let mut all = lock(&self.0);
        all.retain(|planned| planned.times > 0);
        let found = all
            .iter_mut()
            .find(|planned| route.starts_with(&planned.route))?;
        found.times -= 1;
        Some(found.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_befall_the_requests_they_are_for() {
        let faults = Faults::default();
        faults.plan(Fault::Chunked, "POST /api/v3/order", 2);
        faults.plan(Fault::Forbidden, "", 1);
        assert_eq!(faults.take("POST /api/v3/order"), Some(Fault::Chunked));
        assert_eq!(faults.take("GET /api/v3/order"), Some(Fault::Forbidden));
        assert_eq!(faults.take("GET /api/v3/order"), None);
        assert_eq!(faults.take("POST /api/v3/order/test"), Some(Fault::Chunked));
        assert_eq!(faults.take("POST /api/v3/order"), None);
    }
}
