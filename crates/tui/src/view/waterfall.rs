//! The waterfall: what happened when, in one line for each span.

mod row;

use std::time::Duration;

use longshore_api::trace::{Story, StoryOf, TimeSpent};
use longshore_core::Timestamp;
use longshore_trace::duration;
use longshore_trace::text::width;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{empty, title, traces};
use crate::job_page::due_in;
use crate::layout::{Columns, Layout, Panel, Shape};
use crate::page::{short, wrap};
use crate::prepared::Prepared;
use crate::state::open::{Loaded, Open};
use crate::state::{Focus, State};
use crate::theme::{Role, Theme};

pub(super) fn draw(state: &State, layout: &Layout, panel: Panel, pen: &mut Pen<'_>) {
    let active = state.focus == Focus::Waterfall;
    let Some(open) = &state.open else {
        title(panel, "Waterfall", "", active, pen);
        let lines = [
            "No trace is open",
            "Select one in the list, or paste a trace id.",
        ];
        return empty(panel.inner, &lines, pen);
    };
    title(panel, &heading(open), &chips(open, pen.theme), active, pen);
    if let Some(problem) = &open.problem {
        let lines = [
            "This trace cannot be shown",
            problem.as_str(),
            "Press Esc to go back.",
        ];
        return empty(panel.inner, &lines, pen);
    }
    let Some(loaded) = &open.loaded else {
        return empty(panel.inner, &["Reading the trace…"], pen);
    };
    let sheet = Sheet {
        loaded,
        area: panel.inner,
        columns: layout.columns(),
        narrow: layout.shape == Shape::Narrow,
        finding_lines: layout.finding_lines(),
        active,
        state,
    };
    sheet.head(layout.waterfall_head(), pen);
    sheet.rows(layout.waterfall_head(), layout.item_height(), pen);
}

fn heading(open: &Open) -> String {
    let what = match open.of {
        StoryOf::Job(_) => "Story of the job",
        StoryOf::Trace(_) => "Waterfall",
        StoryOf::TraceAlone(_) => "Trace alone",
    };
    match open.before.len() {
        0 => what.to_owned(),
        back => format!("{what} (Esc: back, {back})"),
    }
}

fn chips(open: &Open, theme: Theme) -> String {
    let Some(loaded) = &open.loaded else {
        return String::new();
    };
    let mut chips = Vec::new();
    let found = &loaded.found;
    if !found.text().is_empty() {
        let sign = theme.pick("⌕", "/");
        chips.push(format!("{sign} {} in {} (n N)", found.text(), found.len()));
    }
    let hidden = loaded.rows.hidden_services();
    if let Some(first) = hidden.first() {
        let more = match hidden.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        chips.push(format!("without {first}{more} (X)"));
    }
    if open.recorded {
        chips.push("clocks as recorded (K)".to_owned());
    }
    if loaded.zoom.is_some() {
        chips.push("zoomed (, .)".to_owned());
    }
    if !loaded.gaps {
        chips.push("gaps shown".to_owned());
    }
    if loaded.prepared.has_critical() && loaded.critical {
        chips.push(theme.pick("█ critical", "# critical").to_owned());
    }
    chips.join("  ")
}

/// A waterfall about to be drawn.
struct Sheet<'s> {
    loaded: &'s Loaded,
    area: Rect,
    columns: Columns,
    narrow: bool,
    finding_lines: u16,
    active: bool,
    state: &'s State,
}

