//! Small cases of several processes, explored in every order with every fault, and the same with
//! promises broken that the protocol builds on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{AttemptOutcome, JobId, Store};
use longshore_object::{
    Batch, BatchKey, FAMILIES, Key, Ledger, MintedId, Mutation, ObjectStore, Reservation, Row,
    StoreMark, Tuning,
};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::explore::{Faults, Process, World, at_once, explore, wander};
use crate::parts;
use crate::script::{Part, Script, Told, complete, new_job, place, wish};
use crate::server::{Actor, Broken, Gate, Server};

/// A small case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) jobs: usize,
    pub(crate) scripts: &'static [Script],
    pub(crate) faults: Faults,
    pub(crate) broken: Option<Broken>,
    /// The processes differ by two seconds about the time.
    pub(crate) skewed: bool,
}

/// Who sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweeper {
    /// A worker of other queues, which takes leases back meanwhile.
    Works,
    /// One that was away.
    Returns,
    /// A process that only prunes.
    NeverWorks,
}

pub(crate) struct Small {
    case: Case,
    clock: Arc<ManualClock>,
    server: Arc<Server>,
    mark: StoreMark,
    told: Arc<Mutex<Told>>,
}

fn open(actor: Actor, seed: u64) -> ObjectStore {
    let random = Arc::new(SeededRandom::new(seed));
    let opened = ObjectStore::open_with(Arc::new(actor), random, Tuning::AT_ONCE);
    let store = at_once(opened).unwrap();
    // The list of queues is known from here on.
    at_once(store.mint(&[place()])).unwrap();
    store
}

impl Small {
    fn new(case: Case) -> Self {
        let clock = Arc::new(ManualClock::default());
        let server = Arc::new(Server::broken(clock.clone(), case.broken));
        let store = open(Actor::of(&server), 1);
        let sweeps = |script: &Script| matches!(script, Script::Sweep(_));
        if case.scripts.iter().any(sweeps) {
            // Args are swept once there was a sweep not long ago, by one who works.
            at_once(store.claim(&wish("first", 1))).unwrap();
            at_once(store.sweep()).unwrap();
            clock.advance(Duration::from_secs(7 * 3600));
        }
        let told = Arc::new(Mutex::new(Told::default()));
        let ids = at_once(store.mint(&vec![place(); case.jobs])).unwrap();
        let jobs = ids.iter().cloned().map(new_job).collect();
        at_once(store.enqueue(jobs)).unwrap();
        told.lock().unwrap().acknowledged = ids;
        if case.scripts.contains(&Script::Shared) {
            told.lock().unwrap().shared = at_once(store.mint(&[place()])).unwrap().pop();
        }
        // Surely due: what is listed can be claimed unseen.
        clock.advance(Duration::from_secs(1));
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
        match MintedId::read(id, self.mark) {
            Some(minted) => (minted.batch, minted.index),
            None => {
                let (bytes, _) = self.server.peek(&Key::Chosen(id.clone())).unwrap();
                let reservation = Reservation::decode(&bytes).unwrap();
                (reservation.key, reservation.index())
            }
        }
    }

    /// At most one job has the key that all have who have one, until it is over.
    fn check_key(&self) -> Result<(), String> {
        let batches = self
            .server
            .keys("i/")
            .into_iter()
            .filter_map(|key| match key {
                Key::Batch(key) => self.batch(key),
                _ => None,
            });
        let has_key = |batch: &Batch| {
            let stored = batch.job(0);
            stored.is_some_and(|stored| stored.job.unique_key.is_some())
        };
        let is_over = |batch: &Batch| {
            let ledger = self.ledger(batch.key);
            ledger.is_some_and(|ledger| ledger.is_over(None))
        };
        let open: Vec<Batch> = batches
            .filter(|batch| has_key(batch) && !is_over(batch))
            .collect();
        match open.as_slice() {
            [] | [_] => Ok(()),
            [..] => Err(format!("{} jobs have one key", open.len())),
        }
    }

