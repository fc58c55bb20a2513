//! What each job of the experiment does: it follows from the seed and the job's number, and
//! travels in its args.

use serde::{Deserialize, Serialize};

/// The objective that says which run is slow, in milliseconds.
pub const OBJECTIVE_MS: u64 = 1000;

/// The args of a job.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// Milliseconds until it may run.
    pub delay: u64,
    /// How many of its attempts fail.
    pub failures: u32,
    /// How often it asks to run later before that.
    pub snoozes: u32,
    /// Milliseconds that its last attempt takes.
    pub work: u64,
}

impl Plan {
    /// The plan of job `number` of `jobs`.
    pub fn new(seed: u64, number: u64, jobs: u64) -> Self {
        let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let surge = number >= jobs * 3 / 4;
        let failing = if surge { 200 } else { 20 };
        let fails = random.below(1000) < failing;
        Self {
            delay: if random.below(100) < 3 {
                random.below(2000)
            } else {
                0
            },
            failures: if fails {
                1 + u32::from(random.below(5) == 0)
            } else {
                0
            },
            snoozes: u32::from(random.below(100) < 2),
            work: if random.below(1000) < 3 {
                OBJECTIVE_MS * 3 / 2
            } else {
                0
            },
        }
    }

    /// Whether it is slow by the objective.
    pub fn is_slow(self) -> bool {
        self.work > OBJECTIVE_MS
    }
}

/// Numbers that follow from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
