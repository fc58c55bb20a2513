//! Queues, and how long their jobs wait and run.

use longshore_api::queue::Queue;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{empty, times, title};
use crate::layout::{Layout, Panel};
use crate::page::ago;
use crate::state::State;
use crate::theme::Role;

/// What the list counts, and how many columns each count takes.
const COUNTS: [(&str, u16); 5] = [
    ("available", 10),
    ("running", 8),
    ("scheduled", 10),
    ("retryable", 10),
    ("discarded", 10),
];

pub(super) fn draw(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    if let Some(panel) = layout.list {
        list(state, layout, panel, pen);
    }
    if let Some(panel) = layout.main {
        times::draw(state, panel, pen);
    }
}

fn list(state: &State, layout: &Layout, panel: Panel, pen: &mut Pen<'_>) {
    let active = state.queues.bars.is_none();
    title(panel, "Queues", "", active, pen);
    let listing = &state.queues.list;
    let area = panel.inner;
    if let Some(problem) = &listing.problem {
        return empty(area, &["The queues cannot be listed", problem], pen);
    }
    if listing.items.is_none() {
        return empty(area, &["Reading the queues…"], pen);
    }
    if listing.items().is_empty() {
        let lines = [
            "No queue yet",
            "A queue is there as soon as a job is in it:",
            "  longshore enqueue mail welcome '{}'",
        ];
        return empty(area, &lines, pen);
    }
    let height = layout.item_height();
    let head = layout.heading(state);
    let shown = fitting(area.width);
    if head > 0 {
        let line = Rect { height: 1, ..area };
        pen.text(columns(line, 3, line.width), "queue", Role::Dim);
        counts(
            line,
            shown,
            &COUNTS.map(|(word, _)| word.to_owned()),
            "oldest",
            pen,
        );
    }
    let lines = (area.y + head..area.bottom()).step_by(usize::from(height));
    let items = listing.items().iter().enumerate().skip(listing.cursor.top);
    for ((at, queue), y) in items.zip(lines) {
        let row = Rect::new(area.x, y, area.width, height.min(area.bottom() - y));
        if at == listing.cursor.at {
            pen.highlight(row, active);
        }
        self::row(state, queue, row, shown, pen);
    }
}

/// How many of the counts fit beside a name.
fn fitting(width: u16) -> usize {
    let mut room = width.saturating_sub(18 + 8);
    let fits = |(_, wide): &&(&str, u16)| {
        let fits = room >= *wide;
        room = room.saturating_sub(*wide);
        fits
    };
    COUNTS.iter().take_while(fits).count()
}

fn counts(line: Rect, shown: usize, texts: &[String; 5], last: &str, pen: &mut Pen<'_>) {
    let mut end = line.width;
    pen.right(columns(line, 0, end), last, Role::Dim);
    end = end.saturating_sub(8);
    let count = COUNTS.iter().zip(texts).take(shown);
    for ((word, wide), text) in count.rev() {
        let zero = text == "0" || text == word;
        let role = match *word {
            _ if zero => Role::Dim,
            "retryable" | "discarded" => Role::Error,
            _ => Role::Plain,
        };
        pen.right(columns(line, end.saturating_sub(*wide), end), text, role);
        end = end.saturating_sub(*wide);
    }
}

fn row(state: &State, queue: &Queue, row: Rect, shown: usize, pen: &mut Pen<'_>) {
    let first = Rect { height: 1, ..row };
    let (sign, role) = match queue.paused {
        true => (pen.theme.pick("‖", "="), Role::Warning),
        false => (pen.theme.pick("▶", ">"), Role::Good),
    };
    pen.text(columns(first, 1, 2), sign, role);
    let numbers = [
        queue.available,
        queue.running,
        queue.scheduled,
        queue.retryable,
        queue.discarded,
    ];
    let oldest = queue.oldest_available_at.map(|at| ago(state.now, at));
    let oldest = oldest.unwrap_or_else(|| "-".to_owned());
    if row.height == 1 {
        let taken: u16 = COUNTS.iter().take(shown).map(|(_, wide)| wide).sum();
        let end = first.width.saturating_sub(8 + taken);
        let used = pen.text(columns(first, 3, end), &queue.queue, Role::Plain);
        if queue.paused {
            pen.text(columns(first, 4 + used, end), "paused", Role::Warning);
        }
        counts(
            first,
            shown,
            &numbers.map(|number| number.to_string()),
            &oldest,
            pen,
        );
        return;
    }
    let end = first
        .width
        .saturating_sub(1 + pen.right(first, &oldest, Role::Dim));
    let used = pen.text(columns(first, 3, end), &queue.queue, Role::Plain);
    if queue.paused {
        pen.text(columns(first, 4 + used, end), "paused", Role::Warning);
    }
    if row.height >= 2 {
        let second = Rect {
            y: row.y + 1,
            height: 1,
            ..row
        };
        let [available, running, _, retryable, discarded] = numbers;
        let text = format!("{available} due  {running} run  {retryable} retry  {discarded} gone");
        pen.text(columns(second, 3, second.width), &text, Role::Dim);
    }
}
