//! The words of `limits` and `kinds`.

use clap::{Args, Subcommand, ValueEnum};
use longshore_core::Kind;
use longshore_core::limit::{Rate, Scope};

use super::{CallerWords, ChangedNames, Paused, Plain};

/// `limits …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// Sets limits of a queue, a kind, a tenant or every tenant; those not named stay.
    Set(Set),
    /// Removes limits of a queue, a kind, a tenant or every tenant.
    Remove(Remove),
    /// Lists limits, and what is held against them.
    #[command(after_help = "Example: longshore limits list")]
    List(Plain),
}

/// `limits set`.
#[derive(Debug, Args)]
#[command(
    after_help = "SCOPE is queue:NAME, kind:NAME, tenant:NAME, or `tenants` for each tenant that \
    has no limit of its own. RATE is a number, a slash and a period: 10/s, 100/15m, 1000/h. \
    Workers and producers of the store, on whatever machine, go by a change within a second; jobs \
    that run go on. See `longshore docs limits`.\n\n\
    Examples:\n  \
    longshore limits set queue:mail --concurrency 5\n  \
    longshore limits set kind:call_bank --rate 100/m --burst 10\n  \
    longshore limits set tenants --concurrency 2\n  \
    longshore limits set queue:mail --length 100000 --fair"
)]
pub(crate) struct Set {
    /// What is limited, such as queue:mail.
    pub(crate) scope: Scope,
    /// Most jobs that run at once, over all workers.
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<u32>,
    /// How many jobs start in a time, over all workers, such as 10/s.
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// How many may start at once after a quiet time [default: as many as the rate's number].
    #[arg(long, value_name = "N")]
    pub(crate) burst: Option<u32>,
    /// Most unfinished jobs in a queue; producers are refused beyond.
    #[arg(long, value_name = "N")]
    pub(crate) length: Option<u64>,
    /// How many jobs producers may put into a queue in a time; they are refused beyond.
    #[arg(long, value_name = "RATE")]
    pub(crate) enqueue_rate: Option<Rate>,
    /// How many they may put in at once after a quiet time.
    #[arg(long, value_name = "N", requires = "enqueue_rate")]
    pub(crate) enqueue_burst: Option<u32>,
    /// Tenants take turns in a queue, however many jobs one of them has waiting.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) fair: Option<bool>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
}

/// A limit of a scope.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Which {
    /// Most jobs that run at once.
    Concurrency,
    /// How many start in a time.
    Rate,
    /// Most unfinished jobs of a queue.
    Length,
    /// How many producers may put into a queue in a time.
    EnqueueRate,
    /// Tenants take turns.
    Fair,
}

/// `limits remove`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    longshore limits remove queue:mail rate\n  \
    longshore limits remove tenants")]
pub(crate) struct Remove {
    /// What is limited, such as queue:mail.
    pub(crate) scope: Scope,
    /// Which limits [default: all of the scope; a kind that is paused stays so].
    #[arg(value_name = "LIMIT")]
    pub(crate) which: Vec<Which>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
}

/// `kinds …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Kinds {
    /// Lists the kinds that are paused, since when, by whom and why.
    #[command(after_help = "Example: longshore kinds list")]
    List(Plain),
    /// Starts no more jobs of kinds, in whatever queue; those that run go on.
    #[command(after_help = "Examples:\n  \
        longshore kinds pause call_bank\n  \
        longshore kinds pause call_bank --reason 'pays twice'")]
    Pause(Paused<ChangedNames<Kind>>),
    /// Starts jobs of kinds again.
    #[command(after_help = "Example: longshore kinds resume call_bank")]
    Resume(ChangedNames<Kind>),
}
