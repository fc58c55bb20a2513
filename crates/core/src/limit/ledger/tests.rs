use proptest::prelude::*;

use super::*;

const TERM: Duration = Duration::from_secs(10);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_000_000_000 + millis)
}

fn terms(limit: u32, now: Timestamp) -> Terms<'static> {
    Terms {
        concurrency: Some(limit),
        rate: None,
        now,
        clock_error: Duration::ZERO,
    }
}

fn ask(holder: &str, used: u32, wanted: u32) -> Ask<'_> {
    Ask {
        holder,
        used,
        wanted,
        term: TERM,
        tokens: 0,
        tokens_back: 0,
    }
}

#[test]
fn one_alone_gets_all_and_others_get_what_is_left() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.ask(&terms(5, at(0)), &ask("a", 0, 3)).permits, 3);
    let second = ledger.ask(&terms(5, at(0)), &ask("b", 0, 10));
    assert_eq!(second.permits, 2);
    assert!(second.ask_again_in.is_some());
    assert_eq!(ledger.permits_out(&terms(5, at(0))), 5);
}

#[test]
fn what_one_who_vanished_held_comes_back_after_its_term_and_not_before() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    assert_eq!(
        ledger.ask(&terms(1, at(10_000)), &ask("b", 0, 1)).permits,
        0
    );
    assert_eq!(
        ledger.ask(&terms(1, at(10_001)), &ask("b", 0, 1)).permits,
        1
    );
    let back = ledger.ask(&terms(1, at(10_002)), &ask("a", 1, 1));
    assert_eq!(back.permits, 0, "its job must stop: another has its permit");
}

#[test]
fn one_who_comes_back_before_others_asked_goes_on() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    assert_eq!(
        ledger.ask(&terms(1, at(60_000)), &ask("a", 1, 1)).permits,
        1
    );
}

#[test]
fn permits_in_use_outlive_a_lowered_limit_and_idle_ones_do_not() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(10, at(0)), &ask("a", 0, 10));
    assert_eq!(ledger.ask(&terms(2, at(1)), &ask("a", 4, 10)).permits, 4);
    assert_eq!(ledger.ask(&terms(2, at(2)), &ask("b", 0, 1)).permits, 0);
    assert_eq!(ledger.ask(&terms(2, at(3)), &ask("a", 1, 10)).permits, 2);
}

#[test]
fn one_who_waits_gets_a_share_once_the_holder_had_its_time() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    assert_eq!(ledger.ask(&terms(1, at(100)), &ask("b", 0, 1)).permits, 0);
    assert_eq!(ledger.ask(&terms(1, at(900)), &ask("a", 0, 1)).permits, 1);
    assert_eq!(
        ledger.ask(&terms(1, at(1_000)), &ask("a", 1, 1)).permits,
        1,
        "its job runs"
    );
    assert_eq!(ledger.ask(&terms(1, at(1_100)), &ask("a", 0, 1)).permits, 0);
    assert_eq!(
        ledger.ask(&terms(1, at(1_101)), &ask("a", 0, 1)).permits,
        0,
        "b was first"
    );
    assert_eq!(ledger.ask(&terms(1, at(1_200)), &ask("b", 0, 1)).permits, 1);
    assert_eq!(ledger.ask(&terms(1, at(2_199)), &ask("b", 0, 1)).permits, 1);
    assert_eq!(ledger.ask(&terms(1, at(2_200)), &ask("b", 0, 1)).permits, 0);
    assert_eq!(ledger.ask(&terms(1, at(2_300)), &ask("a", 0, 1)).permits, 1);
}

#[test]
fn shares_come_to_rest() {
    let mut ledger = Ledger::default();
    let workers = ["a", "b", "c"];
    for round in 0..40 {
        for worker in workers {
            ledger.ask(&terms(10, at(round * 250)), &ask(worker, 0, 10));
        }
    }
    let before = ledger.clone();
    let mut held: Vec<u32> = Vec::new();
    for worker in workers {
        held.push(
            ledger
                .ask(&terms(10, at(10_000)), &ask(worker, 0, 10))
                .permits,
        );
    }
    held.sort_unstable();
    assert_eq!(held, [3, 3, 4]);
    let holders = |ledger: &Ledger| -> Vec<(String, u32)> {
        let holders = ledger.holders.iter();
        holders
            .map(|(name, holder)| (name.clone(), holder.permits))
            .collect()
    };
    assert_eq!(holders(&before), holders(&ledger));
}

#[test]
fn asking_in_vain_and_asking_again_write_nothing() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    ledger.ask(&terms(1, at(0)), &ask("b", 0, 1));
    let before = ledger.clone();
    ledger.ask(&terms(1, at(500)), &ask("a", 1, 1));
    ledger.ask(&terms(1, at(500)), &ask("b", 0, 1));
    assert_eq!(ledger, before);
}

