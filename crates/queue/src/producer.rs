//! The producer: stamps jobs with the trace that asks for them and hands them to a store.

mod batch;
pub(crate) mod consignment;
mod firing;
pub(crate) mod follow_up;
mod refusal;
pub(crate) mod stamp;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    Clock, Enqueued, ErrorKind, JobId, NewJob, Place, Random, SpanContext, Store, StoreError,
    SystemClock, SystemRandom, Timestamp, round_trip,
};
use longshore_instrument::build::{end_enqueue, enqueue_span, met_jobs};
use longshore_instrument::facts::EnqueueFacts;
use longshore_instrument::{Recorder, StoreCall};

use self::consignment::Consignment;
use self::stamp::{Stamp, Writer};
use crate::limits::gate::Gate;
use crate::meter::{Meter, timed};
use crate::request::{JobRequest, Source, Spot, invalid};
use crate::storage::{watching, with_storage};

/// Enqueues jobs. Cheap to clone.
///
/// Each call makes one `queue.enqueue` span, a child of the span that is current at the call (or
/// that the request names), and puts its context into the envelope of the jobs.
#[derive(Clone, Debug)]
pub struct Producer {
    store: Arc<dyn Store>,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    meters: Option<Arc<dyn Recorder>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    gate: Arc<Gate>,
}

/// What became of a job, with the span that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What became of it.
    pub enqueued: Enqueued,
    /// The enqueue span that the job carries: this call's, or that of the job which was there
    /// already. Nothing if the job carries none, or is gone.
    pub span: Option<SpanContext>,
}

/// Jobs of one call that come from the same span, and their places in the call.
struct Group {
    source: Source,
    positions: Vec<usize>,
    jobs: Vec<NewJob>,
}

