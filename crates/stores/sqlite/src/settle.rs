//! The ends of attempts: settled by their workers, or lost and taken back.

use longshore_core::attempt::AttemptRecord;
use longshore_core::transition::{Ending, LEASE_EXPIRED, RunningAttempt};
use longshore_core::{
    JobId, JobState, Keep, Rescued, Settled, Settlement, SpanId, StopRequest, StoreError,
    Timestamp, TraceId, WorkerId,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::enqueue;
use crate::error::{copy, corrupt, from_sqlite};
use crate::row::history::{self, Traced};
use crate::row::{self, envelope, state_code, stop_code, stop_of, to_json};

/// What is known of a job that runs.
struct Running {
    seq: i64,
    queue: String,
    attempt: RunningAttempt,
    stop_requested: Option<StopRequest>,
    outside: i64,
    /// Whether the envelope names the trace that the attempt belongs to.
    is_of_envelope: bool,
}

/// Settlements, checked and with their texts written. That needs no file, so callers do it before
/// the thread that writes gets to see them.
#[derive(Debug)]
pub(crate) struct Checked {
    settlements: Vec<Result<Written, StoreError>>,
}

#[derive(Debug)]
struct Written {
    settlement: Settlement,
    /// The trace in hexadecimal digits, and the span.
    traced: Option<(String, SpanId)>,
    keep: Option<String>,
    follow_ups: enqueue::Checked,
}

impl Checked {
    pub(crate) fn new(settlements: Vec<Settlement>) -> Self {
        let written = settlements.into_iter().map(|mut settlement| {
            settlement.validate()?;
            let follow_ups = std::mem::take(&mut settlement.follow_ups);
            let digits = |(trace, span): (TraceId, SpanId)| (trace.to_string(), span);
            Ok(Written {
                traced: settlement.span.map(digits),
                keep: settlement.keep.as_ref().map(to_json).transpose()?,
                follow_ups: enqueue::Checked::new(follow_ups),
                settlement,
            })
        });
        Self {
            settlements: written.collect(),
        }
    }

    /// Whether new jobs come with them.
    pub(crate) fn bring_jobs(&self) -> bool {
        let brings = |written: &Written| !written.follow_ups.is_empty();
        self.settlements.iter().flatten().any(brings)
    }
}

/// Ends the attempts; a lost lease writes nothing.
pub(crate) fn settle(
    conn: &Connection,
    settlements: &Checked,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
    let mut statements = Statements::new(conn)?;
    settlements
        .settlements
        .iter()
        .map(|settlement| match settlement {
            // The call may be repeated.
            Err(invalid) => Ok(Err(copy(invalid))),
            Ok(settlement) => statements.settle_one(settlement, now, counts),
        })
        .collect()
}

/// What is written down beside the transition itself.
struct Notes<'a> {
    id: &'a JobId,
    traced: Option<&'a (String, SpanId)>,
    keep: Option<&'a str>,
}

