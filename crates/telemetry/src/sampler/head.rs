//! The head sampler of a process: rules, the base rate, and pressure.

use std::sync::Arc;

use longshore_core::TraceId;
use longshore_instrument::{RootDecision, RootRequest};

use super::{Budget, Routes, Threshold};
use crate::counters::Tally;
use crate::rule::{Rules, Subject};

/// Decides about new traces: the first rule that fits, else the base rate, and less than either
/// while the way out is filling up.
#[derive(Debug)]
pub(crate) struct HeadSampler {
    rules: Rules<Threshold>,
    base: Threshold,
    budget: Option<Arc<Budget>>,
    routes: Option<Routes>,
    tally: Arc<Tally>,
}

impl HeadSampler {
    pub(crate) fn new(
        rules: Rules<Threshold>,
        base: Threshold,
        budget: Option<Arc<Budget>>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            routes: rules.look_at_routes().then(Routes::default),
            rules,
            base,
            budget,
            tally,
        }
    }

    /// A sampler of nothing: what goes nowhere need not be recorded.
    pub(crate) fn of_nothing(tally: Arc<Tally>) -> Self {
        Self::new(Rules::default(), Threshold::NONE, None, tally)
    }

    /// Decides about a new trace of jobs.
    pub(crate) fn decide(&self, request: &RootRequest<'_>) -> RootDecision {
        let threshold = match self.rule(request) {
            Some(threshold) => threshold,
            None => self.base_of(request),
        };
        self.under_pressure(threshold, request.trace_id)
    }

    /// What holds for a trace of jobs about which it was decided before, as far as the rates are
    /// what they were. Takes note of nothing.
    pub(crate) fn recall(&self, request: &RootRequest<'_>) -> RootDecision {
        let threshold = self
            .rule(request)
            .unwrap_or_else(|| self.base_now(request.queue.as_str()));
        let level = self.tally.pressure.level();
        threshold.halved(level).decide(request.trace_id)
    }

    /// Decides about a new trace that has nothing to do with jobs.
    pub(crate) fn decide_other(&self, trace_id: TraceId) -> RootDecision {
        self.under_pressure(self.base, trace_id)
    }

    /// What the first rule that fits says.
    pub(crate) fn rule(&self, request: &RootRequest<'_>) -> Option<Threshold> {
        if self.rules.is_empty() {
            return None;
        }
        self.rules.find(&Subject::from(request)).copied()
    }

    /// The routes of running spans, if any rule wants to know of them.
    pub(crate) const fn routes(&self) -> Option<&Routes> {
        self.routes.as_ref()
    }

    /// The share of new traces of a queue that is sampled now, as far as no rule looks at more
    /// than the queue.
    pub(crate) fn ratio(&self, queue: &str) -> f64 {
        let threshold = match self.rules.of_queue(queue) {
            Some(threshold) => *threshold,
            None => self.base_now(queue),
        };
        threshold.halved(self.tally.pressure.level()).ratio()
    }

    /// Queues that the base rate was asked about, if it follows a budget.
    pub(crate) fn queues(&self) -> Vec<longshore_core::QueueName> {
        let budget = self.budget.as_ref();
        budget.map_or_else(Vec::new, |budget| budget.queues())
    }

    fn base_now(&self, queue: &str) -> Threshold {
        let budget = self.budget.as_ref();
        budget.map_or(self.base, |budget| budget.threshold(queue))
    }

    fn base_of(&self, request: &RootRequest<'_>) -> Threshold {
        let Some(budget) = &self.budget else {
            return self.base;
        };
        budget.asked(request.queue, request.priority, request.jobs)
    }

    fn under_pressure(&self, threshold: Threshold, trace_id: TraceId) -> RootDecision {
        let level = self.tally.pressure.level();
        if level == 0 {
            return threshold.decide(trace_id);
        }
        let decision = threshold.halved(level).decide(trace_id);
        if !decision.sampled && threshold.keeps(trace_id.randomness()) {
            self.tally.trace_shed();
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Kind, Priority, QueueName};

    use super::*;
    use crate::sampler::parse_ratio;

    fn head(rules: &str, base: f64) -> HeadSampler {
        let rules = Rules::parse(rules, parse_ratio).unwrap();
        HeadSampler::new(rules, Threshold::from_ratio(base), None, Arc::default())
    }

    struct Names(QueueName, Kind);

    impl Names {
        fn of(queue: &str, kind: &str) -> Self {
            Self(queue.parse().unwrap(), kind.parse().unwrap())
        }

        /// A trace whose randomness lies this far up the range.
        fn request(&self, part: f64) -> RootRequest<'_> {
            let randomness = (part * (1u64 << 56) as f64) as u128;
            RootRequest {
                trace_id: TraceId::from_u128(1 << 100 | randomness),
                queue: &self.0,
                kind: Some(&self.1),
                priority: Priority::default(),
                tenant_id: Some("acme"),
                namespace: Some("eu"),
                route: Some("/orders/{id}"),
                jobs: 1,
            }
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts_else_the_base_rate() {
        let head = head(
            "queue=mail kind=send_* -> 0.1; tenant=other -> 0; route=/health -> 0; \
             queue=audit route=/orders/* namespace=eu priority=2 tenant=ac* -> 1; queue=none -> 0",
            0.5,
        );
        let sampled =
            |queue, kind, part| head.decide(&Names::of(queue, kind).request(part)).sampled;
        assert!(sampled("mail", "send_welcome", 0.91));
        assert!(!sampled("mail", "send_welcome", 0.89));
        assert!(sampled("mail", "receive", 0.51));
        assert!(!sampled("mail", "receive", 0.49));
        assert!(sampled("audit", "any", 0.0));
        assert!(!sampled("none", "any", 0.999_999));
        assert_eq!(head.ratio("none"), 0.0);
        assert_eq!(head.ratio("mail"), 0.5, "its rule looks at kinds");
        assert!(head.routes().is_some());
    }

    #[test]
    fn under_pressure_the_share_is_halved_and_what_gave_way_is_counted() {
        let head = head("queue=audit -> 1", 0.5);
        let (mail, audit) = (Names::of("mail", "k"), Names::of("audit", "k"));
        head.tally.pressure.in_queue(9, 16);
        let decision = head.decide(&mail.request(0.8));
        assert!(!decision.sampled);
        assert!(head.decide(&mail.request(0.88)).sampled);
        let kept = head.decide(&audit.request(0.76));
        assert!(kept.sampled);
        assert_eq!(kept.threshold, Some(Threshold::from_ratio(0.25).rejected()));
        assert!(!head.decide(&mail.request(0.2)).sampled, "nor without");
        assert_eq!(head.ratio("mail"), 0.125);
        assert_eq!(
            head.recall(&mail.request(0.8)),
            decision,
            "nor counted twice"
        );
        assert_eq!(head.recall(&audit.request(0.76)), kept);
        assert_eq!(head.tally.snapshot().shed_traces, 1);
        head.tally.pressure.in_queue(0, 16);
        assert!(head.decide(&mail.request(0.8)).sampled);
        assert_eq!(head.ratio("mail"), 0.5);
    }

    #[test]
    fn what_is_recalled_is_no_traffic_to_a_budget() {
        let clock = Arc::new(longshore_testkit::ManualClock::default());
        let start = Threshold::from_ratio(0.5);
        let budget = Arc::new(Budget::new(1.0, false, start, clock));
        let rules = Rules::parse("queue=audit -> 1", parse_ratio).unwrap();
        let head = HeadSampler::new(rules, Threshold::ALL, Some(budget), Arc::default());
        let mail = Names::of("mail", "k");
        for (part, sampled) in [(0.49, false), (0.51, true)] {
            assert_eq!(head.recall(&mail.request(part)).sampled, sampled);
            assert_eq!(head.queues(), [], "nobody has asked yet");
        }
        assert!(head.recall(&Names::of("audit", "k").request(0.0)).sampled);
        let asked = head.decide(&mail.request(0.51));
        assert_eq!(head.queues(), std::slice::from_ref(&mail.0));
        assert_eq!(head.recall(&mail.request(0.51)), asked);
    }

    #[test]
    fn nothing_is_sampled_where_nothing_leaves() {
        let head = HeadSampler::of_nothing(Arc::default());
        assert!(
            !head
                .decide(&Names::of("q", "k").request(0.999_999_9))
                .sampled
        );
        assert_eq!(head.ratio("q"), 0.0);
        assert!(head.routes().is_none());
    }
}
