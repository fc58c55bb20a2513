//! The register of workers, as it is read.

use longshore_core::register::{PREFIX, WorkerEntry};
use longshore_core::{Document, ErrorKind, Store, StoreError, Timestamp};

/// The workers of a store, as they said of themselves: which there are, where they run, what they
/// take, and when they were last seen.
///
/// A worker writes its entry when it starts, every ten seconds, and when it begins to stop; it takes
/// it out once it has stopped. So the entry of one that was killed stays, and is no longer renewed:
/// [`WorkerEntry::unseen_for`] says so after half a minute, and after ten minutes another worker
/// removes it. No job depends on the register: what a worker that vanished had is taken back when its
/// leases expire.
///
/// ```
/// # async fn example(store: &dyn longshore_core::Store) -> Result<(), longshore_core::StoreError> {
/// use longshore_queue::Workers;
///
/// let workers = Workers::list(store).await?;
/// for worker in &workers.entries {
///     match worker.unseen_for(workers.as_of) {
///         None => println!("{} on {}: {}", worker.id, worker.host, worker.state),
///         Some(unseen) => println!("{} was not seen for {unseen:?}", worker.id),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// When this was read, by the store's clock.
    pub as_of: Timestamp,
    /// The entries, in the order of the workers' ids.
    pub entries: Vec<WorkerEntry>,
}

impl Workers {
    /// Reads the register. What is there is bounded by who was there in the last ten minutes; one
    /// entry is one read.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn list(store: &dyn Store) -> Result<Self, StoreError> {
        let mut entries = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let most = Document::MAX_LISTED;
            let page = store.list_documents(PREFIX, after.as_deref(), most).await?;
            for named in &page {
                entries.extend(read(store, &named.name).await?.map(|(entry, _)| entry));
            }
            match page.into_iter().nth(most - 1) {
                Some(last) => after = Some(last.name),
                None => break,
            }
        }
        // Later than any entry, so that none seems to be of the future.
        let as_of = store.now().await?;
        Ok(Self { as_of, entries })
    }

    /// The entries of workers that were not seen for long.
    ///
    /// # Errors
    /// The store could not be asked.
    pub(crate) async fn gone(store: &dyn Store) -> Result<Vec<WorkerEntry>, StoreError> {
        let Self { as_of, mut entries } = Self::list(store).await?;
        entries.retain(|entry| entry.is_gone(as_of));
        Ok(entries)
    }
}

/// The entry in a document, and its version. What cannot be read is of another version, and stays.
pub(crate) async fn read(
    store: &dyn Store,
    name: &str,
) -> Result<Option<(WorkerEntry, u64)>, StoreError> {
    let Some(document) = store.read_document(name).await? else {
        return Ok(None);
    };
    match WorkerEntry::decode(&document.body) {
        Ok(entry) => Ok(Some((entry, document.version))),
        Err(error) => {
            tracing::debug!(document = name, %error, "passing over the entry of a worker");
            Ok(None)
        }
    }
}

/// Takes out the entry of one life of a worker, whatever was written of it meanwhile, unless there
/// was a sign of life since. Whether it was there.
pub(crate) async fn remove(store: &dyn Store, gone: &WorkerEntry) -> Result<bool, StoreError> {
    let name = WorkerEntry::document(&gone.id);
    let Some((entry, version)) = read(store, &name).await? else {
        return Ok(false);
    };
    if !entry.is_of(gone) || entry.seen_at > gone.seen_at {
        return Ok(false);
    }
    match store.delete_document(&name, version).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}
