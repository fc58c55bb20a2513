//! Small cases of several processes, explored in every order with every fault, and the same with
//! promises broken that the protocol builds on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{
    AttemptError, ClaimRequest, Claimed, JobId, NewJob, Outcome, Place, PruneRequest, Settlement,
    Store, WorkerId,
};
use longshore_object::{Batch, BatchKey, Key, Ledger, MintedId, ObjectStore, StoreMark};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::explore::{Faults, Process, World, at_once, explore};
use crate::server::{Actor, Broken, Gate, Server};

/// What a process does.
#[derive(Clone, Copy, Debug)]
enum Script {
    /// Claims so many jobs at a time, so often, and ends each well.
    Work { limit: usize, rounds: usize },
    /// The same, but each attempt but the last fails and is to run again: soon, or after long.
    Fail { seconds: u64 },
    /// Completes jobs that are followed by another.
    Follow,
    /// Takes expired leases back, then works.
    Rescue,
    /// Cancels the first job.
    Cancel,
    /// Makes the first job run again.
    Retry,
    /// Enqueues so many jobs.
    Produce(usize),
    /// Works, and two hours later deletes what is over.
    Prune,
}

/// A small case.
#[derive(Clone, Copy, Debug)]
struct Case {
    jobs: usize,
    scripts: &'static [Script],
    faults: Faults,
    broken: Option<Broken>,
}

/// What was said to callers.
#[derive(Debug, Default)]
struct Told {
    acknowledged: Vec<JobId>,
    cancelled: Vec<JobId>,
}

struct Small {
    case: Case,
    clock: Arc<ManualClock>,
    server: Arc<Server>,
    mark: StoreMark,
    told: Arc<Mutex<Told>>,
}

fn place() -> Place {
    Place::new("q".parse().unwrap())
}

fn new_job(id: JobId) -> NewJob {
    NewJob::new(id, "q".parse().unwrap(), "k".parse().unwrap(), "{}")
}

fn open(actor: Actor, seed: u64) -> ObjectStore {
    let random = Arc::new(SeededRandom::new(seed));
    let store = at_once(ObjectStore::open(Arc::new(actor), random)).unwrap();
    // The list of queues is known from here on.
    at_once(store.mint(&[place()])).unwrap();
    store
}

impl Small {
    fn new(case: Case) -> Self {
        let clock = Arc::new(ManualClock::default());
        let server = Arc::new(Server::broken(clock.clone(), case.broken));
        let store = open(Actor::of(&server), 1);
        let told = Arc::new(Mutex::new(Told::default()));
        let ids = at_once(store.mint(&vec![place(); case.jobs])).unwrap();
        let jobs = ids.iter().cloned().map(new_job).collect();
        at_once(store.enqueue(jobs)).unwrap();
        told.lock().unwrap().acknowledged = ids;
        let (bytes, _) = server.peek(&Key::Root).unwrap();
        let mark = longshore_object::Root::decode(&bytes).unwrap().mark;
        Self {
            case,
            clock,
            server,
            mark,
            told,
        }
    }

    fn acknowledged(&self) -> Vec<JobId> {
        self.told.lock().unwrap().acknowledged.clone()
    }

    fn place_of(&self, id: &JobId) -> (BatchKey, u16) {
        let minted = MintedId::read(id, self.mark).unwrap();
        (minted.batch, minted.index)
    }

    /// The ledger of a batch, if it is true.
    fn ledger(&self, key: BatchKey) -> Option<Ledger> {
        let (bytes, _) = self.server.peek(&Key::ledger(&key))?;
        let ledger = Ledger::decode(&bytes).unwrap();
        (ledger.generation > 0 || self.batch(key).is_some()).then_some(ledger)
    }

    fn batch(&self, key: BatchKey) -> Option<Batch> {
        let (bytes, modified) = self.server.peek(&Key::Batch(key))?;
        (!key.name.is_void(modified)).then(|| Batch::decode(&bytes).unwrap())
    }

