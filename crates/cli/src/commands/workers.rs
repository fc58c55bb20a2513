//! `longshore workers`: which workers there are.

use std::time::Duration;

use longshore_api::answer::Workers as Answer;
use longshore_api::worker::Worker;
use longshore_queue::Workers as Register;

use crate::args::workers::{Verb, Workers};
use crate::exit::Exit;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Names of queues or kinds that a table shows.
const NAMES: usize = 3;
/// Most characters of a worker's or machine's name in a table.
const NAME: usize = 40;

pub(crate) async fn run(session: &Session<'_>, args: Workers) -> anyhow::Result<Exit> {
    let Verb::List(list) = args.verb.unwrap_or(Verb::List(args.list));
    let register = Register::list(&*session.store()?).await?;
    let record = |entry| Worker::of(entry, register.as_of);
    let workers: Vec<Worker> = register.entries.iter().map(record).collect();
    if list.json {
        session.output.json(&Answer { workers })?;
        return Ok(Exit::Done);
    }
    if workers.is_empty() {
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
    for worker in &workers {
        let kinds = match worker.kinds.is_empty() {
            true => "any".to_owned(),
            false => names(&worker.kinds, worker.more_kinds),
        };
        table.row([
            text::one_line(&worker.id, NAME),
            state(worker),
            format!("{}/{}", worker.running, worker.concurrency),
            names(&worker.queues, worker.more_queues),
            kinds,
            text::one_line(&worker.host, NAME),
            worker.pid.to_string(),
            text::duration(register.as_of.since(worker.started_at)),
            text::one_line(&worker.version, NAME),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn state(worker: &Worker) -> String {
    match worker.unseen_seconds {
        Some(seconds) => {
            let unseen = text::duration(Duration::from_secs_f64(seconds));
            format!("not seen for {unseen}")
        }
        None => worker.state.clone(),
    }
}

/// The first names, and how many more there are.
fn names(all: &[String], more: usize) -> String {
    let shown: Vec<&str> = all.iter().take(NAMES).map(String::as_str).collect();
    match more + all.len() - shown.len() {
        0 => shown.join(","),
        more => format!("{} +{more}", shown.join(",")),
    }
}
