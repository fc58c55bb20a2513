//! Jobs that come from another store.

use longshore_core::{Imported, Job, StoreError, Timestamp};

use super::Rows;
use crate::keys::{Holder, key_taken};

impl Rows {
    pub(crate) fn import(&mut self, mut job: Job, now: Timestamp) -> Result<Imported, StoreError> {
        job.check_import()?;
        if self.get(&job.id).is_some() {
            return Ok(Imported::Present);
        }
        let wants = job.holds_unique_key(now);
        let unique = job.unique_key.as_ref().filter(|_| wants);
        if let Some(holder) = self.holder_of(&job.queue, unique, now) {
            let holder = match holder {
                Holder::Row(number) => self.rows.get(&number).map(|row| row.job.id.clone()),
                Holder::Pruned(reserved) => Some(reserved.id),
            };
            return Err(key_taken(&holder.unwrap_or_else(|| job.id.clone())));
        }
        job.state = job.state_when_imported(now);
        self.insert(job);
        Ok(Imported::Stored)
    }
}
