//! Random calls on a ledger, written and read again after each, against plain jobs that the core's
//! own transitions change.

use longshore_core::{AttemptError, NewJob, OnConflict, Outcome, WorkerId};
use longshore_testkit::SeededRandom;
use proptest::prelude::*;

use super::*;
use crate::batch_key::BatchName;
use crate::minted_id::StoreMark;

const SECOND: Duration = Duration::from_secs(1);

/// What is asked of a job, by numbers that choose it.
#[derive(Clone, Debug)]
enum Call {
    Wait(u64),
    Claim(u16),
    Beat(u16, bool),
    Settle(u16, u8, u64),
    Rescue,
    Stop(u16, bool),
    RetryNow(u16),
    Replace(u16, Option<u64>, Option<u64>),
}

fn calls() -> impl Strategy<Value = Call> {
    let job = || 0..3u16;
    // Seconds, some of them more than jobs wait without being parked.
    let later = || prop_oneof![0..3u64, 50..200u64];
    prop_oneof![
        later().prop_map(Call::Wait),
        job().prop_map(Call::Claim),
        job().prop_map(Call::Claim),
        (job(), any::<bool>()).prop_map(|(job, checkpoint)| Call::Beat(job, checkpoint)),
        (job(), 0..7u8, later()).prop_map(|(job, how, at)| Call::Settle(job, how, at)),
        (job(), 0..7u8, later()).prop_map(|(job, how, at)| Call::Settle(job, how, at)),
        Just(Call::Rescue),
        (job(), any::<bool>()).prop_map(|(job, discard)| Call::Stop(job, discard)),
        job().prop_map(Call::RetryNow),
        (job(), prop::option::of(later()), any::<Option<u64>>())
            .prop_map(|(job, at, token)| Call::Replace(job, at, token)),
    ]
}

/// The plain jobs with their leases, and the ledger as the store has it.
struct Both {
    now: Timestamp,
    batch: Arc<Batch>,
    stored: Option<Ledger>,
    jobs: Vec<Option<(Job, Option<LeaseToken>)>>,
    tokens: u64,
}

impl Both {
    fn new() -> Self {
        let now = Timestamp::from_unix_millis(1_767_225_600_000);
        let random = SeededRandom::new(1);
        let line = Line::read("1", "0", "2").unwrap();
        let key = BatchKey {
            name: BatchName::mint(now, 3, &random),
            line,
            due: BatchKey::due_millis(now),
        };
        let mark = StoreMark::from_bits(1);
        let mut batch = Batch::new(key, mark, "q".parse().unwrap(), now);
        for index in [0, 2] {
            let id = format!("job-{index}").parse().unwrap();
            let mut new = NewJob::new(id, batch.queue.clone(), "k".parse().unwrap(), "{}");
            new.max_attempts = 2;
            new.unique_key = Some(longshore_core::UniqueKey::new("key", &new.kind, b"{}"));
            assert!(batch.put(index, new, None));
        }
        let jobs = batch
            .jobs
            .iter()
            .map(|stored| Some((stored.as_ref()?.job.clone(), None)));
        Self {
            now,
            jobs: jobs.collect(),
            batch: Arc::new(batch),
            stored: None,
            tokens: 0,
        }
    }

    fn draft(&self) -> Draft {
        let Some(ledger) = &self.stored else {
            return Draft::first(Arc::clone(&self.batch));
        };
        // What is carried is all that a reader has.
        let batch = ledger.carried.as_ref().unwrap_or(&self.batch);
        Draft::of(ledger.clone(), Arc::clone(batch))
    }

    fn next_token(&mut self) -> LeaseToken {
        self.tokens += 2;
        LeaseToken::from_bits(self.tokens)
    }

    fn plain(&mut self, index: u16) -> Option<&mut (Job, Option<LeaseToken>)> {
        self.jobs[usize::from(index)].as_mut()
    }

