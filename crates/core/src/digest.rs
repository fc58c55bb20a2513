//! One number for all that a store has, whatever kind of store it is: equal contents have equal
//! digests, in whatever order they are read.
//!
//! Each job, document and pause is hashed alone, and the hashes are added up. Times count to the
//! millisecond, which every store keeps (T-2), and jobs that wait are alike whether or not a store
//! wrote down that they are due. It tells of mistakes, not of someone who wants to deceive.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3;

use crate::attempt::AttemptRecord;
use crate::envelope::TraceEnvelope;
use crate::job::Job;
use crate::name::QueueName;
use crate::time::Timestamp;
use crate::unique::{UniqueKey, UniqueScope};

/// The digest of what a store has; of an empty one it is zero.
///
/// ```
/// use longshore_core::digest::Digest;
///
/// let (mut one, mut other) = (Digest::default(), Digest::default());
/// one.add_document("a", b"1");
/// one.add_document("b", b"2");
/// other.add_document("b", b"2");
/// other.add_document("a", b"1");
/// assert_eq!(one, other);
/// assert_eq!(Digest::default().to_string(), "0".repeat(32));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Adds a job, but for what it has only while it runs.
    pub fn add_job(&mut self, job: &Job) {
        let mut row = Row::of("job");
        row.text(job.id.as_str())
            .text(job.queue.as_str())
            .text(job.kind.as_str())
            .bytes(&job.args)
            .number(job.priority.get())
            .text(match job.state.is_waiting() {
                true => "waiting",
                false => job.state.as_str(),
            })
            .number(job.attempt)
            .number(job.claim)
            .number(job.max_attempts)
            .time(job.enqueued_at)
            .time(job.first_available_at)
            .time(job.available_at)
            .some(job.finished_at, Row::time)
            .some(job.timeout, Row::duration)
            .some(job.unique_key.as_ref(), Row::unique_key)
            .each(&job.tags, |row, tag| {
                row.text(tag);
            })
            .pairs(&job.metadata)
            .text(&job.correlation_id)
            .some(job.parent_correlation_id.as_deref(), Row::text)
            .some(job.tenant_id.as_deref(), Row::text)
            .some(job.namespace.as_deref(), Row::text)
            .trace(&job.trace)
            .some(job.checkpoint.as_deref(), Row::bytes)
            .some(job.result.as_deref(), Row::bytes)
            .each(&job.history, Row::attempt);
        self.add(&row);
    }

    /// Adds a document, but for its version, which counts what was done to it.
    pub fn add_document(&mut self, name: &str, body: &[u8]) {
        let mut row = Row::of("document");
        row.text(name).bytes(body);
        self.add(&row);
    }

    /// Adds a queue that is paused.
    pub fn add_pause(&mut self, queue: &QueueName) {
        let mut row = Row::of("pause");
        row.text(queue.as_str());
        self.add(&row);
    }

    fn add(&mut self, row: &Row) {
        // A sum, since two equal rows would vanish from an exclusive or.
        self.0 = self.0.wrapping_add(row.0.digest128());
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is hashed of one row: every value with its length, so that no two rows give the same bytes.
struct Row(Xxh3);

impl Row {
    fn of(what: &str) -> Self {
        let mut row = Self(Xxh3::new());
        row.text(what);
        row
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.update(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.update(&number.into().to_le_bytes());
        self
    }

    fn time(&mut self, at: Timestamp) -> &mut Self {
        self.number(at.unix_nanos().div_euclid(1_000_000).cast_unsigned())
    }

    fn duration(&mut self, duration: Duration) -> &mut Self {
        self.number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    fn some<T>(&mut self, value: Option<T>, add: fn(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            None => self.number(0u8),
            Some(value) => add(self.number(1u8), value),
        }
    }

    fn each<T>(&mut self, values: &[T], add: fn(&mut Self, &T)) -> &mut Self {
        self.number(u64::try_from(values.len()).unwrap_or(u64::MAX));
        for value in values {
            add(self, value);
        }
        self
    }

    fn pairs(&mut self, pairs: &BTreeMap<String, String>) -> &mut Self {
        self.number(u64::try_from(pairs.len()).unwrap_or(u64::MAX));
        for (key, value) in pairs {
            self.text(key).text(value);
        }
        self
    }

    fn unique_key(&mut self, unique: &UniqueKey) -> &mut Self {
        self.text(&unique.key)
            .number(unique.hash)
            .text(unique.scope.as_str());
        match unique.scope {
            UniqueScope::Window(window) => self.duration(window),
            UniqueScope::Unfinished | UniqueScope::Waiting => self,
        }
    }

    fn trace(&mut self, trace: &TraceEnvelope) -> &mut Self {
        self.some(trace.traceparent.as_deref(), Self::text)
            .text(trace.tracestate.as_str())
            .text(trace.baggage.as_str())
            .text(trace.relation.as_str())
            // A job that came alone may say nothing of it.
            .number(trace.batch_size.max(1))
            .some(trace.enqueue_stub.as_ref(), |row, stub| {
                row.time(stub.started_at)
                    .some(stub.parent_span_id, |row, id| row.bytes(&id.to_bytes()))
                    .text(&stub.service)
                    .some(stub.follows.as_deref(), Self::text)
            })
            .some(trace.keep.as_ref(), |row, keep| {
                row.text(&keep.reason).time(keep.at)
            })
    }

    fn attempt(&mut self, record: &AttemptRecord) {
        self.number(record.attempt)
            .number(record.claim)
            .text(record.worker.as_str())
            .time(record.due_at)
            .time(record.claimed_at)
            .time(record.ended_at)
            .text(record.outcome.as_str())
            .some(record.error.as_ref(), |row, error| {
                row.text(&error.class).text(&error.message)
            })
            .some(record.trace_id, |row, id| row.bytes(&id.to_bytes()))
            .some(record.span_id, |row, id| row.bytes(&id.to_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::envelope::{EnqueueStub, Keep, Relation};
    use crate::{JobState, NewJob, Outcome, Priority, Settlement, SpanId, TraceId, WorkerId};

    fn job() -> Job {
        let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
        let at = Timestamp::from_unix_millis;
        let mut job = Job::from_new(
            NewJob::new("a-job".parse().unwrap(), queue, kind, "{}"),
            at(1000),
        );
        job.apply_claim(&WorkerId::new("w"), at(3000), at(2000));
        let settlement = Settlement {
            job_id: job.id.clone(),
            token: crate::LeaseToken::from_bits(2),
            outcome: Outcome::Retry {
                available_at: at(9000),
                error: crate::AttemptError::new("class", "message"),
            },
            follow_ups: Vec::new(),
            keep: None,
            span: Some((TraceId::from_u128(1), SpanId::from_u64(1))),
        };
        job.apply_settlement(&settlement, at(4000));
        let unique = UniqueKey::new("k", &job.kind, b"1");
        job.unique_key = Some(unique.with_scope(UniqueScope::Window(Duration::from_secs(1))));
        job.trace.enqueue_stub = Some(EnqueueStub {
            started_at: at(1),
            parent_span_id: None,
            service: String::new(),
            follows: None,
        });
        job
    }

    fn digest(change: impl FnOnce(&mut Job)) -> Digest {
        let mut job = job();
        change(&mut job);
        let mut digest = Digest::default();
        digest.add_job(&job);
        digest
    }

    type Change = fn(&mut Job);

    #[test]
    fn every_field_counts() {
        let changes: [Change; 38] = [
            |_| {},
            |job| job.id = "b-job".parse().unwrap(),
            |job| job.queue = "other".parse().unwrap(),
            |job| job.kind = "other".parse().unwrap(),
            |job| job.args = Bytes::from_static(b"{ }"),
            |job| job.priority = Priority::LAST,
            |job| job.state = JobState::Cancelled,
            |job| job.attempt += 1,
            |job| job.claim += 1,
            |job| job.max_attempts += 1,
            |job| job.enqueued_at = Timestamp::from_unix_millis(1001),
            |job| job.first_available_at = Timestamp::from_unix_millis(1001),
            |job| job.available_at = Timestamp::from_unix_millis(9001),
            |job| job.finished_at = Some(Timestamp::from_unix_millis(0)),
            |job| job.timeout = Some(Duration::from_millis(1)),
            |job| job.unique_key = None,
            |job| job.unique_key.as_mut().unwrap().key.push('k'),
            |job| job.unique_key.as_mut().unwrap().hash += 1,
            |job| job.unique_key.as_mut().unwrap().scope = UniqueScope::Waiting,
            |job| job.tags.push("word".to_owned()),
            |job| drop(job.metadata.insert("word".to_owned(), String::new())),
            |job| job.correlation_id.push('x'),
            |job| job.parent_correlation_id = Some("word".to_owned()),
            |job| job.tenant_id = Some("word".to_owned()),
            |job| job.namespace = Some("word".to_owned()),
            |job| job.trace.traceparent = Some("word".to_owned()),
            |job| job.trace.relation = Relation::Link,
            |job| job.trace.batch_size = 2,
            |job| job.trace.enqueue_stub.as_mut().unwrap().service.push('x'),
            |job| job.trace.enqueue_stub = None,
            |job| {
                job.trace.keep = Some(Keep {
                    reason: String::new(),
                    at: Timestamp::UNIX_EPOCH,
                });
            },
            |job| job.checkpoint = Some(Bytes::new()),
            |job| job.result = Some(Bytes::new()),
            |job| job.history.clear(),
            |job| job.history[0].worker = WorkerId::new("v"),
            |job| job.history[0].error = None,
            |job| job.history[0].trace_id = None,
            |job| job.history[0].span_id = Some(SpanId::from_u64(2)),
        ];
        let digests: std::collections::HashSet<String> = changes
            .iter()
            .map(|change| digest(change).to_string())
            .collect();
        assert_eq!(digests.len(), changes.len());
    }

    #[test]
    fn what_stores_may_write_otherwise_does_not_count() {
        let whole = digest(|_| {});
        let same: [Change; 4] = [
            |job| job.state = JobState::Available,
            |job| job.available_at = job.available_at.after(Duration::from_nanos(999_999)),
            |job| job.trace.batch_size = 0,
            |job| job.stop_requested = None,
        ];
        for change in same {
            assert_eq!(digest(change), whole);
        }
    }

    #[test]
    fn equal_rows_add_up_and_the_order_is_none() {
        let (mut once, mut twice) = (Digest::default(), Digest::default());
        once.add_job(&job());
        twice.add_job(&job());
        twice.add_job(&job());
        assert_ne!(once, twice);
        twice.add_pause(&"mail".parse().unwrap());
        once.add_pause(&"mail".parse().unwrap());
        once.add_job(&job());
        assert_eq!(once, twice);
        assert_ne!(once, Digest::default());
    }
}
