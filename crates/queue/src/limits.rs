//! Limits across workers: what is decided in `longshore_core::limit`, carried out on a store's
//! versioned documents.
//!
//! A worker's [`Desk`](desk::Desk) holds permits and tokens, tells each claim how many jobs of
//! which group it may take (`plan`), sees to it that no claimed job starts without its permits
//! (`admit`), and renews them beside the heartbeats (`keep`).

pub(crate) mod admit;
mod control;
pub(crate) mod desk;
pub(crate) mod exchange;
pub(crate) mod gate;
pub(crate) mod holdings;
pub(crate) mod keep;
pub(crate) mod plan;
mod rules;

pub use control::{LimitControl, LimitUse};
