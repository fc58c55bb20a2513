//! The words about a job, however it comes to be enqueued.

use std::time::Duration;

use clap::Args;
use longshore_core::Priority;

use crate::text::parse_duration;

/// What is true of a job beside what it does.
#[derive(Debug, Args)]
pub(crate) struct JobWords {
    /// How urgent: 1 first, 4 last [default: 2].
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<Priority>,
    /// Gives up after this many attempts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_attempts: Option<u32>,
    /// Stops an attempt after this time.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// A word to search by; may be repeated.
    #[arg(long = "tag", value_name = "T")]
    pub(crate) tags: Vec<String>,
    /// On whose behalf it runs.
    #[arg(long, value_name = "T")]
    pub(crate) tenant: Option<String>,
    /// Which part of the system it belongs to.
    #[arg(long, value_name = "N")]
    pub(crate) namespace: Option<String>,
}
