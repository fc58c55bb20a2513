//! What `--json` prints: the schemas of `docs/cli.md`. Every key is always there, `null` where
//! there is nothing to say; keys are added, never renamed or removed. What the daemon answers too
//! is defined in `longshore-api`.

pub(crate) mod admin;
pub(crate) mod batch;
pub(crate) mod copy;
pub(crate) mod limit;
pub(crate) mod requests;
pub(crate) mod schedule;

use longshore_api::job::{AttemptError, Job};
use longshore_core::Enqueued;
use longshore_telemetry::Redactor;
use serde::Serialize;

/// The record of a job, its errors redacted.
pub(crate) fn job(job: &longshore_core::Job, redactor: &Redactor) -> Job {
    Job::of(job, &|text| redactor.text(text).into_owned())
}

/// Why an attempt failed, as it may be shown.
pub(crate) fn error(error: &longshore_core::AttemptError, redactor: &Redactor) -> AttemptError {
    AttemptError::of(error, &|text| redactor.text(text).into_owned())
}

/// What became of a job that was enqueued.
#[derive(Debug, Serialize)]
pub(crate) struct MetJson<'a> {
    enqueued: &'static str,
    id: &'a str,
}

impl<'a> MetJson<'a> {
    pub(crate) fn of(enqueued: &'a Enqueued) -> Self {
        Self {
            enqueued: enqueued.as_str(),
            id: enqueued.id().as_str(),
        }
    }
}

/// A job that was enqueued, or met instead.
#[derive(Debug, Serialize)]
pub(crate) struct EnqueuedJson {
    pub(crate) enqueued: &'static str,
    #[serde(flatten)]
    pub(crate) job: Job,
}
