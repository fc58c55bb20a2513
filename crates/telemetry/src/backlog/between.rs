//! What lies between the end of a span log that is written and the end that is read.

use std::sync::atomic::{AtomicU64, Ordering};

/// What both ends know of the spans of this process that lie between them.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// Those that were written down for good and not read.
    unread: AtomicU64,
    /// How often the folder was removed beneath them.
    removals: AtomicU64,
}

impl Between {
    pub(super) fn written(&self, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        self.unread.fetch_add(spans, Ordering::Relaxed);
    }

    /// They were read, or are gone.
    pub(super) fn left(&self, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        let less = |unread: u64| Some(unread.saturating_sub(spans));
        let _never_fails = self
            .unread
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The folder was removed. Gives back how many spans went with it.
    pub(super) fn removed(&self) -> usize {
        // First, so that the reader gives up what it has open before more is counted.
        self.removals.fetch_add(1, Ordering::Release);
        let lost = self.unread.swap(0, Ordering::Relaxed);
        usize::try_from(lost).unwrap_or(usize::MAX)
    }

    pub(super) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }
}
