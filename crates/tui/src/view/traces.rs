//! The list of traces.

use std::time::Duration;

use longshore_api::trace::DiffSide;
use longshore_core::Timestamp;
use longshore_trace::{TraceSummary, duration};
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{chip_of_list, empty, end_of, title};
use crate::job_page::due_in;
use crate::layout::{self, Layout, Panel, Shape};
use crate::page::{ago, short};
use crate::state::traces::Page;
use crate::state::{Focus, State};
use crate::theme::{Role, Theme};

/// Columns of the small picture of where the time went, in a wide list and in a narrow one.
const MINI: [u16; 2] = [8, 3];

pub(super) fn list(state: &State, layout: &Layout, panel: Panel, pen: &mut Pen<'_>) {
    let active = state.focus == Focus::List;
    let traces = &state.traces;
    let is_wide = layout.shape != Shape::Narrow && panel.inner.width >= 36;
    let chip = chip(state, is_wide, pen.theme);
    let chip = chip_of_list(state, layout, &chip, pen.theme);
    title(panel, &heading(state, pen.theme), &chip, active, pen);
    let area = panel.inner;
    if let Some(problem) = &traces.problem {
        let (what, then) = match traces.search.as_str() {
            "" => ("The traces cannot be listed", "It is tried again."),
            _ => (
                "This search cannot be done",
                "Press / to mend it, Esc for all traces.",
            ),
        };
        return empty(area, &[what, problem, then], pen);
    }
    if !traces.known || (traces.len() == 0 && traces.reading) {
        return empty(area, &["Reading the traces…"], pen);
    }
    if traces.len() == 0 {
        return nothing(state, area, pen);
    }
    let height = layout.item_height();
    let selected = traces.line();
    for (at, y) in (traces.top..).zip((area.y..area.bottom()).step_by(usize::from(height))) {
        let Some(trace) = traces.get(at) else {
            break;
        };
        let row = Rect::new(area.x, y, area.width, height.min(area.bottom() - y));
        if at == selected {
            pen.highlight(row, active);
        }
        if height == 1 {
            line(state, trace, row, pen);
        } else {
            two_lines(state, trace, row, pen);
        }
    }
}

fn heading(state: &State, theme: Theme) -> String {
    let traces = &state.traces;
    let side = DiffSide::Search(traces.search.clone());
    let mark = marked(state, &side).map_or(String::new(), |mark| format!("{mark} "));
    match (traces.only, traces.search.as_str()) {
        (Some(_), _) => "Traces: one trace".to_owned(),
        (None, "") if traces.longest_first() => {
            format!("{mark}Traces, longest of the {} listed", traces.len())
        }
        (None, "") => format!("{mark}Traces"),
        (None, search) if traces.longest_first() => {
            let sign = theme.pick("⌕", "/");
            let of = traces.len();
            format!("{mark}Traces {sign} {search}, longest of the {of} listed")
        }
        (None, search) => format!("{mark}Traces {} {search}", theme.pick("⌕", "/")),
    }
}

fn chip(state: &State, is_wide: bool, theme: Theme) -> String {
    let traces = &state.traces;
    let new = traces.fresh();
    match (state.frozen, new) {
        (true, 0) => format!("{} frozen", theme.pick("‖", "=")),
        (true, _) => format!("{} {new} new, f", theme.pick("‖", "=")),
        (false, _) if state.backend.down.is_some() => "no answer".to_owned(),
        (false, _) if traces.reading || (!traces.known && traces.problem.is_none()) => {
            "reading traces…".to_owned()
        }
        (false, _) if traces.slot.busy() && traces.awaited == Page::First => {
            "searching…".to_owned()
        }
        (false, _) if traces.is_full() => format!("the newest {}", traces.len()),
        (false, _) if traces.search.is_empty() && traces.only.is_none() && is_wide => {
            format!("also /claim /admin  {} live", theme.pick("●", "*"))
        }
        (false, _) => format!("{} live", theme.pick("●", "*")),
    }
}

fn nothing(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let about = state.backend.about.as_ref();
    if !state.traces.search.is_empty() {
        return nothing_found(state, area, pen);
    }
    if about.is_some_and(|about| about.traces.is_none()) {
        let lines = [
            "No traces are kept here",
            "The span log is off. Start workers with it on, or look at jobs with 2.",
        ];
        return empty(area, &lines, pen);
    }
    let lines = [
        "No trace yet",
        "Traces appear here as soon as jobs run. To see some at once:",
        "  longshore demo",
        "Press 2 for jobs, 3 for queues, ? for all keys.",
    ];
    empty(area, &lines, pen);
}

