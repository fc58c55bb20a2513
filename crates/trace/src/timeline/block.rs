//! Cells that are filled in part.

use super::{EIGHTHS, narrow};

/// Left parts of a cell, by eighths.
const LEFT: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// The character for a cell that is filled between two eighths. A left edge is a left part in
/// inverse video, which the second value says; where `inverse` may not be used the nearest right
/// part stands for it.
///
/// ```
/// use longshore_trace::timeline::block;
/// assert_eq!(block((0, 8), true), ("█", false));
/// assert_eq!(block((0, 3), true), ("▍", false));
/// assert_eq!(block((2, 8), true), ("▎", true));
/// assert_eq!(block((2, 8), false), ("█", false));
/// ```
#[must_use]
pub fn block((from, to): (u64, u64), inverse: bool) -> (&'static str, bool) {
    let part = |eighths: u64| LEFT.get(narrow(eighths)).copied().unwrap_or("█");
    let filled = to.saturating_sub(from).max(1);
    if from == 0 || (to < EIGHTHS && from < EIGHTHS / 2) {
        return (part(filled), false);
    }
    match filled {
        ..=1 => ("▕", false),
        4 => ("▐", false),
        _ if inverse => (part(EIGHTHS - filled), true),
        6.. => ("█", false),
        3..=5 => ("▐", false),
        _ => ("▕", false),
    }
}
