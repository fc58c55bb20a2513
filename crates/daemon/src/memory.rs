//! How much memory answers may take that may be large, all requests together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_api::ApiError;
use longshore_telemetry::metrics::AnswerCounters;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all answers may take that are made at the same time.
const TOTAL: usize = 2 << 30;
/// In which pieces it is given out.
const PIECE: usize = 1 << 20;
/// What the smallest answer has, so that so few are made at once that others have the processor too.
const LEAST: usize = 64 << 20;
/// Most time to wait for a share.
const PATIENCE: Duration = Duration::from_secs(10);

/// The memory of answers that may be large. A clone is the same memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    free: Arc<Semaphore>,
    pieces: u32,
    counters: Arc<Mutex<AnswerCounters>>,
}

/// The part of it that one answer has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share(OwnedSemaphorePermit);

impl Default for Memory {
    fn default() -> Self {
        Self::of(TOTAL)
    }
}

impl Memory {
    /// So many bytes.
    fn of(total: usize) -> Self {
        let pieces = pieces(total);
        Self {
            free: Arc::new(Semaphore::new(pieces as usize)),
            pieces,
            counters: Arc::default(),
        }
    }

    /// A share of so many bytes, in the order in which they were asked for; one that is larger than
    /// all there is has all there is.
    ///
    /// # Errors
    /// `Unavailable` if there was no room within 10 s.
    pub(crate) async fn share(&self, bytes: usize) -> Result<Share, ApiError> {
        let wanted = pieces(bytes.max(LEAST)).min(self.pieces);
        let free = Arc::clone(&self.free);
        if let Ok(share) = Arc::clone(&free).try_acquire_many_owned(wanted) {
            self.counters().at_once += 1;
            return Ok(Share(share));
        }
        match tokio::time::timeout(PATIENCE, free.acquire_many_owned(wanted)).await {
            Ok(Ok(share)) => {
                self.counters().waited += 1;
                Ok(Share(share))
            }
            Ok(Err(_)) | Err(_) => {
                self.counters().refused += 1;
                Err(ApiError::Unavailable(
                    "as many large traces are being shown as there is memory for: ask again in a \
                     few seconds"
                        .to_owned(),
                ))
            }
        }
    }

    /// What was given out so far, and what is at this moment.
    pub(crate) fn counted(&self) -> AnswerCounters {
        let given = (self.pieces as usize).saturating_sub(self.free.available_permits());
        AnswerCounters {
            bytes: (given * PIECE) as u64,
            ..*self.counters()
        }
    }

    fn counters(&self) -> MutexGuard<'_, AnswerCounters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Gives back what is beyond so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let kept = pieces(bytes.max(LEAST)) as usize;
        drop(self.0.split(self.0.num_permits().saturating_sub(kept)));
    }
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_waits_and_then_is_refused_and_all_is_counted() {
        let memory = Memory::of(1024 * MIB);
        let half = memory.share(512 * MIB).await.unwrap();
        let mut rest = memory.share(512 * MIB).await.unwrap();
        let refused = memory.share(1).await.unwrap_err();
        assert!(matches!(refused, ApiError::Unavailable(_)), "{refused:?}");
        let (waiting, ()) = tokio::join!(memory.share(100 * MIB), async { drop(half) });
        let _waited = waiting.unwrap();
        assert_eq!(
            memory.counted(),
            AnswerCounters {
                at_once: 2,
                waited: 1,
                refused: 1,
                bytes: (612 * MIB) as u64,
            }
        );
        rest.shrink_to(200 * MIB);
        assert_eq!(memory.counted().bytes, (300 * MIB) as u64);
        rest.shrink_to(1);
        rest.shrink_to(400 * MIB);
        assert_eq!(memory.counted().bytes, (164 * MIB) as u64);
    }

    /// Or nobody would ever see it.
    #[tokio::test]
    async fn what_is_larger_than_all_there_is_has_all_of_it() {
        let memory = Memory::of(128 * MIB);
        let all = memory.share(usize::MAX).await.unwrap();
        assert_eq!(memory.counted().bytes, (128 * MIB) as u64);
        drop(all);
        assert_eq!(memory.counted().bytes, 0);
    }
}
