//! What is asked in the address of a request: `key=value` pairs.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::ApiError;
use crate::job::JobsQuery;
use crate::queue::LatencyQuery;
use crate::trace::TracesQuery;

/// Something that can be asked in an address.
pub trait Query: Sized + Default {
    /// The keys it knows.
    const KEYS: &'static [&'static str];

    /// It as the part of an address after the `?`; empty if it asks for nothing special.
    fn to_address(&self) -> String;

    /// Reads the part of an address after the `?`.
    ///
    /// # Errors
    /// A key is not known, occurs twice though it has one value, or its value cannot be used.
    fn from_address(text: &str) -> Result<Self, ApiError>;
}

impl Query for JobsQuery {
    const KEYS: &'static [&'static str] = &[
        "state",
        "queue",
        "kind",
        "tag",
        "metadata",
        "tenant_id",
        "namespace",
        "correlation_id",
        "enqueued_after",
        "enqueued_before",
        "error_class",
        "error_text",
        "text",
        "cursor",
        "limit",
    ];

    fn to_address(&self) -> String {
        let mut written = Written::default();
        for state in &self.states {
            written.one("state", Some(state));
        }
        written.one("queue", self.queue.as_ref());
        written.one("kind", self.kind.as_ref());
        written.one("tag", self.tag.as_ref());
        written.one("metadata", self.metadata.as_ref());
        written.one("tenant_id", self.tenant_id.as_ref());
        written.one("namespace", self.namespace.as_ref());
        written.one("correlation_id", self.correlation_id.as_ref());
        written.one("enqueued_after", self.enqueued_after.as_ref());
        written.one("enqueued_before", self.enqueued_before.as_ref());
        written.one("error_class", self.error_class.as_ref());
        written.one("error_text", self.error_text.as_ref());
        written.one("text", self.text.as_ref());
        written.one("cursor", self.cursor.as_ref());
        written.one("limit", self.limit.as_ref());
        written.0.finish()
    }

    fn from_address(text: &str) -> Result<Self, ApiError> {
        let mut read = Read::new(text);
        let query = Self {
            states: read.many("state"),
            queue: read.one("queue")?,
            kind: read.one("kind")?,
            tag: read.one("tag")?,
            metadata: read.one("metadata")?,
            tenant_id: read.one("tenant_id")?,
            namespace: read.one("namespace")?,
            correlation_id: read.one("correlation_id")?,
            enqueued_after: read.one("enqueued_after")?,
            enqueued_before: read.one("enqueued_before")?,
            error_class: read.one("error_class")?,
            error_text: read.one("error_text")?,
            text: read.one("text")?,
            cursor: read.one("cursor")?,
            limit: read.one("limit")?,
        };
        read.end(Self::KEYS)?;
        Ok(query)
    }
}

impl Query for LatencyQuery {
    const KEYS: &'static [&'static str] = &["queue", "kind", "since"];

    fn to_address(&self) -> String {
        let mut written = Written::default();
        written.one("queue", self.queue.as_ref());
        written.one("kind", self.kind.as_ref());
        written.one("since", self.since.as_ref());
        written.0.finish()
    }

    fn from_address(text: &str) -> Result<Self, ApiError> {
        let mut read = Read::new(text);
        let query = Self {
            queue: read.one("queue")?,
            kind: read.one("kind")?,
            since: read.one("since")?,
        };
        read.end(Self::KEYS)?;
        Ok(query)
    }
}

impl Query for TracesQuery {
    const KEYS: &'static [&'static str] = &[
        "search",
        "cursor",
        "limit",
        "changed_since",
        "all_stores",
        "at_once",
    ];

    fn to_address(&self) -> String {
        let mut written = Written::default();
        let search = (!self.search.is_empty()).then_some(&self.search);
        written.one("search", search);
        written.one("cursor", self.cursor.as_ref());
        written.one("limit", self.limit.as_ref());
        written.one("changed_since", self.changed_since.as_ref());
        written.one("all_stores", self.all_stores.then_some(&true));
        written.one("at_once", self.at_once.then_some(&true));
        written.0.finish()
    }

    fn from_address(text: &str) -> Result<Self, ApiError> {
        let mut read = Read::new(text);
        let query = Self {
            search: read.one("search")?.unwrap_or_default(),
            cursor: read.one("cursor")?,
            limit: read.one("limit")?,
            changed_since: read.one("changed_since")?,
            all_stores: read.one("all_stores")?.unwrap_or_default(),
            at_once: read.one("at_once")?.unwrap_or_default(),
        };
        read.end(Self::KEYS)?;
        Ok(query)
    }
}

/// What may follow in a search that is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompleteQuery {
    /// The search.
    pub text: String,
    /// The byte of it where the cursor stands; at its end if not given.
    pub cursor: Option<usize>,
}

