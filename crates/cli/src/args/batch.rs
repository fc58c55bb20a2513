//! The words about batches of jobs.

use clap::{Args, Subcommand};
use longshore_core::{BatchId, Kind, QueueName};

use super::Names;

/// The words of `enqueue` about a batch.
#[derive(Debug, Args)]
pub(crate) struct BatchWords {
    /// Makes the lines one batch, of the id that is given or made up, and prints the id; repeating
    /// with the same id and lines goes on where a call stopped. At most 1,000,000 lines.
    #[arg(
        long,
        value_name = "ID",
        num_args = 0..=1,
        require_equals = true,
        requires = "lines",
        conflicts_with_all = ["unique_key", "unique_args"]
    )]
    pub(crate) batch: Option<Option<BatchId>>,
    /// Enqueues a job of this kind once all jobs of the batch are over, however; its args are
    /// {"batch":"ID"}.
    #[arg(long, value_name = "KIND", requires = "batch")]
    pub(crate) on_end: Option<Kind>,
    /// Enqueues a job of this kind once all jobs of the batch have completed; never, if one is
    /// cancelled or discarded.
    #[arg(long, value_name = "KIND", requires = "batch")]
    pub(crate) on_success: Option<Kind>,
    /// The line that those wait in [default: that of the batch].
    #[arg(long, value_name = "Q", requires = "batch")]
    pub(crate) callback_queue: Option<QueueName>,
}

/// `batches …`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "`longshore enqueue --lines FILE --batch` makes one; `longshore jobs list --batch \
    ID` lists its jobs. A batch is kept for a week after it is over. See `longshore docs batches`."
)]
pub(crate) enum Batches {
    /// Lists batches and how far each is, in the order of their ids.
    List(List),
    /// Shows how far a batch is, what follows it, and which of its jobs did not succeed.
    #[command(after_help = "Example: longshore batches show import-2026-05")]
    Show(Names<BatchId>),
}

/// `batches list`.
#[derive(Debug, Args)]
#[command(after_help = "Example: longshore batches list --limit 20")]
pub(crate) struct List {
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Only those whose ids come after this one.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<BatchId>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
