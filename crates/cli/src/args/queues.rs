//! The words of `queues`.

use std::time::Duration;

use clap::{Args, Subcommand};
use longshore_core::QueueName;

use super::{ChangedNames, Paused, Plain};
use crate::text::parse_duration;

/// `queues …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// Lists queues with their counts by state.
    #[command(after_help = "Example: longshore queues list")]
    List(Plain),
    /// Stops queues: workers take no more jobs from them. What runs goes on.
    #[command(after_help = "Examples:\n  \
        longshore queues pause mail reports\n  \
        longshore queues pause mail --reason 'the mail server is moved'")]
    Pause(Paused<ChangedNames<QueueName>>),
    /// Starts queues again.
    #[command(after_help = "Example: longshore queues resume mail reports")]
    Resume(ChangedNames<QueueName>),
    /// Waits until nothing of the queues is waiting, scheduled or running; of a paused one, until
    /// nothing runs. Runs no jobs itself.
    #[command(after_help = "Example: longshore queues drain mail --timeout 10m")]
    Drain(Drain),
}

/// `queues drain`.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The queues.
    #[arg(value_name = "QUEUE", required = true)]
    pub(crate) queues: Vec<QueueName>,
    /// Gives up after this time, and ends with 1.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
