//! What the daemon, the command line and the terminal UI say to each other: the records they
//! exchange, and [`Backend`], behind which a store of this machine or a daemon elsewhere stands.
//!
//! Records are JSON. Every key is always there, `null` where there is nothing to say; keys are
//! added, never renamed or removed. Errors of jobs are redacted before they become a record.

pub mod answer;
pub mod backend;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod job;
pub mod json;
pub mod otlp;
pub mod query;
pub mod queue;
pub mod schedule;
pub mod trace;
pub mod worker;

pub use backend::{About, Backend};
#[cfg(feature = "client")]
pub use client::{ClientOptions, HttpClient};
pub use error::ApiError;
pub use json::Json;
pub use query::Query;
