//! The store: each method of the contract, as a call of the function that does it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Clock, Document, DocumentEntry, Enqueued, ErrorKind,
    Job, JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats,
    Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo, SystemClock,
    Timestamp,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, number, parsed, text, tuple};
use crate::call::Call;
use crate::connection::Connection;
use crate::enqueue::Consignment;
use crate::examination::{self, Examination};
use crate::options::RedisOptions;
use crate::wake::Wake;
use crate::{beside, claim, contract, enqueue, listing, micros, row, settle};

/// Most jobs that one call deletes: nobody else is served meanwhile.
const PRUNED_AT_ONCE: usize = 500;
/// Most beats, promoted and rescued jobs of one call.
const MOST_AT_ONCE: usize = 1000;

/// The Redis and Valkey store. A clone is another handle on the same connection.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Arc<Connection>,
    wake: Wake,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore")
            .field(&self.shared.connection.options.location())
            .finish()
    }
}

impl RedisStore {
    /// A store that connects when it is first asked for something. A server that is away is
    /// `Unavailable` for each call until it is there.
    #[must_use]
    pub fn open(options: RedisOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                connection: Connection::new(options),
                wake: Wake::new(),
            }),
        }
    }

    /// Looks at the server and its settings: whether the store is safe there, and what would mend it
    /// if not.
    ///
    /// # Errors
    /// `Unavailable` if the server cannot be reached; `Invalid` if it is too old, refuses the user, or
    /// the store is of a newer version.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        examination::examine(&self.shared.connection).await
    }

    /// If there is no store of this prefix: which prefixes have one on the same server, or the same
    /// node of a cluster, by name, no more than `most`, and of a server with very many keys perhaps not
    /// all. Nothing is made.
    ///
    /// # Errors
    /// `Unavailable` if the server cannot be reached; `Invalid` if it is too old or refuses the user.
    pub async fn missing(&self, most: usize) -> Result<Option<Vec<String>>, StoreError> {
        beside::missing(&self.shared.connection, most).await
    }

    pub(crate) async fn call(&self, call: &Call) -> Result<(Timestamp, Value), StoreError> {
        self.shared.connection.call(call).await
    }

    async fn stop(
        &self,
        ids: &[JobId],
        stop: StopRequest,
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let mut call = Call::new(&contract::STOP);
        call.number(row::stop_code(stop));
        add_ids(&mut call, ids);
        let (_, answer) = self.call(&call).await?;
        let states = array(answer)?;
        let each = ids.iter().zip(states);
        each.map(|(id, state)| match number::<i64>(state)? {
            -1 => Ok(Err(StoreError::not_found(id))),
            code => {
                let code = u8::try_from(code).map_err(|error| corrupt("job state", error))?;
                Ok(Ok(row::state_of(code)?))
            }
        })
        .collect()
    }

    async fn set_paused(
        &self,
        function: &'static contract::Function,
        queue: &QueueName,
    ) -> Result<(), StoreError> {
        let mut call = Call::new(function);
        call.text(queue.as_str());
        self.call(&call).await.map(|_answer| ())
    }

    async fn wait_for_job(&self, queues: &[QueueName], timeout: Duration) {
        // Listening starts before looking, so that nothing falls between the two.
        let shared = &self.shared;
        let listener = shared.wake.listen(&shared.connection.options);
        let mut call = Call::new(&contract::NEXT);
        call.count(queues.len());
        for queue in queues {
            call.text(queue.as_str());
        }
        let due_in = match self.call(&call).await {
            Ok((now, next)) => match number(next).map(micros::time) {
                Ok(due) => due.since(now),
                Err(_nothing) => timeout,
            },
            Err(_unavailable) => timeout,
        };
        if !due_in.is_zero() {
            listener.heard(queues, timeout.min(due_in)).await;
        }
    }
}

fn add_ids(call: &mut Call, ids: &[JobId]) {
    call.count(ids.len());
    for id in ids {
        call.text(id.as_str());
    }
}

