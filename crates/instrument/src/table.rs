//! The one table of span names and attribute keys.
//!
//! No other module, and no other crate, spells one out: documentation, the redaction allow-list
//! and the aliases of the keys that other systems use are made from what stands here.

mod page;

pub use page::telemetry_reference;

/// Whether a value may be shown to anyone who may see traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Made by the engine from bounded words and numbers; never needs a scan.
    Safe,
    /// Chosen by users: names, keys, tenants. Scanned before it leaves.
    UserChosen,
}

/// One attribute of the engine's spans.
#[derive(Clone, Copy, Debug)]
pub struct AttributeKey {
    /// The key, as it stands on the span.
    pub key: &'static str,
    /// Other spellings that are understood wherever a person types a key.
    pub aliases: &'static [&'static str],
    /// Whether its values may be shown.
    pub sensitivity: Sensitivity,
    /// What it says.
    pub doc: &'static str,
}

macro_rules! attributes {
    ($($name:ident = $key:literal, $aliases:expr, $sensitivity:ident, $doc:literal;)*) => {
        /// Attribute keys as constants.
        pub mod key {
            $(#[doc = $doc] pub const $name: &str = $key;)*
        }

        /// Every attribute of the engine's spans.
        pub const ATTRIBUTES: &[AttributeKey] = &[
            $(AttributeKey {
                key: $key,
                aliases: &$aliases,
                sensitivity: Sensitivity::$sensitivity,
                doc: $doc,
            },)*
        ];
    };
}

attributes! {
    SYSTEM = "messaging.system", [], Safe, "`longshore`, or the queue that is not ours, as the program names it.";
    OPERATION_NAME = "messaging.operation.name", [], Safe, "`enqueue`, `claim`, `dequeue`, `process`, `settle` or an administrator's verb.";
    OPERATION_TYPE = "messaging.operation.type", [], Safe, "`send`, `receive`, `process` or `settle`.";
    QUEUE = "messaging.destination.name", ["queue.name", "queue"], UserChosen, "The queue.";
    JOB_ID = "messaging.message.id", ["job.id", "job_id"], UserChosen, "The job's id.";
    CORRELATION_ID = "messaging.message.conversation_id", ["correlation_id"], UserChosen, "What belongs together across jobs, where it is not the job's own id.";
    BODY_SIZE = "messaging.message.body.size", ["payload.size"], Safe, "Bytes of args. The args themselves never leave.";
    BATCH_COUNT = "messaging.batch.message_count", [], Safe, "How many jobs one call concerned.";
    WORKER = "messaging.client.id", ["worker.id"], UserChosen, "The worker.";
    ERROR_TYPE = "error.type", ["error.class"], UserChosen, "What went wrong, as a low-cardinality word.";
    EXCEPTION_TYPE = "exception.type", [], UserChosen, "What went wrong, as a low-cardinality word; on the event `job_failed`.";
    EXCEPTION_MESSAGE = "exception.message", ["error.message"], UserChosen, "What went wrong in words, redacted; on the event `job_failed`.";
    FAILURE_REASON = "longshore.failure.reason", ["failure.reason"], Safe, "The category of a failure: `error`, `panic`, `timeout` or `lease_expired`; on the event `job_failed`.";
    KIND = "longshore.job.kind", ["job.type", "job.kind", "kind"], UserChosen, "Which handler runs the job.";
    TAGS = "longshore.job.tags", ["tag", "tags", "job.tags"], UserChosen, "The words its producer gave it to search by; on `job.process`, and on `queue.enqueue` where all jobs of the call have them.";
    PRIORITY = "longshore.job.priority", ["queue.priority", "priority"], Safe, "1 first, 4 last.";
    ATTEMPT = "longshore.job.attempt", ["attempt.number", "attempt"], Safe, "Which attempt, from 1.";
    MAX_ATTEMPTS = "longshore.job.max_attempts", ["max_attempts"], Safe, "Most attempts.";
    RETRY_COUNT = "longshore.job.retry_count", ["job.retries", "retry_count"], Safe, "Attempts that ended before this one.";
    CLAIM = "longshore.job.claim", [], Safe, "Which claim, from 1; counts snoozes and hand-backs too.";
    OUTCOME = "longshore.job.outcome", ["outcome"], Safe, "How the attempt ended.";
    FROM_STATE = "longshore.job.from_state", ["from_state"], Safe, "The state before.";
    TO_STATE = "longshore.job.to_state", ["to_state"], Safe, "The state after.";
    RETRY_DELAY = "longshore.job.retry_delay", ["retry.delay"], Safe, "Seconds until the job can run again.";
    ARGS_HASH = "longshore.job.args.hash", [], Safe, "A keyless hash of the args, to tell equal from different.";
    ENQUEUE_OUTCOME = "longshore.job.enqueue.outcome", ["enqueue.outcome"], Safe, "`hit` or `replaced` where the call met a job that was there and made none; the id is that job's.";
    ENQUEUE_HITS = "longshore.job.enqueue.hits", [], Safe, "How many of several jobs were there already.";
    ENQUEUE_REPLACED = "longshore.job.enqueue.replaced", [], Safe, "How many of several jobs gave their args to one that was there.";
    UNIQUE_KEY_HASH = "longshore.job.unique_key.hash", ["idempotency_id"], Safe, "A hash of the unique key.";
    RELATION = "longshore.relation", [], Safe, "How attempts relate to the enqueue span: `parent`, `link` or `auto`.";
    TENANT = "longshore.tenant.id", ["tenant", "tenant_id"], UserChosen, "On whose behalf the job runs.";
    NAMESPACE = "longshore.namespace", ["namespace"], UserChosen, "Which part of the system it belongs to.";
    PARENT_CORRELATION_ID = "longshore.parent_correlation_id", ["parent_correlation_id"], UserChosen, "The correlation id of the job that enqueued this one.";
    WAIT = "longshore.queue.wait", ["queue.wait_time", "wait"], Safe, "Seconds from due to claimed.";
    SCHEDULED_DELAY = "longshore.queue.scheduled_delay", [], Safe, "Seconds the producer asked to wait before the first attempt.";
    BACKOFF = "longshore.queue.backoff", [], Safe, "Seconds between the end of the last attempt and the time this one was due.";
    QUEUE_LENGTH = "longshore.queue.length", [], Safe, "Unfinished jobs of the queue, as far as the producer knew; on the event `queue_full`.";
    LIMIT = "longshore.limit", [], Safe, "The limit that refused jobs: a number of jobs, or a rate such as `10/1s`; on the events `queue_full` and `rate_limited`.";
    REFUSED = "longshore.limit.refused", [], Safe, "How many jobs of the call the limit refused; on the events `queue_full` and `rate_limited`.";
    LIMIT_SCOPE = "longshore.limit.scope", ["limit.scope"], UserChosen, "What the limit is for that an administrator set or removed, such as `queue:mail`.";
    STORE = "longshore.store", ["store"], UserChosen, "The store whose jobs a process enqueues, runs or changes: `sqlite:` and the path of the file, `postgresql:` and host, port, database and schema, and the like; on the resource.";
    SCHEDULE = "longshore.schedule.name", ["schedule", "schedule.name"], UserChosen, "The schedule that the job comes from, or that an administrator's call was about.";
    TICK = "longshore.schedule.tick", ["schedule.tick", "tick"], UserChosen, "The tick of the schedule that the job was enqueued for, as RFC 3339; absent if a person fired it.";
    BATCH = "longshore.batch.id", ["batch.id", "batch"], UserChosen, "The batch that the job is a member of.";
    ENDED_BATCH = "longshore.batch.ended", [], UserChosen, "The batch that is over and that the job follows.";
    HANDLER = "longshore.handler.name", ["handler.name"], UserChosen, "The handler.";
    LINK = "longshore.link", [], Safe, "Why a link stands: `enqueue`, `previous_attempt`, `previous_firing`, `batch` for the enqueue span of the members of the batch that the job follows, `claimed`, `daemon` for the start of the daemon that answered, `holder` for the enqueue span of a job that was met, or `shared` for the settle beneath which the storage spans stand of jobs that were settled by one call.";
    REBUILT = "longshore.rebuilt", [], Safe, "True if someone else wrote the span, for a process that vanished or could not know.";
    ADMIN_SUBJECT = "longshore.admin.subject", ["admin.subject"], Safe, "What an administrator's call was about: `job`, `queue`, `kind`, `limit` or `schedule`.";
    ADMIN_COUNT = "longshore.admin.count", [], Safe, "How many limits or schedules an administrator's call changed.";
    HTTP_METHOD = "http.request.method", [], UserChosen, "The method of an HTTP request.";
    HTTP_ROUTE = "http.route", [], Safe, "The path of an HTTP request as the daemon's table has it, such as `/api/jobs/{id}`.";
    HTTP_PATH = "url.path", [], UserChosen, "The path of an HTTP request as it was sent, without its query.";
    HTTP_STATUS = "http.response.status_code", [], Safe, "The status of the answer.";
    SERVER_ADDRESS = "server.address", [], UserChosen, "The address at which a daemon listens, or at which a store asks.";
    SERVER_PORT = "server.port", [], Safe, "The port at which a daemon listens, or at which a store asks.";
    DB_SYSTEM = "db.system.name", [], Safe, "The database that a request went to: `sqlite`, `postgresql` or `redis`; on storage spans, as all of these.";
    DB_NAMESPACE = "db.namespace", [], UserChosen, "The database's name, or its number.";
    DB_OPERATION = "db.operation.name", [], Safe, "What the database was asked for: `INSERT`, `SELECT`, `FCALL`.";
    DB_COLLECTION = "db.collection.name", [], Safe, "The table.";
    DB_PROCEDURE = "db.stored_procedure.name", [], Safe, "The function of the store that the database ran.";
    DB_SUMMARY = "db.query.summary", [], Safe, "Operation and table or function; the span's name.";
    DB_BATCH = "db.operation.batch.size", [], Safe, "How many jobs, leases or ids the request was about, if several.";
    DB_STATUS = "db.response.status_code", [], Safe, "The code of the database's error: an SQLSTATE, or the first word of an error of Redis.";
    RPC_SYSTEM = "rpc.system.name", [], Safe, "`aws-api` for S3.";
    RPC_METHOD = "rpc.method", [], Safe, "What an object storage was asked for: `PutObject`, `GetObject`, `DeleteObject` or `ListObjectsV2`.";
    S3_BUCKET = "aws.s3.bucket", [], UserChosen, "The bucket.";
    S3_KEY = "aws.s3.key", [], UserChosen, "The key of the object; of a listing, how the keys begin.";
    OBJECT_BUCKET = "longshore.object.bucket", [], UserChosen, "The bucket or container of an object storage that is not S3.";
    OBJECT_KEY = "longshore.object.key", [], UserChosen, "The key of an object there.";
    STORAGE_WAIT = "longshore.storage.wait", [], Safe, "Seconds of the span until the request was sent: the wait for a connection, or for the thread that writes.";
    STORAGE_REPEATS = "longshore.storage.repeats", [], Safe, "How often the store had made the request before, and was told to repeat it.";
    STORAGE_REFUSED = "longshore.storage.refused", [], Safe, "True if the condition of a write did not hold, since somebody else was first; the store looks again.";
    STORAGE_FAILURES = "longshore.storage.failures", ["storage.failures"], Safe, "How many requests of the store for this call failed; on `queue.enqueue`, `queue.claim`, `job.settle` and `queue.admin`.";
    STORAGE_REQUESTS = "longshore.storage.requests", [], Safe, "How many requests there were, where not all stand beneath this span.";
    JOB_STATE = "longshore.job.state", ["job.state", "state"], Safe, "The state of the job after an administrator's call.";
}

/// What stands before the key of a pair of the job's metadata, on `job.process` and `queue.enqueue`.
pub const METADATA_PREFIX: &str = "longshore.job.meta.";

/// The name of a span and what it covers.
#[derive(Clone, Copy, Debug)]
pub struct SpanName {
    /// The name.
    pub name: &'static str,
    /// What it covers.
    pub doc: &'static str,
}

macro_rules! spans {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// Span names as constants.
        pub mod name {
            $(#[doc = $doc] pub const $name: &str = $text;)*
        }

        /// Every span of the engine.
        pub const SPANS: &[SpanName] = &[$(SpanName { name: $text, doc: $doc },)*];
    };
}

spans! {
    ENQUEUE = "queue.enqueue", "The enqueue call. PRODUCER; its context goes into the job's envelope.";
    CLAIM = "queue.claim", "The claim request, written after the store answered with jobs, or failed: then it is a trace of its own. CLIENT; ERROR if it failed.";
    DEQUEUE = "queue.dequeue", "From the moment the job became due to the moment a worker held it: the wait. CLIENT.";
    PROCESS = "job.process", "One attempt, from its claim on; where jobs are claimed ahead of free slots, its handler begins up to 250 ms later. CONSUMER; ERROR whenever the attempt failed.";
    HANDLER = "handler.execution", "The user's code. INTERNAL; user spans hang under it.";
    SETTLE = "job.settle", "Until the outcome was durable. CLIENT.";
    DAEMON_START = "daemon.start", "From the start of a daemon until it listened. INTERNAL.";
    HTTP_REQUEST = "http.request", "A request to a daemon, until it was answered; linked to the daemon's start. SERVER; ERROR if the daemon failed. What a view of ours looks at leaves none.";
    STORAGE = "storage.request", "A request that a store made for one of these calls. Its span has the name of the request, as [below](#storage-spans); it is counted under this one. CLIENT; ERROR if it failed.";
    ADMIN = "queue.admin", "A call of a person or program: cancel, retry, discard and prune jobs; pause and resume a queue, a kind or a schedule; set and remove limits; put, remove and trigger schedules. One for all that it changed. CLIENT.";
}

/// An event on one of the engine's spans.
#[derive(Clone, Copy, Debug)]
pub struct EventName {
    /// The name.
    pub name: &'static str,
    /// The span it stands on.
    pub span: &'static str,
    /// What it says.
    pub doc: &'static str,
}

/// The event on `job.process` when the attempt failed: the error's class, category and message.
pub const EVENT_JOB_FAILED: &str = "job_failed";

/// The event on `queue.enqueue` when the queue had no room for a job.
pub const EVENT_QUEUE_FULL: &str = "queue_full";

/// The event on `queue.enqueue` when jobs came faster than the queue takes them.
pub const EVENT_RATE_LIMITED: &str = "rate_limited";

/// The event on `queue.dequeue` when the wait passed the threshold.
pub const EVENT_LONG_WAIT: &str = "long_wait";

/// Every event of the engine's spans.
pub const EVENTS: &[EventName] = &[
    EventName {
        name: EVENT_JOB_FAILED,
        span: name::PROCESS,
        doc: "The attempt failed: the class, the category and the redacted message of its error.",
    },
    EventName {
        name: EVENT_LONG_WAIT,
        span: name::DEQUEUE,
        doc: "The job had waited for 60 seconds.",
    },
    EventName {
        name: EVENT_QUEUE_FULL,
        span: name::ENQUEUE,
        doc: "The queue had as many unfinished jobs as its limit allows, so that jobs were refused.",
    },
    EventName {
        name: EVENT_RATE_LIMITED,
        span: name::ENQUEUE,
        doc: "Producers had put as many jobs into the queue as its limit allows in this time, so that jobs were refused.",
    },
];

/// A kind of storage, and how its requests are named.
#[derive(Clone, Copy, Debug)]
pub struct StorageSystem {
    /// `db.system.name`, or the like of what is no database.
    pub system: &'static str,
    /// What the names of its spans begin with; nothing for a database.
    pub service: Option<&'static str>,
    /// What they look like.
    pub examples: &'static [&'static str],
}

