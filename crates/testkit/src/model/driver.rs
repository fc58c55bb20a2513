//! Makes the same call to two stores and compares what they say.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Beat, ClaimRequest, Clock, ErrorKind, Group, Job, JobFilter, JobId, JobState, Keep, Kind,
    LeaseToken, NewJob, OnConflict, Outcome, PruneRequest, QueueName, Quota, Rescued, Settled,
    Settlement, SpanId, Spread, Store, StoreError, Timestamp, TraceId, UniqueKey, UniqueScope,
    WorkerId,
};

use crate::clock::ManualClock;
use crate::harness::{Harness, failure, name};
use crate::model::Difference;
use crate::model::operation::{Ending, JOBS, KINDS, Offer, Operation, QUEUES, TENANTS};

/// A claim as both stores gave it, with the token of each.
#[derive(Debug)]
struct Held {
    job_id: JobId,
    tokens: [LeaseToken; 2],
}

/// Two stores, and the claims they gave so far.
#[derive(Debug)]
pub(super) struct Driver {
    clock: Arc<ManualClock>,
    stores: [Arc<dyn Store>; 2],
    held: Vec<Held>,
}

/// What both stores said, reference first.
type Both<T> = [T; 2];

impl Driver {
    pub(super) fn new(
        clock: Arc<ManualClock>,
        reference: Arc<dyn Store>,
        subject: Arc<dyn Store>,
    ) -> Self {
        Self {
            clock,
            stores: [reference, subject],
            held: Vec::new(),
        }
    }

    pub(super) async fn step(
        &mut self,
        step: usize,
        operation: &Operation,
    ) -> Result<(), Difference> {
        let differ = |(what, reference, subject): Differing| Difference {
            step,
            operation: operation.clone(),
            what,
            reference,
            subject,
        };
        self.apply(operation).await.map_err(differ)?;
        self.look().await.map_err(differ)?;
        self.clock.advance(Duration::from_millis(1));
        Ok(())
    }

    async fn apply(&mut self, operation: &Operation) -> Result<(), Differing> {
        let [a, b] = self.stores.clone();
        match operation {
            Operation::Enqueue(offers) => {
                let jobs: Vec<NewJob> = offers.iter().map(|offer| self.new_job(offer)).collect();
                let answers = [a.enqueue(jobs.clone()).await, b.enqueue(jobs).await];
                equal("the answers to enqueue", answers.map(item_by_item))
            }
            Operation::Claim { .. } => self.claim(operation).await,
            Operation::Beat { .. } => self.beat(operation).await,
            Operation::Settle(endings) => self.settle(endings).await,
            // How many were promoted is the store's own affair; the rows are compared anyway.
            Operation::Promote => equal(
                "promote",
                [a.promote(1000).await.is_ok(), b.promote(1000).await.is_ok()],
            ),
            Operation::Rescue => {
                let answers = [a.rescue(1000).await, b.rescue(1000).await];
                equal(
                    "the rescued jobs",
                    answers.map(|answer| answer.map(by_id).map_err(kind)),
                )
            }
            _ => self.administer(operation).await,
        }
    }

