//! Upkeep by who reads as well.

use longshore_core::Timestamp;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::upkeep::{Kept, Upkeep};

impl TraceStore {
    /// A turn of upkeep of the folders of this store, as [`Sealer::turn`](crate::Sealer::turn)
    /// describes it; what it changed is known to this store when it ends.
    ///
    /// # Errors
    /// As [`Sealer::turn`](crate::Sealer::turn).
    pub fn upkeep(&self, upkeep: &Upkeep, now: Timestamp) -> Result<Kept, TraceStoreError> {
        let kept = lock(&self.sealer).turn(upkeep, now);
        // Else the spans would be neither in the log nor known to be sealed.
        self.refresh_all()?;
        kept
    }
}
