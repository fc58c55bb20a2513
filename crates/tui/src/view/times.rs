//! How long jobs of a queue or a kind waited and ran.

use longshore_api::queue::{Histogram, KindTimes, Latency};
use longshore_trace::duration;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{empty, title};
use crate::layout::{Panel, text_width};
use crate::state::State;
use crate::state::queues::Bars;
use crate::theme::Role;

/// Fewest kinds for which a table is worth its place; with less room they stand in one line.
const FEWEST: usize = 3;

/// A line of the panel.
enum Line<'h> {
    /// The heads of the table of kinds.
    Kinds,
    /// A kind of that table, by its place.
    Kind(usize, &'h KindTimes),
    /// All kinds in one line.
    InOne(&'h [KindTimes]),
    Heading(&'static str, &'h Histogram),
    /// The same without what they come to, which is said above.
    Section(&'static str),
    Bar(Bars),
    /// Bars of nothing, one after the other.
    Nothing,
    Blank,
}

/// What is under the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    Bar(Bars),
    /// A kind, by its place.
    Kind(usize),
    /// The line of all kinds.
    Kinds,
}

/// The lines of a panel: those that stay at its top, and those that are scrolled.
struct Lines<'h> {
    top: Vec<Line<'h>>,
    rest: Vec<Line<'h>>,
    /// How many of the rest are scrolled away.
    hidden: usize,
}

impl<'h> Lines<'h> {
    /// All that a panel of this height has to show: the kinds, and both histograms under each other.
    /// Where they do not fit, what both come to stays in sight.
    fn of(state: &'h State, height: usize) -> Self {
        let (mut heads, mut bars) = (Vec::new(), Vec::new());
        for (run, word) in [(false, "Time in the queue"), (true, "Time in the attempt")] {
            let Some(histogram) = state.queues.histogram(run) else {
                continue;
            };
            heads.push(Line::Heading(word, histogram));
            bars.push(Line::Heading(word, histogram));
            for (at, bar) in histogram.bars.iter().enumerate() {
                match (bar.count, bars.last()) {
                    (0, Some(Line::Nothing)) => {}
                    (0, _) => bars.push(Line::Nothing),
                    _ => bars.push(Line::Bar(Bars { run, at })),
                }
            }
            bars.push(Line::Blank);
        }
        let mut top = kinds(state, height.saturating_sub(bars.len()));
        // The last line is blank.
        let fits = top.len() + bars.len() <= height + 1;
        if !fits {
            top.append(&mut heads);
            let heading = |line: &mut Line<'_>| {
                if let Line::Heading(word, _) = line {
                    *line = Line::Section(word);
                }
            };
            bars.iter_mut().for_each(heading);
        }
        let room = height.saturating_sub(top.len());
        let hidden = hidden(state, &bars, room);
        Self {
            top,
            rest: bars,
            hidden,
        }
    }

    /// What stands in the lines of the panel, from its top.
    fn shown(&self) -> impl Iterator<Item = &Line<'h>> {
        self.top.iter().chain(self.rest.iter().skip(self.hidden))
    }
}

/// The kinds: a table where there is room for one, with the one that is looked at in sight.
fn kinds(state: &State, room: usize) -> Vec<Line<'_>> {
    let kinds = state.queues.kinds();
    if kinds.is_empty() {
        return Vec::new();
    }
    let rows = room.saturating_sub(2).min(kinds.len());
    if rows < FEWEST.min(kinds.len()) {
        return vec![Line::InOne(kinds)];
    }
    let first = (state.queues.kind_at().unwrap_or(0) + 1).saturating_sub(rows);
    let shown = kinds.iter().enumerate().skip(first).take(rows);
    let mut lines = vec![Line::Kinds];
    lines.extend(shown.map(|(at, kind)| Line::Kind(at, kind)));
    lines.push(Line::Blank);
    lines
}

