use longshore_core::{JobId, NewJob, WorkerId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::*;

const HALF: u64 = RANGE / 2;
const TENTH: u64 = RANGE / 10 * 9;
const ENQUEUED: Timestamp = Timestamp::UNIX_EPOCH;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;

/// The context of a trace with this randomness.
fn context(randomness: u64, sampled: bool, state: &str) -> SpanContext {
    SpanContext {
        trace_id: TraceId::from_u128(0xabc << 64 | u128::from(randomness)),
        span_id: SpanId::from_u64(SPAN),
        flags: TraceFlags::RANDOM.with_sampled(sampled),
        trace_state: TraceState::parse(state).0,
    }
}

fn job(id: &str, creation: &SpanContext, relation: Relation, batch_size: u32) -> Job {
    let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
    let mut new = NewJob::new(id.parse::<JobId>().unwrap(), queue, kind, "{}");
    new.trace.traceparent = Some(creation.traceparent());
    new.trace.tracestate = creation.trace_state.clone();
    new.trace.relation = relation;
    new.trace.batch_size = batch_size;
    let mut job = Job::from_new(new, ENQUEUED);
    job.claim = 1;
    job
}

/// Where an attempt stands by what its job carries: no sampler of the worker has a say.
fn stands(job: &Job, age: Duration) -> AttemptContext {
    let nobody = |_| panic!("the producer has decided");
    attempt_context(job, ENQUEUED.after(age), nobody, |_| {})
}

/// Seeded randomness of 56 bits.
fn random(seed: u64, nth: u64) -> u64 {
    xxh3_64_with_seed(&nth.to_le_bytes(), seed) & (RANGE - 1)
}

fn decision(randomness: u64, threshold: u64) -> RootDecision {
    RootDecision {
        sampled: randomness >= threshold,
        threshold: Some(threshold),
    }
}

const RELATIONS: [Relation; 3] = [Relation::Parent, Relation::Link, Relation::Auto];
const OLD: Duration = Duration::from_secs(3600);

#[test]
fn under_every_relation_a_worker_decides_as_the_producer_did() {
    for nth in 0..300 {
        let randomness = random(7, nth);
        let trace_id = context(randomness, false, "").trace_id;
        let creation = root(
            trace_id,
            SpanId::from_u64(SPAN),
            &decision(randomness, HALF),
        );
        for relation in RELATIONS {
            for (batch_size, age) in [
                (1, Duration::ZERO),
                (1, OLD),
                (100, OLD),
                (100, Duration::ZERO),
            ] {
                let mut job = job(&format!("job-{nth}"), &creation, relation, batch_size);
                for claim in 1..4 {
                    job.claim = claim;
                    let process = stands(&job, age).process;
                    assert_eq!(process.flags.is_sampled(), randomness >= HALF);
                    assert_eq!(super::randomness(&process), randomness, "{relation:?}");
                    assert_eq!(
                        threshold(&process.trace_state),
                        threshold(&creation.trace_state)
                    );
                    assert_eq!(consistent(process.clone()), process);
                }
            }
        }
    }
}

#[test]
fn explicit_randomness_is_inherited_instead_of_the_ids() {
    let creation = context(1, true, "ot=th:8;rv:ffffffffffff00,vendor=1");
    let linked = stands(&job("j", &creation, Relation::Link, 1), OLD).process;
    assert_eq!(linked.trace_id.randomness(), 0xff_ffff_ffff_ff00);
    assert_eq!(linked.trace_state.as_str(), "ot=th:8", "the id says it now");
    let child = stands(&job("j", &creation, Relation::Parent, 1), OLD).process;
    assert_eq!(child.trace_state, creation.trace_state);
}

#[test]
fn only_digits_of_the_specification_are_read() {
    let cases = [
        ("ot=th:8", Some(HALF)),
        ("ot=th:0", Some(0)),
        ("ot=th:fffffffffffff8", Some(RANGE - 8)),
        ("ot=rv:00000000000001;th:c", Some(RANGE / 4 * 3)),
        ("ot=th:", None),
        ("ot=th:+1", None),
        ("ot=th:FD", None),
        ("ot=th:000000000000001", None),
        ("ot=p:1", None),
        ("th=8", None),
    ];
    for (state, expected) in cases {
        assert_eq!(threshold(&TraceState::parse(state).0), expected, "{state}");
    }
    for rv in ["+0000000000001", "FFFFFFFFFFFFFF", "ff", "fffffffffffffff"] {
        let context = context(5, true, &format!("ot=rv:{rv}"));
        assert_eq!(randomness(&context), 5, "{rv}");
    }
}

#[test]
fn a_threshold_that_cannot_be_true_is_erased() {
    let cases = [
        (HALF, true, "ot=th:8", "ot=th:8"),
        (HALF - 1, true, "ot=th:8", ""),
        (
            HALF - 1,
            true,
            "ot=th:8;rv:80000000000000",
            "ot=th:8;rv:80000000000000",
        ),
        (
            HALF,
            true,
            "ot=th:8;rv:7fffffffffffff,a=b",
            "ot=rv:7fffffffffffff,a=b",
        ),
        (HALF - 1, false, "ot=th:8", "ot=th:8"),
        (HALF, false, "ot=th:8", ""),
        (HALF, true, "ot=th:XY;k:v,a=b", "ot=k:v,a=b"),
        (HALF, true, "a=b,ot=k:v", "a=b,ot=k:v"),
        (HALF, true, "", ""),
    ];
    for (randomness, sampled, state, expected) in cases {
        let context = consistent(context(randomness, sampled, state));
        assert_eq!(context.trace_state.as_str(), expected, "{state}");
        assert_eq!(
            context.flags.is_sampled(),
            sampled,
            "only the threshold is doubted"
        );
    }
    let creation = context(HALF - 1, true, "ot=th:8");
    for relation in RELATIONS {
        let process = stands(&job("j", &creation, relation, 1), OLD).process;
        assert!(process.flags.is_sampled());
        assert_eq!(process.trace_state.as_str(), "");
    }
}

#[test]
fn a_rule_lowers_and_never_raises() {
    let top = RANGE - 1;
    let cases = [
        // Nobody limits.
        (HALF, true, "ot=th:8", None, true, "ot=th:8"),
        // A parent that is not sampled stays so.
        (top, false, "", Some(0), false, ""),
        (HALF - 1, false, "ot=th:8", Some(0), false, "ot=th:8"),
        // The parent was stricter.
        (top, true, "ot=th:c", Some(HALF), true, "ot=th:c"),
        (HALF, true, "ot=th:8", Some(HALF), true, "ot=th:8"),
        // The rule is stricter: the higher threshold is stated where it lets through.
        (
            top,
            true,
            "a=b,ot=th:8;k:v",
            Some(RANGE / 4 * 3),
            true,
            "ot=th:c;k:v,a=b",
        ),
        (HALF, true, "ot=th:8,a=b", Some(RANGE / 4 * 3), false, "a=b"),
        (HALF, true, "ot=th:0", Some(HALF), true, "ot=th:8"),
        // Randomness that is stated counts instead of the id's.
        (
            0,
            true,
            "ot=th:0;rv:ffffffffffffff",
            Some(HALF),
            true,
            "ot=th:8;rv:ffffffffffffff",
        ),
        (
            top,
            true,
            "ot=th:0;rv:00000000000000",
            Some(HALF),
            false,
            "ot=rv:00000000000000",
        ),
        // How likely the parent was is not known, and is not invented.
        (top, true, "", Some(HALF), true, ""),
        (0, true, "", Some(HALF), false, ""),
        (HALF - 1, true, "ot=th:8", Some(1), true, ""),
        // Nothing at all passes.
        (top, true, "ot=th:0", Some(RANGE), false, ""),
    ];
    for (randomness, sampled, state, limit, leaves, expected) in cases {
        let parent = context(randomness, sampled, state);
        let lowered = lowered(parent.clone(), limit);
        assert_eq!(lowered.flags.is_sampled(), leaves, "{state} {limit:?}");
        assert_eq!(lowered.trace_state.as_str(), expected, "{state} {limit:?}");
        assert_eq!(lowered.trace_id, parent.trace_id);
    }
}

#[test]
fn stricter_rules_let_a_subset_through() {
    for seed in [1, 2, 3] {
        for nth in 0..2000 {
            let parent = context(random(seed, nth), true, "ot=th:0");
            let leaves = [0, HALF, TENTH, RANGE]
                .map(|limit| lowered(parent.clone(), Some(limit)).flags.is_sampled());
            assert!(leaves.is_sorted_by(|looser, stricter| looser >= stricter));
        }
    }
}

/// What the sampled jobs of batches stand for, by their thresholds.
fn extrapolated(jobs: impl Iterator<Item = SpanContext>) -> f64 {
    let states_none = |process: &SpanContext| process.trace_state.is_empty();
    jobs.inspect(|process| assert!(process.flags.is_sampled() || states_none(process)))
        .filter(|process| process.flags.is_sampled())
        .map(|process| {
            assert_eq!(consistent(process.clone()), process);
            let rejected = threshold(&process.trace_state).unwrap();
            RANGE as f64 / (RANGE - rejected) as f64
        })
        .sum()
}

#[test]
fn counts_of_large_batches_that_begin_their_traces_are_unbiased() {
    let (batches, jobs) = (80_u32, 400_u32);
    for seed in [11, 12, 13] {
        let of_batch = |batch: u32| {
            let randomness = random(seed, u64::from(batch));
            let id = SpanId::from_u64(SPAN);
            let trace_id = context(randomness, false, "").trace_id;
            batch_root(trace_id, id, &decision(randomness, TENTH))
        };
        let processes = (0..batches).flat_map(|batch| {
            let creation = of_batch(batch);
            (0..jobs).map(move |nth| {
                let id = format!("{seed}-{batch}-{nth}");
                stands(&job(&id, &creation, Relation::Auto, jobs), Duration::ZERO).process
            })
        });
        let total = f64::from(batches * jobs);
        let estimate = extrapolated(processes);
        // Each job is drawn by itself, at one tenth.
        let deviation = (total * 9.0).sqrt();
        assert!(
            (estimate - total).abs() < 4.0 * deviation,
            "{seed}: {estimate} of {total}"
        );
    }
}

#[test]
fn large_batches_beneath_a_parent_follow_it_and_counts_are_unbiased() {
    let (batches, jobs) = (700_u32, 101_u32);
    for seed in [21, 22, 23] {
        let processes = (0..batches).flat_map(|batch| {
            let randomness = random(seed, u64::from(batch));
            let sampled = randomness >= TENTH;
            let stated = with_threshold(&TraceState::EMPTY, sampled.then_some(TENTH));
            let creation = context(randomness, sampled, stated.as_str());
            (0..jobs).map(move |nth| {
                let id = format!("{seed}-{batch}-{nth}");
                let process = stands(&job(&id, &creation, Relation::Auto, jobs), Duration::ZERO);
                assert_eq!(process.is_sampled(), sampled);
                process.process
            })
        });
        let total = f64::from(batches * jobs);
        let estimate = extrapolated(processes);
        // Batches are drawn as a whole.
        let deviation = f64::from(jobs) * (f64::from(batches) * 9.0).sqrt();
        assert!(
            (estimate - total).abs() < 4.0 * deviation,
            "{seed}: {estimate} of {total}"
        );
    }
}

#[test]
fn jobs_of_a_large_batch_have_randomness_of_their_own_on_every_attempt() {
    let creation = context(RANGE - 5, true, "ot=th:e6");
    let of = |id: &str, claim| {
        let mut job = job(id, &creation, Relation::Auto, 101);
        job.claim = claim;
        stands(&job, Duration::ZERO).process
    };
    let (first, again, other) = (of("a", 1), of("a", 2), of("b", 1));
    assert_eq!(randomness(&first), randomness(&again));
    assert_ne!(first.trace_id, again.trace_id);
    assert_ne!(randomness(&first), randomness(&other));
    assert_eq!(above(0, 7), 7);
    assert_eq!(above(HALF, 0), HALF);
    assert_eq!(above(HALF, RANGE - 1), RANGE - 1);
}

#[test]
fn what_is_meant_for_the_jobs_of_a_batch_goes_no_further() {
    let creation = batch_root(
        TraceId::from_u128(1),
        SpanId::from_u64(SPAN),
        &decision(1, HALF),
    );
    assert_eq!(creation.trace_state.as_str(), "longshore=th:8");
    for relation in RELATIONS {
        let process = stands(&job("j", &creation, relation, 500), Duration::ZERO).process;
        assert_eq!(process.trace_state.get(OF_EACH), None, "{relation:?}");
    }
    assert_eq!(
        lowered(creation.clone(), None).trace_state.get(OF_EACH),
        None
    );
    let none = batch_root(creation.trace_id, creation.span_id, &decision(1, RANGE));
    assert!(none.trace_state.is_empty());
}

#[test]
fn a_lost_attempt_is_found_under_the_ids_it_had() {
    let creations = [
        context(RANGE - 9, true, "ot=th:8"),
        context(3, true, "ot=th:8;rv:f0000000000000"),
        context(3, true, "ot=th:8"),
        batch_root(
            TraceId::from_u128(3),
            SpanId::from_u64(SPAN),
            &decision(3, HALF),
        ),
    ];
    for creation in creations {
        for relation in RELATIONS {
            for batch_size in [1, 101] {
                let mut job = job("j", &creation, relation, batch_size);
                let then = stands(&job, OLD).process;
                let claimed_at = ENQUEUED.after(OLD);
                job.history.push(AttemptRecord {
                    attempt: 1,
                    claim: 1,
                    worker: WorkerId::new("w"),
                    due_at: ENQUEUED,
                    claimed_at,
                    ended_at: claimed_at,
                    outcome: AttemptOutcome::Lost,
                    error: None,
                    trace_id: None,
                    span_id: None,
                });
                job.claim = 2;
                let next = stands(&job, OLD);
                let previous = next.previous.unwrap();
                assert_eq!(
                    (previous.trace_id, previous.span_id),
                    (then.trace_id, then.span_id)
                );
                assert_eq!(previous.flags.is_sampled(), then.flags.is_sampled());
            }
        }
    }
}

#[test]
fn what_is_made_with_a_lent_context_is_no_more_sampled_than_what_was_lent() {
    let handler = SpanContext {
        trace_id: TraceId::from_u128(7),
        span_id: SpanId::from_u64(0x2a),
        flags: TraceFlags::RANDOM,
        trace_state: TraceState::parse("vendor=1").0,
    };
    let lent = lent(&handler);
    assert!(lent.flags.is_sampled());
    let state = lent.trace_state.as_str();
    assert_eq!(state, "longshore=lent:000000000000002a,vendor=1");
    assert_eq!(lender(&lent.trace_state), Some(handler.span_id));
    assert!(is_lent(state) && !is_lent(""));
    assert_eq!(without_mark(&lent.trace_state), handler.trace_state);
    for limit in [None, Some(0), Some(RANGE)] {
        assert_eq!(lowered(lent.clone(), limit), handler);
    }
    for state in [
        "vendor=1",
        "longshore=th:8",
        "longshore=lent:",
        "longshore=lent:x",
    ] {
        assert_eq!(lender(&TraceState::parse(state).0), None, "{state}");
        assert!(!is_lent(state), "{state}");
    }
}
