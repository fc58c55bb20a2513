//! Producers, handlers and workers: the way of a job from the call that enqueues it to the settle
//! that ends it.
//!
//! A [`Producer`] stamps jobs with their trace and hands them to a store. A [`Worker`] claims
//! them, runs the [`Handler`] registered for their kind, and settles what came of it; on the way
//! it hands the facts to `longshore-instrument`, which makes spans of them.

mod admin;
mod attempt;
mod batches;
mod complaints;
mod copy;
mod error;
mod handler;
mod layer;
mod limits;
mod maintenance;
mod meter;
mod pauses;
mod producer;
mod register;
mod request;
mod schedules;
mod storage;
mod unique;
mod worker;

pub use admin::{Admin, Change, Changed, Found, PrunePolicy, PruneRule};
pub use attempt::Attempt;
pub use batches::{Batch, BatchCallback, BatchHandle, BatchStatus, Batches, EnqueuedBatch};
pub use copy::{Contents, Copied, CopyProgress, CopyStep, CopyWatch, StoreCopy};
pub use error::JobError;
pub use handler::{Handler, Raw, RawArgs, RawResult, Typed};
pub use layer::{HandlerCall, HandlerService};
pub use limits::{LimitControl, LimitUse};
pub use maintenance::rescuer::lost_spans;
pub use pauses::PauseNote;
pub use producer::{Producer, Sent};
pub use register::Workers;
pub use request::JobRequest;
pub use schedules::{Put, Schedules};
pub use unique::Unique;
pub use worker::hook::StateChange;
pub use worker::options::{BuildError, WorkerBuilder, WorkerOptions};
pub use worker::report::WorkerReport;
pub use worker::upkeep::Maintenance;
pub use worker::{Worker, WorkerError};
