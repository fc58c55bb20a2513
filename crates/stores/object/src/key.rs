//! The keys of a store's objects, below its prefix.

use std::fmt;
use std::str::FromStr;

use longshore_core::{JobId, Timestamp};

use crate::batch_key::{BatchKey, BatchName, Line, QueueCode, Unreadable, canonical};
use crate::escape::{escape, ordered, unescape, unordered};
use crate::family::Family;

/// The key of an object. What is printed is read again, and of every object there is one key only.
///
/// ```
/// use longshore_object::Key;
/// let key: Key = "l/0/01a1ff9c81557ed084b4efd965fd1388.100".parse()?;
/// assert!(matches!(key, Key::Ledger { shard: 0, batch } if batch.jobs() == 100));
/// assert_eq!(key.to_string(), "l/0/01a1ff9c81557ed084b4efd965fd1388.100");
/// # Ok::<(), longshore_object::Unreadable>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// A batch of jobs, which is its own index entry.
    Batch(BatchKey),
    /// The index entry of a ledger that waits for another time than its batch did.
    Pointer(PointerKey),
    /// What became of a batch's jobs.
    Ledger {
        /// The shard of its queue.
        shard: u16,
        /// The batch.
        batch: BatchName,
    },
    /// A batch that came too late to count, put aside.
    Void(BatchName),
    /// The reservation of a unique key in a queue.
    Unique {
        /// The queue.
        queue: QueueCode,
        /// The caller's key.
        key: String,
    },
    /// The reservation of an id that a caller chose.
    Chosen(JobId),
    /// The args of a job, too long for its batch.
    Args {
        /// The batch.
        batch: BatchName,
        /// Which of its jobs.
        index: u16,
        /// Tells args that replaced others from those.
        token: u64,
    },
    /// The result of a job, too long for its ledger.
    Outcome {
        /// The batch.
        batch: BatchName,
        /// Which of its jobs.
        index: u16,
        /// Tells attempts apart.
        token: u64,
    },
    /// A versioned document.
    Document(String),
    /// When the store was swept.
    Sweep,
    /// The list of queues with their numbers.
    Queues,
    /// What the store is.
    Root,
    /// Of a trial whether the server heeds conditions; random.
    Probe(u64),
}

/// The key of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointerKey {
    /// The batch whose ledger waits.
    pub batch: BatchName,
    /// The line in which it waits.
    pub line: Line,
    /// When the first of its jobs is due, in milliseconds since the Unix epoch.
    pub due: u64,
    /// The generation of the ledger that is the first to name it.
    pub generation: u64,
    /// Tells pointers of one generation apart.
    pub token: u64,
}

impl PointerKey {
    /// When the first of its jobs is due.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::try_from(self.due).unwrap_or(i64::MAX))
    }
}

impl Key {
    /// The key of the ledger of a batch.
    #[must_use]
    pub const fn ledger(batch: &BatchKey) -> Self {
        Self::Ledger {
            shard: batch.line.shard,
            batch: batch.name,
        }
    }

    /// The prefix of the index entries of a line, in the order of their due times.
    #[must_use]
    pub fn index(line: Line) -> String {
        format!("i/{line}/")
    }

    /// The key after the last index entry of a line that is due at `due` milliseconds.
    #[must_use]
    pub fn index_end(line: Line, due: u64) -> String {
        // A due time is followed by `-`, after which `.` is the next byte.
        format!("i/{line}/{due:013}.")
    }

    /// The prefix of the documents whose names begin with `prefix`.
    #[must_use]
    pub fn documents(prefix: &str) -> String {
        format!("d/{}", ordered(prefix))
    }

