//! What travels in the headers of a foreign job besides the W3C ones.

use longshore_core::{SpanId, Timestamp};

/// When and under which span a job was enqueued: `nanoseconds` since 1970, then `-` and the
/// parent's span id if there is one. With it a worker tells the wait, and writes the enqueue span of
/// a job whose producer did not export it.
pub const ENQUEUED: &str = "x-longshore-enqueued";
/// Why the trace of the job is kept, once it is.
pub const KEEP: &str = "x-longshore-keep";

/// The value of [`ENQUEUED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Enqueued {
    pub(super) at: Timestamp,
    pub(super) parent: Option<SpanId>,
}

impl Enqueued {
    pub(super) fn to_text(self) -> String {
        let at = self.at.unix_nanos();
        match self.parent {
            Some(parent) => format!("{at}-{parent}"),
            None => at.to_string(),
        }
    }

    /// `None` if the text is none of ours: then the job says nothing of its past.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (at, parent) = match text.split_once('-') {
            Some((at, parent)) => (at, Some(SpanId::from_hex(parent)?)),
            None => (text, None),
        };
        let at = at.parse::<u64>().ok()?;
        Some(Self {
            at: Timestamp::from_unix_nanos(i64::try_from(at).ok()?),
            parent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_what_is_not_ours() {
        let at = Timestamp::from_unix_nanos(1_700_000_000_000_000_001);
        for parent in [None, Some(SpanId::from_u64(7))] {
            let enqueued = Enqueued { at, parent };
            assert_eq!(Enqueued::parse(&enqueued.to_text()), Some(enqueued));
        }
        for text in [
            "",
            "x",
            "-",
            "1-",
            "1-zz",
            "-5",
            "99999999999999999999",
            "1-0000000000000000",
        ] {
            assert_eq!(Enqueued::parse(text), None, "{text}");
        }
    }
}
