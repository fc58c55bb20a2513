//! The trace store: reading OTLP, the index of a log, sealing, and looking things up in both tiers.
//!
//! The spans are those of the engine for jobs that run once, of five kinds and two queues, two in a
//! hundred failed, with times that vary; and spans of others, with attributes as OpenTelemetry's
//! HTTP and database conventions ask for them.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptOutcome, Clock, Job, JobId, JobState, NewJob, SpanId, SystemClock, SystemRandom,
    Timestamp, TraceId, WorkerId,
};
use longshore_instrument::build::{attempt_spans, enqueue_span};
use longshore_instrument::facts::{AttemptFacts, EnqueueFacts};
use longshore_instrument::{Attribute, RootDecision, Span, SpanKind, relation};
use longshore_spanlog::{Class, FrameHeader, Writer, WriterOptions};
use longshore_telemetry::encode::{Resource, request};
use longshore_trace::otlp::{self, Decoder};
use longshore_trace::query;
use longshore_tracestore::{TraceStore, TraceStoreOptions, Upkeep};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::Folder;
use crate::allocator::bytes_in_use;
use crate::measure::{Samples, Scale, Table};

/// Spans of a frame.
const BATCH: usize = 512;
const SERVICE: &str = "bench";

pub fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let jobs = 100_000 / 5 * scale.rounds(5);
    let engine = Corpus::engine(jobs);
    let others = Corpus::others(jobs / 2);
    let mut table = Table::new(
        "Reading OTLP, million spans a second on one core",
        &[
            "spans",
            "bytes a span",
            "walk",
            "walk and decode",
            "prost, for comparison",
        ],
    );
    for corpus in [&engine, &others] {
        table.row(corpus.read_rates());
    }
    table.print();
    let mut table = Table::new(
        "The trace store",
        &[
            "spans",
            "traces",
            "write log, k spans/s",
            "index it, k spans/s",
            "index, bytes a trace",
            "log, bytes a span",
            "seal, k spans/s",
            "sealed, bytes a span",
        ],
    );
    let mut looks = Table::new(
        "Looking things up, milliseconds, median and 99th percentile",
        &[
            "spans",
            "tier",
            "trace by id",
            "newest 100",
            "errors, 100",
            "rare value of an attribute, all",
        ],
    );
    for corpus in [&engine, &others] {
        let path = folder.fresh().with_extension("log");
        corpus.store_rows(&path, &mut table, &mut looks)?;
        std::fs::remove_dir_all(&path)?;
    }
    table.print();
    looks.print();
    Ok(())
}

struct Corpus {
    name: &'static str,
    frames: Vec<bytes::Bytes>,
    spans: usize,
    traces: Vec<TraceId>,
}

impl Corpus {
    fn of(name: &'static str, spans: Vec<Span>) -> Self {
        let resource = Resource::new([("service.name".to_owned(), SERVICE.to_owned())]);
        let mut traces: Vec<TraceId> = spans.iter().map(|span| span.trace_id).collect();
        traces.sort_unstable();
        traces.dedup();
        Self {
            name,
            frames: spans
                .chunks(BATCH)
                .map(|some| request(&resource, some))
                .collect(),
            spans: spans.len(),
            traces,
        }
    }

    fn engine(jobs: usize) -> Self {
        let worker = WorkerId::new("longshore-bench");
        let begin = SystemClock::new().now();
        let spans = (0..jobs).flat_map(|number| job(number, begin, &worker));
        Self::of("of the engine", spans.collect())
    }

    /// Traces of a request with a query and a call.
    fn others(requests: usize) -> Self {
        let begin = SystemClock::new().now();
        let template = attempt(
            &Job::from_new(new_job(0, begin), begin),
            begin,
            &WorkerId::new("x"),
            0,
        );
        let plain = template
            .into_iter()
            .next()
            .unwrap_or_else(|| unreachable!());
        let spans = (0..requests).flat_map(|number| request_spans(&plain, number, begin));
        Self::of("of others", spans.collect())
    }

    fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }

    fn read_rates(&self) -> Vec<String> {
        let some = &self.frames[..self.frames.len().min(200)];
        let spans = some.len() * BATCH;
        let rate = |read: &mut dyn FnMut(&[u8]) -> usize| -> Samples {
            let one = |_| {
                let started = Instant::now();
                let read: usize = some
                    .iter()
                    .map(|frame| black_box(read(black_box(frame))))
                    .sum();
                assert!(read + BATCH > spans);
                spans as f64 / started.elapsed().as_secs_f64() / 1e6
            };
            (0..9).map(one).collect()
        };
        let mut decoder = Decoder::default();
        vec![
            self.name.to_owned(),
            (self.bytes() / self.spans).to_string(),
            rate(&mut |frame| otlp::spans(frame).filter(Result::is_ok).count()).cell(2),
            rate(&mut |frame| decoder.decode(frame).spans.len()).cell(2),
            rate(&mut |frame| {
                let request = ExportTraceServiceRequest::decode(frame).unwrap_or_default();
                let scopes = request
                    .resource_spans
                    .iter()
                    .flat_map(|spans| &spans.scope_spans);
                scopes.map(|scope| scope.spans.len()).sum()
            })
            .cell(2),
        ]
    }

    fn write(&self, path: &Path) -> Result<f64> {
        let clock = Arc::new(SystemClock::new());
        let at = clock.now();
        let started = Instant::now();
        let mut writer = Writer::open(path, WriterOptions::default(), clock, &SystemRandom)?;
        for frame in &self.frames {
            let header = FrameHeader::of_spans(Class::Base, BATCH as u32, at, at);
            writer.append(&header, frame)?;
        }
        drop(writer);
        Ok(started.elapsed().as_secs_f64())
    }

    fn store_rows(&self, path: &PathBuf, table: &mut Table, looks: &mut Table) -> Result<()> {
        let thousands = |seconds: f64| format!("{:.0}", self.spans as f64 / seconds / 1e3);
        let written = self.write(path)?;
        let before = bytes_in_use();
        let store = TraceStore::open(TraceStoreOptions {
            max_indexed_spans: usize::MAX / 2,
            ..TraceStoreOptions::new(path)
        })?;
        let started = Instant::now();
        store.refresh_all()?;
        let indexed = started.elapsed().as_secs_f64();
        let memory = (bytes_in_use() - before) / self.traces.len();
        let hot = self.look(&store, "log")?;
        let upkeep = Upkeep {
            min_age: Duration::ZERO,
            min_bytes: 0,
            local_flags: None,
            ..Upkeep::default()
        };
        let started = Instant::now();
        let (mut spans, mut bytes) = (0, 0);
        loop {
            let kept = store.upkeep(&upkeep, SystemClock::new().now())?;
            spans += kept.sealed_spans;
            bytes += kept.sealed_bytes;
            if !kept.more {
                break;
            }
        }
        let sealed = started.elapsed().as_secs_f64();
        anyhow::ensure!(
            spans == self.spans as u64,
            "{spans} of {} spans were sealed",
            self.spans
        );
        table.row(vec![
            format!("{} {}", self.spans, self.name),
            self.traces.len().to_string(),
            thousands(written),
            thousands(indexed),
            memory.to_string(),
            (self.bytes() / self.spans).to_string(),
            thousands(sealed),
            format!("{:.1}", bytes as f64 / spans as f64),
        ]);
        looks.row(hot);
        looks.row(self.look(&store, "sealed")?);
        Ok(())
    }

    fn look(&self, store: &TraceStore, tier: &str) -> Result<Vec<String>> {
        let mut number = 7_usize;
        let by_id = times(300, || {
            number = (number * 31 + 17) % self.traces.len();
            let spans = store.trace(self.traces[number])?;
            spans.map(|spans| spans.len()).context("the trace is there")
        })?;
        let search = |text: &str, limit: usize, rounds: usize, all: bool| {
            let query = query::parse(text, SystemClock::new().now())?;
            times(rounds, || {
                let (mut found, mut cursor) = (0, None);
                loop {
                    let page = store.search(&query, limit, cursor.as_deref())?;
                    found += page.traces.len();
                    cursor = page.next_cursor;
                    if cursor.is_none() || !all && found >= limit {
                        return Ok(found);
                    }
                }
            })
        };
        Ok(vec![
            format!("{} {}", self.spans, self.name),
            tier.to_owned(),
            by_id,
            search("", 100, 20, false)?,
            search("error", 100, 20, false)?,
            search("user.id=u-77", 100, 1, true)?,
        ])
    }
}

fn times(rounds: usize, mut what: impl FnMut() -> Result<usize>) -> Result<String> {
    let mut samples = Vec::with_capacity(rounds);
    for _round in 0..rounds {
        let started = Instant::now();
        black_box(what()?);
        samples.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let samples: Samples = samples.into_iter().collect();
    Ok(format!(
        "{:.2} / {:.2}",
        samples.median(),
        samples.quantile(0.99)
    ))
}

/// Numbers that vary, the same in every run.
fn jitter(number: usize, below: u64) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & 0xfff_ffff % below.max(1)
}

fn new_job(number: usize, at: Timestamp) -> NewJob {
    const KINDS: [&str; 5] = ["send_mail", "resize", "order.process", "export", "sync"];
    let id = JobId::generate(at, &SystemRandom);
    let queue = if number % 3 == 0 { "orders" } else { "mail" };
    let kind = KINDS[number % KINDS.len()];
    let queue = queue.parse().expect("a good name");
    let kind = kind.parse().expect("a good name");
    NewJob::new(id, queue, kind, format!("{{\"to\":{number}}}"))
}

