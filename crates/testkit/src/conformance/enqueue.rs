//! Clauses E: minting ids and storing jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Enqueued, ErrorKind, Job, JobState, Keep, NewJob, Place, Priority, Relation, UniqueKey,
};

use crate::harness::{Harness, assert_refused, complete, hit, name};

/// E-1: minted ids are distinct, and minting stores nothing.
pub async fn mints_distinct_ids(h: &Harness) {
    let places = vec![Place::new(name("q")); 100];
    let mut ids = h.store.mint(&places).await.unwrap();
    ids.extend(h.store.mint(&places).await.unwrap());
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 200);
    assert_eq!(h.store.get(&ids[0]).await.unwrap(), None);
    assert!(h.store.mint(&[]).await.unwrap().is_empty());
}

/// E-1: ids minted together, for whatever places, go into one call, and jobs keep them; some may
/// be left out.
pub async fn jobs_keep_the_ids_minted_for_their_places(h: &Harness) {
    let later = h.now().after(Duration::from_secs(60));
    let mut jobs = Vec::new();
    for (queue, priority) in [("a", 1), ("a", 4), ("b", 2)] {
        for scheduled_at in [None, Some(later)] {
            let mut new = h.new_job(queue).await;
            new.priority = priority.try_into().unwrap();
            new.scheduled_at = scheduled_at;
            jobs.push(new);
        }
    }
    let places: Vec<Place> = jobs.iter().map(NewJob::place).collect();
    let ids = h.store.mint(&places).await.unwrap();
    for (job, id) in jobs.iter_mut().zip(ids) {
        job.id = id;
    }
    let left_out = jobs.remove(2);
    let at = h.now();
    let answers = h.store.enqueue(jobs.clone()).await.unwrap();
    for (job, answer) in jobs.into_iter().zip(answers) {
        let id = job.id.clone();
        assert_eq!(answer.unwrap(), Enqueued::Created { id, at });
        assert_eq!(h.row(&job.id).await, Job::from_new(job, at));
    }
    assert_eq!(h.store.get(&left_out.id).await.unwrap(), None);
}

/// E-2, T-2: an acknowledged job is there, with every field that was given and times to the
/// millisecond.
pub async fn stores_the_whole_job(h: &Harness) {
    let full = full_job(h).await;
    let plain = h.new_job("q").await;
    let at = h.now();
    for new in [full, plain] {
        let answer = h.offer(new.clone()).await.unwrap();
        let id = new.id.clone();
        assert_eq!(answer, Enqueued::Created { id, at });
        assert_eq!(h.row(&new.id).await, Job::from_new(new, at));
    }
}

/// E-2: a job for later is scheduled, and its first time is remembered.
pub async fn schedules_what_is_due_later(h: &Harness) {
    let mut new = h.new_job("q").await;
    let due = h.now().after(Duration::from_secs(60));
    new.scheduled_at = Some(due);
    let id = h.enqueue(h.placed(new).await).await;
    let row = h.row(&id).await;
    assert_eq!(row.state, JobState::Scheduled);
    assert_eq!((row.first_available_at, row.available_at), (due, due));
}

/// E-2: a job for a time that is over is due now, not earlier.
pub async fn a_past_time_is_now(h: &Harness) {
    let mut new = h.new_job("q").await;
    new.scheduled_at = Some(h.now().before(Duration::from_secs(60)));
    let new = h.placed(new).await;
    let at = h.now();
    let id = h.enqueue(new).await;
    let row = h.row(&id).await;
    assert_eq!(row.state, JobState::Available);
    assert_eq!((row.first_available_at, row.available_at), (at, at));
}

/// E-3: enqueueing an id again is a hit in every state and changes nothing.
pub async fn repeating_a_call_is_a_hit_in_every_state(h: &Harness) {
    for state in JobState::ALL {
        let id = h.job_in(state).await;
        let before = h.row(&id).await;
        assert_eq!(before.state, state);
        let mut again = h.new_job(state.as_str()).await;
        again.id = id.clone();
        again.args = Bytes::from_static(b"other");
        let scheduled = state == JobState::Scheduled;
        again.scheduled_at = scheduled.then_some(before.first_available_at);
        let hit = hit(&id);
        assert_eq!(h.offer(again).await.unwrap(), hit, "{state}");
        assert_eq!(h.row(&id).await, before, "{state}");
    }
}

