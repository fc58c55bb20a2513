//! The words of `jobs`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use longshore_core::batch::METADATA_BATCH;
use longshore_core::{BatchId, JobFilter, JobId, JobState, Kind, QueueName, Timestamp};

use super::choice::one_of;
use super::{CallerWords, Names, parse_pair};
use crate::text::parse_duration;

/// What is true of all that change jobs by a filter.
const BY_FILTER: &str = "Name jobs by id, or say which by a filter. Without --state, cancel and \
    discard take what is not over, retry takes what failed: retryable and discarded. A filter \
    works in small steps; if it is interrupted, the same command does the rest.";

/// `jobs …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Lists jobs, newest first.
    #[command(after_help = "Examples:\n  \
        longshore jobs list --state discarded,retryable --queue mail\n  \
        longshore jobs list --enqueued-after 2h --error 'connection refused'\n  \
        longshore jobs list --tenant acme --limit 1000 --json\n  \
        longshore jobs show $(longshore jobs list --state discarded --limit 1 --ids)")]
    List(Box<List>),
    /// Shows the life of a job: every attempt, its wait, its end and its trace.
    #[command(
        after_help = "Of an id, as many digits as tell it from others are enough, eight at \
        least.\n\n\
        Examples:\n  \
        longshore jobs show 019ed6a2-5d3c-7b1e-8f00-3a5b1c2d4e6f\n  \
        longshore jobs show 019ed6a2-5d"
    )]
    Show(Names<JobId>),
    /// Shows what goes wrong: the errors of jobs, those that are alike as one.
    Failures(Box<Failures>),
    /// Cancels jobs: a waiting one at once, a running one as soon as its worker hears of it.
    #[command(after_help = format!("{BY_FILTER}\n\nExamples:\n  \
        longshore jobs cancel 019ed6a2-5d3c-7b1e-8f00-3a5b1c2d4e6f\n  \
        longshore jobs cancel --kind send_mail --tenant acme --dry-run"))]
    Cancel(Box<Changed>),
    /// Makes jobs run again now, discarded ones included.
    #[command(after_help = format!("{BY_FILTER}\n\nExamples:\n  \
        longshore jobs retry --error-class timeout --enqueued-after 6h --dry-run\n  \
        longshore jobs retry --state discarded --kind send_mail --yes"))]
    Retry(Box<Changed>),
    /// Gives jobs up as failed: a waiting one at once, a running one as soon as its worker hears
    /// of it.
    #[command(after_help = format!("{BY_FILTER}\n\nExamples:\n  \
        longshore jobs discard 019ed6a2-5d3c-7b1e-8f00-3a5b1c2d4e6f\n  \
        longshore jobs discard --kind resize --meta picture=cat.png --yes"))]
    Discard(Box<Changed>),
    /// Deletes jobs that are over, as the settings say or as you do. Workers do it by themselves.
    Prune(Prune),
}

/// Which jobs. Every word that is given must match.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which jobs")]
pub(crate) struct Filter {
    /// Only in these states.
    #[arg(
        long = "state",
        value_name = "S[,S]",
        value_delimiter = ',',
        value_parser = one_of::<JobState, _>(JobState::ALL.map(JobState::as_str))
    )]
    pub(crate) states: Vec<JobState>,
    /// Only of this queue.
    #[arg(long, value_name = "Q")]
    pub(crate) queue: Option<QueueName>,
    /// Only of this kind.
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<Kind>,
    /// Only with this tag.
    #[arg(long, value_name = "T")]
    pub(crate) tag: Option<String>,
    /// Only with this pair.
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub(crate) meta: Option<(String, String)>,
    /// Only members of this batch.
    #[arg(long, value_name = "ID", conflicts_with = "meta")]
    pub(crate) batch: Option<BatchId>,
    /// Only of this tenant.
    #[arg(long, value_name = "T")]
    pub(crate) tenant: Option<String>,
    /// Only of this namespace.
    #[arg(long, value_name = "N")]
    pub(crate) namespace: Option<String>,
    /// Only with this correlation id.
    #[arg(long, value_name = "C")]
    pub(crate) correlation_id: Option<String>,
    /// Only enqueued since then: a time such as 2026-05-01T08:30:00Z, or a time ago such as 2h.
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) enqueued_after: Option<When>,
    /// Only enqueued before then: a time, or a time ago such as 7d.
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) enqueued_before: Option<When>,
    /// Only whose last attempt failed with a message that contains this, as it was stored.
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,
    /// Only whose last attempt failed with an error of this class, such as timeout or exit_1.
    #[arg(long, value_name = "CLASS")]
    pub(crate) error_class: Option<String>,
}

