//! Two traces, or two groups of them, compared.

use std::time::Duration;

use longshore_api::trace::{Diff, DiffRow, DiffSide};
use longshore_trace::diff::PlaceName;
use longshore_trace::duration;
use ratatui::layout::Rect;

use super::overlay::frame;
use super::pen::{Pen, columns};
use super::traces;
use crate::layout::{Layout, text_width};
use crate::page::{short, wrap};
use crate::state::State;
use crate::state::overlay::Comparison;
use crate::theme::{Role, Theme};

/// What the times of a comparison are: together they are as long as a trace.
const WAITED_FOR: &str = "what the end waited for";

pub(super) fn draw(state: &State, comparison: &Comparison, layout: &Layout, pen: &mut Pen<'_>) {
    let area = frame(
        layout,
        (u16::MAX, u16::MAX),
        "A and B compared (Enter opens B, Esc closes)",
        pen,
    );
    let line = |at: u16| Rect {
        y: area.y + at,
        height: u16::from(at < area.height),
        ..area
    };
    let found = comparison.found.as_ref();
    let known = found.map(|found| {
        let [before, after] = found.diff.lengths();
        ((found.diff.before, before), (found.diff.after, after))
    });
    let (before, after) = known.unzip();
    let sides = [
        ("A", &comparison.before, before),
        ("B", &comparison.after, after),
    ];
    for ((sign, side, known), at) in sides.into_iter().zip(0..) {
        let row = line(at);
        let used = pen.text(row, sign, Role::Warning);
        let text = said(state, side, known, pen.theme);
        pen.text(columns(row, used + 1, row.width), &text, Role::Strong);
    }
    if let Some(problem) = &comparison.problem {
        pen.text(line(3), problem, Role::Error);
        return;
    }
    let Some(found) = found else {
        pen.text(line(3), "Comparing…", Role::Dim);
        return;
    };
    let groups = [&comparison.before, &comparison.after]
        .into_iter()
        .any(|side| matches!(side, DiffSide::Search(_)));
    let text = found.diff.verdict(&found.names, "B", groups);
    let text = wrap(&text, usize::from(area.width), pen.theme.unicode());
    for (text, at) in text.iter().zip(2..4) {
        pen.text(line(at), text, Role::Plain);
    }
    let places = Places::of(area.width);
    let height = layout.item_height();
    places.head(line(Layout::COMPARED - 2), height > 1, pen);
    places.total(&found.diff, line(Layout::COMPARED - 1), pen);
    let rows = found.diff.rows.iter().zip(&found.names).enumerate();
    // A row that has not room for all of its lines is left out.
    let end = (area.bottom() + 1).saturating_sub(height);
    let lines = (area.y + Layout::COMPARED..end).step_by(usize::from(height));
    for ((at, (row, name)), y) in rows.skip(comparison.cursor.top).zip(lines) {
        let area = Rect::new(area.x, y, area.width, height);
        if at == comparison.cursor.at {
            pen.highlight(area, true);
        }
        places.row(row, name, area, pen);
    }
}

/// What a side is: how many traces it has and how long they took, once that is known.
fn said(state: &State, side: &DiffSide, known: Option<(usize, String)>, theme: Theme) -> String {
    match side {
        DiffSide::Trace(trace) => {
            let listed = state.traces.find(*trace);
            let name = listed.map_or_else(String::new, traces::called);
            let took = known.map(|(_, took)| took);
            let took = took.or_else(|| listed.map(traces::took));
            let took = took.unwrap_or_default();
            format!("{name}  {}  {took}", short(*trace, theme.unicode()))
        }
        DiffSide::Search(search) => {
            let search = traces::group(search);
            match known {
                Some((1, took)) => format!("{search}  1 trace, {took}"),
                Some((traces, took)) => format!("{search}  {traces} traces, {took}"),
                None => search.to_owned(),
            }
        }
    }
}

/// Where the columns of a comparison stand.
struct Places {
    name: u16,
    counts: Option<u16>,
    times: u16,
    share: u16,
}

impl Places {
    fn of(width: u16) -> Self {
        let share = width.saturating_sub(9);
        let times = share.saturating_sub(match width {
            90.. => text_width(WAITED_FOR) + 2,
            _ => 18,
        });
        let counts = match width {
            100.. => Some(times.saturating_sub(16)),
            70.. => Some(times.saturating_sub(10)),
            _ => None,
        };
        Self {
            name: counts.unwrap_or(times).saturating_sub(1),
            counts,
            times,
            share,
        }
    }

