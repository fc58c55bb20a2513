//! Workers and schedules.

use longshore_api::schedule::Schedule;
use longshore_api::worker::Worker;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::{empty, title};
use crate::layout::{Layout, text_width};
use crate::page::{ago, moment};
use crate::state::State;
use crate::theme::Role;

pub(super) fn workers(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let Some(panel) = layout.list else {
        return;
    };
    let listing = &state.workers;
    let count = listing.items.as_ref().map(|items| items.len().to_string());
    title(panel, "Workers", &count.unwrap_or_default(), true, pen);
    let area = panel.inner;
    if let Some(problem) = &listing.problem {
        return empty(area, &["The workers cannot be listed", problem], pen);
    }
    if listing.items.is_none() {
        return empty(area, &["Reading the workers…"], pen);
    }
    if listing.items().is_empty() {
        let lines = [
            "No worker was seen lately",
            "Jobs wait until one claims them. Start one:",
            "  longshore worker --queue mail --exec ./work.sh",
        ];
        return empty(area, &lines, pen);
    }
    let height = layout.item_height();
    let lines = (area.y..area.bottom()).step_by(usize::from(height));
    let items = state.worker_lines();
    let items = items.iter().enumerate().skip(listing.cursor.top);
    for ((at, (worker, job)), y) in items.zip(lines) {
        let row = Rect::new(area.x, y, area.width, height.min(area.bottom() - y));
        if at == listing.cursor.at {
            pen.highlight(row, true);
        }
        let Some(worker) = listing.items().get(*worker) else {
            continue;
        };
        match job.and_then(|job| worker.jobs.get(job)) {
            Some(job) => one_job(state, job, row, pen),
            None => one_worker(state, worker, row, pen),
        }
    }
}

/// A job that a worker runs; where there is little room its id has a line of its own.
fn one_job(state: &State, job: &str, row: Rect, pen: &mut Pen<'_>) {
    let sign = pen.theme.pick("▶", ">");
    let kind = state.running.kinds.get(job).map(String::as_str);
    let text = match kind {
        Some(kind) if row.height >= 2 => format!("{sign} {kind}"),
        Some(kind) => format!("{sign} {kind} {job}"),
        None => format!("{sign} {job}"),
    };
    let indent = if row.height >= 2 { 3 } else { 5 };
    pen.text(columns(row, indent, row.width), &text, Role::Attempt);
    if row.height >= 2 && kind.is_some() {
        let second = Rect {
            y: row.y + 1,
            height: 1,
            ..row
        };
        pen.text(columns(second, 3, second.width), job, Role::Dim);
    }
}

fn one_worker(state: &State, worker: &Worker, row: Rect, pen: &mut Pen<'_>) {
    let first = Rect { height: 1, ..row };
    let (sign, role) = match worker.state.as_str() {
        "running" => (pen.theme.pick("●", "*"), Role::Good),
        "lost" => (pen.theme.pick("✗", "x"), Role::Error),
        _ => (pen.theme.pick("◐", "o"), Role::Warning),
    };
    pen.text(columns(first, 1, 2), sign, role);
    let busy = format!("{}/{} busy", worker.running, worker.concurrency);
    let seen = match row.width {
        ..100 => format!("{} ago", ago(state.now, worker.seen_at)),
        _ => format!("seen {} ago", ago(state.now, worker.seen_at)),
    };
    let queues = worker.queues.join(" ");
    if row.height >= 2 {
        let used = pen.right(first, &busy, Role::Plain);
        pen.text(
            columns(first, 3, first.width.saturating_sub(used + 1)),
            &worker.id,
            Role::Strong,
        );
        let second = Rect {
            y: row.y + 1,
            height: 1,
            ..row
        };
        let text = format!("{} {queues}", worker.state);
        pen.text(columns(second, 3, second.width), &text, Role::Dim);
        return;
    }
    let used = pen.right(
        first,
        &seen,
        if worker.state == "lost" {
            Role::Error
        } else {
            Role::Dim
        },
    );
    let end = first.width.saturating_sub(used + 1);
    let mut x = 3;
    x += pen.text(columns(first, x, end.min(34)), &worker.id, Role::Strong);
    x = x.max(33) + 2;
    pen.text(columns(first, x, x + 9), &worker.state, role);
    pen.text(columns(first, x + 10, x + 22), &busy, Role::Plain);
    let place = format!("{}:{}  {queues}", worker.host, worker.pid);
    pen.text(columns(first, x + 23, end), &place, Role::Dim);
}

