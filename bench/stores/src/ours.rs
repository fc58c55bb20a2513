//! Longshore on each of its stores, without tracing and with it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use longshore_core::{Store, SystemClock};
use longshore_postgres::{PostgresOptions, PostgresStore};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_redis::{RedisOptions, RedisStore};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_telemetry::{Config, Environment, Telemetry};

use crate::direct::{KIND, QUEUE};
use crate::side::{Running, Side, Stopped, Tally};

pub fn open(url: &str) -> Result<Arc<dyn Store>> {
    Ok(match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Arc::new(SqliteStore::open(SqliteOptions::from_url(url)?)?),
        Some("postgres") => Arc::new(PostgresStore::open(PostgresOptions::from_url(url)?)?),
        Some("redis") => Arc::new(RedisStore::open(RedisOptions::from_url(url)?)),
        _ => bail!("{url} names no store"),
    })
}

/// Longshore, as its README shows it.
pub struct Ours {
    store: Arc<dyn Store>,
    producer: Producer,
    telemetry: Option<Telemetry>,
    ratio: f64,
    has_storage: bool,
}

impl Ours {
    /// `ratio` is the share of traces that is sampled and sent to `sink`, 0 for no telemetry; beside
    /// it stands whether the requests of the store have spans.
    pub fn new(url: &str, (ratio, has_storage): (f64, bool), sink: &str) -> Result<Self> {
        let store = open(url)?;
        let telemetry = (ratio > 0.0).then(|| telemetry(ratio, has_storage, sink));
        let telemetry = telemetry.transpose()?;
        let mut producer = Producer::new(Arc::clone(&store));
        if let Some(telemetry) = &telemetry {
            producer = producer.with_recorder(telemetry.recorder());
        }
        Ok(Self {
            store,
            producer,
            telemetry,
            ratio,
            has_storage,
        })
    }
}

impl Side for Ours {
    async fn set_up(&mut self) -> Result<String> {
        self.store.queue_stats().await?;
        Ok(match self.ratio {
            0.0 => "as shipped, without telemetry; keeps jobs that are over".to_owned(),
            ratio => format!(
                "the same; {:.0} % of traces sampled, failed and slow jobs kept besides, exported \
                 by OTLP over HTTP{}",
                ratio * 100.0,
                match self.has_storage {
                    true => "; a span for each request of the store",
                    false => "",
                }
            ),
        })
    }

    async fn enqueue(&mut self, stamps: &[u64]) -> Result<()> {
        let request = |stamp: &u64| JobRequest::new(QUEUE, KIND).args(stamp);
        if let [stamp] = stamps {
            self.producer.enqueue(request(stamp)).await?;
            return Ok(());
        }
        let requests = stamps.iter().map(request).collect();
        self.producer.enqueue_many(requests).await?;
        Ok(())
    }

    async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running> {
        let mut builder = Worker::builder(Arc::clone(&self.store))
            .queue(QUEUE)
            .concurrency(concurrency)
            .handler_with(KIND, tally, ran);
        if let Some(telemetry) = &self.telemetry {
            builder = builder.recorder(telemetry.recorder());
        }
        let worker = builder.build().context("the worker cannot be built")?;
        Ok(Running::start(|stopped: Stopped| async move {
            let stop = async {
                let _stopped = stopped.await;
            };
            worker.run(stop).await?;
            Ok(())
        }))
    }

    async fn finish(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.shutdown(Duration::from_secs(10)).await;
        }
    }
}

async fn ran(tally: Arc<Tally>, stamp: u64, _attempt: Attempt) -> Result<(), JobError> {
    tally.ran(stamp);
    Ok(())
}

/// Telemetry as users have it, over HTTP to a receiver that keeps nothing.
fn telemetry(ratio: f64, has_storage: bool, sink: &str) -> Result<Telemetry> {
    let ratio = ratio.to_string();
    let environment = Environment::from_pairs([
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", ratio.as_str()),
        (
            "LONGSHORE_TELEMETRY_STORAGE_SPANS",
            if has_storage { "true" } else { "false" },
        ),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", ""),
    ]);
    let settings = Config::load(&[], &environment, &[])?.telemetry();
    let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(telemetry)
}
