//! How objects begin, and what is said of one that cannot be read.
//!
//! An object is a line of text, `longshore NAME VERSION`, and a protobuf message after it, so that
//! a person who looks at one sees what it is, and old and new programs tell each other's apart.

use bytes::{BufMut as _, Bytes, BytesMut};
use longshore_core::{ErrorKind, StoreError};
use prost::Message;

/// A kind of object that has a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What it is called in the first line.
    pub name: &'static str,
    /// The version that this program writes. It reads all before it.
    pub version: u32,
    /// Most bytes, the first line included.
    pub most_bytes: usize,
}

impl Format {
    /// A batch of jobs. Jobs of one batch share 1 MiB; the args of a single one may be longer as
    /// long as they are not put into an object of their own.
    pub const BATCH: Self = Self::new("batch", 4 << 20);
    /// What became of a batch's jobs, with results, checkpoints and the jobs themselves.
    pub const LEDGER: Self = Self::new("ledger", 64 << 20);
    /// A unique key or a chosen id, with its whole job.
    pub const RESERVATION: Self = Self::new("reservation", 4 << 20);

    /// When the store was swept.
    pub const SWEEP: Self = Self::new("sweep", 4 << 10);
    /// The list of queues.
    pub const QUEUES: Self = Self::new("queues", 32 << 20);
    /// A document, with its body of up to 256 KiB.
    pub const DOCUMENT: Self = Self::new("document", 1 << 20);
    /// What the store is.
    pub const ROOT: Self = Self::new("root", 1 << 10);

    const fn new(name: &'static str, most_bytes: usize) -> Self {
        Self {
            name,
            version: 1,
            most_bytes,
        }
    }

    /// The object with this content.
    pub(crate) fn seal(self, message: &impl Message) -> Result<Bytes, FormatError> {
        let first = format!("longshore {} {}\n", self.name, self.version);
        let has = first.len() + message.encoded_len();
        if has > self.most_bytes {
            let most = self.most_bytes;
            return Err(FormatError::TooLong { has, most });
        }
        let mut bytes = BytesMut::with_capacity(has);
        bytes.put_slice(first.as_bytes());
        message
            .encode(&mut bytes)
            .map_err(|error| FormatError::Damaged(error.to_string()))?;
        Ok(bytes.freeze())
    }

    /// The content of an object. Bytes in it are parts of `bytes`, not copies.
    pub(crate) fn open<M: Message + Default>(self, bytes: &Bytes) -> Result<M, FormatError> {
        let (has, most) = (bytes.len(), self.most_bytes);
        if has > most {
            return Err(FormatError::TooLong { has, most });
        }
        let start = bytes.get(..64).unwrap_or(bytes);
        let end = start.iter().position(|byte| *byte == b'\n');
        let first = end.and_then(|end| std::str::from_utf8(start.get(..end)?).ok());
        let other = || FormatError::Other(self.name);
        let (end, first) = end.zip(first).ok_or_else(other)?;
        let words: Vec<&str> = first.split(' ').collect();
        let ["longshore", name, version] = words.as_slice() else {
            return Err(other());
        };
        let version: u32 = version.parse().map_err(|_ignored| other())?;
        if *name != self.name || version == 0 {
            return Err(other());
        }
        if version > self.version {
            let known = self.version;
            return Err(FormatError::Newer { version, known });
        }
        let content = bytes.slice(end + 1..);
        M::decode(content).map_err(|error| FormatError::Damaged(error.to_string()))
    }
}

/// Why an object cannot be read or written. It is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It does not begin as it should: something else wrote it.
    #[error("it is not a Longshore {0}")]
    Other(&'static str),
    /// A newer program wrote it.
    #[error("it has version {version}, and this program knows {known} and those before it")]
    Newer {
        /// The version it has.
        version: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// It takes too many bytes.
    #[error("it takes {has} bytes, more than the {most} allowed")]
    TooLong {
        /// How many it takes.
        has: usize,
        /// How many are allowed.
        most: usize,
    },
    /// Its content contradicts itself, or is cut off.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl FormatError {
    /// The error of something that cannot be.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// The error as the caller of the store has it, with the key of the object.
    #[must_use]
    pub fn of(self, key: &crate::Key) -> StoreError {
        let (kind, remedy) = match self {
            Self::Newer { .. } => (
                ErrorKind::Invalid,
                "bring every program that uses this store up to date",
            ),
            Self::TooLong { .. } => (
                ErrorKind::Invalid,
                "enqueue fewer or smaller jobs in one call",
            ),
            Self::Other(_) | Self::Damaged(_) => {
                (ErrorKind::Corrupt, "restore the object from a backup")
            }
        };
        StoreError::new(
            kind,
            format!("the object `{key}` cannot be used: {self}; {remedy}"),
        )
        .with_source(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Word {
        #[prost(string, tag = "1")]
        word: String,
    }

    fn word(text: &str) -> Word {
        let word = text.to_owned();
        Word { word }
    }

    #[test]
    fn an_object_says_what_it_is() {
        let bytes = Format::BATCH.seal(&word("here")).unwrap();
        assert!(bytes.starts_with(b"longshore batch 1\n"));
        assert_eq!(Format::BATCH.open::<Word>(&bytes), Ok(word("here")));
        let error = Format::LEDGER.open::<Word>(&bytes).unwrap_err();
        assert_eq!(error, FormatError::Other("ledger"));
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let bytes = Bytes::from_static(b"longshore batch 2\n\xff\xff");
        let error = Format::BATCH.open::<Word>(&bytes).unwrap_err();
        let (version, known) = (2, 1);
        assert_eq!(error, FormatError::Newer { version, known });
        let told = error.of(&crate::Key::Root);
        assert_eq!(told.kind(), ErrorKind::Invalid);
        assert!(told.to_string().contains("up to date"), "{told}");
    }

    #[test]
    fn anything_else_is_damaged() {
        for wrong in [
            "",
            "\n",
            "longshore batch 1",
            "longshore batch 0\n",
            "longshore batch 1 \n",
            "longshore batch x\n",
            "longshore  batch 1\n",
        ] {
            let error = Format::BATCH.open::<Word>(&Bytes::from(wrong)).unwrap_err();
            assert_eq!(error, FormatError::Other("batch"), "{wrong:?}");
        }
        let cut = Bytes::from_static(b"longshore batch 1\n\x0a\x05he");
        let error = Format::BATCH.open::<Word>(&cut).unwrap_err();
        assert!(matches!(error, FormatError::Damaged(_)), "{error}");
        assert_eq!(error.of(&crate::Key::Root).kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_object_is_bounded() {
        let long = word(&"x".repeat(5 << 20));
        let error = Format::BATCH.seal(&long).unwrap_err();
        assert!(matches!(error, FormatError::TooLong { .. }), "{error}");
    }
}
