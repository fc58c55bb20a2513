//! Ids: of jobs and workers, and the W3C ids of traces and spans.
//!
//! The engine's own span ids are *derived* from a job's id and claim counter, so that whoever
//! rescues a job after a crash writes the very ids that the dead worker's children already name
//! as their parent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::clock::Random;
use crate::time::Timestamp;

/// The id of a job: a UUID v7, or text the caller chose, at most 128 printable ASCII characters.
///
/// A store may mint longer ids that name where their jobs lie. An id never changes, and the order
/// of ids is not the order of anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

/// A text that cannot be a job id.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` cannot be a job id: use 1 to 128 printable ASCII characters without spaces")]
pub struct InvalidJobId {
    text: String,
}

impl JobId {
    /// Longest id, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A new UUID v7 of the time `now`.
    #[must_use]
    pub fn generate(now: Timestamp, random: &dyn Random) -> Self {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        let (high, low) = (random.next_u64(), random.next_u64());
        let mut bytes = [0u8; 10];
        for (slot, byte) in bytes
            .iter_mut()
            .zip(high.to_be_bytes().into_iter().chain(low.to_be_bytes()))
        {
            *slot = byte;
        }
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        let mut buffer = uuid::Uuid::encode_buffer();
        Self(Arc::from(&*id.hyphenated().encode_lower(&mut buffer)))
    }

    /// An id made of any text, such as the id that another queue gave a job: what an id cannot
    /// have becomes `_`, and what goes beyond [`Self::MAX_LENGTH`] is cut. Different texts may
    /// give the same id.
    ///
    /// ```
    /// use longshore_core::JobId;
    /// assert_eq!(JobId::lossy("no 7").as_str(), "no_7");
    /// assert_eq!(JobId::lossy("").as_str(), "_");
    /// ```
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let kept = |letter: char| match letter.is_ascii_graphic() {
            true => letter,
            false => '_',
        };
        let id: String = text.chars().take(Self::MAX_LENGTH).map(kept).collect();
        match id.is_empty() {
            true => Self(Arc::from("_")),
            false => Self(Arc::from(id)),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of one of the engine's spans about this job: `part` says which, `claim` of which
    /// claim. Never zero, equal for equal inputs, on every machine and in every version.
    #[must_use]
    pub fn derive_span_id(&self, claim: u32, part: SpanPart) -> SpanId {
        let seed = (u64::from(claim) << 8) | part as u64;
        let hash = xxh3_64_with_seed(self.0.as_bytes(), seed);
        SpanId::from_u64(hash.max(1))
    }

    /// The trace id of a new root for the attempt of this `claim`. The low 56 bits, which
    /// consistent sampling reads, are `randomness` if given.
    #[must_use]
    pub fn derive_trace_id(&self, claim: u32, randomness: Option<u64>) -> TraceId {
        let hash = xxh3_128_with_seed(self.0.as_bytes(), u64::from(claim)).max(1);
        let low = u128::from(TraceId::RANDOMNESS_MASK);
        let id = match randomness {
            Some(bits) => (hash & !low) | (u128::from(bits) & low),
            None => hash,
        };
        TraceId::from_u128(if id == 0 { 1 } else { id })
    }
}

/// Which of the engine's spans about a claim an id is derived for. The numbers are part of the
/// wire format: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SpanPart {
    /// `queue.enqueue` of a single job (with claim 0).
    Enqueue = 1,
    /// `queue.claim`.
    Claim = 2,
    /// `queue.dequeue`, the wait.
    Dequeue = 3,
    /// `job.process`, the attempt.
    Process = 4,
    /// `handler.execution`.
    Handler = 5,
    /// `job.settle`.
    Settle = 6,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !printable {
            return Err(InvalidJobId {
                text: text.chars().take(Self::MAX_LENGTH).collect(),
            });
        }
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for JobId {
    type Error = InvalidJobId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.as_str().to_owned()
    }
}

/// The name of a worker: unique among the workers that live at one time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// A worker id from text, cut at 128 characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let end = text
            .char_indices()
            .nth(128)
            .map_or(text.len(), |(end, _)| end);
        Self(text.get(..end).unwrap_or_default().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes bytes as lower-case hexadecimal digits; every job's `traceparent` comes through here.
fn hex<'a>(bytes: &[u8], digits: &'a mut [u8]) -> &'a str {
    let digit = |nibble: u8| match nibble {
        0..10 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    };
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Reads as many bytes as there is room for, of lower-case digits and nothing else.
fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = <[u8; 2]>::try_from(pair).ok()?;
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(())
}

macro_rules! hex_id {
    ($name:ident, $bytes:literal, $int:ty, $from:ident, $to:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The id made of these bytes, or `None` if all are zero.
            #[must_use]
            pub fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// The id with this number's big-endian bytes. Zero becomes one, since an id of
            /// zeros is invalid.
            #[must_use]
            pub fn $from(number: $int) -> Self {
                Self(number.max(1).to_be_bytes())
            }

            /// The id as a big-endian number.
            #[must_use]
            pub fn $to(self) -> $int {
                <$int>::from_be_bytes(self.0)
            }

            /// The bytes.
            #[must_use]
            pub fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }

            /// Reads lower-case hexadecimal digits, as W3C Trace Context demands.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; $bytes];
                unhex(text, &mut bytes)?;
                Self::from_bytes(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $bytes];
                f.write_str(hex(&self.0, &mut digits))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut digits = [0; 2 * $bytes];
                serializer.serialize_str(hex(&self.0, &mut digits))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_hex(&text)
                    .ok_or_else(|| serde::de::Error::custom("not an id of lower-case hex digits"))
            }
        }
    };
}

hex_id!(
    TraceId,
    16,
    u128,
    from_u128,
    to_u128,
    "The id of a trace: 16 bytes, never all zero; printed as 32 hex digits."
);
hex_id!(
    SpanId,
    8,
    u64,
    from_u64,
    to_u64,
    "The id of a span: 8 bytes, never all zero; printed as 16 hex digits."
);

impl TraceId {
    /// The bits that consistent probability sampling reads (OTEP 235): the low 56.
    pub const RANDOMNESS_MASK: u64 = (1 << 56) - 1;

    /// A random trace id.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self::from_u128((u128::from(random.next_u64()) << 64) | u128::from(random.next_u64()))
    }

    /// The 56 random bits of this id.
    #[must_use]
    pub fn randomness(self) -> u64 {
        u64::try_from(self.to_u128() & u128::from(Self::RANDOMNESS_MASK)).unwrap_or(0)
    }
}

impl SpanId {
    /// A random span id.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self::from_u64(random.next_u64())
    }
}
