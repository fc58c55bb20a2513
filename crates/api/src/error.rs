//! Why a question was not answered.

use longshore_core::{ErrorKind, StoreError};
use serde::{Deserialize, Serialize};

/// Why a call did not do what it should, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "error", content = "message", rename_all = "snake_case")]
pub enum ApiError {
    /// What was asked is wrong: it says what, where, and how to mend it.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things stand, such as cancelling a job that is over.
    #[error("{0}")]
    Conflict(String),
    /// A limit has no room for it now, and nothing was done: ask later.
    #[error("{0}")]
    Limited(String),
    /// Who asked may not: no token, a wrong one, or one for reading alone.
    #[error("{0}")]
    Forbidden(String),
    /// The store or the daemon does not answer now. Of a change nobody knows whether it was made:
    /// whether it may be asked for again is said of each. A job that is enqueued again needs an
    /// `id` or a `unique_key`, or there may be two.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of the program.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::Invalid(message),
            ErrorKind::Conflict | ErrorKind::LeaseLost => Self::Conflict(message),
            ErrorKind::Limited => Self::Limited(message),
            ErrorKind::Unavailable => Self::Unavailable(message),
            _ => Self::Internal(message),
        }
    }
}
