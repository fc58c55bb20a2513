//! What is known about a job, as a page.

use std::time::Duration;

use longshore_api::Json;
use longshore_api::job::{Attempt, Holder, Job};
use longshore_api::trace::StoryOf;
use longshore_core::Timestamp;
use longshore_trace::duration;
use longshore_trace::text::{fit, width};

use crate::layout::text_width;
use crate::page::{Page, Target, ago, clock, moment, wrap};
use crate::state::State;
use crate::state::jobs::failed;
use crate::theme::Role;

/// Longest args or result that are shown, in characters.
const LONGEST: usize = 4_096;

/// The page about the selected job.
pub(crate) fn page(state: &State, width: u16, unicode: bool) -> Page {
    let mut page = Page::new(usize::from(width).saturating_sub(2), unicode);
    let Some(job) = state.jobs.selected() else {
        return page;
    };
    page.text(&job.kind, 0, Role::Strong);
    let role = if failed(job) {
        Role::Error
    } else {
        Role::Strong
    };
    let tries = format!(
        "{}, attempt {} of {}",
        job.state, job.attempt, job.max_attempts
    );
    page.pair("state", &tries, role);
    page.pair("queue", &job.queue, Role::Plain);
    page.pair("id", &job.id, Role::Plain);
    match job.trace.trace_id {
        Some(trace) => {
            let target = Target::Story(StoryOf::Job(job.id.clone()));
            page.pair_to("trace", &trace.to_string(), Role::Key, target);
            let keys = "o opens it in the APM, t copies its id, T shows it";
            if width > 64 {
                page.text(keys, 12, Role::Dim);
            }
        }
        None => page.pair(
            "trace",
            "none: it was enqueued and never run with tracing on",
            Role::Dim,
        ),
    }
    if let Some(reason) = &job.trace.keep_reason {
        page.pair("kept for", reason, Role::Plain);
    }
    times(&mut page, job, state, width);
    attempts(&mut page, job, width);
    labels(&mut page, job);
    bytes(
        &mut page,
        "Args",
        job.args.as_ref(),
        job.args_base64.as_deref(),
    );
    bytes(
        &mut page,
        "Result",
        job.result.as_ref(),
        job.result_base64.as_deref(),
    );
    page
}

fn times(page: &mut Page, job: &Job, state: &State, width: u16) {
    let now = state.now;
    let since = |at: Timestamp| match width {
        ..46 => moment(at),
        _ => format!("{}, {} ago", moment(at), ago(now, at)),
    };
    page.pair("enqueued", &since(job.enqueued_at), Role::Plain);
    if job.first_available_at > job.enqueued_at {
        page.pair("due first", &moment(job.first_available_at), Role::Plain);
    }
    match (job.finished_at, job.state.as_str()) {
        (Some(at), _) => page.pair("ended", &since(at), Role::Plain),
        (None, "running") => {}
        (None, _) if job.available_at > now => {
            let wait = duration::format(job.available_at.since(now));
            page.pair("due", &format!("in {wait}"), Role::Plain);
        }
        (None, _) => {
            let waited = duration::format(now.since(job.available_at));
            page.pair(
                "due",
                &format!("for {waited}, and no worker has it"),
                Role::Warning,
            );
            held_back(page, job);
        }
    }
    if job.state == "running" {
        page.heading("Running");
        worker(page, job);
        if let Some(at) = job.claimed_at {
            page.pair("for", &duration::format(now.since(at)), Role::Strong);
        }
        if let Some(progress) = job.progress {
            page.pair("progress", &format!("{progress} %"), Role::Plain);
        }
        if let Some(at) = job.lease_expires_at {
            page.pair("lease until", &clock(at), Role::Plain);
        }
        if job.cancel_requested {
            page.pair(
                "asked to",
                job.stop_requested.as_deref().unwrap_or("cancel"),
                Role::Warning,
            );
        }
    }
}

/// When a job is due that is not yet, in words.
pub(crate) fn due_in(job: &Job, now: Timestamp) -> Option<String> {
    let rests = matches!(job.state.as_str(), "scheduled" | "retryable" | "available");
    let is_later = rests && job.available_at > now;
    is_later.then(|| format!("due in {}", ago(job.available_at, now)))
}

/// Who runs a job, with the way there.
pub(crate) fn worker(page: &mut Page, job: &Job) {
    match &job.worker {
        Some(id) => page.pair_to("worker", id, Role::Plain, Target::Worker(id.clone())),
        None => page.pair("worker", "unknown", Role::Plain),
    }
}