#[async_trait]
impl Store for RedisStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: "redis",
            location: self.shared.connection.options.location(),
            clock_error: Duration::ZERO,
            keeps_over_for: Duration::ZERO,
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        if let Some(clock) = &self.shared.connection.options.clock {
            return Ok(clock.now());
        }
        let [seconds, micros] = tuple(self.shared.connection.ask(&redis::cmd("TIME")).await?)?;
        let (seconds, micros): (i64, i64) = (number(seconds)?, number(micros)?);
        Ok(micros::time(
            seconds.saturating_mul(1_000_000).saturating_add(micros),
        ))
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        let options = &self.shared.connection.options;
        let now = match &options.clock {
            Some(clock) => clock.now(),
            None => SystemClock::new().now(),
        };
        let id = |_place| JobId::generate(now, &*options.random);
        Ok(places.iter().map(id).collect())
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let consignment = Consignment::new(jobs)?;
        let mut enqueued = Vec::new();
        for (call, jobs) in &consignment.calls {
            let (now, answer) = self.call(call).await?;
            enqueued.extend(enqueue::read(answer, jobs, now)?);
        }
        let mut enqueued = enqueued.into_iter();
        let missing = || Err(corrupt("answer", "not every job is in it"));
        let each = consignment.problems.into_iter();
        let answers = each.map(|problem| match problem {
            Some(problem) => Err(problem),
            None => enqueued.next().unwrap_or_else(missing),
        });
        Ok(answers.collect())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        if request.limit == 0 || request.queues.is_empty() {
            return Ok(Vec::new());
        }
        let call = claim::call(request, &*self.shared.connection.options.random);
        let (_, answer) = self.call(&call).await?;
        claim::read(answer)
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let mut answers = Vec::new();
        for beats in beats.chunks(MOST_AT_ONCE) {
            let (_, answer) = self.call(&settle::beats(beats)).await?;
            answers.extend(settle::read_beats(answer)?);
        }
        Ok(answers)
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let mut answers = Vec::new();
        for settlements in settle::parts(&settlements) {
            let (call, problems) = settle::settles(settlements)?;
            let (now, answer) = self.call(&call).await?;
            answers.extend(settle::read_settles(answer, settlements, problems, now)?);
        }
        Ok(answers)
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        let mut call = Call::new(&contract::PROMOTE);
        call.count(limit.min(MOST_AT_ONCE));
        let (_, answer) = self.call(&call).await?;
        number(answer)
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let (_, answer) = self.call(&settle::rescue(limit.min(MOST_AT_ONCE))?).await?;
        settle::read_rescued(answer)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let mut call = Call::new(&contract::GET);
        call.text(id.as_str());
        let (now, answer) = self.call(&call).await?;
        Ok(row::read(answer, false)?.map(|row| row.job.shown_at(now)))
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        listing::list(&self.shared.connection, filter, cursor, limit).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        let (now, answer) = self.call(&Call::new(&contract::STATS)).await?;
        let queue = |answer| {
            let mut parts = array(answer)?.into_iter();
            let mut part = || parts.next().unwrap_or_default();
            let mut stats = QueueStats::empty(parsed("queue", &text(part())?)?, now);
            stats.paused = number::<u8>(part())? == 1;
            let oldest = text(part())?;
            if !oldest.is_empty() {
                stats.oldest_available_at = Some(micros::time(parsed("time", &oldest)?));
            }
            for code in 0..7 {
                // Never below nothing, whatever the server counted.
                let count = number::<i64>(part())?;
                *stats.count_mut(row::state_of(code)?) = u64::try_from(count).unwrap_or(0);
            }
            Ok(stats)
        };
        array(answer)?.into_iter().map(queue).collect()
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Cancel).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Discard).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let mut call = Call::new(&contract::RETRY);
        add_ids(&mut call, ids);
        let (_, answer) = self.call(&call).await?;
        let conflict = |message| StoreError::new(ErrorKind::Conflict, message);
        let each = ids.iter().zip(array(answer)?);
        each.map(|(id, answer)| {
            let mut parts = array(answer)?.into_iter();
            let mut part = || parts.next().unwrap_or_default();
            match &bytes(part())?[..] {
                b"available" => Ok(Ok(JobState::Available)),
                b"missing" => Ok(Err(StoreError::not_found(id))),
                b"running" => Ok(Err(conflict(format!(
                    "job {id} is running; cancel it first, or wait"
                )))),
                b"taken" => Ok(Err(conflict(format!(
                    "the unique key of job {id} is held by job {}: cancel that one first, or wait",
                    text(part())?
                )))),
                other => Err(corrupt("answer to a retry", String::from_utf8_lossy(other))),
            }
        })
        .collect()
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.set_paused(&contract::PAUSE, queue).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.set_paused(&contract::RESUME, queue).await
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let states = request.final_states()?;
        let before = request
            .before
            .map(|before| micros::not_before(before).to_string());
        let newest = request
            .keep_newest
            .map(|newest| newest.min(1 << 40).to_string());
        let mut pruned = 0;
        while pruned < request.limit {
            let at_once = PRUNED_AT_ONCE.min(request.limit - pruned);
            let mut call = Call::new(&contract::PRUNE);
            call.count(at_once)
                .some(before.as_deref())
                .some(newest.as_deref())
                .count(states.len());
            for state in &states {
                call.number(i64::from(row::state_code(*state)));
            }
            let (_, answer) = self.call(&call).await?;
            let gone: usize = number(answer)?;
            pruned += gone;
            if gone < at_once {
                break;
            }
        }
        Ok(pruned)
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        // Running out of time is an ordinary end of a wait.
        let _elapsed = tokio::time::timeout(timeout, self.wait_for_job(queues, timeout)).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let mut call = Call::new(&contract::READ_DOCUMENT);
        call.text(name);
        let (_, answer) = self.call(&call).await?;
        let mut parts = array(answer)?.into_iter();
        let (Some(version), Some(body)) = (parts.next(), parts.next()) else {
            return Ok(None);
        };
        Ok(Some(Document {
            version: number(version)?,
            body: bytes(body)?,
        }))
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        let (has, most) = (body.len(), Document::MAX_BYTES);
        if has > most {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("document `{name}` takes {has} bytes, more than the {most} allowed"),
            ));
        }
        let mut call = Call::new(&contract::WRITE_DOCUMENT);
        call.text(name).text(&expected.to_string()).bytes(body);
        if expected > 0 {
            call.changes();
        }
        let (_, answer) = self.call(&call).await?;
        let [word, version] = tuple(answer)?;
        match &bytes(word)?[..] {
            b"written" => number(version),
            _ => Err(outdated(name, &text(version)?, expected)),
        }
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        let mut call = Call::new(&contract::DELETE_DOCUMENT);
        call.text(name).text(&expected.to_string());
        let (_, answer) = self.call(&call).await?;
        let mut parts = array(answer)?.into_iter();
        let mut part = || parts.next().unwrap_or_default();
        match &bytes(part())?[..] {
            b"deleted" => Ok(()),
            _ => Err(outdated(name, &text(part())?, expected)),
        }
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        let mut call = Call::new(&contract::LIST_DOCUMENTS);
        call.text(&DocumentEntry::listing_start(prefix, after))
            .text(prefix)
            .count(limit.min(Document::MAX_LISTED));
        let (_, answer) = self.call(&call).await?;
        let entry = |answer| {
            let [name, version] = tuple(answer)?;
            Ok(DocumentEntry {
                name: text(name)?,
                version: number(version)?,
            })
        };
        array(answer)?.into_iter().map(entry).collect()
    }
}

fn outdated(name: &str, current: &str, expected: u64) -> StoreError {
    StoreError::new(
        ErrorKind::Conflict,
        format!(
            "document `{name}` has version {current}, not {expected}: read it again, then decide"
        ),
    )
}
