//! Listing jobs: which rows are looked at, at most how many, and which of them are read.
//!
//! A listing goes from new to old. Where an index holds few enough of the jobs that can match, all
//! of its entries are sorted; else rows are looked at in the order of insertion. A look at a row
//! costs a fraction of reading its job, and rules out nearly all that do not match.

use longshore_core::{
    ErrorKind, JobFilter, JobPage, JobState, Kind, QueueName, QueueStats, StoreError, Timestamp,
};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params};

use crate::error::from_sqlite;
use crate::query::counted;
use crate::row::{self, state_code, to_json};

/// Most jobs that a listing sorts; if more can match, the newest are sooner found among all.
const MAX_SORTED: u64 = 10_000;
/// How much one call does before it gives back what it has found so far, in rows looked at.
const MAX_EFFORT: u64 = 100_000;
/// How many rows can be looked at in the time that reading a job takes.
const EFFORT_OF_JOB: u64 = 20;

/// A page of jobs, newest first, without args that lie apart.
pub(crate) fn list(
    conn: &Connection,
    filter: &JobFilter,
    cursor: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<JobPage, StoreError> {
    let limit = limit.clamp(1, JobPage::MAX_JOBS);
    let mut last = below(cursor)?;
    let glance = Glance::new(filter, now)?;
    let counts = Counts::new(conn, filter.queue.as_ref(), now)?;
    let mut left = counts.matching(glance.states);
    let (sql, which) = counts.source(glance.states, filter.queue.as_ref());
    let mut statement = conn.prepare_cached(sql).map_err(from_sqlite)?;
    let mut rows = statement
        .query(params![
            last,
            which,
            glance.reads_envelope(),
            !glance.in_history.is_empty(),
        ])
        .map_err(from_sqlite)?;
    let mut found = row::Loader::new(conn)?;
    let mut page = JobPage {
        jobs: Vec::new(),
        next_cursor: None,
        as_of: now,
    };
    let mut effort = 0;
    // Once all that can match were seen, what is older need not be looked at.
    while left > 0
        && let Some(row) = rows.next().map_err(from_sqlite)?
    {
        if effort >= MAX_EFFORT {
            page.next_cursor = Some(last.to_string());
            break;
        }
        effort += 1;
        let before = last;
        last = row.get(0).map_err(from_sqlite)?;
        match glance.at(row).map_err(from_sqlite)? {
            Seen::Elsewhere => continue,
            Seen::Other => left -= 1,
            Seen::Likely => {
                left -= 1;
                effort += EFFORT_OF_JOB;
                let stored = found.load_lean(last)?;
                let job = stored.map(|stored| stored.job.shown_at(now));
                let Some(job) = job.filter(|job| filter.matches(job)) else {
                    continue;
                };
                if page.jobs.len() == limit {
                    // What was seen since the last job of the page does not match.
                    page.next_cursor = Some(before.to_string());
                    break;
                }
                page.jobs.push(job);
            }
        }
    }
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

/// A set of states as they are written, a bit each.
type States = u8;

const DELAYED: States = 0b11;
const AVAILABLE: States = 0b100;
const WAITING: States = DELAYED | AVAILABLE;
const RUNNING: States = 0b1000;
const OVER: States = 0b111_0000;
/// Cancelled and discarded.
const FAILED: States = 0b110_0000;

fn bit(state: JobState) -> States {
    1 << state_code(state)
}

/// What can be told of a row from a few of its columns.
struct Glance<'f> {
    filter: &'f JobFilter,
    /// The states in which jobs that can match are written.
    states: States,
    now: i64,
    /// What must be somewhere in the text of the envelope.
    in_envelope: Vec<String>,
    /// What must be there too, unless it is the job's id.
    correlation_id: Option<String>,
    /// What must be somewhere in the text of the last attempt.
    in_history: Vec<String>,
}

/// What a glance says of a row.
enum Seen {
    /// It is not among those that were counted as able to match.
    Elsewhere,
    /// It is, and does not match.
    Other,
    /// It may match.
    Likely,
}

impl<'f> Glance<'f> {
    fn new(filter: &'f JobFilter, now: Timestamp) -> Result<Self, StoreError> {
        let asked = filter.states.iter().map(|state| bit(*state));
        let mut states = asked.fold(0, |states, state| states | state);
        if states == 0 {
            states = WAITING | RUNNING | OVER;
        } else if states & AVAILABLE != 0 {
            // A delayed job whose time has come is shown as available.
            states |= DELAYED;
        }
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
            filter,
            states,
            now: now.unix_nanos(),
            in_envelope: in_envelope.collect::<Result<_, _>>()?,
            correlation_id: filter.correlation_id.as_ref().map(to_json).transpose()?,
            in_history: class.into_iter().chain(text).collect::<Result<_, _>>()?,
        })
    }

    fn reads_envelope(&self) -> bool {
        !self.in_envelope.is_empty() || self.correlation_id.is_some()
    }

    fn at(&self, row: &Row<'_>) -> rusqlite::Result<Seen> {
        let state: i64 = row.get(3)?;
        let queue = self.filter.queue.as_ref();
        let is_written_so = u32::try_from(state)
            .ok()
            .and_then(|state| 1u8.checked_shl(state))
            .is_some_and(|state| state & self.states != 0);
        if !is_written_so || !is_same(queue.map(QueueName::as_str), row.get_ref(1)?) {
            return Ok(Seen::Elsewhere);
        }
        let kind = self.filter.kind.as_ref();
        if !is_same(kind.map(Kind::as_str), row.get_ref(2)?) {
            return Ok(Seen::Other);
        }
        let enqueued_at = Timestamp::from_unix_nanos(row.get(4)?);
        let (after, before) = (self.filter.enqueued_after, self.filter.enqueued_before);
        let is_in_time = after.is_none_or(|after| after <= enqueued_at)
            && before.is_none_or(|before| enqueued_at < before)
            && self.is_shown_so(state, row.get(5)?);
        let may_match = is_in_time
            && has_all(&self.in_envelope, row.get_ref(6)?, Some)
            && self.may_correlate(row.get_ref(8)?, row.get_ref(6)?)
            && has_all(&self.in_history, row.get_ref(7)?, |text| {
                text.rsplit('\n').next()
            });
        Ok(if may_match { Seen::Likely } else { Seen::Other })
    }

    /// A job without a correlation id of its own has its id as one.
    fn may_correlate(&self, id: ValueRef<'_>, envelope: ValueRef<'_>) -> bool {
        let wanted = self.correlation_id.as_slice();
        let is_id = is_same(self.filter.correlation_id.as_deref(), id);
        is_id || has_all(wanted, envelope, Some)
    }

    /// Whether a job that is written in this state is shown in one that was asked for.
    fn is_shown_so(&self, state: i64, available_at: i64) -> bool {
        let asked = &self.filter.states;
        let is_delayed = state < 2 && available_at > self.now;
        asked.is_empty()
            || state > 2
            || asked.iter().any(|asked| {
                let asked = state_code(*asked);
                asked == if is_delayed { state } else { 2 }
            })
    }
}

