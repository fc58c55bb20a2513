//! Tries whether a server heeds conditions, before jobs are trusted to it.
//!
//! Some servers take a conditional write and ignore the condition. Two workers would then both hold
//! a job, and whoever writes last would undo what was acknowledged, so a store is not opened there.

use bytes::Bytes;
use futures_util::future::join_all;
use longshore_core::{ErrorKind, Random, StoreError};

use crate::key::Key;
use crate::objects::{Landing, Object, Objects, Range, Version};
use crate::remote::RemoteObjects;

/// How conditions have to be said so that the server heeds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heeded {
    /// ETags have no quotes.
    pub(crate) bare_tags: bool,
}

/// How often a trial begins anew because an answer was lost.
const TRIES: usize = 3;
/// How many write at the same time, of whom one may win.
const RIVALS: usize = 8;

/// What a trial came to.
enum Trial {
    Heeds(Heeded),
    /// An answer was lost, so that what comes after it proves nothing.
    Undecided,
}

/// Creates and replaces an object under conditions that hold and that do not, one after the other
/// and several at once, lists and deletes it. About 30 requests.
///
/// # Errors
/// `Invalid`: the server ignores conditions, refuses one that holds, or lacks something else; the
/// message says which. `Unavailable`: it does not answer.
pub(crate) async fn try_conditions(
    remote: &RemoteObjects,
    random: &dyn Random,
) -> Result<Heeded, StoreError> {
    for _ in 0..TRIES {
        let probe = Probe {
            remote,
            random,
            key: Key::Probe(random.next_u64()).to_string(),
        };
        let trial = probe.run().await;
        // Should this fail, some bytes are left that nobody reads.
        let _ = remote.delete(&probe.key).await;
        if let Trial::Heeds(heeded) = trial? {
            probe.is_gone().await?;
            return Ok(heeded);
        }
    }
    Err(StoreError::new(
        ErrorKind::Unavailable,
        format!(
            "the object storage at {} leaves conditional writes without an answer: try again later",
            remote.location()
        ),
    ))
}

struct Probe<'p> {
    remote: &'p RemoteObjects,
    random: &'p dyn Random,
    key: String,
}

impl Probe<'_> {
    async fn run(&self) -> Result<Trial, StoreError> {
        let first = self.content();
        match self.remote.create(&self.key, first.clone()).await? {
            Landing::Landed(_) => {}
            Landing::Refused | Landing::Unknown => return Ok(Trial::Undecided),
        }
        for _ in 0..2 {
            match self.remote.create(&self.key, self.content()).await? {
                Landing::Refused => {}
                Landing::Landed(_) => return Err(self.ignores("If-None-Match: *")),
                Landing::Unknown => return Ok(Trial::Undecided),
            }
        }
        let Some(read) = self.read(&first).await? else {
            return Ok(Trial::Undecided);
        };
        let Some(bare_tags) = self.replace_once(&read.version).await? else {
            return Ok(Trial::Undecided);
        };
        for _ in 0..2 {
            match self.replace(&read.version).await? {
                Landing::Refused => {}
                Landing::Landed(_) => return Err(self.ignores("If-Match")),
                Landing::Unknown => return Ok(Trial::Undecided),
            }
        }
        self.race().await?;
        self.is_listed().await?;
        if self.remote.known_bounds().is_none() {
            return Err(self.lacks("its answers have no `Date`, by which leases end"));
        }
        Ok(Trial::Heeds(Heeded { bare_tags }))
    }

    /// Whether ETags need to be without quotes so that a replace lands; `None` if nobody knows.
    async fn replace_once(&self, version: &Version) -> Result<Option<bool>, StoreError> {
        for bare in [false, true] {
            self.remote.use_bare_tags(bare);
            match self.replace(version).await? {
                Landing::Landed(_) => return Ok(Some(bare)),
                Landing::Refused => {}
                Landing::Unknown => return Ok(None),
            }
        }
        Err(self.lacks("it refuses a write with `If-Match` on the version that is there"))
    }

    /// Several at once: a server that looks first and writes later lets more than one win.
    async fn race(&self) -> Result<(), StoreError> {
        let won = |landing: &Result<Landing, _>| matches!(landing, Ok(Landing::Landed(_)));
        let Some(read) = self.remote.get(&self.key).await? else {
            return Err(self.lacks("an object that was written is not there"));
        };
        let replaces = (0..RIVALS).map(|_| self.replace(&read.version));
        let replaced = join_all(replaces)
            .await
            .iter()
            .filter(|one| won(one))
            .count();
        let key = Key::Probe(self.random.next_u64()).to_string();
        let creates = (0..RIVALS).map(|_| async {
            Ok::<_, StoreError>(self.remote.create(&key, self.content()).await?)
        });
        let created = join_all(creates)
            .await
            .iter()
            .filter(|one| won(one))
            .count();
        self.remote.delete(&key).await?;
        match replaced.max(created) {
            // An answer may have been lost.
            0 | 1 => Ok(()),
            winners => Err(self.lacks(&format!(
                "of {RIVALS} conditional writes at the same time {winners} landed, and one may"
            ))),
        }
    }

    async fn is_listed(&self) -> Result<(), StoreError> {
        let keys = |after: Option<String>| async move {
            let range = Range {
                prefix: "probe/",
                after: after.as_deref(),
                end: Some("probe0"),
                limit: 1000,
            };
            let listed = self.remote.list(range).await?;
            Ok::<_, StoreError>(listed.into_iter().any(|listed| listed.key == self.key))
        };
        // The key before it in the order of bytes, as long as it is not the first of all.
        let before = self.key.get(..self.key.len() - 1).map(str::to_owned);
        if !keys(before).await? {
            return Err(self.lacks("a listing leaves out an object that was written"));
        }
        if keys(Some(self.key.clone())).await? {
            return Err(self.lacks("a listing does not begin after the key that was asked for"));
        }
        Ok(())
    }

    async fn is_gone(&self) -> Result<(), StoreError> {
        match self.remote.get(&self.key).await? {
            None => Ok(()),
            Some(_) => Err(self.lacks("an object that was deleted is still there")),
        }
    }

    /// The object, if it has this content.
    async fn read(&self, content: &Bytes) -> Result<Option<Object>, StoreError> {
        match self.remote.get(&self.key).await? {
            Some(object) if object.bytes == content => Ok(Some(object)),
            Some(_) => Err(self.ignores("If-None-Match: *")),
            None => Err(self.lacks("an object that was written is not there")),
        }
    }

    async fn replace(&self, version: &Version) -> Result<Landing, StoreError> {
        let replaced = self
            .remote
            .replace(&self.key, self.content(), version)
            .await;
        Ok(replaced?)
    }

    /// Other bytes each time, since equal bytes have equal ETags.
    fn content(&self) -> Bytes {
        format!("longshore probe 1\n{:016x}\n", self.random.next_u64()).into()
    }

    fn ignores(&self, condition: &str) -> StoreError {
        self.lacks(&format!("it ignores `{condition}`"))
    }

    fn lacks(&self, what: &str) -> StoreError {
        StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the object storage at {} cannot hold jobs: {what}; use one that enforces conditional writes \
                 (`longshore docs object-store` names some)",
                self.remote.location()
            ),
        )
    }
}
