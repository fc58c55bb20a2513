//! Store conformance suite, model, simulation and an in-process OTLP collector.
//!
//! | to find | look in |
//! | --- | --- |
//! | whether a store holds its contract | [`conformance`], [`store_conformance!`] |
//! | whether two stores behave alike | [`model`] |
//! | a clock and randomness that a test decides | [`ManualClock`], [`SeededRandom`] |
//! | a store that fails, is slow, or hears a settle twice | [`faulty`] |
//! | what becomes of calls that are given up half-way | [`given_up`] |
//! | a store that notices what must never happen | [`audited`] |
//! | a store of your own with something between it and its caller | [`way`] |
//! | what was exported | [`collector`] |
//! | which requests a store makes for a job, as its trace shows them | [`storage`] |
//! | a connection that is refused, swallowed, slow or cut off | [`faulty_line`] |
//! | a server of PostgreSQL, of Redis or Valkey, or one that speaks as S3 does | [`postgres_server`], [`redis_server`], [`s3_server`] |
//! | a port for a server that a test starts | [`Port`] |
//! | a receiver whose certificate nobody trusts yet | [`untrusted`] |

pub mod audited;
mod clock;
pub mod collector;
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]
pub mod conformance;
pub mod faulty;
pub mod faulty_line;
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]
pub mod given_up;
#[expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]
pub mod harness;
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "stores that differ are a failed test"
)]
pub mod model;
mod port;
#[expect(
    clippy::unwrap_used,
    reason = "a server that does not start is a failed test"
)]
pub mod postgres_server;
#[expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a server that does not start is a failed test"
)]
pub mod redis_server;
#[expect(
    clippy::unwrap_used,
    reason = "a server that does not start is a failed test"
)]
pub mod s3_server;
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]
pub mod storage;
pub mod untrusted;
mod violations;
pub mod way;

pub use clock::{ManualClock, SeededRandom};
pub use port::Port;
pub use violations::Violations;
