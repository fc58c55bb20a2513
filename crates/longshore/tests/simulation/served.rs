//! The same on stores that ask a server, which the tests start themselves: crashes at every so
//! manieth point, and fewer seeds, since what is asked takes long.
//!
//! Servers have no part in the simulation: they run in real time, while that of jobs, leases and
//! workers is the simulation's, as the stores' clock is. A store's connections live on a runtime of
//! their own.

mod object;
mod postgres;
mod redis;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The tests of a store: its kind, if its server is there, and which seeds are usual.
macro_rules! tests_of {
    ($kind:expr, seeds $seeds:expr, keys $keys:expr, limits $limits:expr, schedules $schedules:expr, batches $batches:expr) => {
        use crate::process::Death;
        use crate::{batches, crash, keys, limits, schedules, seeded, settles};

        #[test]
        fn nothing_is_lost_wherever_a_process_dies() {
            let Some(kind) = $kind else { return };
            crash::crash_everywhere(kind, Death::OfProcess);
        }

        #[test]
        fn nothing_is_lost_wherever_the_next_process_dies() {
            let Some(kind) = $kind else { return };
            crash::crash_again(kind);
        }

        #[test]
        fn nothing_that_must_never_happen_happens() {
            let Some(kind) = $kind else { return };
            seeded::run_all(kind, $seeds);
        }

        #[test]
        fn no_two_jobs_have_a_key() {
            let Some(kind) = $kind else { return };
            keys::run_all(kind, $keys);
        }

        #[tokio::test]
        async fn a_settle_sent_again_is_refused() {
            let Some(served) = $kind.and_then(crate::subject::Kind::served) else {
                return;
            };
            let fresh = |clock, random| crate::subject::served_in_turn(served, clock, random);
            settles::everything_is_refused(fresh).await;
        }

        #[test]
        fn limits_hold_wherever_two_workers_die() {
            let Some(kind) = $kind else { return };
            limits::crash::crash_everywhere(kind);
        }

        #[test]
        fn limits_hold_whatever_happens_to_workers() {
            let Some(kind) = $kind else { return };
            limits::run_all(kind, $limits);
        }

        #[test]
        fn every_tick_fires_once_wherever_a_process_dies() {
            let Some(kind) = $kind else { return };
            schedules::crash_everywhere(kind);
        }

        #[test]
        fn every_tick_fires_once_under_torment() {
            let Some(kind) = $kind else { return };
            schedules::torment(kind, $schedules);
        }

        #[test]
        fn what_follows_comes_once_wherever_a_process_dies() {
            let Some(kind) = $kind else { return };
            batches::crash_everywhere(kind);
        }

        #[test]
        fn what_follows_comes_once_under_torment() {
            let Some(kind) = $kind else { return };
            batches::torment(kind, $batches);
        }
    };
}
use tests_of;

/// Where the connections of all stores live.
fn runtime() -> &'static Handle {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    RUNTIME.handle()
}
