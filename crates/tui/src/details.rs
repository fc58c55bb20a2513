//! What is known about the row with the cursor, as a page.

use std::time::Duration;

use longshore_api::trace::StoryOf;
use longshore_core::Timestamp;
use longshore_instrument::{Attribute, AttributeValue, Span, SpanEvent, SpanStatus, table};
use longshore_trace::chart::{Content, Marks, Row};
use longshore_trace::duration;

use crate::job_page::{due_in, held_back, worker};
use crate::page::{Page, Target, clock};
use crate::prepared::{Prepared, is_open, is_waiting};
use crate::rows::{Group, Shown};
use crate::state::State;
use crate::state::open::{Loaded, Open};
use crate::theme::Role;

/// Attributes that are shown as text of their own, where they are long.
const LONG: [&str; 3] = [
    "exception.stacktrace",
    "error.stack_trace",
    "code.stacktrace",
];
/// The event by which OpenTelemetry's libraries tell of an error.
const EXCEPTION: &str = "exception";
/// Attributes that say what went wrong.
const ERRORS: [&str; 4] = [
    "error.type",
    "exception.type",
    "exception.message",
    "error.message",
];

/// The page about the row with the cursor.
pub(crate) fn page(state: &State, width: u16, unicode: bool) -> Page {
    let mut page = Page::new(usize::from(width).saturating_sub(2), unicode);
    let Some(open) = &state.open else {
        page.text("Open a trace to see its spans.", 0, Role::Dim);
        return page;
    };
    let Some((loaded, shown)) = open
        .loaded
        .as_ref()
        .and_then(|loaded| Some((loaded, loaded.shown()?)))
    else {
        return page;
    };
    let chart = loaded.prepared.chart();
    let Some(row) = chart.row(shown.first()) else {
        return page;
    };
    let title = match row.content {
        Content::Ghost => "parent not received",
        _ => chart.name(row),
    };
    page.text(title, 0, Role::Strong);
    if let Shown::Group(group) = shown {
        of_group(&mut page, loaded, group);
        return page;
    }
    let known = open.details.span.as_deref();
    let span = known.filter(|span| span.span_id == row.span_id);
    if let (Content::Span, Some(span)) = (row.content, span) {
        let attempt = loaded.failed_attempt().and(open.details.attempt.as_deref());
        errors(&mut page, span, attempt);
    }
    timing(&mut page, &loaded.prepared, shown.first(), row);
    match row.content {
        Content::Span => match (span, &open.details.problem) {
            (Some(span), _) => of_span(&mut page, span),
            (_, Some(problem)) => {
                page.blank();
                page.text(problem, 0, Role::Error);
            }
            _ => {
                page.blank();
                page.text("Reading the span…", 0, Role::Dim);
            }
        },
        _ => of_record(&mut page, state.now, open, loaded, row),
    }
    page
}

fn timing(page: &mut Page, prepared: &Prepared, at: usize, row: &Row) {
    let chart = prepared.chart();
    let service = chart.service(row);
    if !service.is_empty() {
        page.pair("service", service, Role::Plain);
    }
    let took = duration::format(row.end.since(row.start));
    let took = match is_open(row) {
        true => format!("{took} so far"),
        false => took,
    };
    page.pair("duration", &took, Role::Strong);
    let after = Duration::from_nanos(prepared.offset(row.start));
    let after = match after.is_zero() {
        true => "first of all".to_owned(),
        false => format!("+{}", duration::format(after)),
    };
    let began = format!("{} ({after})", clock(row.start));
    page.pair("began", &began, Role::Plain);
    let critical = prepared.critical(at, at + 1);
    if !critical.is_zero() {
        let whole = prepared.length().max(1);
        let share = critical.as_nanos() * 100 / u128::from(whole);
        let share = match share {
            0 => "<1".to_owned(),
            share => share.to_string(),
        };
        let text = format!("{}, {share} % of it all", duration::format(critical));
        page.pair("critical", &text, Role::Plain);
    }
    let marks = [
        (Marks::LINKED, "hangs here by a link, not by its parent"),
        (
            Marks::CUT_LOOSE,
            "its own parent is among its descendants: cut loose",
        ),
        (Marks::REBUILT, "rebuilt after its process had vanished"),
        (Marks::CORRECTED, "its clock was corrected"),
        (Marks::OUTSIDE, "its time lies outside of its parent's"),
    ];
    for (mark, about) in marks {
        if row.marks.has(mark) {
            page.pair("note", about, Role::Warning);
        }
    }
}

