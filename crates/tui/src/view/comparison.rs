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
use crate::state::overlay::{Comparison, Found};
use crate::theme::{Role, Theme};

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
    let sides = [
        (
            "A",
            &comparison.before,
            found.map(|found| found.diff.before),
        ),
        ("B", &comparison.after, found.map(|found| found.diff.after)),
    ];
    for ((sign, side, traces), at) in sides.into_iter().zip(0..) {
        let row = line(at);
        let used = pen.text(row, sign, Role::Warning);
        let text = said(state, side, traces, pen.theme);
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
    let text = verdict(found, groups);
    let text = wrap(&text, usize::from(area.width), pen.theme.unicode());
    for (text, at) in text.iter().zip(2..4) {
        pen.text(line(at), text, Role::Plain);
    }
    let places = Places::of(area.width);
    let height = layout.item_height();
    places.head(line(Layout::COMPARED - 1), height > 1, pen);
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

/// What a side is.
fn said(state: &State, side: &DiffSide, traces: Option<usize>, theme: Theme) -> String {
    match side {
        DiffSide::Trace(trace) => {
            let known = state.traces.find(*trace);
            let name = known.map_or_else(String::new, traces::called);
            let took = known.map_or_else(String::new, traces::took);
            format!("{name}  {}  {took}", short(*trace, theme.unicode()))
        }
        DiffSide::Search(search) => {
            let search = traces::group(search);
            match traces {
                Some(1) => format!("{search}  1 trace"),
                Some(traces) => format!("{search}  {traces} traces"),
                None => search.to_owned(),
            }
        }
    }
}

/// What the comparison comes down to.
fn verdict(found: &Found, groups: bool) -> String {
    let diff = &found.diff;
    let took = took(diff, groups);
    let rows = diff.rows.iter().zip(&found.names);
    let most = rows.max_by_key(|(row, _)| row.explains_percent);
    let most = most.filter(|(row, _)| row.explains_percent > 0 && diff.delta_nanos != 0);
    let text = match most {
        None => took,
        Some((row, name)) if row.explains_percent <= 100 => {
            format!("{took}; {name} explains {} of it", share(row))
        }
        Some((row, name)) => {
            let own = duration::format(row.self_after.abs_diff(row.self_before));
            let word = if diff.delta_nanos > 0 {
                "longer"
            } else {
                "less"
            };
            format!("{took}; {name} alone took {own} {word}, and others the reverse")
        }
    };
    match diff.delta_range_nanos {
        Some((least, most)) if least <= 0 && most >= 0 => format!("{text}. It may be chance."),
        None if groups => format!("{text}. With fewer than 10 traces a side it may be chance."),
        Some(_) | None => text,
    }
}

fn took(diff: &Diff, groups: bool) -> String {
    if groups && (diff.before == 0 || diff.after == 0) {
        return "One of them has no traces".to_owned();
    }
    let delta = duration::format(Duration::from_nanos(diff.delta_nanos.unsigned_abs()));
    let mean = if groups { " on average" } else { "" };
    match diff.delta_nanos {
        0 => "Both took as long".to_owned(),
        1.. => format!("B took {delta} longer{mean}"),
        _ => format!("B took {delta} less{mean}"),
    }
}

/// Which share of the difference a place explains, and between which bounds that lies.
fn share(row: &DiffRow) -> String {
    let percent = row.explains_percent;
    match row.explains_range_percent {
        Some((least, most)) => format!("{percent} % ({least} to {most} %)"),
        None => format!("{percent} %"),
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
        let times = share.saturating_sub(18);
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
            pen.right(line, "explains, self time", Role::Dim);
            return;
        }
        if let Some(counts) = self.counts {
            pen.right(columns(line, counts, self.times), "spans", Role::Dim);
        }
        let times = columns(line, self.times, self.share);
        pen.right(times, "self time", Role::Dim);
        pen.right(columns(line, self.share, line.width), "explains", Role::Dim);
    }

    fn row(&self, row: &DiffRow, name: &PlaceName, area: Rect, pen: &mut Pen<'_>) {
        let line = Rect { height: 1, ..area };
        let share = match row.explains_percent {
            0 => String::new(),
            percent => format!("{percent} %"),
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

/// The time that is spent there and not beneath.
fn times(row: &DiffRow, theme: Theme) -> String {
    let [before, after] = [row.self_before, row.self_after].map(duration::compact);
    format!("{before} {} {after}", theme.pick("→", ">"))
}

/// A count by trace that was multiplied by a hundred.
fn hundredths(count: u64) -> String {
    match (count / 100, count % 100) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{}", rest / 10),
    }
}