    /// An entry leads to follow-ups that are still to be made.
    fn check_follow_ups(&self) -> Result<(), String> {
        for key in self.server.keys("l/") {
            let (bytes, _) = self.server.peek(&key).unwrap();
            let ledger = Ledger::decode(&bytes).unwrap();
            let is_there = |key: &BatchKey| {
                self.batch(*key).is_some() || self.server.peek(&Key::ledger(key)).is_some()
            };
            let mut open = ledger.outbox.iter().filter(|to| to.batch.is_some());
            let has_entry = self.server.peek(&ledger.entry_key()).is_some();
            if !ledger.pruned && !has_entry && !open.all(|to| is_there(&to.key)) {
                return Err(format!("nothing leads to what follows {key}"));
            }
        }
        Ok(())
    }

    /// Of no row of the table of keys is anything left that the sweep was to put in order.
    fn check_family(&self, row: &Row) -> Result<(), String> {
        for key in self.server.keys(row.family.prefix()) {
            let is_in_order = match &key {
                // Every job is over.
                Key::Batch(_) | Key::Pointer(_) => false,
                Key::Ledger { .. } => {
                    let (bytes, _) = self.server.peek(&key).unwrap();
                    Ledger::decode(&bytes).unwrap().generation > 0
                }
                Key::Args { batch, .. } | Key::Outcome { batch, .. } => {
                    let (shard, batch) = (0, *batch);
                    self.server.peek(&Key::Ledger { shard, batch }).is_some()
                }
                _ => true,
            };
            if !is_in_order {
                return Err(format!("{key} is left by the sweep"));
            }
        }
        Ok(())
    }

    /// No more jobs were completed than there can be: none has come back under another name.
    fn check_count(&self) -> Result<(), String> {
        let scripts = self.case.scripts.iter();
        let made = scripts.map(|script| match script {
            Script::Produce(jobs) => *jobs,
            Script::Follow
            | Script::FollowLate
            | Script::FollowLong
            | Script::Keyed
            | Script::Chosen
            | Script::ProduceLong
            | Script::Long => 1,
            Script::KeyedTwice => 2,
            _ => 0,
        });
        // Whoever brings them, those of another store are the same.
        let brought = self.case.scripts.iter().map(|script| match script {
            Script::Bring(jobs) => *jobs,
            Script::Shared => 1,
            _ => 0,
        });
        let most = self.case.jobs + made.sum::<usize>() + brought.max().unwrap_or(0);
        let completed = self.server.watch().all_completed();
        if completed > most {
            return Err(format!("{completed} jobs were completed, of {most}"));
        }
        let told = self.told.lock().unwrap();
        let least = told.acknowledged.len() + told.followed;
        if told.followed > 0 && completed < least {
            return Err(format!("{completed} jobs were completed, and not {least}"));
        }
        Ok(())
    }

    /// What was answered as completed is so.
    fn check_completed(&self, store: &ObjectStore) -> Result<(), String> {
        let told = self.told.lock().unwrap().completed.clone();
        for (id, claim) in told {
            let Some(job) = at_once(store.get(&id)).unwrap() else {
                continue;
            };
            let mut records = job.history.iter();
            let record = records.find(|record| record.claim == claim);
            if record.is_none_or(|record| record.outcome != AttemptOutcome::Completed) {
                return Err(format!("{id} was answered as completed, and is not"));
            }
        }
        Ok(())
    }

    /// The ledger of a batch, if it is true.
    fn ledger(&self, key: BatchKey) -> Option<Ledger> {
        let (bytes, modified) = self.server.peek(&Key::ledger(&key))?;
        let ledger = Ledger::decode(&bytes).unwrap();
        let proves = ledger.generation > 0 && !ledger.is_void(modified);
        (proves || self.batch(key).is_some()).then_some(ledger)
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
        let prunes = scripts.any(|script| {
            matches!(
                script,
                Script::Prune | Script::PruneLast | Script::PruneParked
            )
        });
        prunes && self.server.watch().completed(key.name, index) == 1
    }

    /// What is left in the index, but for batches that came too late to count and pointers that no
    /// ledger names yet: those are for the sweep.
    fn left(&self) -> Vec<Key> {
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
        self.server.keys("i/").into_iter().filter(counts).collect()
    }

