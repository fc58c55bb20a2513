//! From a URL to a store.

use std::sync::Arc;

use longshore_core::{ErrorKind, Store, StoreError};

/// Opens the store that a URL names: `sqlite:jobs.db`, `sqlite:/var/lib/app/jobs.db`, or
/// `memory:` for one that is gone with the process.
///
/// # Errors
/// A URL that names no store of this build, or the store's own reason.
pub fn connect(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" => Ok(Arc::new(longshore_memory::MemoryStore::new())),
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let options = longshore_sqlite::SqliteOptions::from_url(url)?;
            Ok(Arc::new(longshore_sqlite::SqliteStore::open(options)?))
        }
        _ => Err(unknown(url)),
    }
}

fn unknown(url: &str) -> StoreError {
    let known = if cfg!(feature = "sqlite") {
        "sqlite:PATH or memory:"
    } else {
        "memory: (the feature `sqlite` is off)"
    };
    let shown: String = url.chars().take(100).collect();
    StoreError::new(
        ErrorKind::Invalid,
        format!("`{shown}` names no store; use {known}"),
    )
}
