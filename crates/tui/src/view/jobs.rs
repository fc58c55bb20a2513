//! The list of jobs, and the one with the cursor.

use longshore_api::job::{Job, JobsQuery};
use longshore_trace::duration;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{chip_of_list, empty, end_of, show_page, title, traces};
use crate::job_page;
use crate::layout::{Layout, Panel};
use crate::page::ago;
use crate::state::State;
use crate::state::jobs::{Jobs, STATES, failed, took};
use crate::theme::{Role, Theme};

pub(super) fn draw(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    if let Some(panel) = layout.list {
        list(state, layout, panel, pen);
    }
    if let Some(panel) = layout.strip {
        title(panel, "Held back", "", false, pen);
        let lines = layout.held_back(state);
        for (text, y) in lines.iter().zip(panel.inner.y..panel.inner.bottom()) {
            let row = Rect::new(panel.inner.x, y, panel.inner.width, 1);
            pen.text(columns(row, 1, row.width), text, Role::Warning);
        }
    }
    if let Some(panel) = layout.main {
        let active = state.jobs.inside;
        let heading = match state.jobs.before.len() {
            0 => "Job".to_owned(),
            back => format!("Job (Esc: back, {back})"),
        };
        title(panel, &heading, "", active, pen);
        if state.jobs.selected().is_some() {
            let page = job_page::page(state, panel.inner.width, pen.theme.unicode());
            show_page(&page, state.jobs.cursor, active, panel.inner, pen);
        }
    }
}

fn list(state: &State, layout: &Layout, panel: Panel, pen: &mut Pen<'_>) {
    let jobs = &state.jobs;
    let active = !jobs.inside;
    let heading = heading(jobs, pen.theme);
    let chip = match state.frozen {
        true => "frozen".to_owned(),
        false if jobs.is_full() => format!("the newest {}, / for others", Jobs::MOST),
        false => format!("{} live", pen.theme.pick("●", "*")),
    };
    let chip = chip_of_list(state, layout, &chip, pen.theme);
    title(panel, &heading, &chip, active, pen);
    let area = panel.inner;
    if let Some(problem) = &jobs.list.problem {
        return empty(
            area,
            &[
                "The jobs cannot be listed",
                problem,
                "Press / to mend the search, Esc for all jobs.",
            ],
            pen,
        );
    }
    if jobs.list.items.is_none() {
        return empty(area, &["Reading the jobs…"], pen);
    }
    if jobs.list.items().is_empty() {
        return nothing(state, area, pen);
    }
    let head = layout.heading(state);
    if head > 0 {
        let line = Rect { height: 1, ..area };
        pen.text(columns(line, 3, line.width), "state", Role::Dim);
        pen.text(columns(line, 15, line.width), "queue/kind", Role::Dim);
        pen.right(
            columns(line, 0, line.width.saturating_sub(6)),
            "attempt",
            Role::Dim,
        );
        let last = if jobs.longest_first { "took" } else { "age" };
        pen.right(line, last, Role::Dim);
    }
    let height = layout.item_height();
    let lines = (area.y + head..area.bottom()).step_by(usize::from(height));
    let items = jobs
        .list
        .items()
        .iter()
        .enumerate()
        .skip(jobs.list.cursor.top);
    for ((at, job), y) in items.zip(lines) {
        let row = Rect::new(area.x, y, area.width, height.min(area.bottom() - y));
        if at == jobs.list.cursor.at {
            pen.highlight(row, active);
        }
        if height == 1 {
            line(state, job, row, pen);
        } else {
            two_lines(state, job, row, pen);
        }
    }
}

/// Which jobs are listed, and in which order.
fn heading(jobs: &Jobs, theme: Theme) -> String {
    let shown = STATES.get(jobs.state).map_or("", |(word, _)| word);
    let heading = match jobs.search.as_str() {
        "" => format!("Jobs: {shown}"),
        search => format!("Jobs: {shown} {} {search}", theme.pick("⌕", "/")),
    };
    match jobs.longest_first {
        true => format!(
            "{heading}, longest of the {} listed",
            jobs.list.items().len()
        ),
        false => heading,
    }
}

