//! What every answer is made of.

use std::fmt;
use std::sync::Arc;

use longshore_core::{Clock, Store};

use crate::otlp::Receiver;

/// The parts of a daemon, shared by all requests; a clone is the same daemon.
#[derive(Clone)]
pub struct AppState {
    /// Where the jobs are.
    pub(crate) store: Arc<dyn Store>,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    /// Who takes what programs send over OTLP, if anybody does.
    pub(crate) receiver: Option<Receiver>,
}

impl AppState {
    /// A daemon for the jobs in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            receiver: None,
        }
    }

    /// The same, taking OTLP too.
    #[must_use]
    pub fn with_receiver(self, receiver: Receiver) -> Self {
        Self {
            receiver: Some(receiver),
            ..self
        }
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("now", &self.clock.now())
            .finish_non_exhaustive()
    }
}