    /// To which row of the table of keys it belongs.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Batch(_) => Family::Batch,
            Self::Pointer(_) => Family::Pointer,
            Self::Ledger { .. } => Family::Ledger,
            Self::Void(_) => Family::Void,
            Self::Unique { .. } | Self::Chosen(_) => Family::Reservation,
            Self::Args { .. } => Family::Args,
            Self::Outcome { .. } => Family::Outcome,
            Self::Document(_) => Family::Document,
            Self::Sweep => Family::Sweep,
            Self::Queues => Family::Queues,
            Self::Root => Family::Root,
            Self::Probe(_) => Family::Probe,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(BatchKey { name, line, due }) => write!(f, "i/{line}/{due:013}-{name}"),
            Self::Pointer(pointer) => fmt::Display::fmt(pointer, f),
            Self::Ledger { shard, batch } => write!(f, "l/{shard}/{batch}"),
            Self::Void(batch) => write!(f, "v/{batch}"),
            Self::Unique { queue, key } => write!(f, "u/{queue}/{}", escape(key)),
            Self::Chosen(id) => write!(f, "u/id/{}", escape(id.as_str())),
            Self::Args {
                batch,
                index,
                token,
            } => write!(f, "p/{batch}/{index}.{token:016x}"),
            Self::Outcome {
                batch,
                index,
                token,
            } => write!(f, "r/{batch}/{index}.{token:016x}"),
            Self::Document(name) => write!(f, "d/{}", ordered(name)),
            Self::Sweep => f.write_str("sweep"),
            Self::Queues => f.write_str("queues"),
            Self::Root => f.write_str("root"),
            Self::Probe(token) => write!(f, "probe/{token:016x}"),
        }
    }
}

impl fmt::Display for PointerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            batch,
            line,
            due,
            generation,
            token,
        } = self;
        write!(f, "i/{line}/{due:013}-{batch}+{generation}.{token:016x}")
    }
}

impl FromStr for Key {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || Unreadable::new("the key of an object of Longshore", text);
        canonical(read(text), text).ok_or_else(unreadable)
    }
}

fn read(text: &str) -> Option<Key> {
    match text {
        "sweep" => return Some(Key::Sweep),
        "queues" => return Some(Key::Queues),
        "root" => return Some(Key::Root),
        _ => {}
    }
    let (family, rest) = text.split_once('/')?;
    match family {
        "i" => read_entry(rest),
        "l" => {
            let (shard, batch) = rest.split_once('/')?;
            Some(Key::Ledger {
                shard: shard.parse().ok()?,
                batch: batch.parse().ok()?,
            })
        }
        "v" => rest.parse().ok().map(Key::Void),
        "u" => read_reservation(rest),
        "p" => {
            let (batch, index, token) = read_part(rest)?;
            Some(Key::Args {
                batch,
                index,
                token,
            })
        }
        "r" => {
            let (batch, index, token) = read_part(rest)?;
            Some(Key::Outcome {
                batch,
                index,
                token,
            })
        }
        "d" => unordered(rest).map(Key::Document),
        "probe" => u64::from_str_radix(rest, 16).ok().map(Key::Probe),
        _ => None,
    }
}

/// A batch, or a pointer, in the index.
fn read_entry(text: &str) -> Option<Key> {
    let mut parts = text.split('/');
    let line = Line::read(parts.next()?, parts.next()?, parts.next()?)?;
    let (due, rest) = parts.next()?.split_once('-')?;
    let due = due.parse().ok().filter(|due| *due <= BatchKey::MAX_DUE)?;
    let Some((batch, rest)) = rest.split_once('+') else {
        let name = rest.parse().ok()?;
        return Some(Key::Batch(BatchKey { name, line, due }));
    };
    let (generation, token) = rest.split_once('.')?;
    Some(Key::Pointer(PointerKey {
        batch: batch.parse().ok()?,
        line,
        due,
        generation: generation.parse().ok()?,
        token: u64::from_str_radix(token, 16).ok()?,
    }))
}

fn read_reservation(text: &str) -> Option<Key> {
    let (scope, rest) = text.split_once('/')?;
    let name = unescape(rest)?;
    match scope {
        "id" => name.parse().ok().map(Key::Chosen),
        queue => Some(Key::Unique {
            queue: queue.parse().ok()?,
            key: name,
        }),
    }
}