/// What to say of a search that found no trace: which jobs it finds, or what else to type.
fn nothing_found(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let search = &state.traces.search;
    let first = format!("No trace matches {search}");
    let again = "Press Esc for all traces, / for another search.";
    let jobs = match &state.traces.jobs {
        Some(jobs) if jobs.count == 0 => {
            let tried = format!("nor does a job say it: {}", say_key(search));
            return empty(area, &[&first, &tried, again], pen);
        }
        Some(jobs) => match (&jobs.only, jobs.count, jobs.more) {
            (Some(job), ..) => {
                let only = format!("1 job says it: press Enter for {}.", job.id);
                let name = format!("{}/{}, {}", job.queue, job.kind, job.state);
                let why = job.held_back.iter();
                let why = why.map(|why| format!("held back: {why}"));
                let mut lines = vec![first, only, name];
                lines.extend(why);
                lines.push(again.to_owned());
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                return empty(area, &lines, pen);
            }
            (None, count, more) => {
                let more = if more { "or more " } else { "" };
                format!("{count} {more}jobs say it: press Enter.")
            }
        },
        None => String::new(),
    };
    empty(area, &[&first, &jobs, again], pen);
}

/// Which key of metadata to try for what somebody calls an order, a customer or the like.
pub(super) fn say_key(search: &str) -> String {
    let letters: String = search
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let key = match letters.as_str() {
        "" => "KEY",
        key => key,
    };
    format!("of metadata alone: meta.{key}={search}")
}

/// How a trace went, as a sign.
pub(super) fn sign(trace: &TraceSummary, theme: Theme) -> (&'static str, Role) {
    match trace {
        _ if trace.failed => (theme.pick("✗", "x"), Role::Error),
        _ if trace.open > 0 => (theme.pick("▶", ">"), Role::Attempt),
        _ if has_not_run(trace) => (theme.pick("○", "o"), Role::Dim),
        _ => (theme.pick("✓", "+"), Role::Good),
    }
}

/// Whether it is of a job that no worker has had yet, as far as it is known.
const fn has_not_run(trace: &TraceSummary) -> bool {
    trace.outcome.is_none() && trace.queue.is_some()
}

/// What a trace is called.
pub(super) fn called(trace: &TraceSummary) -> String {
    match (&trace.queue, &trace.kind) {
        (Some(queue), Some(kind)) => format!("{queue}/{kind}"),
        (None, Some(kind)) => kind.clone(),
        _ if trace.service.is_empty() => trace.name.clone(),
        _ => format!("{} {}", trace.name, trace.service),
    }
}

/// How long it took, or that it runs.
pub(super) fn took(trace: &TraceSummary) -> String {
    if trace.open > 0 && !trace.failed {
        return "running".to_owned();
    }
    if has_not_run(trace) {
        return "not run".to_owned();
    }
    duration::compact(trace.duration())
}

/// How long it took, or when its job is due, and how many others wait, as far as its story is known:
/// spans do not say it.
fn took_so_far(state: &State, trace: &TraceSummary, is_wide: bool) -> (String, Role) {
    let (took, role) = (took(trace), role_of(trace));
    let open = state.open.as_ref().and_then(|open| open.loaded.as_ref());
    let prepared = open.map(|loaded| &loaded.prepared);
    let Some(prepared) = prepared.filter(|of| of.story().summary.trace_id == trace.trace_id) else {
        return (took, role);
    };
    let job = prepared.story().job.as_ref().filter(|_| has_not_run(trace));
    let due = job.and_then(|job| due_in(job, state.now));
    let took = due.unwrap_or(took);
    match prepared.others_wait() {
        0 => (took, role),
        1 if is_wide => (format!("{took}, 1 job waits"), Role::Warning),
        many if is_wide => (format!("{took}, {many} jobs wait"), Role::Warning),
        1 => (format!("{took}, 1 waits"), Role::Warning),
        many => (format!("{took}, {many} wait"), Role::Warning),
    }
}

fn line(state: &State, trace: &TraceSummary, row: Rect, pen: &mut Pen<'_>) {
    let (sign, role) = sign(trace, pen.theme);
    pen.text(columns(row, 1, 2), sign, role);
    if let Some(mark) = mark(state, trace) {
        pen.text(columns(row, 0, 1), mark, Role::Warning);
    }
    let wide = row.width;
    let age = ago(state.now, trace.start);
    pen.right(columns(row, wide.saturating_sub(4), wide), &age, Role::Dim);
    let mini_width = mini_width(wide);
    let mini_at = wide.saturating_sub(4 + mini_width);
    mini(
        state,
        trace,
        columns(row, mini_at, mini_at + mini_width),
        pen,
    );
    let (took, role) = took_so_far(state, trace, wide >= 60);
    let took_at = mini_at.saturating_sub(layout::text_width(&took).max(8) + 1);
    let text_width = pen.right(
        columns(row, took_at, mini_at.saturating_sub(1)),
        &took,
        role,
    );
    let end = mini_at.saturating_sub(2 + text_width);
    // Of a name that does not fit, the kind says more than the queue.
    let name = called(trace);
    let kind = trace
        .kind
        .clone()
        .filter(|_| layout::text_width(&name) + 3 > end);
    let used = pen.text(columns(row, 3, end), &kind.unwrap_or(name), Role::Plain);
    if wide >= 60 {
        let (text, role) = about(trace);
        // One under the other, unless a name is very long.
        let from = (3 + used + 2).max(36);
        // The end of an id tells apart what came at the same time.
        let text = match role {
            Role::Dim => end_of(&text, usize::from(end.saturating_sub(from)), pen.theme),
            _ => text,
        };
        pen.text(columns(row, from, end), &text, role);
    }
}

