//! The documents that schedules lie in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::Scheduled;
use crate::error::{ErrorKind, StoreError};
use crate::name::ScheduleName;
use crate::store::Document;
use crate::time::Timestamp;

/// One of the documents that schedules lie in, by a hash of their names.
///
/// An entry that this version cannot read, such as one with a time zone that it does not know,
/// stays as it is and fires elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// The schedules, by name.
    pub schedules: BTreeMap<String, Scheduled>,
    /// What cannot be read, by name.
    unread: BTreeMap<String, Value>,
}

/// Most bytes by which a schedule's part of the document grows while it fires.
const GROWTH: usize = 256;

/// The document's own form.
#[derive(Debug, Serialize, Deserialize)]
struct Body<T> {
    schedules: BTreeMap<String, T>,
}

impl Shard {
    /// How many shards there are.
    pub const COUNT: u8 = 64;

    /// The number of the shard that a schedule lies in.
    #[must_use]
    pub fn of(name: &ScheduleName) -> u8 {
        let hash = xxh3_64(name.as_str().as_bytes()) % u64::from(Self::COUNT);
        u8::try_from(hash).unwrap_or_default()
    }

    /// The name of a shard's document.
    #[must_use]
    pub fn document(number: u8) -> String {
        format!("schedules/{number:02}")
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `Corrupt` if it is none of a shard.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        let read: Result<Body<Value>, _> = serde_json::from_slice(body);
        let body = read.map_err(|error| corrupt(&error))?;
        let mut shard = Self::default();
        for (name, value) in body.schedules {
            match Scheduled::deserialize(&value) {
                Ok(scheduled) => drop(shard.schedules.insert(name, scheduled)),
                Err(_) => drop(shard.unread.insert(name, value)),
            }
        }
        Ok(shard)
    }

    /// Writes the document.
    ///
    /// # Errors
    /// `Invalid` if it would not fit: too many schedules, or too long ones, share this shard.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut schedules = self.unread.clone();
        for (name, scheduled) in &self.schedules {
            let value = serde_json::to_value(scheduled).map_err(|error| corrupt(&error))?;
            schedules.insert(name.clone(), value);
        }
        let body = serde_json::to_vec(&Body { schedules }).map_err(|error| corrupt(&error))?;
        if body.len() > Document::MAX_BYTES {
            return Err(self.full());
        }
        Ok(body)
    }

    /// Whether the document still fits once its schedules have fired: how they stand then takes
    /// more room.
    ///
    /// # Errors
    /// As [`Shard::encode`].
    pub fn check_room(&self) -> Result<(), StoreError> {
        let growth = self.schedules.len() * GROWTH;
        match self.encode()?.len() + growth > Document::MAX_BYTES {
            true => Err(self.full()),
            false => Ok(()),
        }
    }

    fn full(&self) -> StoreError {
        let (count, most) = (self.schedules.len(), Document::MAX_BYTES >> 10);
        let problem = format!(
            "{count} schedules share a document of {most} KiB at most, and it is full: remove \
             some, or shorten their args"
        );
        StoreError::new(ErrorKind::Invalid, problem)
    }

    /// When the first of its schedules is due.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.schedules.values().filter_map(Scheduled::due_at).min()
    }

    /// The names of the schedules that this version cannot read.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread.keys().map(String::as_str)
    }

    /// Takes a schedule out, whether it can be read or not. Whether it was there.
    pub fn remove(&mut self, name: &ScheduleName) -> bool {
        let unread = self.unread.remove(name.as_str()).is_some();
        self.schedules.remove(name.as_str()).is_some() || unread
    }
}

/// The document that says which shards there are, and when people changed them last: workers look
/// at it alone while nothing is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// How often each shard was changed by a person or program; firing does not count.
    shards: BTreeMap<u8, u64>,
}

impl Directory {
    /// The name of the document.
    pub const DOCUMENT: &'static str = "schedules";

    /// Reads the document.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| corrupt(&error))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// None that can happen: there are 64 shards at most.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|error| corrupt(&error))
    }

    /// Notes that a shard was changed.
    pub fn touch(&mut self, shard: u8) {
        let changes = self.shards.entry(shard).or_default();
        *changes = changes.wrapping_add(1);
    }

    /// The shards and how often each was changed.
    pub fn shards(&self) -> impl Iterator<Item = (u8, u64)> {
        self.shards
            .iter()
            .map(|(shard, changes)| (*shard, *changes))
    }
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("a document of schedules cannot be read: {error}"),
    )
}
