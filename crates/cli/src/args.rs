//! The words of the command line.

pub(crate) mod batch;
mod choice;
mod job;
mod jobs;
pub(crate) mod limits;
pub(crate) mod manual;
mod names;
mod queues;
pub(crate) mod schedule;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod traces;
pub(crate) mod tui;
mod unique;
pub(crate) mod workers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};
use longshore_core::{JobId, Kind, QueueName, Relation, Timestamp};

pub(crate) use self::job::JobWords;
pub(crate) use self::jobs::{Changed, Failures, Jobs, List, Prune};
pub(crate) use self::names::{ChangedNames, Names, Paused};
pub(crate) use self::queues::{Drain, Queues};
pub(crate) use self::unique::UniqueWords;
use crate::text::parse_duration;

use choice::one_of;

/// A durable job queue in which every job is a trace.
#[derive(Debug, Parser)]
#[command(
    name = "longshore",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Start with `longshore demo`; `longshore docs` is the manual. Exit codes: 0 done, 1 failed, 2 bad usage, \
    3 drained but some job was discarded, 4 store unavailable."
)]
pub(crate) struct Cli {
    /// Where the jobs are, such as sqlite:jobs.db, postgres://user@host/database, redis://host:6379 or
    /// s3://bucket/prefix
    /// [env: LONGSHORE_STORE] [default: sqlite:, which is a file in the user's data folder]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub(crate) store: Option<String>,
    /// Reads this configuration file instead of the usual ones.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "Everywhere"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Writes spans down in this folder, or nowhere [env: LONGSHORE_TELEMETRY_SPAN_LOG] [default: a
    /// folder of the user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "FOLDER|off",
        value_hint = ValueHint::DirPath,
        help_heading = "Everywhere"
    )]
    pub(crate) span_log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Stores a job, or one job per line of a file.
    Enqueue(Box<Enqueue>),
    /// Runs jobs by giving each to a program.
    Worker(Worker),
    /// Looks at jobs and changes their fate.
    #[command(subcommand, alias = "job")]
    Jobs(Jobs),
    /// Looks at queues, stops and starts them.
    #[command(subcommand, alias = "queue")]
    Queues(Queues),
    /// Looks at batches of jobs.
    #[command(subcommand, alias = "batch")]
    Batches(batch::Batches),
    /// Has jobs enqueued again and again, at times that a cron expression says.
    #[command(subcommand, alias = "schedules")]
    Schedule(schedule::Schedule),
    /// Limits how many jobs run, start and wait, across all workers.
    #[command(subcommand, alias = "limit")]
    Limits(limits::Limits),
    /// Pauses and resumes kinds of jobs, in whatever queue.
    #[command(subcommand, alias = "kind")]
    Kinds(limits::Kinds),
    /// Answers over HTTP, takes spans of other programs, and runs workers: a whole installation in
    /// one process.
    Serve(serve::Serve),
    /// Copies a whole store into another one.
    #[command(subcommand)]
    Store(store::Store),
    /// Lists, draws, follows and compares traces.
    #[command(subcommand, alias = "trace")]
    Traces(traces::Traces),
    /// Lists workers: where they run, how busy they are, when they were last seen.
    Workers(workers::Workers),
    /// Shows traces, jobs, queues, workers and schedules on the terminal, as they are now.
    Tui(tui::Tui),
    /// Runs a small shop on a fresh store and shows one order's trace.
    Demo(Demo),
    /// Shows and checks the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Checks what usually goes wrong.
    Doctor(Doctor),
    /// Prints the documents of this version.
    #[command(alias = "doc")]
    Docs(manual::Docs),
    /// Prints a script that completes words in a shell.
    Completions(manual::Completions),
    /// Writes the manual as pages for `man`.
    Man(manual::Man),
    /// Stops the programs of a worker that was killed; the worker starts it.
    #[command(hide = true)]
    Guard {
        /// Milliseconds between SIGTERM and SIGKILL.
        #[arg(long)]
        grace_ms: u64,
    },
}

/// `enqueue`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    longshore enqueue mail welcome '{\"to\":\"ann\"}' --max-attempts 5\n  \
    longshore enqueue reports nightly --delay 1h --unique-args\n  \
    longshore enqueue thumbs resize --lines pictures.jsonl --tenant acme\n  \
    longshore enqueue thumbs resize --lines pictures.jsonl --batch --on-end notify")]