impl Producer {
    /// A producer for a store, without telemetry.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            recorder: None,
            meters: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            gate: Arc::default(),
        }
    }

    /// With telemetry, which hears what the store is.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        recorder.serves(&self.store.info());
        self.recorder = Some(recorder);
        self
    }

    /// With telemetry, if there is any.
    #[must_use]
    pub(crate) fn with_optional_recorder(self, recorder: Option<Arc<dyn Recorder>>) -> Self {
        match recorder {
            Some(recorder) => self.with_recorder(recorder),
            None => self,
        }
    }

    /// Hands what is measured, and nothing else, to another recorder than that of
    /// [`Producer::with_recorder`].
    #[must_use]
    pub fn with_meters(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.meters = Some(recorder);
        self
    }

    /// With another clock and randomness, for tests and simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        self.clock = clock;
        self.random = random;
        self
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Enqueues one job; returns once it is durable.
    ///
    /// # Errors
    /// `Invalid` if a value is not allowed. `Limited` if the queue is full or takes no job now, of
    /// which [`LimitRefused`](longshore_core::limit::LimitRefused) says more. `Conflict` if its
    /// unique key is held by a job with other args and the request does not say what else to do.
    /// After `Unavailable` the outcome is unknown; give the job an
    /// [id](JobRequest::id) or a [unique key](JobRequest::unique_key) to make repeating safe.
    pub async fn enqueue(&self, request: JobRequest) -> Result<Enqueued, StoreError> {
        let answers = self.enqueue_many(vec![request]).await?;
        answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(no_answer()))
    }

    /// Enqueues many jobs in one call, one answer per job in order. A job that is refused does
    /// not hold up the others.
    ///
    /// # Errors
    /// Of the whole call, if the store could not be asked.
    pub async fn enqueue_many(
        &self,
        requests: Vec<JobRequest>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let sent = self.enqueue_with_spans(requests).await?;
        let sent = sent.into_iter();
        Ok(sent.map(|sent| Ok(sent?.enqueued)).collect())
    }

    /// [`Producer::enqueue_many`], whose answers say which span each job carries.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_with_spans(
        &self,
        requests: Vec<JobRequest>,
    ) -> Result<Vec<Result<Sent, StoreError>>, StoreError> {
        let call = pin!(self.enqueue_watched(requests));
        round_trip::watch(self.watching(), call).await
    }

    async fn enqueue_watched(
        &self,
        requests: Vec<JobRequest>,
    ) -> Result<Vec<Result<Sent, StoreError>>, StoreError> {
        let started_at = self.clock.now();
        let began = self.meter().map(|meter| meter.reading());
        let spots = self.spots(&requests, started_at).await?;
        let (mut answers, groups) = group(requests, spots);
        for mut group in groups {
            let batch_size = u32::try_from(group.jobs.len()).unwrap_or(u32::MAX);
            for job in &mut group.jobs {
                job.trace.batch_size = batch_size;
            }
            let origin = self.origin(&group.source);
            let stamp = self.stamp(&mut group.jobs, &origin, started_at, Writer::Stamper);
            let carried = stamp.as_ref().map(|stamp| stamp.context.clone());
            let carried = carried.or_else(|| origin.carried().cloned());
            let leaves = stamp
                .as_ref()
                .is_some_and(|stamp| stamp.context.flags.is_sampled());
            let asked = pin!(self.send(group.jobs, stamp, (started_at, began)));
            let made = match leaves {
                true => asked.await?,
                false => round_trip::unwatched(asked).await?,
            };
            for (position, answer) in group.positions.into_iter().zip(made) {
                if let Some(slot) = answers.get_mut(position) {
                    *slot = Some(answer.map(|enqueued| sent(enqueued, carried.as_ref())));
                }
            }
        }
        let answers = answers.into_iter();
        Ok(answers
            .map(|answer| answer.unwrap_or_else(|| Err(no_answer())))
            .collect())
    }

    /// Makes jobs of requests and stamps them with the current trace, for a store's own
    /// transactional enqueue. Nobody knows yet whether the transaction will commit, so the
    /// worker that runs a job first writes its `queue.enqueue` span too.
    ///
    /// # Errors
    /// The first request that is not allowed.
    pub fn prepare(&self, requests: Vec<JobRequest>) -> Result<Vec<NewJob>, StoreError> {
        let now = self.clock.now();
        let batch_size = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let make = |request: JobRequest| {
            let spot = self.own_spot(&request, now)?;
            let origin = self.origin(&request.source(spot.chosen_id));
            let mut job = request.into_new_job(spot)?;
            job.trace.batch_size = batch_size;
            let one = std::slice::from_mut(&mut job);
            self.stamp(one, &origin, now, Writer::FirstWorker);
            Ok(job)
        };
        requests.into_iter().map(make).collect()
    }

    /// The span that is current where the caller stands.
    pub(crate) fn current(&self) -> Option<SpanContext> {
        self.recorder
            .as_ref()
            .and_then(|recorder| recorder.current())
    }

    /// Whether the caller stands in a span of the same trace as `context`.
    pub(crate) fn stands_in(&self, context: &SpanContext) -> bool {
        self.current()
            .is_some_and(|current| current.trace_id == context.trace_id)
    }

    /// A place and an id for each request.
    async fn spots(
        &self,
        requests: &[JobRequest],
        now: Timestamp,
    ) -> Result<Vec<Result<Spot, StoreError>>, StoreError> {
        let mut spots = Vec::with_capacity(requests.len());
        let mut places = Vec::with_capacity(requests.len());
        for request in requests {
            let chosen = request.chosen_id().map(|id| id.map_err(invalid));
            spots.push(match (request.place(now), chosen) {
                (Err(error), _) | (Ok(_), Some(Err(error))) => Some(Err(error)),
                (Ok(place), Some(Ok(id))) => Some(Ok(Spot::chosen(id, place))),
                (Ok(place), None) => {
                    places.push(place);
                    None
                }
            });
        }
        let ids = self.mint(&places).await?;
        let mut minted = ids.into_iter().zip(places);
        let mut next = || {
            let (id, place) = minted.next().ok_or_else(no_answer)?;
            Ok(Spot::minted(id, place))
        };
        let spots = spots.into_iter();
        Ok(spots.map(|spot| spot.unwrap_or_else(&mut next)).collect())
    }

    pub(crate) async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        timed(self.meter(), StoreCall::Mint, self.store.mint(places)).await
    }

    /// A place and an id that no store was asked for.
    fn own_spot(&self, request: &JobRequest, now: Timestamp) -> Result<Spot, StoreError> {
        let place = request.place(now)?;
        Ok(match request.chosen_id() {
            Some(id) => Spot::chosen(id.map_err(invalid)?, place),
            None => Spot::minted(JobId::generate(now, &*self.random), place),
        })
    }

    async fn send(
        &self,
        jobs: Vec<NewJob>,
        stamp: Option<Stamp>,
        (started_at, began): (Timestamp, Option<Duration>),
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let measuring = self.meter().zip(began);
        let measuring = measuring.map(|(meter, began)| (meter, began, Consignment::of(&jobs)));
        let context = stamp.as_ref().map(|stamp| stamp.context.clone());
        let answer = self.send_unmeasured(jobs, stamp, started_at).await;
        if let Some((meter, began, consignment)) = measuring {
            meter.note_requests(&*self.store);
            consignment.answered(meter, &answer, began, context.as_ref());
        }
        answer
    }

    async fn send_unmeasured(
        &self,
        jobs: Vec<NewJob>,
        stamp: Option<Stamp>,
        started_at: Timestamp,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let sampled = stamp.filter(|stamp| stamp.context.flags.is_sampled());
        let (Some(stamp), Some(recorder)) = (sampled, &self.recorder) else {
            let refusals = self.refusals(&jobs).await;
            return self.put(jobs, refusals).await;
        };
        // The store takes the jobs, so the span is made while they are at hand.
        let mut span = enqueue_span(&EnqueueFacts {
            context: &stamp.context,
            parent: stamp.parent,
            parent_is_remote: stamp.parent_is_remote,
            jobs: &jobs,
            started_at,
        });
        let refusals = self.refusals(&jobs).await;
        if let Some(span) = &mut span {
            refusal::note(span, &refusals, self.clock.now());
        }
        let answer = self.put(jobs, refusals).await;
        let failure = match &answer {
            Err(error) => Some(error.kind()),
            Ok(answers) => answers
                .iter()
                .find_map(|one| one.as_ref().err().map(StoreError::kind)),
        };
        if let Some(mut span) = span {
            met_jobs(&mut span, answer.as_deref().unwrap_or_default());
            let class = failure.map(ErrorKind::as_str);
            end_enqueue(&mut span, self.clock.now(), class);
            recorder.record(with_storage(span));
        }
        answer
    }

    /// The clock by which a call is watched, if anyone wants to know what the store asks for.
    pub(crate) fn watching(&self) -> Option<&Arc<dyn Clock>> {
        watching(self.recorder.as_ref(), &self.clock)
    }

    fn meter(&self) -> Option<Meter<'_>> {
        Meter::of(
            self.meters.as_ref().or(self.recorder.as_ref()),
            &*self.clock,
        )
    }
}

