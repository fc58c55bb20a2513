//! The daemon, asked over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod api;
mod callers;
mod daemon;
mod holdups;
mod jaeger;
mod openapi;
mod otlp;
mod pressure;
mod serving;
mod traced;
