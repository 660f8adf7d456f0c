//! Step 1: may this be called at all? What the preset keeps back goes only by its exact name; the rest needs a line.

use std::sync::Arc;

use http::Method;

use crate::ledger::exchange::CallMark;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Effect, Extent, Known, Preset, Reserve, Security};

use super::{AllowLine, ExchangePolicy};

/// A call that a line of `allow` names.
#[derive(Debug)]
pub struct Call {
    pub(super) policy: Arc<ExchangePolicy>,
    pub(super) line: Option<usize>,
    pub(super) known: Known,
    pub(super) mark: CallMark,
}

impl Call {
    /// What is known of it.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// The position of the line that allows it; none for what this program asks by itself.
    #[must_use]
    pub const fn position(&self) -> Option<usize> {
        self.line
    }

    /// The line that allows it.
    #[must_use]
    pub fn line(&self) -> Option<&AllowLine> {
        self.policy.allow.get(self.line?)
    }
}

/// Finds the line that allows a call. `extent` says how much the request asks for.
pub fn call(
    policy: &Arc<ExchangePolicy>,
    method: &Method,
    path: &str,
    extent: Extent,
) -> Result<Call, Box<Denial>> {
    let known = policy.preset.known(method, path, extent);
    let named = |line: &AllowLine| {
        line.allows_call(method, path) && (known.reserve.is_none() || line.is_exact())
    };
    match policy.allow.iter().position(named) {
        Some(line) => Ok(Call {
            policy: Arc::clone(policy),
            line: Some(line),
            known,
            mark: CallMark::of(method.as_str(), path),
        }),
        None => Err(refusal(policy, method, path, known.reserve)),
    }
}

/// What this program asks of an exchange by itself: the preset's public questions of time and limits, the signed ones of
/// orders counted and by which a key is tried, and nothing else. None of them changes anything.
pub fn own(policy: &Arc<ExchangePolicy>, question: OwnQuestion) -> Result<Call, Box<Denial>> {
    let preset = policy.preset;
    let path = question.path(preset);
    let known = path.map(|path| preset.known(&Method::GET, path, Extent::ALL));
    match known {
        Some(known)
            if known.security == question.security()
                && known.effect == Effect::Read
                && known.reserve.is_none() =>
        {
            Ok(Call {
                policy: Arc::clone(policy),
                line: None,
                known,
                mark: CallMark::of(Method::GET.as_str(), path.unwrap_or_default()),
            })
        }
        Some(_) | None => {
            let why = "the preset has no such question of its own";
            Err(Denial::new(Cause::ExchangeNotAllowed, why))
        }
    }
}

/// What this program asks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnQuestion {
    /// What the exchange's clock shows.
    Time,
    /// What the exchange limits.
    Limits,
    /// How many orders it has counted of the key's account.
    OrderCounts,
    /// Whether the exchange accepts the key. Asked only where a person tries it.
    Account,
}

impl OwnQuestion {
    /// Where it is asked.
    #[must_use]
    pub const fn path(self, preset: &Preset) -> Option<&'static str> {
        match self {
            Self::Time => preset.time,
            Self::Limits => preset.info,
            Self::OrderCounts => preset.order_counts,
            Self::Account => preset.account,
        }
    }

    const fn security(self) -> Security {
        match self {
            Self::Time | Self::Limits => Security::None,
            Self::OrderCounts | Self::Account => Security::Signed,
        }
    }
}

fn refusal(
    policy: &ExchangePolicy,
    method: &Method,
    path: &str,
    reserve: Option<Reserve>,
) -> Box<Denial> {
    let covered = policy
        .allow
        .iter()
        .find(|line| line.allows_call(method, path));
    let (cause, detail) = match reserve {
        Some(Reserve::MovesMoney) => (
            Cause::ExchangeReserved,
            "it moves money out or elsewhere, and no line of `allow` opens it by its exact name",
        ),
        // A line that covers it was probably meant for what is known.
        Some(Reserve::Unknown) if covered.is_some() => (
            Cause::ExchangeReserved,
            "the preset does not know this call, and no line of `allow` opens it by its exact name",
        ),
        Some(Reserve::Unknown) | None => {
            (Cause::ExchangeNotAllowed, "no line of `allow` names this")
        }
    };
    policy.refusal(cause, detail, covered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exchange::PRESETS;
    use crate::model::node::Place;

    fn policy(lines: &[&str]) -> Arc<ExchangePolicy> {
        let read = |line: &&str| AllowLine::parse(line, &Place::Default).unwrap();
        Arc::new(ExchangePolicy {
            name: Arc::from("binance"),
            preset: Preset::named("binance-spot").unwrap(),
            allow: lines.iter().map(read).collect(),
        })
    }

    fn asked(lines: &[&str], method: Method, path: &str) -> Result<Known, Cause> {
        let found = call(&policy(lines), &method, path, Extent::ALL);
        found.map(|call| call.known).map_err(|denial| denial.cause)
    }

    #[test]
    fn a_line_lets_a_known_call_pass() {
        let known = asked(&["GET /api/v3/**"], Method::GET, "/api/v3/openOrders").unwrap();
        assert_eq!(known.security, Security::Signed);
        assert_eq!((known.effect, known.weight), (Effect::Read, 80));
    }

    #[test]
    fn everything_else_is_refused() {
        let all: &[&str] = &["* /**"];
        let withdraw = "/sapi/v1/capital/withdraw/apply";
        let table: [(&[&str], Method, &str, Cause); 6] = [
            (&[], Method::GET, "/api/v3/time", Cause::ExchangeNotAllowed),
            (
                &["GET /api/v3/**"],
                Method::POST,
                "/api/v3/order",
                Cause::ExchangeNotAllowed,
            ),
            (all, Method::POST, withdraw, Cause::ExchangeReserved),
            (
                &["POST /sapi/**"],
                Method::POST,
                withdraw,
                Cause::ExchangeReserved,
            ),
            (
                all,
                Method::GET,
                "/sapi/v1/account/status",
                Cause::ExchangeReserved,
            ),
            (
                &[],
                Method::GET,
                "/sapi/v1/account/status",
                Cause::ExchangeNotAllowed,
            ),
        ];
        for (lines, method, path, cause) in table {
            assert_eq!(asked(lines, method, path), Err(cause), "{lines:?} {path}");
        }
    }

    #[test]
    fn what_is_asked_by_itself_changes_nothing() {
        let asked = |preset, question| {
            let policy = Arc::new(ExchangePolicy {
                preset,
                ..Arc::into_inner(policy(&[])).unwrap()
            });
            own(&policy, question).map(|call| call.known)
        };
        for preset in PRESETS {
            for question in [
                OwnQuestion::Time,
                OwnQuestion::Limits,
                OwnQuestion::OrderCounts,
                OwnQuestion::Account,
            ] {
                let known = asked(preset, question);
                assert_eq!(known.is_ok(), question.path(preset).is_some());
                let reads = |known: Known| known.effect == Effect::Read;
                assert!(known.map_or(true, reads), "{question:?} {}", preset.name);
            }
        }
    }

    #[test]
    fn an_exact_line_opens_what_is_kept_back() {
        let withdraw = "/sapi/v1/capital/withdraw/apply";
        let known = asked(
            &["POST /sapi/v1/capital/withdraw/apply"],
            Method::POST,
            withdraw,
        );
        let known = known.unwrap();
        assert_eq!(known.security, Security::Signed);
        assert_eq!(known.effect, Effect::Change);
    }
}
