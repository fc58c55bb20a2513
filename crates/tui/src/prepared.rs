//! A story with what drawing and jumping need, derived once.

use std::collections::HashSet;
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
    /// The jobs that wait, those that are due first.
    waits: Vec<String>,
    /// Time before a job was due that the end waited for.
    delayed: Duration,
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
        let waits = jobs_that_wait(&story.chart);
        let delayed = delayed(&story.chart, &critical);
        Self {
            story,
            start,
            end,
            errors,
            critical,
            busy,
            waiting,
            running,
            waits,
            delayed,
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

    /// The ids of the jobs that wait to be run, or to be run again: first those that are due.
    pub(crate) fn waits(&self) -> &[String] {
        &self.waits
    }

    /// How many jobs wait besides the one that the story is about.
    pub(crate) fn others_wait(&self) -> usize {
        let about = self.story.job.as_ref().map(|job| job.id.as_str());
        let about = about.or_else(|| self.story.summary.job_ids.first().map(String::as_str));
        let others = self.waits.iter();
        others.filter(|id| Some(id.as_str()) != about).count()
    }

    /// How much of the time between attempts was before the first one: wanted so by the sender.
    pub(crate) fn delayed(&self) -> Duration {
        self.delayed.min(self.story.time.back_off)
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

/// Whether a row says that a job waits now, be it due or not.
pub(crate) fn is_waiting(row: &Row) -> bool {
    let rests = matches!(
        row.content,
        Content::Wait | Content::Delay | Content::BackOff
    );
    rests && is_open(row)
}

fn jobs_that_wait(chart: &Chart) -> Vec<String> {
    let rows = || chart.rows().iter().filter(|row| is_waiting(row));
    let due = rows().filter(|row| row.content == Content::Wait);
    let later = rows().filter(|row| row.content != Content::Wait);
    let mut known = HashSet::new();
    let ids = due.chain(later).filter_map(|row| chart.job(row));
    ids.filter(|id| known.insert(*id))
        .map(str::to_owned)
        .collect()
}

/// Time before jobs were due: that on the critical path, or all if there is no time between attempts.
fn delayed(chart: &Chart, critical: &[(u32, Duration)]) -> Duration {
    let is = |row: &Row, content| row.content == content;
    if !(chart.rows().iter()).any(|row| is(row, Content::BackOff)) {
        return Duration::MAX;
    }
    let times = critical.iter().filter(|(at, _)| {
        let row = chart.row(*at as usize);
        row.is_some_and(|row| is(row, Content::Delay))
    });
    times
        .map(|(_, time)| *time)
        .fold(Duration::ZERO, Duration::saturating_add)
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
