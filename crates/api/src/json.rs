//! A JSON value as it was written.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON value, byte for byte as its sender wrote it, on one line: numbers that no `f64` holds,
/// the order of keys and any depth survive.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The value `text` holds; nothing if it is not JSON.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A record is one line. Outside of strings a line break is white space, and within one
        // JSON does not allow it.
        let line = text.trim().replace(['\n', '\r'], " ");
        RawValue::from_string(line).ok().map(Self)
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON, such as a map whose keys are no texts.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The JSON as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// What jobs carry, bytes of any kind: as the JSON they hold, else as a JSON string, else, if
    /// they are not even text, in base64. `null` is nothing, as it is once it was sent.
    pub(crate) fn of_bytes(bytes: &[u8]) -> (Option<Self>, Option<String>) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return (None, Some(STANDARD.encode(bytes)));
        };
        let json = Self::parse(text).or_else(|| Self::of(text).ok());
        (json.filter(|json| json.as_str() != "null"), None)
    }
}

impl Default for Json {
    /// `null`.
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}

impl PartialEq for Json {
    /// Whether both were written alike.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        serde_json::to_string(&Json::of_bytes(bytes)).unwrap()
    }

    #[test]
    fn bytes_are_shown_as_json_text_or_base64() {
        assert_eq!(shown(b"{\"n\":\n 1e400}\n"), "[{\"n\":  1e400},null]");
        assert_eq!(shown(b"12 words"), "[\"12 words\",null]");
        assert_eq!(shown(b"\xff"), "[null,\"/w==\"]");
        assert_eq!(Json::of_bytes(b" null\n"), (None, None));
    }

    #[test]
    fn deep_json_is_no_danger() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        let shown = shown(deep.as_bytes());
        assert!(shown.len() > 400_000);
        let back: (Json, Option<String>) = serde_json::from_str(&shown).unwrap();
        assert_eq!(back.0.as_str(), deep);
    }
}