const OBJECTS: &[&str] = &["PutObject", "GetObject", "DeleteObject", "ListObjectsV2"];

/// What stores keep jobs in, and the names of its spans: an operation and what it is about. Jobs in
/// memory leave none.
pub const STORAGE_SYSTEMS: &[StorageSystem] = &[
    StorageSystem {
        system: "sqlite",
        service: None,
        examples: &["INSERT longshore_job", "UPDATE longshore_job"],
    },
    StorageSystem {
        system: "postgresql",
        service: None,
        examples: &["SELECT claim", "SELECT settle", "COMMIT"],
    },
    StorageSystem {
        system: "redis",
        service: None,
        examples: &["FCALL claim", "EVALSHA claim"],
    },
    StorageSystem {
        system: "aws.s3",
        service: Some("S3"),
        examples: OBJECTS,
    },
    StorageSystem {
        system: "gcp.storage",
        service: Some("GCS"),
        examples: OBJECTS,
    },
    StorageSystem {
        system: "azure.blob",
        service: Some("Blob"),
        examples: OBJECTS,
    },
];

/// Whether the links of spans with this name make one story of the traces. Those of a claim do not,
/// nor those of a settle or of a request to a daemon: what they link to concerns jobs that have
/// nothing else in common.
#[must_use]
pub fn links_join(name: &str) -> bool {
    !matches!(name, name::CLAIM | name::SETTLE | name::HTTP_REQUEST)
}

/// The key that `typed` means: itself, or the key it is an alias of.
#[must_use]
pub fn resolve(typed: &str) -> &str {
    ATTRIBUTES
        .iter()
        .find(|attribute| attribute.aliases.contains(&typed))
        .map_or(typed, |attribute| attribute.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_alias_is_unique() {
        let mut all: Vec<&str> = ATTRIBUTES
            .iter()
            .flat_map(|attribute| attribute.aliases.iter().copied().chain([attribute.key]))
            .collect();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
    }

    #[test]
    fn aliases_resolve() {
        assert_eq!(resolve("job.id"), key::JOB_ID);
        assert_eq!(resolve("http.route"), "http.route");
    }
}