/// Whether a column says what is wanted, if anything is.
fn is_same(wanted: Option<&str>, value: ValueRef<'_>) -> bool {
    wanted.is_none_or(|wanted| value.as_str().is_ok_and(|value| value == wanted))
}

fn has_all<'v>(
    wanted: &[String],
    value: ValueRef<'v>,
    part: impl FnOnce(&'v str) -> Option<&'v str>,
) -> bool {
    let has_them = |text: &str| wanted.iter().all(|wanted| text.contains(wanted.as_str()));
    wanted.is_empty() || value.as_str().ok().and_then(part).is_some_and(has_them)
}

/// How many jobs there are, told from the counts: no job is read.
#[derive(Default)]
struct Counts {
    of_queue: Totals,
    of_all: Totals,
}

impl Counts {
    fn new(
        conn: &Connection,
        queue: Option<&QueueName>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        for mut stats in counted(conn, now)? {
            counts.of_all.add(&mut stats);
            if queue.is_none_or(|queue| *queue == stats.queue) {
                counts.of_queue.add(&mut stats);
            }
        }
        Ok(counts)
    }

    /// How many jobs of the queue are written in one of these states.
    fn matching(&self, states: States) -> u64 {
        self.of_queue.sum(states)
    }

    /// The statement that finds jobs in these states with the fewest looks, and what it has to know
    /// beside: the states or the queue.
    fn source(&self, states: States, queue: Option<&QueueName>) -> (&'static str, Value) {
        let states = self.of_all.present(states);
        let is_within = |of: States| states & !of == 0;
        let are_few = |totals: &Totals, of: States| totals.sum(of) <= MAX_SORTED;
        let few = |of: States| is_within(of) && are_few(&self.of_all, of);
        let sql = if is_within(FAILED | DELAYED) && are_few(&self.of_all, states & DELAYED) {
            let sql = include_str!("sql/list_failed.sql");
            return (sql, Value::Integer(states.into()));
        } else if few(OVER) {
            include_str!("sql/list_over.sql")
        } else if few(RUNNING) {
            include_str!("sql/list_running.sql")
        } else if few(WAITING) {
            include_str!("sql/list_waiting.sql")
        } else if let Some(queue) = queue
            && is_within(WAITING)
            && are_few(&self.of_queue, WAITING)
        {
            let sql = include_str!("sql/list_waiting_of_queue.sql");
            return (sql, Value::Text(queue.as_str().to_owned()));
        } else {
            include_str!("sql/list.sql")
        };
        (sql, Value::Null)
    }
}

/// Jobs by the state they are written in.
#[derive(Default)]
struct Totals([u64; JobState::ALL.len()]);

impl Totals {
    fn add(&mut self, stats: &mut QueueStats) {
        for (total, state) in self.0.iter_mut().zip(JobState::ALL) {
            *total = total.saturating_add(*stats.count_mut(state));
        }
    }

    /// Those of the states that any job is in.
    fn present(&self, states: States) -> States {
        let of = self.0.iter().zip(JobState::ALL);
        let there = of.filter(|(total, _)| **total > 0);
        there.fold(0, |all, (_, state)| all | bit(state)) & states
    }

    fn sum(&self, states: States) -> u64 {
        let of = self.0.iter().zip(JobState::ALL);
        let wanted = of.filter(|(_, state)| bit(*state) & states != 0);
        wanted.fold(0, |sum, (total, _)| sum.saturating_add(*total))
    }
}
