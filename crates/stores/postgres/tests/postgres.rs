//! What only this store does: a server, several processes, lines that break.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "postgres/cancelled.rs"]
mod cancelled;
#[path = "postgres/conformance.rs"]
mod conformance;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/layout.rs"]
mod layout;
#[path = "postgres/meanwhile.rs"]
mod meanwhile;
#[path = "postgres/plans.rs"]
mod plans;
#[path = "postgres/pooler.rs"]
mod pooler;
#[path = "postgres/processes.rs"]
mod processes;
#[path = "postgres/requests.rs"]
mod requests;
#[path = "postgres/rights.rs"]
mod rights;
#[path = "postgres/server.rs"]
mod server;
#[path = "postgres/support.rs"]
mod support;
#[path = "postgres/transaction.rs"]
mod transaction;
