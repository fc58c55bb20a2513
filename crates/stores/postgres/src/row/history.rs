//! The ended attempts of a job as text: a line each, which is a JSON array.
//!
//! `[ATTEMPT,CLAIM,DUE,CLAIMED-DUE,ENDED-CLAIMED,"OUTCOME","WORKER",ERROR,"TRACE","SPAN"]`, cut
//! after the last value that is there. ERROR is `["CLASS","MESSAGE"]`.
//! The server writes all up to the worker, since it knows that from the row.

use std::borrow::Cow;

use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, SpanId, StoreError, Timestamp, TraceId, WorkerId,
};
use serde::Deserialize;

use super::to_json;
use crate::error::corrupt;

type ErrorOfLine<'a> = Option<(Cow<'a, str>, Cow<'a, str>)>;

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
    #[serde(default)] Option<TraceId>,
    #[serde(default)] Option<SpanId>,
);

/// What follows the worker in the line of an attempt, up to its closing bracket.
pub(crate) fn rest(
    error: Option<&AttemptError>,
    traced: Option<(TraceId, SpanId)>,
) -> Result<String, StoreError> {
    let error = error.map(|error| to_json(&(&error.class, &error.message)));
    let error = error.transpose()?;
    Ok(match (error, traced) {
        (None, None) => String::new(),
        (Some(error), None) => format!(",{error}"),
        (error, Some((trace, span))) => {
            let error = error.as_deref().unwrap_or("null");
            format!(",{error},\"{trace}\",\"{span}\"")
        }
    })
}

/// The records of a job as text; `None` if there are none.
pub(crate) fn write(records: &[AttemptRecord]) -> Result<Option<String>, StoreError> {
    let lines: Vec<String> = records.iter().map(write_line).collect::<Result<_, _>>()?;
    Ok((!lines.is_empty()).then(|| lines.join("\n")))
}

fn write_line(record: &AttemptRecord) -> Result<String, StoreError> {
    let difference =
        |from: Timestamp, to: Timestamp| to.unix_nanos().wrapping_sub(from.unix_nanos());
    Ok(format!(
        "[{},{},{},{},{},\"{}\",{}{}]",
        record.attempt,
        record.claim,
        record.due_at.unix_nanos(),
        difference(record.due_at, record.claimed_at),
        difference(record.claimed_at, record.ended_at),
        record.outcome.as_str(),
        to_json(&record.worker.as_str())?,
        rest(record.error.as_ref(), record.trace_id.zip(record.span_id))?,
    ))
}

/// The records of a job.
pub(super) fn read(text: &str) -> Result<Vec<AttemptRecord>, StoreError> {
    text.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Result<AttemptRecord, StoreError> {
    let Line(attempt, claim, due, waited, ran, outcome, worker, error, trace_id, span_id) =
        serde_json::from_str(line).map_err(|error| corrupt("attempt", error))?;
    let claimed = due.wrapping_add(waited);
    let error = error.map(|(class, text)| AttemptError::new(class.into_owned(), text.into_owned()));
    Ok(AttemptRecord {
        attempt,
        claim,
        worker: WorkerId::new(&worker),
        due_at: Timestamp::from_unix_nanos(due),
        claimed_at: Timestamp::from_unix_nanos(claimed),
        ended_at: Timestamp::from_unix_nanos(claimed.wrapping_add(ran)),
        outcome,
        error,
        trace_id,
        span_id,
    })
}
