//! Asking the store for jobs.

use std::pin::{Pin, pin};
use std::sync::Arc;

use longshore_core::round_trip::{self, RoundTrips};
use longshore_core::{ClaimRequest, Claimed, SpanId, StoreError, Timestamp, TraceId};
use longshore_instrument::build::{failed_claim_span, storage_spans};
use longshore_instrument::facts::FailedClaimFacts;
use longshore_instrument::{RootDecision, StoreCall, relation};

use super::{Shared, measure};
use crate::limits::plan::Plan;
use crate::meter::timed;

/// A claim under way.
pub(super) type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What the store said.
pub(super) struct Answer {
    /// How many jobs it was asked for.
    pub(super) limit: usize,
    /// The jobs, and what they were claimed under.
    pub(super) claimed: Result<(Plan, Vec<Claimed>), StoreError>,
    /// When it was asked, and what it was asked for.
    pub(super) asked: (Timestamp, RoundTrips),
}

/// Asks for so many jobs.
pub(super) async fn ask(shared: Arc<Shared>, turn: u64, limit: usize) -> Answer {
    let started_at = shared.clock.now();
    let (claimed, trips) = {
        let asked = pin!(async {
            (
                plan_and_claim(&shared, turn, limit).await,
                round_trip::take(),
            )
        });
        round_trip::watch(shared.watching(), asked).await
    };
    let asked = (started_at, trips);
    if let Err(error) = &claimed {
        record_failed(&shared, error, &asked);
    }
    Answer {
        limit,
        claimed,
        asked,
    }
}

/// The answer to what is asked, if anything is; it never comes otherwise.
pub(super) async fn answer_of(asking: &mut Option<Asking>) -> Answer {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Finds out what limits allow, and asks the store for jobs.
async fn plan_and_claim(
    shared: &Shared,
    turn: u64,
    limit: usize,
) -> Result<(Plan, Vec<Claimed>), StoreError> {
    let plan = shared.desk.plan(limit).await?;
    let claimed = match plan.is_closed {
        true => Vec::new(),
        false => claim(shared, turn, limit, &plan).await?,
    };
    Ok((plan, claimed))
}

async fn claim(
    shared: &Shared,
    turn: u64,
    limit: usize,
    plan: &Plan,
) -> Result<Vec<Claimed>, StoreError> {
    let options = &shared.options;
    let (queues, worker) = (options.queues.clone(), shared.id.clone());
    let mut request = ClaimRequest::new(worker, queues, limit, options.lease);
    request.turn = turn;
    request.quotas.clone_from(&plan.quotas);
    request.spread.clone_from(&plan.spread);
    let meter = shared.meter();
    let began = meter.map(|meter| meter.reading());
    let answer = shared.store.claim(&request);
    let answer = timed(meter, StoreCall::Claim, answer).await;
    if let Some((meter, began)) = meter.zip(began) {
        measure::claim(shared, meter, &answer, began);
    }
    if answer.is_err() {
        shared.desk.unanswered(plan);
    }
    answer
}

/// Records a claim that failed, with what the store was asked for until then. Those are few, since
/// each is followed by a longer wait, and always sampled.
fn record_failed(shared: &Shared, error: &StoreError, asked: &(Timestamp, RoundTrips)) {
    let Some(recorder) = &shared.recorder else {
        return;
    };
    let random = &*shared.random;
    let (trace, span) = (TraceId::generate(random), SpanId::generate(random));
    let decided = RootDecision {
        sampled: true,
        threshold: Some(0),
    };
    let (started_at, trips) = asked;
    let mut span = failed_claim_span(&FailedClaimFacts {
        context: &relation::root(trace, span, &decided),
        queues: &shared.options.queues,
        worker: &shared.id,
        error_class: error.kind().as_str(),
        started_at: *started_at,
        ended_at: shared.clock.now(),
    });
    let mut spans = storage_spans(&mut span, trips);
    spans.push(span);
    recorder.record(spans);
}
