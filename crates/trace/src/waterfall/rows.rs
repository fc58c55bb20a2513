//! What each row stands for, and its label.

use std::ops::Range;

use longshore_core::Timestamp;

use super::{Glyphs, STACKED};
use crate::chart::{self, Chart, Content, Marks};
use crate::critical::{is_attempt, is_wait};
use crate::duration;
use crate::fold::fold;
use crate::text::{Line, Style, fit, printable, width};
use crate::timeline::Interval;

/// A row of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows.
    pub showing: Showing,
    /// The rows of the chart that it stands for; every one of those belongs to exactly one row.
    pub rows: Range<usize>,
    /// How many ancestors it has.
    pub depth: usize,
    /// Whether no sibling follows.
    pub last: bool,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// One row of the chart.
    Row,
    /// So many siblings of one name, with all that hangs under them.
    Fold(usize),
}

/// The rows of a chart, from the top.
pub(super) fn rows(chart: &Chart) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut index = 0;
    while let Some(of) = chart.row(index) {
        let fold = fold(chart, index);
        let (showing, range, after) = match fold {
            Some(fold) => (Showing::Fold(fold.count), index..fold.end, fold.end),
            None => {
                let after = chart.after(index).unwrap_or(index + 1);
                (Showing::Row, index..index + 1, after)
            }
        };
        let last = chart.row(after).is_none_or(|next| next.depth != of.depth);
        index = range.end;
        rows.push(Row {
            showing,
            rows: range,
            depth: of.depth.into(),
            last,
        });
    }
    rows
}

/// The rows that reach into a window, and those above them.
pub(super) fn within(chart: &Chart, rows: Vec<Row>, window: Interval) -> Vec<Row> {
    let start = chart.start();
    let mut kept: Vec<Row> = Vec::new();
    // How deep the rows above those that are kept already are, from the bottom.
    let mut above = 0;
    for row in rows.into_iter().rev() {
        let (from, to) = times(chart, &row);
        let time = Interval {
            from: super::offset(from, start),
            to: super::offset(to, start),
        };
        let is_above = row.depth < above;
        if !is_above && time.within(window).is_none() {
            continue;
        }
        let next = kept.iter().rev().find(|next| next.depth <= row.depth);
        let last = next.is_none_or(|next| next.depth < row.depth);
        above = row.depth;
        kept.push(Row { last, ..row });
    }
    kept.reverse();
    kept
}

/// From when to when a row goes.
pub(super) fn times(chart: &Chart, row: &Row) -> (Timestamp, Timestamp) {
    let siblings = siblings(chart, row);
    let start = siblings.clone().map(|row| row.start).min();
    let end = siblings.map(|row| row.end).max();
    (start.unwrap_or_default(), end.unwrap_or_default())
}

/// The rows of the chart that a row draws: its own, not what hangs under them.
pub(super) fn siblings<'c>(
    chart: &'c Chart,
    row: &Row,
) -> impl Iterator<Item = &'c chart::Row> + Clone {
    let rows = chart.rows().get(row.rows.clone()).unwrap_or_default();
    let depth = row.depth;
    rows.iter()
        .filter(move |row| usize::from(row.depth) == depth)
}

/// How many of the rows of the chart failed that a row stands for, and with what the first.
pub(super) fn failures<'c>(chart: &'c Chart, row: &Row) -> (usize, &'c str) {
    let rows = chart.rows().get(row.rows.clone()).unwrap_or_default();
    let failed = rows.iter().filter(|row| row.marks.has(Marks::ERROR));
    let class = failed.clone().next().map(|row| chart.error(row));
    let class = class.filter(|class| !class.is_empty());
    (failed.count(), class.unwrap_or("error"))
}

/// How long a row took, as text; nothing for a ghost, of which nobody knows.
pub(super) fn duration_text(chart: &Chart, row: &Row, glyphs: Glyphs) -> String {
    let first = chart.row(row.rows.start);
    if first.is_some_and(|row| row.content == Content::Ghost) {
        return String::new();
    }
    let (start, end) = times(chart, row);
    glyphs.duration(&duration::format(end.since(start)))
}

/// The left part of a row.
#[derive(Clone, Debug)]
pub(super) struct Label {
    guide: String,
    text: String,
    detail: String,
    style: Style,
}

impl Label {
    pub(super) fn width(&self) -> usize {
        let gap = usize::from(!self.detail.is_empty());
        width(&self.guide) + width(&self.text) + gap + width(&self.detail)
    }

    /// Draws it into `room` columns.
    pub(super) fn draw(&self, line: &mut Line, room: usize, glyphs: Glyphs) {
        line.push(&fit(&self.guide, room, ""), Style::Dim);
        let left = room.saturating_sub(line.used());
        line.push(&fit(&self.text, left, glyphs.more()), self.style);
        let left = room.saturating_sub(line.used() + 1);
        if !self.detail.is_empty() && left >= width(&self.detail).min(6) {
            line.push(" ", Style::Plain);
            line.push(&fit(&self.detail, left, glyphs.more()), Style::Dim);
        }
    }
}

