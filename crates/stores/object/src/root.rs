//! The root: what the store is. Written once, by the first program that opens the store.

use bytes::Bytes;
use longshore_core::{Random, Timestamp};

use crate::format::{Format, FormatError};
use crate::message::{ConditionsMessage, RootMessage};
use crate::minted_id::StoreMark;

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Tells its ids from those of other stores.
    pub mark: StoreMark,
    /// Random.
    pub writer: u64,
    /// On which server conditions were found to hold, if that was tried.
    pub conditions: Option<Conditions>,
    /// When it was written, by the server's clock: if the server dates it much later, it is a copy.
    pub written_at: Option<Timestamp>,
}

/// A server whose conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Which one: objects may be copied to another.
    pub server: String,
    /// Whether it wants ETags in conditions without their quotes.
    pub bare_tags: bool,
}

impl Root {
    /// A new one.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let writer = random.next_u64();
        Self {
            // The mark is the lower 24 bits.
            mark: StoreMark::from_bits((writer & 0x00ff_ffff) as u32),
            writer,
            conditions: None,
            written_at: None,
        }
    }

    /// The object.
    ///
    /// # Errors
    /// The server's name is longer than 900 bytes.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::ROOT.seal(&RootMessage {
            mark: self.mark.get(),
            writer: self.writer,
            conditions: self
                .conditions
                .as_ref()
                .map(|conditions| ConditionsMessage {
                    server: conditions.server.clone(),
                    bare_tags: conditions.bare_tags,
                }),
            written_at: self.written_at.map(Timestamp::unix_nanos),
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
            conditions: message.conditions.map(|conditions| Conditions {
                server: conditions.server,
                bare_tags: conditions.bare_tags,
            }),
            written_at: message.written_at.map(Timestamp::from_unix_nanos),
        })
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemRandom;

    use super::*;

    #[test]
    fn a_root_is_read_as_written() {
        let plain = Root::new(&SystemRandom);
        let probed = Root {
            conditions: Some(Conditions {
                server: "https://s3.example.org".to_owned(),
                bare_tags: true,
            }),
            written_at: Some(Timestamp::from_unix_millis(1)),
            ..plain.clone()
        };
        for root in [plain, probed] {
            assert_eq!(Root::decode(&root.encode().unwrap()), Ok(root));
        }
    }
}
