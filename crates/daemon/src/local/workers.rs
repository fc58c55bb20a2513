//! The workers of the store.

use longshore_api::ApiError;
use longshore_api::worker::Worker;
use longshore_queue::Workers;

use super::LocalBackend;

impl LocalBackend {
    pub(super) async fn list_workers(&self) -> Result<Vec<Worker>, ApiError> {
        let workers = Workers::list(&*self.store).await?;
        let shown = |entry| Worker::of(entry, workers.as_of);
        Ok(workers.entries.iter().map(shown).collect())
    }
}
