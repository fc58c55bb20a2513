//! Log lines that carry the trace they belong to, and log records that leave by OTLP.

mod quiet;
pub(crate) mod record;

use std::borrow::Cow;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::str::FromStr;
use std::sync::Arc;

use longshore_core::Clock;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::Telemetry;
use crate::redact::Redactor;

use quiet::Quiet;
pub use record::LogLayer;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a log format; use human or json")),
        }
    }
}

/// The libraries beneath the exporter: their spans would be about the export of spans.
const TRANSPORT: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "rustls",
    "tower",
];

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter cannot be read.
    #[error("`{filter}` is not a log filter such as info or info,longshore=debug")]
    Filter {
        /// The filter.
        filter: String,
    },
    /// This process has a subscriber already.
    #[error("logging was set up already")]
    AlreadySet,
}

/// Whether a filter can be read.
///
/// # Errors
/// What a filter looks like.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    parse_filter(filter)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn parse_filter(filter: &str) -> Result<Targets, LogsError> {
    Targets::from_str(filter).map_err(|_unreadable| LogsError::Filter {
        filter: filter.to_owned(),
    })
}

/// Sends log events to standard error, for the whole process; with `telemetry`, spans made with
/// `tracing` become part of the trace of the job whose handler made them, and the same events leave
/// as log records if the settings say so ([`LogSettings`](crate::config::LogSettings)). `colours`
/// only has an effect on a terminal.
///
/// # Errors
/// If the filter cannot be read or logging was set up before.
pub fn init_logs(
    format: LogFormat,
    filter: &str,
    colours: bool,
    clock: Arc<dyn Clock>,
    telemetry: Option<&Telemetry>,
) -> Result<(), LogsError> {
    let colours = colours && std::io::stderr().is_terminal();
    let lines = Lines {
        format,
        colours,
        clock,
        redactor: redactor(telemetry),
        // Locked for each line, so that lines of several threads do not mix.
        write: Box::new(|line| std::io::stderr().lock().write_all(line)),
    };
    let subscriber = subscriber(lines, filter, telemetry)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_set| LogsError::AlreadySet)
}

/// A subscriber as [`init_logs`] installs it, with a writer that is given each line.
///
/// # Errors
/// If the filter cannot be read.
pub fn log_subscriber(
    format: LogFormat,
    filter: &str,
    clock: Arc<dyn Clock>,
    telemetry: Option<&Telemetry>,
    write: impl Fn(&[u8]) -> std::io::Result<()> + Send + Sync + 'static,
) -> Result<impl Subscriber + Send + Sync, LogsError> {
    let lines = Lines {
        format,
        colours: false,
        clock,
        redactor: redactor(telemetry),
        write: Box::new(write),
    };
    subscriber(lines, filter, telemetry)
}

/// What decides what may be in a line: as telemetry has it, else the default.
fn redactor(telemetry: Option<&Telemetry>) -> Arc<Redactor> {
    telemetry.map_or_else(Arc::default, Telemetry::redactor)
}

fn subscriber(
    lines: Lines,
    filter: &str,
    telemetry: Option<&Telemetry>,
) -> Result<impl Subscriber + Send + Sync + use<>, LogsError> {
    let filter = parse_filter(filter)?;
    let quiet = TRANSPORT.map(|library| (library, tracing::level_filters::LevelFilter::OFF));
    let spans = telemetry.map(|telemetry| {
        // Events are log lines; as span events they would leave twice.
        let filter = Targets::new()
            .with_default(Level::INFO)
            .with_targets(quiet)
            .and(filter_fn(|metadata| metadata.is_span()));
        tracing_opentelemetry::layer()
            .with_tracer(telemetry.tracer("tracing"))
            .with_error_records_to_exceptions(false)
            .with_error_fields_to_exceptions(false)
            // The target says where a span is from. The path of the source file, the thread and the
            // time on it cost more than all the rest, and tell little of what moves between threads.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter)
    });
    let records = telemetry.and_then(Telemetry::log_layer);
    let records = records.map(|layer| layer.with_filter(filter.clone()));
    Ok(tracing_subscriber::registry()
        .with(spans)
        .with(records)
        .with(lines.with_filter(filter)))
}

type WriteLine = dyn Fn(&[u8]) -> std::io::Result<()> + Send + Sync;