    async fn administer(&self, operation: &Operation) -> Result<(), Differing> {
        let [a, b] = &self.stores;
        match operation {
            Operation::Cancel(job) => {
                let ids = jobs_from(*job);
                let answers = [a.cancel(&ids).await, b.cancel(&ids).await];
                equal("the answers to cancel", answers.map(item_by_item))
            }
            Operation::Discard(job) => {
                let ids = jobs_from(*job);
                let answers = [a.discard(&ids).await, b.discard(&ids).await];
                equal("the answers to discard", answers.map(item_by_item))
            }
            Operation::RetryNow(job) => {
                let ids = jobs_from(*job);
                let answers = [a.retry_now(&ids).await, b.retry_now(&ids).await];
                equal("the answers to retry", answers.map(item_by_item))
            }
            Operation::Pause(queue) => {
                let queue = queue_name(*queue);
                equal(
                    "pause",
                    [a.pause(&queue).await.is_ok(), b.pause(&queue).await.is_ok()],
                )
            }
            Operation::Resume(queue) => {
                let queue = queue_name(*queue);
                equal(
                    "resume",
                    [
                        a.resume(&queue).await.is_ok(),
                        b.resume(&queue).await.is_ok(),
                    ],
                )
            }
            Operation::Prune {
                states,
                age,
                keep_newest,
                limit,
            } => {
                self.clock.advance(Harness::RETENTION);
                let final_states = JobState::ALL.into_iter().filter(|state| state.is_final());
                let wanted = (0..).zip(final_states);
                let request = PruneRequest {
                    states: wanted
                        .filter(|(bit, _)| states & (1 << bit) != 0)
                        .map(|(_, state)| state)
                        .collect(),
                    before: age.map(|age| self.clock.now().before(Duration::from_secs(age))),
                    keep_newest: *keep_newest,
                    limit: *limit,
                };
                let answers = [a.prune(&request).await, b.prune(&request).await];
                equal(
                    "the answer to prune",
                    answers.map(|answer| answer.map_err(kind)),
                )
            }
            Operation::Advance(seconds) => {
                self.clock.advance(Duration::from_secs(*seconds));
                Ok(())
            }
            _ => self.document(operation).await,
        }
    }

    async fn document(&self, operation: &Operation) -> Result<(), Differing> {
        let [a, b] = &self.stores;
        match operation {
            Operation::WriteDocument(document, expected) => {
                let document = format!("document-{document}");
                let body = Bytes::from(format!("after {expected}"));
                let answers = [
                    a.write_document(&document, *expected, body.clone()).await,
                    b.write_document(&document, *expected, body).await,
                ];
                equal(
                    "the written version",
                    answers.map(|answer| answer.map_err(kind)),
                )?;
                let [a, b] = [
                    a.read_document(&document).await,
                    b.read_document(&document).await,
                ];
                equal("the document", [a.map_err(kind), b.map_err(kind)])
            }
            Operation::DeleteDocument(document, expected) => {
                let document = format!("document-{document}");
                let answers = [
                    a.delete_document(&document, *expected).await,
                    b.delete_document(&document, *expected).await,
                ];
                equal(
                    "the answer to a delete",
                    answers.map(|answer| answer.map_err(kind)),
                )?;
                let [a, b] = [
                    a.list_documents("document", None, 10).await,
                    b.list_documents("document", None, 10).await,
                ];
                equal("the documents", [a.map_err(kind), b.map_err(kind)])
            }
            _ => Ok(()),
        }
    }

    async fn claim(&mut self, operation: &Operation) -> Result<(), Differing> {
        let Operation::Claim {
            queues,
            limit,
            turn,
            lease,
            quotas,
            spread,
        } = operation
        else {
            return Ok(());
        };
        let queues = (0..QUEUES).filter(|queue| queues & (1 << queue) != 0);
        let queues = queues.map(queue_name).collect();
        let (worker, lease) = (WorkerId::new("worker"), Duration::from_secs(*lease));
        let mut request = ClaimRequest::new(worker, queues, *limit, lease);
        request.turn = *turn;
        request.quotas = quotas.iter().copied().map(quota).collect();
        request.spread = spread.map(|(after, each)| Spread {
            after: after.map(tenant_name),
            each,
        });
        let [a, b] = &self.stores;
        let (a, b) = (
            a.claim(&request).await.unwrap(),
            b.claim(&request).await.unwrap(),
        );
        let seen = |claimed: &[longshore_core::Claimed]| -> Vec<(Job, JobId, Timestamp)> {
            let seen = claimed.iter().map(|claimed| {
                let lease = &claimed.lease;
                (claimed.job.clone(), lease.job_id.clone(), lease.expires_at)
            });
            seen.collect()
        };
        equal("the claimed jobs", [seen(&a), seen(&b)])?;
        self.held.extend(a.into_iter().zip(b).map(|(a, b)| Held {
            job_id: a.lease.job_id,
            tokens: [a.lease.token, b.lease.token],
        }));
        Ok(())
    }