    /// Does what was planned, as a store would, and checks what must hold of every version.
    fn land(&mut self, plan: &Plan) {
        let before = self.stored.clone();
        let Some(ledger) = plan.ledger() else {
            assert_eq!(*plan, Plan::Nothing);
            return;
        };
        let bytes = ledger.encode().unwrap();
        let read = Ledger::decode(&bytes).unwrap();
        assert_eq!(read, *ledger, "it is read as it was written");
        match plan {
            Plan::Create(_) => assert_eq!((before, read.generation), (None, 0)),
            Plan::Replace(_) | Plan::Park { .. } => {
                let before = before.unwrap();
                assert_eq!(read.generation, before.generation + 1);
                assert_ne!(
                    read.writer, before.writer,
                    "no two versions have equal bytes"
                );
                assert!(before.carried.is_none() || read.carried.is_some());
            }
            Plan::Nothing => {}
        }
        if let Plan::Park {
            pointer, ledger, ..
        } = plan
        {
            assert_eq!(pointer.generation, ledger.generation, "a pointer is new");
            assert!(ledger.carried.is_some(), "the old entry may go");
        }
        self.stored = Some(read);
    }

    fn check(&self) {
        let draft = self.draft();
        for (index, plain) in (0..).zip(&self.jobs) {
            let plain = plain.as_ref().map(|(job, _)| job);
            assert_eq!(draft.job(index).as_ref(), plain, "job {index}");
        }
        let Some(ledger) = &self.stored else {
            return;
        };
        let over = draft.unfinished().next().is_none();
        if ledger.generation > 0 {
            assert!(
                !over || ledger.carried.is_some(),
                "the jobs are copied in at the end"
            );
            for (_, job) in draft.unfinished() {
                let (line, due) = ledger.entry_place();
                assert!(
                    due <= BatchKey::due_millis(job.available_at),
                    "found when due"
                );
                assert!(line.priority <= job.priority, "found in its line");
            }
        }
    }

    fn call(&mut self, call: &Call) {
        let now = self.now;
        let mut draft = self.draft();
        match *call {
            Call::Wait(seconds) => self.now = now.after(SECOND * u32::try_from(seconds).unwrap()),
            Call::Claim(index) => self.claim(&mut draft, index),
            Call::Beat(index, checkpoint) => self.beat(&mut draft, index, checkpoint),
            Call::Settle(index, how, seconds) => self.settle(&mut draft, index, how, seconds),
            Call::Rescue => self.rescue(&mut draft),
            Call::Stop(index, discard) => {
                let stop = match discard {
                    true => StopRequest::Discard,
                    false => StopRequest::Cancel,
                };
                let state = draft.stop(index, stop, now);
                assert_eq!(
                    state,
                    self.plain(index).map(|(job, _)| job.apply_stop(stop, now))
                );
            }
            Call::RetryNow(index) => {
                let answer = draft.retry_now(index, now).map(Result::ok);
                let plain = self.plain(index);
                assert_eq!(answer, plain.map(|(job, _)| job.apply_retry_now(now).ok()));
            }
            Call::Replace(index, seconds, token) => self.replace(&mut draft, index, seconds, token),
        }
        self.tokens += 1;
        let plan = draft.plan(self.tokens, self.now);
        // A ledger of generation 0 must not be concluded from, so the first write is followed by
        // another at once, as an executor does that has read the batch again.
        let created = matches!(plan, Plan::Create(_));
        self.land(&plan);
        if created {
            let mut draft = self.draft();
            draft.touch();
            let plan = draft.plan(self.tokens + 1, self.now);
            self.tokens += 2;
            self.land(&plan);
        }
        self.check();
    }

    fn claim(&mut self, draft: &mut Draft, index: u16) {
        let now = self.now;
        let token = self.next_token();
        let (worker, expires_at) = (WorkerId::new("w"), now.after(SECOND * 30));
        let hold = Hold {
            token,
            worker: worker.clone(),
            claimed_at: now,
            expires_at,
        };
        let claimed = draft.claim(index, &hold);
        let plain = self.plain(index);
        let due = plain.filter(|(job, _)| job.state.is_waiting() && job.available_at <= now);
        let expected = due.map(|(job, held)| {
            job.apply_claim(&worker, expires_at, now);
            *held = Some(token);
            job.clone()
        });
        assert_eq!(claimed, expected);
    }

