//! What the daemon, the command line and the terminal UI say to each other: the records they
//! exchange, and [`Backend`], behind which a store of this machine or a daemon elsewhere stands.
//!
//! Records are JSON. Every key is always there, `null` where there is nothing to say; keys are
//! added, never renamed or removed. Errors of jobs are redacted before they become a record.

pub mod backend;
pub mod error;
pub mod job;
pub mod json;
pub mod queue;
pub mod schedule;
pub mod trace;
pub mod worker;

pub use backend::{About, Backend};
pub use error::ApiError;
pub use json::Json;
