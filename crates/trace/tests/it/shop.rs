//! The spans of a small shop, as the engine writes them.

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, Dropped, Span, SpanKind, SpanLink, SpanStatus};

/// 2026-05-01T08:30:00Z.
const DAY: i64 = 1_777_624_200_000_000;

/// A moment, in microseconds after the shop opened.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_nanos((DAY + micros) * 1_000)
}

/// A span without attributes.
pub(crate) fn span(id: u64, parent: Option<u64>, name: &str, from: i64, to: i64) -> Span {
    Span {
        trace_id: TraceId::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        span_id: SpanId::from_u64(id),
        parent_span_id: parent.map(SpanId::from_u64),
        parent_is_remote: false,
        flags: TraceFlags::default(),
        trace_state: TraceState::EMPTY,
        name: name.to_owned().into(),
        kind: SpanKind::Internal,
        start: at(from),
        end: at(to),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: Span::ENGINE_SCOPE.into(),
        dropped: Dropped::default(),
        resource: None,
    }
}

/// A job whose spans are asked for one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) id: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) queue: &'static str,
}

pub(crate) const ORDER: Job = Job {
    id: "0196-order",
    kind: "order.process",
    queue: "orders",
};

pub(crate) const MAIL: Job = Job {
    id: "0196-mail",
    kind: "email.send",
    queue: "mail",
};

impl Job {
    pub(crate) fn span(self, id: u64, parent: Option<u64>, name: &str, from: i64, to: i64) -> Span {
        let mut span = span(id, parent, name, from, to);
        span.attributes = vec![
            Attribute::new(key::QUEUE, self.queue),
            Attribute::new(key::JOB_ID, self.id),
            Attribute::new(key::KIND, self.kind),
        ];
        span
    }

    pub(crate) fn attempt(
        self,
        id: u64,
        parent: Option<u64>,
        number: u32,
        from: i64,
        to: i64,
    ) -> Span {
        let mut span = self.span(id, parent, name::PROCESS, from, to);
        span.attributes.push(Attribute::new(key::ATTEMPT, number));
        span.attributes
            .push(Attribute::new(key::OUTCOME, "completed"));
        span
    }
}

/// Marks a span as failed.
pub(crate) fn failed(mut span: Span, class: &'static str) -> Span {
    span.status = SpanStatus::Error(class.into());
    for attribute in &mut span.attributes {
        if attribute.key == key::OUTCOME {
            attribute.value = "retried".into();
        }
    }
    span.attributes.push(Attribute::new(key::ERROR_TYPE, class));
    span
}

/// Moves a span to the trace of this number.
pub(crate) fn in_trace(mut span: Span, trace: u128) -> Span {
    span.trace_id = TraceId::from_u128(trace);
    span
}

/// A link to a span, for this reason.
pub(crate) fn link(to: &Span, why: &'static str) -> SpanLink {
    SpanLink {
        context: SpanContext::new(to.trace_id, to.span_id, TraceFlags::default()),
        attributes: vec![Attribute::new(key::LINK, why)],
    }
}

/// An order whose payment failed once and whose second attempt sent a mail.
pub(crate) fn retried_order() -> Vec<Span> {
    vec![
        span(0xa0, None, "POST /orders", 0, 9_400),
        ORDER.span(0xa1, Some(0xa0), name::ENQUEUE, 7_900, 9_100),
        ORDER.span(0xa2, Some(0xa1), name::DEQUEUE, 9_100, 61_300),
        failed(
            ORDER.attempt(0xa3, Some(0xa1), 1, 61_300, 371_500),
            "payment_timeout",
        ),
        failed(
            ORDER.span(0xa4, Some(0xa3), name::HANDLER, 61_500, 367_200),
            "payment_timeout",
        ),
        span(0xa5, Some(0xa4), "SELECT orders", 62_100, 66_800),
        failed(
            span(0xa6, Some(0xa4), "POST payments/charge", 67_000, 367_100),
            "timeout",
        ),
        ORDER.span(0xa7, Some(0xa3), name::SETTLE, 367_300, 371_500),
        ORDER.span(0xb2, Some(0xa1), name::DEQUEUE, 15_371_500, 15_402_700),
        ORDER.attempt(0xb3, Some(0xa1), 2, 15_402_700, 15_654_900),
        ORDER.span(0xb4, Some(0xb3), name::HANDLER, 15_402_900, 15_651_400),
        span(0xb5, Some(0xb4), "SELECT orders", 15_403_500, 15_407_200),
        span(
            0xb6,
            Some(0xb4),
            "POST payments/charge",
            15_407_400,
            15_589_000,
        ),
        MAIL.span(0xc1, Some(0xb4), name::ENQUEUE, 15_590_000, 15_591_200),
        MAIL.span(0xc2, Some(0xc1), name::DEQUEUE, 15_591_200, 15_633_000),
        MAIL.attempt(0xc3, Some(0xc1), 1, 15_633_000, 15_731_000),
        MAIL.span(0xc4, Some(0xc3), name::HANDLER, 15_633_100, 15_727_500),
        MAIL.span(0xc5, Some(0xc3), name::SETTLE, 15_727_600, 15_731_000),
        ORDER.span(0xb7, Some(0xb3), name::SETTLE, 15_651_500, 15_654_900),
    ]
}

/// An import that reads many rows, in a trace whose root was lost.
pub(crate) fn import() -> Vec<Span> {
    let job = Job {
        id: "imp",
        kind: "catalogue.import",
        queue: "imports",
    };
    let mut spans = vec![
        job.span(1, Some(0x00f0_67aa_0ba9_02b7), name::ENQUEUE, 0, 900),
        job.span(2, Some(1), name::DEQUEUE, 900, 2_400),
        job.attempt(3, Some(1), 1, 2_400, 98_000),
        job.span(4, Some(3), name::HANDLER, 2_500, 96_000),
        job.span(5, Some(3), name::SETTLE, 96_200, 98_000),
    ];
    for row in 0_i64..12 {
        let from = 4_000 + row * 7_000;
        let id = 100 + row.unsigned_abs();
        spans.push(span(id, Some(4), "INSERT items", from, from + 2_600));
    }
    spans
}

/// An order whose first five attempts failed, each further from the last than the one before.
pub(crate) fn backing_off() -> Vec<Span> {
    let mut spans = vec![ORDER.span(1, None, name::ENQUEUE, 0, 900)];
    let (mut now, mut id) = (900, 10);
    for number in 1..=6 {
        let (claimed, ended) = (now + 4_000, now + 124_000);
        let attempt = ORDER.attempt(id + 1, Some(1), number, claimed, ended);
        spans.push(ORDER.span(id, Some(1), name::DEQUEUE, now, claimed));
        spans.push(if number < 6 {
            failed(attempt, "payment_timeout")
        } else {
            attempt
        });
        now = ended + 1_000_000 * 3_i64.pow(number);
        id += 10;
    }
    spans
}
