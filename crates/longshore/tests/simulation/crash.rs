//! A crash at every point of a scenario, then another process that goes on.
//!
//! The scenario is run once to count its points, then once for each: the process is ended there,
//! and the next one plays the same scenario on what is left. While that runs, every settle that
//! the dead one ever sent, arrived or not, arrives again as soon as its job was taken back.
//!
//! Then the same for a process that has the jobs of a dead one to take back: it dies at every
//! point in its turn, and a third goes on.

use std::sync::Arc;

use longshore::{AttemptOutcome, SpanBuffer};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::way::Around;

use crate::clock::SimulatedClock;
use crate::echo::{Echo, EchoingStore};
use crate::points::{self, Dies};
use crate::process::{self, Death, End, Stepped};
use crate::rows;
use crate::scenario::{self, Acknowledged, Cast};
use crate::subject::{Kind, Subject};

/// The store calls that the scenario makes: each must have been cut short before its effect, and
/// after.
const CALLS: [&str; 15] = [
    "cancel",
    "claim",
    "delete_document",
    "enqueue",
    "heartbeat",
    "list_documents",
    "mint",
    "now",
    "promote",
    "prune",
    "queue_stats",
    "read_document",
    "rescue",
    "settle",
    "write_document",
];

/// A store, and what two processes leave behind.
struct World {
    _subject: Subject,
    audited: Arc<AuditedStore>,
    echo: Arc<EchoingStore>,
    clock: Arc<SimulatedClock>,
    spans: Arc<SpanBuffer>,
    acknowledged: Arc<Acknowledged>,
}

impl World {
    fn new(kind: Kind) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        let random = Arc::new(SeededRandom::new(11));
        let subject = Subject::open(kind, &clock, random);
        let audited = Arc::new(AuditedStore::new(subject.store.clone()));
        let echo = Arc::new(Around::through(audited.clone(), Echo::default()));
        Self {
            _subject: subject,
            audited,
            echo,
            clock,
            spans: Arc::default(),
            acknowledged: Arc::default(),
        }
    }

    fn cast(&self, name: &'static str) -> Cast {
        Cast {
            name,
            store: self.echo.clone(),
            clock: self.clock.clone(),
            spans: self.spans.clone(),
            acknowledged: self.acknowledged.clone(),
        }
    }

    /// A process that dies after so many points, or lives.
    fn mortal(&self, name: &'static str, dies: Dies) -> End {
        let way = Stepped::new(self.echo.clone());
        let store = Arc::new(Around::through(self.echo.clone(), way.clone()));
        let cast = Cast {
            store,
            ..self.cast(name)
        };
        process::live(cast.play(), &self.clock, &way, dies)
    }

    /// The process that brings everything to its end, after so many deaths.
    fn survivor(&self, deaths: usize) {
        process::runtime(61).block_on(async {
            self.clock.enter();
            let life = self.cast("survivor").play();
            let ended = tokio::time::timeout(process::LIFETIME, life).await;
            assert!(ended.is_ok(), "jobs are left that nobody can finish");
            self.check(deaths).await;
        });
    }

    async fn check(&self, deaths: usize) {
        let jobs = rows::all(&*self.audited).await;
        scenario::check(&jobs, &self.acknowledged, deaths);
        rows::are_counted(&jobs, &*self.audited).await;
        let spans = rows::span_counts(&self.spans);
        for job in jobs.values() {
            for record in &job.history {
                let span = rows::attempt_span(job, record.claim);
                let spans = spans.get(&span).copied().unwrap_or_default();
                // Who dies between a settle and its spans leaves none. Those of a lost attempt leave
                // with the next one that is not lost, if with no rescue before.
                let mut later = job
                    .history
                    .iter()
                    .skip_while(|one| one.claim < record.claim);
                let ended = later.find(|one| one.outcome != AttemptOutcome::Lost);
                let by_survivor = ended.is_some_and(|one| one.worker.as_str() == "survivor");
                // The first to die had nothing to rescue.
                let is_lost = record.outcome == AttemptOutcome::Lost;
                let least = usize::from(by_survivor || (is_lost && deaths == 1));
                assert!(
                    (least..=1).contains(&spans),
                    "{spans} spans of claim {} of {}, {:?}",
                    record.claim,
                    job.id,
                    record.outcome
                );
            }
        }
        let leased = self.audited.leased();
        assert!(leased.is_empty(), "still leased: {leased:?}");
        let mut violations = self.echo.way().last_word(&*self.audited).await;
        violations.extend(self.audited.violations());
        assert!(violations.is_empty(), "{violations:#?}");
        let after = rows::all(&*self.audited).await;
        assert_eq!(jobs, after, "a repeated settle wrote");
    }
}

