//! The ids of an attempt's spans.

use std::sync::Arc;

use longshore_core::id::SpanPart;
use longshore_core::{SpanId, TraceId};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The ids of an attempt's spans, which whoever knows the enqueue span can tell again.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    pub(super) of: Arc<str>,
    pub(super) attempt: u32,
}

impl Ids {
    pub(super) fn span(&self, part: SpanPart) -> SpanId {
        let seed = (u64::from(self.attempt) << 8) | part as u64;
        SpanId::from_u64(xxh3_64_with_seed(self.of.as_bytes(), seed).max(1))
    }

    /// The id of a trace of its own, whose low 56 bits are `randomness` if given.
    pub(super) fn trace(&self, randomness: Option<u64>) -> TraceId {
        let hash = xxh3_128_with_seed(self.of.as_bytes(), u64::from(self.attempt));
        let low = u128::from(TraceId::RANDOMNESS_MASK);
        let bits = randomness.map_or(hash & low, u128::from);
        TraceId::from_u128(((hash & !low) | (bits & low)).max(1))
    }

    /// Those of the attempt before.
    pub(super) fn before(&self) -> Option<Self> {
        (self.attempt > 1).then(|| Self {
            of: Arc::clone(&self.of),
            attempt: self.attempt - 1,
        })
    }
}