    /// Whether a job that was acknowledged is over, or hangs on an entry with all its data.
    fn check_job(&self, id: &JobId) -> Result<(), String> {
        let (key, index) = self.place_of(id);
        if self.server.watch().completed(key.name, index) > 1 {
            return Err(format!("{id} was completed twice"));
        }
        let Some(ledger) = self.ledger(key) else {
            return match self.batch(key) {
                Some(_) => Ok(()),
                None if self.was_pruned(key, index) => Ok(()),
                None => Err(format!("{id} is lost: neither batch nor ledger is there")),
            };
        };
        let is_over = ledger.row(index).is_some_and(|row| row.state.is_final());
        if ledger.carried.is_none() && self.batch(key).is_none() {
            return Err(format!("{id} has lost its data"));
        }
        let entry = ledger.entry_key();
        if !is_over && self.server.peek(&entry).is_none() {
            return Err(format!("no entry leads to {id}"));
        }
        Ok(())
    }

    fn was_pruned(&self, key: BatchKey, index: u16) -> bool {
        let mut scripts = self.case.scripts.iter();
        let prunes = scripts.any(|script| matches!(script, Script::Prune));
        prunes && self.server.watch().completed(key.name, index) == 1
    }

    /// What is left in the index, but for batches that came too late to count and pointers that no
    /// ledger names yet: those are for the sweep.
    fn left(&self) -> Vec<Key> {
        let entries = self.server.entries();
        let keys = entries.iter().map(|entry| entry.parse().unwrap());
        let counts = |key: &Key| match key {
            Key::Batch(key) => self.batch(*key).is_some(),
            Key::Pointer(pointer) => {
                let key = Key::Ledger {
                    shard: pointer.line.shard,
                    batch: pointer.batch,
                };
                let found = self.server.peek(&key);
                let ledger = found.map(|(bytes, _)| Ledger::decode(&bytes).unwrap());
                ledger.is_some_and(|ledger| ledger.generation >= pointer.generation)
            }
            _ => true,
        };
        keys.filter(counts).collect()
    }

    /// Works until nothing is left to do.
    fn settle_all(&self, store: &ObjectStore) {
        for _ in 0..12 {
            self.clock.advance(Duration::from_secs(100));
            at_once(store.rescue(100)).unwrap();
            let claimed = at_once(store.claim(&wish("cleaner", 100))).unwrap();
            let settlements = claimed.iter().map(complete).collect();
            at_once(store.settle(settlements)).unwrap();
            if self.left().is_empty() {
                return;
            }
        }
    }
}

fn wish(worker: &str, limit: usize) -> ClaimRequest {
    let lease = Duration::from_secs(30);
    ClaimRequest::new(
        WorkerId::new(worker),
        vec!["q".parse().unwrap()],
        limit,
        lease,
    )
}

fn settlement(claimed: &Claimed, outcome: Outcome) -> Settlement {
    Settlement {
        job_id: claimed.job.id.clone(),
        token: claimed.lease.token,
        outcome,
        follow_ups: Vec::new(),
        keep: None,
        span: None,
    }
}

fn complete(claimed: &Claimed) -> Settlement {
    settlement(claimed, Outcome::Complete { result: None })
}

/// The part of a process.
struct Part {
    store: ObjectStore,
    server: Arc<Server>,
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Told>>,
    name: String,
}