/// The lines that are scrolled away where `height` are shown: as many as keep the cursor in sight.
fn hidden(state: &State, lines: &[Line<'_>], height: usize) -> usize {
    let cursor = state.queues.bars;
    let here = lines
        .iter()
        .position(|line| matches!(line, Line::Bar(bars) if Some(*bars) == cursor));
    here.map_or(0, |here| (here + 1).saturating_sub(height))
}

/// What stands in a line of the panel, which has so many.
pub(crate) fn hit(state: &State, line: usize, height: usize) -> Option<Hit> {
    match Lines::of(state, height).shown().nth(line)? {
        Line::Bar(bars) => Some(Hit::Bar(*bars)),
        Line::Kind(at, _) => Some(Hit::Kind(*at)),
        Line::InOne(_) => Some(Hit::Kinds),
        Line::Kinds | Line::Heading(..) | Line::Section(_) | Line::Nothing | Line::Blank => None,
    }
}

pub(super) fn draw(state: &State, panel: Panel, pen: &mut Pen<'_>) {
    let queues = &state.queues;
    let of = match (queues.list.selected(), &queues.kind) {
        (Some(queue), Some(kind)) => format!("{}/{kind}", queue.queue),
        (Some(queue), None) => format!("jobs of {}", queue.queue),
        (None, _) => "jobs".to_owned(),
    };
    let heading = format!("How long {of} took");
    let room = panel.inner.width.saturating_sub(text_width(&heading) + 4);
    let counted = queues.latency().map(|latency| counted(latency, room));
    let active = queues.bars.is_some();
    title(panel, &heading, &counted.unwrap_or_default(), active, pen);
    let area = panel.inner;
    if let Some(problem) = &queues.problem {
        return empty(area, &["This is not known", problem], pen);
    }
    let lines = Lines::of(state, usize::from(area.height));
    for (text, y) in lines.shown().zip(area.y..area.bottom()) {
        line(state, text, Rect::new(area.x, y, area.width, 1), pen);
    }
    let used = u16::try_from(lines.shown().count()).unwrap_or(area.height);
    let rest = Rect {
        y: area.y + used.min(area.height),
        height: area.height.saturating_sub(used),
        ..area
    };
    match (queues.latency(), queues.list.selected()) {
        (None, Some(_)) => empty(rest, &["Reading…"], pen),
        (Some(latency), _) if latency.jobs == 0 => {
            let lines = [
                "No such job ended in the last hour",
                "Once some did, bars show how long they waited and ran, with a trace behind each.",
            ];
            empty(rest, &lines, pen);
        }
        _ => {}
    }
}

/// Of how many jobs the bars are, and how many attempts those made: each of them is in the bars.
fn counted(latency: &Latency, room: u16) -> String {
    let word = if latency.jobs == 1 { "job" } else { "jobs" };
    let jobs = format!("{} {word}", latency.jobs);
    let attempts: u64 = latency.run.bars.iter().map(|bar| bar.count).sum();
    let tries = match attempts == latency.jobs {
        true => String::new(),
        false => format!(", {attempts} attempts"),
    };
    let unseen = latency.unseen.filter(|unseen| *unseen > 0);
    let unseen = unseen.map_or_else(String::new, |unseen| format!(", {unseen} without trace"));
    let texts = [
        format!("{jobs} in the last hour{tries}{unseen}"),
        format!("{jobs} in the last hour{tries}"),
        format!("last hour: {jobs}{tries}"),
        format!("{jobs} in the last hour"),
    ];
    let fitting = texts.into_iter().find(|text| text_width(text) <= room);
    fitting.unwrap_or(jobs)
}

fn line(state: &State, line: &Line<'_>, row: Rect, pen: &mut Pen<'_>) {
    match line {
        Line::Blank => {}
        Line::Nothing => {
            pen.right(columns(row, 0, 11), pen.theme.pick("⋮", ":"), Role::Dim);
        }
        Line::Kinds => {
            let heads = ["jobs", "failures", "wait p90", "run p90"];
            of_kind("kind, s for the next", heads, row, Role::Dim, pen);
        }
        Line::Kind(at, kind) => {
            let numbers = [kind.jobs, kind.failed].map(|number| number.to_string());
            let times = [kind.wait_p90, kind.run_p90].map(|time| match kind.jobs {
                0 => pen.theme.pick("–", "-").to_owned(),
                _ => duration::compact(time),
            });
            let [jobs, failed] = &numbers;
            let [wait, run] = &times;
            let texts = [jobs, failed, wait, run].map(String::as_str);
            of_kind(name(kind), texts, row, Role::Plain, pen);
            if state.queues.kind_at() == Some(*at) {
                let sign = pen.theme.pick("▸", ">");
                pen.text(row, sign, Role::Active);
                pen.highlight(row, false);
            }
        }
        Line::InOne(kinds) => in_one(state, kinds, row, pen),
        Line::Heading(word, histogram) => heading(word, histogram, row, pen),
        Line::Section(word) => {
            pen.text(columns(row, 1, row.width), word, Role::Strong);
        }
        Line::Bar(bars) => {
            if state.queues.bars == Some(*bars) {
                pen.highlight(row, true);
            }
            if let Some(histogram) = state.queues.histogram(bars.run) {
                bar(histogram, bars.run, bars.at, row, pen);
            }
        }
    }
}

/// What a kind is called; the whole queue has no name of a kind.
fn name(kind: &KindTimes) -> &str {
    match kind.kind.as_str() {
        "" => "all",
        kind => kind,
    }
}

/// A line of the table of kinds.
fn of_kind(name: &str, texts: [&str; 4], row: Rect, role: Role, pen: &mut Pen<'_>) {
    const WIDE: u16 = 10;
    let [jobs, failed, wait, run] = texts;
    // Where there is little room the failed ones are left out: their bars show them.
    let shown: &[&str] = match row.width {
        ..56 => &[jobs, wait, run],
        _ => &[jobs, failed, wait, run],
    };
    let mut end = row.width;
    for text in shown.iter().rev() {
        let from = end.saturating_sub(WIDE);
        pen.right(columns(row, from, end), text, role);
        end = from;
    }
    pen.text(columns(row, 2, end), name, role);
}

/// All kinds in one line, from the one on that is looked at if they do not fit.
fn in_one(state: &State, kinds: &[KindTimes], row: Rect, pen: &mut Pen<'_>) {
    let here = state.queues.kind_at();
    let text = |kind: &KindTimes| format!(" {} {} ", name(kind), kind.jobs);
    let mut first = 0;
    let upto = here.unwrap_or(0);
    let width = |first: usize| -> u16 {
        let shown = kinds.iter().take(upto + 1).skip(first);
        shown.map(|kind| text_width(&text(kind))).sum()
    };
    let mut x = 1 + pen.text(columns(row, 1, row.width), "kind, s:", Role::Dim);
    while first < upto && width(first) > row.width.saturating_sub(x) {
        first += 1;
    }
    for (at, kind) in kinds.iter().enumerate().skip(first) {
        let place = columns(row, x, row.width);
        let used = pen.text(place, &text(kind), Role::Plain);
        if here == Some(at) {
            pen.highlight(columns(row, x, x + used), true);
        }
        x += used;
    }
}

fn heading(word: &str, histogram: &Histogram, row: Rect, pen: &mut Pen<'_>) {
    let used = pen.text(columns(row, 1, row.width), word, Role::Strong) + 3;
    let room = columns(row, used, row.width);
    if histogram.bars.iter().all(|bar| bar.count == 0) {
        pen.text(room, pen.theme.pick("–", "-"), Role::Dim);
        return;
    }
    let [p50, p90, p99, longest] =
        [histogram.p50, histogram.p90, histogram.p99, histogram.max].map(duration::compact);
    let texts = [
        format!("p50 {p50}   p90 {p90}   p99 {p99}   longest {longest}"),
        format!("p50 {p50}   p90 {p90}   longest {longest}"),
        format!("p50 {p50}  longest {longest}"),
        format!("p50 {p50}"),
    ];
    let fitting = texts.iter().find(|text| text_width(text) <= room.width);
    pen.text(room, fitting.map_or("", String::as_str), Role::Dim);
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
