//! What can go wrong, named by what the caller can do about it.

use longshore_spanlog::LogError;

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum TraceStoreError {
    /// A folder or file cannot be read. Asking again is safe.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A cursor that this store did not give.
    #[error("`{0}` is no cursor of this listing; begin again without one")]
    Cursor(String),
}
