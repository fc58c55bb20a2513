//! Jobs go on whatever becomes of their traces, and no trace is lost within the bounds.
//!
//! Real jobs run through the real queue, store and worker, all of them traced; what is recorded
//! leaves over a line that fails, to a collector that fails, through a disk that fails, or from a
//! process that is killed. `docs/reliability.md` lists what is tested here.
//!
//! | module | what fails |
//! | --- | --- |
//! | `wire` | the line to the receiver, and the receiver |
//! | `disk` | the disk beneath the span log |
//! | `kill` | the process, at any moment |
//! | `logs` | the same for the log records of handlers |
//! | `collector` | the line to a collector of others |
//!
//! No test measures time: that jobs do not wait is seen from their being done while nothing has
//! arrived. `cargo xtask bench fault` measures.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a broken promise is a failed test"
)]

mod bed;
mod child;
mod collector;
mod disk;
mod kill;
mod log_lines;
mod logs;
mod wire;

/// The numbers that a variable names, as `5,17` or `0..1000`; `usual` if it is not set.
fn chosen(variable: &str, usual: std::ops::Range<u64>) -> Vec<u64> {
    let Some(text) = std::env::var_os(variable) else {
        return usual.collect();
    };
    let text = text.into_string().unwrap();
    match text.split_once("..") {
        Some((first, end)) => (first.parse().unwrap()..end.parse().unwrap()).collect(),
        None => text.split(',').map(|one| one.parse().unwrap()).collect(),
    }
}
