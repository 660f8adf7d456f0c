//! How a request ended, in one word. A closed list; metrics and events use the same words.

use http::StatusCode;

use crate::model::cors::PreflightVerdict;
use crate::model::denial::Cause;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered with a status below 400, or the proxy answered by itself without refusing.
    Success,
    /// The service answered with a status from 400 on.
    Failure,
    /// This proxy refused: by a rule, a limit, or because it could not check or record.
    Denied,
    /// The service could not be reached or broke off, or the proxy itself failed.
    Error,
    /// The client went away before the answer was complete.
    Aborted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Failure,
        Self::Denied,
        Self::Error,
        Self::Aborted,
    ];

    /// The word in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Aborted => "aborted",
        }
    }
}

/// What decided a request, in a word of a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The service's answer.
    None,
    /// A cause of refusal.
    Cause(Cause),
    /// A preflight that granted what was asked.
    PreflightGranted,
    /// A preflight that did not.
    PreflightRefused,
}

impl Code {
    /// How many there are.
    pub(super) const COUNT: usize = Cause::ALL.len() + 3;

    /// Its place among all.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::None => 0,
            Self::PreflightGranted => 1,
            Self::PreflightRefused => 2,
            Self::Cause(cause) => cause as usize + 3,
        }
    }

    /// The word; empty where the service decided.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::PreflightGranted => PreflightVerdict::GRANTED,
            Self::PreflightRefused => PreflightVerdict::REFUSED,
            Self::Cause(cause) => cause.code(),
        }
    }
}

/// The outcome of a request that was answered.
pub(super) fn outcome(code: Code, status: Option<StatusCode>) -> Outcome {
    match (code, status) {
        (
            Code::Cause(
                Cause::UpstreamUnreachable
                | Cause::UpstreamBroken
                | Cause::UpstreamTimeout
                | Cause::ExchangeNotSent
                | Cause::ExchangeUnknown
                | Cause::UpstreamUntrusted
                | Cause::PinMismatch
                | Cause::Internal,
            ),
            _,
        ) => Outcome::Error,
        (Code::Cause(_) | Code::PreflightRefused, _) => Outcome::Denied,
        (Code::None | Code::PreflightGranted, Some(status)) if status.as_u16() >= 400 => {
            Outcome::Failure
        }
        (Code::None | Code::PreflightGranted, Some(_)) => Outcome::Success,
        (Code::None | Code::PreflightGranted, None) => Outcome::Aborted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_a_refusal_or_an_error() {
        for cause in Cause::ALL {
            let expected = match (cause, cause.status().as_u16()) {
                (Cause::ExchangeNotSent, _) | (_, 500 | 502 | 504) => Outcome::Error,
                _ => Outcome::Denied,
            };
            assert_eq!(outcome(Code::Cause(*cause), None), expected, "{cause:?}");
        }
    }

    #[test]
    fn without_a_refusal_the_status_decides() {
        let table = [
            (Some(200), Outcome::Success),
            (Some(304), Outcome::Success),
            (Some(404), Outcome::Failure),
            (Some(503), Outcome::Failure),
            (None, Outcome::Aborted),
        ];
        for (status, expected) in table {
            let status = status.map(|code| StatusCode::from_u16(code).unwrap());
            assert_eq!(outcome(Code::None, status), expected);
        }
        let answered = Some(StatusCode::NO_CONTENT);
        assert_eq!(outcome(Code::PreflightGranted, answered), Outcome::Success);
        assert_eq!(outcome(Code::PreflightRefused, answered), Outcome::Denied);
    }
}
