//! A worker that the network holds up: its calls and their answers wait, and go on late.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use longshore::{Store, StoreError};
use longshore_testkit::way::{Effect, Traffic, Way};
use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub(crate) struct Stall {
    stalled: Arc<AtomicBool>,
    // Not a watch channel: that wakes those who wait in no certain order.
    over: Arc<Notify>,
    start: Arc<Mutex<Option<Start>>>,
}

/// At what a stall is to begin by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a call of this method, which waits.
    Call(&'static str),
    /// Once the worker has heard of jobs that it claimed.
    Claimed,
    /// Once it hears the answer that is on its way.
    Answer,
}

impl Stall {
    /// From now on calls and answers wait.
    pub(crate) fn begin(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }

    /// The same, once the worker has come to this.
    pub(crate) fn begin_at(&self, start: Start) {
        *self.start.lock().unwrap() = Some(start);
    }

    fn come_to(&self, start: Start) -> bool {
        let mut awaited = self.start.lock().unwrap();
        let has_come = *awaited == Some(start);
        if has_come {
            *awaited = None;
        }
        has_come
    }

    /// They go on.
    pub(crate) fn end(&self) {
        *self.start.lock().unwrap() = None;
        self.stalled.store(false, Ordering::SeqCst);
        self.over.notify_waiters();
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }

    async fn is_over(&self) {
        loop {
            let over = self.over.notified();
            if !self.is_under_way() {
                return;
            }
            over.await;
        }
    }
}

impl Way for Stall {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        if self.come_to(Start::Call(method)) {
            self.begin();
        }
        self.is_over().await;
        let answer = effect.await;
        self.is_over().await;
        if method == "claim" && self.come_to(Start::Answer) {
            self.begin();
        }
        answer
    }

    async fn look(&self, _store: &Arc<dyn Store>, traffic: Traffic<'_>) {
        if matches!(traffic, Traffic::Claim(claimed) if !claimed.is_empty())
            && self.come_to(Start::Claimed)
        {
            self.begin_at(Start::Answer);
        }
    }
}
