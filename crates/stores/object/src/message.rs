//! The contents of objects as protobuf messages. A number, once used, is never used for anything
//! else; what was written by an older program lacks what came later.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

/// A batch and where it waits.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyMessage {
    /// The UUID, big-endian.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) uuid: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) jobs: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) queue: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) shard: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) priority: u32,
    #[prost(uint64, tag = "6")]
    pub(crate) due: u64,
}

/// A batch of jobs.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchMessage {
    #[prost(message, required, tag = "1")]
    pub(crate) key: KeyMessage,
    #[prost(fixed32, tag = "2")]
    pub(crate) mark: u32,
    #[prost(string, tag = "3")]
    pub(crate) queue: String,
    /// Nanoseconds since the Unix epoch, as all times.
    #[prost(sfixed64, tag = "4")]
    pub(crate) enqueued_at: i64,
    #[prost(message, optional, tag = "5")]
    pub(crate) origin: Option<KeyMessage>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) slots: Vec<SlotMessage>,
    #[prost(fixed64, tag = "7")]
    pub(crate) writer: u64,
}

/// The place of a job in its batch: empty if it was left out.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SlotMessage {
    #[prost(message, optional, boxed, tag = "1")]
    pub(crate) job: Option<Box<JobMessage>>,
}

/// A job as it was enqueued.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct JobMessage {
    /// Empty if the id is the minted one.
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) args: Bytes,
    /// In which object the args are instead.
    #[prost(fixed64, optional, tag = "4")]
    pub(crate) args_token: Option<u64>,
    /// Absent if due at once.
    #[prost(sfixed64, optional, tag = "5")]
    pub(crate) due: Option<i64>,
    #[prost(uint32, tag = "6")]
    pub(crate) max_attempts: u32,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) timeout: Option<u64>,
    #[prost(message, optional, boxed, tag = "8")]
    pub(crate) unique: Option<Box<UniqueMessage>>,
    #[prost(string, repeated, tag = "9")]
    pub(crate) tags: Vec<String>,
    #[prost(btree_map = "string, string", tag = "10")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Absent if it is the id.
    #[prost(string, optional, tag = "11")]
    pub(crate) correlation_id: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub(crate) parent_correlation_id: Option<String>,
    #[prost(string, optional, tag = "13")]
    pub(crate) tenant_id: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(crate) namespace: Option<String>,
    /// The trace part of the envelope, as JSON.
    #[prost(bytes = "bytes", tag = "15")]
    pub(crate) trace: Bytes,
    /// What is to happen if another job has its unique key: 0 reject, 1 keep, 2 replace, 3 replace
    /// with the priority.
    #[prost(uint32, tag = "16")]
    pub(crate) on_conflict: u32,
    /// When it was enqueued, if not with its batch: it came from another store.
    #[prost(sfixed64, optional, tag = "17")]
    pub(crate) enqueued_at: Option<i64>,
}

/// A unique key.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UniqueMessage {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(fixed64, tag = "2")]
    pub(crate) hash: u64,
    /// 0 until the job is over, 1 until it starts, 2 for a window.
    #[prost(uint32, tag = "3")]
    pub(crate) scope: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) window: u64,
}

/// What became of a batch's jobs.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LedgerMessage {
    #[prost(message, required, tag = "1")]
    pub(crate) key: KeyMessage,
    #[prost(uint64, tag = "2")]
    pub(crate) generation: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) writer: u64,
    #[prost(message, optional, tag = "4")]
    pub(crate) pointer: Option<PointerMessage>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) rows: Vec<StandingMessage>,
    /// Names of workers, to which rows refer by number, from 1.
    #[prost(string, repeated, tag = "6")]
    pub(crate) workers: Vec<String>,
    #[prost(message, optional, boxed, tag = "7")]
    pub(crate) carried: Option<Box<BatchMessage>>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) outbox: Vec<OutgoingMessage>,
    #[prost(bool, tag = "9")]
    pub(crate) pruned: bool,
    #[prost(bool, tag = "10")]
    pub(crate) brought: bool,
}

/// The index entry of a ledger, if it is not its batch.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PointerMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) priority: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) due: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) generation: u64,
    #[prost(fixed64, tag = "4")]
    pub(crate) token: u64,
}

/// How a job stands: as it was enqueued if there is no row.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StandingMessage {
    /// There is no such job: it was left out of its batch.
    #[prost(bool, tag = "1")]
    pub(crate) absent: bool,
    #[prost(message, optional, boxed, tag = "2")]
    pub(crate) row: Option<Box<RowMessage>>,
}

