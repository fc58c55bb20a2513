//! The command line, run as people and scripts run it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod absent;
mod admin;
mod batches;
mod broken_store;
mod caller;
mod demo;
mod doctor;
mod enqueue;
mod exec;
mod exec_report;
mod exec_spans;
mod exec_traces;
mod guard;
mod guides;
mod hostile;
mod jobs;
mod limits;
mod manual;
mod metrics;
mod named;
mod object;
mod planted;
mod real_input;
mod redis;
mod schedule;
mod schema;
mod serve;
mod settings;
mod shell;
mod span_log;
mod store_copy;
mod terminal;
mod traces;
mod tui;
mod unfinished;
mod workers;
