//! The W3C trace context as plain values: `traceparent`, `tracestate`, `baggage`.
//!
//! Source: W3C Trace Context level 2 and W3C Baggage. Reading never fails loudly: what cannot be
//! read yields a named reason, and the caller starts a new trace.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{SpanId, TraceId};

/// The flags byte of a `traceparent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// The caller recorded the trace.
    pub const SAMPLED: Self = Self(0x01);
    /// The trace id's low 56 bits are random (level 2).
    pub const RANDOM: Self = Self(0x02);

    /// Flags with these bits; bits that no version defines are dropped.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        Self(bits & 0x03)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the sampled flag is set.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// These flags with the sampled flag as given.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        if sampled {
            Self(self.0 | Self::SAMPLED.0)
        } else {
            Self(self.0 & !Self::SAMPLED.0)
        }
    }
}

/// Why a `traceparent` could not be read; the `reason` label of
/// `queue_trace_context_propagation_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceparent {
    /// Not four parts of the right lengths, separated by `-`.
    #[error("malformed")]
    Malformed,
    /// The version `ff`, which is forbidden.
    #[error("version")]
    Version,
    /// A trace id of zeros.
    #[error("trace_id")]
    TraceId,
    /// A span id of zeros.
    #[error("span_id")]
    SpanId,
}

impl InvalidTraceparent {
    /// The reason as a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
        }
    }
}

/// Which span, of which trace: what travels between processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// Whether it is sampled, and whether its id is random.
    pub flags: TraceFlags,
    /// What tracing systems hand on to each other.
    pub trace_state: TraceState,
}

impl SpanContext {
    /// A context without `tracestate`.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
            trace_state: TraceState::EMPTY,
        }
    }

    /// Reads a `traceparent` header. A version newer than `00` is read by its first four parts,
    /// as the recommendation's section on versioning demands.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    ///
    /// ```
    /// use longshore_core::SpanContext;
    /// let context = SpanContext::from_traceparent(
    ///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    /// )?;
    /// assert!(context.flags.is_sampled());
    /// # Ok::<(), longshore_core::trace_context::InvalidTraceparent>(())
    /// ```
    pub fn from_traceparent(text: &str) -> Result<Self, InvalidTraceparent> {
        use InvalidTraceparent as Bad;
        let mut parts = text.trim_matches([' ', '\t']).splitn(5, '-');
        let mut next = || parts.next().ok_or(Bad::Malformed);
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        let version = hex_byte(version).ok_or(Bad::Malformed)?;
        if version == 0xff {
            return Err(Bad::Version);
        }
        if version == 0 && parts.next().is_some() {
            return Err(Bad::Malformed);
        }
        if trace.len() != 32 || span.len() != 16 {
            return Err(Bad::Malformed);
        }
        let zeros = |part: &str| part.bytes().all(|byte| byte == b'0');
        if zeros(trace) {
            return Err(Bad::TraceId);
        }
        if zeros(span) {
            return Err(Bad::SpanId);
        }
        Ok(Self::new(
            TraceId::from_hex(trace).ok_or(Bad::Malformed)?,
            SpanId::from_hex(span).ok_or(Bad::Malformed)?,
            TraceFlags::new(hex_byte(flags).ok_or(Bad::Malformed)?),
        ))
    }

    /// The `traceparent` header of this context, in version `00`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            self.flags.bits()
        )
    }
}

fn hex_byte(text: &str) -> Option<u8> {
    let lower = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if text.len() != 2 || !lower {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

/// A `tracestate` header: members `key=value`, the newest first. Bounded; whole members are cut.
///
/// Every span of a trace has the same, so that a clone shares the text.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// No members.
    pub const EMPTY: Self = Self(None);
    /// Most bytes of foreign members that travel with a job.
    pub const MAX_BYTES: usize = 512;
    /// The same with one more member in front, such as `ot` of the sampler.
    const MAX_STORED_BYTES: usize = Self::MAX_BYTES + 520;
    /// Most members, by the recommendation.
    pub const MAX_MEMBERS: usize = 32;

    /// Reads a header, keeping whole members, the newest first, up to [`Self::MAX_BYTES`]. A
    /// header with a malformed member, with a key that comes twice or with more than
    /// [`Self::MAX_MEMBERS`] is discarded, as the recommendation's test suite demands. The second
    /// value says how many members were cut.
    #[must_use]
    pub fn parse(text: &str) -> (Self, usize) {
        Self::read(text, Self::MAX_BYTES)
    }

    fn read(text: &str, most: usize) -> (Self, usize) {
        let members = || {
            let trimmed = text
                .split(',')
                .map(|member| member.trim_matches([' ', '\t']));
            trimmed.filter(|member| !member.is_empty())
        };
        let count = members().count();
        let mut keys: Vec<&str> = Vec::new();
        for member in members().take(Self::MAX_MEMBERS) {
            match key_of(member) {
                Some(key) if !keys.contains(&key) => keys.push(key),
                _ => return (Self::EMPTY, count),
            }
        }
        if keys.len() < count {
            return (Self::EMPTY, count);
        }
        let mut kept = String::new();
        let mut cut = 0;
        for member in members() {
            let comma = usize::from(!kept.is_empty());
            if kept.len() + comma + member.len() > most {
                cut += 1;
                continue;
            }
            if comma == 1 {
                kept.push(',');
            }
            kept.push_str(member);
        }
        (Self::of(&kept), cut)
    }

    fn of(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }

    /// The header's text; empty if there are no members.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of the member `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.as_str().split(',').find_map(|member| {
            let (name, value) = member.split_once('=')?;
            (name == key).then_some(value)
        })
    }

    /// This state with `key` set to `value` and moved to the front, or taken out if `None`. If
    /// that makes one member too many, the oldest goes.
    #[must_use]
    pub fn with(&self, key: &str, value: Option<&str>) -> Self {
        let others = self
            .as_str()
            .split(',')
            .filter(|member| member.split_once('=').is_some_and(|(name, _)| name != key));
        let first = value.map(|value| format!("{key}={value}"));
        let members = first.as_deref().into_iter().chain(others);
        let members: Vec<&str> = members.take(Self::MAX_MEMBERS).collect();
        Self::of(&members.join(","))
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for TraceState {
    /// Text from a store is read as a header is: a damaged one must not get into a header again.
    fn from(text: String) -> Self {
        Self::read(&text, Self::MAX_STORED_BYTES).0
    }
}

impl From<TraceState> for String {
    fn from(state: TraceState) -> Self {
        state.as_str().to_owned()
    }
}

/// The key of a well-formed member.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let key_byte = |b: u8| letter(b) || b"_-*/@".contains(&b);
    let value_byte = |b: u8| (0x20..=0x7e).contains(&b) && b != b'=';
    let well_formed = key.bytes().next().is_some_and(letter)
        && key.len() <= 256
        && key.bytes().all(key_byte)
        && !value.is_empty()
        && value.len() <= 256
        && value.bytes().all(value_byte);
    well_formed.then_some(key)
}

