//! Beats, settles and rescues.

use bytes::Bytes;
use longshore_core::transition::Ending;
use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{
    AttemptError, Beat, BeatAnswer, ErrorKind, Outcome, Rescued, Settled, Settlement, StoreError,
    Timestamp,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, time};
use crate::call::Call;
use crate::enqueue::{MOST_BYTES, MOST_JOBS};
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

/// The settles, in as few parts as one call each may be: nobody else is served meanwhile.
pub(crate) fn parts(settlements: &[Settlement]) -> Vec<&[Settlement]> {
    let bytes = |settlement: &Settlement| {
        let result = match &settlement.outcome {
            Outcome::Complete { result } => result.as_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        let follow_ups = settlement.follow_ups.iter();
        result + follow_ups.map(|new| new.args.len()).sum::<usize>()
    };
    let mut parts = Vec::new();
    let (mut rest, mut size, mut count) = (settlements, 0, 0);
    for settlement in settlements {
        let has = bytes(settlement);
        if count == MOST_JOBS || (count > 0 && size + has > MOST_BYTES) {
            let (part, others) = rest.split_at(count);
            parts.push(part);
            (rest, size, count) = (others, 0, 0);
        }
        size += has;
        count += 1;
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
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

#[cfg(test)]
mod tests {
    use longshore_core::{LeaseToken, NewJob};

    use super::*;

    /// A settle with a job that follows, whose args have so many bytes.
    fn settle_with(args: usize) -> Settlement {
        let queue = "q".parse().unwrap();
        let follow_up = NewJob::new("next".parse().unwrap(), queue, "k".parse().unwrap(), {
            vec![b' '; args]
        });
        Settlement {
            job_id: "job".parse().unwrap(),
            token: LeaseToken::from_bits(1),
            outcome: Outcome::Complete { result: None },
            follow_ups: vec![follow_up],
            keep: None,
            span: None,
        }
    }

    #[test]
    fn a_call_takes_so_many_settles_and_so_many_bytes() {
        let lengths = |settlements: &[Settlement]| -> Vec<usize> {
            parts(settlements).iter().map(|part| part.len()).collect()
        };
        assert!(lengths(&[]).is_empty());
        let small = vec![settle_with(0); MOST_JOBS + 1];
        assert_eq!(lengths(&small), [MOST_JOBS, 1]);
        let third = MOST_BYTES / 3;
        assert_eq!(lengths(&vec![settle_with(third); 7]), [3, 3, 1]);
        // One that is too large for any call goes alone.
        let large = [settle_with(0), settle_with(MOST_BYTES + 1), settle_with(0)];
        assert_eq!(lengths(&large), [1, 1, 1]);
    }
}