    fn rescue(&mut self, draft: &mut Draft) {
        let now = self.now;
        for index in 0..3 {
            let rescued = draft.rescue(index, now, now);
            let plain = self.plain(index);
            let lost = plain.filter(|(job, _)| job.lease_expires_at.is_some_and(|end| end < now));
            assert_eq!(rescued.is_some(), lost.is_some());
            if let Some((job, held)) = lost {
                let keep = Keep {
                    reason: LEASE_EXPIRED.to_owned(),
                    at: now,
                };
                job.trace.keep.get_or_insert(keep);
                assert_eq!(job.apply_rescue(now), rescued.map(|rescued| rescued.lost));
                *held = None;
            }
        }
    }

    fn replace(&mut self, draft: &mut Draft, index: u16, seconds: Option<u64>, token: Option<u64>) {
        let now = self.now;
        let new = self.replacement(seconds);
        let replaced = draft.replace(index, &new, token, now);
        let waits = self.plain(index).filter(|(job, _)| job.state.is_waiting());
        assert_eq!(replaced, waits.is_some());
        if let Some((job, _)) = waits {
            job.apply_replacement(&new, now);
            if token.is_some() {
                job.args = bytes::Bytes::new();
            }
        }
        if replaced {
            let row = draft.ledger().row(index).unwrap();
            let named = row
                .replaced
                .as_ref()
                .and_then(|replaced| replaced.args_token);
            assert_eq!(named, token);
        }
    }

    fn replacement(&self, seconds: Option<u64>) -> NewJob {
        let mut new = NewJob::new(
            "other".parse().unwrap(),
            self.batch.queue.clone(),
            "k".parse().unwrap(),
            "{\"new\":1}",
        );
        new.priority = 1.try_into().unwrap();
        new.on_conflict = OnConflict::Replace {
            priority: seconds.is_some(),
        };
        let due = seconds.map(|seconds| SECOND * u32::try_from(seconds).unwrap());
        new.scheduled_at = due.map(|due| self.now.after(due));
        new.unique_key = Some(longshore_core::UniqueKey::new("key", &new.kind, &new.args));
        new
    }

    fn beat(&mut self, draft: &mut Draft, index: u16, checkpoint: bool) {
        let now = self.now;
        let held = self.plain(index).and_then(|(_, held)| *held);
        let token = held.unwrap_or(LeaseToken::from_bits(u64::MAX));
        let beat = Beat {
            job_id: "any".parse().unwrap(),
            token,
            extend_by: SECOND * 40,
            progress: checkpoint.then_some(7),
            checkpoint: checkpoint.then(|| bytes::Bytes::from_static(b"here")),
        };
        let answer = draft.beat(index, &beat, now);
        let end = now.after(beat.extend_by);
        let plain = self.plain(index).filter(|(_, held)| held.is_some());
        let Some((job, _)) = plain else {
            assert_eq!(answer, BeatAnswer::Lost);
            return;
        };
        job.lease_expires_at = Some(end);
        job.progress = beat.progress.or(job.progress);
        job.checkpoint = beat.checkpoint.or(job.checkpoint.take());
        match job.stop_requested {
            Some(_) => assert_eq!(answer, BeatAnswer::CancelRequested(end)),
            None => assert_eq!(answer, BeatAnswer::Held(end)),
        }
    }

