//! The spans of a request: which trace they belong to, whether they are kept, and their way to the exporter. Never waits,
//! and holds nothing of a request but its route, method and end.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use prometheus::IntCounter;
use tokio::sync::mpsc;

use crate::model::clock::Now;
use crate::model::denial::Cause;
use crate::model::traceparent::Traceparent;

use super::outcome::Outcome;
use super::route_metrics::{RouteMetrics, Scheme};
use super::shown::ClientMetrics;

/// Begins spans and hands finished ones to the exporter. Cheap to clone.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    sampler: Sampler,
    queue: mpsc::Sender<FinishedSpan>,
    dropped: IntCounter,
}

/// The span of one request, or of one try to ask an exchange.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// The trace, and our own span in it.
    pub(super) own: Traceparent,
    /// The client's span; for a try, that of the request.
    pub(super) parent: Option<Traceparent>,
}

/// One try to ask an exchange, while it is under way.
pub(super) struct Try {
    pub(super) span: Span,
    pub(super) began: Now,
    pub(super) called: Called,
}

/// Whom a try has asked.
#[derive(Clone)]
pub(super) struct Called {
    /// The outbound's name.
    pub(super) outbound: Arc<str>,
    /// The server, by its name in the configuration.
    pub(super) server: Arc<ClientMetrics>,
    /// How often the same was tried before.
    pub(super) resent: u32,
}

/// A span that has ended.
pub(super) struct FinishedSpan {
    pub(super) span: Span,
    /// For a span of kind client; without it the span is of kind server.
    pub(super) called: Option<Called>,
    pub(super) route: Option<Arc<RouteMetrics>>,
    pub(super) scheme: Scheme,
    pub(super) method: Option<Method>,
    pub(super) status: Option<StatusCode>,
    pub(super) cause: Option<Cause>,
    pub(super) outcome: Outcome,
    pub(super) began: Now,
    pub(super) took: Duration,
}

impl Tracer {
    /// A tracer whose spans come out of the receiver. What finds no room in the queue is counted and gone.
    pub(super) fn new(
        sampler: Sampler,
        queue: mpsc::Sender<FinishedSpan>,
        dropped: IntCounter,
    ) -> Self {
        Self(Arc::new(Inner {
            sampler,
            queue,
            dropped,
        }))
    }

    /// Begins a span in the client's trace, or in a new one.
    pub(super) fn begin(&self, parent: Option<Traceparent>) -> Span {
        let ids = RandomIdGenerator::default();
        let span = ids.new_span_id().to_bytes();
        let drawn = |span| Traceparent::root(ids.new_trace_id().to_bytes(), span, false);
        let within = parent.unwrap_or_else(|| drawn(span));
        let sampled = self.0.sampler.keeps(parent.as_ref(), within.trace());
        let own = within.child(span, sampled);
        Span { own, parent }
    }

    pub(super) fn ended(&self, finished: FinishedSpan) {
        if self.0.queue.try_send(finished).is_err() {
            self.0.dropped.inc();
        }
    }
}

/// Which requests are traced, decided at their head: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` of the
/// OpenTelemetry specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Whether the client's own decision is followed.
    parent_based: bool,
    /// Of 2^63 traces so many are kept.
    kept: u64,
}

/// All of the traces.
const ALL: u64 = 1 << 63;

impl Sampler {
    /// What the specification has without a word: the client's decision, and everything that has none.
    pub const DEFAULT: Self = Self {
        parent_based: true,
        kept: ALL,
    };

