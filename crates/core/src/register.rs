//! The register of workers: what each of them says of itself, in a document of its own.
//!
//! An entry is a sign of life for people: no lease, limit or turn depends on it. Of a worker that was
//! killed it also says until when that may have left spans unwritten.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StoreError};
use crate::id::{JobId, WorkerId};
use crate::name::{Kind, QueueName};
use crate::time::Timestamp;

/// What the names of the documents of workers begin with.
pub const PREFIX: &str = "workers/";

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It claims jobs.
    Running,
    /// It claims no more, and waits for the jobs that it has.
    Stopping,
}

impl WorkerState {
    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a worker says of itself: at its start, every ten seconds, and when it begins to stop. Once
/// it has stopped, its entry is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerEntry {
    /// Its name. Of several workers that live under one, the entry is of the one that wrote last.
    pub id: WorkerId,
    /// The machine it runs on, as that calls itself; empty if it does not say.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// The version of Longshore in it.
    pub version: String,
    /// The queues it claims from: the first [`WorkerEntry::MAX_NAMES`].
    pub queues: Vec<QueueName>,
    /// How many queues more there are.
    #[serde(default)]
    pub more_queues: usize,
    /// The kinds it has handlers for, in order: the first [`WorkerEntry::MAX_NAMES`]. `None` if it
    /// runs any.
    pub kinds: Option<Vec<Kind>>,
    /// How many kinds more there are.
    #[serde(default)]
    pub more_kinds: usize,
    /// Most handlers at a time.
    pub concurrency: u32,
    /// Handlers that ran when it wrote this.
    pub running: u32,
    /// The jobs of those handlers: the first [`WorkerEntry::MAX_NAMES`] in the order of their ids.
    #[serde(default)]
    pub jobs: Vec<JobId>,
    /// What it does.
    pub state: WorkerState,
    /// When it began, by the store's clock.
    pub started_at: Timestamp,
    /// When it wrote this, by the store's clock.
    pub seen_at: Timestamp,
}

impl WorkerEntry {
    /// How often a worker writes its entry.
    pub const EVERY: Duration = Duration::from_secs(10);
    /// After so long without a sign of life a worker counts as not seen: it was killed, it hangs, or
    /// it cannot reach the store.
    pub const UNSEEN_AFTER: Duration = Duration::from_secs(30);
    /// After so long the entry is removed, by any worker of the store.
    pub const GONE_AFTER: Duration = Duration::from_secs(600);
    /// Most queues, and most kinds, that an entry names.
    pub const MAX_NAMES: usize = 100;

    /// The name of a worker's document.
    #[must_use]
    pub fn document(id: &WorkerId) -> String {
        format!("{PREFIX}{id}")
    }

    /// For how long there was no sign of life, if that is longer than it should be. `now` is the
    /// store's clock.
    #[must_use]
    pub fn unseen_for(&self, now: Timestamp) -> Option<Duration> {
        Some(now.since(self.seen_at)).filter(|unseen| *unseen > Self::UNSEEN_AFTER)
    }

    /// Whether the entry is to be removed. `now` is the store's clock.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) > Self::GONE_AFTER
    }

    /// Whether another entry is of the same life of the same worker.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.id.clone(), one.pid, one.started_at);
        key(self) == key(other) && self.host == other.host
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `Corrupt` if it is none of a worker.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| unreadable(&error))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// None that can happen: names are bounded.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        let body = serde_json::to_vec(self).map_err(|error| unreadable(&error))?;
        Ok(body.into())
    }
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the entry of a worker cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Document;

    fn entry(names: usize) -> WorkerEntry {
        let longest = |number: usize| format!("{number:0>100}");
        let (queues, kinds) = (0..names)
            .map(|number| {
                let name = longest(number);
                (
                    name.parse::<QueueName>().unwrap(),
                    name.parse::<Kind>().unwrap(),
                )
            })
            .unzip();
        WorkerEntry {
            id: WorkerId::new(&"\u{1}".repeat(200)),
            host: "h".repeat(255),
            pid: 1,
            version: "1.0.0".to_owned(),
            queues,
            more_queues: 0,
            kinds: Some(kinds),
            more_kinds: 0,
            concurrency: 10_000,
            running: 10_000,
            jobs: Vec::new(),
            state: WorkerState::Stopping,
            started_at: Timestamp::from_unix_millis(0),
            seen_at: Timestamp::from_unix_millis(60_000),
        }
    }

    #[test]
    fn the_longest_entry_fits_into_a_document_and_comes_back() {
        let entry = entry(WorkerEntry::MAX_NAMES);
        let body = entry.encode().unwrap();
        assert!(body.len() < Document::MAX_BYTES, "{}", body.len());
        assert_eq!(WorkerEntry::decode(&body).unwrap(), entry);
    }

    #[test]
    fn a_worker_is_unseen_after_half_a_minute_and_gone_after_ten() {
        let entry = entry(1);
        let after = |seconds| entry.seen_at.after(Duration::from_secs(seconds));
        assert_eq!(entry.unseen_for(after(30)), None);
        assert_eq!(entry.unseen_for(after(31)), Some(Duration::from_secs(31)));
        // A clock that went back says nothing of the worker.
        assert_eq!(entry.unseen_for(Timestamp::UNIX_EPOCH), None);
        assert!(!entry.is_gone(after(600)) && entry.is_gone(after(601)));
    }
}
