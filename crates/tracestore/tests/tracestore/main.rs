//! What the trace store promises, on folders of real span logs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod duckdb;
mod finding;
mod hot;
mod killed;
mod merging;
mod narrow;
mod past;
mod pyarrow;
mod safety;
mod sealed;
mod support;
mod upkeep;
