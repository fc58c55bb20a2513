//! What leaves the process: sampling, OTLP export, logs, and the settings of all of them.
//!
//! | to find | look in |
//! | --- | --- |
//! | what can be set, and where a value came from | [`config`] |
//! | which traces are kept | [`sampler`] |
//! | how spans get from the engine and from users to the exporter | [`recorder`] |
//! | how spans become OTLP bytes | [`encode`] |
//! | what may leave, and what stands in place of the rest | [`redact`] |
//! | set-up, flush and shutdown | [`Telemetry`] |
//! | numbers of jobs, with traces as examples | [`metrics`] |
//! | log lines with trace ids | [`logs`] |
//!
//! Telemetry never hurts a job: nothing here blocks, fails or panics in the caller's path, and
//! whatever is lost is counted with its reason ([`Counters`]).

mod backlog;
pub mod config;
mod convert;
mod counters;
pub mod encode;
mod export;
pub mod keep;
pub mod logs;
pub mod metrics;
mod pipeline;
mod processor;
pub mod recorder;
pub mod redact;
pub mod rule;
pub mod sampler;
mod span_queue;
mod span_writer;
mod telemetry;
mod user_spans;

pub use backlog::SpanLogSettings;
pub use config::{Config, ConfigError, Environment, TelemetrySettings, Warning};
pub use counters::{Counters, DropReason, SpanOrigin};
pub use export::BreakerState;
pub use logs::{LogFormat, init_logs};
pub use metrics::{Metrics, MetricsFormat};
pub use processor::SpanProcessor;
pub use recorder::TelemetryRecorder;
pub use redact::{RedactionPolicy, Redactor};
pub use telemetry::Telemetry;
