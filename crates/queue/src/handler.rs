//! Handlers: plain `async fn`s from args to a result.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attempt::Attempt;
use crate::error::JobError;

/// What every handler becomes inside the worker.
pub(crate) type Outcome = Result<Option<Bytes>, JobError>;
pub(crate) type BoxedRun = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler with its types erased.
#[derive(Clone)]
pub(crate) struct BoxedHandler(Arc<dyn Fn(Bytes, Attempt) -> BoxedRun + Send + Sync>);

impl BoxedHandler {
    pub(crate) fn new<M>(handler: impl Handler<M>) -> Self {
        Self(Arc::new(move |args, attempt| {
            let handler = handler.clone();
            Box::pin(handler.call(args, attempt))
        }))
    }

    pub(crate) fn run(&self, args: Bytes, attempt: Attempt) -> BoxedRun {
        (self.0)(args, attempt)
    }
}

impl fmt::Debug for BoxedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// An `async fn(Args, Attempt) -> Result<T, E>`.
///
/// `Args` is any type that `serde` can read from JSON, `T` any that it can write (it becomes the
/// job's result; `()` means none), `E` is [`JobError`] or any error. State that handlers share is
/// captured by a closure or given with
/// [`handler_with`](crate::WorkerBuilder::handler_with).
///
/// You do not implement this trait; functions and closures have it. What is not a handler does
/// not compile, and the error says what is missing:
///
/// ```compile_fail,E0277
/// # use longshore_queue::{Attempt, JobError, WorkerBuilder};
/// async fn forgets_the_attempt(name: String) -> Result<(), JobError> {
///     Ok(())
/// }
/// # fn example(builder: WorkerBuilder) {
/// builder.handler("greet", forgets_the_attempt);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a job handler",
    label = "not an `async fn(Args, Attempt) -> Result<T, E>`",
    note = "a handler is an `async fn`, or a closure that gives a future: a plain `fn` needs `async` in front",
    note = "it takes two arguments by value: args with `#[derive(serde::Deserialize)]` that own their data (`String`, not `&str`), then `longshore::Attempt`",
    note = "it returns `Result<T, E>`: `T` implements `serde::Serialize`, or is `()`; `E` is `JobError` or implements `std::error::Error`",
    note = "the future it returns must be `Send`: hold no `Rc`, `RefCell` borrow or `std` lock guard across an `.await`",
    note = "to share state, use `.handler_with(kind, state, async fn(State, Args, Attempt) -> Result<T, E>)`"
)]
pub trait Handler<M>: Clone + Send + Sync + 'static {
    /// Runs the handler on the bytes of a job's args.
    fn call(
        self,
        args: Bytes,
        attempt: Attempt,
    ) -> impl Future<Output = Result<Option<Bytes>, JobError>> + Send + 'static;
}

/// The types of a handler of typed args, for the compiler.
#[derive(Debug)]
pub struct Typed<A, T, E>(PhantomData<(A, T, E)>);

impl<F, Fut, A, T, E> Handler<Typed<A, T, E>> for F
where
    F: Fn(A, Attempt) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + 'static,
    E: Into<JobError> + 'static,
{
    async fn call(self, args: Bytes, attempt: Attempt) -> Result<Option<Bytes>, JobError> {
        let args = decode(&args)?;
        let value = self(args, attempt).await.map_err(Into::into)?;
        encode(&value)
    }
}

/// The args of a job as they are, for handlers that read no JSON.
#[derive(Clone, Debug)]
pub struct RawArgs(pub Bytes);

/// The result of a job as it is to be stored; `None` for none.
#[derive(Clone, Debug, Default)]
pub struct RawResult(pub Option<Bytes>);

/// The types of a handler of raw bytes, for the compiler.
#[derive(Debug)]
pub struct Raw;

impl<F, Fut> Handler<Raw> for F
where
    F: Fn(RawArgs, Attempt) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<RawResult, JobError>> + Send + 'static,
{
    async fn call(self, args: Bytes, attempt: Attempt) -> Result<Option<Bytes>, JobError> {
        Ok(self(RawArgs(args), attempt).await?.0)
    }
}

fn decode<A: DeserializeOwned>(args: &[u8]) -> Result<A, JobError> {
    serde_json::from_slice(args).map_err(|error| {
        JobError::discard(
            "invalid_args",
            format!(
                "the args are not what the handler takes ({}): {error}",
                std::any::type_name::<A>()
            ),
        )
    })
}

fn encode<T: Serialize>(value: &T) -> Result<Option<Bytes>, JobError> {
    let json = serde_json::to_vec(value).map_err(|error| {
        JobError::discard(
            "invalid_result",
            format!("the result cannot be written as JSON: {error}"),
        )
    })?;
    Ok((json != b"null").then(|| Bytes::from(json)))
}