fn nothing(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let jobs = &state.jobs;
    if !jobs.search.is_empty() || jobs.state > 0 {
        let more = match (&jobs.query.text, &jobs.next_cursor) {
            (Some(text), Some(_)) => format!(
                "The newest {} jobs do not say it: {}.",
                JobsQuery::LOOKED_THROUGH,
                traces::say_key(text)
            ),
            (Some(text), None) => format!("No job says it: {}.", traces::say_key(text)),
            (None, _) => String::new(),
        };
        let lines = [
            "No such job",
            &more,
            "Press Esc for all jobs, s for the next state, / to search.",
        ];
        return empty(area, &lines, pen);
    }
    let lines = [
        "No job yet",
        "Enqueue one, and let a worker run it:",
        "  longshore enqueue mail welcome '{\"to\":\"ann\"}'",
        "  longshore worker --queue mail --exec 'cat'",
        "Or see a whole shop at work:",
        "  longshore demo",
    ];
    empty(area, &lines, pen);
}

fn sign(job: &Job, theme: Theme) -> (&'static str, Role) {
    match job.state.as_str() {
        _ if failed(job) => (theme.pick("✗", "x"), Role::Error),
        "running" => (theme.pick("▶", ">"), Role::Attempt),
        "completed" => (theme.pick("✓", "+"), Role::Good),
        "cancelled" => (theme.pick("⊘", "/"), Role::Dim),
        _ => (theme.pick("○", "o"), Role::Dim),
    }
}

fn line(state: &State, job: &Job, row: Rect, pen: &mut Pen<'_>) {
    let (sign, role) = sign(job, pen.theme);
    pen.text(columns(row, 1, 2), sign, role);
    pen.text(columns(row, 3, 14), &job.state, role);
    let wide = row.width;
    pen.right(row, &age(state, job), Role::Dim);
    let tries = format!("{}/{}", job.attempt, job.max_attempts);
    let used = pen.right(columns(row, 0, wide.saturating_sub(6)), &tries, Role::Plain);
    let end = wide.saturating_sub(7 + used.max(7));
    let used = pen.text(
        columns(row, 15, end),
        &format!("{}/{}", job.queue, job.kind),
        Role::Plain,
    );
    if let Some(class) = class(job) {
        pen.text(columns(row, 15 + used + 2, end), class, Role::Error);
    }
}

fn two_lines(state: &State, job: &Job, row: Rect, pen: &mut Pen<'_>) {
    let first = Rect { height: 1, ..row };
    let (sign, role) = sign(job, pen.theme);
    pen.text(columns(first, 1, 2), sign, role);
    let used = pen.right(first, &age(state, job), Role::Dim);
    let name = format!("{}/{}", job.queue, job.kind);
    pen.text(
        columns(first, 3, first.width.saturating_sub(used + 1)),
        &name,
        Role::Plain,
    );
    if row.height < 2 {
        return;
    }
    let second = Rect {
        y: row.y + 1,
        height: 1,
        ..row
    };
    // The end of an id tells apart what was enqueued at the same time.
    let id = end_of(&job.id, 7, pen.theme);
    let tries = format!("{id}  {}/{}", job.attempt, job.max_attempts);
    let used = pen.right(second, &tries, Role::Dim);
    let text = match class(job) {
        Some(class) => format!("{} {class}", job.state),
        None => job.state.clone(),
    };
    pen.text(
        columns(second, 3, second.width.saturating_sub(used + 1)),
        &text,
        role,
    );
}

/// How long ago it was enqueued; in the order of what took longest, how long it took.
fn age(state: &State, job: &Job) -> String {
    match state.jobs.longest_first {
        true => duration::compact(took(job, state.now)),
        false => ago(state.now, job.enqueued_at),
    }
}

/// The class of the error of the last attempt.
fn class(job: &Job) -> Option<&str> {
    let error = job.history.last()?.error.as_ref()?;
    Some(error.class.as_str())
}