pub(super) fn schedules(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let Some(panel) = layout.list else {
        return;
    };
    let listing = &state.schedules;
    title(panel, "Schedules", "", true, pen);
    let area = panel.inner;
    if let Some(problem) = &listing.problem {
        return empty(area, &["The schedules cannot be listed", problem], pen);
    }
    if listing.items.is_none() {
        return empty(area, &["Reading the schedules…"], pen);
    }
    if listing.items().is_empty() {
        let lines = [
            "No schedule yet",
            "Have a job enqueued again and again:",
            "  longshore schedule add nightly '0 3 * * *' reports nightly",
        ];
        return empty(area, &lines, pen);
    }
    let head = layout.heading(state);
    if head > 0 {
        let line = Rect { height: 1, ..area };
        for (at, word) in [(3, "schedule"), (29, "when"), (55, "next")] {
            pen.text(columns(line, at, line.width), word, Role::Dim);
        }
        pen.right(line, "fired  missed", Role::Dim);
    }
    let height = layout.item_height();
    let lines = (area.y + head..area.bottom()).step_by(usize::from(height));
    let items = listing.items().iter().enumerate().skip(listing.cursor.top);
    for ((at, schedule), y) in items.zip(lines) {
        let row = Rect::new(area.x, y, area.width, height.min(area.bottom() - y));
        if at == listing.cursor.at {
            pen.highlight(row, true);
        }
        one_schedule(state, schedule, row, pen);
    }
}

fn one_schedule(state: &State, schedule: &Schedule, row: Rect, pen: &mut Pen<'_>) {
    let first = Rect { height: 1, ..row };
    let (sign, role) = match schedule.paused {
        true => (pen.theme.pick("‖", "="), Role::Warning),
        false => (pen.theme.pick("▶", ">"), Role::Good),
    };
    pen.text(columns(first, 1, 2), sign, role);
    let next = match (schedule.paused, schedule.upcoming.first()) {
        (true, _) => "paused".to_owned(),
        (false, None) => "never again".to_owned(),
        (false, Some(at)) => {
            let wait = longshore_trace::duration::compact(at.since(state.now));
            match row.width {
                ..100 => format!("in {wait}"),
                _ => format!("in {wait}, {}", moment(*at)),
            }
        }
    };
    let when = match schedule.zone.as_str() {
        "UTC" | "" => schedule.cron.clone(),
        zone => format!("{} {zone}", schedule.cron),
    };
    if row.height >= 2 {
        pen.text(columns(first, 3, first.width), &schedule.name, Role::Plain);
        let second = Rect {
            y: row.y + 1,
            height: 1,
            ..row
        };
        let text = format!("{when}  {next}");
        pen.text(columns(second, 3, second.width), &text, Role::Dim);
        return;
    }
    let counts = format!("{}  {:>6}", schedule.fired, schedule.missed);
    let used = pen.right(
        first,
        &counts,
        if schedule.missed > 0 {
            Role::Warning
        } else {
            Role::Dim
        },
    );
    pen.text(columns(first, 3, 28), &schedule.name, Role::Plain);
    pen.text(columns(first, 29, 54), &when, Role::Plain);
    let end = first.width.saturating_sub(used + 2);
    let x = 55
        + pen.text(
            columns(first, 55, end),
            &next,
            if schedule.paused {
                Role::Warning
            } else {
                Role::Plain
            },
        );
    let what = format!("{}/{}", schedule.queue, schedule.kind);
    if x + 3 + text_width(&what) <= end {
        pen.text(columns(first, x + 3, end), &what, Role::Dim);
    }
}