/// What a row means that stands for no span.
fn of_record(page: &mut Page, now: Timestamp, open: &Open, loaded: &Loaded, row: &Row) {
    let content = row.content;
    let about = match content {
        Content::Ghost => {
            "Other spans name this one as their parent, but it never came: not sampled, not sent \
             yet, or already gone."
        }
        Content::Wait => "The job was due, and no worker had it.",
        Content::Delay => "The job was not due yet: its sender wanted it later.",
        Content::BackOff => "Between two attempts: the job was not due again yet.",
        Content::LostLease => "The worker that ran this attempt vanished; its lease ran out.",
        Content::Running => "This attempt runs now. What is open beneath it is what it does.",
        Content::Attempt => "An attempt of which no span was kept.",
        Content::Span => "",
    };
    page.blank();
    page.text(about, 0, Role::Plain);
    let job = loaded.prepared.story().job.as_ref();
    let own = loaded.prepared.chart().job(row);
    let waiting = open.waiting_job().filter(|_| is_waiting(row));
    if let Some(job) = waiting.filter(|job| own == Some(job.id.as_str())) {
        page.blank();
        held_back(page, job);
        if let Some(due) = due_in(job, now) {
            page.pair("when", &due, Role::Plain);
        }
    }
    if let (Content::Running, Some(job)) = (content, job) {
        page.heading("Running");
        worker(page, job);
        if let Some(progress) = job.progress {
            page.pair("progress", &format!("{progress} %"), Role::Plain);
        }
        if let Some(until) = job.lease_expires_at {
            page.pair("lease until", &clock(until), Role::Plain);
        }
    }
    if let (Content::LostLease | Content::Attempt, Some(job)) = (content, job) {
        let near = |attempt: &&longshore_api::job::Attempt| attempt.claimed_at == row.start;
        if let Some(attempt) = job.history.iter().find(near) {
            page.pair("worker", &attempt.worker, Role::Plain);
            page.pair("outcome", &attempt.outcome, Role::Plain);
            if let Some(error) = &attempt.error {
                page.pair("error", &error.class, Role::Error);
                page.text(&error.message, 2, Role::Plain);
            }
        }
    }
    page.pair("span", &row.span_id.to_string(), Role::Dim);
}

fn of_group(page: &mut Page, loaded: &Loaded, group: Group) {
    let prepared = &loaded.prepared;
    page.text(
        &format!("{} spans of this name, one after the other", group.count),
        0,
        Role::Plain,
    );
    page.blank();
    page.pair("p50", &duration::format(group.p50), Role::Plain);
    page.pair("longest", &duration::format(group.max), Role::Plain);
    let failed = prepared.errors(group.first, group.end);
    if failed > 0 {
        page.pair("failed", &failed.to_string(), Role::Error);
    }
    let critical = prepared.critical(group.first, group.end);
    if !critical.is_zero() {
        page.pair("critical", &duration::format(critical), Role::Plain);
    }
    page.blank();
    page.text("Press l or → to see them one by one.", 0, Role::Dim);
}

fn of_span(page: &mut Page, span: &Span) {
    page.pair("kind", span.kind.as_str(), Role::Plain);
    if !span.attributes.is_empty() {
        page.heading("Attributes");
        attributes(page, &span.attributes);
    }
    events(page, span);
    links(page, span);
    if let Some(resource) = span
        .resource
        .as_deref()
        .filter(|of| !of.attributes.is_empty())
    {
        page.heading("Resource");
        attributes(page, &resource.attributes);
    }
    page.heading("Ids");
    page.pair("trace", &span.trace_id.to_string(), Role::Dim);
    page.pair("span", &span.span_id.to_string(), Role::Dim);
    if let Some(parent) = span.parent_span_id {
        page.pair("parent", &parent.to_string(), Role::Dim);
    }
    page.pair("scope", &span.scope, Role::Dim);
    let dropped = [
        (span.dropped.attributes, "attributes"),
        (span.dropped.events, "events"),
        (span.dropped.links, "links"),
    ];
    for (count, what) in dropped.into_iter().filter(|(count, _)| *count > 0) {
        page.pair(
            "dropped",
            &format!("{count} {what}, at a limit"),
            Role::Warning,
        );
    }
}

