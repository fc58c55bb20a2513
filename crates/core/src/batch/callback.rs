//! What follows a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{METADATA_ENDED, corrupt, invalid};
use crate::error::StoreError;
use crate::id::JobId;
use crate::name::{BatchId, Kind, QueueName};
use crate::new_job::{NewJob, Priority};

/// Which job follows a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// Once all members are over, however.
    End,
    /// Once all members are over and each has succeeded.
    Success,
}

impl CallbackKind {
    /// The word in the id of its job: `end` or `success`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Success => "success",
        }
    }

    /// The id of its job: `batch.`, the id of the batch, and the word.
    #[must_use]
    pub fn job_id(self, batch: &BatchId) -> JobId {
        JobId::lossy(&format!("batch.{batch}.{}", self.as_str()))
    }
}

/// A job that follows a batch, as it is kept until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    queue: QueueName,
    kind: Kind,
    args: String,
    #[serde(default)]
    priority: Priority,
    max_attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

impl Callback {
    /// Most bytes that it takes in the document of its batch, as JSON: 16 KiB, args, tags and metadata
    /// together.
    pub const MAX_BYTES: usize = 16 << 10;

    /// Keeps what a job says of itself; its id and its trace are chosen when it is enqueued.
    ///
    /// # Errors
    /// `Invalid`: args that are no text, a due time, a unique key, or more than
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn of(job: NewJob) -> Result<Self, StoreError> {
        let refuse = |problem: &str| Err(invalid(format!("the callback of a batch {problem}")));
        if job.scheduled_at.is_some() {
            return refuse("runs when the batch is over: it can have no delay or time of its own");
        }
        if job.unique_key.is_some() {
            return refuse("is the only one by its id: it can have no unique key");
        }
        let Ok(args) = String::from_utf8(job.args.to_vec()) else {
            return refuse("has args that are no UTF-8 text");
        };
        let callback = Self {
            queue: job.queue,
            kind: job.kind,
            args,
            priority: job.priority,
            max_attempts: job.max_attempts,
            timeout_ms: job.timeout.map(millis),
            tags: job.tags,
            metadata: job.metadata,
            correlation_id: job.correlation_id,
            tenant_id: job.tenant_id,
            namespace: job.namespace,
        };
        let encoded = serde_json::to_vec(&callback);
        let has = encoded.map_err(|error| corrupt("callback", error))?.len();
        if has > Self::MAX_BYTES {
            let most = Self::MAX_BYTES;
            return refuse(&format!(
                "takes {has} bytes as JSON, more than the {most} allowed: store what its args and \
                 metadata say elsewhere and pass a reference"
            ));
        }
        Ok(callback)
    }

    /// The line its job waits in.
    #[must_use]
    pub const fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Which handler runs its job.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its job, for a batch. The trace part is empty.
    #[must_use]
    pub fn job(&self, which: CallbackKind, batch: &BatchId) -> NewJob {
        let id = which.job_id(batch);
        let (queue, kind) = (self.queue.clone(), self.kind.clone());
        let mut job = NewJob::new(id, queue, kind, self.args.clone());
        job.priority = self.priority;
        job.max_attempts = self.max_attempts;
        job.timeout = self.timeout_ms.map(Duration::from_millis);
        job.tags.clone_from(&self.tags);
        job.metadata.clone_from(&self.metadata);
        let ended = (METADATA_ENDED.to_owned(), batch.to_string());
        job.metadata.extend([ended]);
        job.correlation_id.clone_from(&self.correlation_id);
        job.tenant_id.clone_from(&self.tenant_id);
        job.namespace.clone_from(&self.namespace);
        job
    }
}

/// A timeout of less than a millisecond is one of a millisecond: none may be nothing.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
