//! A trace or a story in columns, ready to be drawn: what the terminal UI, the command line and
//! the API show.

mod build;
pub(crate) mod record;
mod skew;

pub use skew::Correction;
use skew::Moved;

use longshore_core::{SpanId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

/// The rows of a trace, or of the traces of one job joined, in the order in which they are read:
/// every parent before its children, siblings by start.
///
/// Texts that repeat are held once, and attributes are not held at all: they are looked up for the
/// span that somebody opens. So a trace of a million spans fits into about 100 MB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Chart {
    traces: Vec<TraceId>,
    names: Vec<String>,
    services: Vec<String>,
    jobs: Vec<String>,
    rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<Correction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moved: Vec<Moved>,
}

/// A row of a [`Chart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// What it stands for.
    pub content: Content,
    /// The index of its trace among [`Chart::traces`].
    pub trace: u32,
    /// The id of its span; of a row that stands for no span, that of the span it belongs to.
    pub span_id: SpanId,
    /// The index of its name among the chart's names.
    pub name: u32,
    /// The index, among the chart's names, of what tells it from others of its name: `#2` of a second
    /// attempt, the kind of a job that is enqueued; 0 if there is nothing to tell.
    pub detail: u32,
    /// The index, among the chart's names, of what went wrong; 0 if nothing did or nobody said.
    pub error: u32,
    /// The index of its service among the chart's services.
    pub service: u32,
    /// The index of its job among [`Chart::jobs`]; 0 if it is about none.
    pub job: u32,
    /// The index of the row above it; its own for one at the top.
    pub parent: u32,
    /// The index after its last descendant.
    pub subtree_end: u32,
    /// How many ancestors it has.
    pub depth: u16,
    /// What is special about it.
    pub marks: Marks,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, never before `start`; of what is still open, the time of the look.
    pub end: Timestamp,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A span.
    Span,
    /// A span that others name as their parent but that is not there.
    Ghost,
    /// The time a job was due and no worker had it, from the job's record.
    Wait,
    /// The time before a job was first due, because its sender wanted it later.
    Delay,
    /// The time between two attempts.
    BackOff,
    /// An attempt whose worker vanished, from the job's record.
    LostLease,
    /// An attempt that runs now, from the job's record.
    Running,
    /// An attempt that has ended and has no span, from the job's record.
    Attempt,
}

/// What is special about a row, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Marks(u16);

impl Marks {
    /// It failed.
    pub const ERROR: Self = Self(1);
    /// It has not ended.
    pub const OPEN: Self = Self(1 << 1);
    /// It hangs where it is by a link and not by its parent.
    pub const LINKED: Self = Self(1 << 2);
    /// Its own parent was among its descendants, so that it was cut loose.
    pub const CUT_LOOSE: Self = Self(1 << 3);
    /// It was made from records after its process had vanished.
    pub const REBUILT: Self = Self(1 << 4);
    /// Its clock was corrected, so that it stands elsewhere than it was recorded.
    pub const CORRECTED: Self = Self(1 << 5);
    /// It began before its parent or after that had ended, or ended after it on another service,
    /// though its parent waited for it: their clocks disagree, or one of them is wrong.
    pub const OUTSIDE: Self = Self(1 << 6);
    /// What it hangs under did not wait for it: a consumer, or time in a queue.
    pub const ASYNC: Self = Self(1 << 7);
    /// It asks a database.
    pub const DATABASE: Self = Self(1 << 8);

    /// These and those.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These but for those.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of `others` are among these.
    #[must_use]
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl Chart {
    /// The traces it shows, the first one that of the chart's first row.
    #[must_use]
    pub fn traces(&self) -> &[TraceId] {
        &self.traces
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row at `index`.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&Row> {
        self.rows.get(index)
    }

    /// What a row is called.
    #[must_use]
    pub fn name(&self, row: &Row) -> &str {
        self.names.get(row.name as usize).map_or("", String::as_str)
    }

    /// What tells a row from others of its name; empty if there is nothing to tell.
    #[must_use]
    pub fn detail(&self, row: &Row) -> &str {
        self.names
            .get(row.detail as usize)
            .map_or("", String::as_str)
    }

    /// What went wrong in a row, as a word such as `timeout`; empty if nothing did or nobody said.
    #[must_use]
    pub fn error(&self, row: &Row) -> &str {
        self.names
            .get(row.error as usize)
            .map_or("", String::as_str)
    }

    /// The ids of the jobs that its rows are about; the first is empty and stands for none.
    #[must_use]
    pub fn jobs(&self) -> &[String] {
        &self.jobs
    }

    /// The id of the job that a row is about.
    #[must_use]
    pub fn job(&self, row: &Row) -> Option<&str> {
        let job = self.jobs.get(row.job as usize)?;
        (!job.is_empty()).then_some(job)
    }

    /// The service a row comes from; empty if nobody said.
    #[must_use]
    pub fn service(&self, row: &Row) -> &str {
        self.services
            .get(row.service as usize)
            .map_or("", String::as_str)
    }

    /// The trace of a row.
    #[must_use]
    pub fn trace(&self, row: &Row) -> Option<TraceId> {
        self.traces.get(row.trace as usize).copied()
    }

    /// When its first row began.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        let starts = self.rows.iter().map(|row| row.start);
        starts.min().unwrap_or_default()
    }

    /// When its last row ended.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let ends = self.rows.iter().map(|row| row.end);
        ends.max().unwrap_or_default()
    }

    /// The rows right under the row at `index`, from the top.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> {
        let end = self.row(index).map_or(0, |row| row.subtree_end as usize);
        let within = move |at: usize| (at < end).then_some(at);
        std::iter::successors(within(index + 1), move |at| within(self.after(*at)?))
    }

    /// The rows under no other, from the top.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        let within = |at: usize| (at < self.rows.len()).then_some(at);
        std::iter::successors(within(0), move |at| within(self.after(*at)?))
    }

    /// The index after the last descendant of the row at `index`. Always greater, also in a chart that
    /// somebody sent.
    pub(crate) fn after(&self, index: usize) -> Option<usize> {
        Some((self.row(index)?.subtree_end as usize).max(index + 1))
    }

    /// The row of a span.
    #[must_use]
    pub fn find(&self, trace: TraceId, span: SpanId) -> Option<usize> {
        self.rows.iter().position(|row| {
            row.span_id == span && row.content == Content::Span && self.trace(row) == Some(trace)
        })
    }
}
