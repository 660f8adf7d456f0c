//! Spans on their way out: gathered in batches and sent as OTLP over HTTP to a collector, beside the workers and never
//! on one. Knows no request; a collector that is slow or away costs spans, which are counted, and nothing else.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::Metrics;
use super::collector::Collector;
use super::durations::method_name;
use super::spans::{Called, FinishedSpan, Sampler, Tracer};

/// What the exporter goes by, beside what its library reads of the `OTEL_` variables itself: endpoint, headers, and the
/// attributes of the resource.
#[derive(Clone)]
pub struct TraceSettings {
    /// For a collector that is spoken to over TLS.
    pub tls: Option<TlsConnector>,
    /// Which requests are traced.
    pub sampler: Sampler,
    /// For one batch, all tries together.
    pub timeout: Duration,
    /// How long a span waits for others.
    pub schedule_delay: Duration,
    /// Spans that wait at most.
    pub queue_max: usize,
    /// Spans of one batch at most.
    pub batch_max: usize,
    /// The service's name, unless a variable says another.
    pub service: String,
    /// The program's version.
    pub version: &'static str,
}

/// Sends what the tracer's spans become.
pub struct SpanExport {
    exporter: SpanExporter,
    scope: InstrumentationScope,
    settings: TraceSettings,
    spans: mpsc::Receiver<FinishedSpan>,
    exported: IntCounter,
    failed: IntCounter,
}

/// Makes both ends.
///
/// # Errors
/// A variable that the library cannot use, in its words.
pub fn tracing(settings: TraceSettings, metrics: &Metrics) -> Result<(Tracer, SpanExport), String> {
    let built = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector(settings.tls.clone()))
        .build();
    let mut exporter = built.map_err(|error| error.to_string())?;
    exporter.set_resource(&resource(&settings));
    let counters = metrics.spans();
    let (queue, spans) = mpsc::channel(settings.queue_max);
    let tracer = Tracer::new(settings.sampler, queue, counters.queue_full.clone());
    let scope = InstrumentationScope::builder("outrider")
        .with_version(settings.version)
        .build();
    let export = SpanExport {
        exporter,
        scope,
        settings,
        spans,
        exported: counters.exported.clone(),
        failed: counters.export_failed.clone(),
    };
    Ok((tracer, export))
}

impl SpanExport {
    /// Sends batches until `stop` is done, and then what is still queued.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut batch = Vec::new();
        loop {
            let more = tokio::select! {
                () = &mut stop => break,
                more = gather(&mut self.spans, &mut batch, &self.settings) => more,
            };
            if !more {
                return;
            }
            self.send(std::mem::take(&mut batch)).await;
        }
        while let Ok(span) = self.spans.try_recv() {
            batch.push(span);
        }
        if !batch.is_empty() {
            self.send(batch).await;
        }
    }

    async fn send(&self, batch: Vec<FinishedSpan>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let batch = batch.iter().map(|span| data(span, &self.scope)).collect();
        let sent = timeout(self.settings.timeout, self.exporter.export(batch)).await;
        if matches!(sent, Ok(Ok(()))) {
            self.exported.inc_by(count);
        } else {
            // Told by a counter, because a collector that is away fails every few seconds.
            self.failed.inc_by(count);
            tracing::debug!(count, "spans were not taken by the collector");
        }
    }
}

