//! The small cases that are explored, and what they find out when a rule is broken.

use longshore_object::{Judged, Made, Mutation};

use crate::explore::Faults;
use crate::script::Script;
use crate::server::Broken;
use crate::simulation::{
    Case, Sweeper, fails, holds, holds_by_chance, is_found_out, is_found_out_by_chance,
    stopped_everywhere, without,
};

const WORK: Script = Script::Work {
    limit: 1,
    rounds: 1,
};
const WORK_ALL: Script = Script::Work {
    limit: 2,
    rounds: 1,
};

const WORK_TWICE: Script = Script::Work {
    limit: 1,
    rounds: 2,
};

const fn faults(lost: u8, crashes: u8, expiries: u8) -> Faults {
    Faults {
        lost,
        crashes,
        expiries,
        unread: 0,
        waits: 0,
    }
}

/// More passes than a request can take, once.
const fn waits(faults: Faults) -> Faults {
    Faults { waits: 1, ..faults }
}

const fn case(jobs: usize, scripts: &'static [Script], faults: Faults) -> Case {
    Case {
        jobs,
        scripts,
        faults,
        broken: None,
        skewed: false,
    }
}

const PARK: Script = Script::Fail { seconds: 90 };
const LATE: Case = case(0, &[Script::Produce(1), Script::Prune], faults(1, 0, 0));
const PARKED: Case = case(
    0,
    &[Script::Produce(1), Script::PruneParked],
    faults(1, 0, 0),
);
const LEFT: Case = case(2, &[Script::FollowLate, Script::PruneLast], faults(1, 0, 0));
const LATE_FOLLOWER: Case = case(1, &[Script::FollowLate, Script::Prune], faults(1, 0, 0));
const SHARED: Case = case(0, &[Script::Shared, Script::Shared], faults(0, 0, 0));
/// A reservation is met while its job may still come.
const MET_LATE: Case = case(
    0,
    &[Script::Keyed, Script::KeyedTwice],
    waits(faults(0, 0, 0)),
);
const FOLLOWED_LATE: Case = case(1, &[Script::FollowLate], waits(faults(1, 0, 0)));
/// A sweep while args are put whose batch is still to come.
const YOUNG: Case = case(
    0,
    &[Script::ProduceLong, Script::Sweep(&[0])],
    faults(0, 0, 0),
);
const EXPIRED: Case = case(1, &[WORK, Script::Rescue], faults(0, 0, 1));

#[test]
fn two_workers_share_a_batch() {
    holds(case(2, &[WORK, WORK_ALL], faults(0, 1, 0)));
    holds(case(2, &[WORK, Script::Choosy], faults(0, 0, 0)));
}

#[test]
fn answers_are_lost() {
    holds(case(1, &[WORK, WORK], faults(1, 0, 0)));
}

#[test]
fn a_lease_ends_while_its_holder_lives() {
    holds(EXPIRED);
}

#[test]
fn a_job_is_cancelled_while_it_is_claimed() {
    holds(case(1, &[WORK, Script::Cancel], faults(0, 1, 0)));
    holds(case(1, &[Script::Cancel], faults(1, 0, 0)));
}

#[test]
fn a_job_runs_again_after_long_and_is_parked() {
    holds(case(1, &[PARK, WORK], faults(0, 1, 0)));
    holds(case(1, &[PARK], faults(1, 0, 0)));
}

#[test]
fn a_job_runs_again_soon() {
    holds(case(
        2,
        &[Script::Fail { seconds: 0 }, WORK],
        faults(0, 0, 0),
    ));
}

#[test]
fn a_job_is_followed_by_another() {
    holds(case(1, &[Script::Follow, WORK], faults(0, 0, 0)));
    holds(case(1, &[Script::Follow], faults(1, 1, 0)));
}

#[test]
fn a_job_that_is_over_runs_again() {
    holds(case(1, &[WORK, Script::Retry], faults(0, 1, 0)));
}

#[test]
fn jobs_are_enqueued_while_others_work() {
    holds(case(0, &[Script::Produce(2), WORK], faults(1, 1, 0)));
}

#[test]
fn jobs_are_pruned_while_others_still_see_them() {
    holds(case(1, &[WORK, Script::Prune], faults(0, 0, 0)));
    holds(case(1, &[Script::Prune, Script::Retry], faults(0, 0, 0)));
}

#[test]
fn jobs_are_pruned_while_requests_fail() {
    holds(case(1, &[Script::Prune], faults(1, 1, 0)));
    for scripts in [
        &[WORK, Script::Prune][..],
        &[Script::Prune, Script::Prune],
        &[Script::Prune, Script::Retry],
        &[Script::PruneParked, WORK],
    ] {
        holds_by_chance(case(1, scripts, faults(1, 1, 0)), 150);
    }
    holds_by_chance(PARKED, 300);
}

