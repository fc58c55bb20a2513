//! A bucket in this process that counts: requests by type, and bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{Clock as _, SystemClock, Timestamp};
use longshore_object::{Bounds, Landing, Listed, Object, Objects, Range, RequestError, Version};

/// What was asked of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub put: usize,
    pub get: usize,
    pub delete: usize,
    pub list: usize,
    pub bytes_in: usize,
    pub bytes_out: usize,
}

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, Object>,
    versions: u64,
    count: Count,
    /// By how much its clock is ahead.
    ahead: Duration,
}

/// It does what S3 does, at once and without fail.
#[derive(Default)]
pub struct Bucket {
    content: Mutex<Content>,
    clock: SystemClock,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

impl Bucket {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked since the last time.
    pub fn take_count(&self) -> Count {
        std::mem::take(&mut self.content().count)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.content().ahead += time;
    }

    pub fn now(&self) -> Timestamp {
        let ahead = self.content().ahead;
        self.clock.now().after(ahead)
    }

    /// A PUT, if `may` says so of what is there.
    fn put(
        &self,
        key: &str,
        bytes: Bytes,
        may: impl FnOnce(Option<&Object>) -> bool,
    ) -> Option<Version> {
        let modified = self.now();
        let mut content = self.content();
        content.count.put += 1;
        content.count.bytes_in += bytes.len();
        if !may(content.objects.get(key)) {
            return None;
        }
        content.versions += 1;
        let version = Version {
            e_tag: Some(content.versions.to_string()),
            number: None,
        };
        let object = Object {
            bytes,
            version: version.clone(),
            modified,
        };
        content.objects.insert(key.to_owned(), object);
        Some(version)
    }
}

fn landing(version: Option<Version>) -> Landing {
    version.map_or(Landing::Refused, Landing::Landed)
}

#[async_trait]
impl Objects for Bucket {
    fn system(&self) -> &'static str {
        "memory"
    }

    fn location(&self) -> String {
        "this process".to_owned()
    }

    fn bounds(&self) -> Bounds {
        Bounds::exactly(self.now())
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError> {
        let mut content = self.content();
        let object = content.objects.get(key).cloned();
        content.count.get += 1;
        content.count.bytes_out += object.as_ref().map_or(0, |object| object.bytes.len());
        Ok(object)
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError> {
        Ok(landing(self.put(key, bytes, |old| old.is_none())))
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError> {
        let same = |old: Option<&Object>| old.is_some_and(|old| old.version == *version);
        Ok(landing(self.put(key, bytes, same)))
    }

    async fn delete(&self, key: &str) -> Result<(), RequestError> {
        let mut content = self.content();
        content.count.delete += 1;
        content.objects.remove(key);
        Ok(())
    }

    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError> {
        /// What S3 gives in one answer.
        const PAGE: usize = 1_000;
        let mut content = self.content();
        let from = range.after.unwrap_or_default().max(range.prefix).to_owned();
        let listed: Vec<Listed> = content
            .objects
            .range(from..)
            .take_while(|(key, _)| {
                key.starts_with(range.prefix) && range.end.is_none_or(|end| key.as_str() < end)
            })
            .filter(|(key, _)| range.after.is_none_or(|after| key.as_str() > after))
            .map(|(key, object)| Listed {
                key: key.clone(),
                modified: object.modified,
                e_tag: object.version.e_tag.clone(),
            })
            .take(range.limit)
            .collect();
        content.count.list += listed.len().div_ceil(PAGE).max(1);
        Ok(listed)
    }
}