fn job(number: usize, begin: Timestamp, worker: &WorkerId) -> Vec<Span> {
    let at = begin.after(Duration::from_micros(
        number as u64 * 900 + jitter(number, 700),
    ));
    let new = new_job(number, at);
    let mut job = Job::from_new(new.clone(), at);
    let trace_id = job.id.derive_trace_id(0, None);
    let span_id = job.id.derive_span_id(0, SpanPart::Enqueue);
    let decision = RootDecision {
        sampled: true,
        threshold: Some(0),
    };
    let root = relation::root(trace_id, span_id, &decision);
    let enqueue = enqueue_span(&EnqueueFacts {
        context: &root,
        parent: None,
        parent_is_remote: false,
        jobs: &[new],
        started_at: at,
    });
    let enqueue = enqueue.map(|span| Span {
        end: at.after(Duration::from_nanos(200_000 + jitter(number, 90_000))),
        ..span
    });
    job.trace.traceparent = Some(root.traceparent());
    job.trace.tracestate = root.trace_state;
    let mut spans: Vec<Span> = enqueue.into_iter().collect();
    spans.extend(attempt(&job, at, worker, number));
    spans
}

fn attempt(job: &Job, at: Timestamp, worker: &WorkerId, number: usize) -> Vec<Span> {
    let mut job = job.clone();
    let later = |micros: u64, salt: usize| {
        at.after(Duration::from_nanos(
            micros * 1_000 + jitter(number + salt, 400_000),
        ))
    };
    let claimed_at = later(2_000, 1);
    job.apply_claim(worker, at.after(Duration::from_secs(30)), claimed_at);
    let decided = RootDecision {
        sampled: true,
        threshold: Some(0),
    };
    let context = relation::attempt_context(&job, claimed_at, |_| decided, |_| ());
    let failed = number % 50 == 1;
    attempt_spans(&AttemptFacts {
        job: &job,
        context: &context,
        worker,
        claimed_at,
        handler: Some((later(3_000, 2), later(9_000, 3))),
        handler_is_live: false,
        settle: Some((later(9_500, 4), later(11_000, 5))),
        ended_at: later(11_500, 6),
        outcome: if failed {
            AttemptOutcome::Retried
        } else {
            AttemptOutcome::Completed
        },
        to_state: if failed {
            JobState::Retryable
        } else {
            JobState::Completed
        },
        error_class: failed.then_some("Timeout"),
        error_message: failed.then_some("the mail server did not answer within 30 seconds"),
        retry_delay: failed.then_some(Duration::from_secs(15)),
        previous: None,
        rebuilt: false,
    })
}

fn request_spans(plain: &Span, number: usize, begin: Timestamp) -> Vec<Span> {
    let at = begin.after(Duration::from_micros(
        number as u64 * 1_700 + jitter(number, 900),
    ));
    let trace_id = TraceId::generate(&SystemRandom);
    let root = SpanId::generate(&SystemRandom);
    let text = |key: &'static str, value: String| Attribute::new(key, value);
    let user = number % 5_000;
    let server = vec![
        text("http.request.method", "GET".to_owned()),
        text("http.route", "/orders/{id}".to_owned()),
        text("url.path", format!("/orders/{}", jitter(number, 90_000))),
        text("server.address", "shop.example".to_owned()),
        text(
            "client.address",
            format!("10.0.{}.{}", number % 200, number % 250),
        ),
        text(
            "user_agent.original",
            "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101".to_owned(),
        ),
        text("user.id", format!("u-{user}")),
        Attribute::new("http.response.status_code", 200_i64),
    ];
    let database = vec![
        text("db.system.name", "postgresql".to_owned()),
        text("db.namespace", "shop".to_owned()),
        text(
            "db.query.text",
            "SELECT * FROM orders WHERE id = ?".to_owned(),
        ),
        text("db.operation.name", "SELECT".to_owned()),
        Attribute::new("server.port", 5432_i64),
    ];
    let call = vec![
        text("http.request.method", "POST".to_owned()),
        text(
            "url.full",
            format!("https://pay.example/charges/{}", jitter(number, 1 << 27)),
        ),
        Attribute::new("http.response.status_code", 201_i64),
    ];
    let parts = [
        (
            root,
            None,
            "GET /orders/{id}",
            SpanKind::Server,
            0,
            9_000,
            server,
        ),
        (
            SpanId::generate(&SystemRandom),
            Some(root),
            "SELECT orders",
            SpanKind::Client,
            500,
            2_000,
            database,
        ),
        (
            SpanId::generate(&SystemRandom),
            Some(root),
            "POST",
            SpanKind::Client,
            3_000,
            8_000,
            call,
        ),
    ];
    let span = |(span_id, parent_span_id, name, kind, from, to, attributes): (
        SpanId,
        Option<SpanId>,
        &'static str,
        SpanKind,
        u64,
        u64,
        Vec<Attribute>,
    )| {
        let moment = |micros: u64| {
            at.after(Duration::from_nanos(
                micros * 1_000 + jitter(number + micros as usize, 300_000),
            ))
        };
        Span {
            trace_id,
            span_id,
            parent_span_id,
            name: name.into(),
            kind,
            start: moment(from),
            end: moment(to),
            attributes,
            scope: "shop.http".into(),
            links: Vec::new(),
            events: Vec::new(),
            ..plain.clone()
        }
    };
    parts.into_iter().map(span).collect()
}
