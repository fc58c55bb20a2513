//! What can be wrong with a URL.

/// A URL, or a variable of the environment, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` cannot be used: {what}")]
pub struct BucketError {
    /// The URL, without parameters, which may be secrets.
    pub url: String,
    /// What is wrong, and how to mend it.
    pub what: String,
}
