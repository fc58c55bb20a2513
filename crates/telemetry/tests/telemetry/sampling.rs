//! Sampling, judged by counting: over ids as the engine derives them, with several seeds.

use std::sync::Arc;

use longshore_core::{
    Clock, Job, JobId, NewJob, Priority, QueueName, Random, Relation, SpanContext, SpanId,
    TraceFlags, TraceId, TraceState,
};
use longshore_instrument::relation::{self, attempt_context};
use longshore_instrument::{Recorder, RootDecision, RootRequest};
use longshore_telemetry::sampler::Threshold;
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_testkit::{ManualClock, SeededRandom};
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, trace as otel};

use super::{settings, start};

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
const RANGE: f64 = (1u64 << 56) as f64;
const SEEDS: [u64; 3] = [3, 56, 235];

fn telemetry(pairs: &[(&str, &str)]) -> Telemetry {
    let all: Vec<_> = [ENDPOINT].iter().chain(pairs).copied().collect();
    start(&settings(&all))
}

fn at(ratio: &str) -> Telemetry {
    telemetry(&[("LONGSHORE_TELEMETRY_SAMPLING_RATIO", ratio)])
}

/// The traces of so many jobs, as a producer derives them, and as retries do that have no
/// context to inherit.
fn traces(seed: u64, count: u32) -> impl Iterator<Item = TraceId> {
    let random = SeededRandom::new(seed);
    let clock = ManualClock::default();
    (0..count).map(move |nth| {
        clock.advance(std::time::Duration::from_micros(random.next_u64() % 100));
        let id = JobId::generate(clock.now(), &random);
        id.derive_trace_id(nth % 3, None)
    })
}

fn request(trace_id: TraceId, queue: &QueueName) -> RootRequest<'_> {
    RootRequest {
        trace_id,
        queue,
        kind: None,
        priority: Priority::default(),
        tenant_id: None,
        namespace: None,
        route: None,
        jobs: 1,
    }
}

fn decide(recorder: &dyn Recorder, trace_id: TraceId) -> RootDecision {
    let queue = "mail".parse().unwrap();
    recorder.decide_root(&request(trace_id, &queue))
}

fn warnings(pairs: &[(&str, &str)]) -> Vec<String> {
    let environment = Environment::from_pairs(pairs.iter().copied());
    let config = Config::load(&[], &environment, &[]).unwrap();
    config.warnings().iter().map(ToString::to_string).collect()
}

/// Chi-square of `bins` classes that ought to be equally likely.
fn chi_square(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    let expected = f64::from(total) / counts.len() as f64;
    let squares = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2));
    squares.sum::<f64>() / expected
}

#[test]
fn derived_trace_ids_are_random_where_it_counts() {
    let chosen = |seed: u64| {
        let id = move |nth: u32| format!("order-{seed}-{nth}").parse::<JobId>().unwrap();
        (0..100_000).map(move |nth| id(nth).derive_trace_id(0, None))
    };
    for seed in SEEDS {
        let ids: [Vec<TraceId>; 2] = [traces(seed, 100_000).collect(), chosen(seed).collect()];
        for ids in ids {
            // Every byte of the randomness.
            for shift in (0..56).step_by(8) {
                let mut counts = [0; 256];
                for id in &ids {
                    counts[(id.randomness() >> shift & 0xff) as usize] += 1;
                }
                let (freedom, found) = (255.0_f64, chi_square(&counts));
                let deviation = (2.0 * freedom).sqrt();
                assert!(
                    (found - freedom).abs() < 5.0 * deviation,
                    "{seed} {shift}: {found}"
                );
            }
        }
    }
}

