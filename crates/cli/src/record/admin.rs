//! What `--json` prints of changes to jobs and queues, and of what went wrong.

use std::borrow::Cow;

use longshore_core::failure::{Failure, normalised, place};
use longshore_core::{Timestamp, TraceId};
use longshore_telemetry::Redactor;
use serde::Serialize;

/// What became of the jobs that a filter found.
#[derive(Debug, Serialize)]
pub(crate) struct ChangedByFilterJson<'a> {
    pub(crate) change: &'static str,
    pub(crate) dry_run: bool,
    pub(crate) matched: u64,
    pub(crate) changed: u64,
    pub(crate) asked_to_stop: u64,
    pub(crate) refused: u64,
    pub(crate) error: Option<String>,
    pub(crate) examples: Vec<&'a str>,
}

/// What goes wrong with jobs.
#[derive(Debug, Serialize)]
pub(crate) struct FailuresJson<'a> {
    pub(crate) failures: Vec<FailureJson<'a>>,
    pub(crate) more: usize,
    pub(crate) ungrouped: u64,
}

/// Failures that are alike.
#[derive(Debug, Serialize)]
pub(crate) struct FailureJson<'a> {
    fingerprint: String,
    kind: &'a str,
    class: Cow<'a, str>,
    message: String,
    place: Option<String>,
    attempts: u64,
    jobs: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
    last_job: &'a str,
    last_trace: Option<TraceId>,
}

impl<'a> FailureJson<'a> {
    /// The record of failures, redacted.
    pub(crate) fn of(failure: &'a Failure, redactor: &Redactor) -> Self {
        // What is normalised first may hide from the redactor what it would have found.
        let message = redactor.text(&failure.message);
        Self {
            fingerprint: failure.fingerprint.to_string(),
            kind: failure.kind.as_str(),
            class: redactor.text(&failure.class),
            place: place(&message).map(str::to_owned),
            message: normalised(&message),
            attempts: failure.attempts,
            jobs: failure.jobs,
            first_seen: failure.first_seen,
            last_seen: failure.last_seen,
            last_job: failure.last_job.as_str(),
            last_trace: failure.last_trace,
        }
    }
}

/// How many jobs were deleted, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct PrunedJson {
    pub(crate) dry_run: bool,
    pub(crate) jobs: u64,
    pub(crate) states: Option<PrunedStates>,
}

/// The same by state.
#[derive(Debug, Serialize)]
pub(crate) struct PrunedStates {
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    pub(crate) discarded: u64,
}

/// A queue that was stopped or started.
#[derive(Debug, Serialize)]
pub(crate) struct PausedJson<'a> {
    pub(crate) queue: &'a str,
    pub(crate) paused: bool,
}

/// How a wait for queues ended.
#[derive(Debug, Serialize)]
pub(crate) struct DrainedJson {
    pub(crate) drained: bool,
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    pub(crate) seconds: f64,
}
