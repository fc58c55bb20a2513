//! Warnings that would otherwise come with every failure.

use std::time::Duration;

/// The least time between two of them.
const PAUSE: Duration = Duration::from_secs(60);

/// Lets something be said once a minute at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Minutely {
    last: Option<Duration>,
}

impl Minutely {
    /// Whether it may be said at the reading `now` of a monotonic clock; if so, it counts as said.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.last.is_none_or(|last| now >= last + PAUSE);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_first_and_then_once_a_minute() {
        let mut warning = Minutely::default();
        let seconds = [5, 6, 64, 65, 66, 200];
        let due = seconds.map(|second| warning.is_due(Duration::from_secs(second)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