#[test]
fn two_workers_are_at_a_job_that_is_followed_while_answers_are_lost() {
    for lost in [1, 2] {
        let faults = faults(lost, 1, 0);
        holds_by_chance(case(1, &[Script::Follow, WORK], faults), 300);
        holds_by_chance(case(2, &[Script::Follow, Script::Follow], faults), 300);
    }
}

#[test]
fn what_follows_is_pruned_while_answers_are_lost() {
    holds_by_chance(LEFT, 100);
    holds_by_chance(LATE_FOLLOWER, 100);
}

#[test]
fn a_batch_lands_after_all_was_pruned() {
    holds(LATE);
}

#[test]
fn leases_are_extended() {
    holds(case(1, &[Script::Beat], faults(1, 0, 1)));
    holds(case(1, &[Script::Beat, Script::Rescue], faults(0, 0, 0)));
}

#[test]
fn args_and_results_are_long() {
    holds(case(0, &[Script::Long], faults(1, 1, 0)));
    holds(case(0, &[Script::Long, WORK], faults(0, 1, 0)));
}

#[test]
fn jobs_have_unique_keys() {
    holds(case(0, &[Script::Keyed, Script::Keyed], faults(0, 1, 0)));
    holds(case(0, &[Script::Keyed, WORK], faults(1, 0, 0)));
}

#[test]
fn jobs_have_chosen_ids_and_unique_keys() {
    holds(case(0, &[Script::Chosen, Script::Chosen], faults(0, 0, 0)));
    holds(case(0, &[Script::Chosen, Script::Keyed], faults(0, 1, 0)));
}

#[test]
fn jobs_of_another_store_are_brought() {
    holds(case(0, &[Script::Bring(2)], faults(1, 0, 0)));
    holds(case(0, &[Script::Bring(2), WORK], faults(0, 1, 0)));
}

#[test]
fn jobs_of_another_store_are_brought_twice() {
    // They may go on to bar each other, so that not all can be explored.
    let both = &[Script::Bring(1), Script::Bring(1)][..];
    holds_by_chance(case(0, both, faults(1, 1, 0)), 1000);
    let both = &[Script::Bring(2), Script::Bring(2), WORK_ALL][..];
    holds_by_chance(case(0, both, faults(1, 1, 0)), 300);
}

#[test]
fn a_job_of_another_store_lands_after_all_was_pruned() {
    holds(case(0, &[Script::Bring(1), Script::Prune], faults(1, 0, 0)));
}

#[test]
fn three_processes_work_at_once() {
    holds(case(1, &[WORK, WORK, WORK], faults(0, 0, 0)));
}

#[test]
fn reads_are_not_answered() {
    let unread = Faults {
        unread: 2,
        ..Faults::default()
    };
    holds(case(1, &[WORK, PARK], unread));
    holds(case(0, &[Script::Produce(1), WORK, WORK], unread));
}

#[test]
fn listings_are_stale() {
    let stale = Some(Broken::Listings);
    for scripts in [&[WORK, WORK][..], &[PARK, WORK]] {
        let broken = stale;
        holds(Case {
            broken,
            ..case(1, scripts, Faults::default())
        });
    }
}

#[test]
fn clocks_differ() {
    for case in [EXPIRED, case(1, &[PARK, WORK], Faults::default())] {
        let skewed = true;
        holds(Case { skewed, ..case });
    }
}

#[test]
fn long_runs_by_chance_hold() {
    const MANY: &[Script] = &[
        WORK_ALL,
        Script::Beat,
        PARK,
        Script::Follow,
        Script::Rescue,
        Script::Keyed,
        Script::Produce(2),
    ];
    let faults = Faults {
        unread: 2,
        ..faults(3, 2, 2)
    };
    holds_by_chance(case(3, MANY, faults), 150);
    const PRUNED: &[Script] = &[WORK, Script::Prune, Script::Retry, Script::Cancel];
    holds_by_chance(case(1, PRUNED, faults), 150);
}

#[test]
fn more_passes_than_a_request_can_take() {
    let late = waits(Faults::default());
    holds(case(0, &[Script::Produce(1), WORK], late));
    holds(case(0, &[Script::Bring(1), WORK], late));
    holds_by_chance(MET_LATE, 150);
    holds_by_chance(FOLLOWED_LATE, 150);
}

#[test]
fn a_job_is_enqueued_by_two_at_once() {
    holds(Case {
        faults: faults(1, 1, 0),
        ..SHARED
    });
    holds_by_chance(
        Case {
            faults: waits(faults(2, 1, 0)),
            ..SHARED
        },
        500,
    );
}

#[test]
fn args_are_swept_while_they_may_be_needed() {
    holds(YOUNG);
    holds(case(
        0,
        &[Script::ProduceLong, Script::Sweep(&[23, 7])],
        faults(0, 0, 0),
    ));
}

#[test]
fn args_of_what_is_to_follow_outlive_sweeps() {
    for (sweeper, hours) in [
        (Sweeper::Works, &[7, 23, 7][..]),
        (Sweeper::Returns, &[25]),
        (Sweeper::NeverWorks, &[7, 23, 7]),
    ] {
        let swept = unmade(sweeper, hours);
        assert!(swept.is_ok(), "{sweeper:?}: {swept:?}");
    }
}

