//! `longshore traces list`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use longshore_api::Backend;
use longshore_api::job::Job;
use longshore_api::trace::{StoryOf, TracesPage, TracesQuery};
use longshore_core::{Clock as _, SystemClock, Timestamp, TraceId};
use longshore_trace::TraceSummary;

use super::{Look, search, standing, subject};
use crate::args::traces::{List, Sort};
use crate::exit::{Exit, Usage};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::view::Purpose;
use crate::{text, view};

/// Most traces that are sorted.
const SORTED: usize = 10_000;
/// Most looks at what comes behind a page.
const LOOKS_BEHIND: usize = 5;
/// Most jobs that are not over and whose records are asked for.
const ASKED_FOR: usize = 20;
/// Most traces of a page.
const PAGE: usize = 1000;

pub(super) async fn run(session: &Session<'_>, args: List) -> anyhow::Result<Exit> {
    if args.sort == Sort::Duration && args.cursor.is_some() {
        let wrong = "--cursor goes on in the order of time: leave out --sort duration";
        return Err(Usage(wrong.to_owned()).into());
    }
    let view = view::open(session, &args.view, Purpose::Look)?;
    let limit = usize::try_from(args.limit).unwrap_or(PAGE);
    let query = TracesQuery {
        search: search(&args.search),
        cursor: args.cursor,
        limit: Some(limit),
        ..TracesQuery::default()
    };
    let (page, bounded) = match args.sort {
        Sort::Started => (newest(session, view.as_ref(), &query).await?, false),
        Sort::Duration => slowest(session, view.as_ref(), &query, limit).await?,
    };
    session.output.end_progress();
    if args.json {
        session.output.json(&page)?;
        return Ok(Exit::Done);
    }
    if let (true, Some(jump)) = (page.traces.is_empty(), &page.jump) {
        return super::show::drawn(
            session,
            view.as_ref(),
            std::slice::from_ref(jump),
            Look::default(),
        )
        .await;
    }
    if page.traces.is_empty() {
        return nothing(session, view.as_ref(), &query.search).await;
    }
    let so_far = so_far(view.as_ref(), &page.traces).await;
    let table = table(&page.traces, &so_far, args.view.all_stores);
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    match (&page.jump, &page.next_cursor) {
        (Some(StoryOf::Job(id)), _) => session.output.talk(&format!(
            "All of this job in one picture: longshore traces show {id}"
        )),
        (_, Some(cursor)) => session
            .output
            .talk(&format!("There are more: go on with --cursor {cursor}")),
        _ if bounded => session.output.talk(&format!(
            "Of the newest {} that match: `since:` and `until:` choose others.",
            text::number(SORTED as u64)
        )),
        _ => {}
    }
    Ok(Exit::Done)
}

/// The page that is asked for; with a cursor only if something comes behind it, or may, far back.
async fn newest(
    session: &Session<'_>,
    view: &dyn Backend,
    query: &TracesQuery,
) -> anyhow::Result<TracesPage> {
    let mut page = read_to_its_end(session, view, query).await?;
    // Few of very many may match; a page that has none is not the last one.
    while page.traces.is_empty() && page.next_cursor.is_some() {
        page = further(session, view, query, page.next_cursor.take(), query.limit).await?;
    }
    let mut behind = page.next_cursor.clone();
    for _ in 0..LOOKS_BEHIND {
        let Some(cursor) = behind else {
            page.next_cursor = None;
            return Ok(page);
        };
        let next = further(session, view, query, Some(cursor), Some(1)).await?;
        if !next.traces.is_empty() {
            return Ok(page);
        }
        behind = next.next_cursor;
    }
    Ok(page)
}

/// The page behind a cursor.
async fn further(
    session: &Session<'_>,
    view: &dyn Backend,
    query: &TracesQuery,
    cursor: Option<String>,
    limit: Option<usize>,
) -> anyhow::Result<TracesPage> {
    session.output.progress("searching further back");
    let query = TracesQuery {
        cursor,
        limit,
        ..query.clone()
    };
    Ok(view.traces(&query).await?)
}

/// Of the newest that match, those that took longest; and whether there are more that match.
async fn slowest(
    session: &Session<'_>,
    view: &dyn Backend,
    query: &TracesQuery,
    limit: usize,
) -> anyhow::Result<(TracesPage, bool)> {
    let query = TracesQuery {
        limit: Some(PAGE),
        ..query.clone()
    };
    let mut page = newest(session, view, &query).await?;
    while page.traces.len() < SORTED
        && let Some(cursor) = page.next_cursor.take()
    {
        let next = further(session, view, &query, Some(cursor), query.limit).await?;
        page.traces.extend(next.traces);
        page.next_cursor = next.next_cursor;
    }
    let bounded = page.next_cursor.take().is_some();
    page.traces.sort_by_key(|trace| Reverse(trace.duration()));
    page.traces.truncate(limit);
    Ok((page, bounded))
}

