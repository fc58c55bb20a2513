//! Bars: from when to when, to an eighth of a cell.

use longshore_core::Timestamp;
use longshore_instrument::table::name;

use super::rows::{self, Row, Showing};
use super::{Drawing, Glyphs, offset};
use crate::chart::Content;
use crate::critical::{is_attempt, is_wait};
use crate::text::{Line, Style, fit, printable};
use crate::timeline::{EIGHTHS, Interval, block, narrow, wide};

/// One column of a bar.
#[derive(Clone, Copy, Debug)]
struct Cell {
    glyph: char,
    style: Style,
    inverse: bool,
}

const BLANK: Cell = Cell {
    glyph: ' ',
    style: Style::Plain,
    inverse: false,
};

/// The columns of a bar, and a remark that stands beside the bar.
#[derive(Debug)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    /// The remark, and the columns that it may take.
    note: Option<(String, usize, usize)>,
}

impl Cells {
    pub(super) fn draw(&self, line: &mut Line, glyphs: Glyphs) {
        let before = line.used();
        let note_at = self.note.as_ref().map_or(usize::MAX, |(_, at, _)| *at);
        let mut skip_to = 0;
        for (column, cell) in self.cells.iter().enumerate() {
            if let Some((note, _, room)) = self.note.as_ref().filter(|_| column == note_at) {
                line.push(&fit(note, *room, glyphs.more()), Style::Error);
                skip_to = line.used() - before;
            }
            if column < skip_to {
                continue;
            }
            let mut buffer = [0; 4];
            let glyph = cell.glyph.encode_utf8(&mut buffer);
            if cell.inverse {
                line.push_inverse(glyph, cell.style);
            } else {
                line.push(glyph, cell.style);
            }
        }
    }
}

/// What a bar is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    Solid,
    Light,
    Dotted,
    Shaded,
}

impl Drawing<'_> {
    /// The bar of a row.
    pub(super) fn cells(&self, row: &Row, with_note: bool) -> Cells {
        let mut cells = vec![BLANK; self.bar];
        self.tear(&mut cells);
        let (ink, style) = self.ink(row);
        let chart = self.chart();
        let (start, end) = rows::times(chart, row);
        if !self.is_in_sight(start, end) {
            return Cells { cells, note: None };
        }
        let mut draw = |from, to| {
            let interval = Interval {
                from: self.offset(from),
                to: self.offset(to),
            };
            let (from, to) = self.timeline.span(interval);
            paint(&mut cells, (from, to), ink, style, self.glyphs);
            (narrow(from / EIGHTHS), narrow(to.div_ceil(EIGHTHS)))
        };
        if matches!(row.showing, Showing::Fold(_)) {
            for one in rows::siblings(chart, row) {
                if self.is_in_sight(one.start, one.end) {
                    draw(one.start, one.end);
                }
            }
        } else {
            draw(start, end);
        }
        let whole = self.timeline.span(Interval {
            from: self.offset(start),
            to: self.offset(end),
        });
        let taken = (narrow(whole.0 / EIGHTHS), narrow(whole.1.div_ceil(EIGHTHS)));
        let note = self.note(row).filter(|_| with_note);
        let note = note.and_then(|note| place(note, taken, self.bar));
        Cells { cells, note }
    }

    /// Whether any of a time is drawn.
    fn is_in_sight(&self, from: Timestamp, to: Timestamp) -> bool {
        let start = self.chart().start();
        let time = Interval {
            from: offset(from, start),
            to: offset(to, start),
        };
        let window = self.waterfall.window;
        window.is_none_or(|window| time.within(window).is_some())
    }

    /// What went wrong in a row.
    pub(super) fn note(&self, row: &Row) -> Option<String> {
        let (failed, class) = rows::failures(self.chart(), row);
        let mark = self.glyphs.pick("✗", "x");
        match row.showing {
            _ if failed == 0 => None,
            Showing::Fold(_) => Some(format!("{mark} {failed} failed")),
            Showing::Row => {
                let class = printable(class, self.glyphs.unicode);
                Some(format!("{mark} {class}"))
            }
        }
    }

    /// Marks where the time line is folded.
    fn tear(&self, cells: &mut [Cell]) {
        let folded = self
            .timeline
            .segments()
            .iter()
            .filter(|segment| segment.folded);
        for segment in folded {
            for at in [segment.cell, segment.cell + segment.cells - 1] {
                let glyph = self.glyphs.pick("┊", ":").chars().next();
                if let (Some(cell), Some(glyph)) = (cells.get_mut(at), glyph) {
                    *cell = Cell {
                        glyph,
                        style: Style::Dim,
                        inverse: false,
                    };
                }
            }
        }
    }

    fn ink(&self, row: &Row) -> (Ink, Style) {
        let chart = self.chart();
        let failed = rows::failures(chart, row).0 > 0;
        let Some(of) = chart.row(row.rows.start) else {
            return (Ink::Dotted, Style::Dim);
        };
        if matches!(
            of.content,
            Content::Ghost | Content::Delay | Content::BackOff
        ) {
            return (Ink::Dotted, Style::Dim);
        }
        let style = match chart.name(of) {
            _ if failed => Style::Error,
            _ if is_wait(chart, of) => Style::Wait,
            _ if is_attempt(chart, of) => Style::Attempt,
            name::ENQUEUE => Style::Enqueue,
            name::HANDLER => Style::Handler,
            name::SETTLE | name::CLAIM | name::ADMIN => Style::Settle,
            _ => Style::User,
        };
        let ink = match row.showing {
            Showing::Fold(_) => Ink::Shaded,
            Showing::Row if is_wait(chart, of) => Ink::Light,
            Showing::Row => Ink::Solid,
        };
        (ink, style)
    }
}

/// Beside the bar: behind it if there is room, else before it, else where there is more.
fn place(note: String, (from, to): (usize, usize), width: usize) -> Option<(String, usize, usize)> {
    let wanted = crate::text::width(&note);
    let behind = width.saturating_sub(to + 1);
    let before = from.saturating_sub(1);
    if wanted <= behind || (behind >= before && behind >= 4) {
        return Some((note, to + 1, behind));
    }
    let room = wanted.min(before);
    (room >= 4).then(|| (note, before - room, room))
}

fn paint(cells: &mut [Cell], (from, to): (u64, u64), ink: Ink, style: Style, glyphs: Glyphs) {
    let first = narrow(from / EIGHTHS);
    let last = narrow(to.div_ceil(EIGHTHS));
    for (at, cell) in cells.iter_mut().enumerate().take(last).skip(first) {
        let left = wide(at) * EIGHTHS;
        let inner = (from.max(left) - left, to.min(left + EIGHTHS) - left);
        let sliver = to - from < EIGHTHS;
        let (glyph, inverse) = match ink {
            _ if !glyphs.unicode => (ascii(ink, sliver), false),
            Ink::Light if !sliver => ("░", false),
            Ink::Shaded if !sliver => ("▒", false),
            Ink::Dotted => ("┄", false),
            Ink::Solid | Ink::Light | Ink::Shaded => block(inner, glyphs.ansi),
        };
        if let Some(glyph) = glyph.chars().next() {
            *cell = Cell {
                glyph,
                style,
                inverse,
            };
        }
    }
}

const fn ascii(ink: Ink, sliver: bool) -> &'static str {
    match ink {
        Ink::Dotted => "-",
        _ if sliver => "|",
        Ink::Light => ".",
        Ink::Shaded => "+",
        Ink::Solid => "#",
    }
}
