//! What can go wrong.

/// What an archive could not do. Asking again is safe, and helps unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The URL, or a variable, cannot be used. Asking again does not help.
    #[error("`{url}` cannot be an archive of traces: {what}; write `s3://BUCKET/PREFIX`")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The object store did not do what it was asked for.
    #[error("the archive {url} could not {what}")]
    Store {
        /// Which one.
        url: String,
        /// What it was asked for.
        what: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// A file of this machine cannot be read or written.
    #[error("`{}` cannot be read or written", path.display())]
    File {
        /// Which one.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An archived file is no sealed file that this version can read. Asking again does not help.
    #[error("the archived file {name} cannot be read")]
    Damaged {
        /// Which one.
        name: String,
        /// What is wrong.
        source: Box<longshore_tracestore::TraceStoreError>,
    },
}
