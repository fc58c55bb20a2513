//! Settings: where they come from, and what they are.
//!
//! One table ([`KEYS`]) says what may be set. Files, `OTEL_*` variables, `LONGSHORE_*` variables
//! and flags are read by it, each overriding the one before; [`Config::shown`] and
//! [`config_reference`] print from it. A bad value of a telemetry key is a [`Warning`] and the
//! value before it stays, since telemetry may never stop a worker; a bad value of another key is
//! an error.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

mod environment;
mod file;
mod google;
mod keys;
mod logs;
mod reference;
mod telemetry;
pub(crate) mod value;
mod workers;

pub use environment::Environment;
pub use google::GoogleSettings;
pub use keys::{KEYS, Key, Shape, Variable};
pub use logs::LogSettings;
pub use reference::config_reference;
pub use telemetry::{
    Endpoint, Exporter, FileSettings, Propagators, Protocol, ProxySettings, TelemetrySettings,
    TlsSettings,
};
pub use value::parse_duration;
pub(crate) use value::percent_decoded;
pub use workers::ServeWorker;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table's default.
    Default,
    /// A file, by its name.
    File(String),
    /// An environment variable, by its name.
    Variable(&'static str),
    /// A flag on the command line, by its name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) => f.write_str(name),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A telemetry value that was not usable and was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is not TOML.
    #[error("{file}, line {line}, is not valid TOML: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from 1. What stands there is not said, since it may be a secret.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The known key that is most like it.
        nearest: Option<&'static str>,
    },
    /// A value that does not fit its key.
    #[error("{origin}: `{key}` = `{value}`: {problem}")]
    BadValue {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

/// One value as `config show` prints it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The key.
    pub key: &'static str,
    /// The value; the values of headers are masked.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// All settings, each with where it came from.
#[derive(Clone, Debug)]
pub struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
    /// What was said for all signals, where a variable for traces alone says something else.
    beneath: BTreeMap<&'static str, String>,
    warnings: Vec<Warning>,
}

impl Default for Config {
    fn default() -> Self {
        let default = |key: &Key| (key.name, (key.default.to_owned(), Origin::Default));
        Self {
            values: KEYS.iter().map(default).collect(),
            beneath: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// The settings from files (name and content, the weakest first), the environment and flags
    /// (key and value).
    ///
    /// # Errors
    /// If a file is not TOML or has an unknown key, or a key that is not about telemetry has a
    /// value that does not fit it.
    ///
    /// ```
    /// use longshore_telemetry::config::{Config, Environment};
    /// let file = ("longshore.toml".to_owned(), "[telemetry]\nservice_name = 'shop'".to_owned());
    /// let environment = Environment::from_pairs([("OTEL_SERVICE_NAME", "till")]);
    /// let config = Config::load(&[file], &environment, &[])?;
    /// assert_eq!(config.text("telemetry.service_name"), "till");
    /// # Ok::<(), longshore_telemetry::config::ConfigError>(())
    /// ```
    pub fn load(
        files: &[(String, String)],
        environment: &Environment,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (name, content) in files {
            file::apply(&mut config, name, content)?;
        }
        let is_otel = |name: &str| name.starts_with("OTEL_");
        let is_own = |name: &str| name.starts_with("LONGSHORE_");
        config.apply_variables(environment, |name| !is_otel(name) && !is_own(name))?;
        config.apply_variables(environment, is_otel)?;
        config.apply_variables(environment, is_own)?;
        for (key, value) in flags {
            config.set(key, value, Origin::Flag((*key).to_owned()))?;
        }
        Ok(config)
    }

    /// The value of a key as text; empty if the key does not exist.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// The same without what a variable says for traces alone, for the other signals.
    pub(crate) fn shared(&self, key: &str) -> &str {
        match self.beneath.get(key) {
            Some(value) => value,
            None => self.text(key),
        }
    }

    /// Whether a value other than the default was given for a key.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_some_and(|(_, origin)| *origin != Origin::Default)
    }

    /// The value of a key that holds a duration; `None` if it is empty.
    #[must_use]
    pub fn duration(&self, key: &str) -> Option<Duration> {
        parse_duration(self.text(key)).ok()
    }

    /// The value of a key that holds a number; `None` if it is empty.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<usize> {
        self.text(key).parse().ok()
    }

