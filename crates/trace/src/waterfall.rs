//! A story drawn as text: a tree of spans with a bar for each on one time line.

mod axis;
mod bar;
mod header;
mod rows;

use std::borrow::Cow;
use std::time::Duration;

use longshore_core::Timestamp;

use crate::chart::{self, Chart, Content, Marks};
use crate::critical::{CriticalPath, is_attempt, is_wait};
use crate::duration;
use crate::story::{Story, Summary};
use crate::summary::TraceSummary;
use crate::text::{Line, Style, fit, width};
use crate::timeline::{Folding, Interval, Timeline};

pub use rows::{Row, Showing};

/// Columns below which each span takes two lines.
const STACKED: usize = 60;

/// Columns of the mark of what the end waited for.
const MARK: usize = 2;

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    None,
    /// The sixteen colours of an ANSI terminal.
    Ansi,
}

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// Columns; no line is wider. Default 100. Below 60 each span takes two lines.
    pub width: usize,
    /// Whether to colour. Default not.
    pub colour: Colour,
    /// Whether block, line and arrow characters may be used; else ASCII alone. Default true.
    pub unicode: bool,
}

impl Default for DrawOptions {
    fn default() -> Self {
        Self {
            width: 100,
            colour: Colour::None,
            unicode: true,
        }
    }
}

/// The characters that a terminal can show.
#[derive(Clone, Copy, Debug)]
struct Glyphs {
    unicode: bool,
    ansi: bool,
}

impl Glyphs {
    const fn pick<'a>(self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }

    const fn more(self) -> &'static str {
        self.pick("…", "~")
    }

    fn duration(self, text: &str) -> String {
        text.replace('µ', self.pick("µ", "u"))
    }
}

/// A story, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Waterfall<'a> {
    chart: Cow<'a, Chart>,
    summary: Summary<'a>,
    running: bool,
    rows: Vec<Row>,
    /// The rows of the chart that the end waited for.
    critical: Vec<(u32, Duration)>,
    /// The part of the time that is drawn, if not all of it.
    window: Option<Interval>,
}

impl<'a> Waterfall<'a> {
    /// Prepares `story`: five or more consecutive siblings of one name become one row.
    #[must_use]
    pub fn new(story: &Story<'a>) -> Self {
        let chart = Chart::of(story.forest().spans(), &[], story.end());
        Self::prepared(Cow::Owned(chart), story.summary().clone())
    }

    /// Prepares a chart that `summary` sums up: as it comes from a store, with what the records of
    /// jobs add.
    #[must_use]
    pub fn of_chart(chart: &'a Chart, summary: &'a TraceSummary) -> Self {
        let summary = header::summary(chart, summary);
        Self::prepared(Cow::Borrowed(chart), summary)
    }

    fn prepared(chart: Cow<'a, Chart>, summary: Summary<'a>) -> Self {
        let mut rows = chart.rows().iter();
        let running = rows.any(|row| {
            row.marks.has(Marks::OPEN) && (summary.queue.is_none() || is_attempt(&chart, row))
        });
        Self {
            rows: rows::rows(&chart),
            chart,
            summary,
            running,
            critical: Vec::new(),
            window: None,
        }
    }

    /// Marks the rows of a path that take at least a hundredth of it: what the end waited for.
    #[must_use]
    pub fn with_path(mut self, path: &CriticalPath) -> Self {
        let total = path.total();
        self.critical = path.by_row();
        self.critical
            .retain(|(_, time)| time.saturating_mul(100) >= total);
        self
    }

    /// Draws a part of the time alone, from and to so long after the start: the rows that reach into it,
    /// and those above them.
    #[must_use]
    pub fn within(mut self, from: Duration, to: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let end = offset(self.chart.end(), self.chart.start());
        let window = Interval {
            from: nanos(from).min(end),
            to: nanos(to).min(end),
        };
        self.rows = rows::within(&self.chart, std::mem::take(&mut self.rows), window);
        self.window = Some(window);
        self
    }

    /// The rows, from the top.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Draws it: what happened in one line, where the time went in another, the time line, and a
    /// row for each span. Every line ends in a line break.
    #[must_use]
    pub fn draw(&self, options: &DrawOptions) -> String {
        let drawing = Drawing::new(self, options);
        let mut out = String::new();
        for line in drawing.lines() {
            line.write(drawing.glyphs.ansi, &mut out);
        }
        out
    }
}

/// Where everything stands.
struct Drawing<'w> {
    waterfall: &'w Waterfall<'w>,
    glyphs: Glyphs,
    width: usize,
    /// Columns of the label; 0 if it has a line of its own.
    label: usize,
    /// Columns of the bar.
    bar: usize,
    /// Columns of the mark of the path, at the right.
    mark: usize,
    start: Timestamp,
    timeline: Timeline,
    labels: Vec<rows::Label>,
    durations: Vec<String>,
}

