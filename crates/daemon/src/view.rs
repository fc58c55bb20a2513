//! What the JSON API is made of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_api::ApiError;
use longshore_core::{Clock, Store};
use longshore_telemetry::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::{Access, Door, RateLimit};
use crate::caller::Caller;
use crate::live::Live;
use crate::local::{LocalBackend, LocalOptions};
use crate::openapi;

/// Most answers at once that may be large: one of a million spans takes about 1.5 GB while it is
/// made.
const LARGE: usize = 4;

/// Most time to wait for one's turn.
const LARGE_WAIT: Duration = Duration::from_secs(10);

/// The parts of the JSON API; a clone is the same API.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) backend: LocalBackend,
    pub(crate) door: Door,
    pub(crate) live: Live,
    pub(crate) metrics: Option<Metrics>,
    /// The OpenAPI document.
    pub(crate) document: Bytes,
    /// Turns for answers that may be large.
    large: Arc<Semaphore>,
}

impl View {
    /// An API over the jobs of a store, for this machine alone.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let options = LocalOptions {
            clock: Arc::clone(&clock),
            ..LocalOptions::default()
        };
        Self {
            backend: LocalBackend::new(store, options),
            door: Door::new(Access::this_machine(), RateLimit::default(), clock),
            live: Live::new(),
            metrics: None,
            large: Arc::new(Semaphore::new(LARGE)),
            document: Bytes::from(openapi::document().to_string()),
        }
    }

    /// A turn for an answer that may be large.
    pub(crate) async fn large(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = Arc::clone(&self.large).acquire_owned();
        match tokio::time::timeout(LARGE_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable(
                "too many traces are being shown: ask again in a few seconds".to_owned(),
            )),
        }
    }

    /// The backend on behalf of whoever asks.
    pub(crate) fn called_by(&self, caller: &Caller) -> LocalBackend {
        match caller.context() {
            Ok(Some(caller)) => self.backend.called_by(caller),
            Ok(None) | Err(_) => self.backend.clone(),
        }
    }
}
