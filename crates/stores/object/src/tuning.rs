//! How a store trades requests, which cost money, against time.

use std::time::Duration;

/// How often a store asks, and for how long it gathers what goes into one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Most requests of one call that are under way at once.
    pub parallel: usize,
    /// For how long heartbeats and settles of a batch that was written before wait for others, so
    /// that all of them are one write. A second where a key may be written once a second only, as
    /// on Google Cloud Storage and R2.
    pub gather: Duration,
    /// The shortest time between two listings of one line of the index.
    pub poll_least: Duration,
    /// The longest, once listings find nothing.
    pub poll_most: Duration,
    /// Whether workers that list the same line begin with different batches.
    pub turns: bool,
    /// Whether pruning sweeps too, every six hours.
    pub sweeps: bool,
    /// How many shards a queue has at least, so that its keys lie in as many of the provider's
    /// partitions. They are never fewer again.
    pub shards: u16,
    /// Most jobs from another store that share a ledger: they are pruned together.
    pub together: usize,
    /// Most listings of the index that a listing of jobs makes, of 1,000 entries each; if there are
    /// more, it is an error.
    pub listings: usize,
}

impl Tuning {
    /// Most shards of a queue: each of them takes a listing of its own where a worker looks for jobs.
    pub const MAX_SHARDS: u16 = 256;

    /// [`Tuning::gather`] where a key may be written once a second.
    pub const A_WRITE_A_SECOND: Duration = Duration::from_secs(1);

    /// Nothing waits for anything, and what was listed is not believed: for tests in which other
    /// processes act between two requests.
    pub const AT_ONCE: Self = Self {
        parallel: 1,
        gather: Duration::ZERO,
        poll_least: Duration::ZERO,
        poll_most: Duration::ZERO,
        turns: false,
        sweeps: false,
        shards: 1,
        together: 100,
        listings: 1000,
    };
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            parallel: 16,
            gather: Duration::from_millis(250),
            poll_least: Duration::from_millis(250),
            poll_most: Duration::from_secs(10),
            turns: true,
            sweeps: true,
            shards: 1,
            together: 100,
            listings: 1000,
        }
    }
}
