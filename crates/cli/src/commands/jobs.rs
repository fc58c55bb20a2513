//! `longshore jobs`: looking at jobs, and changing their fate.

mod show;

use anyhow::Context as _;
use longshore_core::{Job, JobFilter, JobId, JobPage, JobState, QueueName, Store};

use crate::args::{Changed, Jobs, List};
use crate::exit::Exit;
use crate::record::{ChangedJson, JobJson, PageJson};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Most queues that are named on a line.
const FEW: usize = 8;

pub(crate) async fn run(session: &Session<'_>, args: Jobs) -> anyhow::Result<Exit> {
    match args {
        Jobs::List(args) => list(session, *args).await,
        Jobs::Show(args) => show::run(session, args).await,
        Jobs::Cancel(args) => change(session, args, Change::Cancel).await,
        Jobs::Retry(args) => change(session, args, Change::Retry).await,
    }
}

async fn list(session: &Session<'_>, args: List) -> anyhow::Result<Exit> {
    let store = session.store()?;
    let filter = JobFilter {
        states: args.states,
        queue: args.queue,
        kind: args.kind,
        tag: args.tag,
        metadata: args.meta,
        tenant_id: args.tenant,
        namespace: args.namespace,
        correlation_id: args.correlation_id,
        ..JobFilter::default()
    };
    let wanted = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut jobs, mut cursor, mut as_of) = (Vec::<Job>::new(), args.cursor, None);
    loop {
        let limit = (wanted - jobs.len()).min(JobPage::MAX_JOBS);
        let page = store.list(&filter, cursor.as_deref(), limit).await?;
        jobs.extend(page.jobs);
        (cursor, as_of) = (page.next_cursor, as_of.or(Some(page.as_of)));
        if cursor.is_none() || jobs.len() >= wanted {
            break;
        }
    }
    if args.json {
        let redactor = session.redactor()?;
        session.output.json(&PageJson {
            jobs: (jobs.iter())
                .map(|job| JobJson::of(job, redactor))
                .collect(),
            next_cursor: cursor.as_deref(),
            as_of,
        })?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        let hint = unknown_queue(&*store, filter.queue.as_ref()).await;
        session.output.talk(&format!("No job matches.{hint}"));
        return Ok(Exit::Done);
    }
    print_jobs(session, &jobs, as_of.unwrap_or_default())?;
    if let Some(cursor) = cursor {
        session.output.talk(&format!(
            "There are more: add `--cursor {cursor}`, or a higher --limit."
        ));
    }
    Ok(Exit::Done)
}

/// What to say where nothing was found in a queue that no job was ever in.
async fn unknown_queue(store: &dyn Store, queue: Option<&QueueName>) -> String {
    let (Some(queue), Ok(queues)) = (queue, store.queue_stats().await) else {
        return String::new();
    };
    if queues.iter().any(|known| known.queue == *queue) {
        return String::new();
    }
    let known: Vec<&str> = queues.iter().map(|known| known.queue.as_str()).collect();
    match known.as_slice() {
        [] => " The store holds no jobs at all.".to_owned(),
        few if few.len() <= FEW => format!(" There is no queue {queue}, only {}.", few.join(", ")),
        _ => format!(" There is no queue {queue}; `longshore queues list` names all."),
    }
}

fn print_jobs(
    session: &Session<'_>,
    jobs: &[Job],
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
    let redactor = session.redactor()?;
    for job in jobs {
        let error = job
            .last_attempt()
            .and_then(|attempt| attempt.error.as_ref());
        let class = error.map(|error| redactor.text(&error.class));
        table.row([
            job.id.to_string(),
            job.state.to_string(),
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

/// What a person may do to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Cancel,
    Retry,
}

async fn change(session: &Session<'_>, args: Changed, change: Change) -> anyhow::Result<Exit> {
    let desk = session.desk(&args.caller)?;
    let mut exit = Exit::Done;
    let location = desk.producer().store().info().location;
    for id in &args.named.ids {
        let answer = match change {
            Change::Cancel => desk.cancel(id).await,
            Change::Retry => desk.retry_now(id).await,
        };
        if let Err(error) = &answer
            && error.kind() == longshore_core::ErrorKind::Unavailable
        {
            return answer.map(|_| exit).context(format!("job {id}"));
        }
        exit = if answer.is_ok() { exit } else { Exit::Failed };
        let answer = answer.map_err(|error| anyhow::Error::new(error).context(location.clone()));
        tell(session, id, answer, change, args.named.json)?;
    }
    Ok(exit)
}

fn tell(
    session: &Session<'_>,
    id: &JobId,
    answer: anyhow::Result<JobState>,
    change: Change,
    json: bool,
) -> anyhow::Result<()> {
    let output = session.output;
    if json {
        return output.json(&ChangedJson {
            id: id.as_str(),
            state: answer.as_ref().ok().map(|state| state.as_str()),
            error: answer.err().map(|error| error.root_cause().to_string()),
        });
    }
    match answer {
        Ok(JobState::Running) if change == Change::Cancel => {
            output.data(&format!("{id} running, asked to stop"))?;
        }
        Ok(state) => output.data(&format!("{id} {state}"))?,
        Err(error) => output.error(&crate::exit::told(&error)),
    }
    Ok(())
}