/// What went wrong, first of all. Of a handler the attempt that it ran in says it in words.
fn errors(page: &mut Page, span: &Span, attempt: Option<&Span>) {
    let told = failure(span).or_else(|| failure(attempt?));
    let told = told.map_or(&[][..], |event| &event.attributes);
    let own = || span.attributes.iter().filter(|one| is_error(one));
    if !span.status.is_error() && own().next().is_none() {
        return;
    }
    let mut said: Vec<String> = Vec::new();
    if let SpanStatus::Error(text) = &span.status
        && !text.is_empty()
    {
        page.text(text, 0, Role::Error);
        said.push(text.to_string());
    }
    for attribute in own().chain(told.iter().filter(|one| is_error(one))) {
        let text = value(&attribute.value);
        // The class stands on the span and in its event.
        if !said.contains(&text) {
            page.pair(&attribute.key, &text, Role::Error);
            said.push(text);
        }
    }
    if let Some(stack) = told.iter().find(|one| is_long(one)) {
        page.line([(stack.key.to_string(), Role::Dim)]);
        page.text(&value(&stack.value), 1, Role::Plain);
    }
    page.blank();
}

/// The last event of a span that says what went wrong.
fn failure(span: &Span) -> Option<&SpanEvent> {
    let mut events = span.events.iter().rev();
    events.find(|event| is_failure(event))
}

fn is_failure(event: &SpanEvent) -> bool {
    event.name == EXCEPTION || event.name == table::EVENT_JOB_FAILED
}

/// Whether it says what went wrong.
fn is_error(attribute: &Attribute) -> bool {
    ERRORS.contains(&attribute.key.as_ref())
}

/// Whether it is text of many lines.
fn is_long(attribute: &Attribute) -> bool {
    LONG.contains(&attribute.key.as_ref())
}

fn attributes<'a>(page: &mut Page, attributes: impl IntoIterator<Item = &'a Attribute>) {
    let mut sorted: Vec<&Attribute> = attributes.into_iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    for attribute in sorted {
        let text = value(&attribute.value);
        if is_long(attribute) || text.contains('\n') {
            page.line([(attribute.key.to_string(), Role::Dim)]);
            page.text(&text, 1, Role::Plain);
        } else {
            page.pair(&attribute.key, &text, Role::Plain);
        }
    }
}

fn events(page: &mut Page, span: &Span) {
    if span.events.is_empty() {
        return;
    }
    page.heading("Events");
    let told = failure(span).filter(|_| span.status.is_error());
    for event in &span.events {
        let after = duration::format(event.at.since(span.start));
        let role = match is_failure(event) {
            true => Role::Error,
            false => Role::Strong,
        };
        page.line([
            (format!("+{after} "), Role::Dim),
            (event.name.to_string(), role),
        ]);
        // What stands at the top of the page is not said again.
        let is_told = told.is_some_and(|told| std::ptr::eq(told, event));
        let rest = |one: &&Attribute| !is_told || !(is_error(one) || is_long(one));
        attributes(page, event.attributes.iter().filter(rest));
    }
}

fn links(page: &mut Page, span: &Span) {
    if span.links.is_empty() {
        return;
    }
    page.heading("Links");
    for link in &span.links {
        let why = link.attributes.first();
        let why = why.map_or_else(String::new, |why| format!("{} ", value(&why.value)));
        let trace = link.context.trace_id;
        page.linked(
            [
                ("→ ".to_owned(), Role::Key),
                (why, Role::Plain),
                (trace.to_string(), Role::Key),
            ],
            Some(Target::Story(StoryOf::TraceAlone(trace))),
        );
    }
}

/// An attribute's value as text.
pub(crate) fn value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::String(text) => text.to_string(),
        AttributeValue::Int(number) => number.to_string(),
        AttributeValue::Double(number) => number.to_string(),
        AttributeValue::Bool(yes) => yes.to_string(),
        AttributeValue::Strings(texts) => texts.join(", "),
    }
}
