//! The nouns of Longshore and the contract between its parts.
//!
//! A [`Job`] travels from a producer through a [`Store`] to a worker. Everything here is a plain
//! value or a pure decision about values: this crate does no I/O, starts no task and knows no
//! telemetry library. The way through the house is in `ARCHITECTURE.md`; what every store must
//! hold is in `docs/store-contract.md`.
//!
//! | to find | look in |
//! | --- | --- |
//! | what a job is, and what a producer hands in | [`job`], [`new_job`] |
//! | which state follows which | [`state`], [`transition`] |
//! | what a store must do | [`store`], [`claim`], [`error`] |
//! | how a job comes from another store, and whether all came | [`import`], [`digest`] |
//! | what a store asks its server for | [`round_trip`] |
//! | what is wrong where a store lies | [`complaint`] |
//! | how a store of tables keeps what most jobs have none of | [`rare_fields`] |
//! | which of the waiting jobs a claim takes | [`waiting`] |
//! | when a failed attempt runs again | [`retry`] |
//! | how many jobs of a group may run, start or wait | [`limit`] |
//! | what happens again and again, and when | [`schedule`] |
//! | jobs that belong together, and what follows them | [`batch`] |
//! | which workers there are | [`register`] |
//! | the W3C trace context that travels with a job | [`trace_context`], [`envelope`] |
//! | time, randomness and ids | [`time`], [`clock`], [`id`] |

pub mod address;
pub mod attempt;
pub mod batch;
pub mod claim;
pub mod clock;
pub mod complaint;
pub mod digest;
pub mod envelope;
pub mod error;
pub mod failure;
pub mod id;
pub mod import;
pub mod job;
pub mod lease;
pub mod limit;
pub mod name;
pub mod new_job;
pub mod page;
pub mod pause;
pub mod prune;
pub mod rare_fields;
pub mod register;
pub mod requests;
pub mod retry;
pub mod round_trip;
pub mod schedule;
#[cfg(feature = "schema")]
mod schema;
pub mod state;
pub mod store;
pub mod time;
pub mod trace_context;
pub mod transition;
pub mod unique;
pub mod waiting;

pub use attempt::{AttemptError, AttemptOutcome, AttemptRecord};
pub use claim::{Allowance, ClaimRequest, Group, Quota, Spread};
pub use clock::{Clock, Random, SystemClock, SystemRandom};
pub use complaint::{Complaint, Severity};
pub use envelope::{EnqueueStub, Keep, Relation, TraceEnvelope};
pub use error::{ErrorKind, StoreError};
pub use id::{JobId, SpanId, TraceId, WorkerId};
pub use import::{Import, Imported};
pub use job::Job;
pub use lease::{Beat, BeatAnswer, Lease, LeaseToken};
pub use name::{BatchId, InvalidName, Kind, QueueName, ScheduleName};
pub use new_job::{NewJob, Place, Priority};
pub use page::{JobFilter, JobPage, QueueStats};
pub use prune::PruneRequest;
pub use retry::{Backoff, RetryPolicy};
pub use state::JobState;
pub use store::{
    Claimed, Document, DocumentEntry, Enqueued, Outcome, Rescued, Settled, Settlement, Store,
    StoreInfo,
};
pub use time::Timestamp;
pub use trace_context::{Baggage, SpanContext, TraceFlags, TraceState};
pub use transition::StopRequest;
pub use unique::{OnConflict, UniqueKey, UniqueScope};
