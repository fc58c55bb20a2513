//! The store on real servers, which the tests start themselves.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/conformance.rs"]
mod conformance;
#[path = "redis/doctor.rs"]
mod doctor;
#[path = "redis/durable.rs"]
mod durable;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/given_up.rs"]
mod given_up;
#[path = "redis/gone.rs"]
mod gone;
#[path = "redis/jobs.rs"]
mod jobs;
#[path = "redis/memory.rs"]
mod memory;
#[path = "redis/requests.rs"]
mod requests;
#[path = "redis/rows.rs"]
mod rows;
#[path = "redis/sentinel.rs"]
mod sentinel;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/tls.rs"]
mod tls;
#[path = "redis/versions.rs"]
mod versions;
#[path = "redis/wake.rs"]
mod wake;
#[path = "redis/work.rs"]
mod work;
