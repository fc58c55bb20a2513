//! What the engine measures while jobs pass: counts and durations of every job, whether its trace
//! is sampled or not. Like the facts, they are borrowed, and nothing is formatted here.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::requests::RequestCounts;
use longshore_core::{AttemptOutcome, Kind, QueueName, QueueStats, SpanContext, Timestamp};

/// What a client asked for, as it took from the first call to the last answer, repetitions
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A producer enqueued jobs.
    Enqueue,
    /// A worker asked for jobs.
    Claim,
    /// A worker settled attempts.
    Settle,
}

impl Operation {
    /// The operation as `messaging.operation.name` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Claim => "claim",
            Self::Settle => "settle",
        }
    }
}

/// One call to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreCall {
    /// Ids for new jobs.
    Mint,
    /// New jobs.
    Enqueue,
    /// Jobs for a worker.
    Claim,
    /// The outcomes of attempts.
    Settle,
    /// Renewed leases.
    Heartbeat,
    /// Due jobs made available.
    Promote,
    /// Jobs of workers that vanished.
    Rescue,
    /// How the queues stand.
    QueueStats,
}

impl StoreCall {
    /// The call as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Enqueue => "enqueue",
            Self::Claim => "claim",
            Self::Settle => "settle",
            Self::Heartbeat => "heartbeat",
            Self::Promote => "promote",
            Self::Rescue => "rescue",
            Self::QueueStats => "queue_stats",
        }
    }
}

/// Why a hook on state changes did not hear of one to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookMiss {
    /// Too many waited for it already.
    Backlog,
    /// It panicked.
    Panic,
    /// The worker had ended before it came to it, or was done with it.
    Shutdown,
}

impl HookMiss {
    /// The reason as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog_full",
            Self::Panic => "panic",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The span that a measurement is an example of. It counts only if its sampled flag is set, since
/// no other trace leaves.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// The span.
    pub context: &'a SpanContext,
    /// When what was measured had ended.
    pub at: Timestamp,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub enum Measured<'a> {
    /// Jobs of one queue and kind were handed to a store.
    Sent {
        /// The queue.
        queue: &'a QueueName,
        /// The kind.
        kind: &'a Kind,
        /// How many.
        jobs: u64,
        /// `error.type`, if the store did not take them.
        error_class: Option<&'a str>,
        /// The enqueue span.
        example: Option<Example<'a>>,
    },
    /// An operation of a client ended.
    Operation {
        /// Which.
        operation: Operation,
        /// The queue, unless several are concerned.
        queue: Option<&'a QueueName>,
        /// How long it took.
        took: Duration,
        /// `error.type`, if it failed.
        error_class: Option<&'a str>,
        /// Its span.
        example: Option<Example<'a>>,
    },
    /// A store answered.
    Store {
        /// What it was asked.
        call: StoreCall,
        /// How long it took.
        took: Duration,
        /// `error.type`, if it failed.
        error_class: Option<&'a str>,
    },
    /// A worker got jobs of one queue.
    Received {
        /// The queue.
        queue: &'a QueueName,
        /// How many.
        jobs: u64,
    },
    /// An attempt was settled.
    Attempt {
        /// The queue.
        queue: &'a QueueName,
        /// The kind.
        kind: &'a Kind,
        /// How it ended.
        outcome: AttemptOutcome,
        /// `error.type`, if it failed.
        error_class: Option<&'a str>,
        /// From due to claimed.
        wait: Duration,
        /// How long the handler ran.
        run: Duration,
        /// Its `job.process` span.
        example: Option<Example<'a>>,
    },
    /// A worker heard that it no longer holds a job that it ran.
    LeaseLost {
        /// The queue.
        queue: &'a QueueName,
    },
    /// The job of a worker that vanished was taken back.
    Rescued {
        /// The queue.
        queue: &'a QueueName,
        /// The kind.
        kind: &'a Kind,
        /// The class of the failure that this is for the attempt.
        error_class: &'a str,
        /// The `job.process` span of the attempt that was lost.
        example: Option<Example<'a>>,
    },
    /// Jobs of one queue were claimed and handed back at once, since a limit had no room.
    OverLimit {
        /// The queue.
        queue: &'a QueueName,
        /// How many.
        jobs: u64,
    },
    /// A limit refused jobs of a producer.
    Refused {
        /// The queue.
        queue: &'a QueueName,
        /// `queue_full` or `rate_limited`.
        reason: &'static str,
        /// How many.
        jobs: u64,
    },
    /// What a worker holds against limits, as it has last looked.
    Permits {
        /// The run of the worker.
        holder: &'a str,
        /// How many limits are in force in its store.
        in_force: usize,
        /// The scopes of which it holds permits, and how many; none once it has ended.
        held: &'a [(String, u64)],
    },
    /// State changes of which a hook did not hear to its end.
    HookMissed {
        /// Why.
        reason: HookMiss,
        /// How many.
        changes: u64,
    },
    /// The requests that a store sends are counted here, and read when somebody asks for them. Said as
    /// often as one likes.
    Requests(&'a Arc<RequestCounts>),
    /// How every queue of a store stands.
    Queues(&'a [QueueStats]),
    /// The same of a queue that is not ours.
    Foreign {
        /// The queueing system, as `messaging.system` has it.
        system: &'static str,
        /// What was measured.
        measured: &'a Self,
    },
}
