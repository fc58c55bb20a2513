//! The trace is part of every feature: real jobs run through the real queue, and the spans that
//! come out are compared, as a printed tree, with the file of the case's name in `trees/`.
//!
//! After a change that is meant, `LONGSHORE_WRITE_TREES=1` writes the files anew; read the
//! difference before you keep it.
#![expect(clippy::unwrap_used, reason = "a broken promise is a failed test")]

mod administered;
mod ahead;
mod batches;
mod endings;
mod governed;
mod handed_on;
mod hooks;
mod kept;
mod layers;
#[cfg(feature = "otel")]
mod live_layers;
mod lost;
mod measured;
#[cfg(feature = "otel")]
mod programs;
mod register;
mod relations;
#[cfg(feature = "otel")]
mod running;
#[cfg(feature = "otel")]
mod sampled;
mod schedules;
mod sending;
#[cfg(all(feature = "otel", feature = "sqlite"))]
mod served;
mod settles;
mod storage;
mod unique;
mod urgent;
mod world;
