//! What the core reads: the recommendation's own cases, and anything at all.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod decoders;
mod w3c;
