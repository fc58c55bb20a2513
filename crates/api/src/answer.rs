//! The answers that are lists or words: JSON objects, so that keys can be added.

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::job::{ChangedJob, Enqueue, Enqueued};
use crate::queue::Queue;
use crate::schedule::Schedule;
use crate::worker::Worker;

/// Jobs to enqueue in one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnqueueMany {
    /// The jobs, at most 1,000.
    pub jobs: Vec<Enqueue>,
}

/// What became of the jobs of one call, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnqueuedMany {
    /// One for each job.
    pub jobs: Vec<Answer>,
}

/// What became of one of several jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Answer {
    /// It is stored, or was there already.
    Stored(Enqueued),
    /// It was refused.
    Refused(ApiError),
}

impl Answer {
    /// As a result.
    ///
    /// # Errors
    /// The job was refused.
    pub fn into_result(self) -> Result<Enqueued, ApiError> {
        match self {
            Self::Stored(enqueued) => Ok(enqueued),
            Self::Refused(error) => Err(error),
        }
    }
}

impl From<Result<Enqueued, ApiError>> for Answer {
    fn from(answer: Result<Enqueued, ApiError>) -> Self {
        answer.map_or_else(Self::Refused, Self::Stored)
    }
}

/// What became of jobs that were to be changed, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangedJobs {
    /// One for each job.
    pub jobs: Vec<ChangedJob>,
}

/// Every queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queues {
    /// By name.
    pub queues: Vec<Queue>,
}

/// A queue that was stopped or started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Paused {
    /// Its name.
    pub queue: String,
    /// Whether nobody may claim from it now.
    pub paused: bool,
}

/// The workers that were seen lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Workers {
    /// By id.
    pub workers: Vec<Worker>,
}

/// Every schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Schedules {
    /// By name.
    pub schedules: Vec<Schedule>,
}

/// A schedule that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedSchedule {
    /// Its name.
    pub name: String,
}

/// A body that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
