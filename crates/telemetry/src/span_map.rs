//! Maps by span id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use longshore_core::SpanId;

/// A map by the ids of spans that this process has begun. They are random or made by a hash
/// already, so that it hardly hashes them.
pub(crate) type SpanMap<V> = HashMap<SpanId, V, BuildHasherDefault<IdHasher>>;

/// Spreads the bits of an id over all places.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

/// An odd number without a pattern.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * SPREAD;
        // Each half alone leaves out some of the bits.
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;

    #[test]
    fn ids_that_are_alike_are_spread() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        for shift in [0, 8, 32, 48] {
            let ids = (1..=4096_u64).map(|number| SpanId::from_u64(number << shift));
            let hashes: Vec<u64> = ids.map(|id| hasher.hash_one(id)).collect();
            let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xfff).collect();
            let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            assert!(low.len() > 1000, "{shift}: {}", low.len());
            assert!(high.len() > 100, "{shift}: {}", high.len());
        }
    }
}
