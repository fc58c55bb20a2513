//! What the JSON API is made of.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{Clock, Store};
use longshore_telemetry::Metrics;

use crate::auth::{Access, Door, RateLimit};
use crate::caller::Caller;
use crate::live::Live;
use crate::local::{LocalBackend, LocalOptions};
use crate::memory::Memory;
use crate::openapi;

/// The parts of the JSON API; a clone is the same API.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) backend: LocalBackend,
    pub(crate) door: Door,
    pub(crate) live: Live,
    pub(crate) metrics: Option<Metrics>,
    /// The OpenAPI document.
    pub(crate) document: Bytes,
    /// What answers are made in that may be large.
    pub(crate) memory: Memory,
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
            memory: Memory::default(),
            document: Bytes::from(openapi::document().to_string()),
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
