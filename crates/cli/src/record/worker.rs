//! Workers as `--json` prints them.

use longshore_core::Timestamp;
use longshore_core::register::WorkerEntry;
use longshore_queue::Workers;
use serde::Serialize;

/// A worker, as it said of itself.
#[derive(Debug, Serialize)]
struct WorkerJson<'a> {
    id: &'a str,
    host: &'a str,
    pid: u32,
    version: &'a str,
    queues: Vec<&'a str>,
    more_queues: usize,
    kinds: Option<Vec<&'a str>>,
    more_kinds: usize,
    concurrency: u32,
    running: u32,
    state: &'static str,
    started_at: Timestamp,
    seen_at: Timestamp,
    unseen_seconds: Option<f64>,
}

impl<'a> WorkerJson<'a> {
    fn of(worker: &'a WorkerEntry, as_of: Timestamp) -> Self {
        let kinds = worker.kinds.as_ref();
        let unseen = worker.unseen_for(as_of);
        Self {
            id: worker.id.as_str(),
            host: &worker.host,
            pid: worker.pid,
            version: &worker.version,
            queues: worker.queues.iter().map(|queue| queue.as_str()).collect(),
            more_queues: worker.more_queues,
            kinds: kinds.map(|kinds| kinds.iter().map(|kind| kind.as_str()).collect()),
            more_kinds: worker.more_kinds,
            concurrency: worker.concurrency,
            running: worker.running,
            state: worker.state.as_str(),
            started_at: worker.started_at,
            seen_at: worker.seen_at,
            unseen_seconds: unseen.map(|unseen| unseen.as_secs_f64()),
        }
    }
}

/// `workers list`.
#[derive(Debug, Serialize)]
pub(crate) struct WorkersJson<'a> {
    workers: Vec<WorkerJson<'a>>,
    as_of: Timestamp,
}

impl<'a> WorkersJson<'a> {
    /// The record of the register.
    pub(crate) fn of(workers: &'a Workers) -> Self {
        let entries = workers.entries.iter();
        Self {
            workers: entries
                .map(|worker| WorkerJson::of(worker, workers.as_of))
                .collect(),
            as_of: workers.as_of,
        }
    }
}
