//! What a person does to jobs: enqueues them, and changes what becomes of them.

use std::sync::Arc;

use longshore_core::SpanContext;
use longshore_instrument::{PropagationFailure, Recorder};
use longshore_queue::{Admin, Producer};

use crate::caller::Caller;

/// The calls of a person on a store.
#[derive(Debug)]
pub(crate) struct Desk {
    producer: Producer,
    recorder: Option<Arc<dyn Recorder>>,
    caller: Caller,
}

impl Desk {
    /// The calls of `caller` on the producer's store.
    pub(crate) const fn new(
        producer: Producer,
        recorder: Option<Arc<dyn Recorder>>,
        caller: Caller,
    ) -> Self {
        Self {
            producer,
            recorder,
            caller,
        }
    }

    /// Who calls.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// For enqueueing.
    pub(crate) const fn producer(&self) -> &Producer {
        &self.producer
    }

    /// For everything else.
    pub(crate) fn admin(&self) -> Admin {
        let mut admin = Admin::new(Arc::clone(self.producer.store()));
        if let Some(recorder) = &self.recorder {
            admin = admin.with_recorder(Arc::clone(recorder));
            if let Some(parent) = self.parent(&**recorder) {
                admin = admin.called_by(parent);
            }
        }
        admin
    }

    /// The caller's span; one that cannot be read is counted.
    fn parent(&self, recorder: &dyn Recorder) -> Option<SpanContext> {
        let read = self.caller.context()?;
        read.inspect_err(|error| {
            recorder.propagation_failed(PropagationFailure {
                direction: "extract",
                reason: error.reason(),
            });
        })
        .ok()
    }
}
