//! What only this store does: one file, several processes, disks that fail.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "sqlite/child.rs"]
mod child;
#[path = "sqlite/claims.rs"]
mod claims;
#[path = "sqlite/conformance.rs"]
mod conformance;
#[path = "sqlite/damaged.rs"]
mod damaged;
#[path = "sqlite/disk.rs"]
mod disk;
#[path = "sqlite/durable.rs"]
mod durable;
#[path = "sqlite/file.rs"]
mod file;
#[path = "sqlite/log.rs"]
mod log;
#[path = "sqlite/many.rs"]
mod many;
#[path = "sqlite/permissions.rs"]
mod permissions;
#[path = "sqlite/plans.rs"]
mod plans;
#[path = "sqlite/processes.rs"]
mod processes;
#[path = "sqlite/replaced.rs"]
mod replaced;
#[path = "sqlite/requests.rs"]
mod requests;
#[path = "sqlite/rows.rs"]
mod rows;
#[path = "sqlite/support.rs"]
mod support;
#[path = "sqlite/traced.rs"]
mod traced;
#[path = "sqlite/unique.rs"]
mod unique;
#[path = "sqlite/versions.rs"]
mod versions;