/// Where the first process dies, and the second, if it does.
#[derive(Clone, Copy)]
struct Deaths {
    first: Dies,
    second: Dies,
}

/// Plays the scenario to its end; gives back how the last that could die ended.
fn play(kind: Kind, deaths: Deaths) -> End {
    let world = World::new(kind);
    let mut end = world.mortal("first", deaths.first);
    let mut count = usize::from(end.died.is_some());
    if deaths.second.is_some() {
        let leased = world.audited.leased();
        assert!(leased.len() > 1, "the second has too little to take back");
        end = world.mortal("second", deaths.second);
        count += usize::from(end.died.is_some());
    }
    world.survivor(count);
    end
}

fn play_once(kind: Kind, first: Dies) -> End {
    let second = None;
    play(kind, Deaths { first, second })
}

pub(crate) fn crash_everywhere(kind: Kind, death: Death) {
    let variable = "LONGSHORE_SIM_POINTS";
    let cut = points::crash_everywhere(variable, kind, death, |first| play_once(kind, first));
    cut.is_of(&CALLS);
}

/// The process that takes back the jobs of one that died half-way dies at each point in its turn.
pub(crate) fn crash_again(kind: Kind) {
    let half_way = play_once(kind, None).points / 2;
    let again = |point| {
        let died = |point| Some((point, Death::OfProcess));
        let (first, second) = (died(half_way), died(point));
        play(kind, Deaths { first, second })
    };
    let count = again(u64::MAX).points;
    points::crash_at_each("LONGSHORE_SIM_SECOND_POINTS", kind, count, again);
}

#[test]
fn nothing_is_lost_wherever_a_process_on_memory_dies() {
    crash_everywhere(Kind::MemoryInTurn, Death::OfProcess);
}

#[test]
fn nothing_is_lost_wherever_the_future_of_a_worker_is_dropped() {
    crash_everywhere(Kind::MemoryInTurn, Death::OfFuture);
}

#[test]
fn nothing_is_lost_wherever_a_process_on_sqlite_dies() {
    crash_everywhere(Kind::SqliteInTurn, Death::OfProcess);
}

#[test]
fn nothing_is_lost_wherever_the_next_process_on_memory_dies() {
    crash_again(Kind::MemoryInTurn);
}

#[test]
fn nothing_is_lost_wherever_the_next_process_on_sqlite_dies() {
    crash_again(Kind::SqliteInTurn);
}

/// So a point means the same on either store, and at every run.
#[test]
fn every_store_and_every_run_has_the_same_points() {
    let points = |kind| World::new(kind).mortal("first", None).points;
    let memory = points(Kind::MemoryInTurn);
    assert_eq!(memory, points(Kind::MemoryInTurn));
    assert_eq!(memory, points(Kind::SqliteInTurn));
    for point in 0..memory {
        let under_way = |kind| {
            World::new(kind)
                .mortal("first", Some((point, Death::OfProcess)))
                .died
        };
        let of_memory = under_way(Kind::MemoryInTurn);
        assert!(of_memory.is_some());
        assert_eq!(of_memory, under_way(Kind::MemoryInTurn), "point {point}");
    }
}
