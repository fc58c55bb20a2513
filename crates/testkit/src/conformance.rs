//! The conformance suite: one check per promise of `docs/store-contract.md`, each citing its
//! clause. [`store_conformance!`](crate::store_conformance) turns all of them into tests of a
//! store.

pub mod admin;
pub mod claim;
pub mod conflict;
pub mod document;
pub mod enqueue;
pub mod follow_up;
pub mod import;
pub mod lease;
pub mod query;
pub mod quota;
pub mod rescue;
pub mod schedule;
pub mod settle;
pub mod time;
pub mod unique;

use std::future::Future;
use std::sync::Arc;

use longshore_core::{Clock, Random};

use crate::harness::{Harness, Subject, runtime};

/// Runs one check against a fresh store.
///
/// # Panics
/// If the store breaks the promise.
pub fn run<F, Fut, S>(factory: F, check: impl AsyncFnOnce(&Harness))
where
    F: FnOnce(Arc<dyn Clock>, Arc<dyn Random>) -> Fut,
    Fut: Future<Output = S>,
    S: Into<Subject>,
{
    runtime().block_on(async {
        let harness = Harness::new(factory).await;
        check(&harness).await;
    });
}

/// Makes one test of every check of the conformance suite.
///
/// The argument is a closure that takes a clock and a source of randomness and gives back a
/// future of a fresh, empty `Arc<dyn Store>` built with them, or of a pair of it and whatever must
/// live as long, such as a temporary folder.
///
/// ```text
/// longshore_testkit::store_conformance!(|clock, random| async move {
///     Arc::new(MemoryStore::with(clock, random)) as Arc<dyn Store>
/// });
/// ```
///
/// `store_conformance!(list FUNCTION)` is an array of the names of all checks, each with a function
/// that runs it, for whoever wants several in one test.
#[macro_export]
macro_rules! store_conformance {
    (list $factory:path) => {
        $crate::store_conformance! { @table list $factory }
    };
    ($factory:expr) => {
        $crate::store_conformance! { @table each $factory }
    };
    (@table $how:ident $factory:expr) => {
        $crate::store_conformance! { @$how $factory;
            admin:
                cancel_ends_a_waiting_job
                cancel_asks_the_holder_of_a_running_job
                cancel_leaves_a_final_job_alone
                cancel_of_no_job_is_invalid
                discard_ends_a_waiting_job
                discard_asks_the_holder_of_a_running_job
                changes_answer_each_item_for_itself
                retry_now_revives_a_final_job
                retry_now_gives_one_more_attempt
                retry_now_brings_a_waiting_job_forward
                retry_now_of_a_running_job_is_a_conflict
                retry_now_respects_unique_keys
                pause_stops_claims_and_resume_allows_them
                prune_deletes_only_old_finished_jobs
                prune_goes_by_state_and_number
                wait_wakes_on_enqueue
                wait_returns_when_time_is_up;
            claim:
                claims_only_due_jobs
                claim_writes_the_whole_row
                never_claims_a_job_twice
                goes_by_priority_then_due_time
                gives_one_slot_in_eight_to_lower_priorities
                counts_turns_across_calls
                takes_from_several_queues_alike
                keeps_to_its_limit
                counts_attempts_and_claims;
            quota:
                a_quota_bounds_its_group
                a_quota_for_each_tenant_is_for_each
                a_job_is_within_every_quota_of_its_groups
                quotas_leave_order_and_turns_as_they_are
                a_quota_for_nobody_does_no_harm
                what_is_held_back_does_not_stand_in_front
                tenants_take_turns
                turns_begin_after_a_tenant
                a_turn_goes_by_priority_and_due_time
                turns_go_through_all_queues
                turns_keep_to_quotas_and_pauses
                ten_thousand_tenants_take_turns
                a_thousand_kinds_share_a_queue;
            conflict:
                a_hit_names_the_span_of_the_holder
                what_is_there_may_be_kept
                a_waiting_job_gets_new_args
                the_new_args_are_bound_to_the_key
                only_a_waiting_job_of_the_same_kind_is_replaced
                the_jobs_of_one_call_meet_in_order
                one_of_many_gets_a_key;
            document:
                a_document_is_read_as_written
                a_write_needs_the_current_version
                a_document_is_bounded
                a_deleted_document_is_gone
                documents_are_listed_by_prefix
                a_listing_of_many_documents_goes_on;
            enqueue:
                mints_distinct_ids
                jobs_keep_the_ids_minted_for_their_places
                stores_the_whole_job
                schedules_what_is_due_later
                a_past_time_is_now
                repeating_a_call_is_a_hit_in_every_state
                a_chosen_id_is_a_hit_everywhere
                duplicates_in_one_call_are_hits
                a_unique_key_is_held_once
                a_unique_key_with_other_args_conflicts
                a_unique_key_belongs_to_its_queue
                a_unique_key_is_free_when_its_job_is_over
                answers_each_item_for_itself
                never_touches_the_bytes_of_args
                takes_large_args;
            follow_up:
                follow_ups_appear_with_their_settle
                follow_ups_appear_once
                a_lost_lease_makes_no_follow_ups
                a_follow_up_that_exists_is_a_hit
                a_follow_up_respects_unique_keys
                a_broken_follow_up_refuses_the_settle;
            lease:
                a_beat_extends_the_lease
                a_beat_after_expiry_revives_the_lease
                beats_for_lost_leases_say_so
                a_beat_stores_progress_and_checkpoint
                a_checkpoint_outlives_a_retry
                a_beat_hears_that_cancel_was_asked;
            query:
                get_is_exact
                lists_newest_first_in_pages
                lists_by_each_filter
                lists_by_age_and_error
                counts_every_state
                refuses_a_foreign_cursor;
            rescue:
                leaves_live_leases_alone
                makes_the_job_available_at_once
                discards_when_attempts_are_used_up
                cancels_if_that_was_asked
                keeps_the_trace_with_its_first_reason
                fences_the_lost_holder
                keeps_to_its_limit;
            schedule:
                ten_thousand_schedules_come_back
                who_changes_one_document_loses_nobody_elses_change;
            settle:
                complete_writes_the_whole_row
                retry_writes_the_whole_row
                not_yet_waits_and_counts
                snooze_gives_the_attempt_back
                hand_back_makes_the_job_available_at_once
                cancel_and_discard_are_final
                a_wrong_token_writes_nothing
                a_settle_counts_once
                an_expired_lease_may_settle_until_it_is_rescued
                answers_each_item_for_itself
                settles_at_the_same_time_all_count
                bounds_the_result
                a_trace_once_kept_stays_kept
                a_job_asked_to_cancel_does_not_wait_again
                bounds_the_history;
            time:
                now_is_the_clock_it_was_given
                a_waiting_job_is_available_when_due;
            unique:
                a_job_has_its_key_until_it_is_over
                a_job_may_have_its_key_until_it_starts
                a_job_may_have_its_key_for_a_window
                a_window_that_is_over_does_not_come_back
                a_job_that_was_given_up_lets_go_of_its_window
                the_scope_is_that_of_the_holder
                a_window_outlives_its_job
                retry_now_takes_a_key_only_if_it_is_free
                retry_now_asks_for_no_key_that_is_not_wanted
                a_window_has_bounds
                a_follow_up_meets_keys_as_any_job_does;
        }
    };
    (@list $factory:expr; $($family:ident: $($check:ident)+;)+) => {
        [$($(
            (
                concat!(stringify!($family), "::", stringify!($check)),
                (|| $crate::conformance::run($factory, $crate::conformance::$family::$check))
                    as fn(),
            ),
        )+)+]
    };
    (@each $factory:expr; $($family:ident: $($check:ident)+;)+) => {
        $(
            mod $family {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[test]
                    fn $check() {
                        $crate::conformance::run(
                            $factory,
                            $crate::conformance::$family::$check,
                        );
                    }
                )+
            }
        )+
    };
}

