//! Traces and stories.

mod diff;

pub use diff::{Diff, DiffQuery, DiffRow, DiffSide};

use std::time::Duration;

use longshore_core::{Timestamp, TraceId};
use longshore_trace::{Chart, CriticalPath, TraceSummary};
use serde::{Deserialize, Serialize};

use crate::job::Job;

/// Which traces to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TracesQuery {
    /// The search, in the language of `docs/search.md`; all if empty.
    pub search: String,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Most traces of the page; 100 if not given, at most 1,000.
    pub limit: Option<usize>,
    /// What changed since this, instead of what there is: the `as_of` of an earlier answer.
    pub changed_since: Option<String>,
    /// Whether traces are listed that have to do with other stores alone; else those of the store
    /// that is open, and those of which nobody said.
    pub all_stores: bool,
    /// Whether to answer within a moment, by what is known so far, where a long log is still to be
    /// read: the page then says so.
    pub at_once: bool,
}

/// A page of traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TracesPage {
    /// The traces, newest first.
    pub traces: Vec<TraceSummary>,
    /// Give it to the next call to go on; nothing at the end.
    pub next_cursor: Option<String>,
    /// What to ask for changes since this answer with.
    pub as_of: String,
    /// If the search is an id: where to go at once.
    pub jump: Option<StoryOf>,
    /// Whether what was written down before is still being read, so that asking again may find
    /// more.
    #[serde(default)]
    pub reading: bool,
}

/// Whose story.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoryOf {
    /// All traces of a job, joined.
    Job(String),
    /// A trace, and those it is joined to by links.
    Trace(TraceId),
    /// A trace alone.
    TraceAlone(TraceId),
}

/// A story: its rows, what it comes down to, and the jobs in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Story {
    /// Its rows.
    pub chart: Chart,
    /// What it comes down to.
    pub summary: TraceSummary,
    /// Where its time went: that of the whole trace, or of the job that was asked for.
    pub time: TimeSpent,
    /// The rows of the chart on the critical path, each with how long it was on it, in
    /// seconds. Together that is as long as the chart, but for time of which no row says anything.
    #[serde(with = "shares")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<(u32, f64)>"))]
    pub critical: Vec<(u32, Duration)>,
    /// What is wrong with it, in words a person can act on, the gravest first.
    pub findings: Vec<Finding>,
    /// The job it is about, if the store still has it.
    pub job: Option<Job>,
    /// The other jobs in it: parent, children, of the same batch or correlation id; at most 100.
    pub related: Vec<RelatedJob>,
    /// The time of the look.
    pub as_of: Timestamp,
}

impl Story {
    /// The same story by the clocks as they were: none is corrected, see [`Chart::corrections`].
    #[must_use]
    pub fn as_recorded(mut self) -> Self {
        self.findings
            .retain(|finding| finding.what != Finding::CLOCK);
        let chart = self.chart.uncorrected();
        Self {
            critical: CriticalPath::of(&chart).by_row(),
            chart,
            ..self
        }
    }
}

/// Where time went that the end waited for, in seconds: that of a whole trace, from the beginning of
/// its first span to the end of its last, with all jobs that were waited for; or that of a job, from
/// the first moment it was due to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimeSpent {
    /// All of it.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub total: Duration,
    /// Due, and no worker had it.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub wait: Duration,
    /// In attempts and calls.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub run: Duration,
    /// Between attempts.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub back_off: Duration,
    /// Until the outcome was durable.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub settle: Duration,
}

/// Something about a story that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// What kind: a word, such as `n_plus_one`.
    pub what: String,
    /// In words.
    pub text: String,
    /// The row of the chart where it shows.
    pub row: Option<u32>,
}

impl Finding {
    /// What a finding is called that says which clocks were corrected.
    const CLOCK: &str = "clock";
}

/// A job that has to do with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RelatedJob {
    /// What it is to the other: `parent`, `child`, `correlation` (of the same correlation id),
    /// `batch` (of the same batch) or `trace` (in the same trace, for another reason).
    #[cfg_attr(
        feature = "schema",
        schemars(extend("enum" = ["parent", "child", "correlation", "batch", "trace"]))
    )]
    pub relation: String,
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Its state.
    pub state: String,
    /// Its trace.
    pub trace_id: Option<TraceId>,
}

/// What may follow in a search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Completions {
    /// The byte from which on a suggestion replaces what stands there.
    pub from: usize,
    /// The suggestions, the likeliest first, at most 50.
    pub suggestions: Vec<Suggestion>,
}

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suggestion {
    /// What would stand there.
    pub text: String,
    /// What it means.
    pub about: String,
}

/// Rows and durations in JSON: pairs of a number and seconds.
mod shares {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Share(
        u32,
        #[serde(with = "longshore_core::time::seconds")] Duration,
    );

    pub(super) fn serialize<S: Serializer>(
        shares: &[(u32, Duration)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(shares.iter().map(|(row, time)| Share(*row, *time)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(u32, Duration)>, D::Error> {
        let shares: Vec<Share> = Vec::deserialize(from)?;
        Ok(shares
            .into_iter()
            .map(|Share(row, time)| (row, time))
            .collect())
    }
}
