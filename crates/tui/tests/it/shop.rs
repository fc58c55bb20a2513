//! A small shop: its spans, as the engine writes them, and its jobs.

mod waiting;

use std::sync::Arc;
use std::time::Duration;

use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Job, JobId, JobState, Kind, NewJob, QueueName,
    SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState, WorkerId,
};
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    Attribute, Dropped, Resource, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};

pub(crate) use waiting::{tell_of_waiting, waiting_label};

/// What the shop's clock says: 2026-05-01T08:30:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_millis(1_777_624_200_000);

/// So many milliseconds ago.
pub(crate) fn ago(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOW.unix_millis() - millis)
}

fn after(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_unix_nanos(at.unix_nanos() + micros * 1_000)
}

/// A job whose spans are made one by one.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) id: &'static str,
    queue: &'static str,
    kind: &'static str,
    /// The number of its trace.
    trace: u128,
    /// When it was enqueued, in milliseconds before now.
    age: i64,
}

/// Failed for good: the payment timed out twice.
pub(crate) const CHARGE: Subject = Subject {
    id: "0196-charge-7341",
    queue: "orders",
    kind: "charge",
    trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
    age: 3_120_000,
};

/// Runs, and is stuck in a request to the carrier.
pub(crate) const STUCK: Subject = Subject {
    id: "0196-ship-7355",
    queue: "orders",
    kind: "ship",
    trace: 0x7d1c_0af1_25be_4ca1_9cf0_1d0c_6a5e_9b02,
    age: 1_512_000,
};

/// Reads its rows one by one; its trace's root never came.
pub(crate) const IMPORT: Subject = Subject {
    id: "0196-import-12",
    queue: "imports",
    kind: "catalogue",
    trace: 0x00f0_67aa_0ba9_02b7_51ce_33a1_4d02_77fe,
    age: 300_000,
};

impl Subject {
    pub(crate) fn trace_id(self) -> TraceId {
        TraceId::from_u128(self.trace)
    }

    /// A moment, in microseconds after it was enqueued.
    fn at(self, micros: i64) -> Timestamp {
        after(ago(self.age), micros)
    }

    /// A span of the engine.
    fn span(
        self,
        id: u64,
        parent: Option<u64>,
        name: &'static str,
        (from, to): (i64, i64),
    ) -> Span {
        Span {
            trace_id: self.trace_id(),
            span_id: SpanId::from_u64(id),
            parent_span_id: parent.map(SpanId::from_u64),
            parent_is_remote: false,
            flags: TraceFlags::default(),
            trace_state: TraceState::EMPTY,
            name: name.into(),
            kind: SpanKind::Internal,
            start: self.at(from),
            end: self.at(to),
            attributes: vec![
                Attribute::new(key::QUEUE, self.queue),
                Attribute::new(key::JOB_ID, self.id),
                Attribute::new(key::KIND, self.kind),
            ],
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
            scope: Span::ENGINE_SCOPE.into(),
            dropped: Dropped::default(),
            resource: Some(service("worker")),
        }
    }

    /// A span of the shop's own code.
    fn own(
        self,
        id: u64,
        parent: u64,
        name: &'static str,
        times: (i64, i64),
        of: &'static str,
    ) -> Span {
        let mut span = self.span(id, Some(parent), name, times);
        span.kind = SpanKind::Client;
        span.scope = "shop".into();
        span.attributes = Vec::new();
        span.resource = Some(service(of));
        span
    }

    /// The wait for a claim.
    fn wait(self, claim: u32, times: (i64, i64)) -> Span {
        let id = self.span_of(claim, SpanPart::Dequeue);
        self.span(id, Some(1), name::DEQUEUE, times)
    }

    fn attempt(self, number: u32, times: (i64, i64)) -> Span {
        let id = self.span_of(number, SpanPart::Process);
        let mut span = self.span(id, Some(1), name::PROCESS, times);
        span.kind = SpanKind::Consumer;
        span.attributes.push(Attribute::new(key::ATTEMPT, number));
        span.attributes
            .push(Attribute::new(key::OUTCOME, "completed"));
        span.attributes.push(Attribute::new(key::WORKER, "w-7c1e"));
        span
    }

