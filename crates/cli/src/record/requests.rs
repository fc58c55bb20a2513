//! What a job asked object storage for.

use serde::Serialize;

/// A job's share of what the calls that enqueued, claimed and settled it asked for, and those calls.
#[derive(Debug, Serialize)]
pub(crate) struct RequestsJson {
    pub(crate) put: f64,
    pub(crate) get: f64,
    pub(crate) list: f64,
    pub(crate) delete: f64,
    pub(crate) other: f64,
    pub(crate) calls: Vec<CallJson>,
    /// Calls of which no trace has the requests.
    pub(crate) unknown: Vec<&'static str>,
}

/// A call, whole: it may have been for several jobs.
#[derive(Debug, Serialize)]
pub(crate) struct CallJson {
    pub(crate) call: &'static str,
    pub(crate) jobs: u64,
    pub(crate) put: u64,
    pub(crate) get: u64,
    pub(crate) list: u64,
    pub(crate) delete: u64,
    /// Requests that have no span of their own.
    pub(crate) other: u64,
}

impl RequestsJson {
    pub(crate) fn of(calls: Vec<CallJson>, unknown: Vec<&'static str>) -> Self {
        let share = |count: fn(&CallJson) -> u64| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "counts of requests are far below 2^52"
            )]
            let share = |call: &CallJson| count(call) as f64 / call.jobs.max(1) as f64;
            calls.iter().map(share).sum()
        };
        Self {
            put: share(|call| call.put),
            get: share(|call| call.get),
            list: share(|call| call.list),
            delete: share(|call| call.delete),
            other: share(|call| call.other),
            calls,
            unknown,
        }
    }
}

/// What `jobs show --json` prints: the job's record, and what it asked object storage for.
#[derive(Debug, Serialize)]
pub(crate) struct ShownJson {
    #[serde(flatten)]
    pub(crate) job: longshore_api::job::Job,
    /// Nothing of a job that does not lie there, and without traces.
    pub(crate) requests: Option<RequestsJson>,
}