pub(crate) struct Enqueue {
    /// The line the job waits in.
    pub(crate) queue: QueueName,
    /// What is to be done; the worker's handler has the same name.
    pub(crate) kind: Kind,
    /// The args as JSON, or `-` to take them from stdin as they are [default: null].
    #[arg(value_name = "ARGS_JSON|-", conflicts_with_all = ["args_file", "lines"], allow_negative_numbers = true)]
    pub(crate) args: Option<String>,
    /// Takes the args from a file, as they are.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "lines")]
    pub(crate) args_file: Option<PathBuf>,
    /// Enqueues one job per line of JSON of a file, or of stdin for `-`.
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) lines: Option<PathBuf>,
    /// Its id, instead of one that is made: if a job with this id is there already, whatever its
    /// args, nothing is stored, so that a call can be repeated.
    #[arg(long, value_name = "ID", conflicts_with = "lines")]
    pub(crate) id: Option<JobId>,
    /// Whether the lines belong together.
    #[command(flatten)]
    pub(crate) batch: batch::BatchWords,
    /// Runs it no sooner than after this time, such as 10s or 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "at")]
    pub(crate) delay: Option<Duration>,
    /// Runs it no sooner than at this time, such as 2026-05-01T08:30:00Z.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) at: Option<Timestamp>,
    /// Whether it is to be the only one.
    #[command(flatten)]
    pub(crate) unique: UniqueWords,
    /// What else is true of it.
    #[command(flatten)]
    pub(crate) job: JobWords,
    /// What belongs together across jobs.
    #[arg(long, value_name = "C")]
    pub(crate) correlation_id: Option<String>,
    /// How its trace relates to the caller's.
    #[arg(
        long,
        value_name = "R",
        default_value = "auto",
        value_parser = one_of::<Relation, _>(["parent", "link", "auto"])
    )]
    pub(crate) relation: Relation,
    /// A pair to search by; may be repeated.
    #[arg(long = "meta", value_name = "K=V", value_parser = parse_pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
    /// Prints the whole record as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The trace context of whoever calls; where nothing is typed, that of the environment.
#[derive(Debug, Default, Args)]
pub(crate) struct CallerWords {
    /// The W3C trace context of the caller [default: TRACEPARENT of the environment].
    #[arg(long, value_name = "TP")]
    pub(crate) traceparent: Option<String>,
    /// The W3C trace state that belongs to it.
    #[arg(long, value_name = "TS", hide = true)]
    pub(crate) tracestate: Option<String>,
    /// The W3C baggage that belongs to it.
    #[arg(long, value_name = "B", hide = true)]
    pub(crate) baggage: Option<String>,
}

/// `worker`.
#[derive(Debug, Args)]
#[command(
    after_help = "The program's exit code says what becomes of the job: 0 completed, 65 discarded, \
    75 not yet, others retried. `longshore docs cli` says what it sees.\n\n\
    Examples:\n  \
    longshore worker --queue thumbs --concurrency 4 --exec ./resize.sh\n  \
    longshore worker --queue mail,reports --metrics 9464 --exec 'python3 work.py'\n  \
    longshore worker --queue thumbs --drain --exec 'cat >&2; echo done'"
)]
pub(crate) struct Worker {
    /// Takes jobs from these queues.
    #[arg(
        long = "queue",
        value_name = "Q[,Q]",
        required = true,
        value_delimiter = ','
    )]
    pub(crate) queues: Vec<QueueName>,
    /// Runs this many jobs at once [default: one per processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) concurrency: Option<u32>,
    /// Another worker may take a job over this long after this one vanished [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lease: Option<Duration>,
    /// Stops an attempt after this time, unless the job itself says.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Serves metrics to Prometheus here: HOST:PORT, or a port of this machine's loopback device
    /// [env: LONGSHORE_WORKER_METRICS].
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<String>,
    /// Stops when nothing is waiting, scheduled or running any more.
    #[arg(long)]
    pub(crate) drain: bool,
    /// The program to run for every job, through `sh -c`: args on stdin, result on stdout. It may
    /// write its progress, 0 to 100, to $LONGSHORE_PROGRESS_FILE, and what the next attempt is to
    /// find to $LONGSHORE_CHECKPOINT_FILE.
    #[arg(long, value_name = "PROGRAM ARG...", value_hint = ValueHint::CommandString)]
    pub(crate) exec: String,
    /// Prints what it did as JSON when it stops.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A verb without words of its own.
#[derive(Debug, Args)]
pub(crate) struct Plain {
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example: longshore demo --orders 20 --folder ./shop")]
pub(crate) struct Demo {
    /// Keeps the store in this folder [default: a new one among the temporary files].
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
    /// How many orders the shop gets.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) orders: u32,
    /// Prints the summary as JSON instead of tables and a waterfall.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Shows every value and where it came from.
    #[command(after_help = "Example: longshore config show --config staging.toml")]
    Show(Plain),
    /// Fails if a value is wrong or a key unknown.
    #[command(after_help = "Example: longshore config check && systemctl restart workers")]
    Check(Plain),
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is wrong is said with a command that mends it, or a first step to. Ends \
    with 1 if there is a problem, with 2 if it is that there is no store where one is named or that a \
    setting is wrong, with 4 if it is that the store cannot be reached, with 0 if there are only \
    warnings.\n\n\
    Example: longshore doctor --lock-file ../shop/Cargo.lock"
)]
pub(crate) struct Doctor {
    /// Looks for two OpenTelemetry versions in this lock file.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        default_value = "Cargo.lock"
    )]
    pub(crate) lock_file: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_of_a_thing_is_as_good_as_many() {
        for verb in ["job", "queue", "batch", "schedules", "limit", "kind"] {
            let understood = Cli::try_parse_from(["longshore", verb, "list"]);
            assert!(understood.is_ok(), "{verb}: {}", understood.unwrap_err());
        }
    }

    #[test]
    fn args_may_begin_with_a_hyphen_and_stdin_is_one() {
        let cli = Cli::try_parse_from(["longshore", "enqueue", "q", "k", "-1", "--json"]).unwrap();
        let Command::Enqueue(enqueue) = cli.command else {
            panic!("not enqueue");
        };
        assert_eq!((enqueue.args.as_deref(), enqueue.json), (Some("-1"), true));
    }
}
