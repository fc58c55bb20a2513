//! Batches as JSON.

use longshore_core::batch::End;
use longshore_core::{JobId, JobState, Timestamp};
use longshore_queue::{BatchCallback, BatchStatus};
use serde::Serialize;

/// A batch and how it stands.
#[derive(Debug, Serialize)]
pub(crate) struct BatchJson<'a> {
    id: &'a str,
    state: &'static str,
    members: u32,
    ended: u32,
    completed: u32,
    discarded: u32,
    cancelled: u32,
    gone: u32,
    created_at: Timestamp,
    over_at: Option<Timestamp>,
    callbacks: Vec<CallbackJson<'a>>,
}

impl<'a> BatchJson<'a> {
    /// The batch; `state` tells that of a job.
    pub(crate) fn of(
        status: &'a BatchStatus,
        state: impl Fn(&BatchCallback) -> Option<JobState>,
    ) -> Self {
        let counts = status.counts;
        let callback = |callback: &'a BatchCallback| CallbackJson {
            when: callback.when.as_str(),
            kind: callback.kind.as_str(),
            job_id: callback.id.as_str(),
            state: state(callback).map(JobState::as_str),
        };
        Self {
            id: status.id.as_str(),
            state: status.state.as_str(),
            members: status.members,
            ended: counts.ended(),
            completed: counts.completed,
            discarded: counts.discarded,
            cancelled: counts.cancelled,
            gone: counts.gone,
            created_at: status.created_at,
            over_at: status.over_at,
            callbacks: status.callbacks.iter().map(callback).collect(),
        }
    }
}

/// A job that follows a batch.
#[derive(Debug, Serialize)]
struct CallbackJson<'a> {
    when: &'static str,
    kind: &'a str,
    job_id: &'a str,
    state: Option<&'static str>,
}

/// A batch, and its members that did not succeed.
#[derive(Debug, Serialize)]
pub(crate) struct ShownBatchJson<'a> {
    #[serde(flatten)]
    pub(crate) batch: BatchJson<'a>,
    pub(crate) unsuccessful: Vec<MemberJson<'a>>,
}

/// A member of a batch, and how it is over.
#[derive(Debug, Serialize)]
pub(crate) struct MemberJson<'a> {
    id: &'a str,
    end: Option<&'static str>,
}

impl<'a> MemberJson<'a> {
    pub(crate) fn of((id, end): &'a (JobId, Option<End>)) -> Self {
        Self {
            id: id.as_str(),
            end: end.map(word),
        }
    }
}

/// How a member is over, as a word.
pub(crate) const fn word(end: End) -> &'static str {
    match end {
        End::Completed => "completed",
        End::Discarded => "discarded",
        End::Cancelled => "cancelled",
        End::Gone => "gone",
        End::Absent => "absent",
    }
}

/// A part of the batches.
#[derive(Debug, Serialize)]
pub(crate) struct BatchesJson<'a> {
    pub(crate) batches: Vec<BatchJson<'a>>,
    pub(crate) next_after: Option<&'a str>,
}

/// A batch that was enqueued.
#[derive(Debug, Serialize)]
pub(crate) struct EnqueuedBatchJson<'a> {
    pub(crate) batch: &'a str,
    pub(crate) jobs: usize,
    pub(crate) created: bool,
}