#[test]
fn a_clock_that_was_set_back_frees_permits_after_their_term_all_the_same() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    let back = -3_600_000;
    assert_eq!(ledger.ask(&terms(1, at(back)), &ask("b", 0, 1)).permits, 0);
    assert_eq!(
        ledger
            .ask(&terms(1, at(back + 10_001)), &ask("b", 0, 1))
            .permits,
        1
    );
}

#[test]
fn one_who_waited_and_vanished_holds_nobody_up_for_long() {
    let mut ledger = Ledger::default();
    ledger.ask(&terms(1, at(0)), &ask("a", 0, 1));
    ledger.ask(&terms(1, at(1)), &ask("gone", 0, 1));
    ledger.ask(&terms(1, at(2)), &ask("a", 0, 0));
    assert_eq!(ledger.ask(&terms(1, at(3)), &ask("b", 0, 1)).permits, 0);
    assert_eq!(ledger.ask(&terms(1, at(3_100)), &ask("b", 0, 1)).permits, 1);
}

#[test]
fn tokens_that_come_back_are_there_for_others() {
    let rate: Rate = "2/1h".parse().unwrap();
    let terms = Terms {
        concurrency: None,
        rate: Some(&rate),
        now: at(0),
        clock_error: Duration::ZERO,
    };
    let tokens = |tokens, tokens_back| Ask {
        tokens,
        tokens_back,
        ..ask("a", 0, 0)
    };
    let mut ledger = Ledger::default();
    assert_eq!(ledger.ask(&terms, &tokens(5, 0)).tokens, 2);
    let refused = ledger.ask(&terms, &tokens(1, 0));
    assert_eq!(refused.ask_again_in, Some(Duration::from_secs(30 * 60)));
    ledger.ask(&terms, &tokens(0, 1));
    assert_eq!(ledger.ask(&terms, &tokens(5, 0)).tokens, 1);
    assert!(!ledger.is_idle(at(0)));
    assert!(ledger.is_idle(at(3_600_000)));
}

/// What a worker believes to hold, and until when by its own clock.
#[derive(Clone, Copy, Debug, Default)]
struct Belief {
    permits: u32,
    until: u64,
}

impl Belief {
    fn counts(&self, real: u64) -> u32 {
        if self.until >= real { self.permits } else { 0 }
    }
}

proptest! {
    #[test]
    fn never_more_permits_than_the_limit(
        limits in prop::collection::vec(1..12u32, 1..4),
        steps in prop::collection::vec(
            (0..5usize, 0..12u32, 0..12u32, 0..6_000u64, 0..20u8), 1..120,
        ),
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let mut ledger = Ledger::default();
        let mut beliefs = [Belief::default(); 5];
        // Workers go by time as it passes; the store's clock may be set back.
        let (mut real, mut set_back) = (10_000_000u64, 0u64);
        for (position, (who, used, more, passed, event)) in steps.into_iter().enumerate() {
            let limit = limits[position * limits.len() / 120];
            real += passed;
            let out = |beliefs: &[Belief]| -> u32 {
                beliefs.iter().map(|belief| belief.counts(real)).sum()
            };
            match event {
                0 => set_back += 5_000_000,
                1 => beliefs[who] = Belief::default(),
                _ => {}
            }
            let before = out(&beliefs);
            let belief = beliefs[who];
            // Jobs end between two asks, and start only within what is held.
            let used = used.min(belief.counts(real));
            let now = at(real as i64 - set_back as i64);
            let granted = ledger.ask(&terms(limit, now), &ask(names[who], used, used + more));
            prop_assert!(granted.permits <= (used + more).max(used));
            beliefs[who] = Belief {
                permits: granted.permits,
                until: real + granted.holds_for.as_millis() as u64,
            };
            let after = out(&beliefs);
            prop_assert!(after <= limit.max(before), "{after} of {limit}, {before} before");
            prop_assert!(
                granted.permits >= used || belief.until < real || event == 1,
                "a job that runs keeps its permit"
            );
        }
    }

    #[test]
    fn nothing_is_lost_for_ever(
        steps in prop::collection::vec((0..4usize, 0..9u32, 0..3_000u64), 1..60),
        jump in 0..10_000_000_000i64,
    ) {
        let names = ["a", "b", "c", "d"];
        let mut ledger = Ledger::default();
        let mut now = 0i64;
        for (who, wanted, passed) in steps {
            now += passed as i64;
            ledger.ask(&terms(4, at(now)), &ask(names[who], 0, wanted));
        }
        // Everybody vanishes, and the clock is set back.
        now -= jump.min(900_000_000);
        ledger.ask(&terms(4, at(now)), &ask("new", 0, 4));
        ledger.ask(&terms(4, at(now + 10_001)), &ask("new", 0, 4));
        prop_assert_eq!(ledger.ask(&terms(4, at(now + 10_002)), &ask("new", 0, 4)).permits, 4);
        ledger.ask(&terms(4, at(now + 10_003)), &ask("new", 0, 0));
        prop_assert!(ledger.is_idle(at(now + 20_000)));
    }
}
