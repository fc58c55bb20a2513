//! What must never happen, searched for: a job that is lost, two live leases for one job, a settle
//! without its lease, a follow-up made twice or not at all, a checkpoint or a decision about the
//! trace that is gone, an attempt beyond the last.
//!
//! | module | what it does | how to run a part again |
//! | --- | --- | --- |
//! | `crash` | a small scenario, with the process ended, or its worker dropped, after each poll of each task, and so both before and after the effect of each store call; then a second process goes on, which may die in its turn | `LONGSHORE_SIM_POINTS=17` or `0..50`; `LONGSHORE_SIM_SECOND_POINTS` for the second |
//! | `seeded` | many jobs, workers killed, shut down or held up at random moments, cancellations, calls that fail with and without effect, settles that arrive twice, a clock that jumps | `LONGSHORE_SIM_SEEDS=5,17` or `0..1000` |
//! | `keys` | unique keys in every scope and with every conflict, beside workers that are killed and jobs that are cancelled, retried and pruned: no two jobs have one key, and none is held for ever | `LONGSHORE_SIM_SEEDS` |
//! | `limits` | jobs under limits, workers killed, shut down or cut off for longer than their permits last, limits that change, calls that fail; and two workers that die at each point | `LONGSHORE_SIM_SEEDS`, `LONGSHORE_SIM_LIMIT_POINTS` |
//! | `schedules` | the same crashes and faults for the ticks of schedules, which people change meanwhile | `LONGSHORE_SIM_SCHEDULE_POINTS`, `LONGSHORE_SIM_SCHEDULE_SEEDS` |
//! | `batches` | crashes and faults for batches: what follows is enqueued once, never before all members are over, and always | `LONGSHORE_SIM_BATCH_POINTS`, `LONGSHORE_SIM_BATCH_SEEDS` |
//! | `settles` | each settle, repeated at each moment after which it must be refused | |
//! | `served` | all of the above on PostgreSQL, Redis and object storage, at fewer points and by fewer seeds | all of the above |
//!
//! All run in virtual time, on memory and SQLite, and as `served` says on servers. A failure names its
//! point or seed. Variables of points take `all`, too.
//!
//! What is replayed: everything, to the order of polls. For that, calls to the store run one at a
//! time, each within one poll, and `wait` is a sleep (`subject`). So on SQLite the real thread
//! writes the real file, but how its calls gather into groups, and when its watching thread wakes a
//! worker, is not simulated; the conformance suite and the tests of that crate look after both.
//! Durability against power failure is not simulated either. The seeds on memory use the store as
//! it is, with its own `wait`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]

mod batches;
mod clock;
mod crash;
mod echo;
mod keys;
mod limits;
mod points;
mod process;
mod rows;
mod scenario;
mod schedules;
mod seeded;
mod served;
mod settles;
mod stall;
mod subject;

/// The numbers that a variable names, as `5,17` or `0..1000`; `usual` if it is not set.
fn chosen(variable: &str, usual: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let Some(text) = said(variable) else {
        return usual.into_iter().collect();
    };
    match text.split_once("..") {
        Some((first, end)) => (first.parse().unwrap()..end.parse().unwrap()).collect(),
        None => text.split(',').map(|one| one.parse().unwrap()).collect(),
    }
}

/// Whether a variable asks for everything that there is.
fn is_all(variable: &str) -> bool {
    said(variable).is_some_and(|text| text == "all")
}

fn said(variable: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the tests"
    )]
    std::env::var(variable).ok()
}

/// What comes of each seed that a variable names, or of the `usual` ones; which one fails is said
/// with what runs it again.
fn of_seeds<T>(
    variable: &str,
    usual: std::ops::Range<u64>,
    play: impl Fn(u64) -> T + std::panic::RefUnwindSafe,
) -> Vec<T> {
    let outcome = |seed| match std::panic::catch_unwind(|| play(seed)) {
        Ok(outcome) => outcome,
        Err(_told_already) => panic!("seed {seed} fails; {variable}={seed} runs it again"),
    };
    chosen(variable, usual).into_iter().map(outcome).collect()
}
