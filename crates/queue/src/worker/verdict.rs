//! From how a handler ended to how its attempt is settled: a pure decision.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{AttemptError, Job, Outcome, Random, RetryPolicy, Timestamp};

use crate::attempt::StopReason;
use crate::error::{JobError, Verdict};

/// How a handler ended.
#[derive(Debug)]
pub(crate) enum HandlerEnd {
    /// It returned.
    Returned(Result<Option<Bytes>, JobError>),
    /// It panicked with this message.
    Panicked(String),
    /// It took too long.
    TimedOut(Duration),
    /// It was asked to stop and did not return in time.
    Dropped,
    /// No handler is registered for the job's kind.
    Unknown,
}

/// How an attempt is to be settled.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The outcome for the store.
    pub(crate) outcome: Outcome,
    /// Until the job runs again, if it waits.
    pub(crate) delay: Option<Duration>,
}

/// What decides, besides how the handler ended.
pub(crate) struct Circumstances<'a> {
    pub(crate) job: &'a Job,
    pub(crate) policy: &'a RetryPolicy,
    pub(crate) random: &'a dyn Random,
    pub(crate) stop: Option<StopReason>,
    pub(crate) now: Timestamp,
}

impl Circumstances<'_> {
    /// Decides how to settle.
    pub(crate) fn decide(&self, end: HandlerEnd) -> Decision {
        match end {
            HandlerEnd::Returned(Ok(result)) => self.complete(result),
            HandlerEnd::TimedOut(limit) => self.retry(AttemptError::new(
                "timeout",
                format!("the attempt took longer than its timeout of {limit:?}"),
            )),
            HandlerEnd::Panicked(message) => self.retry(AttemptError::new("panic", message)),
            HandlerEnd::Unknown => self.retry(AttemptError::new(
                "unknown_kind",
                format!(
                    "no handler is registered for the kind `{}`: register it with the worker, or start a worker that has it",
                    self.job.kind
                ),
            )),
            HandlerEnd::Dropped => self.stopped(None),
            HandlerEnd::Returned(Err(error)) if self.stop.is_some() => self.stopped(Some(error)),
            HandlerEnd::Returned(Err(JobError(verdict))) => self.judge(verdict),
        }
    }

    fn complete(&self, result: Option<Bytes>) -> Decision {
        let bytes = result.as_ref().map_or(0, Bytes::len);
        if let Some(problem) = Job::problem_of_result(bytes) {
            let error = AttemptError::new("result_too_large", format!("the result {problem}"));
            return plain(Outcome::Discard { error });
        }
        plain(Outcome::Complete { result })
    }

    /// The handler was asked to stop and did not succeed.
    fn stopped(&self, error: Option<JobError>) -> Decision {
        if self.stop == Some(StopReason::Cancel) {
            let error = match error {
                Some(JobError(Verdict::Cancel(error))) => error,
                _ => None,
            };
            return plain(Outcome::Cancel { error });
        }
        plain(Outcome::HandBack)
    }

    fn judge(&self, verdict: Verdict) -> Decision {
        match verdict {
            Verdict::Retry(error) => self.retry(error),
            Verdict::RetryAfter(wait, error) if self.job.attempt < self.job.max_attempts => {
                self.retry_in(wait, error)
            }
            Verdict::NotYet(error) => self.not_yet(error),
            Verdict::RetryAfter(_, error) | Verdict::Discard(error) => {
                plain(Outcome::Discard { error })
            }
            Verdict::Cancel(error) => plain(Outcome::Cancel { error }),
            Verdict::Snooze(wait) => Decision {
                outcome: Outcome::Snooze {
                    available_at: self.now.after(wait),
                },
                delay: Some(wait),
            },
        }
    }

    fn retry(&self, error: AttemptError) -> Decision {
        let (attempt, most) = (self.job.attempt, self.job.max_attempts);
        match self.policy.wait(attempt, most, &error, self.random) {
            Some(wait) => self.retry_in(wait, error),
            None => plain(Outcome::Discard { error }),
        }
    }

    fn not_yet(&self, error: AttemptError) -> Decision {
        let mut decision = self.retry(error);
        if let Outcome::Retry {
            available_at,
            error,
        } = decision.outcome
        {
            decision.outcome = Outcome::NotYet {
                available_at,
                error,
            };
        }
        decision
    }

    fn retry_in(&self, wait: Duration, error: AttemptError) -> Decision {
        Decision {
            outcome: Outcome::Retry {
                available_at: self.now.after(wait),
                error,
            },
            delay: Some(wait),
        }
    }
}

pub(crate) fn plain(outcome: Outcome) -> Decision {
    Decision {
        outcome,
        delay: None,
    }
}