/// E-3: an id that the caller chose is a hit whatever else the job says.
pub async fn a_chosen_id_is_a_hit_everywhere(h: &Harness) {
    let mut chosen = h.new_job("q").await;
    chosen.id = "order-17".parse().unwrap();
    let id = h.enqueue(chosen).await;
    let before = h.row(&id).await;
    let mut again = h.new_job("elsewhere").await;
    again.id = id.clone();
    again.priority = Priority::FIRST;
    let hit = hit(&id);
    assert_eq!(h.offer(again).await.unwrap(), hit);
    assert_eq!(h.row(&id).await, before);
    assert!(h.claim("elsewhere", 1).await.is_empty());
}

/// E-3: the second job with one id in one call is a hit.
pub async fn duplicates_in_one_call_are_hits(h: &Harness) {
    let new = h.new_job("q").await;
    let other = h.new_job("q").await;
    let (id, at) = (new.id.clone(), h.now());
    let jobs = vec![new.clone(), other, new.clone()];
    let answers = h.store.enqueue(jobs).await.unwrap();
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], Enqueued::Created { id: id.clone(), at });
    assert!(matches!(answers[1], Enqueued::Created { .. }));
    assert_eq!(answers[2], hit(&id));
    assert_eq!(h.claim("q", 10).await.len(), 2);
}

/// E-4: the same key with the same kind and args is a hit on the job that holds it.
pub async fn a_unique_key_is_held_once(h: &Harness) {
    let holder = h.enqueue(keyed(h, "q", "k", "1").await).await;
    let again = keyed(h, "q", "k", "1").await;
    let id = again.id.clone();
    let hit = hit(&holder);
    assert_eq!(h.offer(again).await.unwrap(), hit);
    assert_eq!(h.store.get(&id).await.unwrap(), None);

    let (one, two) = (
        keyed(h, "q", "new", "1").await,
        keyed(h, "q", "new", "1").await,
    );
    let first = one.id.clone();
    let answers = h.store.enqueue(vec![one, two]).await.unwrap();
    let hits = answers
        .iter()
        .flatten()
        .filter(|answer| matches!(answer, Enqueued::Hit { id, .. } if *id == first));
    assert_eq!(hits.count(), 1, "{answers:?}");
}

/// E-4: the same key with other args is a conflict that names the holder.
pub async fn a_unique_key_with_other_args_conflicts(h: &Harness) {
    let holder = h.enqueue(keyed(h, "q", "k", "1").await).await;
    let other = keyed(h, "q", "k", "2").await;
    let id = other.id.clone();
    let error = assert_refused(h.offer(other).await, ErrorKind::Conflict);
    assert!(error.to_string().contains(holder.as_str()), "{error}");
    assert_eq!(h.store.get(&id).await.unwrap(), None);
}

/// E-4: keys of different queues have nothing to do with each other.
pub async fn a_unique_key_belongs_to_its_queue(h: &Harness) {
    h.enqueue(keyed(h, "q", "k", "1").await).await;
    h.enqueue(keyed(h, "other", "k", "2").await).await;
    h.enqueue(keyed(h, "q", "another", "2").await).await;
}

/// E-4: a key is held while its job is unfinished, running or waiting for a retry, and no longer.
pub async fn a_unique_key_is_free_when_its_job_is_over(h: &Harness) {
    let holder = h.enqueue(keyed(h, "q", "k", "1").await).await;
    let hit = hit(&holder);
    let claimed = h.claim_one("q").await;
    let again = keyed(h, "q", "k", "1").await;
    assert_eq!(h.offer(again).await.unwrap(), hit);
    h.settle(&claimed, crate::harness::retry_at(h.now())).await;
    let again = keyed(h, "q", "k", "1").await;
    assert_eq!(h.offer(again).await.unwrap(), hit);
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, complete()).await;
    let next = h.enqueue(keyed(h, "q", "k", "2").await).await;

    h.cancel(&next).await.unwrap();
    h.enqueue(keyed(h, "q", "k", "3").await).await;
}

