//! Jobs of apalis 1.0 with Longshore's telemetry: the context travels by itself, every attempt is
//! a span that links to the one before, 1 % of the traces are sampled, and every job that fails is
//! kept whole, without the secret that its handler puts on a span.
//!
//! Run it with `cargo run -p example-apalis` in this folder: it draws the traces of the jobs that
//! failed, as a receiver of OTLP in this process got them.

mod tracing_layer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis::layers::retry::RetryPolicy;
use apalis::prelude::{BoxDynError, Data, MemoryStorage, WorkerBuilder, WorkerContext};
use longshore_core::{Random, SystemClock, TraceId};
use longshore_instrument::Span;
use longshore_instrument::foreign::ForeignQueue;
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_testkit::collector::Collector;
use longshore_trace::{Forest, outline};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer};

use tracing_layer::Traced;

const MAILS: usize = 300;
/// Every so many mails one fails at its first attempt.
const FAILS: usize = 60;
const ATTEMPTS: u32 = 3;
const CARD: &str = "4111 1111 1111 1111";

#[derive(Debug)]
struct SmtpTimeout;

impl std::fmt::Display for SmtpTimeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer from the mail server of ann@example.com")
    }
}

impl std::error::Error for SmtpTimeout {}

fn classify(error: &BoxDynError) -> &'static str {
    match error.downcast_ref::<SmtpTimeout>() {
        Some(_) => "smtp_timeout",
        None => "unknown",
    }
}

/// The same numbers in every run, so that the same traces are sampled.
#[derive(Debug)]
struct Seeded(Mutex<u64>);

impl Random for Seeded {
    fn next_u64(&self) -> u64 {
        // splitmix64, by Sebastiano Vigna.
        let mut state = self.0.lock().expect("nobody panics here");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shop {
    telemetry: Arc<Telemetry>,
    failed_once: Arc<Mutex<BTreeSet<usize>>>,
    sent: Arc<AtomicUsize>,
}

async fn send_mail(
    mail: usize,
    shop: Data<Shop>,
    worker: WorkerContext,
) -> Result<(), BoxDynError> {
    let mut render = shop.telemetry.tracer("shop").start("render");
    render.set_attribute(KeyValue::new("invoice.text", format!("paid with {CARD}")));
    render.end();
    let fails = mail.is_multiple_of(FAILS);
    if fails
        && shop
            .failed_once
            .lock()
            .expect("nobody panics here")
            .insert(mail)
    {
        return Err(Box::new(SmtpTimeout));
    }
    if shop.sent.fetch_add(1, Ordering::Relaxed) + 1 == MAILS {
        worker.stop()?;
    }
    Ok(())
}

/// Pushes and runs all mails; gives back what a receiver of OTLP got.
async fn run() -> Result<Vec<Span>, BoxDynError> {
    let collector = Collector::start()?;
    let environment = Environment::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.grpc_endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", "0.01"),
    ]);
    let settings = Config::load(&[], &environment, &[])?.telemetry();
    let clock = Arc::new(SystemClock::new());
    let (telemetry, warnings) = Telemetry::init(&settings, clock.clone());
    assert!(warnings.is_empty(), "{warnings:?}");
    let telemetry = Arc::new(telemetry);

    let queue = ForeignQueue::new("apalis", telemetry.recorder())
        .with_sources(clock, Arc::new(Seeded(Mutex::new(7))));
    let mails = Traced::new(queue, "mails", "send_mail");
    let mut storage = MemoryStorage::new();
    for mail in 0..MAILS {
        mails.push(&mut storage, mail).await?;
    }

    let shop = Shop {
        telemetry: Arc::clone(&telemetry),
        failed_once: Arc::default(),
        sent: Arc::default(),
    };
    let retries = usize::try_from(ATTEMPTS - 1)?;
    let worker = WorkerBuilder::new("mailer")
        .backend(storage)
        .data(shop)
        .retry(RetryPolicy::retries(retries))
        .layer(mails.layer(ATTEMPTS, classify))
        .build(send_mail);
    worker.run().await?;

    assert!(
        telemetry.shutdown(Duration::from_secs(10)).await,
        "spans are lost"
    );
    Ok(collector.spans())
}

/// The spans by their trace.
fn traces(spans: Vec<Span>) -> BTreeMap<TraceId, Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    traces
}

fn has_failed(trace: &[Span]) -> bool {
    trace.iter().any(|span| span.status.is_error())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxDynError> {
    let traces = traces(run().await?);
    let failed: Vec<_> = traces.values().filter(|trace| has_failed(trace)).collect();
    println!(
        "{MAILS} mails, {} traces left: {} of jobs that failed, {} by the sampler's 1 %\n",
        traces.len(),
        failed.len(),
        traces.len() - failed.len()
    );
    for trace in failed {
        println!("{}", outline::outline(&Forest::new(trace)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_testkit::collector::trace_tree;

    /// A mail that failed once and was then sent, its producer's trace not sampled.
    const KEPT: &str = "\
trace
a queue.enqueue PRODUCER longshore.rebuilt=true
  b queue.dequeue CLIENT longshore.job.attempt=1
  c job.process CONSUMER error longshore.job.attempt=1 longshore.job.outcome=retried error.type=smtp_timeout
    ! job_failed
    ~ link a longshore.link=enqueue
    d handler.execution INTERNAL error error.type=smtp_timeout
      e render INTERNAL (shop)
  f job.process CONSUMER longshore.job.attempt=2 longshore.job.outcome=completed
    ~ link a longshore.link=enqueue
    ~ link c longshore.link=previous_attempt
    g handler.execution INTERNAL longshore.job.attempt=2
      h render INTERNAL (shop)
";

    #[tokio::test]
    async fn every_failed_job_leaves_whole_and_nothing_secret_leaves() {
        let spans = run().await.unwrap();
        let text = format!("{spans:?}");
        assert!(text.contains("invoice.text"), "the attribute leaves");
        for secret in [CARD, "4111", "ann@example.com"] {
            assert!(!text.contains(secret), "{secret}");
        }

        let traces = traces(spans);
        let (failed, others): (Vec<_>, Vec<_>) =
            traces.values().partition(|trace| has_failed(trace));
        assert_eq!(failed.len(), MAILS.div_ceil(FAILS));
        let share = others.len() as f64 / MAILS as f64;
        assert!(share < 0.03, "{} of {MAILS} were sampled", others.len());
        for trace in failed {
            assert_eq!(trace_tree(trace), KEPT);
        }
    }
}
