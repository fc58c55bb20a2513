//! What is remembered of the last sweep, so that processes take turns.

use bytes::Bytes;
use longshore_core::Timestamp;

use crate::format::{Format, FormatError};
use crate::message::SweepMessage;

/// The last sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Random at every write, so that no two versions are equal.
    pub writer: u64,
    /// When it began, by the server's clock.
    pub at: Timestamp,
    /// After which args the next one goes on; empty for the first.
    pub args: String,
    /// After which result the next one goes on; empty for the first.
    pub results: String,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            writer: 0,
            at: Timestamp::UNIX_EPOCH,
            args: String::new(),
            results: String::new(),
        }
    }
}

impl Sweep {
    /// The object.
    ///
    /// # Errors
    /// Never, as it is short.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::SWEEP.seal(&SweepMessage {
            writer: self.writer,
            at: self.at.unix_nanos(),
            args: self.args.clone(),
            results: self.results.clone(),
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        let message: SweepMessage = Format::SWEEP.open(bytes)?;
        Ok(Self {
            writer: message.writer,
            at: Timestamp::from_unix_nanos(message.at),
            args: message.args,
            results: message.results,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_read_as_written() {
        let sweep = Sweep {
            writer: 7,
            at: Timestamp::from_unix_millis(5),
            args: "p/one".to_owned(),
            results: String::new(),
        };
        assert_eq!(Sweep::decode(&sweep.encode().unwrap()), Ok(sweep));
    }
}
