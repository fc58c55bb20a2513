//! Listing jobs: newest first, a stretch of them at a time.

use longshore_core::{ErrorKind, JobFilter, JobPage, JobState, StoreError, Timestamp};
use sqlx::postgres::PgConnection;

use crate::row::{Columns, before_zero, state_code, stored_of, to_json};
use crate::session::Context;
use crate::statement::{all, begin, commit, one};

/// How many jobs one call looks at, at most.
const STRETCH: i64 = 100_000;
/// How many jobs that may match are read at a time, at least.
const FEWEST: usize = 100;

/// A page of jobs, newest first, without large args.
pub(crate) async fn list(
    conn: &mut PgConnection,
    context: &Context,
    filter: &JobFilter,
    (cursor, limit): (Option<&str>, usize),
) -> Result<JobPage, StoreError> {
    let limit = limit.clamp(1, JobPage::MAX_JOBS);
    let below = below(cursor)?;
    let wanted = Wanted::new(filter)?;
    let mut transaction = begin(conn, &context.sql).await?;
    let sql = &context.sql;
    one(&mut transaction, sql.query(&sql.in_order)).await?;
    let page = wanted
        .page(&mut transaction, context, (below, limit))
        .await?;
    commit(transaction, sql).await?;
    Ok(page)
}

fn below(cursor: Option<&str>) -> Result<i64, StoreError> {
    cursor.map_or(Ok(i64::MAX), |text| {
        text.parse().map_err(|_ignored| {
            StoreError::new(
                ErrorKind::Invalid,
                "this cursor was not given out by this store: start again without one",
            )
        })
    })
}

async fn newest(
    conn: &mut PgConnection,
    context: &Context,
    below: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = &context.sql;
    match one(conn, sql.query(&sql.newest).bind(below)).await? {
        Some(row) => Columns::from(&row, 0).value(),
        None => Ok(None),
    }
}

/// What the server is asked for.
struct Wanted<'f> {
    filter: &'f JobFilter,
    /// The states in which jobs that can match are written.
    states: Vec<i16>,
    only_failed: bool,
    /// What must be somewhere in the text of the envelope.
    in_envelope: Vec<String>,
    /// What must be there too, unless it is the job's id.
    correlation_id: Option<String>,
    /// What must be somewhere in the text of the history.
    in_history: Vec<String>,
}

impl<'f> Wanted<'f> {
    fn new(filter: &'f JobFilter) -> Result<Self, StoreError> {
        let has = |state: JobState| filter.states.is_empty() || filter.states.contains(&state);
        // A delayed job whose time has come is shown as available.
        let is_due = |state: JobState| state.is_waiting() && has(JobState::Available);
        let states = JobState::ALL.into_iter();
        let states: Vec<JobState> = states
            .filter(|state| has(*state) || is_due(*state))
            .collect();
        let failed = [JobState::Cancelled, JobState::Discarded];
        let metadata = filter.metadata.as_ref();
        let texts = [
            filter.tag.as_ref(),
            metadata.map(|(key, _)| key),
            metadata.map(|(_, value)| value),
            filter.tenant_id.as_ref(),
            filter.namespace.as_ref(),
        ];
        let in_envelope = texts.into_iter().flatten().map(to_json);
        let class = filter.error_class.as_ref().map(to_json);
        let text = filter.error_text.as_ref().map(|text| {
            // What a text contains is also contained, as JSON writes it, in that text's JSON.
            let quoted = to_json(text)?;
            let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            Ok(inner.to_owned())
        });
        Ok(Self {
            only_failed: states.iter().all(|state| failed.contains(state)),
            states: states.into_iter().map(state_code).collect(),
            in_envelope: in_envelope.collect::<Result<_, _>>()?,
            correlation_id: filter.correlation_id.as_ref().map(to_json).transpose()?,
            in_history: class.into_iter().chain(text).collect::<Result<_, _>>()?,
            filter,
        })
    }

    /// The jobs below a seq.
    async fn page(
        &self,
        conn: &mut PgConnection,
        context: &Context,
        (mut below, limit): (i64, usize),
    ) -> Result<JobPage, StoreError> {
        let mut page = JobPage {
            jobs: Vec::new(),
            next_cursor: None,
            as_of: context.now(conn).await?,
        };
        let Some(newest) = newest(conn, context, below).await? else {
            return Ok(page);
        };
        // An index holds all that failed, so they are found however many others lie between them.
        let end = match self.only_failed {
            true => i64::MIN,
            false => newest.saturating_sub(STRETCH - 1),
        };
        let most = (limit + 1).max(FEWEST);
        loop {
            let rows = self.read(conn, context, (below, end), most).await?;
            let is_last = rows.len() < most;
            for row in &rows {
                let stored = stored_of(row, 0)?;
                let before = below;
                below = stored.seq;
                let job = stored.job.shown_at(page.as_of);
                if !self.filter.matches(&job) {
                    continue;
                }
                if page.jobs.len() == limit {
                    page.next_cursor = Some(before.to_string());
                    return Ok(page);
                }
                page.jobs.push(job);
            }
            if is_last {
                break;
            }
        }
        if end > i64::MIN {
            let next = self::newest(conn, context, end).await?;
            page.next_cursor = next.map(|newest| newest.saturating_add(1).to_string());
        }
        Ok(page)
    }

    async fn read(
        &self,
        conn: &mut PgConnection,
        context: &Context,
        (below, end): (i64, i64),
        most: usize,
    ) -> Result<Vec<sqlx::postgres::PgRow>, StoreError> {
        let filter = self.filter;
        let is_over = |state: &i16| *state > state_code(JobState::Running);
        let correlation_id = filter.correlation_id.as_deref().map(before_zero);
        let sql = &context.sql;
        let query = sql
            .query(&sql.list)
            .bind(below)
            .bind(end)
            .bind(&self.states)
            .bind(self.states.iter().any(is_over))
            .bind(self.only_failed)
            .bind(filter.queue.as_ref().map(|queue| queue.as_str()))
            .bind(filter.kind.as_ref().map(|kind| kind.as_str()))
            .bind(filter.enqueued_after.map(Timestamp::unix_nanos))
            .bind(filter.enqueued_before.map(Timestamp::unix_nanos))
            .bind(&self.in_envelope)
            .bind(correlation_id)
            .bind(&self.correlation_id)
            .bind(&self.in_history)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        all(conn, query).await
    }
}
