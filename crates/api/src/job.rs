//! Jobs.

mod shown;

use std::collections::BTreeMap;

use longshore_core::{SpanId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

pub use self::shown::{Redact, ran, span_of, trace_of, waited};
use crate::json::Json;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Its state, such as `running`.
    pub state: String,
    /// 1 goes first, 4 last.
    pub priority: u8,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    /// How many attempts there may be.
    pub max_attempts: u32,
    /// How often it was claimed.
    pub claim: u32,
    /// Its args as JSON, or as text if they are none; nothing if they are `null`, and in a listing.
    pub args: Option<Json>,
    /// Its args if they are not even text.
    pub args_base64: Option<String>,
    /// Its result, likewise.
    pub result: Option<Json>,
    /// Its result if it is not even text.
    pub result_base64: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// How long the key is held: a word.
    pub unique_scope: Option<String>,
    /// When a window of the key ends.
    pub unique_until: Option<Timestamp>,
    /// What it belongs to.
    pub correlation_id: String,
    /// What its parent belongs to.
    pub parent_correlation_id: Option<String>,
    /// Its tenant.
    pub tenant_id: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The schedule that fired it.
    pub schedule: Option<String>,
    /// The tick it was fired for.
    pub tick: Option<String>,
    /// Its batch.
    pub batch: Option<String>,
    /// How long an attempt may take.
    pub timeout_seconds: Option<f64>,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it was due for the first time.
    pub first_available_at: Timestamp,
    /// When it is due.
    pub available_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// Whether a person asked it to stop.
    pub cancel_requested: bool,
    /// What it is asked to become: `cancel` or `discard`.
    pub stop_requested: Option<String>,
    /// Who has it.
    pub worker: Option<String>,
    /// Since when.
    pub claimed_at: Option<Timestamp>,
    /// Until when, unless that worker is heard of again.
    pub lease_expires_at: Option<Timestamp>,
    /// How far it is, in percent.
    pub progress: Option<u8>,
    /// The size of its checkpoint.
    pub checkpoint_bytes: Option<usize>,
    /// The size of its result.
    pub result_bytes: Option<usize>,
    /// What keeps it from being run though it is due, in words for people; empty in a listing.
    #[serde(default)]
    pub held_back: Vec<String>,
    /// The jobs and workers that those words name, in their order; empty in a listing.
    #[serde(default)]
    pub held_by: Vec<Holder>,
    /// How it is traced.
    pub trace: JobTrace,
    /// Its attempts that have ended, the first one first.
    pub history: Vec<Attempt>,
}

/// What another job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A job that runs, by its id.
    Job(String),
    /// A worker, by its id.
    Worker(String),
}

impl Holder {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Job(id) | Self::Worker(id) => id,
        }
    }
}

/// The trace part of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobTrace {
    /// The trace to look up: that of its last attempt, else that of its enqueue.
    pub trace_id: Option<TraceId>,
    /// The context it was enqueued with.
    pub traceparent: Option<String>,
    /// How attempts stand to it: `parent`, `link` or `auto`.
    pub relation: String,
    /// Why its trace is kept.
    pub keep_reason: Option<String>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attempt {
    /// Its number.
    pub attempt: u32,
    /// The number of its claim.
    pub claim: u32,
    /// Who ran it.
    pub worker: String,
    /// When the job was due.
    pub due_at: Timestamp,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// From the first to the second.
    pub wait_seconds: f64,
    /// From the second to the third.
    pub duration_seconds: f64,
    /// How it ended, such as `completed`.
    pub outcome: String,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// Its trace.
    pub trace_id: Option<TraceId>,
    /// Its span.
    pub span_id: Option<SpanId>,
}

/// Why an attempt failed, without what may not be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptError {
    /// Its class.
    pub class: String,
    /// What it said.
    pub message: String,
}

/// Which jobs to list. Every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct JobsQuery {
    /// In one of these states, by name; any if empty.
    pub states: Vec<String>,
    /// In this queue.
    pub queue: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this metadata pair, as `key=value`.
    pub metadata: Option<String>,
    /// Of this tenant.
    pub tenant_id: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// Enqueued at this time or later.
    pub enqueued_after: Option<Timestamp>,
    /// Enqueued before this time.
    pub enqueued_before: Option<Timestamp>,
    /// Whose last error is of this class.
    pub error_class: Option<String>,
    /// Whose last error says this.
    pub error_text: Option<String>,
    /// Which say this, in whatever case: in id, queue, kind, a tag, a value of their metadata,
    /// tenant, namespace, correlation id, or class or message of the last error. For one page the
    /// next [`JobsQuery::LOOKED_THROUGH`] jobs that meet the rest are looked through.
    pub text: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Most jobs of the page; 100 if not given, at most 1,000.
    pub limit: Option<usize>,
}

impl JobsQuery {
    /// Most jobs that are looked through for a text at once.
    pub const LOOKED_THROUGH: usize = 5_000;

    /// Whether it asks for the first page of all jobs that say a text.
    #[must_use]
    pub fn is_text_alone(&self) -> bool {
        let rest = Self {
            text: None,
            limit: None,
            ..self.clone()
        };
        self.text.is_some() && rest == Self::default()
    }
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobsPage {
    /// The jobs; args and results may be left out.
    pub jobs: Vec<Job>,
    /// Give it to the next call to go on; nothing at the end.
    pub next_cursor: Option<String>,
    /// The time for which the listing is true.
    pub as_of: Option<Timestamp>,
}

/// A job to enqueue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Enqueue {
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Its args.
    #[serde(default)]
    pub args: Json,
    /// Its id, if the sender chooses one: enqueueing the same again is a hit.
    #[serde(default)]
    pub id: Option<String>,
    /// 1 goes first, 4 last; 2 if not given.
    #[serde(default)]
    pub priority: Option<u8>,
    /// How many attempts there may be.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// When it is due, if not at once.
    #[serde(default)]
    pub available_at: Option<Timestamp>,
    /// How long until it is due, in seconds.
    #[serde(default)]
    pub delay_seconds: Option<f64>,
    /// How long an attempt may take, in seconds.
    #[serde(default)]
    pub timeout_seconds: Option<f64>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its unique key.
    #[serde(default)]
    pub unique_key: Option<String>,
    /// What it belongs to.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Its tenant.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The context of the caller. Over HTTP, the headers say it if this does not.
    #[serde(default)]
    pub traceparent: Option<String>,
    /// The state that goes with `traceparent`; without it, it says nothing.
    #[serde(default)]
    pub tracestate: Option<String>,
    /// The baggage that goes with the context, of which listed keys travel. Over HTTP, the header
    /// says it if this does not.
    #[serde(default)]
    pub baggage: Option<String>,
}

/// What became of a job that was enqueued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enqueued {
    /// `created`, `hit` (it was there already) or `replaced` (it waited, and has the new args).
    pub enqueued: String,
    /// The job, the one that was there before if there was one.
    pub id: String,
    /// Its trace.
    pub trace_id: Option<TraceId>,
}

/// What a person does to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Not to run, or to stop if they run.
    Cancel,
    /// To run now, with one more attempt if need be.
    Retry,
    /// To be given up.
    Discard,
}

/// Jobs to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeJobs {
    /// What to do.
    pub change: Change,
    /// To which jobs, at most 1,000.
    pub ids: Vec<String>,
}

/// What became of a job that was to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangedJob {
    /// The job.
    pub id: String,
    /// Its state now.
    pub state: Option<String>,
    /// Why it was not changed.
    pub error: Option<String>,
}
