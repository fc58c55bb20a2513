//! What leaves the process: sampling, keeping, redaction, OTLP export, metrics and logs, and the
//! settings of all of them.
//!
//! This crate stands by itself. The engine hands its facts to the recorder that
//! [`Telemetry::recorder`] gives; so may any other program, for a queue of its own
//! ([`longshore_instrument::foreign`]). The application's own spans come through the OpenTelemetry
//! API or `tracing`, and nest beneath the job that runs.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use longshore_core::SystemClock;
//! use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
//! use longshore_telemetry::{Config, Environment, Telemetry};
//! use opentelemetry::trace::{Span, Tracer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! // In a program: `Environment::from_process()`.
//! let environment = Environment::from_pairs([
//!     ("OTEL_SERVICE_NAME", "mailer"),
//!     ("OTEL_TRACES_EXPORTER", "none"),
//! ]);
//! let settings = Config::load(&[], &environment, &[])?.telemetry();
//! let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
//! assert!(warnings.is_empty());
//!
//! let queue = ForeignQueue::new("rabbitmq", telemetry.recorder());
//! let job = ForeignJob::new("mail", "send_mail").with_id("delivery-7");
//! # let headers = std::collections::HashMap::<String, String>::new();
//! let attempt = queue.attempt(job, &Delivery::first(), |key| headers.get(key).map(String::as_str));
//! attempt.run(async { telemetry.tracer("mailer").start("render").end() }).await;
//! attempt.end(Ending::completed()).await.settled(None);
//!
//! assert!(telemetry.shutdown(Duration::from_secs(5)).await);
//! # Ok::<(), longshore_telemetry::ConfigError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way of a span, from the engine's facts and from the application, to the receiver:
//!
//! | step | look in |
//! | --- | --- |
//! | what can be set, and where a value came from | [`config`] |
//! | which new traces are sampled, and by which rules | [`sampler`], [`rule`] |
//! | how spans of the engine and of users come in | [`recorder`] |
//! | what the application makes of them first | [`SpanProcessor`] |
//! | what may leave, and what stands in place of the rest | [`redact`] |
//! | which jobs' traces leave although they were not sampled | [`keep`] |
//! | spans that other programs hand in | [`Telemetry::adopt`] |
//! | how spans become OTLP bytes | [`encode`] |
//! | set-up, flush and shutdown | [`Telemetry`] |
//! | numbers of jobs, with traces as examples | [`metrics`] |
//! | log lines with trace ids, and log records that leave | [`logs`] |
//!
//! Telemetry never hurts a job: nothing here blocks, fails or panics in the caller's path, and
//! whatever is lost is counted with its reason ([`Counters`]).

mod adopt;
mod backlog;
pub mod config;
mod convert;
mod counters;
pub mod encode;
mod export;
mod item;
pub mod keep;
mod limits;
pub mod logs;
pub mod metrics;
mod minutely;
mod open_spans;
mod origin;
#[cfg(test)]
mod outage;
mod pipeline;
mod process;
mod processor;
mod queue;
pub mod recorder;
pub mod redact;
pub mod rule;
pub mod sampler;
mod served;
mod signal;
mod span_map;
mod telemetry;
mod user_spans;
mod way_out;
mod writer;

pub use adopt::Adopted;
pub use backlog::SpanLogSettings;
pub use config::{Config, ConfigError, Environment, TelemetrySettings, Warning};
pub use counters::{Counters, DropReason, SpanOrigin};
pub use export::BreakerState;
pub use limits::SpanLimits;
pub use logs::{LogFormat, LogLayer, init_logs};
pub use metrics::{Metrics, MetricsFormat};
pub use processor::SpanProcessor;
pub use recorder::TelemetryRecorder;
pub use redact::{RedactionPolicy, Redactor};
pub use telemetry::Telemetry;