fn read_part(text: &str) -> Option<(BatchName, u16, u64)> {
    let (batch, rest) = text.split_once('/')?;
    let (index, token) = rest.split_once('.')?;
    let token = u64::from_str_radix(token, 16).ok()?;
    Some((batch.parse().ok()?, index.parse().ok()?, token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch_key::tests::{batch_keys, lines, names};

    /// S3 and its like take keys of 1,024 bytes; the rest is for the prefix.
    const LONGEST: usize = 700;

    prop_compose! {
        pub(crate) fn pointers()(
            batch in names(), line in lines(), due in 0..=BatchKey::MAX_DUE,
            generation: u64, token: u64,
        ) -> PointerKey {
            PointerKey { batch, line, due, generation, token }
        }
    }

    fn keys() -> impl Strategy<Value = Key> {
        let part = || (names(), any::<u16>(), any::<u64>());
        prop_oneof![
            batch_keys().prop_map(Key::Batch),
            pointers().prop_map(Key::Pointer),
            (any::<u16>(), names()).prop_map(|(shard, batch)| Key::Ledger { shard, batch }),
            names().prop_map(Key::Void),
            (any::<u32>(), "\\PC{1,50}").prop_map(|(queue, key)| Key::Unique { queue, key }),
            "[!-~]{1,128}".prop_map(|id| Key::Chosen(id.parse().unwrap())),
            part().prop_map(|(batch, index, token)| Key::Args {
                batch,
                index,
                token
            }),
            part().prop_map(|(batch, index, token)| Key::Outcome {
                batch,
                index,
                token
            }),
            "\\PC{0,200}".prop_map(Key::Document),
            Just(Key::Sweep),
            Just(Key::Queues),
            Just(Key::Root),
            any::<u64>().prop_map(Key::Probe),
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_written(key in keys()) {
            let text = key.to_string();
            prop_assert_eq!(text.parse::<Key>(), Ok(key.clone()));
            let prefix = key.family().prefix();
            prop_assert!(text.starts_with(prefix), "{} begins {}", text, prefix);
        }

        #[test]
        fn keys_need_no_escaping_anywhere(key in keys()) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.+=".contains(&byte);
            prop_assert!(key.to_string().bytes().all(plain));
        }

        #[test]
        fn there_is_one_text_for_a_key(
            key in keys(), at in 0usize..900, with in "[0-9a-fA-F./=+-]{0,2}",
        ) {
            let text = key.to_string();
            let at = at % (text.len() + 1);
            let changed = format!("{}{with}{}", &text[..at], &text[at..]);
            if let Ok(read) = changed.parse::<Key>() {
                prop_assert_eq!(read.to_string(), changed);
            }
        }

        #[test]
        fn what_is_due_is_listed_in_front(one in batch_keys(), other in batch_keys(), pointer in pointers()) {
            let other = BatchKey { line: one.line, ..other };
            let pointer = PointerKey { line: one.line, ..pointer };
            let (first, second) = (Key::Batch(one).to_string(), Key::Batch(other).to_string());
            if one.due != other.due {
                prop_assert_eq!(first.cmp(&second), one.due.cmp(&other.due));
            }
            let third = Key::Pointer(pointer).to_string();
            let end = Key::index_end(one.line, one.due);
            prop_assert!(first.starts_with(&Key::index(one.line)) && first < end);
            prop_assert_eq!(second < end, other.due <= one.due);
            prop_assert_eq!(third < end, pointer.due <= one.due);
        }
    }

    #[test]
    fn the_longest_keys_fit() {
        let key = |text: &str| Key::Unique {
            queue: u32::MAX,
            key: text.repeat(200),
        };
        assert!(key(".").to_string().len() <= LONGEST);
        let id = Key::Chosen(".".repeat(JobId::MAX_LENGTH).parse().unwrap());
        assert!(id.to_string().len() <= LONGEST);
    }
}
