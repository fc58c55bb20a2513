//! Folders, logs and spans of tests.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::{
    Random, SpanContext, SpanId, SystemRandom, Timestamp, TraceFlags, TraceId, TraceState,
};
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use longshore_spanlog::{Class, Compression, FrameHeader, Kind, Position, Writer, WriterOptions};
use longshore_telemetry::encode::{self, Resource};
use longshore_testkit::ManualClock;
use longshore_tracestore::{TraceStore, TraceStoreOptions};

/// A folder that is gone when the test is over.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = SystemRandom.next_u64();
        let path = std::env::temp_dir().join(format!("longshore-tracestore-{number:016x}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A store that knows all that is there.
    pub(crate) fn store(&self) -> TraceStore {
        let store = TraceStore::open(TraceStoreOptions::new(&self.0)).unwrap();
        store.refresh_all().unwrap();
        store
    }

    pub(crate) fn log(&self) -> Log {
        self.log_of("shop")
    }

    pub(crate) fn log_of(&self, service: &str) -> Log {
        log_in(&self.0, service)
    }

    /// What a crash at this moment would leave: all files, and no locks.
    pub(crate) fn crashed(&self) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
            }
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// The log of a process in a folder.
pub(crate) fn log_in(folder: &Path, service: &str) -> Log {
    log_of(folder, service, ManualClock::default())
}

/// The log of a process in a folder that begins at this moment.
pub(crate) fn log_at(folder: &Path, at: Timestamp) -> Log {
    log_of(folder, "shop", ManualClock::at(at))
}

fn log_of(folder: &Path, service: &str, clock: ManualClock) -> Log {
    let clock = Arc::new(clock);
    let writer = Writer::open(folder, WriterOptions::default(), clock, &SystemRandom).unwrap();
    let service = ("service.name".to_owned(), service.to_owned());
    Log {
        writer,
        resource: Resource::new([service]),
    }
}

/// The log of a process.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) writer: Writer,
    resource: Resource,
}

impl Log {
    pub(crate) fn append(&mut self, class: Class, spans: &[Span]) -> Position {
        self.write(class, Kind::SPANS, 0, &[], spans)
    }

    pub(crate) fn hold(&mut self, number: u64, spans: &[Span]) -> Position {
        self.write(Class::Kept, Kind::SPANS, 1, &number.to_le_bytes(), spans)
    }

    pub(crate) fn release(&mut self, number: u64, spans: &[Span]) -> Position {
        self.write(Class::Kept, Kind::SPANS, 2, &number.to_le_bytes(), spans)
    }

    pub(crate) fn open(&mut self, spans: &[Span]) -> Position {
        self.write(Class::Base, Kind::OPEN, 0x80, &[], spans)
    }

    fn write(
        &mut self,
        class: Class,
        kind: Kind,
        flags: u8,
        before: &[u8],
        spans: &[Span],
    ) -> Position {
        let body = match spans {
            [] => Vec::new(),
            spans => encode::request(&self.resource, spans).to_vec(),
        };
        self.write_body(
            class,
            kind,
            flags,
            &[before, &body].concat(),
            Compression::None,
        )
    }

    pub(crate) fn write_body(
        &mut self,
        class: Class,
        kind: Kind,
        flags: u8,
        body: &[u8],
        compression: Compression,
    ) -> Position {
        let header = FrameHeader {
            kind,
            class,
            compression,
            flags,
            spans: 1,
            first: at(0),
            last: at(0),
        };
        self.writer.append(&header, body).unwrap()
    }

    pub(crate) fn body(&self, spans: &[Span]) -> Vec<u8> {
        encode::request(&self.resource, spans).to_vec()
    }
}

/// A moment, in milliseconds after 2026-05-01T08:30:00Z.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_777_624_200_000 + millis)
}

pub(crate) fn trace(number: u128) -> TraceId {
    TraceId::from_u128(number)
}

pub(crate) fn id(number: u64) -> SpanId {
    SpanId::from_u64(number)
}

/// A span of a trace, from and to so many milliseconds.
pub(crate) fn span(of: u128, number: u64, parent: Option<u64>, from: i64, to: i64) -> Span {
    Span {
        trace_id: trace(of),
        span_id: id(number),
        parent_span_id: parent.map(id),
        parent_is_remote: false,
        flags: TraceFlags::SAMPLED,
        trace_state: TraceState::EMPTY,
        name: "work".into(),
        kind: SpanKind::Internal,
        start: at(from),
        end: at(to),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: "app".into(),
        dropped: Dropped::default(),
        resource: None,
    }
}

/// The spans of a job in a trace: enqueue, wait, attempt.
pub(crate) fn job(of: u128, job: &str, from: i64, failed: bool) -> Vec<Span> {
    let spans = [
        (1, None, name::ENQUEUE, SpanKind::Producer, from, from + 1),
        (
            2,
            Some(1),
            name::DEQUEUE,
            SpanKind::Client,
            from + 1,
            from + 5,
        ),
        (
            3,
            Some(1),
            name::PROCESS,
            SpanKind::Consumer,
            from + 5,
            from + 9,
        ),
    ];
    let spans = spans.map(|(number, parent, name, kind, from, to)| Span {
        name: name.into(),
        kind,
        scope: Span::ENGINE_SCOPE.into(),
        attributes: vec![
            Attribute::new(key::JOB_ID, job.to_owned()),
            Attribute::new(key::QUEUE, "orders"),
            Attribute::new(key::KIND, "order.process"),
            Attribute::new(key::CORRELATION_ID, format!("of {job}")),
            Attribute::new(key::TENANT, "t-17"),
        ],
        ..span(of, number, parent, from, to)
    });
    let mut spans = Vec::from(spans);
    let attempt = &mut spans[2];
    attempt.attributes.push(Attribute::new(key::ATTEMPT, 1_i64));
    let tags = vec![Cow::Borrowed("vip"), Cow::Borrowed("eu")];
    attempt.attributes.push(Attribute {
        key: key::TAGS.into(),
        value: AttributeValue::Strings(tags),
    });
    let outcome = if failed { "retried" } else { "completed" };
    attempt
        .attributes
        .push(Attribute::new(key::OUTCOME, outcome));
    if failed {
        attempt.status = SpanStatus::Error("no".into());
        attempt
            .attributes
            .push(Attribute::new(key::ERROR_TYPE, "Timeout"));
        attempt.events.push(SpanEvent {
            name: "job_failed".into(),
            at: at(from + 9),
            attributes: vec![Attribute::new("exception.message", "no answer")],
        });
    }
    spans
}

/// Lets a span link to another trace.
pub(crate) fn linking(mut span: Span, to: u128) -> Span {
    span.links.push(SpanLink {
        context: SpanContext::new(trace(to), id(1), TraceFlags::SAMPLED),
        attributes: vec![Attribute::new(key::LINK, "enqueue")],
    });
    span
}

/// The ids of spans, sorted.
pub(crate) fn ids(spans: &[Span]) -> Vec<u64> {
    let mut ids: Vec<u64> = spans.iter().map(|span| span.span_id.to_u64()).collect();
    ids.sort_unstable();
    ids
}

/// A Python that has what a test needs, if there is one: the variable names it. Without it the test
/// says so and is skipped, but not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
pub(crate) fn python(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have {variable}");
    if there.is_none() {
        eprintln!("skipped: {variable} does not name a Python that has what it says");
    }
    there
}
