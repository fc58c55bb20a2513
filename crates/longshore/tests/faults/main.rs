//! Jobs go on whatever becomes of their traces, and no trace is lost within the bounds.
//!
//! Real jobs run through the real queue, store and worker, all of them traced; what is recorded
//! leaves over a line that fails, to a collector that fails, through a disk that fails, or from a
//! process that is killed. `docs/reliability.md` lists what is tested here.
//!
//! | module | what fails |
//! | --- | --- |
//! | `wire` | the line to the receiver, and the receiver |
//!
//! No test measures time: that jobs do not wait is seen from their being done while nothing has
//! arrived. `cargo xtask bench fault` measures.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]

mod bed;
mod log_lines;
mod wire;
