//! A versioned document as an object. A deleted one stays, empty, since servers do not delete under
//! a condition.

use bytes::Bytes;

use crate::format::{Format, FormatError};
use crate::message::DocumentMessage;

/// A document, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Random at every write, so that no two versions are equal.
    pub writer: u64,
    /// Its version; 0 if it was deleted.
    pub version: u64,
    /// Its body.
    pub body: Bytes,
}

impl StoredDocument {
    /// The object.
    ///
    /// # Errors
    /// The body is too long.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::DOCUMENT.seal(&DocumentMessage {
            writer: self.writer,
            version: self.version,
            body: self.body.clone(),
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        let message: DocumentMessage = Format::DOCUMENT.open(bytes)?;
        Ok(Self {
            writer: message.writer,
            version: message.version,
            body: message.body,
        })
    }
}
