//! What can go wrong, named by what the caller can do about it.

use longshore_spanlog::LogError;

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum TraceStoreError {
    /// A folder or file cannot be read. Asking again is safe.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The folder of sealed files cannot be read or written. Asking again is safe.
    #[error("the folder of sealed traces cannot be read or written")]
    Sealed {
        /// What the system said.
        source: std::io::Error,
    },
    /// Log files could not be sealed. They stay as they are, and the next turn tries again; free
    /// room if the disk is full.
    #[error("traces cannot be sealed into {}", folder.display())]
    Seal {
        /// Where to.
        folder: std::path::PathBuf,
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What should be a sealed file is none, or cannot be read.
    #[error("it is no file of sealed traces, or cannot be read")]
    Foreign {
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A cursor that this store did not give.
    #[error("`{0}` is no cursor of this listing; begin again without one")]
    Cursor(String),
}
