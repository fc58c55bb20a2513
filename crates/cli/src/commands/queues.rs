//! `longshore queues`: how every queue stands, and whether workers take jobs from it.

mod drain;

use longshore_api::queue::Queue;
use longshore_core::limit::Scope;
use longshore_core::pause::{Pause, Pauses};
use longshore_core::{QueueName, QueueStats};
use longshore_queue::{Admin, PauseNote};

use crate::args::{ChangedNames, Paused, Plain, Queues};
use crate::exit::{Exit, refused};
use crate::record::admin::PausedJson;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

pub(crate) async fn run(session: &Session<'_>, args: Queues) -> anyhow::Result<Exit> {
    match args {
        Queues::List(args) => list(session, args).await,
        Queues::Pause(Paused { what, reason }) => {
            let note = session.pause_note(reason.as_deref());
            set_paused(session, what, Some(&note)).await
        }
        Queues::Resume(args) => set_paused(session, args, None).await,
        Queues::Drain(args) => drain::run(session, args).await,
    }
}

/// Pauses queues if there is a note of it, else resumes them.
async fn set_paused(
    session: &Session<'_>,
    args: ChangedNames<QueueName>,
    note: Option<&PauseNote>,
) -> anyhow::Result<Exit> {
    let output = session.output;
    let admin = session.desk(&args.caller)?.admin();
    let known = admin.store().queue_stats().await?;
    for queue in &args.which.names {
        let done = match note {
            Some(note) => admin.pause_noted(queue, note).await,
            None => admin.resume(queue).await,
        };
        done.map_err(refused)?;
        if args.which.json {
            output.json(&PausedJson {
                queue: queue.as_str(),
                paused: note.is_some(),
            })?;
            continue;
        }
        let state = if note.is_some() { "paused" } else { "resumed" };
        output.data(&format!("{queue} {state}"))?;
        if !known.iter().any(|stats| stats.queue == *queue) {
            output.talk(&match note {
                Some(_) => format!(
                    "No job was ever in a queue {queue}: it is made, and rests until `longshore \
                     queues resume {queue}`. `longshore queues list` names all."
                ),
                None => absent(queue),
            });
        }
    }
    Ok(Exit::Done)
}

async fn list(session: &Session<'_>, Plain { json }: Plain) -> anyhow::Result<Exit> {
    let store = session.store()?;
    let mut queues = store.queue_stats().await?;
    queues.sort_by(|a, b| a.queue.cmp(&b.queue));
    let pauses = Admin::new(store).pauses().await?;
    if json {
        let one = |stats| Queue::of(stats).noted(pause_of(&pauses, stats));
        let records: Vec<Queue> = queues.iter().map(one).collect();
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
    for stats in &queues {
        if let Some(pause) = pause_of(&pauses, stats) {
            let pause = text::pause(pause, stats.as_of);
            session
                .output
                .data(&format!("{} was {pause}", stats.queue))?;
        }
    }
    Ok(Exit::Done)
}

/// What to say of a queue that no job was ever in, since its name may be mistyped.
pub(super) fn absent(queue: &QueueName) -> String {
    format!("There are no jobs in a queue {queue}; `longshore queues list` names all.")
}

/// What was noted of the pause of a queue that rests.
pub(super) fn pause_of<'a>(pauses: &'a Pauses, stats: &QueueStats) -> Option<&'a Pause> {
    let scope = Scope::Queue(stats.queue.clone());
    pauses.get(&scope).filter(|_| stats.paused)
}