#[test]
fn the_share_is_the_ratio_and_counts_are_unbiased() {
    for (ratio, count) in [("0.5", 50_000), ("0.01", 200_000), ("0.001", 400_000)] {
        let recorder = at(ratio).recorder();
        let share: f64 = ratio.parse().unwrap();
        for seed in SEEDS {
            let (mut sampled, mut estimate) = (0.0, 0.0);
            for trace_id in traces(seed, count) {
                let decision = decide(&*recorder, trace_id);
                if decision.sampled {
                    let root = relation::root(trace_id, SpanId::from_u64(1), &decision);
                    let rejected = relation::threshold(&root.trace_state).unwrap();
                    sampled += 1.0;
                    estimate += RANGE / (RANGE - rejected as f64);
                }
            }
            let total = f64::from(count);
            let deviation = (total * share * (1.0 - share)).sqrt();
            assert!(
                (sampled - total * share).abs() < 4.0 * deviation,
                "{ratio}: {sampled}"
            );
            let deviation = deviation / share;
            assert!(
                (estimate - total).abs() < 4.0 * deviation,
                "{ratio}: {estimate}"
            );
        }
    }
}

#[test]
fn a_lower_ratio_samples_a_subset() {
    let recorders = ["1", "0.5", "0.3", "0.1", "0.01", "0.001", "0"].map(|one| at(one).recorder());
    for seed in SEEDS {
        for trace_id in traces(seed, 5_000) {
            let sampled = recorders
                .each_ref()
                .map(|one| decide(&**one, trace_id).sampled);
            assert!(
                sampled.is_sorted_by(|more, less| more >= less),
                "{trace_id}"
            );
        }
    }
}

/// A job that a producer stamped with this context.
fn job(nth: usize, creation: &SpanContext, relation: Relation) -> Job {
    let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
    let id = format!("job-{nth}").parse::<JobId>().unwrap();
    let mut new = NewJob::new(id, queue, kind, "{}");
    new.trace.traceparent = Some(creation.traceparent());
    new.trace.tracestate = creation.trace_state.clone();
    new.trace.relation = relation;
    Job::from_new(new, ManualClock::default().now())
}

#[test]
fn a_worker_with_other_settings_follows_its_producer() {
    let producer = at("0.2").recorder();
    for worker in [at("1"), at("0"), at("0.7")].map(|one| one.recorder()) {
        let sampled = |job: &Job| {
            let decide = |trace_id| decide(&*worker, trace_id);
            attempt_context(job, job.enqueued_at, decide, |_| {}).is_sampled()
        };
        for (nth, trace_id) in traces(9, 500).enumerate() {
            let decision = decide(&*producer, trace_id);
            let creation = relation::root(trace_id, SpanId::from_u64(5), &decision);
            for relation in [Relation::Parent, Relation::Link, Relation::Auto] {
                let mut job = job(nth, &creation, relation);
                job.claim = 1;
                assert_eq!(sampled(&job), decision.sampled);
                job.claim = 2;
                assert_eq!(sampled(&job), decision.sampled);
            }
        }
    }
}

#[test]
fn rules_come_before_the_ratio_and_bad_ones_are_named() {
    let rules = "queue=mail -> 0; queue=audit* -> 1";
    let telemetry = telemetry(&[
        ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", "0.5"),
        ("LONGSHORE_TELEMETRY_SAMPLING_RULES", rules),
    ]);
    let recorder = telemetry.recorder();
    let share = |queue: &str| {
        let queue = queue.parse().unwrap();
        let sampled =
            traces(1, 1000).filter(|id| recorder.decide_root(&request(*id, &queue)).sampled);
        sampled.count()
    };
    assert_eq!((share("mail"), share("audit-log")), (0, 1000));
    assert!((400..600).contains(&share("other")));
    let queue = "mail".parse().unwrap();
    let limit = |queue| recorder.limit(&request(TraceId::from_u128(1), queue));
    assert_eq!(limit(&queue), Some(Threshold::NONE.rejected()));
    assert_eq!(
        limit(&"other".parse().unwrap()),
        None,
        "the ratio is for new traces"
    );

    let bad = "queue=mail -> 0.1; colour=red -> 1";
    let said = warnings(&[("LONGSHORE_TELEMETRY_SAMPLING_RULES", bad)]);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("colour=red -> 1") && said[0].contains("`colour` is none of queue"));
    let said = warnings(&[("LONGSHORE_TELEMETRY_SAMPLING_RULES", "queue=mail -> 2")]);
    assert!(
        said[0].contains("`2` is not a number from 0 to 1"),
        "{said:?}"
    );
}