    /// Sweeps after so many hours each.
    pub(crate) fn sweep(&self, sweeper: Sweeper, hours: &[u64]) -> Result<(), String> {
        let store = open(Actor::of(&self.server), 98);
        let mut wish = wish("sweeper", 1);
        wish.queues = vec!["other".parse().unwrap()];
        if sweeper != Sweeper::NeverWorks {
            at_once(store.claim(&wish)).unwrap();
            at_once(store.sweep()).unwrap();
        }
        for hours in hours {
            self.clock.advance(Duration::from_secs(hours * 3600));
            if sweeper == Sweeper::Works {
                at_once(store.rescue(10)).unwrap();
            }
            at_once(store.sweep()).map_err(|error| error.to_string())?;
            self.check()?;
        }
        Ok(())
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
            let off = Duration::from_secs(2);
            let clock = match (self.case.skewed, seed % 2) {
                (false, _) => [Duration::ZERO; 2],
                (true, 0) => [off, Duration::ZERO],
                (true, _) => [Duration::ZERO, off],
            };
            let actor = Actor::gated(&self.server, gate.clone()).with_clock(clock);
            let part = Part {
                store: open(actor, seed),
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
        self.check_key()?;
        self.check_follow_ups()?;
        parts::check(&self.server, |key| self.batch(key))?;
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
        self.check_count()?;
        self.check_completed(&store)?;
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
        if let Some(left) = self.left().first() {
            return Err(format!("{left} is left in the index"));
        }
        // A day later the first sweep comes, and another after it.
        for hours in [25, 7] {
            self.clock.advance(Duration::from_secs(hours * 3600));
            at_once(store.sweep()).map_err(|error| error.to_string())?;
        }
        self.check()?;
        FAMILIES.iter().try_for_each(|row| self.check_family(row))
    }
}

pub(crate) fn holds(case: Case) {
    let explored = explore(case.faults, || Small::new(case));
    let explored = explored.unwrap_or_else(|wrong| panic!("{case:?}\n{wrong}"));
    // An exploration of nothing would hold anything.
    assert!(explored.runs >= 20 && explored.states >= 40, "{explored:?}");
}

pub(crate) fn fails(case: Case) {
    let explored = explore(case.faults, || Small::new(case));
    assert!(explored.is_err(), "{case:?} is not found out: {explored:?}");
}

/// Does this while a rule of the protocol is broken.
pub(crate) fn without<T>(mutation: Mutation, act: impl FnOnce() -> T) -> T {
    Mutation::set(Some(mutation));
    let done = act();
    Mutation::set(None);
    done
}

/// Whether a case finds out that a rule of the protocol is broken.
pub(crate) fn is_found_out(mutation: Mutation, case: Case) -> bool {
    without(mutation, || explore(case.faults, || Small::new(case))).is_err()
}

/// Whether runs by chance find out that a rule of the protocol is broken.
pub(crate) fn is_found_out_by_chance(mutation: Mutation, case: Case, seeds: u64) -> bool {
    without(mutation, || wander(case.faults, seeds, || Small::new(case))).is_err()
}

/// Stops the one process of a case before its first request, its second and so on, and sees what
/// becomes of that.
pub(crate) fn stopped_everywhere(
    case: Case,
    and_then: impl Fn(&Small) -> Result<(), String>,
) -> Result<(), String> {
    let mut requests = 0;
    loop {
        let mut world = Small::new(case);
        let process = world.processes().remove(0);
        let ended = process.stop_after(requests);
        let wrong = |wrong| format!("stopped after {requests} requests: {wrong}");
        and_then(&world).map_err(wrong)?;
        world.finish().map_err(wrong)?;
        if ended {
            return Ok(());
        }
        requests += 1;
    }
}

/// Long runs by chance.
pub(crate) fn holds_by_chance(case: Case, seeds: u64) {
    let walked = wander(case.faults, seeds, || Small::new(case));
    walked.unwrap_or_else(|wrong| panic!("{case:?}\n{wrong}"));
}
