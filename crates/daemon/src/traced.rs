//! The spans of a daemon: its start, and the requests that it answers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use longshore_core::{Clock, Priority, QueueName, Random, SpanContext, SpanId, Timestamp, TraceId};
use longshore_instrument::build::{daemon_span, request_span};
use longshore_instrument::facts::{DaemonFacts, RequestFacts};
use longshore_instrument::{PropagationFailure, Recorder, RootRequest, relation};

use crate::caller::{self, Caller};

/// The paths whose requests leave spans: those beneath this one. Others are asked by machines, all
/// the time.
const TRACED: &str = "/api/";
/// How the clients of this project name themselves.
const OWN_CLIENT: &str = "longshore/";
/// What stands for the queue where a sampler wants one: a request is about none yet.
const NO_QUEUE: &str = "http";

/// Where the spans of a daemon go. A clone is the same.
#[derive(Clone)]
pub struct Tracing {
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    daemon: Option<SpanContext>,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing")
            .field("daemon", &self.daemon)
            .finish_non_exhaustive()
    }
}

impl Tracing {
    /// Spans go to `recorder`.
    #[must_use]
    pub fn new(
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            recorder,
            clock,
            random,
            daemon: None,
        }
    }

    /// Writes the span of the start of a daemon that began at `started_at` and listens at `address`
    /// now; the requests that it answers link to it.
    #[must_use]
    pub fn of_daemon(self, started_at: Timestamp, address: SocketAddr) -> Self {
        let context = self.root(None);
        if !context.flags.is_sampled() {
            return self;
        }
        self.recorder.record(vec![daemon_span(&DaemonFacts {
            context: &context,
            address,
            started_at,
            ready_at: self.clock.now(),
        })]);
        Self {
            daemon: Some(context),
            ..self
        }
    }

    /// A new trace.
    fn root(&self, route: Option<&str>) -> SpanContext {
        let trace_id = TraceId::generate(&*self.random);
        let span_id = SpanId::generate(&*self.random);
        let decision = match NO_QUEUE.parse::<QueueName>() {
            // Asked without being counted: it is not about a queue.
            Ok(queue) => self.recorder.recall_root(&RootRequest {
                trace_id,
                queue: &queue,
                kind: None,
                priority: Priority::default(),
                tenant_id: None,
                namespace: None,
                route,
                jobs: 1,
            }),
            Err(_) => longshore_instrument::RootDecision {
                sampled: false,
                threshold: None,
            },
        };
        relation::root(trace_id, span_id, &decision)
    }

    /// The context of a request's span, and the span that called; nothing if it is not sampled.
    fn begin(
        &self,
        request: &Request,
        route: Option<&str>,
    ) -> Option<(SpanContext, Option<SpanId>)> {
        let caller = Caller::of(request.headers()).context();
        let (context, parent) = match caller {
            Err(unreadable) => return self.begin_anew(route, unreadable.reason()),
            Ok(Some(caller)) => {
                let parent = caller.span_id;
                let span_id = SpanId::generate(&*self.random);
                (SpanContext { span_id, ..caller }, Some(parent))
            }
            Ok(None) if is_a_look(request) => return None,
            Ok(None) => (self.root(route), None),
        };
        context.flags.is_sampled().then_some((context, parent))
    }

    /// A new trace for a request whose headers cannot be read. If it is not sampled the headers stay,
    /// and whoever enqueues by them counts it.
    fn begin_anew(
        &self,
        route: Option<&str>,
        reason: &'static str,
    ) -> Option<(SpanContext, Option<SpanId>)> {
        let context = self.root(route);
        if !context.flags.is_sampled() {
            return None;
        }
        self.recorder.propagation_failed(PropagationFailure {
            direction: "extract",
            reason,
        });
        Some((context, None))
    }
}

/// Whether one of our own views looks at something: a view does that again and again, and would
/// fill what it looks at with its own traces.
fn is_a_look(request: &Request) -> bool {
    let agent = request.headers().get(axum::http::header::USER_AGENT);
    let is_own = agent.is_some_and(|agent| agent.as_bytes().starts_with(OWN_CLIENT.as_bytes()));
    is_own && *request.method() == Method::GET
}

/// Writes the span of a request. What answers it finds the span's context in the headers, where it
/// would have found the caller's.
pub(crate) async fn traced(
    State(tracing): State<Option<Tracing>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(tracing) = tracing.filter(|_| request.uri().path().starts_with(TRACED)) else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let Some((context, parent)) = tracing.begin(&request, route) else {
        return next.run(request).await;
    };
    let started_at = tracing.clock.now();
    caller::put(request.headers_mut(), &context);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    tracing.recorder.record(vec![request_span(&RequestFacts {
        context: &context,
        parent,
        daemon: tracing.daemon.as_ref(),
        method: method.as_str(),
        route,
        path: &path,
        status: response.status().as_u16(),
        started_at,
        ended_at: tracing.clock.now(),
    })]);
    response
}

#[cfg(test)]
mod tests;