/// E-5: each job has its own answer, in order, and a broken one harms no other.
pub async fn answers_each_item_for_itself(h: &Harness) {
    let good = h.new_job("q").await;
    let mut broken = h.new_job("q").await;
    broken.max_attempts = 0;
    let mut large = h.new_job("q").await;
    large.args = Bytes::from(vec![b' '; NewJob::MAX_ARGS_BYTES + 1]);
    let last = h.new_job("q").await;
    let ids = [&good, &broken, &large, &last].map(|job| job.id.clone());
    let jobs = vec![good, broken, large, last];
    let mut answers = h.store.enqueue(jobs).await.unwrap().into_iter();
    assert_eq!(answers.next().unwrap().unwrap().id(), &ids[0]);
    let error = assert_refused(answers.next().unwrap(), ErrorKind::Invalid);
    assert!(error.to_string().contains("max attempts"), "{error}");
    assert_refused(answers.next().unwrap(), ErrorKind::Invalid);
    assert_eq!(answers.next().unwrap().unwrap().id(), &ids[3]);
    for (id, there) in ids.iter().zip([true, false, false, true]) {
        assert_eq!(h.store.get(id).await.unwrap().is_some(), there);
    }
    assert!(h.store.enqueue(Vec::new()).await.unwrap().is_empty());
}

/// E-6: args are the caller's bytes, JSON or not.
pub async fn never_touches_the_bytes_of_args(h: &Harness) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let odd: [&[u8]; 5] = [
        b"",
        b"{ \"b\":1,\r\n\"a\": 1.0e2 }",
        b"\0",
        b"\xff\xfe\0x",
        &every_byte,
    ];
    for args in odd {
        let mut new = h.new_job("q").await;
        new.args = Bytes::copy_from_slice(args);
        let id = h.enqueue(new).await;
        assert_eq!(h.claim_one("q").await.job.args, args);
        assert_eq!(h.row(&id).await.args, args);
    }
}

/// E-6: args may be large.
pub async fn takes_large_args(h: &Harness) {
    let args: Vec<u8> = (0..10 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
    let args = Bytes::from(args);
    let mut new = h.new_job("q").await;
    new.args = args.clone();
    let id = h.enqueue(new).await;
    assert!(
        h.row(&id).await.args == args,
        "10 MiB of args came back changed"
    );
}

/// A job with every field filled.
async fn full_job(h: &Harness) -> NewJob {
    let mut new = keyed(h, "full:queue/1", "key \u{1f6a2}", "[1]").await;
    new.priority = Priority::LAST;
    new.scheduled_at = Some(h.now().after(Duration::from_millis(1500)));
    new.max_attempts = 3;
    new.timeout = Some(Duration::from_millis(2500));
    new.tags = vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
    new.metadata = [("k", "v"), ("\u{e9}", ""), ("'; --", "\"\0\n")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    new.correlation_id = Some("correlation".to_owned());
    new.parent_correlation_id = Some("parent".to_owned());
    new.tenant_id = Some("tenant".to_owned());
    new.namespace = Some("namespace".to_owned());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    new.trace.traceparent = Some(traceparent.to_owned());
    new.trace.relation = Relation::Link;
    new.trace.batch_size = 7;
    new.trace.keep = Some(Keep {
        reason: "pinned".to_owned(),
        at: h.now(),
    });
    h.placed(new).await
}

/// A job with a unique key.
async fn keyed(h: &Harness, queue: &str, key: &str, args: &'static str) -> NewJob {
    let mut new = h.new_job(queue).await;
    assert_eq!(new.queue, name(queue));
    new.args = Bytes::from_static(args.as_bytes());
    new.unique_key = Some(UniqueKey::new(key, &new.kind, &new.args));
    new
}
