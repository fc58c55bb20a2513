//! A story drawn as text: a tree of spans with a bar for each on one time line.

mod axis;
mod bar;
mod header;
mod rows;

use longshore_core::Timestamp;

use crate::duration;
use crate::story::Story;
use crate::text::{Line, Style, fit, width};
use crate::timeline::{Folding, Interval, Timeline};

pub use rows::{Row, Showing};
pub(crate) use rows::{span_detail, span_name};

/// Columns below which each span takes two lines.
const STACKED: usize = 60;

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
pub struct Waterfall<'s, 'a> {
    story: &'s Story<'a>,
    rows: Vec<Row>,
}

impl<'s, 'a> Waterfall<'s, 'a> {
    /// Prepares `story`: five or more consecutive siblings of one name become one row.
    #[must_use]
    pub fn new(story: &'s Story<'a>) -> Self {
        Self {
            story,
            rows: rows::rows(story.forest()),
        }
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
struct Drawing<'w, 's, 'a> {
    waterfall: &'w Waterfall<'s, 'a>,
    glyphs: Glyphs,
    width: usize,
    /// Columns of the label; 0 if it has a line of its own.
    label: usize,
    /// Columns of the bar.
    bar: usize,
    start: Timestamp,
    timeline: Timeline,
    labels: Vec<rows::Label>,
    durations: Vec<String>,
}

impl<'w, 's, 'a> Drawing<'w, 's, 'a> {
    fn new(waterfall: &'w Waterfall<'s, 'a>, options: &DrawOptions) -> Self {
        let glyphs = Glyphs {
            unicode: options.unicode,
            ansi: options.colour == Colour::Ansi,
        };
        let story = waterfall.story;
        let total = options.width;
        let rows = &waterfall.rows;
        let labels = rows::labels(story.forest(), rows, glyphs, total);
        let start = story.start();
        let durations: Vec<String> = rows
            .iter()
            .map(|row| rows::duration_text(story.forest(), row, glyphs))
            .collect();
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
        let stacked = total < STACKED;
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
            total.saturating_sub(label + 1 + 2 + right)
        };
        Self {
            waterfall,
            glyphs,
            width: total,
            label,
            bar,
            start,
            timeline: timeline(story, bar, start),
            labels,
            durations,
        }
    }

    fn forest(&self) -> &'s crate::tree::Forest<'a> {
        self.waterfall.story.forest()
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
        lines
    }

    /// Label, bar and duration side by side.
    fn in_line(&self, row: &Row, label: &rows::Label, duration: &str) -> Line {
        let mut line = Line::new(self.width);
        label.draw(&mut line, self.label, self.glyphs);
        line.pad_to(self.label + 1);
        self.cells(row, true).draw(&mut line, self.glyphs);
        line.push_right(self.width, duration, rows::duration_style(label));
        line
    }

    /// Label and duration on one line, the bar on the next.
    fn stacked(&self, row: &Row, label: &rows::Label, duration: &str, lines: &mut Vec<Line>) {
        let mut line = Line::new(self.width);
        let room = self.width.saturating_sub(width(duration) + 1);
        label.draw(&mut line, room, self.glyphs);
        if let Some(note) = self.note(row) {
            let room = room.saturating_sub(line.used() + 1);
            line.push(" ", Style::Plain);
            line.push(&fit(&note, room, self.glyphs.more()), Style::Error);
        }
        line.push_right(self.width, duration, rows::duration_style(label));
        lines.push(line);
        let mut line = Line::new(self.width);
        self.cells(row, false).draw(&mut line, self.glyphs);
        lines.push(line);
    }
}

fn offset(at: Timestamp, start: Timestamp) -> u64 {
    u64::try_from(at.since(start).as_nanos()).unwrap_or(u64::MAX)
}

fn timeline(story: &Story<'_>, cells: usize, start: Timestamp) -> Timeline {
    let (mut busy, mut waiting) = (Vec::new(), Vec::new());
    for node in story.forest().nodes() {
        let Some(span) = node.span() else { continue };
        let interval = Interval {
            from: offset(node.start, start),
            to: offset(node.end, start),
        };
        if rows::is_wait(span) {
            waiting.push(interval);
        } else {
            busy.push(interval);
        }
    }
    let end = offset(story.end(), start);
    let longest = width(&duration::compact(story.summary().total));
    let folding = Folding {
        named: longest.max(4) + 4,
        bare: 2,
    };
    Timeline::new(end, cells, busy, waiting, folding)
}
