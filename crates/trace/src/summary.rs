//! A trace in one line: what a list shows and a search looks at first.

mod of;

use std::time::Duration;

use longshore_core::{Timestamp, TraceId};
use longshore_instrument::table::name;
use serde::{Deserialize, Serialize};

/// What a trace comes down to. A few hundred bytes, so that lists need no spans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// The name of its root; of a trace whose root is not there, of its earliest span.
    pub name: String,
    /// The service of that span; empty if nobody said.
    pub service: String,
    /// All its services in alphabetical order, at most [`TraceSummary::MOST`].
    pub services: Vec<String>,
    /// The stores whose jobs it has to do with, in alphabetical order, at most
    /// [`TraceSummary::MOST`]; none if nobody said.
    #[serde(default)]
    pub stores: Vec<String>,
    /// When its first span began.
    pub start: Timestamp,
    /// When its last span ended.
    pub end: Timestamp,
    /// How many spans there are.
    pub spans: u32,
    /// How many of them failed.
    pub errors: u32,
    /// How many name a parent that is not there.
    pub orphans: u32,
    /// How many are still open.
    pub open: u32,
    /// Whether it failed: its last attempt, or, in a trace without jobs, any span.
    pub failed: bool,
    /// `error.type` of the failure.
    pub error_type: Option<String>,
    /// The queue of its job.
    pub queue: Option<String>,
    /// The kind of its job.
    pub kind: Option<String>,
    /// The queues of all its jobs, the one it is about first, at most [`TraceSummary::MOST`].
    pub queues: Vec<String>,
    /// The kinds of all its jobs, the one it is about first, at most [`TraceSummary::MOST`].
    pub kinds: Vec<String>,
    /// Its jobs, the one it is about first, at most [`TraceSummary::MOST`].
    pub job_ids: Vec<String>,
    /// The correlation id of its job.
    pub correlation_id: Option<String>,
    /// The tenant of its job.
    pub tenant_id: Option<String>,
    /// The namespace of its job.
    pub namespace: Option<String>,
    /// The tags of its job.
    pub tags: Vec<String>,
    /// How its last attempt ended; nothing if no attempt is known.
    pub outcome: Option<String>,
    /// The number of the last attempt; 0 before the first.
    pub attempts: u32,
    /// How long its job was due and waited for a worker.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub wait: Duration,
    /// How long its attempts ran.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub run: Duration,
    /// Whether it was kept for what happened in it, and not only by chance. Spans do not say: the
    /// store does, which knows how long it is to keep them.
    pub kept: bool,
    /// Other traces that it links to, and, where a store knows them, those that link to it, at most [`TraceSummary::MOST`].
    pub linked: Vec<TraceId>,
}

impl TraceSummary {
    /// Most values of what a summary lists.
    pub const MOST: usize = 16;

    /// The summary of a trace of which nothing is known yet.
    #[must_use]
    pub fn unknown(trace_id: TraceId) -> Self {
        Self {
            trace_id,
            name: String::new(),
            service: String::new(),
            services: Vec::new(),
            stores: Vec::new(),
            start: Timestamp::default(),
            end: Timestamp::default(),
            spans: 0,
            errors: 0,
            orphans: 0,
            open: 0,
            failed: false,
            error_type: None,
            queue: None,
            kind: None,
            queues: Vec::new(),
            kinds: Vec::new(),
            job_ids: Vec::new(),
            correlation_id: None,
            tenant_id: None,
            namespace: None,
            tags: Vec::new(),
            outcome: None,
            attempts: 0,
            wait: Duration::ZERO,
            run: Duration::ZERO,
            kept: false,
            linked: Vec::new(),
        }
    }

    /// Whether it says nothing about any one job: a claim of several jobs, which is a trace of its
    /// own, with what it asked the store's database for. Lists leave those out unless somebody asks for
    /// them.
    #[must_use]
    pub fn is_upkeep(&self) -> bool {
        self.name == name::CLAIM && self.job_ids.is_empty()
    }

    /// From its first start to its last end.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }
}
