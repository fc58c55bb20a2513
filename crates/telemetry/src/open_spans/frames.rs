//! When what is open is written down, and how much of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_instrument::Span;

use super::{Found, OpenSpans};
use crate::encode::{self, Resource};
use crate::processor::Gate;

/// How often it is looked whether anything has changed.
const LOOK: Duration = Duration::from_secs(1);
/// How often what has not changed is written again: the file that it stands in may be gone.
const REPEAT: Duration = Duration::from_secs(60);
/// Most spans of a frame.
const MAX_SPANS: usize = 1000;
/// Most bytes of a frame, more or less: the head that all spans share is not counted.
const MAX_BYTES: usize = 64 << 10;
/// Bytes a second that frames may take in the long run, so that they do not push out what the log
/// is for; as many as the largest frame at once.
const BYTES_PER_SECOND: f64 = 1024.0;
/// The attribute of the resource that says how many open spans are not in the frame.
const OMITTED: &str = "longshore.open_spans.omitted";

/// Decides when a frame is due and what is in it; for the thread that writes.
#[derive(Debug)]
pub(crate) struct OpenFrames {
    open: Arc<OpenSpans>,
    gate: Arc<Gate>,
    next_look: Duration,
    /// What the last frame said, before it was redacted.
    said: Vec<Span>,
    said_at: Duration,
    /// How many spans there were when a frame of so many bytes had to wait.
    waits: Option<(usize, usize)>,
    /// Bytes that may be written now.
    allowance: f64,
    allowed_at: Duration,
}

/// What is open, as it is written down.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    /// An OTLP `ExportTraceServiceRequest` whose spans have no end.
    pub(crate) body: Bytes,
    pub(crate) spans: usize,
    /// When the first of them began, if there is one.
    pub(crate) first: Option<Timestamp>,
}

impl OpenFrames {
    pub(crate) fn new(open: Arc<OpenSpans>, gate: Arc<Gate>) -> Self {
        Self {
            open,
            gate,
            next_look: Duration::ZERO,
            said: Vec::new(),
            said_at: Duration::ZERO,
            waits: None,
            allowance: MAX_BYTES as f64,
            allowed_at: Duration::ZERO,
        }
    }

    /// There is a log to write them to.
    pub(crate) fn switch_on(&self) {
        self.open.switch_on();
    }

    /// The frame that is due, if one is.
    pub(crate) fn due(&mut self, now: Duration, resource: &Resource) -> Option<OpenFrame> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let Found { mut spans, missed } = self.open.find();
        let beyond = spans.len().saturating_sub(MAX_SPANS);
        spans.truncate(MAX_SPANS);
        let is_repeated = !spans.is_empty() && now >= self.said_at + REPEAT;
        if spans == self.said && !is_repeated {
            return None;
        }
        self.refill(now);
        if self.has_to_wait(spans.len()) {
            return None;
        }
        let frame = self.frame(&spans, beyond + missed, resource);
        // That nothing is open any more is little, and never waits.
        if !self.takes(frame.body.len()) && !spans.is_empty() {
            self.waits = Some((spans.len(), frame.body.len()));
            return None;
        }
        self.waits = None;
        self.said = spans;
        self.said_at = now;
        Some(frame)
    }

    /// What is said when nobody will say more.
    pub(crate) fn last(&mut self, resource: &Resource) -> Option<OpenFrame> {
        let said = std::mem::take(&mut self.said);
        (!said.is_empty()).then(|| self.frame(&[], 0, resource))
    }

    fn frame(&self, spans: &[Span], omitted: usize, resource: &Resource) -> OpenFrame {
        let mut spans = spans.to_vec();
        for span in &mut spans {
            self.gate.pass(span);
        }
        let before = spans.len();
        let mut room = MAX_BYTES;
        spans.retain(|span| {
            let bytes = encode::length(span);
            let fits = bytes <= room;
            room -= if fits { bytes } else { 0 };
            fits
        });
        let omitted = omitted + before - spans.len();
        let body = match omitted {
            0 => encode::request(resource, &spans),
            omitted => encode::request(&resource.with_count(OMITTED, omitted), &spans),
        };
        OpenFrame {
            body,
            spans: spans.len(),
            first: spans.iter().map(|span| span.start).min(),
        }
    }

    /// Whether a frame of so many spans would have to wait, as far as the last one that had to tells:
    /// to find that out again each time would cost as much as writing it.
    fn has_to_wait(&self, spans: usize) -> bool {
        self.waits
            .is_some_and(|(before, bytes)| spans >= before && !self.has_room(bytes))
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.allowed_at).as_secs_f64();
        self.allowed_at = now;
        self.allowance = (self.allowance + passed * BYTES_PER_SECOND).min(MAX_BYTES as f64);
    }

    fn has_room(&self, bytes: usize) -> bool {
        // The head of a frame comes on top of the most that its spans may take.
        self.allowance >= bytes.min(MAX_BYTES) as f64
    }

    /// Whether so many bytes may be written now. They count as written if so.
    fn takes(&mut self, bytes: usize) -> bool {
        let takes = self.has_room(bytes);
        if takes {
            self.allowance -= bytes as f64;
        }
        takes
    }
}