/// Makes one test of every check of the clauses I, for a store that jobs can be brought to.
///
/// The argument is as that of [`store_conformance!`](crate::store_conformance), but the future is of
/// a fresh, empty `Arc<dyn Import>`, or of a pair of it and whatever must live as long.
#[macro_export]
macro_rules! import_conformance {
    ($factory:expr) => {
        $crate::import_conformance! { @each $factory;
            a_job_comes_whole
            a_job_goes_on_where_it_was
            what_is_over_is_retried_and_pruned
            a_job_is_due_by_this_clock
            a_job_that_is_there_stays
            a_unique_key_comes_along
            a_key_that_is_let_go_is_free
            what_cannot_come_is_refused_alone
            the_order_of_the_call_stays
        }
    };
    (@each $factory:expr; $($check:ident)+) => {
        mod import {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $check() {
                    $crate::conformance::import::run(
                        $factory,
                        $crate::conformance::import::$check,
                    );
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    const CONTRACT: &str = include_str!("../../../docs/store-contract.md");
    const TABLE: &str = include_str!("conformance.rs");
    const CHECKS: [&str; 15] = [
        include_str!("conformance/admin.rs"),
        include_str!("conformance/claim.rs"),
        include_str!("conformance/conflict.rs"),
        include_str!("conformance/document.rs"),
        include_str!("conformance/enqueue.rs"),
        include_str!("conformance/follow_up.rs"),
        include_str!("conformance/import.rs"),
        include_str!("conformance/lease.rs"),
        include_str!("conformance/query.rs"),
        include_str!("conformance/quota.rs"),
        include_str!("conformance/rescue.rs"),
        include_str!("conformance/schedule.rs"),
        include_str!("conformance/settle.rs"),
        include_str!("conformance/time.rs"),
        include_str!("conformance/unique.rs"),
    ];

    #[test]
    fn the_macro_runs_every_check() {
        for check in CHECKS.iter().flat_map(|file| file.lines()) {
            let name = check.strip_prefix("pub async fn ");
            let name = name.and_then(|rest| rest.split('(').next());
            let listed = |name: &str| {
                TABLE
                    .lines()
                    .any(|line| line.trim_end_matches(';').trim() == name)
            };
            assert!(name.is_none_or(listed), "the macro leaves out {name:?}");
        }
    }

    fn clauses() -> Vec<&'static str> {
        let lines = CONTRACT.lines();
        let clauses = lines.filter_map(|line| line.strip_prefix("- **"));
        let clauses: Vec<_> = clauses.filter_map(|rest| rest.split("**").next()).collect();
        assert!(
            clauses.len() > 30,
            "the clauses are not where this test looks"
        );
        clauses
    }

    /// Each check with the clauses that the first line of its documentation cites.
    fn citations() -> Vec<(&'static str, Vec<&'static str>)> {
        let mut all = Vec::new();
        for file in CHECKS {
            let mut cited = None;
            for line in file.lines() {
                if let Some(said) = line.strip_prefix("/// ") {
                    cited.get_or_insert(said);
                    continue;
                }
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    let name = rest.split('(').next().unwrap();
                    let clauses = cited.and_then(|said| said.split(':').next());
                    let clauses = clauses.map(|cited| cited.split(", ").collect());
                    all.push((name, clauses.unwrap_or_default()));
                }
                cited = None;
            }
        }
        all
    }

    #[test]
    fn every_clause_is_cited_by_a_check() {
        let citations = citations();
        for clause in clauses() {
            let is_cited = citations.iter().any(|(_, cited)| cited.contains(&clause));
            assert!(is_cited, "no check cites {clause}");
        }
    }

    #[test]
    fn every_check_cites_clauses_that_are_there() {
        let clauses = clauses();
        let citations = citations();
        assert!(
            citations.len() > 100,
            "the checks are not where this test looks"
        );
        for (check, cited) in citations {
            assert!(!cited.is_empty(), "{check} cites no clause");
            for clause in cited {
                assert!(
                    clauses.contains(&clause),
                    "{check} cites {clause}, which is none"
                );
            }
        }
    }

    /// What holds a clause on each store is said for every clause, and for no other.
    #[test]
    fn the_table_of_stores_has_every_clause() {
        let (_, table) = CONTRACT.split_once("| clause |").unwrap();
        let rows = table.lines().take_while(|line| !line.is_empty());
        let first = rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
        let named: Vec<&str> = first.flat_map(|cell| cell.split(", ")).collect();
        let clauses = clauses();
        for clause in &clauses {
            assert!(named.contains(clause), "the table leaves out {clause}");
        }
        let is_clause = |name: &&&str| name.contains('-') && !name.starts_with('-');
        for name in named.iter().filter(is_clause) {
            assert!(
                clauses.contains(name),
                "the table names {name}, which is none"
            );
        }
    }
}
