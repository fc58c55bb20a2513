//! `longshore enqueue --lines FILE --batch`: one batch of all lines.

use anyhow::{Context as _, bail};
use longshore_core::{BatchId, Clock as _, JobId, Kind, SystemClock, SystemRandom};
use longshore_queue::{Batch, JobRequest};

use super::lines::{Errand, Input};
use crate::exit::Exit;
use crate::record::batch::EnqueuedBatchJson;
use crate::text;

/// Most lines.
const MOST: usize = longshore_core::batch::Batch::MAX_MEMBERS;

/// Reads all lines, then enqueues them; nothing is enqueued if one of them is wrong.
pub(super) async fn run(
    errand: Errand<'_>,
    mut input: Input,
    chosen: Option<&BatchId>,
) -> anyhow::Result<Exit> {
    let Errand {
        session,
        args,
        desk,
    } = errand;
    let mut members = Vec::new();
    while let Some(line) = input.next()? {
        if members.len() >= MOST {
            bail!("there are more than {MOST} lines, the most that a batch can have: split them");
        }
        members.push(super::request(args, desk.caller(), line.body)?);
    }
    let id = match chosen {
        Some(id) => id.clone(),
        None => {
            let made = JobId::generate(SystemClock::new().now(), &SystemRandom);
            made.as_str().parse()?
        }
    };
    let jobs = members.len();
    let mut batch = Batch::new(members).id(id.as_str());
    if let Some(kind) = &args.batch.on_end {
        batch = batch.on_end(callback(errand, kind, &id));
    }
    if let Some(kind) = &args.batch.on_success {
        batch = batch.on_success(callback(errand, kind, &id));
    }
    let enqueued = desk.producer().enqueue_batch(batch).await;
    let enqueued = enqueued.map_err(crate::exit::refused).with_context(|| {
        format!("batch {id}: repeat the command with `--batch={id}` to go on where it stopped")
    })?;
    let created = enqueued.created;
    if args.json {
        session.output.json(&EnqueuedBatchJson {
            batch: id.as_str(),
            jobs,
            created,
        })?;
    } else {
        session.output.data(id.as_str())?;
    }
    let counted = text::counted(u64::try_from(jobs).unwrap_or(u64::MAX), "job");
    session.output.talk(&match created {
        true => format!("{counted} enqueued as batch {id}."),
        false => format!("The batch {id} is there already; nothing was stored."),
    });
    Ok(Exit::Done)
}

fn callback(errand: Errand<'_>, kind: &Kind, id: &BatchId) -> JobRequest {
    let args = errand.args;
    let queue = args.batch.callback_queue.as_ref().unwrap_or(&args.queue);
    JobRequest::new(queue.as_str(), kind.as_str()).args(&serde_json::json!({"batch": id.as_str()}))
}