/// Waits for a first span and then for others; false if none can come any more. What was gathered stays in `batch` when
/// this is dropped.
async fn gather(
    spans: &mut mpsc::Receiver<FinishedSpan>,
    batch: &mut Vec<FinishedSpan>,
    settings: &TraceSettings,
) -> bool {
    let Some(first) = spans.recv().await else {
        return false;
    };
    batch.push(first);
    let until = Instant::now() + settings.schedule_delay;
    while batch.len() < settings.batch_max {
        let room = settings.batch_max - batch.len();
        match timeout_at(until, spans.recv_many(batch, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}

/// What the variables say of this process; the service's name is ours if they are silent.
fn resource(settings: &TraceSettings) -> Resource {
    let named = Resource::builder().build();
    let name = named.get(&Key::from_static_str("service.name"));
    let silent = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", settings.version);
    let builder = Resource::builder().with_attribute(version);
    match silent {
        true => builder.with_service_name(settings.service.clone()).build(),
        false => builder.build(),
    }
}

/// The span by the semantic conventions for HTTP, without `url.path` and `url.full`: a path can hold what is nobody's
/// business, and the query of a request to an exchange holds its signature.
fn data(finished: &FinishedSpan, scope: &InstrumentationScope) -> SpanData {
    let own = &finished.span.own;
    let parent = finished.span.parent.as_ref();
    let parent = parent.and_then(|parent| SpanId::from_hex(parent.span()).ok());
    let micros = u64::try_from(finished.began.unix_us).unwrap_or_default();
    let start_time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_hex(own.trace()).unwrap_or(TraceId::INVALID),
            SpanId::from_hex(own.span()).unwrap_or(SpanId::INVALID),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: parent.is_some() && finished.called.is_none(),
        span_kind: match &finished.called {
            Some(_) => SpanKind::Client,
            None => SpanKind::Server,
        },
        name: name(finished),
        start_time,
        end_time: start_time + finished.took,
        attributes: attributes(finished),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: status(finished),
        instrumentation_scope: scope.clone(),
    }
}

/// `GET /orders/{id}`, or the method alone; one that is not known is called `HTTP`.
fn name(finished: &FinishedSpan) -> Cow<'static, str> {
    let method = match method_name(finished.method.as_ref()) {
        "_OTHER" => "HTTP",
        known => known,
    };
    match &finished.route {
        Some(route) if !route.template.is_empty() => {
            Cow::Owned(format!("{method} {}", route.template))
        }
        Some(_) | None => Cow::Borrowed(method),
    }
}

fn attributes(finished: &FinishedSpan) -> Vec<KeyValue> {
    let method = method_name(finished.method.as_ref());
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", finished.scheme.as_str()),
        KeyValue::new("outrider.outcome", finished.outcome.as_str()),
    ];
    if let Some(called) = &finished.called {
        attributes.extend(server(called));
    }
    if let Some(route) = &finished.route {
        // What a client asks for has a name of its own in the conventions.
        let key = match finished.called {
            Some(_) => "url.template",
            None => "http.route",
        };
        attributes.push(KeyValue::new(key, route.template.clone()));
        attributes.push(KeyValue::new("outrider.route", route.name.clone()));
    }
    if let Some(status) = finished.status {
        let code = i64::from(status.as_u16());
        attributes.push(KeyValue::new("http.response.status_code", code));
    }
    if let Some(cause) = finished.cause {
        attributes.push(KeyValue::new("error.type", cause.code()));
    } else if let Some(status) = finished.status.filter(|status| is_error(finished, *status)) {
        attributes.push(KeyValue::new("error.type", status.as_str().to_owned()));
    }
    attributes
}

/// Whom a span of kind client has asked.
fn server(called: &Called) -> Vec<KeyValue> {
    let server = &called.server;
    let mut attributes = vec![
        KeyValue::new("server.address", server.address.clone()),
        KeyValue::new("outrider.outbound", called.outbound.clone()),
    ];
    let port: Option<i64> = server.port.parse().ok();
    attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
    if called.resent > 0 {
        let resent = i64::from(called.resent);
        attributes.push(KeyValue::new("http.request.resend_count", resent));
    }
    attributes
}

/// A server's span is an error from 500 on: below that the client is told of its own. A client's is one from 400 on.
fn is_error(finished: &FinishedSpan, status: StatusCode) -> bool {
    status.is_server_error() || (finished.called.is_some() && status.is_client_error())
}

fn status(finished: &FinishedSpan) -> Status {
    let failed = finished
        .status
        .is_none_or(|status| is_error(finished, status));
    let broken = finished.outcome == super::Outcome::Error;
    match failed || broken {
        true => Status::error(finished.cause.map_or("", |cause| cause.code())),
        false => Status::Unset,
    }
}