impl Part {
    async fn play(self, script: Script) {
        match script {
            Script::Work { limit, rounds } => {
                for _ in 0..rounds {
                    self.work(limit, complete).await;
                }
            }
            Script::Fail { seconds } => {
                let at =
                    longshore_core::Clock::now(&*self.clock).after(Duration::from_secs(seconds));
                let fail = |claimed: &Claimed| {
                    let error = AttemptError::new("check", "as the test wants");
                    let available_at = at;
                    settlement(
                        claimed,
                        Outcome::Retry {
                            available_at,
                            error,
                        },
                    )
                };
                self.work(1, fail).await;
                self.work(2, complete).await;
            }
            Script::Follow => {
                let ids = self.store.mint(&[place()]).await.unwrap_or_default();
                let follow = |claimed: &Claimed| Settlement {
                    follow_ups: ids.iter().cloned().map(new_job).collect(),
                    ..complete(claimed)
                };
                if self.work(1, follow).await {
                    self.told.lock().unwrap().acknowledged.extend(ids.clone());
                }
                self.work(1, complete).await;
            }
            Script::Rescue => {
                let _ = self.store.rescue(10).await;
                self.work(2, complete).await;
            }
            Script::Cancel => {
                let first = self.told.lock().unwrap().acknowledged[..1].to_vec();
                let answers = self.store.cancel(&first).await.unwrap();
                if let Some(Ok(longshore_core::JobState::Cancelled)) = answers.first() {
                    self.told.lock().unwrap().cancelled.extend(first);
                }
            }
            Script::Retry => {
                let first = self.told.lock().unwrap().acknowledged[..1].to_vec();
                let _ = self.store.retry_now(&first).await;
            }
            Script::Prune => {
                self.work(1, complete).await;
                self.clock.advance(Duration::from_secs(7200));
                let over = longshore_core::Clock::now(&*self.clock);
                let _ = self.store.prune(&PruneRequest::before(over, 10)).await;
            }
            Script::Produce(jobs) => {
                let ids = self.store.mint(&vec![place(); jobs]).await.unwrap();
                let jobs = ids.iter().cloned().map(new_job).collect();
                let answers = self.store.enqueue(jobs).await.unwrap();
                let created = ids.into_iter().zip(answers);
                let created = created
                    .filter(|(_, answer)| answer.is_ok())
                    .map(|(id, _)| id);
                self.told.lock().unwrap().acknowledged.extend(created);
            }
        }
    }

    /// Claims and settles once; whether any settle was accepted.
    async fn work(&self, limit: usize, end: impl Fn(&Claimed) -> Settlement) -> bool {
        let Ok(claimed) = self.store.claim(&wish(&self.name, limit)).await else {
            return false;
        };
        let cancelled = self.told.lock().unwrap().cancelled.clone();
        for claimed in claimed
            .iter()
            .filter(|claimed| cancelled.contains(&claimed.job.id))
        {
            let id = &claimed.job.id;
            self.server
                .watch()
                .tell(format!("{id} was answered as cancelled, and runs"));
        }
        if claimed.is_empty() {
            return false;
        }
        let settlements = claimed.iter().map(end).collect();
        let answers = self.store.settle(settlements).await.unwrap_or_default();
        answers.iter().any(Result::is_ok)
    }
}