/// A `baggage` header, carried unchanged for the keys that the configuration lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Baggage(String);

impl Baggage {
    /// Most bytes that travel with a job.
    pub const MAX_BYTES: usize = 1024;

    /// Keeps, of a header's members, those whose key is listed, well formed and within the bound.
    /// The second value says how many listed members were cut.
    #[must_use]
    pub fn select(text: &str, listed: &[String]) -> (Self, usize) {
        Self::kept(text, |key| listed.iter().any(|name| name == key))
    }

    fn kept(text: &str, wanted: impl Fn(&str) -> bool) -> (Self, usize) {
        let mut kept = String::new();
        let mut cut = 0;
        for member in text.split(',').map(str::trim) {
            let Some((key, _)) = member.split_once('=') else {
                continue;
            };
            if !wanted(key.trim()) {
                continue;
            }
            let printable = member.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
            let comma = usize::from(!kept.is_empty());
            if !printable || kept.len() + comma + member.len() > Self::MAX_BYTES {
                cut += 1;
                continue;
            }
            if comma == 1 {
                kept.push(',');
            }
            kept.push_str(member);
        }
        (Self(kept), cut)
    }

    /// The header's text; empty if there are no members.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Baggage {
    /// Text from a store is held to form and bound again, so that a damaged one gets into no
    /// header.
    fn from(text: String) -> Self {
        Self::kept(&text, |key| !key.is_empty()).0
    }
}

impl From<Baggage> for String {
    fn from(baggage: Baggage) -> Self {
        baggage.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_traceparent_round_trips() {
        let context = SpanContext::from_traceparent(GOOD).unwrap();
        assert_eq!(context.traceparent(), GOOD);
    }

    /// The cases of the recommendation's own test-suite that concern one header.
    #[test]
    fn malformed_traceparents_have_a_reason() {
        use InvalidTraceparent::{Malformed, SpanId, TraceId, Version};
        let cases = [
            ("", Malformed),
            ("00", Malformed),
            (
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                Version,
            ),
            (
                "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                Malformed,
            ),
            (
                ".0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                Malformed,
            ),
            (
                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                Malformed,
            ),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                TraceId,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                SpanId,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.0",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
                Malformed,
            ),
            (
                "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
                Malformed,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
                Malformed,
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(SpanContext::from_traceparent(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_newer_version_is_read_by_its_first_parts() {
        let text = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future";
        let context = SpanContext::from_traceparent(text).unwrap();
        assert_eq!(context.traceparent(), GOOD);
    }

    #[test]
    fn flags_that_no_version_defines_are_dropped() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff";
        let context = SpanContext::from_traceparent(text).unwrap();
        assert_eq!(context.flags.bits(), 0x03);
    }

    #[test]
    fn tracestate_keeps_whole_members_within_its_bounds() {
        let long = "y".repeat(256);
        let long = format!("a=1,b={long},n={long},c=3");
        let (state, cut) = TraceState::parse(&long);
        assert_eq!(cut, 1);
        let state = state.with("b", None);
        assert_eq!(state.as_str(), "a=1,c=3");
        assert_eq!(state.with("ot", Some("th:0")).as_str(), "ot=th:0,a=1,c=3");
        assert_eq!(state.with("a", None).as_str(), "c=3");
        assert_eq!(state.get("c"), Some("3"));
    }

    #[test]
    fn only_listed_baggage_travels() {
        let listed = vec!["tenant".to_owned()];
        let (baggage, cut) = Baggage::select("secret=1, tenant=acme;p=1", &listed);
        assert_eq!((baggage.as_str(), cut), ("tenant=acme;p=1", 0));
    }
}
