//! A crash at every point of a scenario, then another process that goes on.
//!
//! The scenario is run once to count its points, then once for each: the process is ended there,
//! and a second one plays the same scenario on what is left. While that runs, every settle that
//! the first ever sent, arrived or not, arrives again as soon as its job was taken back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore::{AttemptOutcome, SpanBuffer};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::way::Around;

use crate::chosen;
use crate::clock::SimulatedClock;
use crate::echo::{Echo, EchoingStore};
use crate::process::{self, End, Stage, Stepped, UnderWay};
use crate::rows;
use crate::scenario::{self, Acknowledged, Cast};
use crate::subject::{Kind, Subject};

/// The store calls that the scenario makes: each must have been cut short before its effect, and
/// after.
const CALLS: [&str; 8] = [
    "cancel",
    "claim",
    "enqueue",
    "heartbeat",
    "promote",
    "queue_stats",
    "rescue",
    "settle",
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

    /// The process that dies after so many points, or lives.
    fn first(&self, die_at: Option<u64>) -> End {
        let way = Stepped::new(self.echo.clone());
        let store = Arc::new(Around::through(self.echo.clone(), way.clone()));
        let cast = Cast {
            store,
            ..self.cast("first")
        };
        process::live(cast.play(), &self.clock, &way, die_at)
    }

    /// The process that brings everything to its end.
    fn second(&self) {
        process::runtime(61).block_on(async {
            self.clock.enter();
            let life = self.cast("second").play();
            let ended = tokio::time::timeout(Duration::from_secs(60), life).await;
            assert!(ended.is_ok(), "jobs are left that nobody can finish");
            self.check().await;
        });
    }

    async fn check(&self) {
        let jobs = rows::all(&*self.audited).await;
        scenario::check(&jobs, &self.acknowledged);
        rows::are_counted(&jobs, &*self.audited).await;
        let spans = rows::span_counts(&self.spans);
        for job in jobs.values() {
            for record in &job.history {
                let span = rows::attempt_span(job, record.claim);
                let spans = spans.get(&span).copied().unwrap_or_default();
                let by_second =
                    record.outcome == AttemptOutcome::Lost || record.worker.as_str() == "second";
                let least = usize::from(by_second);
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

/// Ends a process at one point and lets another go on; gives back the calls that were under way.
fn crash(kind: Kind, point: u64) -> UnderWay {
    let world = World::new(kind);
    let end = world.first(Some(point));
    world.second();
    let died = end.died;
    died.unwrap_or_else(|| panic!("there are only {} points", end.points))
}

fn crash_everywhere(kind: Kind) {
    let world = World::new(kind);
    let points = world.first(None).points;
    assert!(points > 0);
    world.second();
    let chosen = chosen("LONGSHORE_SIM_POINTS", 0..points);
    let mut cut = BTreeSet::new();
    for point in &chosen {
        let ended = std::panic::catch_unwind(|| crash(kind, *point));
        let Ok(under_way) = ended else {
            panic!("point {point} of {points} fails; LONGSHORE_SIM_POINTS={point} runs it again");
        };
        cut.extend(under_way);
    }
    if chosen.len() as u64 == points {
        for stage in [Stage::NotBegun, Stage::DoneNotAnswered] {
            let of_stage = cut.iter().filter(|(_, at)| *at == stage);
            let calls: Vec<_> = of_stage.map(|(call, _)| *call).collect();
            assert_eq!(calls, CALLS, "the calls cut short while {stage}");
        }
    }
}

#[test]
fn nothing_is_lost_wherever_a_process_on_memory_dies() {
    crash_everywhere(Kind::MemoryInTurn);
}

#[test]
fn nothing_is_lost_wherever_a_process_on_sqlite_dies() {
    crash_everywhere(Kind::SqliteInTurn);
}

/// So a point means the same on either store, and at every run.
#[test]
fn every_store_and_every_run_has_the_same_points() {
    let points = |kind| World::new(kind).first(None).points;
    let memory = points(Kind::MemoryInTurn);
    assert_eq!(memory, points(Kind::MemoryInTurn));
    assert_eq!(memory, points(Kind::SqliteInTurn));
    for point in [memory / 3, memory / 2] {
        let under_way = |kind| World::new(kind).first(Some(point)).died;
        assert_eq!(under_way(Kind::MemoryInTurn), under_way(Kind::SqliteInTurn));
    }
}
