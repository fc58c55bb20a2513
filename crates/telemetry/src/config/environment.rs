//! The environment variables, read once.

use std::collections::{BTreeMap, BTreeSet};

/// Environment variables as a value, so that tests give their own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    unreadable: BTreeSet<String>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.values.insert(name, value)),
                (Ok(name), Err(_bytes)) => drop(environment.unreadable.insert(name)),
                (Err(_), _) => {}
            }
        }
        environment
    }

    /// An environment of these variables.
    #[must_use]
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            values: pairs.into_iter().map(owned).collect(),
            unreadable: BTreeSet::new(),
        }
    }

    /// The value of a variable; `None` also if it is not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The variables whose names begin so, with their values.
    pub fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let values = self.values.range(prefix.to_owned()..);
        let values = values.map(|(name, value)| (name.as_str(), value.as_str()));
        values.take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Whether a variable has a value that is not UTF-8.
    #[must_use]
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }
}
