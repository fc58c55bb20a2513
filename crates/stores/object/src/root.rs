//! The root: what the store is. Written once, by the first program that opens the store.

use bytes::Bytes;

use crate::format::{Format, FormatError};
use crate::message::RootMessage;
use crate::minted_id::StoreMark;

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Tells its ids from those of other stores.
    pub mark: StoreMark,
    /// Random.
    pub writer: u64,
}

impl Root {
    /// The object.
    ///
    /// # Errors
    /// Never, as it is short.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::ROOT.seal(&RootMessage {
            mark: self.mark.get(),
            writer: self.writer,
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        let message: RootMessage = Format::ROOT.open(bytes)?;
        Ok(Self {
            mark: StoreMark::from_bits(message.mark),
            writer: message.writer,
        })
    }
}
