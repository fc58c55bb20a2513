//! The critical path: which row, at each moment, the end was waiting for.
//!
//! It is found from the end backwards: of the rows that ended before the current moment, the one that
//! ended last is what was waited for; what it waited for is found in the same way within it. Unlike
//! the critical path of a call, that of a job crosses the queue: its wait, its back-offs and its
//! settles are on it, and so are those of the jobs that it enqueued, if the end waited for them.

mod walk;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::name;

use crate::chart::record::OVER;
use crate::chart::{Chart, Content, Marks, Row};

/// What the end waited for, from the first moment to the last, without gaps or overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    segments: Vec<Segment>,
}

/// A stretch of time, and the row that it was spent in: in none of that row's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The row; `None` where no row says what happened.
    pub row: Option<u32>,
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub to: Timestamp,
}

/// Where the time of a critical path went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// All of it.
    pub total: Duration,
    /// Due, and no worker had it.
    pub wait: Duration,
    /// In an attempt, or, without jobs, in any span.
    pub run: Duration,
    /// Between attempts.
    pub back_off: Duration,
    /// Until the outcome of an attempt was durable.
    pub settle: Duration,
}

impl CriticalPath {
    /// The path of a whole chart, from the beginning of its first row to the end of its last: through
    /// the jobs that jobs enqueued, with the waits, back-offs and settles of each that is on it. So it
    /// is exactly as long as the chart.
    #[must_use]
    pub fn of(chart: &Chart) -> Self {
        whole::walk(chart)
    }

    /// The path of the job with this index among [`Chart::jobs`], from the first moment it was due to
    /// the end of its last attempt. Empty if no row is about that.
    #[must_use]
    pub fn of_job(chart: &Chart, job: u32) -> Self {
        let rows = || {
            let rows = chart.rows().iter().zip(0_u32..);
            rows.filter(move |(row, _)| row.job == job && is_of_queue(chart, row))
        };
        let from = rows().map(|(row, _)| row.start).min();
        let to = rows().map(|(row, _)| row.end).max();
        match from.zip(to) {
            Some(window) => walk::walk(chart, None, window, rows().map(|(_, index)| index)),
            None => Self::default(),
        }
    }

    /// The path within one row: what its own latency waited for. What nobody waited for, such as
    /// the jobs that it enqueued, is not on it.
    #[must_use]
    pub fn of_row(chart: &Chart, row: u32) -> Self {
        match chart.row(row as usize) {
            Some(of) => walk::walk(
                chart,
                Some(row),
                (of.start, of.end),
                walk::blocking(chart, row),
            ),
            None => Self::default(),
        }
    }

    /// Of stretches from the last to the first, of which those that touch become one.
    fn from_last(mut segments: Vec<Segment>) -> Self {
        segments.reverse();
        segments.dedup_by(|next, before| {
            let same = next.row == before.row && next.from == before.to;
            if same {
                before.to = next.to;
            }
            same
        });
        Self { segments }
    }

    /// Its stretches, in the order of time.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// From its first moment to its last.
    #[must_use]
    pub fn total(&self) -> Duration {
        let first = self.segments.first().map(|segment| segment.from);
        let last = self.segments.last().map(|segment| segment.to);
        let times = last.zip(first);
        times.map_or(Duration::ZERO, |(last, first)| last.since(first))
    }

    /// The rows on it, from the top, each with the time that it was spent in.
    #[must_use]
    pub fn by_row(&self) -> Vec<(u32, Duration)> {
        let mut rows: BTreeMap<u32, Duration> = BTreeMap::new();
        for segment in &self.segments {
            if let Some(row) = segment.row {
                let time = rows.entry(row).or_default();
                *time = time.saturating_add(segment.to.since(segment.from));
            }
        }
        rows.into_iter().collect()
    }

    /// Where its time went: that of every job on it together. What no row says is in the total alone.
    #[must_use]
    pub fn spent(&self, chart: &Chart) -> Spent {
        let mut spent = Spent {
            total: self.total(),
            ..Spent::default()
        };
        let settles = settles(chart);
        for segment in &self.segments {
            let Some(row) = segment.row else { continue };
            let is_settle = || {
                let next = settles.partition_point(|(_, end)| *end <= row);
                settles.get(next).is_some_and(|(start, _)| *start <= row)
            };
            let part = match chart.row(row as usize) {
                Some(of) if is_pause(of) && chart.name(of) == OVER => continue,
                Some(of) if is_wait(chart, of) => &mut spent.wait,
                Some(of) if is_pause(of) => &mut spent.back_off,
                _ if is_settle() => &mut spent.settle,
                _ => &mut spent.run,
            };
            *part = part.saturating_add(segment.to.since(segment.from));
        }
        spent
    }
}

fn is_pause(row: &Row) -> bool {
    matches!(row.content, Content::BackOff | Content::Delay)
}

/// The rows of settles and of what hangs under them, as ranges from the top.
fn settles(chart: &Chart) -> Vec<(u32, u32)> {
    let mut found: Vec<(u32, u32)> = Vec::new();
    for (row, index) in chart.rows().iter().zip(0_u32..) {
        let within = found.last().is_some_and(|(_, end)| index < *end);
        if !within && chart.name(row) == name::SETTLE {
            found.push((index, row.subtree_end.max(index + 1)));
        }
    }
    found
}

/// Whether a row is the time that a job waited for a worker.
#[must_use]
pub fn is_wait(chart: &Chart, row: &Row) -> bool {
    row.content == Content::Wait || row.content == Content::Span && chart.name(row) == name::DEQUEUE
}

/// Whether a row is an attempt of a job.
#[must_use]
pub fn is_attempt(chart: &Chart, row: &Row) -> bool {
    match row.content {
        Content::Attempt | Content::LostLease | Content::Running => true,
        Content::Span => chart.name(row) == name::PROCESS,
        Content::Ghost | Content::Wait | Content::Delay | Content::BackOff => false,
    }
}

/// Whether the life of a job is made of such rows.
fn is_of_queue(chart: &Chart, row: &Row) -> bool {
    row.content == Content::BackOff || is_wait(chart, row) || is_attempt(chart, row)
}

/// The index of the job that a chart is about: that of the attempt nearest to a root, else of an
/// enqueue span; `None` if it is about none.
#[must_use]
pub fn subject(chart: &Chart) -> Option<u32> {
    let of_jobs = || chart.rows().iter().filter(|row| row.job != 0);
    let attempts = of_jobs().filter(|row| is_attempt(chart, row));
    let nearest = attempts.min_by_key(|row| row.depth);
    let nearest = nearest.or_else(|| of_jobs().min_by_key(|row| row.depth));
    nearest.map(|row| row.job)
}

/// How long each row ran while none of the children did that it waited for.
#[must_use]
pub fn self_times(chart: &Chart) -> Vec<Duration> {
    let rows = chart.rows();
    let mut own: Vec<Duration> = rows.iter().map(|row| row.end.since(row.start)).collect();
    // Up to where children that came before cover their parent; siblings come by start.
    let mut covered: Vec<Timestamp> = rows.iter().map(|row| row.start).collect();
    for (index, row) in rows.iter().enumerate() {
        let parent = row.parent as usize;
        let (Some(above), Some(upto)) = (rows.get(parent), covered.get_mut(parent)) else {
            continue;
        };
        if parent == index || row.marks.has(Marks::ASYNC) {
            continue;
        }
        let (from, to) = (row.start.max(*upto), row.end.min(above.end));
        if let Some(own) = own.get_mut(parent).filter(|_| from < to) {
            *own = own.saturating_sub(to.since(from));
            *upto = to;
        }
    }
    own
}
