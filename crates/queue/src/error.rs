//! What a handler may say when it does not succeed.

use std::any::TypeId;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use longshore_core::AttemptError;

/// Why a handler ends without success, and what should follow.
///
/// Any error converts into a retry by the worker's policy, so `?` works on all of them; its class
/// is the name of its type. Say more where you know more:
///
/// ```
/// use longshore_queue::JobError;
/// # fn charge(status: u16) -> Result<(), JobError> {
/// match status {
///     200 => Ok(()),
///     429 => Err(JobError::retry_after(std::time::Duration::from_secs(30), "rate_limited", "the bank is busy")),
///     422 => Err(JobError::discard("card_refused", "the card was refused")),
///     _ => Err(JobError::retry("bank_error", format!("the bank answered {status}"))),
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct JobError(pub(crate) Verdict);

/// What should follow an attempt that did not succeed.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It failed; the policy decides when it runs again.
    Retry(AttemptError),
    /// It failed; run it again after this long, if attempts are left.
    RetryAfter(Duration, AttemptError),
    /// What it needs is not there yet; the policy decides when it runs again.
    NotYet(AttemptError),
    /// It failed for good.
    Discard(AttemptError),
    /// Give it up; not a failure.
    Cancel(Option<AttemptError>),
    /// Run it later; the attempt does not count.
    Snooze(Duration),
}

impl JobError {
    /// Run it again when the retry policy says.
    ///
    /// `class` is a low-cardinality word: it becomes `error.type` in telemetry. The message stays
    /// in the store.
    #[must_use]
    pub fn retry(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Verdict::Retry(AttemptError::new(class, message)))
    }

    /// Run it again after this long, if attempts are left.
    #[must_use]
    pub fn retry_after(
        wait: Duration,
        class: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Verdict::RetryAfter(wait, AttemptError::new(class, message)))
    }

    /// What the handler needs is not there yet: run it again when the retry policy says, without
    /// this attempt being an error. It counts all the same: after the last one the job is
    /// discarded, and that is an error of this class. To wait without counting,
    /// [`snooze`](Self::snooze).
    ///
    /// ```
    /// # use longshore_queue::JobError;
    /// # fn read(replica: u64, wanted: u64) -> Result<(), JobError> {
    /// if replica < wanted {
    ///     return Err(JobError::not_yet("replica_behind", "the order is not in the replica yet"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn not_yet(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Verdict::NotYet(AttemptError::new(class, message)))
    }

    /// Never run it again; it failed.
    #[must_use]
    pub fn discard(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Verdict::Discard(AttemptError::new(class, message)))
    }

    /// Never run it again; it is not needed any more.
    #[must_use]
    pub fn cancel(message: impl Into<String>) -> Self {
        let error = AttemptError::new("cancelled", message);
        Self(Verdict::Cancel(Some(error)))
    }

    /// Run it again after this long, without counting the attempt.
    #[must_use]
    pub fn snooze(wait: Duration) -> Self {
        Self(Verdict::Snooze(wait))
    }
}

impl<E: Error> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::retry(class_of(std::any::type_name::<E>()), with_causes(&error))
    }
}

/// The message of an error, and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

/// The error of `tower` layers that may fail for reasons of their own.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The class of a layer's error of which nothing but its message is known.
const OF_A_LAYER: &str = "layer_error";

/// A [`JobError`] on its way through layers.
#[derive(Debug)]
struct Carried(JobError);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Carried {}

/// For layers whose error is a boxed one: what the handler said comes out of them as it was.
impl From<JobError> for BoxError {
    fn from(error: JobError) -> Self {
        Box::new(Carried(error))
    }
}

impl JobError {
    /// The error of a layer: what the handler or another layer said, if it is that.
    pub(crate) fn from_layer<E: Into<BoxError> + 'static>(error: E) -> Self {
        let boxed = TypeId::of::<E>() == TypeId::of::<BoxError>();
        match error.into().downcast::<Carried>() {
            Ok(carried) => carried.0,
            Err(error) if boxed => Self::retry(OF_A_LAYER, with_causes(&*error)),
            Err(error) => Self::retry(class_of(std::any::type_name::<E>()), with_causes(&*error)),
        }
    }
}

/// The last part of a type's path, without its parameters; with the part before it where the
/// last alone would be just `Error`.
fn class_of(type_name: &'static str) -> String {
    let plain = type_name.split('<').next().unwrap_or(type_name);
    let mut parts = plain.rsplit("::").filter(|part| *part != "error");
    let last = parts.next().unwrap_or("Error");
    match parts.next() {
        Some(module) if last == "Error" => format!("{module}::Error"),
        _ => last.to_owned(),
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Verdict::Retry(error)
            | Verdict::RetryAfter(_, error)
            | Verdict::NotYet(error)
            | Verdict::Discard(error) => {
                write!(f, "{}: {}", error.class, error.message)
            }
            Verdict::Cancel(Some(error)) => write!(f, "cancelled: {}", error.message),
            Verdict::Cancel(None) => f.write_str("cancelled"),
            Verdict::Snooze(wait) => write!(f, "snoozed for {wait:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_an_error_is_the_name_of_its_type() {
        let parse = "x".parse::<i32>().unwrap_err();
        let Verdict::Retry(error) = JobError::from(parse).0 else {
            panic!("not a retry");
        };
        assert_eq!(error.class, "ParseIntError");
        assert_eq!(class_of("std::io::error::Error"), "io::Error");
        assert_eq!(class_of("app::Wrapped<app::Inner>"), "Wrapped");
    }
}