/// What sets a trace apart from others of its name: what went wrong, or how often it was tried, or
/// what it belongs to.
fn about(trace: &TraceSummary) -> (String, Role) {
    if let (true, Some(error)) = (trace.failed, &trace.error_type) {
        return (error.clone(), Role::Error);
    }
    if trace.attempts > 1 {
        return (format!("attempt {}", trace.attempts), Role::Warning);
    }
    let own = trace.job_ids.first();
    let group = trace.correlation_id.as_ref();
    let group = group.filter(|group| Some(*group) != own);
    let text = group.or(trace.tenant_id.as_ref()).or(own);
    (text.cloned().unwrap_or_default(), Role::Dim)
}

fn two_lines(state: &State, trace: &TraceSummary, row: Rect, pen: &mut Pen<'_>) {
    let first = Rect { height: 1, ..row };
    let (sign, role) = sign(trace, pen.theme);
    pen.text(columns(first, 1, 2), sign, role);
    if let Some(mark) = mark(state, trace) {
        pen.text(columns(first, 0, 1), mark, Role::Warning);
    }
    let (took, role) = took_so_far(state, trace, false);
    let used = pen.right(first, &took, role);
    let end = first.width.saturating_sub(used + 1);
    pen.text(columns(first, 3, end), &called(trace), Role::Plain);
    if row.height < 2 {
        return;
    }
    let second = Rect {
        y: row.y + 1,
        height: 1,
        ..row
    };
    let id = short(trace.trace_id, pen.theme.unicode());
    let tail = format!("{id} {:>3}", ago(state.now, trace.start));
    let used = pen.right(second, &tail, Role::Dim);
    let mini_width = mini_width(second.width);
    mini(state, trace, columns(second, 3, 3 + mini_width), pen);
    let end = second.width.saturating_sub(used + 1);
    let about = match &trace.error_type {
        Some(error) => error.clone(),
        None => trace.outcome.clone().unwrap_or_default(),
    };
    let role = if trace.failed { Role::Error } else { Role::Dim };
    pen.text(columns(second, 4 + mini_width, end), &about, role);
}

const fn mini_width(list: u16) -> u16 {
    let [wide, narrow] = MINI;
    if list < 60 { narrow } else { wide }
}

fn role_of(trace: &TraceSummary) -> Role {
    if trace.failed {
        Role::Error
    } else {
        Role::Plain
    }
}

fn mark(state: &State, trace: &TraceSummary) -> Option<&'static str> {
    marked(state, &DiffSide::Trace(trace.trace_id))
}

/// As which side of a comparison something is marked.
fn marked(state: &State, side: &DiffSide) -> Option<&'static str> {
    let marked = &state.traces.marked;
    let at = marked.iter().position(|other| other == side)?;
    Some(if at == 0 { "A" } else { "B" })
}

/// What the traces of a search are called.
pub(super) fn group(search: &str) -> &str {
    match search {
        "" => "all traces",
        search => search,
    }
}

/// Where the time of the job went: waiting, then running.
fn mini(state: &State, trace: &TraceSummary, area: Rect, pen: &mut Pen<'_>) {
    let whole = trace.wait.saturating_add(trace.run);
    let running = trace.open > 0;
    if whole.is_zero() && !running {
        return;
    }
    let cells = usize::from(area.width);
    let eighths = |part: Duration| -> usize {
        let part = part.as_nanos() * u128::from(area.width) * 8;
        usize::try_from(part / whole.as_nanos().max(1)).unwrap_or(cells * 8)
    };
    // The list keeps its place; only what runs moves.
    let most = if trace.run.is_zero() {
        cells
    } else {
        cells.saturating_sub(1)
    };
    let waited = (eighths(trace.wait) + 4).div_euclid(8).min(most);
    for (at, x) in (area.x..area.right()).enumerate() {
        let (sign, role) = match at < waited {
            true => (pen.theme.pick("┄", "."), Role::Wait),
            false if trace.failed => (pen.theme.pick("━", "#"), Role::Error),
            false if running => (moving(state.now, at, pen.theme), Role::Attempt),
            false => (pen.theme.pick("━", "="), Role::Attempt),
        };
        pen.text(Rect::new(x, area.y, 1, 1), sign, role);
    }
}

/// What runs: a pattern that wanders.
pub(super) fn moving(now: Timestamp, at: usize, theme: Theme) -> &'static str {
    let step = usize::try_from(now.unix_millis().rem_euclid(4_000) / 500).unwrap_or(0);
    match (at + 8 - step) % 4 {
        0 => theme.pick("▸", ">"),
        _ => theme.pick("▪", "="),
    }
}
