//! What happened to a job becomes spans here, and nowhere else.
//!
//! The engine hands in *facts* ([`facts`]); pure functions ([`build`]) turn them into [`Span`]
//! values; a [`Recorder`] takes those wherever telemetry goes. Names and attribute keys stand in
//! one [`table`]. How an attempt's trace relates to its producer's is decided in [`relation`].

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
pub mod table;

pub use buffer::SpanBuffer;
pub use keep::{HoldToken, KeepFacts, KeepReason, Keeper};
pub use measure::{Example, Measured, Operation, StoreCall};
pub use recorder::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest,
};
pub use span::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