    async fn beat(&self, operation: &Operation) -> Result<(), Differing> {
        let Operation::Beat {
            claims,
            extend_by,
            progress,
        } = operation
        else {
            return Ok(());
        };
        let held: Vec<&Held> = claims
            .iter()
            .filter_map(|claim| self.held(*claim))
            .collect();
        let beats = |store: usize| -> Vec<Beat> {
            let beats = held.iter().map(|held| Beat {
                job_id: held.job_id.clone(),
                token: held.tokens[store],
                extend_by: Duration::from_secs(*extend_by),
                progress: *progress,
                checkpoint: progress.map(|length| Bytes::from(vec![0; usize::from(length)])),
            });
            beats.collect()
        };
        let [a, b] = &self.stores;
        let answers = [a.heartbeat(&beats(0)).await, b.heartbeat(&beats(1)).await];
        equal(
            "the answers to beats",
            answers.map(|answer| answer.map_err(kind)),
        )
    }

    async fn settle(&self, endings: &[(usize, Ending)]) -> Result<(), Differing> {
        let settlements = |store: usize| -> Vec<Settlement> {
            let settlements = endings.iter().filter_map(|(claim, ending)| {
                let held = self.held(*claim)?;
                Some(self.settlement(held.job_id.clone(), held.tokens[store], ending))
            });
            settlements.collect()
        };
        let [a, b] = &self.stores;
        let answers = [
            a.settle(settlements(0)).await,
            b.settle(settlements(1)).await,
        ];
        equal(
            "the answers to settle",
            answers.map(item_by_item::<Settled>),
        )
    }

    /// Looks at every job, listing and count of both stores.
    async fn look(&self) -> Result<(), Differing> {
        let [a, b] = &self.stores;
        for job in 0..JOBS {
            let id = job_id(job);
            let rows = [a.get(&id).await.unwrap(), b.get(&id).await.unwrap()];
            equal(&format!("the row of {id}"), rows)?;
        }
        for filter in self.filters() {
            let pages = [
                a.list(&filter, None, 100).await,
                b.list(&filter, None, 100).await,
            ];
            let ids = pages.map(|page| -> Vec<(JobId, JobState)> {
                let jobs = page.unwrap().jobs.into_iter();
                jobs.map(|job| (job.id, job.state)).collect()
            });
            equal(&format!("the listing by {filter:?}"), ids)?;
        }
        let stats = [a.queue_stats().await, b.queue_stats().await];
        let stats = stats.map(|stats| {
            let mut stats = stats.unwrap();
            stats.sort_by(|one, other| one.queue.cmp(&other.queue));
            stats
        });
        equal("the counts", stats)
    }

    fn filters(&self) -> [JobFilter; 5] {
        let any = JobFilter::default;
        let in_states = |states: &[JobState]| JobFilter {
            states: states.to_vec(),
            ..any()
        };
        [
            any(),
            in_states(&[JobState::Available]),
            in_states(&[JobState::Scheduled, JobState::Retryable]),
            JobFilter {
                queue: Some(queue_name(1)),
                ..in_states(&[JobState::Discarded, JobState::Completed])
            },
            JobFilter {
                error_class: Some(failure().class.into_owned()),
                enqueued_before: Some(self.clock.now().before(Duration::from_secs(5))),
                ..any()
            },
        ]
    }

    fn held(&self, claim: usize) -> Option<&Held> {
        // Counted from the newest, so that most calls are about leases that hold.
        let newest_first = claim % self.held.len().max(1) + 1;
        self.held.get(self.held.len().checked_sub(newest_first)?)
    }

    fn new_job(&self, offer: &Offer) -> NewJob {
        let (queue, kind) = (queue_name(offer.queue), kind_name(offer.kind));
        let args = Bytes::from(vec![offer.args]);
        let mut new = NewJob::new(job_id(offer.job), queue, kind, args);
        new.tenant_id = offer.tenant.map(tenant_name);
        new.priority = offer.priority.try_into().unwrap();
        new.scheduled_at = offer.delay.map(|delay| self.later(delay));
        new.max_attempts = offer.max_attempts;
        let key = offer.key.map(|key| format!("key-{key}"));
        let scope = match offer.scope {
            0 => UniqueScope::Unfinished,
            1 => UniqueScope::Waiting,
            seconds => UniqueScope::Window(Duration::from_secs(u64::from(seconds))),
        };
        let unique = |key| UniqueKey::new(key, &new.kind, &new.args).with_scope(scope);
        new.unique_key = key.map(unique);
        new.on_conflict = match offer.on_conflict {
            0 => OnConflict::Reject,
            1 => OnConflict::Keep,
            other => OnConflict::Replace {
                priority: other == 3,
            },
        };
        new
    }