impl<'w> Drawing<'w> {
    fn new(waterfall: &'w Waterfall<'w>, options: &DrawOptions) -> Self {
        let glyphs = Glyphs {
            unicode: options.unicode,
            ansi: options.colour == Colour::Ansi,
        };
        let (chart, rows) = (waterfall.chart.as_ref(), &waterfall.rows);
        let total = options.width;
        let labels = rows::labels(chart, rows, glyphs, total);
        let from = waterfall.window.map_or(0, |window| window.from);
        let start = chart.start().after(Duration::from_nanos(from));
        let durations: Vec<String> = rows
            .iter()
            .map(|row| rows::duration_text(chart, row, glyphs))
            .collect();
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
        let stacked = total < STACKED;
        let mark = if waterfall.critical.is_empty() {
            0
        } else {
            MARK
        };
        let label = widest(&mut labels.iter().map(rows::Label::width));
        let label = if stacked {
            0
        } else {
            label.clamp(16, total * 2 / 5)
        };
        let bar = if stacked {
            total
        } else {
            let right = widest(&mut durations.iter().map(|text| width(text))).max(7);
            total.saturating_sub(label + 1 + 2 + right + mark)
        };
        Self {
            waterfall,
            glyphs,
            width: total,
            label,
            bar,
            mark,
            start,
            timeline: timeline(chart, bar, waterfall.window),
            labels,
            durations,
        }
    }

    fn chart(&self) -> &'w Chart {
        &self.waterfall.chart
    }

    fn offset(&self, at: Timestamp) -> u64 {
        offset(at, self.start)
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = self.header();
        if self.waterfall.rows.is_empty() {
            return lines;
        }
        lines.push(Line::new(self.width));
        lines.extend(self.axis());
        let labelled = self.labels.iter().zip(&self.durations);
        for (row, (label, duration)) in self.waterfall.rows.iter().zip(labelled) {
            if self.label == 0 {
                self.stacked(row, label, duration, &mut lines);
            } else {
                lines.push(self.in_line(row, label, duration));
            }
        }
        if self.mark > 0 {
            let meaning = format!("{} what the end waited for", self.path_glyph());
            let mut line = Line::new(self.width);
            line.push(&fit(&meaning, self.width, self.glyphs.more()), Style::Dim);
            lines.extend([Line::new(self.width), line]);
        }
        lines
    }

    const fn path_glyph(&self) -> &'static str {
        self.glyphs.pick("◆", "*")
    }

    /// The duration of a row, and the mark of one that the end waited for.
    fn right(&self, row: &Row, (duration, style): (&str, Style), line: &mut Line) {
        line.push_right(self.width.saturating_sub(self.mark), duration, style);
        let critical = &self.waterfall.critical;
        let first = critical.partition_point(|(at, _)| (*at as usize) < row.rows.start);
        let next = critical.get(first).map(|(at, _)| *at as usize);
        if next.is_some_and(|at| row.rows.contains(&at)) {
            line.push_right(self.width, self.path_glyph(), Style::Bold);
        }
    }

    /// Label, bar and duration side by side.
    fn in_line(&self, row: &Row, label: &rows::Label, duration: &str) -> Line {
        let mut line = Line::new(self.width);
        label.draw(&mut line, self.label, self.glyphs);
        line.pad_to(self.label + 1);
        self.cells(row, true).draw(&mut line, self.glyphs);
        self.right(row, (duration, rows::duration_style(label)), &mut line);
        line
    }

    /// Label and duration on one line, the bar on the next.
    fn stacked(&self, row: &Row, label: &rows::Label, duration: &str, lines: &mut Vec<Line>) {
        let mut line = Line::new(self.width);
        let taken = width(duration) + 1 + self.mark;
        let room = self.width.saturating_sub(taken);
        label.draw(&mut line, room, self.glyphs);
        if let Some(note) = self.note(row) {
            let room = room.saturating_sub(line.used() + 1);
            line.push(" ", Style::Plain);
            line.push(&fit(&note, room, self.glyphs.more()), Style::Error);
        }
        self.right(row, (duration, rows::duration_style(label)), &mut line);
        lines.push(line);
        let mut line = Line::new(self.width);
        self.cells(row, false).draw(&mut line, self.glyphs);
        lines.push(line);
    }
}

fn offset(at: Timestamp, start: Timestamp) -> u64 {
    u64::try_from(at.since(start).as_nanos()).unwrap_or(u64::MAX)
}

fn timeline(chart: &Chart, cells: usize, window: Option<Interval>) -> Timeline {
    let start = chart.start();
    let window = window.unwrap_or(Interval {
        from: 0,
        to: offset(chart.end(), start),
    });
    let (mut busy, mut waiting) = (Vec::new(), Vec::new());
    for row in chart.rows() {
        let Some(interval) = interval(row, start).within(window) else {
            continue;
        };
        match row.content {
            _ if is_wait(chart, row) => waiting.push(interval),
            Content::Ghost | Content::Wait | Content::Delay | Content::BackOff => {}
            Content::Span | Content::LostLease | Content::Running | Content::Attempt => {
                busy.push(interval);
            }
        }
    }
    let length = window.to.saturating_sub(window.from);
    let longest = width(&duration::compact(Duration::from_nanos(length)));
    let folding = Folding {
        named: longest.max(4) + 4,
        bare: 2,
    };
    Timeline::new(length, cells, busy, waiting, folding)
}

/// When a row was, after the start of its chart.
fn interval(row: &chart::Row, start: Timestamp) -> Interval {
    Interval {
        from: offset(row.start, start),
        to: offset(row.end, start),
    }
}
