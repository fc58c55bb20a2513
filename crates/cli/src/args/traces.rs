//! The words of `traces`, and of every verb that looks at traces.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use longshore_core::TraceId;

/// Where the traces and jobs are that a verb looks at.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ViewWords {
    /// Looks at the daemon at this address, such as http://127.0.0.1:7350, instead of the store of
    /// this machine.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) connect: Option<String>,
    /// What the daemon wants to be shown [env: LONGSHORE_TOKEN, which other people of this machine
    /// do not see].
    #[arg(long, value_name = "TOKEN", requires = "connect")]
    pub(crate) token: Option<String>,
    /// Lists the traces of all stores, each with its store: those of several lie in one span log.
    #[arg(long)]
    pub(crate) all_stores: bool,
}

/// `traces …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Traces {
    /// Lists traces, newest first, all or those that a search finds.
    #[command(
        after_help = "A search is words and keys: `longshore docs search`. An id goes to its trace.\n\n\
        Examples:\n  \
        longshore traces list error since:1h\n  \
        longshore traces list queue=orders '>2s' tenant.id=t-17\n  \
        longshore traces list since:1d --sort duration --limit 10\n  \
        longshore traces list running"
    )]
    List(List),
    /// Draws a trace, or all traces of a job joined: where its time went, and what is wrong.
    #[command(after_help = "Examples:\n  \
        longshore traces show 4bf92f3577b34da6a3ce929d0e0e4736\n  \
        longshore traces show JOB_ID --width 160\n  \
        longshore traces show JOB_ID --from 200ms --to 1s")]
    Show(Show),
    /// Prints traces as they begin, go on and end, until it is stopped.
    #[command(after_help = "Examples:\n  \
        longshore traces tail error\n  \
        longshore traces tail queue=orders --format json | jq .trace_id")]
    Tail(Tail),
    /// Says what differs between two traces, or between those that two searches find.
    #[command(
        visible_alias = "compare",
        after_help = "Examples:\n  \
        longshore traces diff 4bf92f35 00f067aa\n  \
        longshore traces diff 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b74bf92f3577b34da6\n  \
        longshore traces diff 'kind=charge until:2026-05-01' 'kind=charge since:1h'"
    )]
    Diff(Diff),
    /// Seals what is over in the span log as Parquet, and deletes what is beyond the bounds, as
    /// workers and the daemon do once a minute.
    #[command(after_help = "Example, where no worker lives long:\n  \
        0 * * * *  longshore traces seal")]
    Seal(Seal),
    /// Brings sealed traces back from the archive (the setting `trace_store.archive`), all of a time
    /// or those files that may hold a trace.
    #[command(after_help = "Example, with what looks into it then:\n  \
        longshore traces fetch 4bf92f3577b34da6a3ce929d0e0e4736 --into back\n  \
        longshore --span-log back traces show 4bf92f3577b34da6a3ce929d0e0e4736")]
    Fetch(Fetch),
}

impl Traces {
    /// Whether it looks at the store that the settings name, and at once.
    pub(crate) const fn looks_at_store(&self) -> bool {
        let view = match self {
            Self::List(verb) => &verb.view,
            Self::Show(verb) => &verb.view,
            Self::Diff(verb) => &verb.view,
            Self::Tail(_) | Self::Seal(_) | Self::Fetch(_) => return false,
        };
        view.connect.is_none()
    }
}

/// `traces list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to search for; several words are one search.
    #[arg(value_name = "SEARCH")]
    pub(crate) search: Vec<String>,
    /// Shows at most this many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Goes on where a page ended.
    #[arg(long, value_name = "C")]
    pub(crate) cursor: Option<String>,
    /// What comes first: those that began last, or, of the newest 10,000 that match, those that
    /// took longest.
    #[arg(long, value_name = "BY", default_value = "started")]
    pub(crate) sort: Sort,
    /// Where to look.
    #[command(flatten)]
    pub(crate) view: ViewWords,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// In which order `traces list` shows traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Those that began last come first.
    Started,
    /// Those that took longest come first.
    Duration,
}

/// `traces show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The traces, by their id or by that of a job, or by how it begins: eight digits or more.
    #[arg(value_name = "TRACE_ID|JOB_ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// Shows each trace alone, without those that it is linked to.
    #[arg(long)]
    pub(crate) alone: bool,
    /// Draws this many columns wide [default: as wide as the terminal, or 100].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub(crate) width: Option<u16>,
    /// Draws the time from so long after the start on alone, such as 1s500ms.
    #[arg(long, value_name = "TIME", value_parser = crate::text::parse_duration)]
    pub(crate) from: Option<Duration>,
    /// Draws the time up to so long after the start alone.
    #[arg(long, value_name = "TIME", value_parser = crate::text::parse_duration)]
    pub(crate) to: Option<Duration>,
    /// Shows times as clocks said them, also where those of several machines contradict each other.
    #[arg(long)]
    pub(crate) as_recorded: bool,
    /// Where to look.
    #[command(flatten)]
    pub(crate) view: ViewWords,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `traces tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// What to search for; several words are one search.
    #[arg(value_name = "SEARCH")]
    pub(crate) search: Vec<String>,
    /// How to print a trace.
    #[arg(long, short, value_name = "F", default_value = "human")]
    pub(crate) format: Format,
    /// Where to look.
    #[command(flatten)]
    pub(crate) view: ViewWords,
}

/// How `traces tail` prints a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line to read.
    Human,
    /// A line of JSON.
    Json,
}

/// `traces diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// What is taken as usual: the id of a trace or of a job, how one begins, or a search.
    #[arg(value_name = "BEFORE")]
    pub(crate) before: String,
    /// What is asked about.
    #[arg(value_name = "AFTER")]
    pub(crate) after: String,
    /// Where to look.
    #[command(flatten)]
    pub(crate) view: ViewWords,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `traces seal`.
#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `traces fetch`.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The trace whose files are brought back; of files of which their filters say that it is not in
    /// them, the ends alone are read.
    #[arg(value_name = "TRACE_ID", required_unless_present = "since", value_parser = trace_id)]
    pub(crate) trace: Option<TraceId>,
    /// Looks at files with spans of this time alone, such as 30d.
    #[arg(long, value_name = "AGO", value_parser = crate::text::parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Looks at files with spans that are older than this alone.
    #[arg(long, value_name = "AGO", value_parser = crate::text::parse_duration)]
    pub(crate) until: Option<Duration>,
    /// Where to: a folder that `--span-log` then names.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) into: PathBuf,
    /// Says which files there are, and brings none.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn trace_id(text: &str) -> Result<TraceId, String> {
    TraceId::from_hex(text).ok_or_else(|| "a trace id has 32 hexadecimal digits".to_owned())
}