impl Filter {
    /// The filter, for a store whose time is `now`.
    pub(crate) fn at(self, now: Timestamp) -> JobFilter {
        let at = |when: When| match when {
            When::At(time) => time,
            When::Ago(age) => now.before(age),
        };
        let batch = self.batch;
        let batch = batch.map(|id| (METADATA_BATCH.to_owned(), id.to_string()));
        JobFilter {
            states: self.states,
            queue: self.queue,
            kind: self.kind,
            tag: self.tag,
            metadata: self.meta.or(batch),
            tenant_id: self.tenant,
            namespace: self.namespace,
            correlation_id: self.correlation_id,
            enqueued_after: self.enqueued_after.map(at),
            enqueued_before: self.enqueued_before.map(at),
            error_class: self.error_class,
            error_text: self.error,
        }
    }

    /// Whether no word was given.
    pub(crate) fn is_empty(&self) -> bool {
        let texts = [
            &self.tag,
            &self.tenant,
            &self.namespace,
            &self.correlation_id,
            &self.error,
            &self.error_class,
        ];
        self.states.is_empty()
            && self.queue.is_none()
            && self.kind.is_none()
            && self.meta.is_none()
            && self.batch.is_none()
            && self.enqueued_after.or(self.enqueued_before).is_none()
            && texts.iter().all(|text| text.is_none())
    }
}

/// A time, by itself or back from now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(Timestamp),
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.parse().map(Self::At);
        at.or_else(|_no_time| parse_duration(text).map(Self::Ago))
            .map_err(|_no_age| {
                "write a time such as 2026-05-01T08:30:00Z, or a time ago such as 90s, 2h or 7d"
                    .to_owned()
            })
    }
}

/// `jobs list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Which jobs.
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many [default: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: Option<u32>,
    /// Goes on where an earlier page ended.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    /// Prints their ids alone, one a line, for other programs.
    #[arg(long, conflicts_with = "json")]
    pub(crate) ids: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `jobs failures`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --state it looks at jobs that failed and run again or do not: \
    retryable and discarded.\n\n\
    Examples:\n  \
    longshore jobs failures\n  \
    longshore jobs failures --queue mail --enqueued-after 1d --limit 5"
)]
pub(crate) struct Failures {
    /// Which jobs.
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many kinds of failures, those of most attempts.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Jobs by id or by filter whose fate changes.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    /// The ids, or how they begin; or none, and a filter.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<JobId>,
    /// Which jobs.
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// With a filter: says how many and shows some, and changes nothing.
    #[arg(long, help_heading = None)]
    pub(crate) dry_run: bool,
    /// With a filter: does it for more than one job without being asked, on a terminal.
    #[arg(long, short, help_heading = None)]
    pub(crate) yes: bool,
    /// Prints JSON: a line per id, or one for the filter.
    #[arg(long, help_heading = None)]
    pub(crate) json: bool,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
}

/// `jobs prune`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --older-than and --keep the settings `prune.*` say what goes. Jobs \
    that are not over never go.\n\n\
    Examples:\n  \
    longshore jobs prune --dry-run\n  \
    longshore jobs prune --state completed --older-than 1h --yes"
)]
pub(crate) struct Prune {
    /// Only in these states.
    #[arg(
        long = "state",
        value_name = "S[,S]",
        value_delimiter = ',',
        value_parser = one_of::<JobState, _>(["completed", "cancelled", "discarded"])
    )]
    pub(crate) states: Vec<JobState>,
    /// Deletes those that were over longer ago than this, such as 7d.
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Deletes those that are not among so many of their state that were over last.
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<u64>,
    /// Says how many would go, and deletes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does it for more than one job without being asked, on a terminal.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
}