/// What holds a job back, with the ways to those who do.
pub(crate) fn held_back(page: &mut Page, job: &Job) {
    for why in &job.held_back {
        let named = job.held_by.iter().filter(|one| why.contains(one.id()));
        let first = named.clone().next();
        let target = first.map_or_else(|| Target::Copy(why.clone()), Target::of);
        page.pair_to("held back", why, Role::Warning, target);
        for holder in named {
            let what = match holder {
                Holder::Job(_) => "by the job",
                Holder::Worker(_) => "by worker",
            };
            page.pair_to(what, holder.id(), Role::Key, Target::of(holder));
        }
    }
}

/// What holds a job back, in at most so many lines; nothing of a job that nothing does.
pub(crate) fn held_back_in_short(
    job: &Job,
    wide: usize,
    most: usize,
    unicode: bool,
) -> Vec<String> {
    if job.held_back.is_empty() {
        return Vec::new();
    }
    let text = job.held_back.join("; ");
    let mut lines = wrap(&text, wide, unicode);
    let is_cut = lines.len() > most;
    lines.truncate(most);
    if let (true, Some(last)) = (is_cut, lines.last_mut()) {
        let more = if unicode { " …" } else { " .." };
        let room = wide.saturating_sub(width(more));
        *last = format!("{}{more}", fit(last, room, ""));
    }
    lines
}

fn attempts(page: &mut Page, job: &Job, width: u16) {
    if job.history.is_empty() {
        return;
    }
    page.heading("Attempts");
    for attempt in &job.history {
        let error = attempt.error.as_ref();
        let role = if error.is_some() {
            Role::Error
        } else {
            Role::Good
        };
        let sign = if error.is_some() { "✗" } else { "✓" };
        let target = attempt
            .trace_id
            .map(|trace| Target::Story(StoryOf::TraceAlone(trace)));
        let (number, times) = (format!("{sign} {} ", attempt.attempt), times_of(attempt));
        let outcome = attempt.outcome.clone();
        let head = [(number, role), (outcome, role)];
        let wide = head.iter().map(|(text, _)| text_width(text)).sum::<u16>();
        // What does not fit beside it stands beneath.
        if wide + text_width(&times) + 2 <= width {
            page.linked(head.into_iter().chain([(times, Role::Dim)]), target);
        } else {
            page.linked(head, target.clone());
            page.linked([(format!("  {times}"), Role::Dim)], target);
        }
        if let Some(error) = error {
            page.text(
                &format!("{}: {}", error.class, error.message),
                4,
                Role::Plain,
            );
        }
    }
}

fn times_of(attempt: &Attempt) -> String {
    let time = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        duration::format(time)
    };
    let (wait, run) = (time(attempt.wait_seconds), time(attempt.duration_seconds));
    format!("  waited {wait}, ran {run}")
}

fn labels(page: &mut Page, job: &Job) {
    page.heading("Labels");
    page.pair("correlation", &job.correlation_id, Role::Plain);
    let some = [
        ("tenant", &job.tenant_id),
        ("namespace", &job.namespace),
        ("batch", &job.batch),
        ("schedule", &job.schedule),
        ("unique key", &job.unique_key),
        ("parent", &job.parent_correlation_id),
    ];
    for (key, value) in some {
        if let Some(value) = value {
            page.pair(key, value, Role::Plain);
        }
    }
    if !job.tags.is_empty() {
        page.pair("tags", &job.tags.join(" "), Role::Plain);
    }
    for (key, value) in &job.metadata {
        page.pair(key, value, Role::Plain);
    }
    page.pair("priority", &job.priority.to_string(), Role::Plain);
}

fn bytes(page: &mut Page, title: &str, value: Option<&Json>, base64: Option<&str>) {
    let text = match (value, base64) {
        (Some(value), _) => pretty(value.as_str()),
        (None, Some(base64)) => format!("base64 {base64}"),
        (None, None) => return,
    };
    page.heading(title);
    let shown: String = text.chars().take(LONGEST).collect();
    page.text(&shown, 0, Role::Plain);
    if shown.len() < text.len() {
        page.text("… and more: see `longshore jobs show`", 0, Role::Dim);
    }
}

/// JSON over several lines; numbers and strings stay as they were written.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut rest = json
        .chars()
        .filter(|character| *character != '\n')
        .peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', 2 * depth.min(20)));
    };
    while let Some(character) = rest.next() {
        if quoted {
            out.push(character);
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            ' ' | '\t' | '\r' => {}
            '{' | '[' => {
                out.push(character);
                while rest.next_if_eq(&' ').is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                quoted = character == '"';
                out.push(character);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spread_out_and_otherwise_left_alone() {
        let json = r#"{"a":[1.10,{}],"b": "x, {\"y\": [ \\"}"#;
        let lines = [
            "{",
            "  \"a\": [",
            "    1.10,",
            "    {}",
            "  ],",
            r#"  "b": "x, {\"y\": [ \\""#,
            "}",
        ];
        assert_eq!(pretty(json), lines.join("\n"));
    }
}
