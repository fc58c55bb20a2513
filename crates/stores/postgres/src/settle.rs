//! The ends of attempts: settled by their workers, or lost and taken back.

use std::collections::HashSet;

use longshore_core::transition::{Ending, LEASE_EXPIRED};
use longshore_core::{JobId, Keep, Outcome, Rescued, Settled, Settlement, StoreError, Timestamp};
use sqlx::postgres::PgConnection;

use crate::enqueue::{self, enqueue_at};
use crate::error::corrupt;
use crate::row::{Columns, history, state_code, state_of, stop_of, stored_of, to_json};
use crate::session::Context;
use crate::statement::{all, begin, commit};

/// Settlements, checked and with their texts written.
#[derive(Debug)]
pub(crate) struct Checked {
    settlements: Vec<Result<Written, StoreError>>,
}

#[derive(Debug)]
struct Written {
    end: End,
    follow_ups: enqueue::Checked,
}

/// The end of an attempt as the server is told of it.
#[derive(Debug)]
struct End {
    id: JobId,
    token: i64,
    state: i16,
    /// When the job is due again; now if `None`.
    due: Option<i64>,
    outcome: &'static str,
    uncounted: bool,
    rest: String,
    keep: Option<String>,
    result: Option<bytes::Bytes>,
}

impl End {
    fn new(
        (id, token): (JobId, i64),
        ending: Ending,
        now_if_due: bool,
        (rest, keep): (String, Option<String>),
    ) -> Self {
        let due = ending.available_at.filter(|_| !now_if_due);
        Self {
            id,
            token,
            state: state_code(ending.state),
            due: due.map(Timestamp::unix_nanos),
            outcome: ending.outcome.as_str(),
            uncounted: ending.uncounted,
            rest,
            keep,
            result: ending.result,
        }
    }
}

impl Checked {
    pub(crate) fn new(settlements: Vec<Settlement>) -> Self {
        Self {
            settlements: settlements.into_iter().map(Written::new).collect(),
        }
    }

    /// Whether new jobs come with them.
    pub(crate) fn bring_jobs(&self) -> bool {
        let brings = |written: &Written| !written.follow_ups.is_empty();
        self.settlements.iter().flatten().any(brings)
    }
}

impl Written {
    fn new(mut settlement: Settlement) -> Result<Self, StoreError> {
        settlement.validate()?;
        let follow_ups = std::mem::take(&mut settlement.follow_ups);
        let hands_back = matches!(settlement.outcome, Outcome::HandBack);
        // Whether the job was asked to stop is for the server to say, and so is the time.
        let ending = Ending::of(settlement.outcome, None, Timestamp::UNIX_EPOCH);
        let rest = history::rest(ending.error.as_ref(), settlement.span)?;
        let keep = settlement.keep.as_ref().map(to_json).transpose()?;
        let lease = (settlement.job_id, settlement.token.get());
        Ok(Self {
            end: End::new(lease, ending, hands_back, (rest, keep)),
            follow_ups: enqueue::Checked::new(follow_ups),
        })
    }
}

type Answers = Vec<Result<Settled, StoreError>>;

/// Ends the attempts; a lost lease writes nothing. One statement, unless there are follow-ups.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    context: &Context,
    settlements: &Checked,
) -> Result<Answers, StoreError> {
    let mut ids = HashSet::new();
    let mut ends = settlements
        .settlements
        .iter()
        .flatten()
        .map(|written| &written.end);
    let is_plain = !settlements.bring_jobs() && ends.all(|end| ids.insert(&end.id));
    if is_plain {
        return settle_in_order(conn, context, settlements, context.given()).await;
    }
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?.unix_nanos();
    let answers = settle_in_order(&mut transaction, context, settlements, Some(now)).await?;
    commit(transaction, &context.sql).await?;
    Ok(answers)
}

async fn settle_in_order(
    conn: &mut PgConnection,
    context: &Context,
    settlements: &Checked,
    given: Option<i64>,
) -> Result<Answers, StoreError> {
    let lost = |written: &Result<Written, StoreError>| match written {
        Ok(written) => Err(StoreError::lease_lost(&written.end.id)),
        // The call may be repeated.
        Err(invalid) => Err(StoreError::new(invalid.kind(), invalid.to_string())),
    };
    let mut answers: Answers = settlements.settlements.iter().map(lost).collect();
    let mut part: Vec<(usize, &Written)> = Vec::new();
    let mut ids = HashSet::new();
    for (place, written) in settlements.settlements.iter().enumerate() {
        let Ok(written) = written else { continue };
        if !ids.insert(&written.end.id) {
            // A second end for a job meets what the first one made of it.
            settle_part(conn, context, &mut part, given, &mut answers).await?;
        }
        part.push((place, written));
        if written.follow_ups.has_keys() {
            // Whose key is free may depend on this one, and not on those after it.
            settle_part(conn, context, &mut part, given, &mut answers).await?;
        }
    }
    settle_part(conn, context, &mut part, given, &mut answers).await?;
    Ok(answers)
}