    fn head(&self, line: Rect, beneath: bool, pen: &mut Pen<'_>) {
        pen.text(line, "where", Role::Dim);
        if beneath {
            pen.right(line, "explains, end waited for", Role::Dim);
            return;
        }
        if let Some(counts) = self.counts {
            pen.right(columns(line, counts, self.times), "spans", Role::Dim);
        }
        let times = columns(line, self.times, self.share);
        let what = match text_width(WAITED_FOR) < times.width {
            true => WAITED_FOR,
            false => "end waited for",
        };
        pen.right(times, what, Role::Dim);
        pen.right(columns(line, self.share, line.width), "explains", Role::Dim);
    }

    /// What all rows come to.
    fn total(&self, diff: &Diff, line: Rect, pen: &mut Pen<'_>) {
        let share = if diff.delta_nanos == 0 { "" } else { "100 %" };
        pen.right(columns(line, self.share, line.width), share, Role::Dim);
        pen.text(columns(line, 0, self.name), "in all", Role::Strong);
        let text = change([diff.duration_before, diff.duration_after], pen.theme);
        pen.right(columns(line, self.times, self.share), &text, Role::Strong);
    }

    fn row(&self, row: &DiffRow, name: &PlaceName, area: Rect, pen: &mut Pen<'_>) {
        let line = Rect { height: 1, ..area };
        let share = match (row.explains_percent, row.delta_nanos) {
            (0, 0) => String::new(),
            (0, _) => "<1 %".to_owned(),
            (percent, _) => format!("{percent} %"),
        };
        let role = match row.explains_percent {
            20.. => Role::Warning,
            _ => Role::Dim,
        };
        pen.right(columns(line, self.share, line.width), &share, role);
        let within = match name.within.as_str() {
            "" => String::new(),
            within => format!("in {within}"),
        };
        // What it lies within stands behind the name, or beneath it where there are two lines.
        if area.height > 1 {
            called(row, name, columns(line, 0, self.share), pen);
            let second = Rect {
                y: area.y + 1,
                ..line
            };
            let used = pen.right(second, &times(row, pen.theme), Role::Plain);
            let room = columns(second, 2, second.width.saturating_sub(used + 1));
            pen.text(room, &within, Role::Dim);
            return;
        }
        // Where there is no room for both, neither loses more than the other.
        let kept = text_width(&within).min(self.name / 2);
        let x = called(
            row,
            name,
            columns(line, 0, self.name.saturating_sub(kept + 1)),
            pen,
        );
        pen.text(columns(line, x + 1, self.name), &within, Role::Dim);
        if let Some(at) = self.counts {
            counts(row, columns(line, at, self.times), pen);
        }
        let area = columns(line, self.times, self.share);
        pen.right(area, &times(row, pen.theme), Role::Plain);
    }
}

/// The name of a place, and whether more fails there; says how many columns it took.
fn called(row: &DiffRow, name: &PlaceName, area: Rect, pen: &mut Pen<'_>) -> u16 {
    if row.errors_after <= row.errors_before {
        return pen.text(area, &name.name, Role::Plain);
    }
    let x = pen.text(area, pen.theme.pick("✗ ", "x "), Role::Error);
    x + pen.text(columns(area, x, area.width), &name.name, Role::Error)
}

fn counts(row: &DiffRow, area: Rect, pen: &mut Pen<'_>) {
    let (before, after) = (hundredths(row.count_before), hundredths(row.count_after));
    let role = match row.count_before == row.count_after {
        true => Role::Dim,
        false => Role::Warning,
    };
    let arrow = pen.theme.pick("→", ">");
    pen.right(area, &format!("{before} {arrow} {after}"), role);
}

/// How much of the time that the end waited for was spent there, which is what it explains.
fn times(row: &DiffRow, theme: Theme) -> String {
    change([row.critical_before, row.critical_after], theme)
}

fn change(times: [Duration; 2], theme: Theme) -> String {
    let [before, after] = times.map(duration::compact);
    format!("{before} {} {after}", theme.pick("→", ">"))
}

/// A count by trace that was multiplied by a hundred.
fn hundredths(count: u64) -> String {
    match (count / 100, count % 100) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{}", rest / 10),
    }
}
