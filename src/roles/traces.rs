//! Tracing by the `OTEL_` variables of the OpenTelemetry specification: off unless an endpoint is named. Reads the
//! environment once, at start; never sends anything itself.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::str::FromStr;
use std::time::Duration;

use tokio_rustls::TlsConnector;

use crate::record::{Metrics, Recorder, Sampler, SpanExport, TraceSettings, tracing as spans};
use crate::runtime::trust;

/// What the specification says where nobody says anything.
const TIMEOUT_MS: u64 = 10_000;
const SCHEDULE_DELAY_MS: u64 = 5_000;
const QUEUE_MAX: usize = 2_048;
const BATCH_MAX: usize = 512;
/// Of the file of authorities.
const CA_BYTES_MAX: u64 = 1 << 20;
/// However large the variables are.
const QUEUE_LIMIT: usize = 65_536;

/// Begins to trace if the environment names a collector. What comes back sends the spans and must be run.
///
/// # Errors
/// A variable that cannot be meant, in a sentence.
pub(super) fn begin(
    recorder: &Recorder,
    metrics: &Metrics,
    service: &str,
    version: &'static str,
) -> Result<Option<SpanExport>, String> {
    let Some(endpoint) = endpoint() else {
        return Ok(None);
    };
    let tls = tls(&endpoint)?;
    let protocol = of_traces("PROTOCOL");
    if let Some(protocol) = protocol.filter(|protocol| protocol != "http/protobuf") {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL: `{protocol}` is not spoken here, write http/protobuf"
        ));
    }
    let settings = settings(tls, service, version)?;
    let (tracer, export) = spans(settings, metrics).map_err(|why| format!("{ENDPOINT}: {why}"))?;
    recorder.trace_with(tracer);
    Ok(Some(export))
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The collector, unless tracing is switched off.
fn endpoint() -> Option<String> {
    let disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let none = variable("OTEL_TRACES_EXPORTER").is_some_and(|text| text == "none");
    of_traces("ENDPOINT").filter(|_| !disabled && !none)
}

/// How the collector is spoken to. What is wrong is said without the address: it may hold a password.
fn tls(endpoint: &str) -> Result<Option<TlsConnector>, String> {
    let (secure, rest) = match endpoint.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        Some(_) | None => return Err(format!("{ENDPOINT}: write http:// or https://")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let header = "write OTEL_EXPORTER_OTLP_HEADERS instead";
        return Err(format!(
            "{ENDPOINT}: the collector's address names no user; {header}"
        ));
    }
    for name in ["CLIENT_CERTIFICATE", "CLIENT_KEY"] {
        if of_traces(name).is_some() {
            let name = format!("OTEL_EXPORTER_OTLP_{name}");
            return Err(format!("{name}: no certificate is shown to a collector"));
        }
    }
    if !secure {
        return Ok(None);
    }
    let named = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let read = |path: String| {
        let mut text = String::new();
        let file = File::open(&path).map(|file| file.take(CA_BYTES_MAX));
        file.and_then(|mut file| file.read_to_string(&mut text))
            .map(|_| text)
            .map_err(|error| format!("{named}: {path}: {error}"))
    };
    let ca = of_traces("CERTIFICATE").map(read).transpose()?;
    let made = trust::connector(ca.as_deref());
    made.map(Some).map_err(|why| format!("{named}: {why}"))
}

fn settings(
    tls: Option<TlsConnector>,
    service: &str,
    version: &'static str,
) -> Result<TraceSettings, String> {
    let queue_max = number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_MAX)?.clamp(1, QUEUE_LIMIT);
    let timeout = match of_traces("TIMEOUT") {
        Some(text) => parse("OTEL_EXPORTER_OTLP_TIMEOUT", &text)?,
        None => TIMEOUT_MS,
    };
    Ok(TraceSettings {
        tls,
        sampler: sampler(),
        timeout: Duration::from_millis(timeout),
        schedule_delay: Duration::from_millis(number(
            "OTEL_BSP_SCHEDULE_DELAY",
            SCHEDULE_DELAY_MS,
        )?),
        queue_max,
        batch_max: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_MAX)?.clamp(1, queue_max),
        service: service.to_owned(),
        version,
    })
}

/// One that is not known is told and not followed, as the specification wants it.
fn sampler() -> Sampler {
    let Some(name) = variable("OTEL_TRACES_SAMPLER") else {
        return Sampler::DEFAULT;
    };
    let argument = variable("OTEL_TRACES_SAMPLER_ARG").unwrap_or_default();
    Sampler::parse(&name, &argument).unwrap_or_else(|why| {
        tracing::warn!("OTEL_TRACES_SAMPLER: {why}; everything without a parent is traced");
        Sampler::DEFAULT
    })
}

/// `OTEL_EXPORTER_OTLP_TRACES_*`, or else `OTEL_EXPORTER_OTLP_*`.
fn of_traces(name: &str) -> Option<String> {
    let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
    own.or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

fn number<N: FromStr<Err: Display>>(name: &str, default: N) -> Result<N, String> {
    match variable(name) {
        Some(text) => parse(name, &text),
        None => Ok(default),
    }
}

fn parse<N: FromStr<Err: Display>>(name: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|error| format!("{name}: `{text}` is not a number: {error}"))
}

/// A variable that says something: an empty one says nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "roles read the environment, once, at start"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