/// The style of a row's duration.
pub(super) const fn duration_style(label: &Label) -> Style {
    match label.style {
        Style::Bold => Style::Plain,
        other => other,
    }
}

/// The labels of all rows for a drawing `total` columns wide.
pub(super) fn labels(chart: &Chart, rows: &[Row], glyphs: Glyphs, total: usize) -> Vec<Label> {
    let step = if total >= 90 { 3 } else { 2 };
    let room = if total < STACKED {
        total * 2 / 3
    } else {
        total * 2 / 5
    };
    let levels = (room.saturating_sub(16) / step).max(2);
    let mut open: Vec<bool> = Vec::new();
    let mut labels = Vec::with_capacity(rows.len());
    for row in rows {
        open.truncate(row.depth);
        open.resize(row.depth, false);
        let guide = guide(&open, row.last, levels, step, glyphs);
        open.push(!row.last);
        let (text, detail, style) = words(chart, row, glyphs);
        labels.push(Label {
            guide,
            text,
            detail,
            style,
        });
    }
    labels
}

/// The lines that lead to a row from its ancestors; of deep ones only the nearest.
fn guide(open: &[bool], last: bool, levels: usize, step: usize, glyphs: Glyphs) -> String {
    let Some(above) = open.get(1..) else {
        return String::new();
    };
    let hidden = (above.len() + 1).saturating_sub(levels);
    let mut guide = String::new();
    let wide = step == 3;
    if hidden > 0 {
        guide.push_str(glyphs.more());
    }
    for open in above.iter().skip(hidden) {
        guide.push_str(match (open, wide) {
            (true, true) => glyphs.pick("│  ", "|  "),
            (true, false) => glyphs.pick("│ ", "| "),
            (false, true) => "   ",
            (false, false) => "  ",
        });
    }
    guide.push_str(match (last, wide) {
        (true, true) => glyphs.pick("└─ ", "`- "),
        (true, false) => glyphs.pick("└ ", "`-"),
        (false, true) => glyphs.pick("├─ ", "|- "),
        (false, false) => glyphs.pick("├ ", "|-"),
    });
    guide
}

/// What a row is called, what is said beside it, and in which style.
fn words(chart: &Chart, row: &Row, glyphs: Glyphs) -> (String, String, Style) {
    let Some(of) = chart.row(row.rows.start) else {
        return (String::new(), String::new(), Style::Dim);
    };
    let (name, told) = (chart.name(of), chart.detail(of));
    let (called, told) = match of.content {
        Content::Ghost if name.is_empty() => {
            let short = of.span_id.to_string().chars().take(8).collect();
            ("parent not received".to_owned(), short)
        }
        _ if is_attempt(chart, of) && !told.is_empty() => (format!("{name} {told}"), String::new()),
        _ => (name.to_owned(), told.to_owned()),
    };
    let called = match row.showing {
        Showing::Fold(count) => format!("{}{count} {called}", glyphs.pick("×", "x")),
        Showing::Row => called,
    };
    let mut parts = vec![told];
    parts.extend(remarks(chart, of).into_iter().map(str::to_owned));
    parts.retain(|part| !part.is_empty());
    let style = match of.content {
        _ if failures(chart, row).0 > 0 => Style::Error,
        _ if is_wait(chart, of) => Style::Dim,
        Content::Span | Content::Running if is_attempt(chart, of) => Style::Bold,
        Content::Span => Style::Plain,
        _ => Style::Dim,
    };
    let clean = |text: &str| printable(text, glyphs.unicode).into_owned();
    (clean(&called), clean(&parts.join(" ")), style)
}

/// What is special about a row.
fn remarks(chart: &Chart, row: &chart::Row) -> Vec<&'static str> {
    let attempt = is_attempt(chart, row);
    let named_ghost = row.content == Content::Ghost && !chart.name(row).is_empty();
    let open = match row.content {
        Content::Wait | Content::Delay | Content::BackOff => "(not over)",
        _ => "(running)",
    };
    let all = [
        (row.marks.has(Marks::CUT_LOOSE), "(parents go in a circle)"),
        (row.marks.has(Marks::LINKED), "(linked)"),
        (attempt && row.marks.has(Marks::REBUILT), "(rebuilt)"),
        (named_ghost || row.content == Content::Attempt, "(no span)"),
        (row.content == Content::LostLease, "(worker lost)"),
        (row.marks.has(Marks::OPEN), open),
        (row.marks.has(Marks::CORRECTED), "(clock corrected)"),
    ];
    let all = all.into_iter().filter(|(holds, _)| *holds);
    all.map(|(_, remark)| remark).collect()
}
