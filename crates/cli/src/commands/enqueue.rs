//! `longshore enqueue`: one job, or one per line of a file.

mod batch;
mod lines;

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use longshore_core::{Enqueued, NewJob};
use longshore_queue::JobRequest;
use serde::de::IgnoredAny;

use crate::args::Enqueue;
use crate::caller::Caller;
use crate::exit::{Exit, Usage, refused};
use crate::record::{self, EnqueuedJson, MetJson};
use crate::session::Session;

pub(crate) async fn run(session: &Session<'_>, args: Enqueue) -> anyhow::Result<Exit> {
    if let Some(file) = &args.lines {
        let input = lines::Input::open(file)?;
        let desk = session.desk(&args.caller)?;
        let errand = lines::Errand {
            session,
            args: &args,
            desk: &desk,
        };
        return match &args.batch.batch {
            Some(id) => batch::run(errand, input, id.as_ref()).await,
            None => lines::run(errand, input).await,
        };
    }
    let body = body(&args)?;
    let desk = session.desk(&args.caller)?;
    let request = request(&args, desk.caller(), body)?;
    let enqueued = desk.producer().enqueue(request).await;
    let enqueued = enqueued.map_err(refused)?;
    let stored = || format!("job {} is stored all the same", enqueued.id());
    show(session, &args, &enqueued).await.with_context(stored)?;
    let id = enqueued.id();
    match &enqueued {
        Enqueued::Created { .. } => {}
        Enqueued::Hit { .. } => session
            .output
            .talk(&format!("Job {id} is there already; nothing was stored.")),
        Enqueued::Replaced { .. } => session
            .output
            .talk(&format!("Job {id} was waiting, and has the new args.")),
    }
    Ok(Exit::Done)
}

/// Prints the job that is there now.
async fn show(session: &Session<'_>, args: &Enqueue, enqueued: &Enqueued) -> anyhow::Result<()> {
    if !args.json {
        return Ok(session.output.data(enqueued.id().as_str())?);
    }
    match session.store()?.get(enqueued.id()).await? {
        Some(job) => {
            let job = record::job(&job, session.redactor()?);
            let enqueued = enqueued.as_str();
            session.output.json(&EnqueuedJson { enqueued, job })
        }
        // Its window outlives it.
        None => session.output.json(&MetJson::of(enqueued)),
    }
}

fn body(args: &Enqueue) -> anyhow::Result<Bytes> {
    match (&args.args, &args.args_file) {
        (Some(text), _) if text == "-" => {
            bounded(std::io::stdin().lock()).context("stdin could not be read")
        }
        (Some(text), _) => {
            check_json(text.as_bytes()).map_err(|error| {
                Usage(format!(
                    "the args are not JSON ({error}): quote them for the shell, such as \
                     '{{\"to\": \"ann\"}}', or use `-` or --args-file for other bytes"
                ))
            })?;
            Ok(Bytes::from(text.clone()))
        }
        (None, Some(file)) => read_file(file),
        (None, None) => Ok(Bytes::from_static(b"null")),
    }
}

/// Whether bytes are one JSON value; its depth does not matter, since nothing is built.
fn check_json(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(bytes).map(|_| ())
}

fn read_file(file: &Path) -> anyhow::Result<Bytes> {
    let opened = std::fs::File::open(file);
    let opened = opened.with_context(|| format!("{} could not be opened", file.display()))?;
    bounded(opened).with_context(|| format!("{} could not be read", file.display()))
}

/// All bytes, up to one more than a job may carry: the store then says what is wrong.
fn bounded(reader: impl std::io::Read) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    let most = u64::try_from(NewJob::MAX_ARGS_BYTES).unwrap_or(u64::MAX);
    reader
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(Bytes::from(bytes))
}

/// The job the command line describes, by this caller and with these args.
fn request(args: &Enqueue, caller: &Caller, body: Bytes) -> Result<JobRequest, Usage> {
    let mut request = JobRequest::new(args.queue.as_str(), args.kind.as_str())
        .raw_args(body)
        .relation(args.relation);
    if let Some(id) = &args.id {
        request = request.id(id.as_str());
    }
    if let Some(priority) = args.job.priority {
        request = request.priority(priority.get());
    }
    if let Some(delay) = args.delay {
        request = request.delay(delay);
    }
    if let Some(at) = args.at {
        request = request.at(at);
    }
    if let Some(most) = args.job.max_attempts {
        request = request.max_attempts(most);
    }
    if let Some(timeout) = args.job.timeout {
        request = request.timeout(timeout);
    }
    let unique = args.unique.unique();
    if let Some(unique) = unique.map_err(|problem| Usage(problem.to_owned()))? {
        request = request.unique(unique);
    }
    if let Some(tenant) = &args.job.tenant {
        request = request.tenant_id(tenant);
    }
    if let Some(namespace) = &args.job.namespace {
        request = request.namespace(namespace);
    }
    if let Some(id) = &args.correlation_id {
        request = request.correlation_id(id);
    }
    let request = args
        .job
        .tags
        .iter()
        .fold(caller.makes(request), JobRequest::tag);
    let pairs = args.metadata.iter();
    Ok(pairs.fold(request, |request, (key, value)| {
        request.metadata(key, value)
    }))
}
