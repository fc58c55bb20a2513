//! The path within a row or a job.

use std::cmp::Reverse;

use longshore_core::Timestamp;

use super::{CriticalPath, Segment};
use crate::chart::{Chart, Marks};

/// The children that a row waits for.
pub(super) fn blocking(chart: &Chart, row: u32) -> impl Iterator<Item = u32> {
    let children = chart.children(row as usize);
    children.filter_map(|child| {
        let row = chart.row(child)?;
        let waited_for = !row.marks.has(Marks::ASYNC);
        waited_for.then(|| u32::try_from(child).ok()).flatten()
    })
}

/// Start, end and index of a row, cut to a window.
pub(super) type Candidate = (Timestamp, Timestamp, u32);

/// Rows cut to a window, that which ended last at the end.
pub(super) fn in_order(
    chart: &Chart,
    (from, to): (Timestamp, Timestamp),
    rows: impl Iterator<Item = u32>,
) -> Vec<Candidate> {
    let cut = |at: u32| {
        let row = chart.row(at as usize)?;
        let (start, end) = (row.start.max(from), row.end.min(to));
        (start < end).then_some((start, end, at))
    };
    let mut rows: Vec<Candidate> = rows.filter_map(cut).collect();
    // Of those that ended together the one that began first was waited for longest.
    rows.sort_by_key(|(start, end, at)| (*end, Reverse(*start), Reverse(*at)));
    rows
}

/// A row whose part of the path is being found.
struct Frame {
    row: Option<u32>,
    from: Timestamp,
    /// Up to where the path is not known yet.
    to: Timestamp,
    /// What it may have waited for, cut to its own time, that which ended last at the end.
    children: Vec<Candidate>,
}

impl Frame {
    fn new(
        chart: &Chart,
        row: Option<u32>,
        (from, to): (Timestamp, Timestamp),
        children: impl Iterator<Item = u32>,
    ) -> Self {
        Self {
            row,
            from,
            to,
            children: in_order(chart, (from, to), children),
        }
    }
}

/// The path of `row` within a window, of what may be waited for there.
pub(super) fn walk(
    chart: &Chart,
    row: Option<u32>,
    window: (Timestamp, Timestamp),
    children: impl Iterator<Item = u32>,
) -> CriticalPath {
    let mut segments: Vec<Segment> = Vec::new();
    let mut add = |row, from: Timestamp, to: Timestamp| {
        if from < to {
            segments.push(Segment { row, from, to });
        }
    };
    let mut stack = vec![Frame::new(chart, row, window, children)];
    while let Some(frame) = stack.last_mut() {
        let next = std::iter::from_fn(|| frame.children.pop());
        let to = frame.to;
        // What of a job comes after another waited for it, even if the worker heard of its end
        // later than the store, whose clock says when the next began.
        let in_turn = frame.row.is_none();
        let next = next
            .into_iter()
            .find(|(start, end, _)| *end <= to || (in_turn && *start < to));
        let Some((start, end, child)) = next else {
            add(frame.row, frame.from, frame.to);
            stack.pop();
            continue;
        };
        let end = end.min(to);
        add(frame.row, end, to);
        frame.to = start;
        let below = Frame::new(chart, Some(child), (start, end), blocking(chart, child));
        stack.push(below);
    }
    CriticalPath::from_last(segments)
}
