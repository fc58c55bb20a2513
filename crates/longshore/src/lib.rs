#![doc = include_str!("lib.md")]

mod connect;
pub mod testing;

pub use connect::connect;
pub use longshore_core as core;
pub use longshore_core::batch::{
    CallbackKind, Counts as BatchCounts, End as MemberEnd, State as BatchState,
};
pub use longshore_core::limit::{Limit, LimitRefused, Limits, Rate, Scope};
pub use longshore_core::register::{WorkerEntry, WorkerState};
pub use longshore_core::schedule::{CatchUp, Cron, Schedule, Scheduled, Timetable, Zone};
pub use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, BatchId, Enqueued, ErrorKind, Job, JobFilter,
    JobId, JobState, OnConflict, Priority, QueueStats, Relation, RetryPolicy, ScheduleName,
    SpanContext, Store, StoreError, Timestamp, UniqueKey, UniqueScope,
};
pub use longshore_instrument as instrument;
pub use longshore_instrument::{Recorder, SpanBuffer};
pub use longshore_memory::MemoryStore;
#[cfg(any(feature = "s3", feature = "gs", feature = "az"))]
pub use longshore_object as object;
#[cfg(any(feature = "s3", feature = "gs", feature = "az"))]
pub use longshore_object::{ObjectOptions, RemoteStore};
#[cfg(feature = "postgres")]
pub use longshore_postgres as postgres;
#[cfg(feature = "postgres")]
pub use longshore_postgres::{PostgresOptions, PostgresStore};
pub use longshore_queue::{
    Admin, Attempt, Batch, BatchCallback, BatchHandle, BatchStatus, Batches, BuildError, Change,
    Changed, EnqueuedBatch, Found, Handler, HandlerCall, HandlerService, JobError, JobRequest,
    LimitControl, LimitUse, PauseNote, Producer, PrunePolicy, PruneRule, Put, RawArgs, RawResult,
    Schedules, StateChange, Unique, Worker, WorkerBuilder, WorkerError, WorkerOptions,
    WorkerReport, Workers,
};
#[cfg(feature = "redis")]
pub use longshore_redis as redis;
#[cfg(feature = "redis")]
pub use longshore_redis::{RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use longshore_sqlite as sqlite;
#[cfg(feature = "sqlite")]
pub use longshore_sqlite::{SqliteOptions, SqliteStore};
#[cfg(feature = "otel")]
pub use longshore_telemetry as otel;
pub use longshore_trace as trace;

/// The README's program compiles.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So do those of the guide to batches.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/batches.md")]
struct BatchesGuide;

/// So does that of the guide to unique keys.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/unique.md")]
struct UniqueGuide;

/// And that of the guide to layers.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/middleware.md")]
struct MiddlewareGuide;
