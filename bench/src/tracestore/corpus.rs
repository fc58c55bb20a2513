//! The spans that are measured.
//!
//! Those of the engine are of jobs that run once, of five kinds and two queues, two in a hundred
//! failed, with times that vary; those of others have attributes as OpenTelemetry's HTTP and database
//! conventions ask for them.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptOutcome, Clock, Job, JobId, JobState, NewJob, SpanId, SystemClock, SystemRandom,
    Timestamp, TraceId, WorkerId,
};
use longshore_instrument::build::{attempt_spans, enqueue_span};
use longshore_instrument::facts::{AttemptFacts, EnqueueFacts};
use longshore_instrument::{Attribute, RootDecision, Span, SpanKind, relation};
use longshore_telemetry::encode::{Resource, request};

/// Spans of a frame and of a request, as many as SDKs send.
pub const BATCH: usize = 512;
const SERVICE: &str = "bench";

/// Whose spans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Engine,
    Others,
    /// Of both, five to three.
    Both,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "of the engine",
            Self::Others => "of others",
            Self::Both => "of both",
        }
    }
}

pub struct Corpus {
    pub kind: Kind,
    pub frames: Vec<Bytes>,
    pub spans: usize,
    pub traces: Vec<TraceId>,
}

impl Corpus {
    pub fn of(kind: Kind, about: usize) -> Self {
        let mut making = Making::new(kind, about);
        let frames: Vec<Bytes> = making.by_ref().collect();
        Self {
            kind,
            frames,
            spans: making.spans,
            traces: making.traces,
        }
    }

    pub fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }
}

/// Makes frames one after the other, of about so many spans.
pub struct Making {
    kind: Kind,
    about: usize,
    begin: Timestamp,
    worker: WorkerId,
    resource: Resource,
    plain: Span,
    waiting: Vec<Span>,
    number: usize,
    pub spans: usize,
    pub traces: Vec<TraceId>,
}

impl Making {
    pub fn new(kind: Kind, about: usize) -> Self {
        let begin = SystemClock::new().now();
        let worker = WorkerId::new("longshore-bench");
        let job = Job::from_new(new_job(0, begin), begin);
        let template = attempt(&job, begin, &worker, 0);
        let plain = template.into_iter().next();
        Self {
            kind,
            about,
            begin,
            worker,
            resource: Resource::new([("service.name".to_owned(), SERVICE.to_owned())]),
            plain: plain.unwrap_or_else(|| unreachable!("an attempt has spans")),
            waiting: Vec::new(),
            number: 0,
            spans: 0,
            traces: Vec::new(),
        }
    }

    fn make(&mut self) {
        let mut made = Vec::new();
        if self.kind != Kind::Others {
            made.push(job(self.number, self.begin, &self.worker));
        }
        if self.kind != Kind::Engine {
            made.push(request_spans(&self.plain, self.number, self.begin));
        }
        self.number += 1;
        for spans in made {
            self.spans += spans.len();
            self.traces.extend(spans.first().map(|span| span.trace_id));
            self.waiting.extend(spans);
        }
    }
}

impl Iterator for Making {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.waiting.len() < BATCH && self.spans < self.about {
            self.make();
        }
        if self.waiting.is_empty() {
            return None;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH));
        let some = std::mem::replace(&mut self.waiting, rest);
        Some(request(&self.resource, &some))
    }
}

/// Numbers that vary, the same in every run.
fn jitter(number: usize, below: u64) -> u64 {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 20) & 0xfff_ffff) % below.max(1)
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
        number as u64 * 900 + jitter(number, 700),
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
        text("order.reference", format!("R-{number}")),
        text("order.batch", format!("B-{}", number / 10)),
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
