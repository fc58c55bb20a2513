//! Jobs that come from another store, with their whole history.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_core::{AttemptRecord, Import, Imported, Job, StoreError, Timestamp};
use rusqlite::{Connection, Statement, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::error::{copy, corrupt, from_sqlite};
use crate::row::envelope::{Envelopes, trace_of_parent};
use crate::row::history::{self, Traced};
use crate::row::{seq_of, state_code, to_json};
use crate::store::{JOB, SqliteStore};
use crate::unique;

/// Jobs, checked and with their texts written, before the thread that writes gets to see them.
#[derive(Debug)]
struct Checked {
    jobs: Vec<Result<Written, StoreError>>,
}

#[derive(Debug)]
struct Written {
    job: Job,
    envelope: Option<Arc<str>>,
    keep: Option<String>,
    history: Option<String>,
}

impl Checked {
    fn new(jobs: Vec<Job>) -> Self {
        let written = jobs.into_iter().map(|job| {
            let new = job.check_import()?;
            Ok(Written {
                envelope: Envelopes::default().of(&new)?,
                keep: job.trace.keep.as_ref().map(to_json).transpose()?,
                history: lines(&job)?,
                job,
            })
        });
        Self {
            jobs: written.collect(),
        }
    }
}

/// The ended attempts of a job as text.
fn lines(job: &Job) -> Result<Option<String>, StoreError> {
    let lines = job.history.iter().map(|record| line(record, job));
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    Ok((!lines.is_empty()).then(|| lines.join("\n")))
}

fn line(record: &AttemptRecord, job: &Job) -> Result<String, StoreError> {
    let trace = record.trace_id.map(|trace| trace.to_string());
    let of_envelope = job.trace.traceparent.as_deref().and_then(trace_of_parent);
    let traced = trace.as_deref().zip(record.span_id);
    let traced = traced.map(|(trace, span)| Traced {
        trace,
        span,
        is_of_envelope: of_envelope == Some(trace),
    });
    history::line(record, &job.id, traced)
}

#[async_trait]
impl Import for SqliteStore {
    async fn import(
        &self,
        jobs: Vec<Job>,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let request = self.request("INSERT", JOB).of(jobs.len());
        let checked = Checked::new(jobs);
        self.writer()
            .call(request, move |write| {
                write.wakes = true;
                import(write.conn, &checked, write.now, &mut write.counts)
            })
            .await
    }
}

fn import(
    conn: &Connection,
    checked: &Checked,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
    let mut insert = conn
        .prepare_cached(include_str!("sql/import_job.sql"))
        .map_err(from_sqlite)?;
    let each = checked.jobs.iter().map(|job| match job {
        // The call may be repeated.
        Err(refused) => Ok(Err(copy(refused))),
        Ok(job) => import_one((conn, &mut insert), job, now, counts),
    });
    each.collect()
}

fn import_one(
    (conn, insert): (&Connection, &mut Statement<'_>),
    written: &Written,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Result<Imported, StoreError>, StoreError> {
    let job = &written.job;
    if seq_of(conn, job.id.as_str())?.is_some() {
        return Ok(Ok(Imported::Present));
    }
    let wanted = job.unique_key.as_ref();
    if let Some(unique) = wanted.filter(|_| job.holds_unique_key(now))
        // Whoever had the key and has lost it with the end of its window lets go of it here.
        && let Some(holder) = unique::holder_id(conn, &job.queue, unique, now)?
    {
        return Ok(Err(unique.taken(&job.queue, &holder)));
    }
    write((conn, insert), written, now)?;
    let state = job.state_when_imported(now);
    counts.moved(job.queue.as_str(), None, Some(state));
    Ok(Ok(Imported::Stored))
}

fn write(
    (conn, insert): (&Connection, &mut Statement<'_>),
    written: &Written,
    now: Timestamp,
) -> Result<(), StoreError> {
    let job = &written.job;
    let inline = job.args.len() <= MAX_INLINE;
    let inline_result = job
        .result
        .as_ref()
        .filter(|result| result.len() <= MAX_INLINE);
    let parts = [
        (Part::Args, (!inline).then_some(&job.args)),
        (Part::Checkpoint, job.checkpoint.as_ref()),
        (
            Part::Result,
            job.result.as_ref().filter(|_| inline_result.is_none()),
        ),
    ];
    let outside = parts.iter().filter(|(_, body)| body.is_some());
    let outside = outside.fold(0, |all, (part, _)| all | part.bit());
    let unique = job.unique_key.as_ref();
    let scope = unique.and_then(|unique| {
        let code = unique::scope_code(unique.scope)?;
        let ends_at = unique.scope.ends_at(job.enqueued_at);
        // A window that is over is marked as whoever meets it does.
        let is_over = ends_at.is_some_and(|end| end <= now);
        Some(if is_over { code.saturating_neg() } else { code })
    });
    let nanos =
        |timeout: std::time::Duration| i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    let changed = insert.execute(params![
        job.id.as_str(),
        job.queue.as_str(),
        job.kind.as_str(),
        job.priority.get(),
        state_code(job.state_when_imported(now)),
        job.attempt,
        job.claim,
        job.max_attempts,
        job.enqueued_at.unix_nanos(),
        job.available_at.unix_nanos(),
        job.first_available_at.unix_nanos(),
        job.finished_at.map(Timestamp::unix_nanos),
        job.timeout.map(nanos),
        unique.map(|unique| unique.key.as_str()),
        unique.map(|unique| unique.hash.cast_signed()),
        scope,
        outside,
        written.envelope.as_deref(),
        written.keep.as_deref(),
        inline_result.map(|result| &**result),
        inline.then_some(&*job.args),
        written.history.as_deref(),
        job.tenant_id.as_deref(),
    ]);
    if changed.map_err(from_sqlite)? == 0 {
        return Err(corrupt("unique key", "it is taken by no job"));
    }
    let seq = conn.last_insert_rowid();
    for (part, body) in parts {
        if let Some(body) = body {
            blob::put(conn, seq, part, body, outside).map_err(from_sqlite)?;
        }
    }
    Ok(())
}