impl Query for CompleteQuery {
    const KEYS: &'static [&'static str] = &["text", "cursor"];

    fn to_address(&self) -> String {
        let mut written = Written::default();
        written.one("text", Some(&self.text));
        written.one("cursor", self.cursor.as_ref());
        written.0.finish()
    }

    fn from_address(text: &str) -> Result<Self, ApiError> {
        let mut read = Read::new(text);
        let query = Self {
            text: read.one("text")?.unwrap_or_default(),
            cursor: read.one("cursor")?,
        };
        read.end(Self::KEYS)?;
        Ok(query)
    }
}

/// Whether a trace is shown without those that it is joined to by links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceQuery {
    /// Whether it is.
    pub alone: bool,
}

impl Query for TraceQuery {
    const KEYS: &'static [&'static str] = &["alone"];

    fn to_address(&self) -> String {
        let mut written = Written::default();
        written.one("alone", self.alone.then_some(&true));
        written.0.finish()
    }

    fn from_address(text: &str) -> Result<Self, ApiError> {
        let mut read = Read::new(text);
        let alone = read.one("alone")?.unwrap_or_default();
        read.end(Self::KEYS)?;
        Ok(Self { alone })
    }
}

/// Pairs that are being written.
struct Written(form_urlencoded::Serializer<'static, String>);

impl Default for Written {
    fn default() -> Self {
        Self(form_urlencoded::Serializer::new(String::new()))
    }
}

impl Written {
    fn one(&mut self, key: &str, value: Option<&impl Display>) {
        if let Some(value) = value {
            self.0.append_pair(key, &value.to_string());
        }
    }
}

/// Pairs that were read, and have not been asked for yet.
struct Read(Vec<(String, String)>);

impl Read {
    fn new(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// All values of a key.
    fn many(&mut self, key: &str) -> Vec<String> {
        let (found, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(name, _)| name == key);
        self.0 = rest;
        let found: Vec<(String, String)> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a key that has one at most.
    fn one<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>, ApiError> {
        let mut values = self.many(key);
        let value = values.pop();
        if !values.is_empty() {
            return Err(ApiError::Invalid(format!(
                "`{key}` is given {} times in the address: give it once",
                values.len() + 1
            )));
        }
        let Some(value) = value else { return Ok(None) };
        let wrong =
            |error: T::Err| ApiError::Invalid(format!("`{key}` in the address is wrong: {error}"));
        value.parse().map(Some).map_err(wrong)
    }

    /// There must be nothing left.
    fn end(self, known: &[&str]) -> Result<(), ApiError> {
        let Some((key, _)) = self.0.into_iter().next() else {
            return Ok(());
        };
        let key: String = key.chars().take(64).collect();
        let near = known
            .iter()
            .map(|known| (strsim::jaro_winkler(&key, known), known))
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let hint = match near {
            Some((alike, near)) if alike > 0.8 => format!("; did you mean `{near}`?"),
            _ => format!("; there are {}", known.join(", ")),
        };
        Err(ApiError::Invalid(format!(
            "`{key}` in the address is not known{hint}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_survives_the_address() {
        let query = JobsQuery {
            states: vec!["running".into(), "retryable".into()],
            queue: Some("mail & co".into()),
            metadata: Some("order=17 ü".into()),
            enqueued_after: Some("2026-05-01T08:30:00Z".parse().unwrap()),
            text: Some("order-17".into()),
            limit: Some(7),
            ..JobsQuery::default()
        };
        let address = query.to_address();
        assert!(address.is_ascii(), "{address}");
        assert_eq!(JobsQuery::from_address(&address), Ok(query));
        let query = TracesQuery {
            search: "error >2s".into(),
            at_once: true,
            ..TracesQuery::default()
        };
        assert_eq!(TracesQuery::from_address(&query.to_address()), Ok(query));
        assert_eq!(TracesQuery::default().to_address(), "");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let error = |text: &str| JobsQuery::from_address(text).unwrap_err().to_string();
        assert_eq!(
            error("queu=mail"),
            "`queu` in the address is not known; did you mean `queue`?"
        );
        assert_eq!(
            error("queue=a&queue=b"),
            "`queue` is given 2 times in the address: give it once"
        );
        assert_eq!(
            error("limit=many"),
            "`limit` in the address is wrong: invalid digit found in string"
        );
        assert!(
            error("x=1").contains("there are state, queue"),
            "{}",
            error("x=1")
        );
    }

    #[test]
    fn every_key_that_is_read_is_named() {
        for key in JobsQuery::KEYS {
            let read = JobsQuery::from_address(&format!("{key}="));
            let known = read.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(!known.contains("not known"), "{known}");
        }
    }
}
