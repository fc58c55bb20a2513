//! `longshore jobs`: looking at jobs, and changing their fate.

mod change;
mod failures;
mod prune;
mod requests;
mod show;

use longshore_api::job::JobsPage;
use longshore_core::{Job, JobFilter, JobPage, QueueName, Store};
use longshore_queue::Change;

use crate::args::{Jobs, List};
use crate::exit::Exit;
use crate::record;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Columns of the bar of a progress.
const BAR: usize = 8;

/// How many jobs a list has if nobody says.
const USUAL: usize = 50;

/// Most queues that are named on a line.
const FEW: usize = 8;

pub(crate) async fn run(session: &Session<'_>, args: Jobs) -> anyhow::Result<Exit> {
    match args {
        Jobs::List(args) => list(session, *args).await,
        Jobs::Show(args) => show::run(session, args).await,
        Jobs::Failures(args) => failures::run(session, *args).await,
        Jobs::Cancel(args) => change::run(session, *args, Change::Cancel).await,
        Jobs::Retry(args) => change::run(session, *args, Change::Retry).await,
        Jobs::Discard(args) => change::run(session, *args, Change::Discard).await,
        Jobs::Prune(args) => prune::run(session, args).await,
    }
}

async fn list(session: &Session<'_>, args: List) -> anyhow::Result<Exit> {
    let store = session.store()?;
    let filter = args.filter.at(store.now().await?);
    let wanted = args
        .limit
        .map_or(USUAL, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut jobs, mut cursor, mut as_of) = (Vec::<Job>::new(), args.cursor, None);
    loop {
        let limit = (wanted - jobs.len()).min(JobPage::MAX_JOBS);
        let page = store.list(&filter, cursor.as_deref(), limit).await?;
        jobs.extend(page.jobs);
        (cursor, as_of) = (page.next_cursor, as_of.or(Some(page.as_of)));
        if cursor.is_none() || jobs.len() >= wanted {
            break;
        }
        let found = text::number(jobs.len() as u64);
        session.output.progress(&format!("{found} found so far"));
    }
    session.output.end_progress();
    if args.json {
        let redactor = session.redactor()?;
        session.output.json(&JobsPage {
            jobs: (jobs.iter())
                .map(|job| record::job(job, redactor))
                .collect(),
            next_cursor: cursor,
            as_of,
        })?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        session.output.talk(&nothing_found(&*store, &filter).await);
        return Ok(Exit::Done);
    }
    if args.ids {
        for job in &jobs {
            session.output.data(job.id.as_str())?;
        }
    } else {
        print_jobs(session, &jobs, &filter, as_of.unwrap_or_default())?;
    }
    // Whoever asks for ids and says how many wants no talk.
    let is_enough = args.ids && args.limit.is_some();
    if let Some(cursor) = cursor.filter(|_| !is_enough) {
        session.output.talk(&format!(
            "There are more: add `--cursor {cursor}`, or a higher --limit."
        ));
    }
    Ok(Exit::Done)
}

/// What to say where nothing was found: that there is nothing at all, or not the queue.
async fn nothing_found(store: &dyn Store, filter: &JobFilter) -> String {
    const NOTHING: &str = "No job matches.";
    let Ok(queues) = store.queue_stats().await else {
        return NOTHING.to_owned();
    };
    if queues.is_empty() {
        return "There are no jobs yet: `longshore enqueue --help` says how to make one."
            .to_owned();
    }
    let is_known = |queue: &QueueName| queues.iter().any(|known| known.queue == *queue);
    let Some(queue) = filter.queue.as_ref().filter(|queue| !is_known(queue)) else {
        return NOTHING.to_owned();
    };
    let known: Vec<&str> = queues.iter().map(|known| known.queue.as_str()).collect();
    match known.len() {
        ..=FEW => format!(
            "{NOTHING} There is no queue {queue}, only {}.",
            known.join(", ")
        ),
        _ => format!("{NOTHING} There is no queue {queue}; `longshore queues list` names all."),
    }
}

/// The state, and how far an attempt says it is.
fn standing(job: &Job) -> String {
    let state = job.state;
    match job.progress {
        Some(percent) => {
            let bar = text::bar(BAR, percent.into(), 100);
            format!("{state} {bar} {percent} %")
        }
        None => state.to_string(),
    }
}

fn print_jobs(
    session: &Session<'_>,
    jobs: &[Job],
    filter: &JobFilter,
    as_of: longshore_core::Timestamp,
) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("STATE", Align::Left),
        ("QUEUE", Align::Left),
        ("KIND", Align::Left),
        ("ATTEMPT", Align::Right),
        ("AGE", Align::Right),
        ("LAST ERROR", Align::Left),
    ]);
    let asked_for = [
        ("STATE", filter.states.len() == 1),
        ("QUEUE", filter.queue.is_some()),
        ("KIND", filter.kind.is_some()),
    ];
    for (column, _) in asked_for.iter().filter(|(_, is_known)| *is_known) {
        table.known(column);
    }
    let redactor = session.redactor()?;
    for job in jobs {
        let error = job
            .last_attempt()
            .and_then(|attempt| attempt.error.as_ref());
        let class = error.map(|error| redactor.text(&error.class));
        table.row([
            job.id.to_string(),
            standing(job),
            job.queue.to_string(),
            job.kind.to_string(),
            format!("{}/{}", job.attempt, job.max_attempts),
            text::duration(as_of.since(job.enqueued_at)),
            class.map_or_else(String::new, |class| text::one_line(&class, 30)),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(())
}