/// Whoever completes a job stops before what follows is there, and another sweeps after so many hours.
fn unmade(sweeper: Sweeper, hours: &[u64]) -> Result<(), String> {
    let case = case(1, &[Script::FollowLong], Faults::default());
    stopped_everywhere(case, |world| world.sweep(sweeper, hours))
}

/// The rules of which these cases do not notice that they are broken.
fn missed(cases: &[(Mutation, Case)]) -> Vec<Mutation> {
    let missed = cases
        .iter()
        .filter(|(mutation, case)| !is_found_out(*mutation, *case));
    missed.map(|(mutation, _)| *mutation).collect()
}

/// Each rule of the protocol is needed: a small case is wrong without it.
#[test]
fn broken_rules_are_found_out() {
    let none = Faults::default();
    let follow = case(1, &[Script::Follow], faults(0, 1, 0));
    let parked = case(1, &[PARK], none);
    let keyed = case(0, &[Script::Keyed, Script::Keyed], none);
    let cases = [
        (
            Mutation::NoValidation,
            case(1, &[Script::Choosy, Script::Prune], none),
        ),
        (Mutation::NoSecondLook, case(1, &[WORK, WORK], none)),
        (Mutation::BlindRescue, EXPIRED),
        (
            Mutation::LedgerFirst,
            case(1, &[WORK, Script::Prune], faults(0, 1, 0)),
        ),
        (Mutation::EarlyClose, case(2, &[WORK], none)),
        (Mutation::CloseFirst, follow),
        (Mutation::NotCarried, parked),
        (Mutation::PointerLate, parked),
        (Mutation::LedgerBeforePointer, parked),
        (Mutation::NoVoid, LATE),
        (
            Mutation::ReviveInPlace,
            case(1, &[WORK, Script::Retry], none),
        ),
        (
            Mutation::NoMark,
            case(1, &[Script::Prune, Script::Retry], none),
        ),
        (Mutation::TrustUnknown, case(1, &[WORK], faults(1, 0, 0))),
        (Mutation::TakeOver, keyed),
        (Mutation::BatchFirst, keyed),
        (
            Mutation::NotBarred,
            case(0, &[Script::Bring(1), Script::Bring(1)], none),
        ),
        (
            Mutation::NoVoid,
            case(0, &[Script::Bring(1), Script::Prune], faults(1, 0, 0)),
        ),
        (Mutation::EntryOnly, PARKED),
        (
            Mutation::PointerReuse,
            case(1, &[WORK_TWICE, Script::Retry], none),
        ),
    ];
    assert_eq!(missed(&cases), []);
}

/// So is each look that decides whose an object is, when something was seen, and what may be swept.
#[test]
fn looks_left_out_are_found_out() {
    let none = Faults::default();
    let both = case(0, &[Script::Bring(1), Script::Bring(1)], none);
    let cases = [
        (
            Mutation::ExistsEnough(Made::Lease),
            case(1, &[WORK, WORK], none),
        ),
        (
            Mutation::ExistsEnough(Made::Reservation),
            case(0, &[Script::Keyed, Script::Keyed], none),
        ),
        (Mutation::ExistsEnough(Made::Name), both),
        (Mutation::ExistsEnough(Made::Batch), SHARED),
        (Mutation::LateLook(Judged::Reserved), MET_LATE),
        (Mutation::LateLook(Judged::Batch), FOLLOWED_LATE),
        (
            Mutation::LateLook(Judged::Landed),
            case(0, &[Script::Produce(1)], waits(none)),
        ),
        (
            Mutation::LateLook(Judged::Brought),
            case(0, &[Script::Bring(1)], waits(none)),
        ),
        (Mutation::OrphanPrune, case(0, &[Script::Long], none)),
        (
            Mutation::OrphanWaiting,
            case(0, &[Script::ProduceLong, Script::Sweep(&[23, 7])], none),
        ),
        (Mutation::OrphanYoung, YOUNG),
    ];
    assert_eq!(missed(&cases), []);
    // Those that bring jobs may go on to bar each other, so that not all can be explored.
    for made in [Made::Brought, Made::Bar] {
        let mutation = Mutation::ExistsEnough(made);
        assert!(is_found_out_by_chance(mutation, both, 500), "{made:?}");
    }
    let swept = without(Mutation::OrphanUnmade, || unmade(Sweeper::Returns, &[25]));
    assert!(swept.is_err(), "args of what is to follow are swept");
}

/// The same small cases where what the protocol builds on does not hold.
#[test]
fn what_is_broken_is_found_out() {
    let shared = case(1, &[WORK, WORK], faults(0, 0, 0));
    for (broken, case) in [
        (Broken::Replace, EXPIRED),
        (Broken::Create, shared),
        (Broken::Dates, LATE),
    ] {
        let broken = Some(broken);
        fails(Case { broken, ..case });
    }
}
