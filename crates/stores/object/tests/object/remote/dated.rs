//! A server's bucket with the dates of a test's clock, so that hours pass at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{Clock, Timestamp};
use longshore_object::{
    Bounds, Landing, Listed, Object, Objects, Range, RemoteObjects, RequestError, Version,
};

/// All requests go to the server; only what time it is, and was, is the test's.
#[derive(Debug)]
pub(crate) struct Dated {
    remote: RemoteObjects,
    clock: Arc<dyn Clock>,
    written: Mutex<BTreeMap<String, Timestamp>>,
}

impl Dated {
    pub(crate) fn new(remote: RemoteObjects, clock: Arc<dyn Clock>) -> Self {
        Self {
            remote,
            clock,
            written: Mutex::default(),
        }
    }

    fn note(&self, key: &str, landing: Landing) -> Landing {
        if matches!(landing, Landing::Landed(_)) {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(key.to_owned(), self.clock.now());
        }
        landing
    }

    fn date(&self, key: &str) -> Timestamp {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // That it landed may have gone unheard.
        *written
            .entry(key.to_owned())
            .or_insert_with(|| self.clock.now())
    }
}

#[async_trait]
impl Objects for Dated {
    fn system(&self) -> &'static str {
        self.remote.system()
    }

    fn location(&self) -> String {
        self.remote.location()
    }

    fn bounds(&self) -> Bounds {
        Bounds::exactly(self.clock.now())
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError> {
        let got = self.remote.get(key).await?;
        Ok(got.map(|object| Object {
            modified: self.date(key),
            ..object
        }))
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError> {
        let landing = self.remote.create(key, bytes).await?;
        Ok(self.note(key, landing))
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError> {
        let landing = self.remote.replace(key, bytes, version).await?;
        Ok(self.note(key, landing))
    }

    async fn delete(&self, key: &str) -> Result<(), RequestError> {
        self.remote.delete(key).await
    }

    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError> {
        let listed = self.remote.list(range).await?.into_iter();
        let dated = listed.map(|listed| Listed {
            modified: self.date(&listed.key),
            ..listed
        });
        Ok(dated.collect())
    }
}
