//! Workers.

use longshore_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its id.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// The kinds it has handlers for; empty for any.
    pub kinds: Vec<String>,
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
    /// The jobs it has, at most 100.
    pub jobs: Vec<String>,
}
