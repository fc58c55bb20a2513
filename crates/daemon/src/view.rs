//! What the JSON API is made of.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{Clock, SpanContext, Store};
use longshore_telemetry::Metrics;

use crate::auth::{Access, Door, RateLimit};
use crate::local::{LocalBackend, LocalOptions};
use crate::openapi;

/// The parts of the JSON API; a clone is the same API.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) backend: LocalBackend,
    pub(crate) door: Door,
    pub(crate) metrics: Option<Metrics>,
    /// The OpenAPI document.
    pub(crate) document: Bytes,
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
            metrics: None,
            document: Bytes::from(openapi::document().to_string()),
        }
    }

    /// The backend on behalf of whoever asks.
    pub(crate) fn called_by(&self, caller: &Option<SpanContext>) -> LocalBackend {
        match caller {
            Some(caller) => self.backend.called_by(caller.clone()),
            None => self.backend.clone(),
        }
    }
}
