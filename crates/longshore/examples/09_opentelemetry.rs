//! OpenTelemetry: spans of the handler's own, made with `tracing` or with the OpenTelemetry API,
//! nest under the job's.
//!
//! `cargo run --features otel --example 09_opentelemetry` prints one line per span. Set
//! `OTEL_TRACES_EXPORTER=otlp` and `OTEL_EXPORTER_OTLP_ENDPOINT` to send them to a collector
//! instead.
#![expect(clippy::print_stderr, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use longshore::core::SystemClock;
use longshore::otel::{Config, Environment, LogFormat, Telemetry, init_logs};
use longshore::{Attempt, JobError, JobRequest, Producer, Worker, connect};
use tracing::Instrument;

async fn resize(pictures: u32, _attempt: Attempt) -> Result<u32, JobError> {
    for number in 0..pictures {
        let span = tracing::info_span!("picture.resize", picture.number = number);
        async { tracing::info!("resized") }.instrument(span).await;
    }
    Ok(pictures)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "[telemetry]\nexporter = 'stdout'\nservice_name = 'pictures'".to_owned();
    let files = [("example".to_owned(), file)];
    let config = Config::load(&files, &Environment::from_process(), &[])?;
    let clock = Arc::new(SystemClock::new());
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), clock.clone());
    for warning in config.warnings().iter().chain(&warnings) {
        eprintln!("warning: {}", warning.0);
    }
    // Log lines carry the trace and span ids of the handler they come from.
    init_logs(LogFormat::Human, "info", true, clock, Some(&telemetry))?;

    let store = connect("memory:")?;
    let producer = Producer::new(store.clone()).with_recorder(telemetry.recorder());
    let request = JobRequest::new("pictures", "resize").args(&2);
    producer.enqueue(request).await?;
    Worker::builder(store)
        .queue("pictures")
        .handler("resize", resize)
        .recorder(telemetry.recorder())
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
