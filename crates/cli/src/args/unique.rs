//! The words of `enqueue` about jobs of which there is to be one at a time.

use std::time::Duration;

use clap::{Args, ValueEnum};
use longshore_core::{OnConflict, UniqueScope};
use longshore_queue::Unique;

use super::choice::one_of;
use crate::text::parse_duration;

/// By which key, for how long, and what happens to a second job.
#[derive(Debug, Args)]
pub(crate) struct UniqueWords {
    /// At most one job of the queue has this key at a time, of 1 to 200 bytes: a second one with
    /// the same kind and args prints the id of the first, one with others is an error.
    #[arg(
        long,
        value_name = "K",
        visible_alias = "unique",
        conflicts_with = "lines"
    )]
    unique_key: Option<String>,
    /// The same with a key made of kind and args.
    #[arg(long, conflicts_with = "unique_key")]
    unique_args: bool,
    /// Until when a job has its key: `end`, until it is over, or `start`, until it first runs
    /// [default: end].
    #[arg(long, value_name = "start|end", hide_possible_values = true)]
    unique_until: Option<Until>,
    /// Has it for so long after it was enqueued instead, completed or not, such as 24h.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        conflicts_with = "unique_until"
    )]
    unique_for: Option<Duration>,
    /// What a second job does: `reject` (an error, unless kind and args are the same), `keep` the
    /// first as it is, or `replace` its args, its time and its priority while it waits
    /// [default: reject].
    #[arg(
        long,
        value_name = "reject|keep|replace",
        value_parser = one_of::<OnConflict, _>(["reject", "keep", "replace"]),
        hide_possible_values = true
    )]
    on_conflict: Option<OnConflict>,
}

/// Until when a job has its key.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Until {
    Start,
    End,
}

impl UniqueWords {
    /// What they say; `None` if nothing.
    ///
    /// # Errors
    /// Words about a key, and none that says which.
    pub(crate) fn unique(&self) -> Result<Option<Unique>, &'static str> {
        let unique = match (&self.unique_key, self.unique_args) {
            (Some(key), _) => Unique::by_key(key),
            (None, true) => Unique::by_args(),
            (None, false) => {
                let words = self.unique_until.is_some() || self.unique_for.is_some();
                return if words || self.on_conflict.is_some() {
                    Err(
                        "--unique-until, --unique-for and --on-conflict are about a unique key: add \
                         --unique-key K or --unique-args",
                    )
                } else {
                    Ok(None)
                };
            }
        };
        let scope = match (self.unique_until, self.unique_for) {
            (_, Some(window)) => UniqueScope::Window(window),
            (Some(Until::Start), None) => UniqueScope::Waiting,
            (Some(Until::End) | None, None) => UniqueScope::Unfinished,
        };
        let on_conflict = self.on_conflict.unwrap_or_default();
        Ok(Some(unique.scoped(scope).on_conflict(on_conflict)))
    }
}
