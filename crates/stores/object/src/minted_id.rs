//! The ids that this store mints: each names the place where its job lies, so that a look-up
//! searches nothing.

use std::fmt;

use longshore_core::JobId;

use crate::batch_key::{BatchKey, BatchName, Line, canonical};

/// Tells the ids of one store from those of another, whose jobs may have been copied here: 24 bits
/// from the store's root document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreMark(u32);

impl StoreMark {
    /// The mark with the lower 24 of these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0x00ff_ffff)
    }

    /// The bits.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The id of a job that lies in a batch: the UUID of the batch, then, parted by dots, the job's
/// index, the number of jobs, shard, priority, queue, due time and mark.
///
/// ```
/// use longshore_core::JobId;
/// use longshore_object::{MintedId, StoreMark};
///
/// let id: JobId = "01a1ff9c-8155-7ed0-84b4-efd965fd1388-0.1.0.2.7.1795312345678.00c0de".parse()?;
/// let mark = StoreMark::from_bits(0xc0de);
/// let minted = MintedId::read(&id, mark).ok_or("minted by another store")?;
/// assert_eq!((minted.index, minted.batch.line.queue), (0, 7));
/// assert_eq!(minted.to_job_id(), Some(id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MintedId {
    /// The batch it lies in.
    pub batch: BatchKey,
    /// Which of the batch's jobs it is, from 0.
    pub index: u16,
    /// The store that minted it.
    pub mark: StoreMark,
}

impl MintedId {
    /// What an id says, if the store with this mark minted it. Any other id is one that a caller
    /// chose.
    #[must_use]
    pub fn read(id: &JobId, mark: StoreMark) -> Option<Self> {
        let minted = canonical(Self::parts(id.as_str()), id.as_str())?;
        (minted.mark == mark).then_some(minted)
    }

    /// The id as jobs have it.
    #[must_use]
    pub fn to_job_id(&self) -> Option<JobId> {
        // Never too long: 36 characters, and at most 52 of numbers.
        self.to_string().parse().ok()
    }

    fn parts(text: &str) -> Option<Self> {
        let (uuid, rest) = text.split_at_checked(36)?;
        let uuid = uuid::Uuid::try_parse(uuid).ok()?.as_u128();
        let mut parts = rest.strip_prefix('-')?.split('.');
        let mut next = || parts.next();
        let index = next()?.parse().ok()?;
        let name = BatchName::new(uuid, next()?.parse().ok()?)?;
        let (shard, priority, queue) = (next()?, next()?, next()?);
        let line = Line::read(queue, shard, priority)?;
        let due = next()?.parse().ok()?;
        let mark = StoreMark::from_bits(u32::from_str_radix(next()?, 16).ok()?);
        let fits = index < name.jobs() && due <= BatchKey::MAX_DUE;
        let batch = BatchKey { name, line, due };
        fits.then_some(Self { batch, index, mark })
    }
}

impl fmt::Display for MintedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchKey { name, line, due } = self.batch;
        write!(
            f,
            "{}-{}.{}.{}.{}.{}.{due}.{:06x}",
            uuid::Uuid::from_u128(name.uuid()).hyphenated(),
            self.index,
            name.jobs(),
            line.shard,
            line.priority,
            line.queue,
            self.mark.get(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch_key::tests::batch_keys;

    proptest! {
        #[test]
        fn an_id_is_read_as_minted(batch in batch_keys(), at: u16, bits: u32) {
            let mark = StoreMark::from_bits(bits);
            let index = at % batch.name.jobs();
            let minted = MintedId { batch, index, mark };
            let id = minted.to_job_id().unwrap();
            prop_assert_eq!(MintedId::read(&id, mark), Some(minted));
            let other = StoreMark::from_bits(bits ^ 1);
            prop_assert_eq!(MintedId::read(&id, other), None);
        }

        #[test]
        fn no_other_text_is_the_same_id(batch in batch_keys(), at in 0usize..100, with in "[0-9a-fA-F.+-]") {
            let mark = StoreMark::from_bits(7);
            let text = MintedId { batch, index: 0, mark }.to_string();
            let at = at % text.len();
            let changed = format!("{}{with}{}", &text[..at], &text[at..]);
            if let Some(minted) = MintedId::read(&changed.parse().unwrap(), mark) {
                prop_assert_eq!(minted.to_string(), changed);
            }
        }
    }

    #[test]
    fn an_index_beyond_the_batch_is_none() {
        let uuid = "01a1ff9c-8155-7ed0-84b4-efd965fd1388";
        let read = |rest: &str| {
            let id = format!("{uuid}-{rest}").parse().unwrap();
            MintedId::read(&id, StoreMark::from_bits(1))
        };
        assert!(read("0.1.0.2.7.5.000001").is_some());
        for wrong in [
            "1.1.0.2.7.5.000001",
            "0.0.0.2.7.5.000001",
            "0.1001.0.2.7.5.000001",
            "0.1.0.5.7.5.000001",
            "0.1.0.2.7.10000000000000.000001",
            "0.1.0.2.7.5.1",
            "0.1.0.2.7.5.000001.",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
