//! `longshore queues`: how every queue stands, and whether workers take jobs from it.

mod drain;

use longshore_api::queue::Queue;

use crate::args::{ChangedQueues, Plain, Queues};
use crate::exit::Exit;
use crate::record::admin::PausedJson;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

pub(crate) async fn run(session: &Session<'_>, args: Queues) -> anyhow::Result<Exit> {
    match args {
        Queues::List(args) => list(session, args).await,
        Queues::Pause(args) => set_paused(session, args, true).await,
        Queues::Resume(args) => set_paused(session, args, false).await,
        Queues::Drain(args) => drain::run(session, args).await,
    }
}

async fn set_paused(
    session: &Session<'_>,
    args: ChangedQueues,
    paused: bool,
) -> anyhow::Result<Exit> {
    let output = session.output;
    let admin = session.desk(&args.caller)?.admin();
    let known = admin.store().queue_stats().await?;
    for queue in &args.which.names {
        if paused {
            admin.pause(queue).await?;
        } else {
            admin.resume(queue).await?;
        }
        if args.which.json {
            output.json(&PausedJson {
                queue: queue.as_str(),
                paused,
            })?;
            continue;
        }
        let state = if paused { "paused" } else { "resumed" };
        output.data(&format!("{queue} {state}"))?;
        if !known.iter().any(|stats| stats.queue == *queue) {
            output.talk(&format!(
                "There are no jobs in a queue {queue}; `longshore queues list` names all."
            ));
        }
    }
    Ok(Exit::Done)
}

async fn list(session: &Session<'_>, Plain { json }: Plain) -> anyhow::Result<Exit> {
    let mut queues = session.store()?.queue_stats().await?;
    queues.sort_by(|a, b| a.queue.cmp(&b.queue));
    if json {
        let records: Vec<Queue> = queues.iter().map(Queue::of).collect();
        session
            .output
            .json(&serde_json::json!({ "queues": records }))?;
        return Ok(Exit::Done);
    }
    if queues.is_empty() {
        session
            .output
            .talk("There are no queues yet: the first `longshore enqueue` makes one.");
        return Ok(Exit::Done);
    }
    let number = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("QUEUE", Align::Left),
        number("AVAILABLE"),
        number("RUNNING"),
        number("SCHEDULED"),
        number("RETRYABLE"),
        number("COMPLETED"),
        number("CANCELLED"),
        number("DISCARDED"),
        number("OLDEST"),
    ]);
    for stats in &queues {
        let paused = if stats.paused { " (paused)" } else { "" };
        let oldest = stats.oldest_available_at;
        table.row([
            format!("{}{paused}", stats.queue),
            stats.available.to_string(),
            stats.running.to_string(),
            stats.scheduled.to_string(),
            stats.retryable.to_string(),
            stats.completed.to_string(),
            stats.cancelled.to_string(),
            stats.discarded.to_string(),
            oldest.map_or_else(String::new, |at| text::duration(stats.as_of.since(at))),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(Exit::Done)
}
