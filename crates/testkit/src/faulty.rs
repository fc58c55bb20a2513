//! A store between which and its caller things go wrong, by seed.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{ErrorKind, Job, Random, Settlement, Store, StoreError};

use crate::violations::Violations;
use crate::way::{Around, Effect, Traffic, Way};

/// How often what goes wrong, in calls of a hundred, and how slow calls are.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Calls that fail and have done nothing.
    pub refused_percent: u64,
    /// Calls that are done and whose answer is lost.
    pub lost_answer_percent: u64,
    /// Calls after which a settle that the store has answered arrives once more.
    pub repeated_settle_percent: u64,
    /// The longest time a call takes on each way.
    pub latency_max: Duration,
}

/// Most settles that are remembered, to be repeated.
const REMEMBERED: usize = 256;

/// Puts [`Faults`] between a caller and a store. Sits above whatever audits the store, so that an
/// auditor sees what was really done.
pub type FaultyStore = Around<FaultyWay>;

/// The way of a [`FaultyStore`].
pub struct FaultyWay {
    random: Arc<dyn Random>,
    faults: Faults,
    healed: AtomicBool,
    answered: Mutex<Vec<Settlement>>,
    repeated: AtomicU64,
    violations: Violations,
}

impl FaultyStore {
    /// A faulty way to `inner`; the same `random` makes the same faults.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, random: Arc<dyn Random>, faults: Faults) -> Self {
        let way = FaultyWay {
            random,
            faults,
            healed: AtomicBool::new(false),
            answered: Mutex::default(),
            repeated: AtomicU64::new(0),
            violations: Violations::default(),
        };
        Self::through(inner, way)
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.way().healed.store(true, Ordering::SeqCst);
    }

    /// How many settles arrived once more.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.way().repeated.load(Ordering::SeqCst)
    }

    /// What the store did with those and must not.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.way().violations.all()
    }
}

impl FaultyWay {
    async fn travel(&self) {
        let nanos = u64::try_from(self.faults.latency_max.as_nanos()).unwrap_or(u64::MAX);
        let taken = self.random.next_u64() % nanos.max(1);
        tokio::time::sleep(Duration::from_nanos(taken)).await;
    }

    /// An old settle that is to arrive again now, if one is.
    fn draw(&self) -> Option<Settlement> {
        if self.random.next_u64() % 100 >= self.faults.repeated_settle_percent {
            return None;
        }
        let answered = self.lock();
        let count = u64::try_from(answered.len()).unwrap_or(u64::MAX);
        let place = self.random.next_u64().checked_rem(count)?;
        let drawn = answered.get(usize::try_from(place).ok()?).cloned();
        drop(answered);
        drawn
    }

    fn remember(&self, settlements: &[Settlement]) {
        let mut answered = self.lock();
        answered.extend_from_slice(settlements);
        let excess = answered.len().saturating_sub(REMEMBERED);
        answered.drain(..excess);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Settlement>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way for FaultyWay {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        if self.healed.load(Ordering::SeqCst) {
            return effect.await;
        }
        self.travel().await;
        let roll = self.random.next_u64() % 100;
        if roll < self.faults.refused_percent {
            return Err(unavailable("the call was lost on its way there"));
        }
        let answer = effect.await;
        self.travel().await;
        if roll < self.faults.refused_percent + self.faults.lost_answer_percent {
            return Err(unavailable("the answer was lost on its way back"));
        }
        answer
    }

    async fn look(&self, store: &Arc<dyn Store>, traffic: Traffic<'_>) {
        if self.healed.load(Ordering::SeqCst) {
            return;
        }
        if let Traffic::Settle(settlements, _) = traffic {
            self.remember(settlements);
        }
        if let Some(settlement) = self.draw() {
            self.repeated.fetch_add(1, Ordering::SeqCst);
            let broken = settle_again(&**store, settlement).await;
            self.violations
                .check(broken.is_none(), || broken.unwrap_or_default());
        }
    }
}

/// Settles what the store has answered before; gives back what it must not do: anything but to
/// say that the lease is lost, or any write.
pub async fn settle_again(store: &dyn Store, settlement: Settlement) -> Option<String> {
    let before = rows_of(store, &settlement).await;
    let answers = store.settle(vec![settlement.clone()]).await;
    let after = rows_of(store, &settlement).await;
    let id = &settlement.job_id;
    let refused = |answer: &Result<_, StoreError>| matches!(answer, Err(error) if error.kind() == ErrorKind::LeaseLost);
    match answers {
        Ok(answers) if !answers.iter().all(refused) => Some(format!(
            "a settle of {id} that was answered before was answered {answers:?}"
        )),
        Err(error) => Some(format!("a repeated settle of {id} failed: {error}")),
        Ok(_) if before != after => Some(format!(
            "a refused settle of {id} wrote: {before:?} became {after:?}"
        )),
        Ok(_) => None,
    }
}

/// The rows that a settle could write to: its job's and those of its follow-ups, as far as they
/// are there.
async fn rows_of(store: &dyn Store, settlement: &Settlement) -> Vec<Option<Job>> {
    let mut rows = Vec::with_capacity(1 + settlement.follow_ups.len());
    let follow_ups = settlement.follow_ups.iter().map(|job| &job.id);
    for id in std::iter::once(&settlement.job_id).chain(follow_ups) {
        rows.push(store.get(id).await.ok().flatten());
    }
    rows
}

fn unavailable(why: &str) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, why)
}

impl fmt::Debug for FaultyWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.faults).finish()
    }
}
