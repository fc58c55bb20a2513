//! `longshore batches`: how far batches of jobs are.

use std::collections::BTreeMap;

use longshore_core::{BatchId, JobId, JobState};
use longshore_queue::{BatchStatus, Batches as View, Producer};

use crate::args::Names;
use crate::args::batch::{Batches, List};
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::record::batch::{BatchJson, BatchesJson, MemberJson, ShownBatchJson, word};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Members that did not succeed and are shown.
const SHOWN: usize = 10;
/// The cells of a bar.
const CELLS: usize = 25;

pub(crate) async fn run(session: &Session<'_>, words: Batches) -> anyhow::Result<Exit> {
    match words {
        Batches::List(args) => list(session, args).await,
        Batches::Show(args) => show(session, args).await,
    }
}

fn view(session: &Session<'_>) -> anyhow::Result<View> {
    Ok(View::new(Producer::new(session.store()?)))
}

async fn list(session: &Session<'_>, args: List) -> anyhow::Result<Exit> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let all = view(session)?.list(args.after.as_ref(), limit).await?;
    let more = all.last().filter(|_| all.len() >= limit);
    let more = more.map(|last| last.id.as_str());
    if args.json {
        let batches = all.iter().map(|status| BatchJson::of(status, |_| None));
        session.output.json(&BatchesJson {
            batches: batches.collect(),
            next_after: more,
        })?;
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        session.output.talk(
            "There are no batches; `longshore enqueue QUEUE KIND --lines FILE --batch` makes one.",
        );
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("STATE", Align::Left),
        ("JOBS", Align::Right),
        ("ENDED", Align::Right),
        ("COMPLETED", Align::Right),
        ("DISCARDED", Align::Right),
        ("CANCELLED", Align::Right),
        ("MADE", Align::Left),
    ]);
    for status in &all {
        let counts = status.counts;
        table.row([
            status.id.to_string(),
            status.state.as_str().to_owned(),
            status.members.to_string(),
            counts.ended().to_string(),
            counts.completed.to_string(),
            counts.discarded.to_string(),
            counts.cancelled.to_string(),
            status.created_at.to_string(),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    if let Some(last) = more {
        session
            .output
            .talk(&format!("There may be more: add `--after {last}`."));
    }
    Ok(Exit::Done)
}

async fn show(session: &Session<'_>, ids: Names<BatchId>) -> anyhow::Result<Exit> {
    let view = view(session)?;
    let mut exit = Exit::Done;
    for (index, id) in ids.names.iter().enumerate() {
        let Some(status) = view.get(id).await? else {
            session.output.error(&absent(id));
            exit = Exit::Failed;
            continue;
        };
        let states = callbacks(session, &status).await?;
        let unsuccessful = view.unsuccessful(id, SHOWN).await?;
        if ids.json {
            session.output.json(&ShownBatchJson {
                batch: BatchJson::of(&status, |callback| states.get(&callback.id).copied()),
                unsuccessful: unsuccessful.iter().map(MemberJson::of).collect(),
            })?;
            continue;
        }
        if index > 0 {
            session.output.data("")?;
        }
        life(session.output, &status, &states)?;
        for (member, end) in &unsuccessful {
            let end = end.map_or("not over", word);
            let text = format!("{member} {end}");
            fact(session.output, "job", &text)?;
        }
    }
    Ok(exit)
}

/// The states of the jobs that follow and are there.
async fn callbacks(
    session: &Session<'_>,
    status: &BatchStatus,
) -> anyhow::Result<BTreeMap<JobId, JobState>> {
    let mut states = BTreeMap::new();
    let store = session.store()?;
    for callback in &status.callbacks {
        if let Some(job) = store.get(&callback.id).await? {
            states.insert(job.id, job.state);
        }
    }
    Ok(states)
}

fn life(
    output: &Output,
    status: &BatchStatus,
    states: &BTreeMap<JobId, JobState>,
) -> anyhow::Result<()> {
    let id = output.paint(Paint::Bold, status.id.as_str());
    output.data(&format!("{id} {}", status.state.as_str()))?;
    let counts = status.counts;
    fact(output, "progress", &bar(counts.ended(), status.members))?;
    for (name, count) in [
        ("completed", counts.completed),
        ("discarded", counts.discarded),
        ("cancelled", counts.cancelled),
        ("gone", counts.gone),
    ] {
        if count > 0 {
            fact(output, name, &count.to_string())?;
        }
    }
    fact(output, "made", &status.created_at.to_string())?;
    if let Some(over_at) = status.over_at {
        let took = text::duration(over_at.since(status.created_at));
        fact(output, "over", &format!("{over_at}, after {took}"))?;
    }
    for callback in &status.callbacks {
        let name = format!("on {}", callback.when.as_str());
        let job = match states.get(&callback.id) {
            Some(state) => format!("{}, job {} {state}", callback.kind, callback.id),
            None => callback.kind.to_string(),
        };
        fact(output, &name, &job)?;
    }
    Ok(())
}

fn fact(output: &Output, name: &str, value: &str) -> anyhow::Result<()> {
    let name = output.paint(Paint::Dim, &format!("{name:<12}"));
    output.data(&format!("  {name} {value}"))?;
    Ok(())
}

fn bar(ended: u32, members: u32) -> String {
    let share = |of: u64| u64::from(ended) * of / u64::from(members.max(1));
    let whole = if members == 0 { CELLS } else { 0 };
    let full = usize::try_from(share(25))
        .unwrap_or(0)
        .max(whole)
        .min(CELLS);
    let (done, left) = ("█".repeat(full), "·".repeat(CELLS - full));
    format!("[{done}{left}] {ended} of {members}")
}

fn absent(id: &BatchId) -> String {
    format!("there is no batch {id}; `longshore batches list` names all of the last week")
}
