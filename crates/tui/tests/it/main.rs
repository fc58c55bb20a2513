//! The terminal UI on a small shop: whole screens, and what people do on them.
#![expect(
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and a long list of spans is easier to read in one place"
)]

mod asking;
mod backend;
mod comparing;
mod differences;
mod failures;
mod holdups;
mod looking;
mod mouse;
mod prompts;
mod screens;
mod shop;
mod stage;
mod tale;
mod times;
mod walks;
