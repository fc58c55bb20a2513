//! Limits across workers: how many jobs of a group may run at once, how many may start in a time,
//! how many may wait.
//!
//! Everything is decided here, from values; `longshore-queue` reads and writes the documents. One
//! document, [`CONFIGURATION`], says which limits are in force ([`Limits`]). What is held against
//! them lies in a document for each queue and kind that has a limit, and in 64 for all tenants
//! ([`Scope::document`], [`Shard`]); a [`Ledger`] in it names who holds how many permits until
//! when, who waits for one, and how full the bucket of tokens is.
//!
//! Why limits are built so, and what that guarantees, is in
//! `docs/adr/0005-limits-are-permits-in-documents.md`.

mod bucket;
mod ledger;
mod limits;
mod rate;
mod refused;
mod scope;
mod shard;

pub use bucket::Bucket;
pub use ledger::{Ask, Granted, Ledger, Terms};
pub use limits::{Limit, Limits};
pub use rate::{InvalidRate, Rate};
pub use refused::LimitRefused;
pub use scope::{InvalidScope, Scope};
pub use shard::Shard;

/// The document that says which limits are in force.
pub const CONFIGURATION: &str = "limits";
