//! Versioned documents.

use std::collections::BTreeMap;

use bytes::Bytes;
use longshore_core::{Document, DocumentEntry, ErrorKind, StoreError};

/// Every document by its name.
#[derive(Debug, Default)]
pub(crate) struct Documents(BTreeMap<String, Document>);

impl Documents {
    pub(crate) fn read(&self, name: &str) -> Option<Document> {
        self.0.get(name).cloned()
    }

    pub(crate) fn write(
        &mut self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        let (has, most) = (body.len(), Document::MAX_BYTES);
        if has > most {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("document `{name}` takes {has} bytes, more than the {most} allowed"),
            ));
        }
        let current = self.0.get(name).map_or(0, |document| document.version);
        if current != expected {
            return Err(outdated(name, current, expected));
        }
        let version = current + 1;
        self.0.insert(name.to_owned(), Document { version, body });
        Ok(version)
    }

    pub(crate) fn delete(&mut self, name: &str, expected: u64) -> Result<(), StoreError> {
        match self.0.get(name).map(|document| document.version) {
            Some(current) if current != expected => Err(outdated(name, current, expected)),
            _ => {
                self.0.remove(name);
                Ok(())
            }
        }
    }

    pub(crate) fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<DocumentEntry> {
        self.0
            .range(DocumentEntry::listing_start(prefix, after)..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .take(limit.min(Document::MAX_LISTED))
            .map(|(name, document)| DocumentEntry {
                name: name.clone(),
                version: document.version,
            })
            .collect()
    }
}

fn outdated(name: &str, current: u64, expected: u64) -> StoreError {
    StoreError::new(
        ErrorKind::Conflict,
        format!(
            "document `{name}` has version {current}, not {expected}: read it again, then decide"
        ),
    )
}