    /// The value of a key that holds yes or no.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// The workers of a daemon, in the order in which they stand.
    #[must_use]
    pub fn serve_workers(&self) -> Vec<ServeWorker> {
        workers::parse(self.text("serve.workers")).unwrap_or_default()
    }

    /// Gives an empty value another default, which depends on the program or the machine. A key that
    /// does not exist is passed over.
    pub fn set_default(&mut self, key: &str, value: &str) {
        let known = self.values.get_mut(key);
        if let Some((text, origin)) = known.filter(|(text, _)| text.is_empty()) {
            *text = value.to_owned();
            *origin = Origin::Default;
        }
    }

    /// What was passed over.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every value and where it came from, in the order of the table.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        KEYS.iter()
            .filter_map(|key| {
                let (value, origin) = self.values.get(key.name)?;
                Some(Shown {
                    key: key.name,
                    value: value::masked(key, value),
                    origin: origin.clone(),
                })
            })
            .collect()
    }

    /// The settings of telemetry.
    #[must_use]
    pub fn telemetry(&self) -> TelemetrySettings {
        TelemetrySettings::from_config(self)
    }

    /// Sets one value by the name of its key or an alias of it.
    fn set(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = keys::find(name) else {
            return Err(ConfigError::UnknownKey {
                origin,
                key: name.to_owned(),
                nearest: keys::nearest(name),
            });
        };
        self.set_key(key, value, origin)
    }

    fn set_key(
        &mut self,
        key: &'static Key,
        value: &str,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match value::checked(key, value) {
            Ok(value) => {
                if let Some(problem) = value::concern(key, &value) {
                    let warning = format!("{origin}: `{}` {problem}", key.name);
                    self.warnings.push(Warning(warning));
                }
                self.store(key, value, origin);
                Ok(())
            }
            Err(problem) if key.is_telemetry() => {
                self.warnings.push(Warning(format!(
                    "{origin}: `{}` is passed over: {problem}",
                    key.name
                )));
                Ok(())
            }
            Err(problem) => Err(ConfigError::BadValue {
                origin,
                key: key.name,
                value: value::masked(key, value),
                problem,
            }),
        }
    }

    fn store(&mut self, key: &'static Key, value: String, origin: Origin) {
        let is_for_traces = |origin: &Origin| match origin {
            Origin::Variable(name) => name.contains("_TRACES_"),
            Origin::Default | Origin::File(_) | Origin::Flag(_) => false,
        };
        if !is_for_traces(&origin) {
            self.beneath.remove(key.name);
        } else if let Some((before, _)) = self.values.get(key.name) {
            let before = before.clone();
            self.beneath.entry(key.name).or_insert(before);
        }
        self.values.insert(key.name, (value, origin));
    }

    fn apply_variables(
        &mut self,
        environment: &Environment,
        counts: impl Fn(&str) -> bool,
    ) -> Result<(), ConfigError> {
        for key in KEYS {
            for variable in key.variables.iter().filter(|one| counts(one.name)) {
                if environment.is_unreadable(variable.name) {
                    self.unreadable(key, variable.name)?;
                }
                // An empty variable counts as unset, as OpenTelemetry demands.
                let value = environment.get(variable.name).unwrap_or("");
                if value.is_empty() {
                    continue;
                }
                let origin = Origin::Variable(variable.name);
                match variable.read(value) {
                    Ok(Some(value)) => self.set_key(key, &value, origin)?,
                    Ok(None) => {}
                    Err(problem) => self
                        .warnings
                        .push(Warning(format!("{origin} is passed over: {problem}"))),
                }
            }
        }
        Ok(())
    }

    /// A variable whose value is not UTF-8.
    fn unreadable(&mut self, key: &Key, variable: &'static str) -> Result<(), ConfigError> {
        let origin = Origin::Variable(variable);
        if key.is_telemetry() {
            let warning = format!("{origin} is passed over: its value is not UTF-8");
            self.warnings.push(Warning(warning));
            if key.shape == Shape::Patterns {
                // What it was to hide cannot be known: a pattern that is wrong hides everything.
                self.values.insert(key.name, ("(".to_owned(), origin));
            }
            return Ok(());
        }
        Err(ConfigError::BadValue {
            origin,
            key: key.name,
            value: String::new(),
            problem: "the value is not UTF-8".to_owned(),
        })
    }
}