    fn settlement(&self, job_id: JobId, token: LeaseToken, ending: &Ending) -> Settlement {
        let available_at = self.later(ending.delay);
        let error = failure();
        let outcome = match ending.outcome {
            0 => Outcome::Complete { result: None },
            1 => Outcome::Complete {
                result: Some(Bytes::from_static(b"\0done")),
            },
            2 => Outcome::Retry {
                available_at,
                error,
            },
            3 => Outcome::NotYet {
                available_at,
                error,
            },
            4 => Outcome::Snooze { available_at },
            5 => Outcome::Cancel { error: Some(error) },
            6 => Outcome::Discard { error },
            _ => Outcome::HandBack,
        };
        let at = self.clock.now();
        let reason = "model".to_owned();
        Settlement {
            job_id,
            token,
            outcome,
            follow_ups: ending
                .follow_ups
                .iter()
                .map(|offer| self.new_job(offer))
                .collect(),
            keep: ending.keep.then_some(Keep { reason, at }),
            span: ending
                .keep
                .then(|| (TraceId::from_u128(3), SpanId::from_u64(4))),
        }
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.clock.now().after(Duration::from_secs(seconds))
    }
}

/// What was compared, and what the reference and the subject said.
type Differing = (String, String, String);

fn equal<T: PartialEq + Debug>(what: &str, both: Both<T>) -> Result<(), Differing> {
    let [reference, subject] = both;
    if reference == subject {
        return Ok(());
    }
    let (reference, subject) = (format!("{reference:?}"), format!("{subject:?}"));
    Err((what.to_owned(), reference, subject))
}

type Items<T, E> = Result<Vec<Result<T, E>>, E>;

/// Errors are compared by what the caller must do; their words are the store's own.
fn item_by_item<T>(answers: Items<T, StoreError>) -> Items<T, ErrorKind> {
    let kinds = |answers: Vec<Result<T, StoreError>>| {
        let items = answers.into_iter().map(|answer| answer.map_err(kind));
        items.collect()
    };
    answers.map(kinds).map_err(kind)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
fn kind(error: StoreError) -> ErrorKind {
    error.kind()
}

fn by_id(rescued: Vec<Rescued>) -> Vec<(Job, longshore_core::AttemptRecord)> {
    let mut rescued: Vec<_> = rescued.into_iter().map(|one| (one.job, one.lost)).collect();
    rescued.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    rescued
}

/// Two jobs that are neighbours.
fn jobs_from(job: u8) -> [JobId; 2] {
    [job_id(job), job_id(job + 1)]
}

fn job_id(job: u8) -> JobId {
    format!("job-{job}").parse().unwrap()
}

fn queue_name(queue: u8) -> QueueName {
    name(&format!("queue-{queue}"))
}

fn kind_name(kind: u8) -> Kind {
    format!("kind-{kind}").parse().unwrap()
}

/// The last one is nobody.
fn tenant_name(tenant: u8) -> String {
    if tenant + 1 == TENANTS {
        String::new()
    } else {
        format!("tenant-{tenant}")
    }
}

fn quota((group, at_most): (u8, usize)) -> Quota {
    let group = match group {
        queue if queue < QUEUES => Group::Queue(queue_name(queue)),
        kind if kind < QUEUES + KINDS => Group::Kind(kind_name(kind - QUEUES)),
        tenant if tenant < QUEUES + KINDS + TENANTS => {
            Group::Tenant(tenant_name(tenant - QUEUES - KINDS))
        }
        _ => Group::EachTenant,
    };
    Quota { group, at_most }
}
