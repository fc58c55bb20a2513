//! `longshore workers`: which workers there are.

use longshore_core::register::WorkerEntry;
use longshore_queue::Workers as Register;

use crate::args::workers::{Verb, Workers};
use crate::exit::Exit;
use crate::record::worker::WorkersJson;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Names of queues or kinds that a table shows.
const NAMES: usize = 3;
/// Most characters of a worker's or machine's name in a table.
const NAME: usize = 40;

pub(crate) async fn run(session: &Session<'_>, args: Workers) -> anyhow::Result<Exit> {
    let Verb::List(list) = args.verb.unwrap_or(Verb::List(args.list));
    let workers = Register::list(&*session.store()?).await?;
    if list.json {
        session.output.json(&WorkersJson::of(&workers))?;
        return Ok(Exit::Done);
    }
    if workers.entries.is_empty() {
        let hint = "No worker runs: `longshore worker --help` says how to start one.";
        session.output.talk(hint);
        return Ok(Exit::Done);
    }
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        left("WORKER"),
        left("STATE"),
        right("RUNNING"),
        left("QUEUES"),
        left("KINDS"),
        left("HOST"),
        right("PID"),
        right("SINCE"),
        left("VERSION"),
    ]);
    for worker in &workers.entries {
        let kinds = worker.kinds.as_ref().map(|kinds| {
            let kinds = kinds.iter().map(|kind| kind.as_str());
            names(kinds, worker.more_kinds)
        });
        let queues = worker.queues.iter().map(|queue| queue.as_str());
        table.row([
            text::one_line(worker.id.as_str(), NAME),
            state(worker, &workers),
            format!("{}/{}", worker.running, worker.concurrency),
            names(queues, worker.more_queues),
            kinds.unwrap_or_else(|| "any".to_owned()),
            text::one_line(&worker.host, NAME),
            worker.pid.to_string(),
            text::duration(workers.as_of.since(worker.started_at)),
            text::one_line(&worker.version, NAME),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn state(worker: &WorkerEntry, workers: &Register) -> String {
    match worker.unseen_for(workers.as_of) {
        Some(unseen) => format!("not seen for {}", text::duration(unseen)),
        None => worker.state.to_string(),
    }
}

/// The first names, and how many more there are.
fn names<'a>(all: impl ExactSizeIterator<Item = &'a str>, more: usize) -> String {
    let more = more + all.len().saturating_sub(NAMES);
    let shown = all.take(NAMES).collect::<Vec<_>>().join(",");
    match more {
        0 => shown,
        more => format!("{shown} +{more}"),
    }
}
