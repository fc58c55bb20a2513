//! What the span log promises, in one process and among several.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod append;
mod bundles;
mod closed;
mod cursor;
mod damage;
mod memory;
mod model;
mod processes;
mod retention;
mod shipping;
mod support;
