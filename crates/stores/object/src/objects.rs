//! The requests that a store sends, and what their answers can mean.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{ErrorKind, StoreError, Timestamp};

use crate::server_clock::Bounds;

/// Tells the versions of an object apart, as the server does: an ETag, a generation, or both. Only
/// for [`Objects::replace`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The ETag.
    pub e_tag: Option<String>,
    /// The generation, where the server has such numbers.
    pub number: Option<String>,
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// Its version.
    pub version: Version,
    /// When the server says it was written.
    pub modified: Timestamp,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key below the store's prefix.
    pub key: String,
    /// When the server says it was written.
    pub modified: Timestamp,
    /// Its ETag, if the listing has one: what was read under the same one need not be read again.
    pub e_tag: Option<String>,
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It landed, and made this version.
    Landed(Version),
    /// The server refused it: the object is there, or is another version. A library that repeats a
    /// request after a 5xx may be refused because of its own first try.
    Refused,
    /// No answer came, or none that says anything: it may have landed, may land later, or never.
    Unknown,
}

/// A bucket, below a prefix. The server's conditions hold: a create lands only where nothing is, a
/// replace only on the version that was read.
#[async_trait]
pub trait Objects: fmt::Debug + Send + Sync {
    /// `db.system.name` or the like, such as `aws.s3`.
    fn system(&self) -> &'static str;

    /// The bucket and prefix, without secrets.
    fn location(&self) -> String;

    /// The server's time, as far as answers so far tell. Before the first one, anything.
    fn bounds(&self) -> Bounds;

    /// The object with this key.
    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError>;

    /// Writes an object where none is.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError>;

    /// Replaces the version that was read.
    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError>;

    /// Deletes an object, whatever its version; one that is not there is deleted.
    async fn delete(&self, key: &str) -> Result<(), RequestError>;

    /// Objects whose keys begin with `prefix`, come after `after` and before `end`, in the order of
    /// the keys' bytes; at most `limit`.
    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError>;
}

/// Which keys a listing has.
#[derive(Clone, Copy, Debug)]
pub struct Range<'r> {
    /// How they begin.
    pub prefix: &'r str,
    /// After which one they come.
    pub after: Option<&'r str>,
    /// Before which one they come.
    pub end: Option<&'r str>,
    /// At most how many.
    pub limit: usize,
}

/// A request that failed, and of which it is known that it changed nothing or is a read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server cannot be reached, is overloaded or broken. Try again later.
    #[error("the object storage at {location} did not answer: {message}")]
    Unavailable {
        /// Where.
        location: String,
        /// What was said.
        message: String,
    },
    /// The server refuses the request: no such bucket, no permission, a condition it does not know.
    #[error("the object storage at {location} refuses the request: {message}")]
    Refused {
        /// Where.
        location: String,
        /// What was said, and how to mend it.
        message: String,
    },
}

impl From<RequestError> for StoreError {
    fn from(error: RequestError) -> Self {
        let kind = match &error {
            RequestError::Unavailable { .. } => ErrorKind::Unavailable,
            RequestError::Refused { .. } => ErrorKind::Invalid,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