/// Says where else it may be.
async fn nothing(session: &Session<'_>, view: &dyn Backend, search: &str) -> anyhow::Result<Exit> {
    session.output.talk(empty(search));
    if let Some(archive) = view.about().await?.archive {
        session.output.talk(&format!(
            "Older traces lie in the archive {archive}: `longshore traces fetch --since 30d \
             --into FOLDER` brings those of a time back, `longshore --span-log FOLDER traces \
             list` looks into them."
        ));
    }
    Ok(Exit::Done)
}

/// The page that is asked for, once all that was written down is read: what comes last is newest.
pub(super) async fn read_to_its_end(
    session: &Session<'_>,
    view: &dyn Backend,
    query: &TracesQuery,
) -> anyhow::Result<TracesPage> {
    loop {
        let page = view.traces(query).await?;
        if !page.reading {
            return Ok(page);
        }
        session.output.progress("reading traces");
    }
}

fn empty(search: &str) -> &'static str {
    match search.is_empty() {
        false if search.contains("meta.") || search.contains("tag") => {
            "No trace matches. `longshore jobs list --meta KEY=VALUE` and `--tag TAG` find jobs that \
             have not run yet and were enqueued together with others."
        }
        true => "There are no traces yet: `longshore demo` makes some.",
        false => "No trace matches. `longshore docs search` says what can be asked for.",
    }
}

/// How a job stands of whose end no span tells, and how long it has waited and run so far.
#[derive(Clone, Debug)]
pub(super) struct SoFar {
    pub(super) standing: String,
    pub(super) is_over: bool,
    waited: Duration,
    ran: Duration,
}

/// How jobs stand of whose end no span tells, by the traces that are about them: they are not over,
/// or ended a moment ago, or untraced. Of a long list only the first ones are asked for.
pub(super) async fn so_far(view: &dyn Backend, traces: &[TraceSummary]) -> HashMap<TraceId, SoFar> {
    let mut times = HashMap::new();
    let begun = traces
        .iter()
        .filter(|trace| trace.open > 0 || trace.outcome.is_none());
    let begun = begun.filter_map(|trace| Some((trace.trace_id, trace.job_ids.first()?)));
    for (trace, id) in begun.take(ASKED_FOR) {
        let Ok(job) = view.job(id).await else {
            continue;
        };
        times.insert(trace, until(&job, SystemClock::new().now()));
    }
    times
}

/// How a job stands now.
fn until(job: &Job, now: Timestamp) -> SoFar {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let over = job.history.iter();
    let (waited, ran) = over.fold(
        Default::default(),
        |(waited, ran): (Duration, Duration), attempt| {
            let wait = seconds(attempt.wait_seconds);
            let run = seconds(attempt.duration_seconds);
            (waited.saturating_add(wait), ran.saturating_add(run))
        },
    );
    let (standing, wait, run) = match job.claimed_at.filter(|_| job.state == "running") {
        Some(claimed_at) => {
            let run = now.since(claimed_at);
            let standing = format!("running {}", text::duration(run));
            (standing, claimed_at.since(job.available_at), run)
        }
        None if job.finished_at.is_some() => (job.state.clone(), Duration::ZERO, Duration::ZERO),
        None if job.available_at > now => {
            let due = text::duration(job.available_at.since(now));
            (format!("due in {due}"), Duration::ZERO, Duration::ZERO)
        }
        None => {
            let wait = now.since(job.available_at);
            let standing = format!("waiting {}", text::duration(wait));
            (standing, wait, Duration::ZERO)
        }
    };
    SoFar {
        standing,
        is_over: job.finished_at.is_some(),
        waited: waited.saturating_add(wait),
        ran: ran.saturating_add(run),
    }
}

/// The traces, each with its stores where those of all are listed.
fn table(traces: &[TraceSummary], so_far: &HashMap<TraceId, SoFar>, with_stores: bool) -> Table {
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let store = with_stores.then(|| left("STORE"));
    let columns = [
        left("TRACE"),
        left("STARTED"),
        left("QUEUE"),
        left("SUBJECT"),
        left("STANDING"),
        right("TOOK"),
        right("WAITED"),
        right("RAN"),
        right("ATTEMPTS"),
        right("SPANS"),
        left("SERVICE"),
    ];
    let columns: Vec<_> = columns.into_iter().chain(store).collect();
    let mut table = Table::new(&columns);
    for trace in traces {
        let is_job = !trace.job_ids.is_empty();
        let of_job = |text: String| if is_job { text } else { String::new() };
        let stores = with_stores.then(|| trace.stores.join(", "));
        let known = so_far.get(&trace.trace_id);
        let (waited, ran) = known.map_or((trace.wait, trace.run), |one| (one.waited, one.ran));
        let stands = known.map_or_else(|| standing(trace).1, |one| one.standing.as_str());
        let cells = [
            trace.trace_id.to_string(),
            text::moment(trace.start),
            trace.queue.clone().unwrap_or_default(),
            subject(trace).to_owned(),
            stands.to_owned(),
            text::duration(trace.duration()),
            of_job(text::duration(waited)),
            of_job(text::duration(ran)),
            of_job(trace.attempts.to_string()),
            trace.spans.to_string(),
            trace.service.clone(),
        ];
        table.row(cells.into_iter().chain(stores));
    }
    table
}
