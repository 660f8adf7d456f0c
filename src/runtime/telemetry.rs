//! The process's log: one JSON object a line on stdout, capped and escaped. Evidence has its own sink, see `record`;
//! nothing here logs a header, a query, a body or a token.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::model::clock::Clock;
use crate::model::json::{push_plain, push_raw, push_text};

const TIMES: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
const TEXT_BYTES_MAX: usize = 2048;
const FIELDS_MAX: usize = 32;

/// Changes what is logged while the process runs. Cheap to clone.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// What can be logged, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl LogLevel {
    /// Logs this program at `level` from now on, in the place of what was said before. What it is built on never tells
    /// more than `info`: below that it may write what it reads.
    ///
    /// # Errors
    /// It is not a level.
    pub fn set(&self, level: &str) -> Result<(), String> {
        let directives = match level {
            "debug" | "trace" => format!("info,outrider={level}"),
            known if LEVELS.contains(&known) => known.to_owned(),
            _ => return Err(format!("level must be one of {}", LEVELS.join(", "))),
        };
        let filter = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Begins to log. `filter` is written as in `RUST_LOG`; empty means `info`. Fails if the filter cannot be read or
/// logging has begun already.
pub fn init(filter: &str, service: &str, clock: Arc<dyn Clock>) -> Result<LogLevel, String> {
    let wanted = if filter.is_empty() { "info" } else { filter };
    let filter = EnvFilter::try_new(wanted).map_err(|error| format!("RUST_LOG: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = JsonLines {
        service: service.to_owned(),
        clock,
        print,
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| error.to_string())?;
    Ok(LogLevel(handle))
}

/// Tells of every panic in the log: where it was, and the text if the program's own source holds it. A text that was put
/// together at run time may quote what nobody should read, so it is left out.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = panic.payload().downcast_ref::<&'static str>();
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name().unwrap_or("unnamed"),
            text = text.copied().unwrap_or("not shown"),
            "a panic"
        );
    }));
}

/// One write for each line, so that lines of several threads do not mix.
fn print(line: &[u8]) {
    // A log that nobody reads must not stop the process.
    std::io::stdout().lock().write_all(line).ok();
}

struct JsonLines<P> {
    service: String,
    clock: Arc<dyn Clock>,
    print: P,
}

impl<S, P> Layer<S> for JsonLines<P>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    P: Fn(&[u8]) + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Vec::with_capacity(256);
        let now = self.clock.now();
        let time = Timestamp::from_microsecond(now.unix_us).unwrap_or_default();
        push_raw(&mut line, "{\"timestamp\":\"");
        // Writing into memory cannot fail.
        TIMES.print_timestamp(&time, &mut line).ok();
        push_raw(&mut line, "\",\"level\":");
        push_plain(&mut line, event.metadata().level());
        let mut fields = Fields {
            out: &mut line,
            count: 0,
        };
        event.record(&mut fields);
        push_raw(&mut line, ",\"target\":");
        push_text(&mut line, event.metadata().target(), TEXT_BYTES_MAX);
        push_raw(&mut line, ",\"service\":");
        push_text(&mut line, &self.service, TEXT_BYTES_MAX);
        push_raw(&mut line, "}\n");
        (self.print)(&line);
    }
}

/// Writes an event's fields; the message is called `msg`.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
}

impl Fields<'_> {
    fn text(&mut self, field: &Field, text: &str) {
        if self.name(field) {
            push_text(self.out, text, TEXT_BYTES_MAX);
        }
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        if self.name(field) {
            push_raw(self.out, &value.to_string());
        }
    }

    /// Begins a field; false if there are too many.
    fn name(&mut self, field: &Field) -> bool {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return false;
        }
        let name = match field.name() {
            "message" => "msg",
            // A field cannot pass for one of ours.
            "timestamp" | "level" | "target" | "service" | "msg" => "field",
            other => other,
        };
        push_raw(self.out, ",");
        push_text(self.out, name, TEXT_BYTES_MAX);
        push_raw(self.out, ":");
        true
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::model::clock::{FixedClock, Now};

    #[test]
    fn a_hostile_text_stays_in_its_line_and_field() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let layer = JsonLines {
            service: "orders".to_owned(),
            clock: Arc::new(FixedClock(Now {
                mono_ns: 0,
                unix_us: 1_795_313_647_123_456,
            })),
            print: move |line: &[u8]| kept.lock().unwrap().extend_from_slice(line),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let hostile = "a\"}\n{\"level\":\"ERROR\"}\x1b[31m\u{2028}";
            tracing::info!(
                agent = hostile,
                status = 200_u16,
                level = "FATAL",
                "took\nit"
            );
            tracing::warn!(agent = %"x".repeat(9000), "long");
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let parsed: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(parsed.len(), 2, "{text}");
        assert_eq!(parsed[0]["level"], "INFO");
        assert_eq!(parsed[0]["msg"], "took\nit");
        assert_eq!(parsed[0]["status"], 200);
        assert_eq!(parsed[0]["service"], "orders");
        assert_eq!(parsed[0]["timestamp"], "2026-11-22T02:14:07.123456000Z");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{2028}'));
        assert!(text.len() < 4096);
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let clock = Arc::new(FixedClock(Now {
            mono_ns: 0,
            unix_us: 0,
        }));
        let error = init("outrider=loud", "s", clock).err().unwrap();
        assert!(error.starts_with("RUST_LOG: "), "{error}");
    }
}
