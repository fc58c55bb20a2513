//! The words of `store`.

use clap::{Args, Subcommand};

/// `store …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Copies all that a store has into an empty one of whatever kind, and compares the two.
    Copy(Copy),
}

/// `store copy`.
#[derive(Debug, Args)]
#[command(
    after_help = "Jobs that wait and jobs that are over, schedules, limits, pauses and batches go with \
    their ids, times, attempts and traces. No job may run at the source, and nobody should work at \
    either store meanwhile: stop the workers, or pause the queues, and wait until nothing runs. A copy \
    that was interrupted is repeated by the same command. See \
    `longshore docs moving`.\n\n\
    Examples:\n  \
    longshore store copy sqlite:jobs.db postgres://app@db/shop --dry-run\n  \
    longshore store copy sqlite:jobs.db postgres://app@db/shop --wait"
)]
pub(crate) struct Copy {
    /// The store to read; it stays as it is.
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// The store to copy to: one that no job was ever in.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// Waits until nothing runs at the source, instead of refusing.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Reads the source, looks whether the target is empty, and copies nothing. A target that is
    /// not there is not made.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints what both stores have as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
