//! Beats, settles and rescues.

use longshore_core::transition::Ending;
use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{
    AttemptError, Beat, BeatAnswer, ErrorKind, Outcome, Rescued, Settled, Settlement, StoreError,
    Timestamp,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, time};
use crate::call::Call;
use crate::{contract, enqueue, envelope, micros, row};

/// The call for beats.
pub(crate) fn beats(beats: &[Beat]) -> Call {
    let mut call = Call::new(&contract::HEARTBEAT);
    call.of(beats.len());
    for beat in beats {
        let progress = beat.progress.map(|progress| progress.to_string());
        call.text(beat.job_id.as_str())
            .number(beat.token.get())
            .number(micros::lasting(beat.extend_by))
            .some(progress.as_deref())
            .optional(beat.checkpoint.as_ref());
    }
    call
}

pub(crate) fn read_beats(answer: Value) -> Result<Vec<BeatAnswer>, StoreError> {
    let beat = |answer| {
        let mut parts = array(answer)?.into_iter();
        let mut part = || parts.next().unwrap_or_default();
        match &bytes(part())?[..] {
            b"held" => Ok(BeatAnswer::Held(time(part())?)),
            b"stop" => Ok(BeatAnswer::CancelRequested(time(part())?)),
            b"lost" => Ok(BeatAnswer::Lost),
            other => Err(corrupt("answer to a beat", String::from_utf8_lossy(other))),
        }
    };
    array(answer)?.into_iter().map(beat).collect()
}

/// The call for those of the settles that keep to every bound, and of each what is wrong with it.
pub(crate) fn settles(
    settlements: &[Settlement],
) -> Result<(Call, Vec<Option<StoreError>>), StoreError> {
    let problems: Vec<Option<StoreError>> = settlements
        .iter()
        .map(|settlement| settlement.validate().err())
        .collect();
    let sound = || {
        let each = settlements.iter().zip(&problems);
        each.filter(|(_, problem)| problem.is_none())
            .map(|(settlement, _)| settlement)
    };
    let mut call = Call::new(&contract::SETTLE);
    call.of(sound().count());
    for settlement in sound() {
        settle(&mut call, settlement)?;
    }
    Ok((call, problems))
}

fn settle(call: &mut Call, settlement: &Settlement) -> Result<(), StoreError> {
    let (code, due, error, result) = match &settlement.outcome {
        Outcome::Complete { result } => (1, None, None, result.as_ref()),
        Outcome::Retry {
            available_at,
            error,
        } => (2, Some(*available_at), Some(error), None),
        Outcome::NotYet {
            available_at,
            error,
        } => (3, Some(*available_at), Some(error), None),
        Outcome::Snooze { available_at } => (4, Some(*available_at), None, None),
        Outcome::Cancel { error } => (5, None, error.as_ref(), None),
        Outcome::Discard { error } => (6, None, Some(error), None),
        Outcome::HandBack => (7, None, None, None),
    };
    let due = due.map(|due| micros::not_before(due).to_string());
    let error = error.map(write_error).transpose()?;
    let keep = settlement.keep.as_ref().map(envelope::write_keep);
    call.text(settlement.job_id.as_str())
        .number(settlement.token.get())
        .number(code)
        .some(due.as_deref())
        .some(error.as_deref())
        .some(keep.as_deref())
        .text(&row::write_span(settlement.span))
        .optional(result)
        .count(settlement.follow_ups.len());
    for follow_up in &settlement.follow_ups {
        enqueue::add(call, follow_up)?;
    }
    Ok(())
}

pub(crate) fn write_error(error: &AttemptError) -> Result<String, StoreError> {
    serde_json::to_string(error).map_err(|error| {
        let message = format!("an error could not be written as JSON: {error}");
        StoreError::new(ErrorKind::Internal, message)
    })
}

/// The answer to each settle, those that were refused before among them.
pub(crate) fn read_settles(
    answer: Value,
    settlements: &[Settlement],
    problems: Vec<Option<StoreError>>,
    now: Timestamp,
) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
    let mut answers = array(answer)?.into_iter();
    settlements
        .iter()
        .zip(problems)
        .map(|(settlement, problem)| match problem {
            Some(problem) => Ok(Err(problem)),
            None => one(answers.next().unwrap_or_default(), settlement, now),
        })
        .collect()
}

fn one(
    answer: Value,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Result<Settled, StoreError>, StoreError> {
    let mut parts = array(answer)?.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    match &bytes(part())?[..] {
        b"settled" => {
            let state = row::state(part())?;
            Ok(Ok(Settled { state, at: now }))
        }
        b"lost" => Ok(Err(StoreError::lease_lost(&settlement.job_id))),
        other => Err(corrupt(
            "answer to a settle",
            String::from_utf8_lossy(other),
        )),
    }
}

/// The call that takes back expired leases.
pub(crate) fn rescue(limit: usize) -> Result<Call, StoreError> {
    // Why an attempt was lost is said in one place for all stores.
    let ending = Ending::of_lost(0, 1, None, Timestamp::UNIX_EPOCH);
    let error = ending.error.as_ref().map(write_error).transpose()?;
    let mut call = Call::new(&contract::RESCUE);
    call.count(limit).some(error.as_deref()).text(LEASE_EXPIRED);
    Ok(call)
}

pub(crate) fn read_rescued(answer: Value) -> Result<Vec<Rescued>, StoreError> {
    let missing = || corrupt("rescued job", "the record of its attempt is missing");
    array(answer)?
        .into_iter()
        .map(|value| {
            let job = row::read(value, false)?.ok_or_else(missing)?.job;
            let lost = job.last_attempt().cloned().ok_or_else(missing)?;
            Ok(Rescued { job, lost })
        })
        .collect()
}
