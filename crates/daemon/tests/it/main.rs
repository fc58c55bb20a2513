//! The daemon, asked over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod api;
mod daemon;
mod openapi;
mod otlp;
mod serving;
mod traced;