/// What changes about a job.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RowMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) state: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) attempt: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) claim: u32,
    #[prost(sfixed64, optional, tag = "4")]
    pub(crate) available_at: Option<i64>,
    #[prost(sfixed64, optional, tag = "5")]
    pub(crate) finished_at: Option<i64>,
    #[prost(uint32, tag = "6")]
    pub(crate) stop: u32,
    #[prost(message, optional, tag = "7")]
    pub(crate) hold: Option<HoldMessage>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) progress: Option<u32>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub(crate) checkpoint: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub(crate) result: Option<Bytes>,
    #[prost(fixed64, optional, tag = "11")]
    pub(crate) result_token: Option<u64>,
    #[prost(message, optional, tag = "12")]
    pub(crate) keep: Option<KeepMessage>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) history: Vec<AttemptMessage>,
    #[prost(uint32, optional, tag = "14")]
    pub(crate) max_attempts: Option<u32>,
    #[prost(message, optional, boxed, tag = "15")]
    pub(crate) replaced: Option<Box<ReplacedMessage>>,
}

/// A lease.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HoldMessage {
    #[prost(sfixed64, tag = "1")]
    pub(crate) token: i64,
    #[prost(uint32, tag = "2")]
    pub(crate) worker: u32,
    #[prost(sfixed64, tag = "3")]
    pub(crate) claimed_at: i64,
    /// After the claim.
    #[prost(sint64, tag = "4")]
    pub(crate) expires_after: i64,
}

/// The decision to keep a trace.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeepMessage {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(sfixed64, tag = "2")]
    pub(crate) at: i64,
}

/// An ended attempt.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttemptMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) attempt: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) claim: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) worker: u32,
    #[prost(sfixed64, tag = "4")]
    pub(crate) due_at: i64,
    /// After `due_at`.
    #[prost(sint64, tag = "5")]
    pub(crate) claimed_after: i64,
    /// After the claim.
    #[prost(sint64, tag = "6")]
    pub(crate) ended_after: i64,
    #[prost(uint32, tag = "7")]
    pub(crate) outcome: u32,
    #[prost(message, optional, tag = "8")]
    pub(crate) error: Option<ErrorMessage>,
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) trace_id: Bytes,
    #[prost(fixed64, tag = "10")]
    pub(crate) span_id: u64,
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorMessage {
    #[prost(string, tag = "1")]
    pub(crate) class: String,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// What a later job of the same unique key gave to one that waited.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReplacedMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) args: Bytes,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) args_token: Option<u64>,
    #[prost(fixed64, tag = "3")]
    pub(crate) hash: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) priority: u32,
    #[prost(sfixed64, tag = "5")]
    pub(crate) first_available_at: i64,
}

/// Follow-ups that a settle named.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OutgoingMessage {
    #[prost(message, required, tag = "1")]
    pub(crate) key: KeyMessage,
    /// Absent once they are there.
    #[prost(message, optional, boxed, tag = "2")]
    pub(crate) batch: Option<Box<BatchMessage>>,
}

/// A unique key or a chosen id, and the job that has it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReservationMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) generation: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) writer: u64,
    #[prost(message, required, tag = "3")]
    pub(crate) key: KeyMessage,
    /// The job's batch, with it alone.
    #[prost(message, optional, boxed, tag = "4")]
    pub(crate) batch: Option<Box<BatchMessage>>,
    #[prost(sfixed64, optional, tag = "5")]
    pub(crate) kept_until: Option<i64>,
    #[prost(bool, tag = "6")]
    pub(crate) released: bool,
    /// Where in its batch the job lies that was brought from another store; absent for others, which
    /// are batches of their own.
    #[prost(uint32, optional, tag = "7")]
    pub(crate) brought: Option<u32>,
}

/// The list of queues.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueuesMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) writer: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) queues: Vec<QueueMessage>,
}

/// A queue of the list.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueueMessage {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint32, tag = "2")]
    pub(crate) code: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) shards: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) priorities: u32,
    #[prost(bool, tag = "5")]
    pub(crate) paused: bool,
}

/// A versioned document.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DocumentMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) writer: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) body: Bytes,
}

/// The last sweep.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SweepMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) writer: u64,
    #[prost(sfixed64, tag = "2")]
    pub(crate) at: i64,
    #[prost(string, tag = "3")]
    pub(crate) args: String,
    #[prost(string, tag = "4")]
    pub(crate) results: String,
}

/// What the store is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RootMessage {
    #[prost(fixed32, tag = "1")]
    pub(crate) mark: u32,
    #[prost(fixed64, tag = "2")]
    pub(crate) writer: u64,
    /// On which server conditions were found to hold.
    #[prost(message, optional, tag = "3")]
    pub(crate) conditions: Option<ConditionsMessage>,
    /// When it was written, by the server's clock.
    #[prost(sfixed64, optional, tag = "4")]
    pub(crate) written_at: Option<i64>,
}

/// A server whose conditions hold.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConditionsMessage {
    #[prost(string, tag = "1")]
    pub(crate) server: String,
    #[prost(bool, tag = "2")]
    pub(crate) bare_tags: bool,
}
