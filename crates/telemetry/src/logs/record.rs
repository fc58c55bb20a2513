//! Log events as OTLP log records.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use longshore_core::{Clock, SpanContext, SpanId, Timestamp, TraceFlags, TraceId};
use longshore_instrument::{Attribute, AttributeValue};
use opentelemetry::Context;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{self, Layer};

use super::quiet::Quiet;
use crate::limits;
use crate::queue::Queue;
use crate::redact::Redactor;

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Severity {
    fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }

    /// The number that OpenTelemetry gives the level.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// The level as the program has it.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// An event that leaves: redacted, and cut down to the limits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogRecord {
    pub(crate) at: Timestamp,
    pub(crate) severity: Severity,
    /// Which part of the program it is from.
    pub(crate) target: Cow<'static, str>,
    /// Its message.
    pub(crate) body: Cow<'static, str>,
    pub(crate) attributes: Vec<Attribute>,
    /// Attributes that it has lost.
    pub(crate) dropped: u32,
    /// The span it belongs to; its trace state does not go with it.
    pub(crate) span: Option<SpanContext>,
}

/// What log records may carry, and where they go.
#[derive(Debug)]
pub(crate) struct RecordSink {
    pub(crate) queue: Arc<Queue<LogRecord>>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Most attributes of one record.
    pub(crate) attributes: u32,
    /// Most characters of a value or body.
    pub(crate) value_length: usize,
}

impl RecordSink {
    fn take(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut record = LogRecord {
            at: self.clock.now(),
            severity: Severity::of(*event.metadata().level()),
            target: Cow::Borrowed(event.metadata().target()),
            body: fields.message,
            attributes: fields.others,
            dropped: 0,
            span: current_span(),
        };
        {
            let _quiet = Quiet::keep();
            self.make_fit(&mut record);
        }
        self.queue.push([record]);
    }

    /// Bounds its number of attributes, redacts all of it, then shortens: half a secret is not
    /// recognised as one.
    fn make_fit(&self, record: &mut LogRecord) {
        let cut = limits::cut(&mut record.attributes, self.attributes);
        self.redactor.text_in_place(&mut record.target);
        self.redactor.text_in_place(&mut record.body);
        let refused = self.redactor.attributes(&mut record.attributes);
        record.dropped = cut.saturating_add(refused);
        limits::shorten(&mut record.body, self.value_length);
        for attribute in &mut record.attributes {
            if let AttributeValue::String(text) = &mut attribute.value {
                limits::shorten(text, self.value_length);
            }
        }
    }
}

/// The span in which the program is at this moment.
fn current_span() -> Option<SpanContext> {
    use opentelemetry::trace::TraceContextExt;
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        Some(SpanContext::new(
            TraceId::from_bytes(span.trace_id().to_bytes())?,
            SpanId::from_bytes(span.span_id().to_bytes())?,
            TraceFlags::new(span.trace_flags().to_u8()),
        ))
    })
}

/// A layer of `tracing-subscriber` that makes OTLP log records of events, for programs with a
/// subscriber of their own; [`init_logs`](super::init_logs) has it already. Made by
/// [`Telemetry::log_layer`](crate::Telemetry::log_layer). Put a filter on it: every event that
/// reaches it leaves, whatever was sampled.
///
/// What telemetry itself has to say while it writes down and exports is left out, as is all that
/// happens where OpenTelemetry is told to keep quiet: else each export would make the next.
#[derive(Debug)]
pub struct LogLayer {
    pub(crate) sink: Arc<RecordSink>,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: layer::Context<'_, S>) {
        if !Context::is_current_telemetry_suppressed() && !Quiet::is_kept() {
            self.sink.take(event);
        }
    }
}

/// The fields of an event, the message apart.
#[derive(Default)]
struct Fields {
    message: Cow<'static, str>,
    others: Vec<Attribute>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<AttributeValue>) {
        match (field.name(), value.into()) {
            ("message", AttributeValue::String(text)) => self.message = text,
            (name, value) => self.others.push(Attribute::new(name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // OTLP has no larger numbers.
        match i64::try_from(value) {
            Ok(value) => self.put(field, value),
            Err(_too_large) => self.put(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;
    use std::sync::Mutex;
    use std::time::Duration;

    use longshore_core::SystemClock;
    use longshore_testkit::collector::{Behaviour, Collector};

    use super::*;
    use crate::Telemetry;
    use crate::config::{Config, Environment};
    use crate::logs::{LogFormat, log_subscriber};
    use crate::redact::{CustomRedactor, Verdict};

    const PATIENCE: Duration = Duration::from_secs(30);
    /// Set where a test has a process to itself.
    const ALONE: &str = "LONGSHORE_TEST_ALONE";

    pub(crate) fn record(body: &'static str) -> LogRecord {
        LogRecord {
            at: Timestamp::UNIX_EPOCH,
            severity: Severity::Info,
            target: "shop".into(),
            body: body.into(),
            attributes: Vec::new(),
            dropped: 0,
            span: None,
        }
    }

    /// Says something about all it is asked about.
    #[derive(Debug)]
    struct Talkative;

    impl CustomRedactor for Talkative {
        fn redact(&self, _key: &str, _value: &AttributeValue) -> Verdict {
            tracing::info!(target: "shop", "about to redact");
            Verdict::Keep
        }
    }

    /// What exporters say of a receiver that fails, and what the libraries beneath them say, are on
    /// standard error. Were they records, each export would make the next.
    #[tokio::test]
    async fn what_telemetry_says_of_its_exports_is_not_exported() {
        // In a process of its own: what other tests' clients say would be records here.
        if std::env::var_os(ALONE).is_none() {
            let mut alone = Command::new(std::env::current_exe().unwrap());
            let name = "logs::record::tests::what_telemetry_says_of_its_exports_is_not_exported";
            let ran = alone.args(["--exact", name]).env(ALONE, "yes").output();
            let ran = ran.unwrap();
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
        let collector = Collector::start().unwrap();
        collector.set_behaviour(Behaviour::Unavailable(3));
        let endpoint = collector.http_endpoint();
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ];
        let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
        let clock = Arc::new(SystemClock::new());
        let mut settings = config.telemetry();
        settings.redaction = settings.redaction.with_redactor(Talkative);
        let (telemetry, _none) = Telemetry::init(&settings, clock.clone());
        let lines = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&lines);
        let write = move |line: &[u8]| {
            sink.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(line));
            Ok(())
        };
        let subscriber = log_subscriber(LogFormat::Human, "trace", clock, Some(&telemetry), write);
        // Exporters have threads of their own.
        tracing::subscriber::set_global_default(subscriber.unwrap()).unwrap();
        tracing::info!(target: "shop", "said once");
        assert!(telemetry.flush(PATIENCE).await);
        tracing::info!(target: "shop", "said later");
        assert!(telemetry.shutdown(PATIENCE).await);
        let said = lines.lock().unwrap().clone();
        assert!(
            said.contains("log records cannot be exported now"),
            "{said}"
        );
        assert!(
            said.contains(" hyper"),
            "the filter lets it through: {said}"
        );
        let records = collector.log_records();
        let bodies: Vec<&str> = records.iter().map(|record| &*record.body).collect();
        assert!(bodies.contains(&"said once") && bodies.contains(&"said later"));
        // What a redactor says of the resource is a line; there would be no end to what it says of
        // lines and records.
        assert!(said.matches("about to redact").count() < 20, "{said}");
        for record in &records {
            assert_ne!(record.body, "about to redact");
            assert!(!record.body.contains("exported now"), "{record:?}");
            assert!(!record.scope.starts_with("hyper"), "{record:?}");
        }
    }
}
