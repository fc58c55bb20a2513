use longshore_testkit::ManualClock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> QueueName {
    text.parse().unwrap()
}

/// Traffic of `jobs` a second on each queue; gives back the spans that would be sampled in the
/// last of so many seconds.
fn run(budget: &Budget, clock: &ManualClock, seconds: u64, traffic: &[(&str, usize)]) -> f64 {
    let mut spans = 0.0;
    for _ in 0..seconds {
        spans = 0.0;
        clock.advance(SECOND);
        for (queue, jobs) in traffic {
            let queue = name(queue);
            for _ in 0..*jobs {
                let threshold = budget.asked(&queue, Priority::default(), 1);
                spans += SPANS_PER_JOB * threshold.ratio();
            }
        }
    }
    spans
}

fn budget(spans_per_second: f64) -> (Budget, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let budget = Budget::new(spans_per_second, false, Threshold::ALL, clock.clone());
    (budget, clock)
}

#[test]
fn traffic_keeps_to_the_budget_and_quiet_queues_are_not_starved() {
    let (budget, clock) = budget(500.0);
    let traffic = [("busy", 2000), ("some", 100), ("quiet", 3)];
    let spans = run(&budget, &clock, 90, &traffic);
    assert!((spans - 500.0).abs() < 25.0, "{spans}");
    assert_eq!(budget.threshold("quiet"), Threshold::ALL);
    let [busy, some] = ["busy", "some"].map(|queue| budget.threshold(queue).ratio());
    assert!(busy < some, "{busy} {some}");
    // The busy one still gets more traces than the other, not twenty times as many.
    let ratio = (busy * 2000.0) / (some * 100.0);
    assert!((1.0..3.0).contains(&ratio), "{ratio}");
}

#[test]
fn requests_to_the_store_count_as_the_spans_that_they_are() {
    let clock = Arc::new(ManualClock::default());
    let budget = Budget::new(500.0, true, Threshold::ALL, clock.clone());
    let spans = run(&budget, &clock, 90, &[("busy", 2000)]);
    let with_requests = spans / SPANS_PER_JOB * (SPANS_PER_JOB + REQUESTS_PER_JOB);
    assert!((with_requests - 500.0).abs() < 25.0, "{with_requests}");
}

#[test]
fn what_nobody_needs_is_not_held_back() {
    let (budget, clock) = budget(500.0);
    let spans = run(&budget, &clock, 60, &[("a", 10), ("b", 5)]);
    assert_eq!(spans, 75.0, "all of it: it is below the budget");
}

#[test]
fn a_burst_is_answered_before_its_interval_ends() {
    let (budget, clock) = budget(500.0);
    run(&budget, &clock, 60, &[("q", 50)]);
    assert_eq!(budget.threshold("q"), Threshold::ALL);
    let at_once = run(&budget, &clock, 3, &[("q", 5000)]);
    assert!(at_once < 3_000.0, "{at_once}");
    let later = run(&budget, &clock, 60, &[("q", 5000)]);
    assert!((later - 500.0).abs() < 25.0, "{later}");
    let gone = run(&budget, &clock, 150, &[("q", 50)]);
    assert_eq!(gone, 250.0, "all of it again");
}

#[test]
fn urgent_queues_and_failing_ones_get_more() {
    let (budget, clock) = budget(100.0);
    let (urgent, plain, failing) = (name("urgent"), name("plain"), name("failing"));
    for _ in 0..120 {
        clock.advance(SECOND);
        for _ in 0..500 {
            budget.asked(&urgent, Priority::try_from(1).unwrap(), 1);
            budget.asked(&plain, Priority::default(), 1);
            budget.asked(&failing, Priority::default(), 1);
            budget.ended(&plain, false);
            budget.ended(&failing, true);
        }
    }
    let ratio = |queue| budget.threshold(queue).ratio();
    assert!((ratio("urgent") / ratio("plain") - 4.0 / 3.0).abs() < 0.01);
    assert!((ratio("failing") / ratio("plain") - 5.0).abs() < 0.01);
}

#[test]
fn thresholds_have_four_digits_and_queues_a_bound() {
    let (budget, clock) = budget(100.0);
    run(&budget, &clock, 40, &[("q", 777)]);
    let digits = budget.threshold("q").ot().unwrap();
    assert!(
        digits
            .trim_start_matches("th:")
            .trim_start_matches('f')
            .len()
            <= 4,
        "{digits}"
    );
    for nth in 0..MAX_QUEUES + 10 {
        budget.asked(&name(&format!("queue-{nth}")), Priority::default(), 1);
    }
    assert_eq!(budget.queues().len(), MAX_QUEUES);
    run(&budget, &clock, 400, &[("q", 1)]);
    assert_eq!(budget.queues(), [name("q")], "the others are forgotten");
}

#[test]
fn a_batch_counts_as_the_jobs_it_has() {
    let (budget, clock) = budget(50.0);
    let queue = name("q");
    for _ in 0..60 {
        clock.advance(SECOND);
        budget.asked(&queue, Priority::default(), 100);
    }
    let ratio = budget.threshold("q").ratio();
    assert!((ratio - 0.1).abs() < 0.001, "{ratio}");
}
