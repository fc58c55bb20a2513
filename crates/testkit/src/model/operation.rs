//! The calls a model test makes, over a handful of jobs, keys and queues, so that they meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// One step of a model test. Numbers are small on purpose, and taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Enqueue these in one call.
    Enqueue(Vec<Offer>),
    /// Claim from these queues.
    Claim {
        /// Bit `n` stands for queue `n`.
        queues: u8,
        /// At most how many.
        limit: usize,
        /// The fairness turn.
        turn: u64,
        /// Seconds of the lease.
        lease: u64,
        /// At most how many of which group: 0 to 2 a queue, 3 and 4 a kind, from 5 a tenant.
        quotas: Vec<(u8, usize)>,
        /// After which tenant, and how many each.
        spread: Option<(Option<u8>, usize)>,
    },
    /// Beat for these claims, lost ones among them, in one call.
    Beat {
        /// Which of the claims made so far.
        claims: Vec<usize>,
        /// Seconds to extend by.
        extend_by: u64,
        /// Progress, and a checkpoint of so many bytes.
        progress: Option<u8>,
    },
    /// Settle these claims, lost ones among them, in one call.
    Settle(Vec<(usize, Ending)>),
    /// Promote what is due.
    Promote,
    /// Take back expired leases.
    Rescue,
    /// Cancel this job and the next.
    Cancel(u8),
    /// Discard this job and the next.
    Discard(u8),
    /// Retry this job and the next.
    RetryNow(u8),
    /// Pause this queue.
    Pause(u8),
    /// Resume this queue.
    Resume(u8),
    /// Delete jobs that are over.
    Prune {
        /// Bit `n` stands for the final state `n`; 0 for all.
        states: u8,
        /// Those that were over so many seconds ago.
        age: Option<u64>,
        /// Those that are more than so many.
        keep_newest: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// Let so many seconds pass.
    Advance(u64),
    /// Write a document, expecting this version.
    WriteDocument(u8, u64),
    /// Delete a document, expecting this version.
    DeleteDocument(u8, u64),
}

/// A job to enqueue.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its id.
    pub job: u8,
    /// Its queue.
    pub queue: u8,
    /// Its kind.
    pub kind: u8,
    /// Its tenant.
    pub tenant: Option<u8>,
    /// Its priority, 1 to 4.
    pub priority: u8,
    /// Seconds until it is due.
    pub delay: Option<u64>,
    /// Its attempts; 0 is invalid.
    pub max_attempts: u32,
    /// Its unique key.
    pub key: Option<u8>,
    /// For how long it has it: until it is over, until it starts, or for so many seconds.
    pub scope: u8,
    /// What it does if another has it: reject, keep, replace without and with the priority.
    pub on_conflict: u8,
    /// Its args.
    pub args: u8,
}

/// How an attempt ends.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Which outcome: complete, with a result, retry, not yet, snooze, cancel,
    /// discard, hand back.
    pub outcome: u8,
    /// Seconds until it runs again, where it does.
    pub delay: u64,
    /// Jobs that follow.
    pub follow_ups: Vec<Offer>,
    /// Whether to keep the trace.
    pub keep: bool,
}

/// Sequences of operations, as a strategy of proptest.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..60)
}

fn operation() -> impl Strategy<Value = Operation> {
    let quotas = vec((0..=QUEUES + KINDS + TENANTS, 0..3usize), 0..4);
    let spread = option::of((option::of(0..TENANTS), 0..4usize));
    let claim = (1..8u8, 0..9usize, 0..16u64, 1..30u64, quotas, spread);
    let beat = (vec(0..32usize, 0..4), 1..30u64, option::of(0..=100u8));
    let (age, newest) = (option::of(0..30u64), option::weighted(0.3, 0..4u64));
    let prune = (0..8u8, age, newest, 0..20usize);
    prop_oneof![
        6 => vec(offer(), 0..5).prop_map(Operation::Enqueue),
        6 => claim.prop_map(|(queues, limit, turn, lease, quotas, spread)| Operation::Claim {
            queues,
            limit,
            turn,
            lease,
            quotas,
            spread,
        }),
        2 => beat.prop_map(|(claims, extend_by, progress)| Operation::Beat {
            claims,
            extend_by,
            progress,
        }),
        6 => vec((0..32usize, ending()), 0..4).prop_map(Operation::Settle),
        1 => Just(Operation::Promote),
        2 => Just(Operation::Rescue),
        2 => (0..JOBS).prop_map(Operation::Cancel),
        1 => (0..JOBS).prop_map(Operation::Discard),
        2 => (0..JOBS).prop_map(Operation::RetryNow),
        1 => (0..QUEUES).prop_map(Operation::Pause),
        2 => (0..QUEUES).prop_map(Operation::Resume),
        1 => prune.prop_map(|(states, age, keep_newest, limit)| Operation::Prune {
            states,
            age,
            keep_newest,
            limit,
        }),
        3 => (0..20u64).prop_map(Operation::Advance),
        1 => (0..2u8, 0..3u64).prop_map(|(name, at)| Operation::WriteDocument(name, at)),
        1 => (0..2u8, 0..3u64).prop_map(|(name, at)| Operation::DeleteDocument(name, at)),
    ]
}

fn offer() -> impl Strategy<Value = Offer> {
    let when = (option::weighted(0.3, 0..20u64), 1..=4u8);
    let attempts = prop_oneof![1 => Just(0u32), 20 => 1..4u32];
    let unique = (option::weighted(0.5, 0..3u8), 0..12u8, 0..4u8, 0..2u8);
    let whose = (0..KINDS, option::of(0..TENANTS - 1));
    (0..JOBS, 0..QUEUES, whose, when, attempts, unique).prop_map(
        |(
            job,
            queue,
            (kind, tenant),
            (delay, priority),
            max_attempts,
            (key, scope, on_conflict, args),
        )| Offer {
            job,
            queue,
            kind,
            tenant,
            priority,
            delay,
            max_attempts,
            key,
            scope,
            on_conflict,
            args,
        },
    )
}

fn ending() -> impl Strategy<Value = Ending> {
    let follow_ups = vec(offer(), 0..2);
    (0..8u8, 0..20u64, follow_ups, any::<bool>()).prop_map(|(outcome, delay, follow_ups, keep)| {
        Ending {
            outcome,
            delay,
            follow_ups,
            keep,
        }
    })
}

/// How many ids, and so jobs, a sequence is about.
pub(super) const JOBS: u8 = 12;
/// How many queues.
pub(super) const QUEUES: u8 = 3;
/// How many kinds.
pub(super) const KINDS: u8 = 2;
/// How many tenants, one of them nobody.
pub(super) const TENANTS: u8 = 4;
