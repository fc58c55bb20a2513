//! Versioned documents.

use std::collections::HashMap;

use bytes::Bytes;
use longshore_core::{Document, ErrorKind, StoreError};

/// Every document by its name.
#[derive(Debug, Default)]
pub(crate) struct Documents(HashMap<String, Document>);

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
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "document `{name}` has version {current}, not {expected}: read it again, then decide"
                ),
            ));
        }
        let version = current + 1;
        self.0.insert(name.to_owned(), Document { version, body });
        Ok(version)
    }
}
