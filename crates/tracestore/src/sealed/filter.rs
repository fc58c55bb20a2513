//! Whether something may be in a sealed file, found out with one look at memory.

/// How many things share a word of bits: of things that are not there, some three in a hundred seem
/// to be.
const IN_A_WORD: usize = 8;

/// Hashes, as bits: four of a word each.
#[derive(Debug, Default)]
pub(super) struct Filter(Box<[u64]>);

impl Filter {
    /// Of these hashes, of which there are so many.
    pub(super) fn of(hashes: impl Iterator<Item = u64>, count: usize) -> Self {
        let mut words = vec![0_u64; count.div_ceil(IN_A_WORD)].into_boxed_slice();
        let length = words.len();
        for hash in hashes {
            if let Some(word) = words.get_mut(place(hash, length)) {
                *word |= bits(hash);
            }
        }
        Self(words)
    }

    /// Whether this one may be among them.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let bits = bits(hash);
        let word = self.0.get(place(hash, self.0.len()));
        word.is_some_and(|word| word & bits == bits)
    }
}

/// The upper half of a hash says which word, the lower one which bits.
fn place(hash: u64, length: usize) -> usize {
    ((u128::from(hash) * length as u128) >> 64) as usize
}

fn bits(hash: u64) -> u64 {
    (0..4).fold(0, |bits, part| bits | 1 << (hash >> (6 * part) & 63))
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn hash(number: u32) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    #[test]
    fn all_that_is_there_is_found_and_little_else() {
        for count in [0, 1, 7, 8, 9, 30_000] {
            let filter = Filter::of((0..count).map(hash), count as usize);
            assert!((0..count).all(|number| filter.may_have(hash(number))));
            let strangers = (0..10_000).map(|number| hash(1_000_000 + number));
            let seem = strangers.filter(|hash| filter.may_have(*hash)).count();
            assert!(count < 9 || seem < 800, "{seem} of 10 000 among {count}");
        }
    }
}
