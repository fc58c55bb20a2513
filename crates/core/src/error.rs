//! Errors, named by what the caller must do.

use std::error::Error as StdError;
use std::fmt;

/// What the caller of a store must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Someone else changed it, or has it: look again, then decide.
    Conflict,
    /// Stop working on the job; someone else has it now.
    LeaseLost,
    /// A limit has no room for it now: send it later. Nothing was stored by this call.
    Limited,
    /// Try again later. After a write the outcome is unknown, and repeating the same call is safe.
    Unavailable,
    /// Mend the call; repeating it will not help.
    Invalid,
    /// The stored data cannot be read: repair or restore it.
    Corrupt,
    /// A bug in Longshore: report it.
    Internal,
}

impl ErrorKind {
    /// The kind as text; the value of `error.type` on a storage span.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::LeaseLost => "lease_lost",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// An error of a store.
#[derive(Debug)]
pub struct StoreError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind. The message says what was wrong, where, and how to mend it.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// This error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error of a settle or beat whose lease is gone.
    #[must_use]
    pub fn lease_lost(job_id: &crate::JobId) -> Self {
        Self::new(
            ErrorKind::LeaseLost,
            format!("the lease on job {job_id} is lost"),
        )
    }

    /// The error of naming a job that does not exist.
    #[must_use]
    pub fn not_found(job_id: &crate::JobId) -> Self {
        Self::new(
            ErrorKind::Invalid,
            format!("there is no job {job_id} in this store"),
        )
    }

    /// What the caller must do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<crate::new_job::InvalidNewJob> for StoreError {
    fn from(error: crate::new_job::InvalidNewJob) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}
