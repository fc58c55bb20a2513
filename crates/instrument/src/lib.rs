//! What happened to a job becomes spans here, and nowhere else.
//!
//! This crate stands by itself: it knows no store, no SDK and no exporter. Names and attribute keys
//! stand in one [`table`] (`docs/telemetry.md` is made from it).
//!
//! | to find | look in |
//! | --- | --- |
//! | traces of a queue that is not ours: a broker, another job library | [`foreign`] |
//! | the context as headers, environment variables, anything with keys | [`propagation`] |
//! | what the engine knows when something has happened | [`facts`] |
//! | pure functions from facts to [`Span`] values | [`build`] |
//! | how an attempt's trace relates to its producer's | [`relation`] |
//! | where spans go: the seam to telemetry, and one that keeps them in memory | [`Recorder`], [`SpanBuffer`] |
//! | which jobs' traces are kept whatever the sampler said | [`Keeper`] |
//! | what is counted and timed | [`measure`] |
//! | what a store is called on spans | [`store_name()`] |
//!
//! The context of a span crosses a boundary as text, and comes back as it was, whatever a proxy on
//! the way made of the standard header:
//!
//! ```
//! use std::collections::HashMap;
//! use longshore_core::{Baggage, SpanContext};
//! use longshore_instrument::propagation;
//!
//! let context = SpanContext::from_traceparent(
//!     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
//! )?;
//! let mut headers = HashMap::new();
//! propagation::inject(&context, &Baggage::default(), |key, value| {
//!     headers.insert(key.to_owned(), value.to_owned());
//! });
//! // A front end puts its own span in between.
//! let rewritten = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
//! headers.insert("traceparent".to_owned(), rewritten.to_owned());
//! let back = propagation::extract(|key| headers.get(key).map(String::as_str))?;
//! assert_eq!(back, Some(context));
//! # Ok::<(), longshore_core::trace_context::InvalidTraceparent>(())
//! ```
//!
//! [`foreign`] has the example of a whole job. Whoever wants the spans elsewhere than at a back end
//! implements [`Recorder`]; the crate `longshore-telemetry` has the one that samples, keeps,
//! redacts and exports.

pub mod buffer;
pub mod build;
pub mod facts;
pub mod foreign;
pub mod keep;
pub mod measure;
pub mod propagation;
pub mod recorder;
pub mod relation;
pub mod span;
mod store_name;
pub mod table;

pub use buffer::SpanBuffer;
pub use keep::{HoldToken, KeepFacts, KeepReason, Keeper};
pub use measure::{Example, HookMiss, Measured, Operation, StoreCall};
pub use recorder::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest,
};
pub use span::{
    Attribute, AttributeValue, Dropped, Resource, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
pub use store_name::store_name;