/// Makes jobs of the requests and puts those that come from the same span together. A request
/// that is not allowed has its answer already.
fn group(
    requests: Vec<JobRequest>,
    spots: Vec<Result<Spot, StoreError>>,
) -> (Vec<Option<Result<Sent, StoreError>>>, Vec<Group>) {
    let mut answers = Vec::with_capacity(requests.len());
    let mut groups: Vec<Group> = Vec::new();
    for (position, (request, spot)) in requests.into_iter().zip(spots).enumerate() {
        let source = request.source(spot.as_ref().is_ok_and(|spot| spot.chosen_id));
        match spot.and_then(|spot| request.into_new_job(spot)) {
            Err(error) => answers.push(Some(Err(error))),
            Ok(job) => {
                answers.push(None);
                let same = |group: &&mut Group| group.source.context == source.context;
                match groups.iter_mut().find(same) {
                    Some(group) => {
                        group.positions.push(position);
                        group.jobs.push(job);
                    }
                    None => groups.push(Group {
                        source,
                        positions: vec![position],
                        jobs: vec![job],
                    }),
                }
            }
        }
    }
    (answers, groups)
}

/// An answer with the span that the job carries, which is `carried` if the call made the job.
fn sent(enqueued: Enqueued, carried: Option<&SpanContext>) -> Sent {
    let span = match &enqueued {
        Enqueued::Created { .. } => carried.cloned(),
        Enqueued::Hit { span, .. } | Enqueued::Replaced { span, .. } => span.clone(),
    };
    Sent { enqueued, span }
}

fn no_answer() -> StoreError {
    StoreError::new(
        ErrorKind::Internal,
        "the store gave fewer answers than there were jobs",
    )
}
