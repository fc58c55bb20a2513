//! What a span of the application costs the thread that makes it: made with `tracing` and taken
//! up by Longshore, the same with `tracing-opentelemetry` and the SDK's batch processor alone, and
//! made with `fastrace`.
//!
//! The peers' exporters discard what they get; ours redacts every span, and encodes and sends it
//! on a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use longshore_core::SystemClock;
use longshore_telemetry::LogFormat;
use longshore_telemetry::logs::log_subscriber;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::allocator::allocations;
use crate::measure::{Samples, Table};
use crate::sink::Sink;
use crate::worker;

/// Spans of one try; they fit into every queue.
const SPANS: u32 = 2_000;
const TRIES: usize = 60;

pub async fn rows() -> Result<()> {
    let mut table = Table::new(
        "A span of the application with two attributes, on the thread that makes it",
        &["made with", "taken by", "ns", "allocations"],
    );
    let (ours, peer, fastrace) = (ours().await?, sdk()?, fastrace());
    table.row(row("`tracing`", "Longshore", &ours));
    table.row(row("`tracing`", "tracing-opentelemetry, SDK batch", &peer));
    table.row(row("`fastrace`", "fastrace", &fastrace));
    table.print();
    Ok(())
}

fn row(made_with: &str, taken_by: &str, cost: &Cost) -> Vec<String> {
    vec![
        made_with.to_owned(),
        taken_by.to_owned(),
        cost.nanoseconds.cell(0),
        format!("{:.1}", cost.allocations),
    ]
}

struct Cost {
    nanoseconds: Samples,
    allocations: f64,
}

/// Makes spans, try after try.
#[derive(Default)]
struct Tries {
    nanoseconds: Vec<f64>,
    allocations: u64,
}

impl Tries {
    fn one(&mut self, span: impl Fn(u32)) {
        let before = allocations();
        let started = Instant::now();
        for number in 0..SPANS {
            span(number);
        }
        self.nanoseconds
            .push(started.elapsed().as_nanos() as f64 / f64::from(SPANS));
        self.allocations = allocations() - before;
    }

    fn cost(self) -> Cost {
        Cost {
            nanoseconds: self.nanoseconds.into_iter().collect(),
            allocations: self.allocations as f64 / f64::from(SPANS),
        }
    }
}

fn tracing_span(number: u32) {
    let span = tracing::info_span!("charge", number, method = "card");
    let _entered = span.enter();
}

async fn ours() -> Result<Cost> {
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(1.0, &sink)?;
    let clock = Arc::new(SystemClock::new());
    let subscriber = log_subscriber(LogFormat::Json, "off", clock, Some(&telemetry), |_| Ok(()))?;
    let dispatch = tracing::Dispatch::new(subscriber);
    let mut tries = Tries::default();
    for _try in 0..TRIES {
        tracing::dispatcher::with_default(&dispatch, || tries.one(tracing_span));
        telemetry.flush(Duration::from_secs(10)).await;
    }
    anyhow::ensure!(telemetry.counters().dropped_total() == 0);
    Ok(tries.cost())
}

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(std::hint::black_box(batch));
        Ok(())
    }
}

fn sdk() -> Result<Cost> {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(32_768)
        .build();
    let batch = BatchSpanProcessor::builder(Nowhere)
        .with_batch_config(config)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(batch)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let mut tries = Tries::default();
    for _try in 0..TRIES {
        tracing::dispatcher::with_default(&dispatch, || tries.one(tracing_span));
        provider.force_flush()?;
    }
    Ok(tries.cost())
}

struct Discards;

impl fastrace::collector::Reporter for Discards {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        drop(std::hint::black_box(spans));
    }
}

fn fastrace() -> Cost {
    fastrace::set_reporter(Discards, fastrace::collector::Config::default());
    let span = |number: u32| {
        let root = fastrace::Span::root("charge", fastrace::collector::SpanContext::random());
        let properties = || {
            [
                ("number", number.to_string()),
                ("method", "card".to_owned()),
            ]
        };
        let root = root.with_properties(properties);
        let _entered = root.set_local_parent();
    };
    let mut tries = Tries::default();
    for _try in 0..TRIES {
        tries.one(span);
        fastrace::flush();
    }
    tries.cost()
}
