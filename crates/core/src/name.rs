//! Names of queues, kinds, schedules and batches.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that cannot be a name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` cannot be the name of a {what}: use 1 to 100 letters, digits or any of `. _ : / -`"
)]
pub struct InvalidName {
    what: &'static str,
    text: String,
}

fn checked(what: &'static str, text: &str) -> Result<Arc<str>, InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    if text.is_empty() || text.len() > 100 || !text.bytes().all(allowed) {
        let text = text.chars().take(100).collect();
        return Err(InvalidName { what, text });
    }
    Ok(Arc::from(text))
}

/// Any text as a name: what a name cannot have becomes `_`.
fn made(text: &str) -> Arc<str> {
    let kept = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | ':' | '/' | '-' => letter,
        _ => '_',
    };
    let name: String = text.chars().take(100).map(kept).collect();
    if name.is_empty() {
        return Arc::from("_");
    }
    Arc::from(name)
}

macro_rules! name {
    ($name:ident, $what:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// 1 to 100 ASCII letters, digits or any of `. _ : / -`, so that it is safe in a metric
        /// label, an object key and a shell word.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A name made of any text, such as that of another system: what a name cannot have
            /// becomes `_`, and what goes beyond 100 characters is cut. Different texts may give
            /// the same name.
            ///
            /// ```
            #[doc = concat!("use longshore_core::", stringify!($name), ";")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::lossy(\"my jobs\").as_str(), \"my_jobs\");")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::lossy(\"\").as_str(), \"_\");")]
            /// ```
            #[must_use]
            pub fn lossy(text: &str) -> Self {
                Self(made(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                checked($what, text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(QueueName, "queue", "The name of a queue, such as `mail`.");
name!(
    Kind,
    "kind",
    "Which handler runs a job, such as `send_mail`."
);
name!(
    ScheduleName,
    "schedule",
    "The name of a schedule, such as `nightly-report`."
);
name!(
    BatchId,
    "batch",
    "The id of a batch of jobs: made up, or chosen, such as `import-2026-05`."
);
