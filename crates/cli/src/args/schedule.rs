//! The words of `schedule`.

use std::time::Duration;

use clap::{Args, Subcommand};
use longshore_core::schedule::CatchUp;
use longshore_core::{Kind, QueueName, ScheduleName};

use super::{CallerWords, ChangedNames, JobWords, Names, Plain};
use crate::text::parse_duration;

/// `schedule …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Has a job enqueued again and again, or changes when and which.
    Add(Box<Add>),
    /// Lists schedules with their next and last times.
    #[command(after_help = "Example: longshore schedule list")]
    List(Plain),
    /// Shows a schedule and its next times.
    #[command(after_help = "Example: longshore schedule show nightly")]
    Show(Names<ScheduleName>),
    /// Removes schedules; the jobs they have enqueued stay.
    #[command(after_help = "Example: longshore schedule remove nightly")]
    Remove(ChangedNames<ScheduleName>),
    /// Lets schedules rest: what passes meanwhile is not caught up.
    #[command(after_help = "Example: longshore schedule pause nightly")]
    Pause(ChangedNames<ScheduleName>),
    /// Lets schedules go on with their next time.
    #[command(after_help = "Example: longshore schedule resume nightly")]
    Resume(ChangedNames<ScheduleName>),
    /// Enqueues the job of a schedule now, beside its times.
    Trigger(Trigger),
}

/// `schedule add`.
#[derive(Debug, Args)]
#[command(
    after_help = "CRON is five fields, minute, hour, day of month, month and day of week, or \
    six with the second first; or @hourly, @daily, @weekly, @monthly, @yearly; or `@every 90m`. \
    Quote it. A field is `*`, a value, a range `a-b`, a step `*/n`, or a list with commas. \
    Any worker of the store fires it, whatever queues it serves. See `longshore docs schedules`.\n\n\
    Example: longshore schedule add nightly '30 2 * * MON-FRI' reports report '{\"pages\":3}' \
    --zone Europe/Berlin"
)]
pub(crate) struct Add {
    /// Its name: one that is there already is changed.
    pub(crate) name: ScheduleName,
    /// When it fires, such as '30 2 * * *', @hourly or '@every 10s'.
    pub(crate) cron: String,
    /// The line its jobs wait in.
    pub(crate) queue: QueueName,
    /// What is to be done; the worker's handler has the same name.
    pub(crate) kind: Kind,
    /// The args of its jobs as JSON, at most 4 KiB [default: null].
    #[arg(value_name = "ARGS_JSON", allow_negative_numbers = true)]
    pub(crate) args: Option<String>,
    /// The time zone whose clocks CRON means, such as Europe/Berlin [default: UTC].
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Fires up to this much later than its times, always by the same, so that schedules of one
    /// time do not all fire at once; at most a day.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) jitter: Option<Duration>,
    /// What happens with times that no worker was there for: skip, one (the latest), all (the
    /// latest 100) or all:N.
    #[arg(long, value_name = "POLICY", default_value = "one")]
    pub(crate) catch_up: CatchUp,
    /// Passes a time over while the job of an earlier one is unfinished.
    #[arg(long)]
    pub(crate) alone: bool,
    /// What else is true of its jobs.
    #[command(flatten)]
    pub(crate) job: JobWords,
    /// Stores nothing: shows when it would fire.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
    /// Prints the whole record as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `schedule trigger`.
#[derive(Debug, Args)]
#[command(after_help = "Example: longshore schedule trigger nightly")]
pub(crate) struct Trigger {
    /// The schedule, resting or not.
    pub(crate) name: ScheduleName,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
    /// Prints the whole record of the job as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
