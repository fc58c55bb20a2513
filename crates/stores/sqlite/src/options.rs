//! Where the file is, and how durable a commit is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, ErrorKind, Random, StoreError, SystemClock, SystemRandom};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The process, the system and the power failing.
    #[default]
    Full,
    /// The process failing. When the system or the power fails, the last moments may be lost;
    /// what is left is still consistent.
    Relaxed,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_pages: Option<u32>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

impl SqliteOptions {
    /// The file at `path`, made if it is not there, with full durability.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            durability: Durability::Full,
            busy_timeout: Duration::from_secs(10),
            max_pages: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }

    /// Reads a URL: `sqlite:` and a path, absolute or relative, then perhaps
    /// `?durability=full|relaxed`.
    ///
    /// # Errors
    /// `Invalid` if it is no such URL, names no file, or has a parameter that is not known.
    ///
    /// ```
    /// use longshore_sqlite::SqliteOptions;
    /// assert!(SqliteOptions::from_url("sqlite:/var/lib/app/jobs.db?durability=relaxed").is_ok());
    /// let error = SqliteOptions::from_url("sqlite:jobs.db?sync=off").unwrap_err();
    /// assert!(error.to_string().contains("durability"));
    /// ```
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let refuse = |problem: String| StoreError::new(ErrorKind::Invalid, problem);
        let rest = url.strip_prefix("sqlite:").ok_or_else(|| {
            refuse(format!(
                "`{url}` is not the URL of a SQLite store: write sqlite:PATH"
            ))
        })?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(refuse(format!(
                "`{url}` names no file: write sqlite:PATH, such as sqlite:jobs.db"
            )));
        }
        let mut options = Self::at(path);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if key != "durability" {
                return Err(refuse(format!(
                    "`{key}` is not a parameter of a SQLite store: the only one is durability"
                )));
            }
            options.durability = match value {
                "full" => Durability::Full,
                "relaxed" => Durability::Relaxed,
                _ => {
                    return Err(refuse(format!(
                        "`{value}` is not a durability: use full or relaxed"
                    )));
                }
            };
        }
        Ok(options)
    }

    /// The file of the store, whether it is there or not.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// These options with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// These options with another clock: the store's own, by which leases and due times go.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// These options with other randomness, for job ids and lease tokens.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// These options with another time to wait for other processes before a call fails as
    /// unavailable; 10 seconds by default.
    #[must_use]
    pub fn with_busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// These options with a bound on the size of the file, in pages of 4 KiB. Beyond it, writes
    /// fail as on a full disk.
    #[must_use]
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }
}
