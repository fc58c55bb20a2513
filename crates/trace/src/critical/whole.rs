//! The path of a whole chart, from its last end back to its first beginning.
//!
//! A row waited for the calls within it. What came before its beginning is what caused it: of a row in
//! the life of a job (a wait, an attempt, a back-off) the one before, of the first of those the call
//! that enqueued the job, of all else what it hangs under.

use std::cmp::Reverse;
use std::collections::HashMap;

use longshore_core::Timestamp;

use super::walk::{Candidate, blocking, in_order};
use super::{CriticalPath, Segment, is_of_queue};
use crate::chart::{Chart, Content, Row};

pub(super) fn walk(chart: &Chart) -> CriticalPath {
    let mut back = Back {
        chart,
        at: chart.end(),
        segments: Vec::new(),
        calls: HashMap::new(),
        lives: None,
        ended: None,
    };
    let mut next = last(chart);
    while let Some((index, row)) = next.and_then(|at| Some((at, chart.row(at as usize)?))) {
        // Of the time between a cause and what it caused nothing is known.
        back.spend(None, row.end);
        next = match back.call(index, row) {
            Some((_, end, call)) => {
                back.spend(Some(index), end);
                Some(call)
            }
            None => {
                back.spend(Some(index), row.start);
                back.cause(index, row).or_else(|| back.ended_before())
            }
        };
    }
    back.spend(None, chart.start());
    CriticalPath::from_last(back.segments)
}

/// The row that ended last; of several the one at the top.
fn last(chart: &Chart) -> Option<u32> {
    let rows = chart.rows().iter().zip(0_u32..);
    // A ghost lasts as long as what hangs under it.
    let rows = rows.max_by_key(|(row, at)| (row.end, row.content != Content::Ghost, Reverse(*at)));
    rows.map(|(_, at)| at)
}

/// Whether a row is a part of the life of its job.
fn is_of_life(chart: &Chart, row: &Row) -> bool {
    row.job != 0 && (row.content == Content::Delay || is_of_queue(chart, row))
}

/// What is known on the way back. Since that only leads to earlier moments, what was passed by once
/// need not be looked at again.
struct Back<'c> {
    chart: &'c Chart,
    /// Up to where the path is not known yet.
    at: Timestamp,
    /// The last first.
    segments: Vec<Segment>,
    /// The calls within each row that was come to, that which ended last at the end.
    calls: HashMap<u32, Vec<Candidate>>,
    /// The lives of jobs, likewise.
    lives: Option<HashMap<u32, Vec<Candidate>>>,
    /// All rows, likewise.
    ended: Option<Vec<Candidate>>,
}

impl Back<'_> {
    /// From `from` on the time was spent in this row.
    fn spend(&mut self, row: Option<u32>, from: Timestamp) {
        if from < self.at {
            let to = self.at;
            self.segments.push(Segment { row, from, to });
            self.at = from;
        }
    }

    /// The call that a row waited for last.
    fn call(&mut self, index: u32, row: &Row) -> Option<Candidate> {
        let chart = self.chart;
        let calls = self
            .calls
            .entry(index)
            .or_insert_with(|| in_order(chart, (row.start, row.end), blocking(chart, index)));
        let at = self.at;
        std::iter::from_fn(|| calls.pop()).find(|(_, end, _)| *end <= at)
    }

    /// What has to have been for a row to begin.
    fn cause(&mut self, index: u32, row: &Row) -> Option<u32> {
        if is_of_life(self.chart, row) {
            let before = self.before(row.job);
            if before.is_some() {
                return before;
            }
        }
        let chart = self.chart;
        let is_life = is_of_life(chart, row);
        let mut below = index;
        let mut above = row.parent;
        // Also of a chart that somebody sent, in which it may be anything.
        while let Some(parent) = chart.row(above as usize).filter(|_| above < below) {
            // A wait may hang under the attempt that it led to.
            let own = is_life && parent.job == row.job && is_of_life(chart, parent);
            if !own {
                return Some(above);
            }
            (below, above) = (above, parent.parent);
        }
        None
    }

    /// What came last in the life of a job.
    fn before(&mut self, job: u32) -> Option<u32> {
        let chart = self.chart;
        let lives = self.lives.get_or_insert_with(|| {
            let mut rows: HashMap<u32, Vec<u32>> = HashMap::new();
            for (row, at) in chart.rows().iter().zip(0_u32..) {
                if is_of_life(chart, row) {
                    rows.entry(row.job).or_default().push(at);
                }
            }
            let all = (chart.start(), chart.end());
            let lives = rows.into_iter();
            lives
                .map(|(job, rows)| (job, in_order(chart, all, rows.into_iter())))
                .collect()
        });
        let life = lives.get_mut(&job)?;
        let at = self.at;
        // What of a job comes after another waited for it, even if the worker heard of its end later
        // than the store, whose clock says when the next began.
        let mut before = std::iter::from_fn(|| life.pop());
        let (start, end, row) = before.find(|(start, _, _)| *start < at)?;
        let known = (start, end.min(at));
        self.calls
            .insert(row, in_order(chart, known, blocking(chart, row)));
        Some(row)
    }

    /// What ended last before a root, of which nothing says what caused it.
    fn ended_before(&mut self) -> Option<u32> {
        let chart = self.chart;
        if self.at <= chart.start() {
            return None;
        }
        let ended = self.ended.get_or_insert_with(|| {
            let rows = chart.rows().iter().zip(0_u32..);
            let rows = rows.filter(|(row, _)| row.content != Content::Ghost);
            let all = (chart.start(), chart.end());
            in_order(chart, all, rows.map(|(_, at)| at))
        });
        let at = self.at;
        let mut before = std::iter::from_fn(|| ended.pop());
        before.find(|(_, end, _)| *end <= at).map(|(_, _, row)| row)
    }
}
