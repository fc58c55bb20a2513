//! A story with what drawing and jumping need, derived once.

use std::time::Duration;

use longshore_api::trace::Story;
use longshore_core::Timestamp;
use longshore_instrument::table::name;
use longshore_trace::Chart;
use longshore_trace::chart::{Content, Marks, Row};
use longshore_trace::timeline::Interval;

/// Most stretches of time that are kept to find gaps in; those closer to each other than the
/// whole time by this many are one.
const STRETCHES: u64 = 4_096;

/// A story that is ready to be shown.
#[derive(Debug)]
pub struct Prepared {
    story: Story,
    start: Timestamp,
    end: Timestamp,
    /// How many rows before each one failed.
    errors: Vec<u32>,
    critical: Vec<(u32, Duration)>,
    busy: Vec<Interval>,
    waiting: Vec<Interval>,
    running: bool,
}

impl Prepared {
    /// Prepares a story.
    #[must_use]
    pub fn new(mut story: Story) -> Self {
        let rows = story.chart.rows();
        let (start, end) = (story.chart.start(), story.chart.end());
        let mut errors = Vec::with_capacity(rows.len() + 1);
        let mut failed = 0;
        for row in rows {
            errors.push(failed);
            failed += u32::from(row.marks.has(Marks::ERROR));
        }
        errors.push(failed);
        let mut critical = std::mem::take(&mut story.critical);
        critical.sort_by_key(|(row, _)| *row);
        let (busy, waiting) = stretches(&story.chart, start, end);
        let running = story.chart.rows().iter().any(is_open);
        Self {
            story,
            start,
            end,
            errors,
            critical,
            busy,
            waiting,
            running,
        }
    }

    pub(crate) fn story(&self) -> &Story {
        &self.story
    }

    pub(crate) fn chart(&self) -> &Chart {
        &self.story.chart
    }

    /// The time after the start of the story, in nanoseconds.
    pub(crate) fn offset(&self, at: Timestamp) -> u64 {
        u64::try_from(at.since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// From the first start to the last end, which is now if anything runs.
    pub(crate) fn whole(&self) -> Duration {
        self.end.since(self.start)
    }

    /// The whole time, in nanoseconds.
    pub(crate) fn length(&self) -> u64 {
        self.offset(self.end)
    }

    /// How many rows failed among `from` and those up to, but not with, `to`.
    pub(crate) fn errors(&self, from: usize, to: usize) -> u32 {
        let before = |at: usize| self.errors.get(at).or(self.errors.last()).copied();
        let (from, to) = (before(from).unwrap_or(0), before(to).unwrap_or(0));
        to.saturating_sub(from)
    }

    /// How long the path that decided the end led through rows `from` up to, not with, `to`.
    pub(crate) fn critical(&self, from: usize, to: usize) -> Duration {
        let first = self
            .critical
            .partition_point(|(row, _)| (*row as usize) < from);
        let on = self.critical.iter().skip(first);
        let on = on.take_while(|(row, _)| (*row as usize) < to);
        on.map(|(_, time)| *time)
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Whether a critical path is known.
    pub(crate) fn has_critical(&self) -> bool {
        !self.critical.is_empty()
    }

    /// When anything ran.
    pub(crate) fn busy(&self) -> &[Interval] {
        &self.busy
    }

    /// When a job was due and nothing ran yet.
    pub(crate) fn waiting(&self) -> &[Interval] {
        &self.waiting
    }

    /// Whether anything in it has not ended.
    pub(crate) fn running(&self) -> bool {
        self.running
    }
}

/// Whether a row has not ended.
pub(crate) fn is_open(row: &Row) -> bool {
    row.marks.has(Marks::OPEN) || row.content == Content::Running
}

/// Whether a row is time in the queue.
pub(crate) fn is_wait(chart: &Chart, row: &Row) -> bool {
    row.content == Content::Wait
        || (row.content == Content::Span && chart.name(row) == name::DEQUEUE)
}

fn stretches(chart: &Chart, start: Timestamp, end: Timestamp) -> (Vec<Interval>, Vec<Interval>) {
    let (mut busy, mut waiting) = (Vec::new(), Vec::new());
    let offset = |at: Timestamp| u64::try_from(at.since(start).as_nanos()).unwrap_or(u64::MAX);
    let near = offset(end) / STRETCHES;
    for row in chart.rows() {
        let interval = Interval {
            from: offset(row.start),
            to: offset(row.end),
        };
        match row.content {
            _ if is_wait(chart, row) => waiting.push(interval),
            Content::Ghost | Content::Wait | Content::Delay | Content::BackOff => {}
            Content::Span | Content::LostLease | Content::Running | Content::Attempt => {
                busy.push(interval);
            }
        }
    }
    (union(busy, near), union(waiting, near))
}

/// Sorted, and those that are no further apart than `near` joined.
fn union(mut intervals: Vec<Interval>, near: u64) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|interval| interval.from);
    let mut merged: Vec<Interval> = Vec::new();
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.from <= last.to.saturating_add(near) => {
                last.to = last.to.max(interval.to);
            }
            _ => merged.push(interval),
        }
    }
    merged
}