async fn settle_part(
    conn: &mut PgConnection,
    context: &Context,
    part: &mut Vec<(usize, &Written)>,
    given: Option<i64>,
    answers: &mut Answers,
) -> Result<(), StoreError> {
    let part = std::mem::take(part);
    let ends: Vec<&End> = part.iter().map(|(_, written)| &written.end).collect();
    for (at, settled) in end_attempts(conn, context, &ends, given).await? {
        let Some((place, written)) = part.get(at) else {
            continue;
        };
        if !written.follow_ups.is_empty() {
            // A follow-up that is there already, or whose unique key another job holds, is a hit:
            // the settle stands.
            enqueue_at(conn, context, &written.follow_ups, settled.at).await?;
        }
        if let Some(answer) = answers.get_mut(*place) {
            *answer = Ok(settled);
        }
    }
    Ok(())
}

/// Writes the ends of attempts of distinct jobs; gives back those whose lease was held, by their
/// places.
async fn end_attempts(
    conn: &mut PgConnection,
    context: &Context,
    ends: &[&End],
    given: Option<i64>,
) -> Result<Vec<(usize, Settled)>, StoreError> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let sql = &context.sql;
    let query = sql
        .query(&sql.settle)
        .of(ends.len())
        .bind(given)
        .bind(ends.iter().map(|end| end.id.as_str()).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.token).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.state).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.due).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.outcome).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.uncounted).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.rest.as_str()).collect::<Vec<_>>())
        .bind(
            ends.iter()
                .map(|end| end.keep.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            ends.iter()
                .map(|end| end.result.as_deref())
                .collect::<Vec<_>>(),
        );
    let rows = all(conn, query).await?;
    let settled = |row| {
        let from = &mut Columns::from(row, 0);
        let place: i64 = from.value()?;
        let settled = Settled {
            state: state_of(from.value()?)?,
            at: from.time()?,
        };
        Ok((usize::try_from(place - 1).unwrap_or(usize::MAX), settled))
    };
    let mut settled: Vec<_> = rows
        .iter()
        .map(settled)
        .collect::<Result<_, StoreError>>()?;
    settled.sort_by_key(|(place, _)| *place);
    Ok(settled)
}

/// Takes back leases that have expired.
pub(crate) async fn rescue(
    conn: &mut PgConnection,
    context: &Context,
    limit: usize,
) -> Result<Vec<Rescued>, StoreError> {
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    let sql = &context.sql;
    let query = sql.query(&sql.expired).bind(now.unix_nanos());
    let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut ends = Vec::new();
    for row in all(&mut transaction, query).await? {
        let from = &mut Columns::from(&row, 0);
        let (id, token) = (from.name()?, from.value()?);
        let attempt = |number: i32| u32::try_from(number).unwrap_or_default();
        let (attempts, most) = (attempt(from.value()?), attempt(from.value()?));
        let ending = Ending::of_lost(attempts, most, stop_of(from.value()?), now);
        let keep = match from.value::<Option<String>>()? {
            Some(kept) => kept,
            None => to_json(&Keep {
                reason: LEASE_EXPIRED.to_owned(),
                at: now,
            })?,
        };
        let rest = history::rest(ending.error.as_ref(), None)?;
        ends.push(End::new((id, token), ending, true, (rest, Some(keep))));
    }
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let refs: Vec<&End> = ends.iter().collect();
    end_attempts(&mut transaction, context, &refs, Some(now.unix_nanos())).await?;
    let ids: Vec<&str> = ends.iter().map(|end| end.id.as_str()).collect();
    let rows = all(&mut transaction, sql.query(&sql.load).bind(ids)).await?;
    let rescued = |row| {
        let job = stored_of(row, 0)?.job;
        let lost = job.history.last().cloned();
        let lost = lost.ok_or_else(|| corrupt("history", "a lost attempt is missing"))?;
        Ok(Rescued { job, lost })
    };
    let rescued: Vec<Rescued> = rows
        .iter()
        .map(rescued)
        .collect::<Result<_, StoreError>>()?;
    commit(transaction, &context.sql).await?;
    Ok(rescued)
}
