//! Workers.

use longshore_core::Timestamp;
use longshore_core::register::WorkerEntry;
use serde::{Deserialize, Serialize};

/// A worker, as it said of itself when it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worker {
    /// Its id.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// The version of Longshore in it.
    pub version: String,
    /// The queues it serves, at most 100.
    pub queues: Vec<String>,
    /// How many queues more there are.
    pub more_queues: usize,
    /// The kinds it has handlers for, at most 100; empty for any.
    pub kinds: Vec<String>,
    /// How many kinds more there are.
    pub more_kinds: usize,
    /// How many jobs it runs at once.
    pub concurrency: u32,
    /// How many it ran when it was last seen.
    pub running: u32,
    /// `running`, `stopping`, or `lost` if it was not seen for a while.
    pub state: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was last seen.
    pub seen_at: Timestamp,
    /// For how long it was not seen, if it is lost.
    pub unseen_seconds: Option<f64>,
    /// The jobs it had when it was last seen, at most 100.
    pub jobs: Vec<String>,
}

impl Worker {
    /// The record of a worker at a time of the store's clock.
    #[must_use]
    pub fn of(entry: &WorkerEntry, as_of: Timestamp) -> Self {
        let unseen = entry.unseen_for(as_of);
        let kinds = entry.kinds.iter().flatten();
        let state = match unseen {
            Some(_) => "lost",
            None => entry.state.as_str(),
        };
        Self {
            id: entry.id.to_string(),
            host: entry.host.clone(),
            pid: entry.pid,
            version: entry.version.clone(),
            queues: entry.queues.iter().map(ToString::to_string).collect(),
            more_queues: entry.more_queues,
            kinds: kinds.map(ToString::to_string).collect(),
            more_kinds: entry.more_kinds,
            concurrency: entry.concurrency,
            running: entry.running,
            state: state.to_owned(),
            started_at: entry.started_at,
            seen_at: entry.seen_at,
            unseen_seconds: unseen.map(|unseen| unseen.as_secs_f64()),
            jobs: entry.jobs.iter().map(ToString::to_string).collect(),
        }
    }
}
