//! Queues, and how long their jobs wait and run.

use longshore_api::queue::{Histogram, Queue};
use longshore_trace::duration;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{empty, title};
use crate::layout::{Layout, Panel};
use crate::page::ago;
use crate::state::State;
use crate::state::queues::Bars;
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
        histograms(state, panel, pen);
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
    let used = pen.text(columns(first, 3, first.width), &queue.queue, Role::Plain);
    if queue.paused {
        pen.text(
            columns(first, 4 + used, first.width),
            "paused",
            Role::Warning,
        );
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

/// A line of the panel of histograms.
enum Line<'h> {
    Heading(&'static str, &'h Histogram),
    Bar(bool, usize),
    Blank,
}

/// The lines of both histograms, under each other.
fn lines(state: &State) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (run, word) in [(false, "Time in the queue"), (true, "Time in the handler")] {
        let Some(histogram) = state.queues.histogram(run) else {
            continue;
        };
        lines.push(Line::Heading(word, histogram));
        lines.extend((0..histogram.bars.len()).map(|at| Line::Bar(run, at)));
        lines.push(Line::Blank);
    }
    lines
}

/// The lines that are scrolled away where `height` are shown: as many as keep the cursor in sight.
fn hidden(state: &State, lines: &[Line<'_>], height: usize) -> usize {
    let here = lines
        .iter()
        .position(|line| match (line, state.queues.bars) {
            (Line::Bar(run, at), Some(bars)) => Bars { run: *run, at: *at } == bars,
            _ => false,
        });
    here.map_or(0, |here| (here + 1).saturating_sub(height))
}

/// The bar in a line of the panel of histograms, which has so many: whether it is of the time in the
/// handler, and which.
pub(crate) fn bar_at(state: &State, line: usize, height: usize) -> Option<(bool, usize)> {
    let lines = lines(state);
    let hidden = hidden(state, &lines, height);
    match lines.get(line + hidden) {
        Some(Line::Bar(run, at)) => Some((*run, *at)),
        _ => None,
    }
}

fn histograms(state: &State, panel: Panel, pen: &mut Pen<'_>) {
    let active = state.queues.bars.is_some();
    let queue = state
        .queues
        .list
        .selected()
        .map_or("", |queue| queue.queue.as_str());
    let jobs = state.queues.latency().map(|latency| {
        let jobs = if latency.jobs == 1 { "job" } else { "jobs" };
        let unseen = latency.unseen.filter(|unseen| *unseen > 0);
        let unseen = unseen.map_or_else(String::new, |unseen| format!(", {unseen} not seen"));
        format!("{} {jobs} in the last hour{unseen}", latency.jobs)
    });
    title(
        panel,
        &format!("How long jobs of {queue} took"),
        &jobs.unwrap_or_default(),
        active,
        pen,
    );
    let area = panel.inner;
    if let Some(problem) = &state.queues.problem {
        return empty(area, &["This is not known", problem], pen);
    }
    let Some(latency) = state.queues.latency() else {
        if state.queues.list.selected().is_some() {
            empty(area, &["Reading…"], pen);
        }
        return;
    };
    if latency.jobs == 0 {
        let lines = [
            "No job of this queue ended in the last hour",
            "Once some did, bars show how long they waited and ran, with a trace behind each.",
        ];
        return empty(area, &lines, pen);
    }
    let lines = lines(state);
    let hidden = hidden(state, &lines, usize::from(area.height));
    for (line, y) in lines.iter().skip(hidden).zip(area.y..area.bottom()) {
        let row = Rect::new(area.x, y, area.width, 1);
        match line {
            Line::Blank => {}
            Line::Heading(word, histogram) => heading(word, histogram, row, pen),
            Line::Bar(run, at) => {
                let here = Bars { run: *run, at: *at };
                if state.queues.bars == Some(here) {
                    pen.highlight(row, true);
                }
                if let Some(histogram) = state.queues.histogram(*run) {
                    bar(histogram, *run, *at, row, pen);
                }
            }
        }
    }
}

fn heading(word: &str, histogram: &Histogram, row: Rect, pen: &mut Pen<'_>) {
    let used = pen.text(columns(row, 1, row.width), word, Role::Strong);
    let text = format!(
        "half {}   9 in 10 {}   99 in 100 {}   longest {}",
        duration::compact(histogram.p50),
        duration::compact(histogram.p90),
        duration::compact(histogram.p99),
        duration::compact(histogram.max)
    );
    pen.text(columns(row, used + 3, row.width), &text, Role::Dim);
}

fn bar(histogram: &Histogram, run: bool, at: usize, row: Rect, pen: &mut Pen<'_>) {
    let Some(bar) = histogram.bars.get(at) else {
        return;
    };
    let most = histogram
        .bars
        .iter()
        .map(|bar| bar.count)
        .max()
        .unwrap_or(1)
        .max(1);
    let upto = format!("{} {}", pen.theme.pick("≤", "<"), duration::compact(bar.to));
    pen.right(columns(row, 0, 11), &upto, Role::Dim);
    let trace = if bar.trace_id.is_some() {
        pen.theme.pick("→", ">")
    } else {
        " "
    };
    let failed = match bar.failed {
        0 => String::new(),
        failed => format!("  {} {failed}", pen.theme.pick("✗", "x")),
    };
    let tail = format!("{}{failed} {trace}", bar.count);
    let room = columns(row, 12, row.width.saturating_sub(14));
    let eighths = u64::from(room.width) * 8 * bar.count / most;
    let eighths = if bar.count > 0 { eighths.max(1) } else { 0 };
    let bad = (eighths * bar.failed).div_ceil(bar.count.max(1));
    let role = if run { Role::Attempt } else { Role::Wait };
    let mut end = 0;
    for cell in 0..room.width {
        let left = u64::from(cell) * 8;
        if left >= eighths {
            break;
        }
        let inner = (0, (eighths - left).min(8));
        let role = if left < bad { Role::Error } else { role };
        let sign = match pen.theme.unicode() {
            true => longshore_trace::timeline::block(inner, false).0,
            false => "#",
        };
        pen.text(columns(room, cell, cell + 1), sign, role);
        end = cell + 1;
    }
    let role = if bar.failed > 0 {
        Role::Error
    } else {
        Role::Plain
    };
    pen.text(columns(row, 13 + end, row.width), &tail, role);
}