/// The statements of a settle or a rescue, looked up once.
struct Statements<'c> {
    conn: &'c Connection,
    running: CachedStatement<'c>,
    end: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn new(conn: &'c Connection) -> Result<Self, StoreError> {
        let prepare = |sql| conn.prepare_cached(sql).map_err(from_sqlite);
        Ok(Self {
            conn,
            running: prepare(include_str!("sql/running_of_id.sql"))?,
            end: prepare(include_str!("sql/end_attempt.sql"))?,
        })
    }

    fn settle_one(
        &mut self,
        written: &Written,
        now: Timestamp,
        counts: &mut Counts,
    ) -> Result<Result<Settled, StoreError>, StoreError> {
        let settlement = &written.settlement;
        let Some(running) = self.running_of(written).map_err(from_sqlite)? else {
            return Ok(Err(StoreError::lease_lost(&settlement.job_id)));
        };
        let ending = Ending::of(settlement.outcome.clone(), running.stop_requested, now);
        let state = ending.state;
        counts.moved(&running.queue, Some(JobState::Running), Some(state));
        let notes = Notes {
            id: &settlement.job_id,
            traced: written.traced.as_ref(),
            keep: written.keep.as_deref(),
        };
        self.end(running, &ending, &notes, now)?;
        // A follow-up that is there already, or whose unique key another job holds, is a hit: the
        // settle stands.
        enqueue::enqueue(self.conn, &written.follow_ups, now, counts)?;
        Ok(Ok(Settled { state, at: now }))
    }

    fn running_of(&mut self, written: &Written) -> rusqlite::Result<Option<Running>> {
        let settlement = &written.settlement;
        let read = |row: &Row<'_>| {
            let time = |at| row.get(at).map(Timestamp::from_unix_nanos);
            let is_of_envelope = match &written.traced {
                Some((trace, _)) => {
                    let named = row.get_ref(9)?.as_str_or_null()?;
                    named.and_then(envelope::trace_of) == Some(trace.as_str())
                }
                None => false,
            };
            Ok(Running {
                seq: row.get(0)?,
                queue: row.get(1)?,
                attempt: RunningAttempt {
                    attempt: row.get(2)?,
                    claim: row.get(3)?,
                    worker: WorkerId::new(row.get_ref(4)?.as_str()?),
                    due_at: time(5)?,
                    claimed_at: time(6)?,
                },
                stop_requested: stop_of(row.get(7)?),
                outside: row.get(8)?,
                is_of_envelope,
            })
        };
        let key = params![settlement.job_id.as_str(), settlement.token.get()];
        self.running.query_row(key, read).optional()
    }

    /// Writes the end of an attempt.
    fn end(
        &mut self,
        running: Running,
        ending: &Ending,
        notes: &Notes<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let conn = self.conn;
        let (seq, claim) = (running.seq, running.attempt.claim);
        let attempt = running.attempt.attempt;
        let attempt = attempt.saturating_sub(u32::from(ending.uncounted));
        let traced = notes.traced.map(|(trace, span)| Traced {
            trace,
            span: *span,
            is_of_envelope: running.is_of_envelope,
        });
        let record = running.attempt.record(ending, None, now);
        let line = history::line(&record, notes.id, traced)?;
        let is_final = ending.state.is_final();
        let mut write = || -> rusqlite::Result<()> {
            let mut outside = running.outside;
            if is_final {
                outside = blob::delete(conn, seq, Part::Checkpoint, outside)?;
            }
            let mut inline = ending.result.as_ref();
            if let Some(large) = inline.filter(|result| result.len() > MAX_INLINE) {
                outside = blob::put(conn, seq, Part::Result, large, outside)?;
                inline = None;
            }
            self.end.execute(params![
                seq,
                state_code(ending.state),
                attempt,
                ending.available_at.map(Timestamp::unix_nanos),
                is_final.then_some(now.unix_nanos()),
                stop_code(running.stop_requested.filter(|_| !is_final)),
                outside,
                inline.map(|result| &**result),
                notes.keep,
                line,
            ])?;
            if usize::try_from(claim).unwrap_or(usize::MAX) > AttemptRecord::MAX_KEPT {
                trim_history(conn, seq)?;
            }
            Ok(())
        };
        write().map_err(from_sqlite)
    }
}

/// Drops the oldest records of a job that was claimed more often than records are kept.
fn trim_history(conn: &Connection, seq: i64) -> rusqlite::Result<()> {
    let history: String = conn
        .prepare_cached(include_str!("sql/read_history.sql"))?
        .query_row([seq], |row| row.get(0))?;
    let Some((at, _)) = history
        .rmatch_indices('\n')
        .nth(AttemptRecord::MAX_KEPT - 1)
    else {
        return Ok(());
    };
    let kept = history.get(at + 1..).unwrap_or_default();
    conn.prepare_cached(include_str!("sql/write_history.sql"))?
        .execute(params![seq, kept])
        .map(drop)
}

/// Takes back leases that have expired.
pub(crate) fn rescue(
    conn: &Connection,
    limit: usize,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Rescued>, StoreError> {
    let expired = expired(conn, limit, now).map_err(from_sqlite)?;
    let mut rescued = Vec::with_capacity(expired.len());
    if expired.is_empty() {
        return Ok(rescued);
    }
    let mut statements = Statements::new(conn)?;
    for seq in expired {
        if let Some(stored) = row::load(conn, seq)? {
            rescued.push(rescue_one(&mut statements, stored, now, counts)?);
        }
    }
    Ok(rescued)
}

fn expired(conn: &Connection, limit: usize, now: Timestamp) -> rusqlite::Result<Vec<i64>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(include_str!("sql/expired.sql"))?
        .query_map([now.unix_nanos(), limit], |row| row.get(0))?
        .collect()
}

fn rescue_one(
    statements: &mut Statements<'_>,
    stored: row::Stored,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Rescued, StoreError> {
    let row::Stored {
        seq,
        outside,
        mut job,
    } = stored;
    let attempt = job
        .running_attempt()
        .ok_or_else(|| corrupt("lease", "a running job without a worker"))?;
    let running = Running {
        seq,
        queue: job.queue.as_str().to_owned(),
        attempt,
        stop_requested: job.stop_requested,
        outside,
        is_of_envelope: false,
    };
    let ending = Ending::of_lost(job.attempt, job.max_attempts, job.stop_requested, now);
    counts.moved(&running.queue, Some(JobState::Running), Some(ending.state));
    let keep = job.trace.keep.get_or_insert_with(|| Keep {
        reason: LEASE_EXPIRED.to_owned(),
        at: now,
    });
    let keep = to_json(keep)?;
    let notes = Notes {
        id: &job.id,
        traced: None,
        keep: Some(&keep),
    };
    statements.end(running, &ending, &notes, now)?;
    let lost = job
        .apply_rescue(now)
        .ok_or_else(|| corrupt("lease", "a running job without a worker"))?;
    Ok(Rescued { job, lost })
}
