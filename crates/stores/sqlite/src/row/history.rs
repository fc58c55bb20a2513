//! The ended attempts of a job as text: a line each, which is a JSON array.
//!
//! A line is written at every settle and stays for as long as the job, so it says the least that
//! it can: times after the first as differences, and of a trace nothing that can be derived.
//! `[ATTEMPT,CLAIM,DUE,CLAIMED-DUE,ENDED-CLAIMED,"OUTCOME","WORKER",ERROR,"TRACE","SPAN"]`, cut
//! after the last value that is there. ERROR is `["CLASS","MESSAGE"]`; `=` is the trace of the
//! envelope, and the span that is derived from the job's id and the claim. A file may still hold
//! lines of schema versions 1 and 2, which begin `[ATTEMPT,CLAIM,"WORKER",DUE,CLAIMED,ENDED`.

use std::borrow::Cow;
use std::fmt::Write as _;

use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Job, JobId, SpanId, StoreError, Timestamp,
    TraceId, WorkerId,
};
use serde::Deserialize;

use super::envelope::{is_as_quoted, trace_of_parent};
use super::to_json;
use crate::error::corrupt;

/// What is the same as what can be derived.
const DERIVED: &str = "=";
/// Length of most lines.
const USUAL_LENGTH: usize = 128;

type ErrorOfLine<'a> = Option<(Cow<'a, str>, Cow<'a, str>)>;

/// A line as it is written.
#[derive(Deserialize)]
struct Line<'a>(
    u32,
    u32,
    i64,
    i64,
    i64,
    AttemptOutcome,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow, default)] ErrorOfLine<'a>,
    #[serde(borrow, default)] Option<Cow<'a, str>>,
    #[serde(borrow, default)] Option<Cow<'a, str>>,
);

/// A line of schema versions 1 and 2.
#[derive(Deserialize)]
struct OldLine<'a>(
    u32,
    u32,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    i64,
    i64,
    AttemptOutcome,
    #[serde(borrow)] ErrorOfLine<'a>,
    Option<TraceId>,
    Option<SpanId>,
);

/// The ids of an attempt's trace and span as they are written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traced<'a> {
    /// The trace in hexadecimal digits.
    pub(crate) trace: &'a str,
    pub(crate) span: SpanId,
    /// Whether the job's envelope names the same trace.
    pub(crate) is_of_envelope: bool,
}

/// A record as a line; its trace is `traced`.
pub(crate) fn line(
    record: &AttemptRecord,
    id: &JobId,
    traced: Option<Traced<'_>>,
) -> Result<String, StoreError> {
    let mut line = String::with_capacity(USUAL_LENGTH);
    let difference =
        |from: Timestamp, to: Timestamp| to.unix_nanos().wrapping_sub(from.unix_nanos());
    let _never_fails = write!(
        line,
        "[{},{},{},{},{},\"{}\",",
        record.attempt,
        record.claim,
        record.due_at.unix_nanos(),
        difference(record.due_at, record.claimed_at),
        difference(record.claimed_at, record.ended_at),
        record.outcome.as_str(),
    );
    push_text(&mut line, record.worker.as_str())?;
    match &record.error {
        Some(error) => {
            line.push_str(",[");
            push_text(&mut line, &error.class)?;
            line.push(',');
            push_text(&mut line, &error.message)?;
            line.push(']');
        }
        None if traced.is_some() => line.push_str(",null"),
        None => {}
    }
    if let Some(traced) = traced {
        let trace = match traced.is_of_envelope {
            true => DERIVED,
            false => traced.trace,
        };
        line.push(',');
        push_text(&mut line, trace)?;
        let derived = id.derive_span_id(record.claim, SpanPart::Process);
        let _never_fails = match derived == traced.span {
            true => line.write_str(",\"=\""),
            false => write!(line, ",\"{}\"", traced.span),
        };
    }
    line.push(']');
    Ok(line)
}

fn push_text(line: &mut String, text: &str) -> Result<(), StoreError> {
    if !is_as_quoted(text) {
        line.push_str(&to_json(&text)?);
        return Ok(());
    }
    line.push('"');
    line.push_str(text);
    line.push('"');
    Ok(())
}

/// The records of a job whose envelope has been read.
pub(super) fn read(job: &Job, text: &str) -> Result<Vec<AttemptRecord>, StoreError> {
    text.lines()
        .map(|line| match is_old(line) {
            true => read_old(line),
            false => read_line(job, line),
        })
        .collect()
}

/// Whether the third value is a text: the worker was there.
fn is_old(line: &str) -> bool {
    line.split(',')
        .nth(2)
        .is_some_and(|value| value.starts_with('"'))
}

fn read_line(job: &Job, line: &str) -> Result<AttemptRecord, StoreError> {
    let Line(attempt, claim, due, waited, ran, outcome, worker, error, trace, span) =
        serde_json::from_str(line).map_err(|error| corrupt("attempt", error))?;
    let unreadable = || corrupt("attempt", "its trace cannot be read");
    let trace_id = match trace.as_deref() {
        None => None,
        Some(DERIVED) => {
            let traceparent = job.trace.traceparent.as_deref();
            let trace = traceparent.and_then(trace_of_parent);
            Some(trace.and_then(TraceId::from_hex).ok_or_else(unreadable)?)
        }
        Some(text) => Some(TraceId::from_hex(text).ok_or_else(unreadable)?),
    };
    let span_id = match span.as_deref() {
        None => None,
        Some(DERIVED) => Some(job.id.derive_span_id(claim, SpanPart::Process)),
        Some(text) => Some(SpanId::from_hex(text).ok_or_else(unreadable)?),
    };
    let claimed = due.wrapping_add(waited);
    Ok(AttemptRecord {
        attempt,
        claim,
        worker: WorkerId::new(&worker),
        due_at: Timestamp::from_unix_nanos(due),
        claimed_at: Timestamp::from_unix_nanos(claimed),
        ended_at: Timestamp::from_unix_nanos(claimed.wrapping_add(ran)),
        outcome,
        error: error_of(error),
        trace_id,
        span_id,
    })
}

fn read_old(line: &str) -> Result<AttemptRecord, StoreError> {
    let OldLine(attempt, claim, worker, due, claimed, ended, outcome, error, trace_id, span_id) =
        serde_json::from_str(line).map_err(|error| corrupt("attempt", error))?;
    Ok(AttemptRecord {
        attempt,
        claim,
        worker: WorkerId::new(&worker),
        due_at: Timestamp::from_unix_nanos(due),
        claimed_at: Timestamp::from_unix_nanos(claimed),
        ended_at: Timestamp::from_unix_nanos(ended),
        outcome,
        error: error_of(error),
        trace_id,
        span_id,
    })
}

fn error_of(error: ErrorOfLine<'_>) -> Option<AttemptError> {
    error.map(|(class, text)| AttemptError::new(class.into_owned(), text.into_owned()))
}
