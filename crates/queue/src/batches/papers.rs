//! The documents of a batch.

use longshore_core::batch::{Batch as Record, Ends, Members};
use longshore_core::{BatchId, ErrorKind, Store, StoreError, Timestamp};

/// How often a document that others write too is tried.
pub(crate) const TRIES: usize = 64;

/// The documents of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Papers<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) id: &'a BatchId,
}

impl<'a> Papers<'a> {
    pub(crate) const fn new(store: &'a dyn Store, id: &'a BatchId) -> Self {
        Self { store, id }
    }

    /// The batch and the version of its document.
    pub(crate) async fn batch(&self) -> Result<Option<(Record, u64)>, StoreError> {
        let document = self.store.read_document(&self.id.document()).await?;
        let read = document.map(|found| Ok((Record::decode(&found.body)?, found.version)));
        read.transpose()
    }

    /// The ids of the members of a page.
    pub(crate) async fn members(&self, page: u16) -> Result<Option<(Members, u64)>, StoreError> {
        let name = self.id.members_document(page);
        let document = self.store.read_document(&name).await?;
        let read = document.map(|found| Ok((Members::decode(&found.body)?, found.version)));
        read.transpose()
    }

    /// Which members of a page are over.
    pub(crate) async fn ends(&self, page: u16) -> Result<Option<(Ends, u64)>, StoreError> {
        let name = self.id.ends_document(page);
        let document = self.store.read_document(&name).await?;
        let read = document.map(|found| Ok((Ends::decode(&found.body)?, found.version)));
        read.transpose()
    }

    /// Changes the batch; `change` says whether it did, and what came of it. `None` if the batch is
    /// not there.
    pub(crate) async fn change<T>(
        &self,
        mut change: impl FnMut(&mut Record, Timestamp) -> Result<(bool, T), StoreError>,
    ) -> Result<Option<(Record, T)>, StoreError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let Some((mut batch, version)) = self.batch().await? else {
                return Ok(None);
            };
            let now = self.store.now().await?;
            let (changes, answer) = change(&mut batch, now)?;
            if !changes {
                return Ok(Some((batch, answer)));
            }
            let body = batch.encode()?;
            let name = self.id.document();
            match self.store.write_document(&name, version, body).await {
                Ok(_) => return Ok(Some((batch, answer))),
                Err(error) if error.kind() == ErrorKind::Conflict => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(lost.unwrap_or_else(contended))
    }

    /// Writes a document that is not there. Whether it was not.
    pub(crate) async fn create(&self, name: &str, body: bytes::Bytes) -> Result<bool, StoreError> {
        match self.store.write_document(name, 0, body).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a document, whatever is in it.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let Some(document) = self.store.read_document(name).await? else {
                return Ok(());
            };
            match self.store.delete_document(name, document.version).await {
                Err(error) if error.kind() == ErrorKind::Conflict => lost = Some(error),
                answer => return answer,
            }
        }
        Err(lost.unwrap_or_else(contended))
    }
}

/// That others were always faster.
pub(crate) fn contended() -> StoreError {
    let problem = "the documents of the batch could not be written, since others always were first";
    StoreError::new(ErrorKind::Conflict, problem)
}