    fn settle(&mut self, draft: &mut Draft, index: u16, how: u8, seconds: u64) {
        let now = self.now;
        let available_at = now.after(SECOND * u32::try_from(seconds).unwrap());
        let error = AttemptError::new("check", "as the test wants");
        let result = (seconds == 1).then(|| bytes::Bytes::from_static(b"result"));
        let outcome = match how {
            0 => Outcome::Complete { result },
            1 => Outcome::Retry {
                available_at,
                error,
            },
            2 => Outcome::NotYet {
                available_at,
                error,
            },
            3 => Outcome::Snooze { available_at },
            4 => Outcome::Cancel { error: Some(error) },
            5 => Outcome::Discard { error },
            _ => Outcome::HandBack,
        };
        let held = self.plain(index).and_then(|(_, held)| *held);
        let settlement = Settlement {
            job_id: "any".parse().unwrap(),
            token: held.unwrap_or(LeaseToken::from_bits(u64::MAX)),
            outcome,
            follow_ups: Vec::new(),
            keep: (how == 1).then(|| Keep {
                reason: "error".to_owned(),
                at: now,
            }),
            span: None,
        };
        let before = draft.ledger().clone();
        let answer = draft.settle(index, &settlement, Vec::new(), now);
        let plain = self.plain(index).filter(|(_, held)| held.is_some());
        let Some((job, held)) = plain else {
            assert_eq!(
                answer.unwrap_err().kind(),
                longshore_core::ErrorKind::LeaseLost
            );
            assert_eq!(*draft.ledger(), before, "nothing is written");
            return;
        };
        job.apply_settlement(&settlement, now);
        *held = None;
        assert_eq!(
            answer.unwrap(),
            Settled {
                state: job.state,
                at: now
            }
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_ledger_says_what_became_of_its_jobs(calls in prop::collection::vec(calls(), 1..40)) {
        let mut both = Both::new();
        for call in calls {
            both.call(&call);
        }
    }
}

#[test]
fn jobs_that_wait_for_long_are_parked_and_others_are_not() {
    let mut both = Both::new();
    both.call(&Call::Claim(0));
    both.call(&Call::Claim(2));
    both.call(&Call::Settle(0, 1, 100));
    let entry = |both: &Both| both.stored.as_ref().unwrap().entry;
    assert_eq!(entry(&both), None, "another runs");
    both.call(&Call::Settle(2, 1, 50));
    assert_eq!(entry(&both), None, "one of them is due soon");
    both.call(&Call::Wait(51));
    both.call(&Call::Claim(2));
    both.call(&Call::Settle(2, 1, 200));
    assert_eq!(entry(&both), None, "the other is due soon");
    both.call(&Call::Stop(0, false));
    let pointer = entry(&both).unwrap();
    assert_eq!(
        pointer.due,
        BatchKey::due_millis(both.now.after(SECOND * 200))
    );
}

#[test]
fn a_finished_batch_that_runs_again_has_a_new_entry() {
    let mut both = Both::new();
    both.call(&Call::Stop(0, false));
    both.call(&Call::Stop(2, false));
    assert!(both.draft().was_over);
    both.call(&Call::RetryNow(2));
    let ledger = both.stored.clone().unwrap();
    let pointer = ledger.entry.unwrap();
    assert_eq!(pointer.generation, ledger.generation);
    assert_eq!(pointer.due, BatchKey::due_millis(both.now));
    both.call(&Call::Claim(2));
    both.call(&Call::Settle(2, 0, 0));
    both.call(&Call::RetryNow(2));
    assert_ne!(
        both.stored.unwrap().entry,
        Some(pointer),
        "a pointer is named once"
    );
}

#[test]
fn follow_ups_stay_named_and_keep_the_entry_in_place() {
    let mut both = Both::new();
    let follow_up = Both::new().batch;
    both.call(&Call::Stop(2, false));
    both.call(&Call::Claim(0));
    let token = both.jobs[0].as_ref().unwrap().1.unwrap();
    let settlement = Settlement {
        job_id: "any".parse().unwrap(),
        token,
        outcome: Outcome::Snooze {
            available_at: both.now.after(SECOND * 100),
        },
        follow_ups: Vec::new(),
        keep: None,
        span: None,
    };
    let mut draft = both.draft();
    draft
        .settle(0, &settlement, vec![Arc::clone(&follow_up)], both.now)
        .unwrap();
    let plan = draft.plan(91, both.now);
    assert!(
        matches!(plan, Plan::Replace(_)),
        "not parked while there are follow-ups to make"
    );
    let ledger = plan.ledger().unwrap().clone();
    assert!(ledger.has_open_outbox());

    let mut draft = Draft::of(ledger, Arc::clone(&both.batch));
    draft.note_made(&follow_up.key);
    assert!(!draft.ledger().has_open_outbox());
    assert_eq!(draft.ledger().outbox[0].key, follow_up.key);
    assert_eq!(draft.clone().plan(92, both.now), Plan::Nothing);
    draft.touch();
    assert!(matches!(draft.plan(93, both.now), Plan::Park { .. }));
}
