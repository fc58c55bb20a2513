//! A worker that the network holds up: its calls and their answers wait, and go on late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore::StoreError;
use longshore_testkit::way::{Effect, Way};
use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub(crate) struct Stall {
    stalled: Arc<AtomicBool>,
    // Not a watch channel: that wakes those who wait in no certain order.
    over: Arc<Notify>,
}

impl Stall {
    /// From now on calls and answers wait.
    pub(crate) fn begin(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }

    /// They go on.
    pub(crate) fn end(&self) {
        self.stalled.store(false, Ordering::SeqCst);
        self.over.notify_waiters();
    }

    async fn is_over(&self) {
        loop {
            let over = self.over.notified();
            if !self.stalled.load(Ordering::SeqCst) {
                return;
            }
            over.await;
        }
    }
}

impl Way for Stall {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        self.is_over().await;
        let answer = effect.await;
        self.is_over().await;
        answer
    }
}
