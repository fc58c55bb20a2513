//! Rows of a ledger as messages.

use bytes::Bytes;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, JobState, Keep, LeaseToken, SpanId, StopRequest,
    Timestamp, TraceId, WorkerId,
};

use crate::format::FormatError;
use crate::job_row::{Hold, JobRow, Replaced};
use crate::ledger::Standing;
use crate::message::{
    AttemptMessage, ErrorMessage, HoldMessage, KeepMessage, ReplacedMessage, RowMessage,
    StandingMessage,
};

/// The workers that a ledger names, each once.
#[derive(Debug, Default)]
pub(crate) struct Workers(Vec<WorkerId>);

impl Workers {
    pub(crate) fn from_names(names: &[String]) -> Self {
        Self(names.iter().map(|name| WorkerId::new(name)).collect())
    }

    pub(crate) fn into_names(self) -> Vec<String> {
        let names = self.0.iter().map(|worker| worker.as_str().to_owned());
        names.collect()
    }

    /// The number of a worker, from 1.
    fn number(&mut self, worker: &WorkerId) -> u32 {
        let known = self.0.iter().position(|known| known == worker);
        let place = known.unwrap_or_else(|| {
            self.0.push(worker.clone());
            self.0.len() - 1
        });
        u32::try_from(place + 1).unwrap_or(u32::MAX)
    }

    fn of(&self, number: u32) -> Result<WorkerId, FormatError> {
        let place = usize::try_from(number)
            .ok()
            .and_then(|at| at.checked_sub(1));
        let worker = place.and_then(|place| self.0.get(place));
        worker
            .cloned()
            .ok_or_else(|| FormatError::damaged("a row names no worker"))
    }
}

/// Never change the order: the places are written.
const OUTCOMES: [AttemptOutcome; 8] = [
    AttemptOutcome::Completed,
    AttemptOutcome::Retried,
    AttemptOutcome::NotYet,
    AttemptOutcome::Snoozed,
    AttemptOutcome::Cancelled,
    AttemptOutcome::Discarded,
    AttemptOutcome::HandedBack,
    AttemptOutcome::Lost,
];

/// Never change the order: the places are written.
const STATES: [JobState; 7] = [
    JobState::Scheduled,
    JobState::Available,
    JobState::Running,
    JobState::Retryable,
    JobState::Completed,
    JobState::Cancelled,
    JobState::Discarded,
];

fn place<T: PartialEq>(all: &[T], one: &T) -> u32 {
    let place = all.iter().position(|other| other == one);
    place
        .and_then(|place| u32::try_from(place).ok())
        .unwrap_or(u32::MAX)
}

fn at<T: Copy>(all: &[T], place: u32, what: &str) -> Result<T, FormatError> {
    let found = usize::try_from(place).ok().and_then(|place| all.get(place));
    found
        .copied()
        .ok_or_else(|| FormatError::damaged(format!("a row has no {what}")))
}

/// How long after one time another is, be it before.
const fn between(earlier: Timestamp, later: Timestamp) -> i64 {
    later.unix_nanos().saturating_sub(earlier.unix_nanos())
}

const fn after(earlier: Timestamp, nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(earlier.unix_nanos().saturating_add(nanos))
}

pub(crate) fn standing_message(standing: &Standing, workers: &mut Workers) -> StandingMessage {
    match standing {
        Standing::AsEnqueued => StandingMessage::default(),
        Standing::Absent => StandingMessage {
            absent: true,
            row: None,
        },
        Standing::Changed(row) => StandingMessage {
            absent: false,
            row: Some(Box::new(row_message(row, workers))),
        },
    }
}

pub(crate) fn standing_from(
    message: StandingMessage,
    workers: &Workers,
) -> Result<Standing, FormatError> {
    Ok(match message.row {
        _ if message.absent => Standing::Absent,
        None => Standing::AsEnqueued,
        Some(row) => Standing::Changed(Box::new(row_from(*row, workers)?)),
    })
}

fn row_message(row: &JobRow, workers: &mut Workers) -> RowMessage {
    let hold = row.hold.as_ref().map(|hold| HoldMessage {
        token: hold.token.get(),
        worker: workers.number(&hold.worker),
        claimed_at: hold.claimed_at.unix_nanos(),
        expires_after: between(hold.claimed_at, hold.expires_at),
    });
    let keep = row.keep.as_ref().map(|keep| KeepMessage {
        reason: keep.reason.clone(),
        at: keep.at.unix_nanos(),
    });
    let history = row.history.iter();
    RowMessage {
        state: place(&STATES, &row.state),
        attempt: row.attempt,
        claim: row.claim,
        available_at: row.available_at.map(Timestamp::unix_nanos),
        finished_at: row.finished_at.map(Timestamp::unix_nanos),
        stop: match row.stop_requested {
            None => 0,
            Some(StopRequest::Cancel) => 1,
            Some(StopRequest::Discard) => 2,
        },
        hold,
        progress: row.progress.map(u32::from),
        checkpoint: row.checkpoint.clone(),
        result: row.result.clone(),
        result_token: row.result_token,
        keep,
        history: history
            .map(|record| attempt_message(record, workers))
            .collect(),
        max_attempts: row.max_attempts,
        replaced: row.replaced.as_ref().map(|replaced| {
            Box::new(ReplacedMessage {
                args: replaced.args.clone(),
                args_token: replaced.args_token,
                hash: replaced.hash,
                priority: replaced.priority.get().into(),
                first_available_at: replaced.first_available_at.unix_nanos(),
            })
        }),
    }
}