impl World for Small {
    fn server(&self) -> &Server {
        &self.server
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn processes(&mut self) -> Vec<Process> {
        let scripts = self.case.scripts.iter().zip(2..);
        let processes = scripts.map(|(script, seed)| {
            let gate = Arc::new(Gate::default());
            let part = Part {
                store: open(Actor::gated(&self.server, gate.clone()), seed),
                server: self.server.clone(),
                clock: self.clock.clone(),
                told: self.told.clone(),
                name: format!("worker-{seed}"),
            };
            gate.close();
            Process {
                gate,
                script: Box::pin(part.play(*script)),
            }
        });
        processes.collect()
    }

    fn check(&self) -> Result<(), String> {
        if let Some(wrong) = self.server.watch().wrong().first() {
            return Err(wrong.clone());
        }
        self.acknowledged()
            .iter()
            .try_for_each(|id| self.check_job(id))
    }

    fn finish(&self) -> Result<(), String> {
        let store = open(Actor::of(&self.server), 99);
        self.settle_all(&store);
        // What was under way for all that time lands now.
        let late: Vec<_> = self.server.late().drain(..).collect();
        for write in late {
            self.server.apply(&write);
        }
        self.settle_all(&store);
        self.check()?;
        for id in self.acknowledged() {
            let (key, index) = self.place_of(&id);
            let job = at_once(store.get(&id)).unwrap();
            if job.is_none() && self.was_pruned(key, index) {
                continue;
            }
            let job = job.ok_or_else(|| format!("{id} is gone"))?;
            if !job.state.is_final() {
                return Err(format!("{id} is {} in the end", job.state));
            }
        }
        match self.left().first() {
            Some(left) => Err(format!("{left} is left in the index")),
            None => Ok(()),
        }
    }
}

fn holds(case: Case) {
    let explored = explore(case.faults, || Small::new(case));
    let explored = explored.unwrap_or_else(|wrong| panic!("{case:?}\n{wrong}"));
    // An exploration of nothing would hold anything.
    assert!(explored.runs >= 20 && explored.states >= 40, "{explored:?}");
}

fn fails(case: Case) {
    let explored = explore(case.faults, || Small::new(case));
    assert!(explored.is_err(), "{case:?} is not found out: {explored:?}");
}

const WORK: Script = Script::Work {
    limit: 1,
    rounds: 1,
};
const WORK_ALL: Script = Script::Work {
    limit: 2,
    rounds: 1,
};

const fn faults(lost: u8, crashes: u8, expiries: u8) -> Faults {
    Faults {
        lost,
        crashes,
        expiries,
    }
}

const fn case(jobs: usize, scripts: &'static [Script], faults: Faults) -> Case {
    Case {
        jobs,
        scripts,
        faults,
        broken: None,
    }
}

const PARK: Script = Script::Fail { seconds: 90 };
const LATE: Case = case(0, &[Script::Produce(1), Script::Prune], faults(1, 0, 0));
const EXPIRED: Case = case(1, &[WORK, Script::Rescue], faults(0, 0, 1));

#[test]
fn two_workers_share_a_batch() {
    holds(case(2, &[WORK, WORK_ALL], faults(0, 1, 0)));
}

#[test]
fn answers_are_lost() {
    holds(case(1, &[WORK, WORK], faults(1, 0, 0)));
}

#[test]
fn a_lease_ends_while_its_holder_lives() {
    holds(EXPIRED);
}

#[test]
fn a_job_is_cancelled_while_it_is_claimed() {
    holds(case(1, &[WORK, Script::Cancel], faults(0, 1, 0)));
    holds(case(1, &[Script::Cancel], faults(1, 0, 0)));
}

#[test]
fn a_job_runs_again_after_long_and_is_parked() {
    holds(case(1, &[PARK, WORK], faults(0, 1, 0)));
    holds(case(1, &[PARK], faults(1, 0, 0)));
}

#[test]
fn a_job_runs_again_soon() {
    holds(case(
        2,
        &[Script::Fail { seconds: 0 }, WORK],
        faults(0, 0, 0),
    ));
}

#[test]
fn a_job_is_followed_by_another() {
    holds(case(1, &[Script::Follow, WORK], faults(0, 0, 0)));
    holds(case(1, &[Script::Follow], faults(1, 1, 0)));
}

#[test]
fn a_job_that_is_over_runs_again() {
    holds(case(1, &[WORK, Script::Retry], faults(0, 1, 0)));
}

#[test]
fn jobs_are_enqueued_while_others_work() {
    holds(case(0, &[Script::Produce(2), WORK], faults(1, 1, 0)));
}

#[test]
fn jobs_are_pruned_while_others_still_see_them() {
    holds(case(1, &[WORK, Script::Prune], faults(0, 0, 0)));
    holds(case(1, &[Script::Prune, Script::Retry], faults(0, 0, 0)));
}

#[test]
fn a_batch_lands_after_all_was_pruned() {
    holds(LATE);
}

/// The same small cases where what the protocol builds on does not hold.
#[test]
fn what_is_broken_is_found_out() {
    let pruned = case(1, &[WORK, Script::Prune], faults(0, 0, 0));
    let shared = case(1, &[WORK, WORK], faults(0, 0, 0));
    for (broken, case) in [
        (Broken::Replace, EXPIRED),
        (Broken::Create, shared),
        (Broken::Reread, pruned),
        (Broken::Dates, LATE),
    ] {
        let broken = Some(broken);
        fails(Case { broken, ..case });
    }
}
