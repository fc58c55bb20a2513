//! `longshore traces list`.

use longshore_api::Backend;
use longshore_api::trace::{StoryOf, TracesPage, TracesQuery};
use longshore_trace::TraceSummary;

use super::{Look, search, standing, subject};
use crate::args::traces::List;
use crate::exit::Exit;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::view::Purpose;
use crate::{text, view};

pub(super) async fn run(session: &Session<'_>, args: List) -> anyhow::Result<Exit> {
    let view = view::open(session, &args.view, Purpose::Look)?;
    let query = TracesQuery {
        search: search(&args.search),
        cursor: args.cursor,
        limit: usize::try_from(args.limit).ok(),
        ..TracesQuery::default()
    };
    let mut page = read_to_its_end(session, view.as_ref(), &query).await?;
    // Few of very many may match; a page that has none is not the last one.
    while page.traces.is_empty() && page.next_cursor.is_some() {
        session.output.progress("searching further back");
        let cursor = page.next_cursor.take();
        page = view
            .traces(&TracesQuery {
                cursor,
                ..query.clone()
            })
            .await?;
    }
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
        session.output.talk(empty(&query.search));
        if let Some(archive) = view.about().await?.archive {
            session.output.talk(&format!(
                "Older traces lie in the archive {archive}: `longshore traces fetch --since 30d \
                 --into FOLDER` brings those of a time back, `longshore --span-log FOLDER traces \
                 list` looks into them."
            ));
        }
        return Ok(Exit::Done);
    }
    for line in table(&page.traces).lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    match (&page.jump, &page.next_cursor) {
        (Some(StoryOf::Job(id)), _) => session.output.talk(&format!(
            "All of this job in one picture: longshore traces show {id}"
        )),
        (_, Some(cursor)) => session
            .output
            .talk(&format!("There are more: go on with --cursor {cursor}")),
        _ => {}
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
        true => "There are no traces yet: `longshore demo` makes some.",
        false => "No trace matches. What can be asked for is in docs/search.md.",
    }
}

fn table(traces: &[TraceSummary]) -> Table {
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
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
    ]);
    for trace in traces {
        let is_job = !trace.job_ids.is_empty();
        let of_job = |text: String| if is_job { text } else { String::new() };
        table.row([
            trace.trace_id.to_string(),
            text::moment(trace.start),
            trace.queue.clone().unwrap_or_default(),
            subject(trace).to_owned(),
            standing(trace).1.to_owned(),
            text::duration(trace.duration()),
            of_job(text::duration(trace.wait)),
            of_job(text::duration(trace.run)),
            of_job(trace.attempts.to_string()),
            trace.spans.to_string(),
            trace.service.clone(),
        ]);
    }
    table
}
