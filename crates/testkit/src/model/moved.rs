//! The model test of a move: after any calls to a reference, it is copied into the store under test,
//! by a copy that is interrupted and repeated; from then on the two must stay equal.

use std::future::Future;
use std::sync::Arc;

use longshore_core::{Clock, ErrorKind, Import, Random, Store};
use longshore_queue::{CopyProgress, CopyStep, StoreCopy};
use proptest::strategy::Strategy as _;
use proptest::test_runner::TestCaseError;
use tokio::sync::Notify;

use super::{Difference, Driver, Ending, Operation, operations, runner};
use crate::clock::{ManualClock, SeededRandom};
use crate::conformance::import::Target;
use crate::harness::{Subject, runtime};

/// Runs `cases` pairs of sequences that follow from `seed`: one before the move, one after it.
/// `reference` gives stores of one kind, of which the subject is to take what one has.
///
/// # Panics
/// With the shortest sequences found after which the stores disagree.
pub fn check_moved<A, AFut, ASub, B, BFut, BTarget>(cases: u32, seed: u64, reference: A, subject: B)
where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BTarget>,
    BTarget: Into<Target>,
{
    check_where(cases, seed, (reference, subject), |_| true);
}

/// The same without pruning after the move, for a store that prunes jobs together which came
/// together.
///
/// # Panics
/// As [`check_moved`].
pub fn check_moved_unpruned<A, AFut, ASub, B, BFut, BTarget>(
    cases: u32,
    seed: u64,
    reference: A,
    subject: B,
) where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BTarget>,
    BTarget: Into<Target>,
{
    check_where(cases, seed, (reference, subject), |operation| {
        !matches!(operation, Operation::Prune { .. })
    });
}

fn check_where<A, AFut, ASub, B, BFut, BTarget>(
    cases: u32,
    seed: u64,
    (reference, subject): (A, B),
    is_asked: fn(&Operation) -> bool,
) where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BTarget>,
    BTarget: Into<Target>,
{
    let runtime = runtime();
    // A key whose job was pruned stays with the store that had it, and versions of documents begin
    // anew.
    let goes = |operation: &Operation| !matches!(operation, Operation::Prune { .. });
    let is_alike = |operation: &Operation| {
        use Operation as O;
        !matches!(operation, O::WriteDocument(..) | O::DeleteDocument(..))
    };
    let before = operations().prop_map(move |mut operations| {
        operations.retain(goes);
        operations
    });
    let after = operations().prop_map(move |mut operations| {
        operations.retain(|operation| is_alike(operation) && is_asked(operation));
        operations
    });
    let sequences = (before, after);
    let outcome = runner(cases, seed).run(&sequences, |(before, after)| {
        runtime
            .block_on(run(&reference, &subject, &before, &after))
            .map_err(|difference| TestCaseError::fail(difference.to_string()))
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
}

async fn run<A, AFut, ASub, B, BFut, BTarget>(
    reference: A,
    subject: B,
    before: &[Operation],
    after: &[Operation],
) -> Result<(), Difference>
where
    A: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> AFut,
    AFut: Future<Output = ASub>,
    ASub: Into<Subject>,
    B: Fn(Arc<dyn Clock>, Arc<dyn Random>) -> BFut,
    BFut: Future<Output = BTarget>,
    BTarget: Into<Target>,
{
    let clock = Arc::new(ManualClock::default());
    let random = |seed| Arc::new(SeededRandom::new(seed));
    let source: Subject = reference(clock.clone(), random(1)).await.into();
    // Calls go to two stores; the second one is nobody's.
    let beside: Subject = reference(clock.clone(), random(2)).await.into();
    let mut driver = Driver::new(clock.clone(), source.store(), beside.store());
    for (step, operation) in before.iter().enumerate() {
        driver.step(step, operation).await?;
    }
    driver.step(before.len(), &hand_back()).await?;
    let target: Target = subject(clock.clone(), random(3)).await.into();
    copy(source.store(), target.store()).await;
    let mut driver = Driver::new(clock, source.store(), target.store());
    for (step, operation) in after.iter().enumerate() {
        driver.step(before.len() + step, operation).await?;
    }
    Ok(())
}

/// Gives every job back that runs, so that none does; more claims than a sequence makes.
fn hand_back() -> Operation {
    let ending = |claim| {
        let ending = Ending {
            outcome: u8::MAX,
            delay: 0,
            follow_ups: Vec::new(),
            keep: false,
        };
        (claim, ending)
    };
    Operation::Settle((0..512).map(ending).collect())
}

/// Copies a store: once until the jobs have come, then to the end.
async fn copy(source: Arc<dyn Store>, target: Arc<dyn Import>) {
    let copy = StoreCopy::new(source, Arc::clone(&target));
    let has_come = Notify::new();
    let mut watch = |progress: CopyProgress| {
        if progress.step == CopyStep::Comparing {
            has_come.notify_one();
        }
    };
    // What is waited for next is never heard.
    let through = tokio::select! {
        biased;
        () = has_come.notified() => None,
        copied = copy.run(&mut watch) => Some(copied),
    };
    let copied = match through {
        Some(copied) => copied,
        None => copy.run(&mut |_| {}).await,
    };
    match copied {
        Ok(copied) => {
            assert!(copied.is_whole(), "{copied:?}");
            assert_eq!(copied.stored + copied.present, copied.source.jobs());
        }
        Err(refused) => {
            // It was through, and its last call was under way when it was given up.
            let mark = target.read_document("store-copy").await.unwrap();
            assert_eq!((refused.kind(), mark), (ErrorKind::Invalid, None));
        }
    }
}
