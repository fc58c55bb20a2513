//! What the engine knows when something has happened. Facts are borrowed and cheap; nothing is
//! formatted until a span is built from them.

use std::time::Duration;

use longshore_core::limit::Scope;
use longshore_core::{
    AttemptOutcome, AttemptRecord, Job, JobState, Kind, NewJob, QueueName, ScheduleName,
    SpanContext, SpanId, Timestamp, WorkerId,
};

use crate::relation::AttemptContext;

/// One enqueue call that begins.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueFacts<'a> {
    /// The context of the span, which the jobs carry.
    pub context: &'a SpanContext,
    /// The span that called, if any.
    pub parent: Option<SpanId>,
    /// Whether that span is in another process.
    pub parent_is_remote: bool,
    /// The jobs of the call; never empty.
    pub jobs: &'a [NewJob],
    /// When the call began.
    pub started_at: Timestamp,
}

/// One claim request that gave jobs.
#[derive(Clone, Copy, Debug)]
pub struct ClaimFacts<'a> {
    /// The jobs and where their attempts stand; never empty.
    pub claimed: &'a [(&'a Job, &'a AttemptContext)],
    /// Who asked.
    pub worker: &'a WorkerId,
    /// When the request was sent.
    pub started_at: Timestamp,
    /// When the answer was there.
    pub ended_at: Timestamp,
}

/// One claim request that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedClaimFacts<'a> {
    /// Its span, which begins a trace.
    pub context: &'a SpanContext,
    /// The queues that were asked for.
    pub queues: &'a [QueueName],
    /// Who asked.
    pub worker: &'a WorkerId,
    /// `error.type`.
    pub error_class: &'static str,
    /// When the request was sent.
    pub started_at: Timestamp,
    /// When it was known to have failed.
    pub ended_at: Timestamp,
}

/// One attempt that has ended, or was lost.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFacts<'a> {
    /// The job as it was while the attempt ran.
    pub job: &'a Job,
    /// Where the attempt stands among traces.
    pub context: &'a AttemptContext,
    /// Who ran it.
    pub worker: &'a WorkerId,
    /// When the worker got hold of the job.
    pub claimed_at: Timestamp,
    /// When the handler ran, if it did.
    pub handler: Option<(Timestamp, Timestamp)>,
    /// Whether the handler's span was a live one, which is recorded elsewhere.
    pub handler_is_live: bool,
    /// When the settle was sent and when it was durable, if it was.
    pub settle: Option<(Timestamp, Timestamp)>,
    /// When the attempt ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The state that followed.
    pub to_state: JobState,
    /// `error.type`, if it failed.
    pub error_class: Option<&'a str>,
    /// What went wrong in words, if that is known. It may hold anything: whoever exports it redacts
    /// it first.
    pub error_message: Option<&'a str>,
    /// Until the job can run again, if it waits.
    pub retry_delay: Option<Duration>,
    /// The attempt before, if there was one and it is remembered.
    pub previous: Option<&'a AttemptRecord>,
    /// Written by someone else, for a process that vanished.
    pub rebuilt: bool,
}

/// One attempt that runs.
#[derive(Clone, Copy, Debug)]
pub struct OpenFacts<'a> {
    /// The job.
    pub job: &'a Job,
    /// Where the attempt stands among traces.
    pub context: &'a AttemptContext,
    /// Who runs it.
    pub worker: &'a WorkerId,
    /// When the worker got hold of the job.
    pub claimed_at: Timestamp,
    /// When the handler began, if it did.
    pub handler_at: Option<Timestamp>,
}

/// What a call of a person or program was about.
#[derive(Clone, Copy, Debug)]
pub enum AdminSubject<'a> {
    /// One job, as it is after.
    Job(&'a Job),
    /// Several jobs.
    Jobs {
        /// How many the call changed.
        count: u64,
        /// The queue that all of them are in, if that was asked for.
        queue: Option<&'a QueueName>,
        /// The contexts that they were enqueued with, each once, or the first of them.
        enqueued: &'a [SpanContext],
        /// How many jobs have other contexts than those.
        unlinked: u64,
    },
    /// A queue.
    Queue(&'a QueueName),
    /// A kind of jobs.
    Kind(&'a Kind),
    /// Limits.
    Limits {
        /// What the limit is for, if it is one alone.
        scope: Option<&'a Scope>,
        /// How many the call changed.
        count: usize,
    },
    /// Schedules.
    Schedules {
        /// The schedule, if it is one alone.
        name: Option<&'a ScheduleName>,
        /// How many the call changed.
        count: usize,
    },
    /// A schedule that a person or program fired.
    Firing {
        /// The schedule.
        name: &'a ScheduleName,
        /// The job that came of it, or that was there already.
        job: &'a Job,
    },
}

impl AdminSubject<'_> {
    /// What it is, as a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Job(_) | Self::Jobs { .. } => "job",
            Self::Queue(_) => "queue",
            Self::Kind(_) => "kind",
            Self::Limits { .. } => "limit",
            Self::Schedules { .. } | Self::Firing { .. } => "schedule",
        }
    }
}

/// A call of a person or program.
#[derive(Clone, Copy, Debug)]
pub struct AdminFacts<'a> {
    /// The context of the span.
    pub context: &'a SpanContext,
    /// The span that called, if any.
    pub parent: Option<SpanId>,
    /// What: `cancel`, `retry`, `discard`, `prune`, `pause`, `resume`, `set`, `put`, `remove`,
    /// `trigger`.
    pub verb: &'static str,
    /// What it was about.
    pub subject: AdminSubject<'a>,
    /// When the call began.
    pub started_at: Timestamp,
    /// When the store had answered.
    pub ended_at: Timestamp,
}

/// The start of a daemon.
#[derive(Clone, Copy, Debug)]
pub struct DaemonFacts<'a> {
    /// The context of the span.
    pub context: &'a SpanContext,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// When the program began.
    pub started_at: Timestamp,
    /// When it listened.
    pub ready_at: Timestamp,
}

/// A request to a daemon that was answered.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The context of the span.
    pub context: &'a SpanContext,
    /// The span that called, if any.
    pub parent: Option<SpanId>,
    /// The span of the daemon's start, if it was sampled.
    pub daemon: Option<&'a SpanContext>,
    /// The method.
    pub method: &'a str,
    /// The path as the daemon's table has it, if it is there.
    pub route: Option<&'a str>,
    /// The path as it was sent, without its query.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// When the request was there.
    pub started_at: Timestamp,
    /// When the answer was.
    pub ended_at: Timestamp,
}
