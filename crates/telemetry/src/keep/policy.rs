//! Which jobs' traces are kept: the decision alone.

use std::time::Duration;

use longshore_instrument::{KeepFacts, KeepReason};

use super::slowness::Slowness;
use crate::config::value::parse_duration;
use crate::rule::{Rules, Subject};

/// What the configuration says about keeping.
#[derive(Clone, Debug)]
pub struct KeepSettings {
    /// Whether anything is kept that the head sampler did not choose.
    pub enabled: bool,
    /// An attempt that runs longer than this is slow. With it, nothing is learned.
    pub run_objective: Option<Duration>,
    /// A job that waits longer than this is slow.
    pub wait_objective: Option<Duration>,
    /// A job that needs more attempts than this is kept even if they do not fail.
    pub attempts: u32,
    /// Rules for some queues, kinds, tenants.
    pub rules: Rules<KeepRule>,
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            run_objective: None,
            wait_objective: None,
            attempts: 3,
            rules: Rules::default(),
        }
    }
}

/// When the jobs that a rule selects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepRule {
    /// Always.
    Always,
    /// When an attempt ran longer than this, instead of the general objective.
    Run(Duration),
    /// When it waited longer than this, instead of the general objective.
    Wait(Duration),
}

impl KeepRule {
    /// Reads `always`, `run>2s` or `wait>30s`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is none of always, run>DURATION and wait>DURATION");
        if text == "always" {
            return Ok(Self::Always);
        }
        let (what, limit) = text.split_once('>').ok_or_else(problem)?;
        let limit = parse_duration(limit.trim())?;
        match what.trim() {
            "run" => Ok(Self::Run(limit)),
            "wait" => Ok(Self::Wait(limit)),
            _ => Err(problem()),
        }
    }
}

/// The settings, and what has been learned.
#[derive(Debug, Default)]
pub struct KeepPolicy {
    settings: KeepSettings,
    slowness: Slowness,
}

impl KeepPolicy {
    /// A policy that has learned nothing yet.
    #[must_use]
    pub fn new(settings: KeepSettings) -> Self {
        Self {
            settings,
            slowness: Slowness::default(),
        }
    }

    /// Whether the job of an attempt that has ended is kept, and why. Takes note of how long the
    /// attempt ran.
    pub fn decide(&self, facts: &KeepFacts<'_>) -> Option<KeepReason> {
        if !self.settings.enabled {
            return None;
        }
        let objectives = self.objectives(facts);
        let slow = self.is_slow(facts, objectives.run);
        if facts.outcome.is_failure() || facts.error_class.is_some() {
            return Some(
                facts
                    .error_class
                    .map_or(KeepReason::Error, KeepReason::of_class),
            );
        }
        if objectives.always {
            return Some(KeepReason::Rule);
        }
        if slow {
            return Some(KeepReason::SlowRun);
        }
        if objectives.wait.is_some_and(|limit| facts.wait > limit) {
            return Some(KeepReason::SlowWait);
        }
        // Snoozes and hand-backs repeat an attempt's number but take a claim each.
        (facts.claim > self.settings.attempts).then_some(KeepReason::Attempts)
    }

    fn is_slow(&self, facts: &KeepFacts<'_>, objective: Option<Duration>) -> bool {
        match objective {
            Some(limit) => facts.run > limit,
            None => self.slowness.observe(facts.queue, facts.kind, facts.run),
        }
    }

    fn objectives(&self, facts: &KeepFacts<'_>) -> Objectives {
        let general = Objectives {
            always: false,
            run: self.settings.run_objective,
            wait: self.settings.wait_objective,
        };
        if self.settings.rules.is_empty() {
            return general;
        }
        let subject = Subject::from(facts);
        let (mut run, mut wait, mut always) = (None, None, false);
        for rule in self.settings.rules.fitting(&subject) {
            match *rule {
                KeepRule::Always => always = true,
                KeepRule::Run(limit) => run = run.or(Some(limit)),
                KeepRule::Wait(limit) => wait = wait.or(Some(limit)),
            }
        }
        Objectives {
            always,
            run: run.or(general.run),
            wait: wait.or(general.wait),
        }
    }
}

/// What holds for one job.
struct Objectives {
    always: bool,
    run: Option<Duration>,
    wait: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use longshore_core::{AttemptOutcome, Kind, Priority, QueueName};

    use super::*;

    fn job() -> (QueueName, Kind) {
        ("mail".parse().unwrap(), "send".parse().unwrap())
    }

    fn facts((queue, kind): &(QueueName, Kind)) -> KeepFacts<'_> {
        KeepFacts {
            queue,
            kind,
            priority: Priority::default(),
            tenant_id: None,
            namespace: None,
            claim: 1,
            outcome: AttemptOutcome::Completed,
            error_class: None,
            wait: Duration::from_secs(1),
            run: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_failure_is_kept_under_its_reason() {
        let policy = KeepPolicy::default();
        let job = job();
        let cases = [
            ("panic", KeepReason::Panic),
            ("timeout", KeepReason::Timeout),
            ("lease_expired", KeepReason::LeaseExpired),
            ("bank_error", KeepReason::Error),
        ];
        for (class, reason) in cases {
            let failed = KeepFacts {
                outcome: AttemptOutcome::Retried,
                error_class: Some(class),
                ..facts(&job)
            };
            assert_eq!(policy.decide(&failed), Some(reason));
        }
        assert_eq!(policy.decide(&facts(&job)), None);
    }

    #[test]
    fn objectives_say_what_is_slow() {
        let settings = KeepSettings {
            run_objective: Some(Duration::from_millis(999)),
            wait_objective: Some(Duration::from_millis(999)),
            ..KeepSettings::default()
        };
        let policy = KeepPolicy::new(settings);
        let job = job();
        assert_eq!(policy.decide(&facts(&job)), Some(KeepReason::SlowRun));
        let quick = KeepFacts {
            run: Duration::ZERO,
            ..facts(&job)
        };
        assert_eq!(policy.decide(&quick), Some(KeepReason::SlowWait));
    }

    #[test]
    fn a_rule_goes_before_the_general_objective() {
        let rules = "queue=* -> run>5s; queue=* -> wait>500ms";
        let settings = KeepSettings {
            run_objective: Some(Duration::ZERO),
            rules: Rules::parse(rules, KeepRule::parse).unwrap(),
            ..KeepSettings::default()
        };
        let job = job();
        let reason = KeepPolicy::new(settings).decide(&facts(&job));
        assert_eq!(reason, Some(KeepReason::SlowWait));
    }

    #[test]
    fn many_claims_are_kept() {
        let job = job();
        let fourth = KeepFacts {
            claim: 4,
            ..facts(&job)
        };
        let policy = KeepPolicy::default();
        assert_eq!(policy.decide(&fourth), Some(KeepReason::Attempts));
    }

    #[test]
    fn bad_rules_are_named() {
        for text in ["never", "run", "run>soon", "walk>2s"] {
            assert!(
                KeepRule::parse(text)
                    .unwrap_err()
                    .contains(text.rsplit('>').next().unwrap())
            );
        }
    }
}
