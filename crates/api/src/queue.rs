//! Queues, and how long their jobs wait and run.

use std::time::Duration;

use longshore_core::{QueueStats, Timestamp, TraceId};
use longshore_trace::duration;
use serde::{Deserialize, Serialize};

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queue {
    /// Its name.
    pub queue: String,
    /// Whether nobody may claim from it.
    pub paused: bool,
    /// Who paused it, since when and why; nothing if it does not rest, or nobody noted it.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that can run now.
    pub available: u64,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait for their back-off.
    pub retryable: u64,
    /// Jobs that succeeded and were not yet pruned.
    pub completed: u64,
    /// Jobs that were cancelled and not yet pruned.
    pub cancelled: u64,
    /// Jobs that failed for good and were not yet pruned.
    pub discarded: u64,
    /// Since when the job that waits longest could have run.
    pub oldest_available_at: Option<Timestamp>,
    /// The time for which the counts are true.
    pub as_of: Timestamp,
}

impl Queue {
    /// The record of a queue.
    #[must_use]
    pub fn of(stats: &QueueStats) -> Self {
        Self {
            queue: stats.queue.to_string(),
            paused: stats.paused,
            pause: None,
            scheduled: stats.scheduled,
            available: stats.available,
            running: stats.running,
            retryable: stats.retryable,
            completed: stats.completed,
            cancelled: stats.cancelled,
            discarded: stats.discarded,
            oldest_available_at: stats.oldest_available_at,
            as_of: stats.as_of,
        }
    }

    /// With what was noted of its pause. Of a queue that does not rest a note means nothing.
    #[must_use]
    pub fn noted(mut self, pause: Option<&longshore_core::pause::Pause>) -> Self {
        self.pause = pause.filter(|_| self.paused).map(Pause::of);
        self
    }
}

/// A pause of a queue or a kind, as it was noted for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pause {
    /// Since when it rests.
    pub since: Timestamp,
    /// Who paused it, such as `ann@web-1`; nothing if that is not known.
    pub by: Option<String>,
    /// Why, in the words of whoever did.
    pub reason: Option<String>,
}

impl Pause {
    /// The record of a note.
    #[must_use]
    pub fn of(pause: &longshore_core::pause::Pause) -> Self {
        Self {
            since: pause.since,
            by: pause.by.clone(),
            reason: pause.reason.clone(),
        }
    }

    /// What it says, for people, such as `paused 2h 05m ago by ann@web-1: the bank is down`.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> String {
        let since = duration::format(now.since(self.since));
        let by = self.by.as_deref().map(|by| format!(" by {by}"));
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}"));
        let (by, reason) = (by.unwrap_or_default(), reason.unwrap_or_default());
        format!("paused {since} ago{by}{reason}")
    }
}

/// Which jobs a latency is asked of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LatencyQuery {
    /// Of this queue; any if not given.
    pub queue: Option<String>,
    /// Of this kind; any if not given.
    pub kind: Option<String>,
    /// Ended at this time or later; an hour ago if not given.
    pub since: Option<Timestamp>,
}

/// How long jobs waited and ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    /// The time in the queue.
    pub wait: Histogram,
    /// The time of attempts, from the claim until the outcome is known.
    pub run: Histogram,
    /// Of how many jobs.
    pub jobs: u64,
    /// Of how many of their attempts the traces are not here; nothing if no traces are kept here.
    pub unseen: Option<u64>,
    /// The same by kind, those with the most jobs first, at most [`Latency::MOST_KINDS`].
    #[serde(default)]
    pub kinds: Vec<KindTimes>,
}

impl Latency {
    /// Most kinds that are told apart.
    pub const MOST_KINDS: usize = 50;
}

/// How long jobs of one kind waited and ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KindTimes {
    /// The kind.
    pub kind: String,
    /// How many jobs.
    pub jobs: u64,
    /// How many of their attempts failed.
    pub failed: u64,
    /// The time in the queue, in seconds, that nine in ten do not exceed.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub wait_p90: Duration,
    /// The time of attempts, in seconds, that nine in ten do not exceed.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub run_p90: Duration,
}

/// Durations by size, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Histogram {
    /// The bars, the shortest first; those without any are left out at both ends.
    pub bars: Vec<Bar>,
    /// The duration, in seconds, that half of them do not exceed.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub p50: Duration,
    /// The duration that nine in ten do not exceed.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub p90: Duration,
    /// The duration that ninety-nine in a hundred do not exceed.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub p99: Duration,
    /// The longest.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub max: Duration,
}

/// A bar of a histogram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bar {
    /// From this on.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub from: Duration,
    /// Up to this.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub to: Duration,
    /// So many.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// A trace behind it, one that failed if there is one.
    pub trace_id: Option<TraceId>,
}