/// The layer that writes lines.
struct Lines {
    format: LogFormat,
    colours: bool,
    clock: Arc<dyn Clock>,
    redactor: Arc<Redactor>,
    write: Box<WriteLine>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: layer::Context<'_, S>) {
        if Quiet::is_kept() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        {
            let _quiet = Quiet::keep();
            fields.redact(&self.redactor);
        }
        let trace = Context::map_current(|context| {
            let span = context
                .has_active_span()
                .then(|| context.span().span_context().clone());
            span.filter(SpanContext::is_valid)
        });
        let mut line = match self.format {
            LogFormat::Human => self.human(event, &fields, trace.as_ref()),
            LogFormat::Json => self.json(event, fields, trace.as_ref()),
        };
        line.push('\n');
        // There is no better place to complain that standard error is closed.
        let _closed = (self.write)(line.as_bytes());
    }
}

impl Lines {
    fn human(&self, event: &Event<'_>, fields: &Fields, trace: Option<&SpanContext>) -> String {
        let level = *event.metadata().level();
        let (on, off) = match (self.colours, level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let mut line = format!(
            "{} {on}{level:>5}{off} {}: {}",
            self.clock.now(),
            event.metadata().target(),
            on_one_line(&fields.message)
        );
        for (name, value) in &fields.others {
            // JSON values escape what would break the line.
            line.push_str(&format!(" {name}={value}"));
        }
        if let Some(trace) = trace {
            let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
            line.push_str(&format!(" trace_id={trace_id} span_id={span_id}"));
        }
        line
    }

    fn json(&self, event: &Event<'_>, fields: Fields, trace: Option<&SpanContext>) -> String {
        let mut object = Map::new();
        let mut put = |key: &str, text: String| object.insert(key.to_owned(), Value::String(text));
        put("time", self.clock.now().to_string());
        put("level", event.metadata().level().to_string().to_lowercase());
        put("target", event.metadata().target().to_owned());
        put("message", fields.message);
        if let Some(trace) = trace {
            put("trace_id", trace.trace_id().to_string());
            put("span_id", trace.span_id().to_string());
        }
        // A field may not take the place of one of ours.
        for (key, value) in fields.others {
            object.entry(key).or_insert(value);
        }
        Value::Object(object).to_string()
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// The text with control characters escaped: a message may neither forge a second line nor steer
/// a terminal.
fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// The fields of an event, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    /// Hides what may not be in a log, before the line is made.
    fn redact(&mut self, redactor: &Redactor) {
        if let Cow::Owned(message) = redactor.text(&self.message) {
            self.message = message;
        }
        self.others.retain(|key, value| {
            let text = match &*value {
                Value::String(text) => Cow::Borrowed(text.as_str()),
                Value::Number(number) => Cow::Owned(number.to_string()),
                _ => return true,
            };
            match redactor.pair(key, &text) {
                None => false,
                Some(shown) if shown == text => true,
                Some(shown) => {
                    *value = Value::String(shown.into_owned());
                    true
                }
            }
        });
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use longshore_core::SystemClock;

    use super::*;

    /// The level of a line that is written in colours or without.
    fn line(colours: bool, level: Level) -> String {
        let written = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&written);
        let lines = Lines {
            format: LogFormat::Human,
            colours,
            clock: Arc::new(SystemClock::new()),
            redactor: Arc::default(),
            write: Box::new(move |line| {
                sink.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(line));
                Ok(())
            }),
        };
        let subscriber = subscriber(lines, "trace", None).unwrap();
        tracing::subscriber::with_default(subscriber, || match level {
            Level::ERROR => tracing::error!("said"),
            Level::WARN => tracing::warn!("said"),
            _ => tracing::info!("said"),
        });
        let written = written.lock().unwrap();
        let (_time, rest) = written.split_once(' ').unwrap();
        rest.to_owned()
    }

    #[test]
    fn colours_mark_the_level_and_end_behind_it() {
        for (level, word, code) in [
            (Level::ERROR, "ERROR", 31),
            (Level::WARN, " WARN", 33),
            (Level::INFO, " INFO", 2),
        ] {
            let plain = line(false, level);
            assert!(plain.starts_with(&format!("{word} longshore_telemetry::logs")));
            let coloured = line(true, level);
            let painted = format!("\x1b[{code}m{word}\x1b[0m");
            assert_eq!(coloured, plain.replacen(word, &painted, 1));
        }
    }
}
