//! Layers around handlers: middleware in the shape that `tower` has given it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::error::{BoxError, JobError};
use crate::handler::{BoxedHandler, BoxedRun, RawResult};

/// One run of a handler, on its way through the layers.
///
/// A layer may change the args before it hands the call on, and may hand on a clone of it more than
/// once, as a layer that retries does: the handler then runs again within the same attempt.
#[derive(Clone, Debug)]
pub struct HandlerCall {
    attempt: Attempt,
    args: Bytes,
    handler: BoxedHandler,
}

impl HandlerCall {
    /// The attempt, with its job.
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// The args as the handler will get them: as they are stored, unless a layer changed them.
    #[must_use]
    pub fn args(&self) -> &Bytes {
        &self.args
    }

    /// Gives the handler other args, such as the plain text of what is stored encrypted. The job
    /// keeps its own.
    #[must_use]
    pub fn with_args(mut self, args: impl Into<Bytes>) -> Self {
        self.args = args.into();
        self
    }
}

/// What a [layer](crate::WorkerBuilder::layer) goes around: the handlers of a worker and the layers
/// nearer to them, as one `tower` service.
pub struct HandlerService(Box<dyn CloneService>);

type Answer = Pin<Box<dyn Future<Output = Result<RawResult, JobError>> + Send>>;

impl HandlerService {
    fn new(service: impl CloneService) -> Self {
        Self(Box::new(service))
    }
}

impl Clone for HandlerService {
    fn clone(&self) -> Self {
        Self(self.0.clone_boxed())
    }
}

impl fmt::Debug for HandlerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerService")
    }
}

impl Service<HandlerCall> for HandlerService {
    type Response = RawResult;
    type Error = JobError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: HandlerCall) -> Answer {
        self.0.call(call)
    }
}

/// A service with its types erased.
trait CloneService: Send + Sync + 'static {
    fn clone_boxed(&self) -> Box<dyn CloneService>;
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>>;
    fn call(&mut self, call: HandlerCall) -> Answer;
}

/// The innermost: the handler itself.
#[derive(Clone)]
struct Innermost;

impl CloneService for Innermost {
    fn clone_boxed(&self) -> Box<dyn CloneService> {
        Box::new(self.clone())
    }

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: HandlerCall) -> Answer {
        let run = call.handler.run(call.args, call.attempt);
        Box::pin(async move { run.await.map(RawResult) })
    }
}

/// What a layer made.
#[derive(Clone)]
struct Layered<S>(S);

impl<S> CloneService for Layered<S>
where
    S: Service<HandlerCall, Response = RawResult> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
{
    fn clone_boxed(&self) -> Box<dyn CloneService> {
        Box::new(self.clone())
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.0.poll_ready(context).map_err(JobError::from_layer)
    }

    fn call(&mut self, call: HandlerCall) -> Answer {
        let answer = self.0.call(call);
        Box::pin(async move { answer.await.map_err(JobError::from_layer) })
    }
}

type Wrap = Box<dyn FnOnce(HandlerService) -> HandlerService + Send + Sync>;

/// The layers of a worker, the outermost first.
#[derive(Default)]
pub(crate) struct Layers(Vec<Wrap>);

impl Layers {
    pub(crate) fn push<L>(&mut self, layer: L)
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerCall, Response = RawResult> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerCall>>::Error: Into<BoxError> + 'static,
        <L::Service as Service<HandlerCall>>::Future: Send + 'static,
    {
        self.0.push(Box::new(move |inner| {
            HandlerService::new(Layered(layer.layer(inner)))
        }));
    }

    /// All of them around the handlers; `None` without any, so that nobody pays for them.
    pub(crate) fn assemble(self) -> Option<Middleware> {
        if self.0.is_empty() {
            return None;
        }
        let innermost = HandlerService::new(Innermost);
        let wrapped = self.0.into_iter().rev();
        let service = wrapped.fold(innermost, |inner, wrap| wrap(inner));
        Some(Middleware(Arc::new(service)))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layers").field(&self.0.len()).finish()
    }
}

/// The layers of a worker that runs.
#[derive(Clone, Debug)]
pub(crate) struct Middleware(Arc<HandlerService>);

impl Middleware {
    /// Runs a handler within the layers. None of their code runs before the future is polled, so
    /// that it has the handler's span around it, and its panics are caught.
    pub(crate) fn run(&self, handler: BoxedHandler, attempt: Attempt) -> BoxedRun {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let mut service = HandlerService::clone(&shared);
            let call = HandlerCall {
                args: attempt.job().args.clone(),
                attempt,
                handler,
            };
            poll_fn(|context| service.poll_ready(context)).await?;
            Ok(service.call(call).await?.0)
        })
    }
}
