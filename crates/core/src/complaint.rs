//! What is wrong where a store lies, and what mends it: what the examinations of stores find.

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It costs more time or money than it need, may be trouble one day, or may cost the last moment
    /// before a crash.
    Warning,
    /// Acknowledged jobs may be lost, or cannot be worked on.
    Problem,
}

/// Something that is wrong with the server, the bucket or the tables of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, and what comes of it.
    pub message: String,
    /// What mends it: a command for a shell where there is one.
    pub remedy: String,
}

impl Complaint {
    /// A complaint and what mends it.
    pub fn new(severity: Severity, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}
