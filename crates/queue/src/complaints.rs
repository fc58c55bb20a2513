//! Which failures of the store the log hears of: an outage must not fill it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{Clock, ErrorKind};

/// How long nothing is said of what failed in the same way.
const EVERY: Duration = Duration::from_secs(60);

/// When it was last said that something failed.
#[derive(Debug)]
pub(crate) struct Complaints {
    clock: Arc<dyn Clock>,
    said: Mutex<Said>,
}

impl Complaints {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            said: Mutex::default(),
        }
    }

    /// Whether to say that `what` failed: at once, and then once a minute while it fails in the same
    /// way.
    pub(crate) fn is_due(&self, what: &'static str, kind: ErrorKind) -> bool {
        let now = self.clock.monotonic();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.is_due(what, kind, now)
    }
}

/// When each thing was last said, by what failed and how.
#[derive(Debug, Default)]
struct Said(BTreeMap<(&'static str, &'static str), Duration>);

impl Said {
    fn is_due(&mut self, what: &'static str, kind: ErrorKind, now: Duration) -> bool {
        let last = self.0.get(&(what, kind.as_str()));
        let is_due = last.is_none_or(|last| now.saturating_sub(*last) >= EVERY);
        if is_due {
            self.0.insert((what, kind.as_str()), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_failing_is_said_once_a_minute() {
        let mut said = Said::default();
        let mut is_due =
            |what, kind, seconds| said.is_due(what, kind, Duration::from_secs(seconds));
        let (away, corrupt) = (ErrorKind::Unavailable, ErrorKind::Corrupt);
        assert!(is_due("promote", away, 5));
        assert!(!is_due("promote", away, 5));
        // Each thing and each way to fail for itself.
        assert!(is_due("rescue", away, 5));
        assert!(is_due("promote", corrupt, 6));
        assert!(!is_due("promote", away, 64));
        assert!(is_due("promote", away, 65));
        assert!(!is_due("promote", away, 66));
    }
}
