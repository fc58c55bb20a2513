//! Traces and stories.

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
    /// Where its time went.
    pub time: TimeSpent,
    /// The rows of the chart on the critical path, each with how long it was on it, in
    /// seconds.
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
        let about = self.job.as_ref().map(|job| &job.id);
        let mut jobs = chart.jobs().iter().zip(0_u32..).skip(1);
        let about = jobs.find(|(job, _)| Some(*job) == about);
        let path = match about {
            Some((_, job)) => CriticalPath::of_job(&chart, job),
            None => CriticalPath::of(&chart),
        };
        Self {
            critical: path.by_row(),
            chart,
            ..self
        }
    }
}

/// Where the time of a job went, from the first moment it was due to its end,
/// in seconds.
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
    /// In its handler.
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

/// Two sides to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// What is taken as usual.
    pub before: DiffSide,
    /// What is asked about.
    pub after: DiffSide,
    /// Whether searches find traces that have to do with other stores alone.
    #[serde(default)]
    pub all_stores: bool,
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiffSide {
    /// A trace.
    Trace(TraceId),
    /// The traces that match a search, the newest [`DiffSide::MOST`] of them.
    Search(String),
}

impl DiffSide {
    /// Most traces of a side.
    pub const MOST: usize = 200;
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diff {
    /// How many traces stand on the first side.
    pub before: usize,
    /// How many on the second.
    pub after: usize,
    /// How much longer the second is; less than nothing if it is shorter. In nanoseconds.
    pub delta_nanos: i64,
    /// Between which differences 95 of a hundred comparisons of such groups would lie; if 0 is among
    /// them, the difference may be chance. Absent if a side has fewer than 10 traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_range_nanos: Option<(i64, i64)>,
    /// Place by place, what explains most of the difference first.
    pub rows: Vec<DiffRow>,
}

/// A place in both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffRow {
    /// Its services and names from the root down, each as `service name`.
    pub path: Vec<String>,
    /// Spans there on the first side, by trace, times 100.
    pub count_before: u64,
    /// Spans there on the second side, by trace, times 100.
    pub count_after: u64,
    /// Self time on the first side, by trace.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub self_before: Duration,
    /// Self time on the second side, by trace.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub self_after: Duration,
    /// How many failed there on the first side, by trace, times 100.
    pub errors_before: u64,
    /// How many failed there on the second side, by trace, times 100.
    pub errors_after: u64,
    /// Which share of the difference this explains, in percent; may be less than nothing or more
    /// than a hundred.
    pub explains_percent: i32,
    /// Between which percentages 95 of a hundred comparisons of such groups would lie. Absent if the
    /// difference itself may be chance, and for places that explain little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explains_range_percent: Option<(i32, i32)>,
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