fn row_from(message: RowMessage, workers: &Workers) -> Result<JobRow, FormatError> {
    let damaged = |what: &str| FormatError::damaged(format!("a row has no {what}"));
    let hold = message.hold.map(|hold| hold_from(&hold, workers));
    let progress = message.progress.map(u8::try_from).transpose();
    let history = message.history.into_iter();
    let history = history.map(|attempt| attempt_from(attempt, workers));
    let keep = message.keep.map(|keep| Keep {
        reason: keep.reason,
        at: Timestamp::from_unix_nanos(keep.at),
    });
    let replaced = message.replaced.map(|replaced| replaced_from(*replaced));
    Ok(JobRow {
        state: at(&STATES, message.state, "state")?,
        attempt: message.attempt,
        claim: message.claim,
        max_attempts: message.max_attempts,
        available_at: message.available_at.map(Timestamp::from_unix_nanos),
        finished_at: message.finished_at.map(Timestamp::from_unix_nanos),
        stop_requested: match message.stop {
            0 => None,
            1 => Some(StopRequest::Cancel),
            2 => Some(StopRequest::Discard),
            _ => return Err(damaged("request to stop that is known")),
        },
        hold: hold.transpose()?,
        progress: progress.map_err(|_ignored| damaged("progress"))?,
        checkpoint: message.checkpoint,
        result: message.result,
        result_token: message.result_token,
        keep,
        history: history.collect::<Result<_, _>>()?,
        replaced: replaced.transpose()?,
    })
}

fn hold_from(message: &HoldMessage, workers: &Workers) -> Result<Hold, FormatError> {
    let claimed_at = Timestamp::from_unix_nanos(message.claimed_at);
    Ok(Hold {
        // Tokens have 63 bits.
        token: LeaseToken::from_bits(message.token.cast_unsigned() << 1),
        worker: workers.of(message.worker)?,
        claimed_at,
        expires_at: after(claimed_at, message.expires_after),
    })
}

fn replaced_from(message: ReplacedMessage) -> Result<Replaced, FormatError> {
    let priority = u8::try_from(message.priority).ok();
    let priority = priority.and_then(|priority| priority.try_into().ok());
    Ok(Replaced {
        args: message.args,
        args_token: message.args_token,
        hash: message.hash,
        priority: priority.ok_or_else(|| FormatError::damaged("a row has no priority"))?,
        first_available_at: Timestamp::from_unix_nanos(message.first_available_at),
    })
}

fn attempt_message(record: &AttemptRecord, workers: &mut Workers) -> AttemptMessage {
    let trace_id = record.trace_id.map(TraceId::to_bytes);
    let trace_id = trace_id.map(|bytes| Bytes::copy_from_slice(&bytes));
    AttemptMessage {
        attempt: record.attempt,
        claim: record.claim,
        worker: workers.number(&record.worker),
        due_at: record.due_at.unix_nanos(),
        claimed_after: between(record.due_at, record.claimed_at),
        ended_after: between(record.claimed_at, record.ended_at),
        outcome: place(&OUTCOMES, &record.outcome),
        error: record.error.as_ref().map(|error| ErrorMessage {
            class: error.class.clone().into_owned(),
            message: error.message.clone(),
        }),
        trace_id: trace_id.unwrap_or_default(),
        // No span has the id 0.
        span_id: record.span_id.map_or(0, SpanId::to_u64),
    }
}

fn attempt_from(message: AttemptMessage, workers: &Workers) -> Result<AttemptRecord, FormatError> {
    let due_at = Timestamp::from_unix_nanos(message.due_at);
    let claimed_at = after(due_at, message.claimed_after);
    let trace_id = match message.trace_id.is_empty() {
        true => None,
        false => {
            let bytes = message.trace_id.as_ref().try_into().ok();
            let id = bytes.and_then(TraceId::from_bytes);
            Some(id.ok_or_else(|| FormatError::damaged("an attempt has no trace"))?)
        }
    };
    Ok(AttemptRecord {
        attempt: message.attempt,
        claim: message.claim,
        worker: workers.of(message.worker)?,
        due_at,
        claimed_at,
        ended_at: after(claimed_at, message.ended_after),
        outcome: at(&OUTCOMES, message.outcome, "outcome")?,
        error: message.error.map(|error| AttemptError {
            class: error.class.into(),
            message: error.message,
        }),
        trace_id,
        span_id: (message.span_id != 0).then(|| SpanId::from_u64(message.span_id)),
    })
}