impl Sheet<'_> {
    fn prepared(&self) -> &Prepared {
        &self.loaded.prepared
    }

    fn line(&self, at: u16) -> Rect {
        Rect {
            y: self.area.y + at,
            height: u16::from(at < self.area.height),
            ..self.area
        }
    }

    /// What it comes down to, where the time went, and the time line.
    fn head(&self, lines: u16, pen: &mut Pen<'_>) {
        let story = self.prepared().story();
        let theme = pen.theme;
        let first = self.line(0);
        let (sign, role) = traces::sign(&story.summary, theme);
        let verdict = verdict(self.prepared(), self.state.now, self.narrow);
        let took = match self.prepared().running() {
            true => self.prepared().whole(),
            false => story.summary.duration(),
        };
        // Where the job took less than its trace, each says whose time it is.
        let whose = match is_longer_than_job(story, took) && !self.narrow {
            true => "trace ",
            false => "",
        };
        let tail = format!("{whose}{}  {sign} {verdict} ", duration::format(took));
        let used = pen.right(first, &tail, role);
        let called = traces::called(&story.summary);
        let room = first.width.saturating_sub(used + 1);
        let x = 1 + pen.text(columns(first, 1, room), &called, Role::Strong);
        let room = first.width.saturating_sub(used + 2);
        let id = short(story.summary.trace_id, theme.unicode());
        pen.text(columns(first, x + 2, room), &id, Role::Dim);
        if lines < 2 {
            return;
        }
        let inner = |at: u16| columns(self.line(at), 1, self.area.width);
        let text = shares(self.prepared(), took, self.narrow, theme);
        pen.text(inner(1), &text, Role::Plain);
        let open = self.state.open.as_ref();
        let text = open.and_then(|open| open.finding_in_words(self.state.now, theme.unicode()));
        if let Some(text) = text {
            let wide = usize::from(self.area.width.saturating_sub(2));
            let texts = wrap(&text, wide, theme.unicode());
            let cut = texts.len() > usize::from(self.finding_lines);
            for (text, at) in texts.iter().zip(2..2 + self.finding_lines) {
                let is_last = at + 1 == 2 + self.finding_lines;
                let mark = if cut && is_last { theme.more() } else { "" };
                pen.text(inner(at), &format!("{text}{mark}"), Role::Warning);
            }
        }
        if lines >= 4 && !self.narrow {
            self.axis(lines - 2, pen);
        }
    }

    fn axis(&self, at: u16, pen: &mut Pen<'_>) {
        let timeline = &self.loaded.timeline;
        let left = u16::try_from(self.columns.label + 1).unwrap_or(0);
        let shift = self.loaded.window().from;
        let ticks = timeline.ticks();
        let cell = |at: usize| u16::try_from(at).unwrap_or(u16::MAX).saturating_add(left);
        let (labels, ruler) = (self.line(at), self.line(at + 1));
        if shift > 0 {
            let from = format!("from +{}", duration::format(Duration::from_nanos(shift)));
            pen.text(columns(labels, 1, left.saturating_sub(1)), &from, Role::Dim);
        }
        for (at, label) in &ticks.labels {
            pen.text(columns(labels, cell(*at), labels.width), label, Role::Dim);
        }
        for segment in timeline.segments() {
            let (from, to) = (cell(segment.cell), cell(segment.cell + segment.cells));
            let area = columns(ruler, from, to);
            if segment.folded {
                let length = Duration::from_nanos(segment.time.to - segment.time.from);
                let text = duration::compact(length);
                let (open, close) = (pen.theme.pick("╱", "/"), pen.theme.pick("╲", "\\"));
                let inner = segment.cells.saturating_sub(2);
                let text = if width(&text) <= inner {
                    text
                } else {
                    String::new()
                };
                pen.text(area, &format!("{open}{text:^inner$}{close}"), Role::Plain);
            } else {
                let line = pen.theme.pick("─", "-").repeat(segment.cells);
                pen.text(area, &line, Role::Rule);
            }
        }
        for mark in &ticks.marks {
            let at = cell(*mark);
            pen.text(
                columns(ruler, at, at + 1),
                pen.theme.pick("┬", "+"),
                Role::Dim,
            );
        }
    }

    fn rows(&self, head: u16, height: u16, pen: &mut Pen<'_>) {
        let Loaded { rows, cursor, .. } = self.loaded;
        let first = self.area.y + head;
        let lines = (first..self.area.bottom()).step_by(usize::from(height));
        for (at, y) in (cursor.top..rows.len()).zip(lines) {
            let Some(shown) = rows.get(at) else {
                break;
            };
            let Some(row) = self.prepared().chart().row(shown.first()) else {
                break;
            };
            let area = Rect {
                y,
                height: height.min(self.area.bottom() - y),
                ..self.area
            };
            if at == cursor.at {
                pen.highlight(area, self.active);
            }
            self.row(shown, row, area, pen);
        }
    }
}

/// How it ended, in a word or two, and whether more is to come.
fn verdict(prepared: &Prepared, now: Timestamp, narrow: bool) -> String {
    let story = prepared.story();
    let due = story.job.as_ref().and_then(|job| due_in(job, now));
    let due = due.map_or(String::new(), |due| format!(", {due}"));
    let waits = match prepared.others_wait() {
        0 => String::new(),
        _ if narrow => ", more waits".to_owned(),
        1 => ", 1 job waits".to_owned(),
        many => format!(", {many} jobs wait"),
    };
    format!("{}{due}{waits}", outcome(story))
}

fn outcome(story: &Story) -> String {
    let summary = &story.summary;
    let outcome = match (&summary.outcome, story.job.as_ref()) {
        (_, Some(job)) => job.state.clone(),
        (Some(outcome), None) => outcome.clone(),
        (None, None) if summary.failed => "failed".to_owned(),
        (None, None) if summary.open > 0 => "running".to_owned(),
        (None, None) if summary.queue.is_some() => "no attempt yet".to_owned(),
        (None, None) => "no error".to_owned(),
    };
    match (story.job.as_ref(), summary.attempts) {
        (Some(job), many) if many > 1 => format!("{outcome} {many}/{}", job.max_attempts),
        (None, many) if many > 1 => format!("{outcome}, attempt {many}"),
        _ => outcome,
    }
}

/// Whether a trace took longer than its job, or not as long, by what can be seen: what a job enqueued
/// may go on after it.
fn is_longer_than_job(story: &Story, took: Duration) -> bool {
    took.abs_diff(story.time.total).saturating_mul(100) > took
}

/// Where the time went, and of which time it is a share: `took` is what stands above.
fn shares(prepared: &Prepared, took: Duration, narrow: bool, theme: Theme) -> String {
    let story = prepared.story();
    let TimeSpent {
        total,
        wait,
        run,
        back_off,
        settle,
    } = story.time;
    let delay = prepared.delayed();
    let parts = [
        ("wait", wait),
        ("run", run),
        ("delay", delay),
        ("back-off", back_off.saturating_sub(delay)),
        ("settle", settle),
    ];
    let whole = total.as_nanos().max(1);
    let shown = parts
        .iter()
        .filter(|(_, time)| !time.is_zero())
        .map(|(word, time)| {
            let percent = (time.as_nanos() * 200 / whole).div_ceil(2).min(100);
            match percent {
                // Where there is little room, the larger parts say enough.
                0 if narrow => String::new(),
                0 => format!("{word} <1 %"),
                _ => format!("{word} {percent} %"),
            }
        });
    let shown: Vec<String> = shown.filter(|part| !part.is_empty()).collect();
    if shown.is_empty() {
        let rows = story.chart.rows().len();
        return format!("{rows} spans");
    }
    let shown = shown.join(theme.pick(" · ", " - "));
    match narrow {
        true => shown,
        false if is_longer_than_job(story, took) => {
            format!("of the job's own {}: {shown}", duration::format(total))
        }
        false => format!("of {}: {shown}", duration::format(total)),
    }
}
