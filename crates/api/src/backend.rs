//! The questions that a view asks, whoever answers them.

use async_trait::async_trait;
use longshore_core::{SpanId, TraceId};
use longshore_instrument::Span;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::job::{ChangeJobs, ChangedJob, Enqueue, Enqueued, Job, JobsPage, JobsQuery};
use crate::queue::{Latency, LatencyQuery, Queue};
use crate::schedule::{ChangeSchedule, Schedule};
use crate::trace::{Completions, Diff, DiffQuery, Story, StoryOf, TracesPage, TracesQuery};
use crate::worker::Worker;

/// A store and its traces, on this machine or behind a daemon.
///
/// Calls are bounded: a listing gives a page, and a page may have few rows or none and still not
/// be the last.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What stands behind this.
    async fn about(&self) -> Result<About, ApiError>;

    /// A page of jobs, newest first.
    async fn jobs(&self, query: &JobsQuery) -> Result<JobsPage, ApiError>;
    /// A job by its id, whole.
    async fn job(&self, id: &str) -> Result<Job, ApiError>;
    /// Enqueues jobs, item by item.
    async fn enqueue(&self, jobs: &[Enqueue]) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError>;
    /// Cancels, retries or discards jobs, item by item.
    async fn change_jobs(&self, change: &ChangeJobs) -> Result<Vec<ChangedJob>, ApiError>;

    /// Every queue and its counts.
    async fn queues(&self) -> Result<Vec<Queue>, ApiError>;
    /// Pauses a queue or lets it go on.
    async fn pause_queue(&self, queue: &str, paused: bool) -> Result<(), ApiError>;
    /// How long jobs waited and ran lately, with a trace behind every bar.
    async fn latency(&self, query: &LatencyQuery) -> Result<Latency, ApiError>;

    /// The workers that were seen lately.
    async fn workers(&self) -> Result<Vec<Worker>, ApiError>;

    /// Every schedule.
    async fn schedules(&self) -> Result<Vec<Schedule>, ApiError>;
    /// Pauses, resumes, triggers or removes a schedule.
    async fn change_schedule(&self, change: &ChangeSchedule) -> Result<(), ApiError>;

    /// A page of traces that match a search, newest first.
    async fn traces(&self, query: &TracesQuery) -> Result<TracesPage, ApiError>;
    /// A trace alone, or the traces of a job joined.
    async fn story(&self, of: &StoryOf) -> Result<Story, ApiError>;
    /// A span with all that is known about it.
    async fn span(&self, trace: TraceId, span: SpanId) -> Result<Span, ApiError>;
    /// What differs between two traces, or two groups of traces.
    async fn diff(&self, query: &DiffQuery) -> Result<Diff, ApiError>;
    /// What may follow in a search that is being typed, with the cursor at a byte of it.
    async fn complete(&self, text: &str, cursor: usize) -> Result<Completions, ApiError>;
}

/// What stands behind a [`Backend`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct About {
    /// The version of the program that answers.
    pub version: String,
    /// Where the store is, without secrets.
    pub store: String,
    /// Where the traces are; nothing if none are kept there.
    pub traces: Option<String>,
    /// The template of addresses of the tracing back end, with `{trace_id}` in it.
    pub trace_url: Option<String>,
    /// Where sealed traces are copied to, if anywhere: what is not found here may be there.
    #[serde(default)]
    pub archive: Option<String>,
    /// Whether changes are allowed.
    pub may_change: bool,
}
