//! Versioned documents. What counts is the version within the object; the server's own only tells
//! whether it is still the one that was read.

use bytes::Bytes;
use longshore_core::{Document, DocumentEntry, ErrorKind, StoreError};

use super::lines::Lines;
use super::parallel::all;
use super::{ObjectStore, restless};
use crate::document::StoredDocument;
use crate::key::Key;
use crate::objects::{Landing, Listed, Range, Version};

impl ObjectStore {
    pub(super) async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let found = self.stored_document(name).await?;
        let live = found.filter(|(stored, _)| stored.version > 0);
        Ok(live.map(|(stored, _)| Document {
            version: stored.version,
            body: stored.body,
        }))
    }

    async fn stored_document(
        &self,
        name: &str,
    ) -> Result<Option<(StoredDocument, Version)>, StoreError> {
        let key = Key::Document(name.to_owned());
        let Some(object) = self.objects.get(&key.to_string()).await? else {
            return Ok(None);
        };
        let stored = StoredDocument::decode(&object.bytes).map_err(|error| error.of(&key))?;
        self.note_version(name, &object.version, stored.version);
        Ok(Some((stored, object.version)))
    }

    /// Writes a document, or deletes it if there is no body.
    pub(super) async fn put_document(
        &self,
        name: &str,
        expected: u64,
        body: Option<Bytes>,
    ) -> Result<u64, StoreError> {
        let (has, most) = (body.as_ref().map_or(0, Bytes::len), Document::MAX_BYTES);
        if has > most {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("document `{name}` takes {has} bytes, more than the {most} allowed"),
            ));
        }
        let key = Key::Document(name.to_owned());
        let path = key.to_string();
        let mut tried = Vec::new();
        for _ in 0..Self::TRIES {
            let found = self.stored_document(name).await?;
            let stored = found.as_ref().map(|(stored, _)| stored);
            if let Some(stored) = stored.filter(|stored| tried.contains(&stored.writer)) {
                return Ok(stored.version);
            }
            let current = stored.map_or(0, |stored| stored.version);
            if body.is_none() && current == 0 {
                return Ok(0);
            }
            if current != expected {
                return Err(StoreError::new(
                    ErrorKind::Conflict,
                    format!(
                        "document `{name}` has version {current}, not {expected}: read it again, then decide"
                    ),
                ));
            }
            let next = StoredDocument {
                writer: self.token(),
                version: body.as_ref().map_or(0, |_| current + 1),
                body: body.clone().unwrap_or_default(),
            };
            tried.push(next.writer);
            let bytes = next.encode().map_err(|error| error.of(&key))?;
            let landing = match &found {
                None => self.objects.create(&path, bytes).await?,
                Some((_, version)) => self.objects.replace(&path, bytes, version).await?,
            };
            if let Landing::Landed(version) = landing {
                self.note_version(name, &version, next.version);
                return Ok(next.version);
            }
        }
        Err(restless(&key))
    }

    pub(super) async fn documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        let limit = limit.min(Document::MAX_LISTED);
        let prefix = Key::documents(prefix);
        let mut last = after.map(Key::documents);
        let mut entries = Vec::new();
        while entries.len() < limit {
            let range = Range {
                prefix: &prefix,
                after: last.as_deref(),
                end: None,
                limit: Lines::PAGE,
            };
            let listed = self.objects.list(range).await?;
            last = listed.last().map(|last| last.key.clone());
            let is_last = listed.len() < Lines::PAGE;
            let mut listed = listed.into_iter().peekable();
            // No more are read than are asked for, but for deleted ones.
            while entries.len() < limit && listed.peek().is_some() {
                let most = limit - entries.len();
                let some: Vec<Listed> = listed.by_ref().take(most).collect();
                let reads = some.into_iter().map(|listed| self.entry_of(listed));
                for entry in all(self.tuning.parallel, reads.collect()).await {
                    entries.extend(entry?);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(entries)
    }

    /// A document with its version, which is read only if it has changed since.
    async fn entry_of(&self, listed: Listed) -> Result<Option<DocumentEntry>, StoreError> {
        let Ok(Key::Document(name)) = listed.key.parse() else {
            return Ok(None);
        };
        let known = self.versions.get(&name);
        let known = known.filter(|(e_tag, _)| Some(e_tag) == listed.e_tag.as_ref());
        let version = match known {
            Some((_, version)) => version,
            None => {
                let found = self.stored_document(&name).await?;
                found.map_or(0, |(stored, _)| stored.version)
            }
        };
        Ok((version > 0).then_some(DocumentEntry { name, version }))
    }

    fn note_version(&self, name: &str, version: &Version, number: u64) {
        if let Some(e_tag) = &version.e_tag {
            self.versions.put(name.to_owned(), (e_tag.clone(), number));
        }
    }
}