    pub(crate) fn span_of(self, claim: u32, part: SpanPart) -> u64 {
        JobId::lossy(self.id).derive_span_id(claim, part).to_u64()
    }

    /// The record of the job.
    pub(crate) fn record(self, state: JobState, attempts: &[(i64, i64, i64, &'static str)]) -> Job {
        let mut new = NewJob::new(
            JobId::lossy(self.id),
            QueueName::lossy(self.queue),
            Kind::lossy(self.kind),
            r#"{"order":7341,"items":[{"sku":"A-1","n":2},{"sku":"B-9","n":1}],"note":"ring twice"}"#,
        );
        let context = SpanContext::new(self.trace_id(), SpanId::from_u64(1), TraceFlags::default());
        new.trace.traceparent = Some(context.traceparent());
        new.tags = vec!["priority".to_owned(), "eu".to_owned()];
        new.metadata.insert("order".to_owned(), "7341".to_owned());
        new.tenant_id = Some("t-17".to_owned());
        new.max_attempts = 8;
        let mut job = Job::from_new(new, self.at(900));
        job.state = state;
        for (number, (due, from, to, error)) in (1..).zip(attempts) {
            let failed = !error.is_empty();
            job.history.push(AttemptRecord {
                attempt: number,
                claim: number,
                worker: WorkerId::new("w-7c1e"),
                due_at: self.at(*due),
                claimed_at: self.at(*from),
                ended_at: self.at(*to),
                outcome: if failed {
                    AttemptOutcome::Retried
                } else {
                    AttemptOutcome::Completed
                },
                error: failed.then(|| {
                    let text = "payments did not answer within 300 ms: POST /v1/charges";
                    AttemptError::new(*error, text)
                }),
                trace_id: Some(self.trace_id()),
                span_id: Some(SpanId::from_u64(self.span_of(number, SpanPart::Process))),
            });
            job.attempt = number;
            job.claim = number;
        }
        job
    }
}

fn service(name: &'static str) -> Arc<Resource> {
    let attributes = vec![
        Attribute::new("service.name", name),
        Attribute::new("service.version", "2.4.1"),
        Attribute::new("host.name", "node-3"),
    ];
    Arc::new(Resource { attributes })
}

fn failed(mut span: Span, class: &'static str, text: &'static str) -> Span {
    span.status = SpanStatus::Error(text.into());
    for attribute in &mut span.attributes {
        if attribute.key == key::OUTCOME {
            attribute.value = "discarded".into();
        }
    }
    span.attributes.push(Attribute::new(key::ERROR_TYPE, class));
    span
}

/// The charge: 48 minutes in the queue, then two attempts that failed.
pub(crate) fn charge() -> Vec<Span> {
    let wait = 2_882_000_000;
    let (first, second) = (wait, wait + 15_320_000);
    let (one, two) = (
        CHARGE.span_of(1, SpanPart::Process),
        CHARGE.span_of(2, SpanPart::Process),
    );
    let timeout = "payments did not answer within 300 ms: POST /v1/charges";
    let mut request = CHARGE.own(
        8,
        7,
        "POST payments/charges",
        (first + 6_000, first + 306_000),
        "payments",
    );
    request = failed(request, "timeout", timeout);
    request.events.push(SpanEvent {
        name: "exception".into(),
        at: CHARGE.at(first + 306_000),
        attributes: vec![
            Attribute::new("exception.type", "shop::payments::Timeout"),
            Attribute::new("exception.message", timeout),
            Attribute::new(
                "exception.stacktrace",
                "shop::payments::charge\n    at src/payments/client.rs:118:9\nshop::orders::handlers::charge::{{closure}}\n    at src/orders/handlers.rs:57:31\n<tokio::future::poll_fn::PollFn<F> as core::future::future::Future>::poll\n    at /usr/local/cargo/registry/src/tokio-1.54.0/src/future/poll_fn.rs:151:9",
            ),
        ],
    });
    let mut last = failed(
        CHARGE.attempt(2, (second, second + 1_490_000)),
        "payment_declined",
        "card declined",
    );
    last.events.push(SpanEvent {
        name: longshore_instrument::table::EVENT_JOB_FAILED.into(),
        at: CHARGE.at(second + 1_486_200),
        attributes: vec![
            Attribute::new(key::EXCEPTION_TYPE, "payment_declined"),
            Attribute::new(key::EXCEPTION_MESSAGE, "the bank said: do not honour (51)"),
            Attribute::new(
                "exception.stacktrace",
                "shop::orders::charge\n    at src/orders/charge.rs:57:31",
            ),
            Attribute::new(key::FAILURE_REASON, "error"),
        ],
    });
    last.links.push(SpanLink {
        context: SpanContext::new(
            CHARGE.trace_id(),
            SpanId::from_u64(one),
            TraceFlags::default(),
        ),
        attributes: vec![Attribute::new(key::LINK, "previous")],
    });
    let mut spans = vec![
        {
            let mut root = CHARGE.own(2, 0, "POST /orders", (-7_900, 1_400), "web");
            root.parent_span_id = None;
            root.kind = SpanKind::Server;
            root.attributes = vec![
                Attribute::new("http.request.method", "POST"),
                Attribute::new("http.route", "/orders"),
                Attribute::new("http.response.status_code", 202_i64),
                Attribute::new(
                    "url.full",
                    "https://shop.example/orders?basket=[REDACTED:url]",
                ),
            ];
            root
        },
        CHARGE.span(1, Some(2), name::ENQUEUE, (0, 900)),
        CHARGE.wait(1, (900, wait)),
        failed(
            CHARGE.attempt(1, (first, first + 310_000)),
            "timeout",
            timeout,
        ),
        failed(
            CHARGE.span(7, Some(one), name::HANDLER, (first + 200, first + 306_400)),
            "timeout",
            timeout,
        ),
        CHARGE.own(
            9,
            7,
            "SELECT orders",
            (first + 400, first + 5_100),
            "worker",
        ),
        request,
        CHARGE.span(
            10,
            Some(one),
            name::SETTLE,
            (first + 306_500, first + 310_000),
        ),
        CHARGE.wait(2, (second - 10_000, second)),
        last,
        failed(
            CHARGE.span(
                13,
                Some(two),
                name::HANDLER,
                (second + 200, second + 1_486_000),
            ),
            "payment_declined",
            "card declined",
        ),
        failed(
            CHARGE.own(
                15,
                13,
                "POST payments/charges",
                (second + 70_000, second + 1_480_000),
                "payments",
            ),
            "payment_declined",
            "card declined",
        ),
        CHARGE.span(
            16,
            Some(two),
            name::SETTLE,
            (second + 1_486_500, second + 1_490_000),
        ),
    ];
    for row in 0_i64..24 {
        let from = second + 1_000 + row * 2_800;
        let id = 100 + row.unsigned_abs();
        spans.push(CHARGE.own(
            id,
            13,
            "SELECT order_items",
            (from, from + 400 + row * 80),
            "worker",
        ));
    }
    spans
}

/// A label that the charge had printed: a job of its own, in the same trace.
pub(crate) const LABEL: Subject = Subject {
    id: "0196-label-9",
    queue: "emails",
    kind: "label",
    ..CHARGE
};

/// The spans of the label.
pub(crate) fn label() -> Vec<Span> {
    let begin = 2_882_000_000 + 15_320_000 + 1_481_000;
    let mut enqueue = LABEL.span(201, Some(13), name::ENQUEUE, (begin, begin + 900));
    enqueue.kind = SpanKind::Producer;
    let id = LABEL.span_of(1, SpanPart::Process);
    let mut attempt = LABEL.attempt(1, (begin + 2_000, begin + 9_000));
    attempt.parent_span_id = Some(SpanId::from_u64(201));
    let handler = LABEL.span(203, Some(id), name::HANDLER, (begin + 2_200, begin + 8_000));
    vec![enqueue, attempt, handler]
}

/// The record of the label.
pub(crate) fn label_record() -> Job {
    LABEL.record(JobState::Completed, &[])
}

/// The record of the charge.
pub(crate) fn charge_record() -> Job {
    let wait = 2_882_000_000;
    let second = wait + 15_320_000;
    let attempts = [
        (900, wait, wait + 310_000, "timeout"),
        (
            second - 10_000,
            second,
            second + 1_490_000,
            "payment_declined",
        ),
    ];
    let mut job = CHARGE.record(JobState::Discarded, &attempts);
    job.finished_at = Some(CHARGE.at(second + 1_490_000));
    if let Some(last) = job.history.last_mut() {
        last.outcome = AttemptOutcome::Discarded;
    }
    job
}

/// The stuck order: its attempt and a request of it have not ended.
pub(crate) fn stuck() -> Vec<Span> {
    let id = STUCK.span_of(1, SpanPart::Process);
    let open = |mut span: Span| {
        span.end = Timestamp::UNIX_EPOCH;
        span
    };
    vec![
        STUCK.span(1, None, name::ENQUEUE, (0, 900)),
        STUCK.wait(1, (900, 12_000_000)),
        open(STUCK.attempt(1, (12_000_000, 12_000_000))),
        open(STUCK.span(7, Some(id), name::HANDLER, (12_000_300, 12_000_300))),
        STUCK.own(9, 7, "SELECT orders", (12_001_000, 12_006_000), "worker"),
        open(STUCK.own(
            10,
            7,
            "POST carrier/labels",
            (12_010_000, 12_010_000),
            "worker",
        )),
    ]
}

/// The record of the stuck order.
pub(crate) fn stuck_record() -> Job {
    let mut job = STUCK.record(JobState::Running, &[]);
    job.attempt = 1;
    job.claim = 1;
    job.worker = Some(WorkerId::new("w-7c1e"));
    job.claimed_at = Some(STUCK.at(12_000_000));
    job.lease_expires_at = Some(NOW.after(Duration::from_secs(22)));
    job.progress = Some(40);
    job
}

/// The import: 512 inserts, and a parent that never came.
pub(crate) fn import() -> Vec<Span> {
    let id = IMPORT.span_of(1, SpanPart::Process);
    let end = 4_000_000;
    let mut spans = vec![
        IMPORT.span(1, Some(0x00f0_67aa), name::ENQUEUE, (0, 900)),
        IMPORT.wait(1, (900, 22_400)),
        IMPORT.attempt(1, (22_400, end)),
        IMPORT.span(7, Some(id), name::HANDLER, (22_600, end - 4_000)),
        IMPORT.span(8, Some(id), name::SETTLE, (end - 3_900, end)),
    ];
    for row in 0_i64..512 {
        let from = 30_000 + row * 7_700;
        let slow = if row == 300 { 31_000 } else { 0 };
        let id = 1_000 + row.unsigned_abs();
        spans.push(IMPORT.own(id, 7, "INSERT items", (from, from + 2_600 + slow), "db"));
    }
    spans
}

/// The record of the import.
pub(crate) fn import_record() -> Job {
    let mut job = IMPORT.record(JobState::Completed, &[(900, 22_400, 4_000_000, "")]);
    job.finished_at = Some(IMPORT.at(4_000_000));
    job
}

/// Mails, each of which went well.
pub(crate) fn mail(number: u32) -> (Vec<Span>, Job) {
    let number = i64::from(number);
    let subject = Subject {
        id: Box::leak(format!("0196-mail-{number:04}").into_boxed_str()),
        queue: "emails",
        kind: if number % 3 == 0 {
            "receipt"
        } else {
            "welcome"
        },
        trace: 0xaaaa_0000_0000_4000_8000_0000_0000_0000 + number.unsigned_abs() as u128,
        age: 1_000 + number * 7_000,
    };
    let run = 12_000 + number * 1_300 % 40_000;
    let wait = 4_000 + number * 700 % 9_000;
    let id = subject.span_of(1, SpanPart::Process);
    let spans = vec![
        subject.span(1, None, name::ENQUEUE, (0, 900)),
        subject.wait(1, (900, wait)),
        subject.attempt(1, (wait, wait + run)),
        subject.span(7, Some(id), name::HANDLER, (wait + 200, wait + run - 1_000)),
        subject.span(8, Some(id), name::SETTLE, (wait + run - 900, wait + run)),
    ];
    let mut job = subject.record(JobState::Completed, &[(900, wait, wait + run, "")]);
    job.finished_at = Some(subject.at(wait + run));
    (spans, job)
}
