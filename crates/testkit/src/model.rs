//! The model test: random sequences of calls against a reference store and the store under test,
//! whose answers and rows must stay equal.
//!
//! Both stores share one clock. Ids are chosen here, so that the stores' own randomness, which
//! only makes ids and lease tokens, need not agree.

mod driver;
mod moved;
mod operation;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use longshore_core::{Clock, Random};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::clock::{ManualClock, SeededRandom};
use crate::harness::{Subject, runtime};
use crate::model::driver::Driver;
pub use crate::model::moved::{check_moved, check_moved_unpruned};
pub use crate::model::operation::{Ending, Offer, Operation, operations};

/// Where two stores first disagreed.
#[derive(Debug)]
pub struct Difference {
    /// Which operation it was, from 0; the last one is shown in full.
    pub step: usize,
    /// The operation.
    pub operation: Operation,
    /// What was compared: an answer, or a look at the store after it.
    pub what: String,
    /// What the reference said.
    pub reference: String,
    /// What the store under test said.
    pub subject: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the stores differ in {} after operation {}, {:?}\n reference: {}\n   subject: {}",
            self.what, self.step, self.operation, self.reference, self.subject
        )
    }
}

impl std::error::Error for Difference {}

/// Runs one sequence against two fresh stores.
///
/// # Errors
/// Where the stores first disagreed.
pub async fn run<A, AFut, ASub, B, BFut, BSub>(
    reference: A,
    subject: B,
    operations: &[Operation],
) -> Result<(), Difference>
where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BSub>,
    BSub: Into<Subject>,
{
    let clock = Arc::new(ManualClock::default());
    let random = |seed| Arc::new(SeededRandom::new(seed));
    let reference: Subject = reference(clock.clone(), random(1)).await.into();
    let subject: Subject = subject(clock.clone(), random(2)).await.into();
    let mut driver = Driver::new(clock, reference.store(), subject.store());
    for (step, operation) in operations.iter().enumerate() {
        driver.step(step, operation).await?;
    }
    Ok(())
}

/// Runs `cases` sequences that follow from `seed`; shrinks one that fails.
///
/// # Panics
/// With the shortest sequence found over which the stores disagree.
pub fn check<A, AFut, ASub, B, BFut, BSub>(cases: u32, seed: u64, reference: A, subject: B)
where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BSub>,
    BSub: Into<Subject>,
{
    let runtime = runtime();
    let outcome = runner(cases, seed).run(&operations(), |operations| {
        runtime
            .block_on(run(&reference, &subject, &operations))
            .map_err(|difference| TestCaseError::fail(difference.to_string()))
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
}

/// Runs so many cases that follow from `seed`.
fn runner(cases: u32, seed: u64) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    for (slot, byte) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *slot = byte;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(config, rng)
}