    /// Reads a name of the specification and its argument, a share from 0 to 1.
    ///
    /// # Errors
    /// The name is not one of the six, or the argument is not a share.
    pub fn parse(name: &str, argument: &str) -> Result<Self, String> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let kept = match root {
            "always_on" => ALL,
            "always_off" => 0,
            "traceidratio" => share(argument)?,
            _ => return Err(format!("`{name}` is not a sampler")),
        };
        Ok(Self { parent_based, kept })
    }

    /// The same trace has the same answer wherever it is asked, by the last 8 bytes of its identifier.
    fn keeps(self, parent: Option<&Traceparent>, trace: &str) -> bool {
        if let (true, Some(parent)) = (self.parent_based, parent) {
            return parent.sampled();
        }
        let low = trace.get(16..);
        let low = low.and_then(|low| u64::from_str_radix(low, 16).ok());
        low.is_some_and(|low| low >> 1 < self.kept)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a whole, rounded down"
)]
fn share(argument: &str) -> Result<u64, String> {
    // Without an argument everything is kept, as the specification says.
    let argument = if argument.is_empty() { "1" } else { argument };
    let share: f64 = argument.parse().unwrap_or(f64::NAN);
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("`{argument}` is not a share from 0 to 1"));
    }
    Ok((share * ALL as f64) as u64)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn sent(sampled: bool) -> Traceparent {
        let flags = if sampled { "01" } else { "00" };
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        Traceparent::parse(&HeaderValue::try_from(text).unwrap()).unwrap()
    }

    fn tracer(sampler: Sampler, room: usize) -> (Tracer, mpsc::Receiver<FinishedSpan>) {
        let (queue, spans) = mpsc::channel(room);
        let dropped = IntCounter::new("dropped", "x").unwrap();
        (Tracer::new(sampler, queue, dropped), spans)
    }

    #[test]
    fn samplers_follow_the_specification() {
        let table = [
            ("always_on", "", None, true),
            ("always_on", "", Some(false), true),
            ("always_off", "", Some(true), false),
            ("parentbased_always_on", "", None, true),
            ("parentbased_always_on", "", Some(false), false),
            ("parentbased_always_off", "", None, false),
            ("parentbased_always_off", "", Some(true), true),
            ("traceidratio", "0", Some(true), false),
            ("traceidratio", "1", None, true),
            // The last 8 bytes of the trace are 0xa3ce929d0e0e4736, that is 0.64 of all.
            ("traceidratio", "0.63", None, false),
            ("traceidratio", "0.65", None, true),
            ("parentbased_traceidratio", "0.0", Some(true), true),
            ("parentbased_traceidratio", "0.0", None, false),
        ];
        for (name, argument, parent, kept) in table {
            let sampler = Sampler::parse(name, argument).unwrap();
            let parent = parent.map(sent);
            assert_eq!(
                sampler.keeps(parent.as_ref(), sent(true).trace()),
                kept,
                "{name} {argument} {parent:?}"
            );
        }
        for (name, argument) in [
            ("sometimes", ""),
            ("traceidratio", "2"),
            ("traceidratio", "NaN"),
            ("parentbased_jaeger_remote", ""),
        ] {
            assert!(Sampler::parse(name, argument).is_err(), "{name} {argument}");
        }
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_our_own() {
        let (tracer, _spans) = tracer(Sampler::DEFAULT, 1);
        let parent = sent(true);
        let span = tracer.begin(Some(parent));
        assert_eq!(span.own.trace(), parent.trace());
        assert_ne!(span.own.span(), parent.span());
        assert_eq!(span.parent, Some(parent));
        let fresh = tracer.begin(None);
        assert!(fresh.parent.is_none() && fresh.own.sampled());
        assert_ne!(fresh.own.trace(), tracer.begin(None).own.trace());
        assert!(!tracer.begin(Some(sent(false))).own.sampled());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (tracer, _spans) = tracer(Sampler::DEFAULT, 1);
        for _ in 0..3 {
            tracer.ended(FinishedSpan {
                span: tracer.begin(None),
                called: None,
                route: None,
                scheme: Scheme::Http,
                method: None,
                status: None,
                cause: None,
                outcome: Outcome::Success,
                began: Now {
                    mono_ns: 0,
                    unix_us: 0,
                },
                took: Duration::ZERO,
            });
        }
        assert_eq!(tracer.0.dropped.get(), 2);
    }
}
