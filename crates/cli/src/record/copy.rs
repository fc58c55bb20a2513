//! What `--json` prints of a copy of a store.

use longshore_queue::Contents;
use serde::Serialize;

/// A copy, or what one would do.
#[derive(Debug, Serialize)]
pub(crate) struct CopyJson<'a> {
    pub(crate) dry_run: bool,
    /// Nothing where nothing was copied.
    pub(crate) is_whole: Option<bool>,
    pub(crate) stored: u64,
    pub(crate) present: u64,
    pub(crate) source: ContentsJson<'a>,
    pub(crate) target: Option<ContentsJson<'a>>,
    pub(crate) seconds: f64,
}

/// What a store has.
#[derive(Debug, Serialize)]
pub(crate) struct ContentsJson<'a> {
    jobs: u64,
    waiting: u64,
    completed: u64,
    cancelled: u64,
    discarded: u64,
    documents: u64,
    paused: Vec<&'a str>,
    hash: String,
}

impl<'a> ContentsJson<'a> {
    pub(crate) fn of(contents: &'a Contents) -> Self {
        Self {
            jobs: contents.jobs(),
            waiting: contents.waiting,
            completed: contents.completed,
            cancelled: contents.cancelled,
            discarded: contents.discarded,
            documents: contents.documents,
            paused: contents.paused.iter().map(|queue| queue.as_str()).collect(),
            hash: contents.digest.to_string(),
        }
    }
}
