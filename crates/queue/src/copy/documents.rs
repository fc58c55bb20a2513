//! The documents of a store, as far as they outlive its workers.

use longshore_core::register::PREFIX as WORKERS;
use longshore_core::{Document, DocumentEntry, Store, StoreError};

use super::MARK;
use crate::maintenance::turn::DOCUMENT as TURNS;

/// Whether a document says something of whoever works at the store at the moment, or of a copy.
fn stays(name: &str) -> bool {
    name.starts_with(WORKERS) || name == TURNS || name == MARK
}

/// The names of the documents that go with a store, in their order.
#[derive(Debug)]
pub(super) struct Names<'s> {
    store: &'s dyn Store,
    page: std::vec::IntoIter<DocumentEntry>,
    after: Option<String>,
    is_over: bool,
}

impl<'s> Names<'s> {
    pub(super) fn of(store: &'s dyn Store) -> Self {
        Self {
            store,
            page: Vec::new().into_iter(),
            after: None,
            is_over: false,
        }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<DocumentEntry>, StoreError> {
        loop {
            if let Some(entry) = self.page.find(|entry| !stays(&entry.name)) {
                return Ok(Some(entry));
            }
            if self.is_over {
                return Ok(None);
            }
            let (after, most) = (self.after.as_deref(), Document::MAX_LISTED);
            let page = self.store.list_documents("", after, most).await?;
            self.after = page.last().map(|entry| entry.name.clone());
            self.is_over = page.is_empty();
            self.page = page.into_iter();
        }
    }
}

/// Makes the documents of the target those of the source.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let mut names = Names::of(from);
    while let Some(entry) = names.next().await? {
        let Some(source) = from.read_document(&entry.name).await? else {
            continue;
        };
        let there = to.read_document(&entry.name).await?;
        let version = there.as_ref().map_or(0, |there| there.version);
        if there.is_none_or(|there| there.body != source.body) {
            to.write_document(&entry.name, version, source.body).await?;
        }
    }
    // What a copy before this one brought, and is gone from the source since.
    let mut names = Names::of(to);
    while let Some(entry) = names.next().await? {
        if from.read_document(&entry.name).await?.is_none() {
            to.delete_document(&entry.name, entry.version).await?;
        }
    }
    Ok(())
}