#[test]
fn the_example_of_the_guide_is_understood() {
    let guide = include_str!("../../../../docs/guides/sampling.md");
    let example = guide.split("```toml").nth(1).unwrap();
    let example = example.split("```").next().unwrap().to_owned();
    let file = ("longshore.toml".to_owned(), example);
    let config = Config::load(&[file], &Environment::default(), &[]).unwrap();
    assert_eq!(config.warnings(), []);
    let settings = config.telemetry();
    assert_eq!(settings.sampling_ratio, 0.01);
    assert!(!settings.sampling_rules.is_empty() && !settings.keep.rules.is_empty());
    for said in guide.split("`").filter(|text| text.contains("_rules = \"")) {
        let (key, rules) = said.split_once(" = ").unwrap();
        let variable = format!("LONGSHORE_TELEMETRY_{}", key.to_uppercase());
        assert!(
            warnings(&[(&variable, rules.trim_matches('"'))]).is_empty(),
            "{said}"
        );
    }
}

#[test]
fn the_samplers_of_opentelemetry_are_understood() {
    let ratio = |sampler: &str, arg: &str| {
        let pairs = [
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", arg),
        ];
        settings(&pairs).sampling_ratio
    };
    for (sampler, arg, expected) in [
        ("always_on", "0.2", 1.0),
        ("always_off", "0.2", 0.0),
        ("traceidratio", "0.2", 0.2),
        ("traceidratio", "", 1.0),
        ("parentbased_always_on", "", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("parentbased_traceidratio", "0.2", 0.2),
        ("parentbased_traceidratio", "", 1.0),
        ("", "0.2", 0.2),
    ] {
        assert_eq!(ratio(sampler, arg), expected, "{sampler} {arg}");
    }
    let production = ("LONGSHORE_TELEMETRY_ENVIRONMENT", "production");
    assert_eq!(settings(&[production]).sampling_ratio, 0.01);
    for environment in ["staging", "development"] {
        let environment = ("LONGSHORE_TELEMETRY_ENVIRONMENT", environment);
        assert_eq!(settings(&[environment]).sampling_ratio, 1.0);
    }
    assert_eq!(settings(&[]).sampling_ratio, 1.0);
    for sampler in ["jaeger_remote", "parentbased_jaeger_remote", "xray"] {
        let said = warnings(&[("OTEL_TRACES_SAMPLER", sampler)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(sampler) && said[0].contains("telemetry.sampling_rules"));
    }
    assert!(warnings(&[("OTEL_TRACES_SAMPLER", "sometimes")])[0].contains("parentbased_"));
}

#[test]
fn spans_outside_jobs_follow_the_base_rate_and_children_their_parent() {
    let telemetry = at("0.25");
    let tracer = telemetry.tracer("app");
    let roots: Vec<_> = (0..2000).map(|_| tracer.start("root")).collect();
    let sampled: Vec<_> = roots
        .iter()
        .filter(|one| one.span_context().is_sampled())
        .collect();
    // The SDK draws these ids, so the bound is a wide one: eight deviations.
    assert!((345..655).contains(&sampled.len()), "{}", sampled.len());
    for span in sampled {
        assert_eq!(span.span_context().trace_state().header(), "ot=th:c");
    }
    let child = |state: &str, flags: u8, remote| {
        let parent = otel::SpanContext::new(
            0x1_0000_0000_0000_0000_u128.into(),
            7.into(),
            otel::TraceFlags::new(flags),
            remote,
            state.parse().unwrap(),
        );
        let parent = Context::new().with_remote_span_context(parent);
        let span = tracer.start_with_context("child", &parent);
        let context = span.span_context();
        (context.is_sampled(), context.trace_state().header())
    };
    // Randomness 0 reaches no threshold but 0.
    assert_eq!(
        child("ot=th:0,a=b", 1, true),
        (true, "ot=th:0,a=b".to_owned())
    );
    assert_eq!(child("ot=th:8,a=b", 1, true), (true, "a=b".to_owned()));
    assert_eq!(child("a=b", 1, true), (true, "a=b".to_owned()));
    assert!(!child("ot=th:0", 0, true).0);
}

#[test]
fn the_route_of_a_running_request_is_known_if_a_rule_asks() {
    let rules = ("LONGSHORE_TELEMETRY_SAMPLING_RULES", "route=/health -> 0");
    for (pairs, expected) in [(&[rules][..], Some("/orders/{id}")), (&[], None)] {
        let telemetry = telemetry(pairs);
        let tracer = telemetry.tracer("app");
        let server = tracer
            .span_builder("GET")
            .with_attributes([KeyValue::new("http.route", "/orders/{id}")]);
        let server = Context::new().with_span(tracer.build_with_context(server, &Context::new()));
        let inner = server.with_span(tracer.start_with_context("inner", &server));
        let recorder = telemetry.recorder();
        for context in [&server, &inner] {
            let _current = context.clone().attach();
            assert_eq!(recorder.current_route().as_deref(), expected);
        }
        assert_eq!(recorder.current_route(), None);
        inner.span().end();
        let _current = inner.attach();
        assert_eq!(recorder.current_route(), None, "it has ended");
    }
}

#[test]
fn the_rate_in_force_is_told_by_queue() {
    let telemetry = telemetry(&[
        ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", "0.5"),
        (
            "LONGSHORE_TELEMETRY_SAMPLING_RULES",
            "queue=mail kind=x -> 0; queue=audit -> 0.25",
        ),
        ("LONGSHORE_TELEMETRY_SPANS_PER_SECOND", "100"),
    ]);
    let recorder: Arc<dyn Recorder> = telemetry.recorder();
    for queue in ["mail", "audit"] {
        let queue = queue.parse().unwrap();
        recorder.decide_root(&request(TraceId::from_u128(7), &queue));
    }
    let ratios = telemetry.sampling_ratios();
    // A rule settles the other, so the budget never heard of it.
    assert_eq!(
        ratios.into_iter().collect::<Vec<_>>(),
        [("mail".parse().unwrap(), 0.5)]
    );
}

proptest::proptest! {
    #[test]
    fn no_text_of_others_raises_a_share_or_states_what_cannot_be_true(
        randomness in 0..1u64 << 56,
        sampled: bool,
        ot in "((th|rv|k):[0-9a-fF+]{0,15};){0,4}",
        limit in proptest::option::of(0..=1u64 << 56),
    ) {
        let parent = SpanContext {
            trace_id: TraceId::from_u128(1 << 90 | u128::from(randomness)),
            span_id: SpanId::from_u64(1),
            flags: TraceFlags::RANDOM.with_sampled(sampled),
            trace_state: TraceState::parse(&format!("ot={ot}")).0,
        };
        let believed = relation::consistent(parent.clone());
        proptest::prop_assert_eq!(believed.flags, parent.flags);
        proptest::prop_assert_eq!(relation::consistent(believed.clone()), believed.clone());
        let lowered = relation::lowered(parent.clone(), limit);
        proptest::prop_assert!(sampled || !lowered.flags.is_sampled());
        proptest::prop_assert_eq!(relation::consistent(lowered.clone()), lowered.clone());
        proptest::prop_assert_eq!(relation::randomness(&lowered), relation::randomness(&parent));
        let stated = [&believed, &lowered].map(|one| relation::threshold(&one.trace_state));
        if let [Some(before), Some(after)] = stated {
            proptest::prop_assert!(after >= before);
        }
        let is_invented = stated[0].is_none() && stated[1].is_some();
        proptest::prop_assert!(!is_invented);
    }
}
