//! What may leave: the settings of redaction.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use longshore_instrument::AttributeValue;

use super::rule::{Action, Rule};
use crate::config::Config;

/// What a [`CustomRedactor`] says about a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing; the rules that follow decide.
    Keep,
    /// This stands in its place. The rules that follow see it.
    Replace(AttributeValue),
    /// It does not leave.
    Drop,
}

/// A redactor of the application, asked before all rules about every attribute and text.
///
/// It runs where spans end, so it should be quick. If it panics, the value is masked.
///
/// ```
/// use longshore_instrument::AttributeValue;
/// use longshore_telemetry::redact::{CustomRedactor, RedactionPolicy, Redactor, Verdict};
///
/// #[derive(Debug)]
/// struct NoCustomers;
///
/// impl CustomRedactor for NoCustomers {
///     fn redact(&self, key: &str, _value: &AttributeValue) -> Verdict {
///         if key.starts_with("customer.") { Verdict::Drop } else { Verdict::Keep }
///     }
/// }
///
/// let policy = RedactionPolicy::default().with_redactor(NoCustomers);
/// let (redactor, _warnings) = Redactor::new(&policy);
/// assert_eq!(redactor.pair("customer.name", "Ada"), None);
/// ```
pub trait CustomRedactor: fmt::Debug + Send + Sync {
    /// What is to be done with a value. `key` is empty for a text that has none, such as the name
    /// of a span, an error's message or a line of a log.
    fn redact(&self, key: &str, value: &AttributeValue) -> Verdict;
}

/// What may leave the process, and what stands in the place of the rest.
#[derive(Clone)]
pub struct RedactionPolicy {
    /// Whether values whose key says that they are args, bodies or results are hidden.
    pub redact_payloads: bool,
    /// The keys whose values may leave; `*` stands for any text. `None` lets every key through,
    /// an empty list none.
    pub allowed_attributes: Option<Vec<String>>,
    /// The keys whose attributes never leave; `*` stands for any text.
    pub blocked_attributes: Vec<String>,
    /// Regular expressions for what to hide in any text. If one is wrong, no text leaves.
    pub patterns: Vec<String>,
    /// Most characters of a value.
    pub max_attribute_length: usize,
    /// Whether statements lose their literals. Without it they are searched like other texts.
    pub sanitize_sql: bool,
    actions: BTreeMap<Rule, Action>,
    hash_key: Option<Vec<u8>>,
    redactors: Vec<Arc<dyn CustomRedactor>>,
}

impl fmt::Debug for RedactionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key of the hash stays out.
        f.debug_struct("RedactionPolicy")
            .field("redact_payloads", &self.redact_payloads)
            .field("allowed_attributes", &self.allowed_attributes)
            .field("blocked_attributes", &self.blocked_attributes)
            .field("patterns", &self.patterns)
            .field("max_attribute_length", &self.max_attribute_length)
            .field("sanitize_sql", &self.sanitize_sql)
            .field("actions", &self.actions)
            .field("redactors", &self.redactors)
            .finish_non_exhaustive()
    }
}

impl Default for RedactionPolicy {
    fn default() -> Self {
        Self {
            redact_payloads: true,
            allowed_attributes: None,
            blocked_attributes: Vec::new(),
            patterns: Vec::new(),
            max_attribute_length: Self::DEFAULT_LENGTH,
            sanitize_sql: true,
            actions: BTreeMap::new(),
            hash_key: None,
            redactors: Vec::new(),
        }
    }
}

impl RedactionPolicy {
    /// Most characters of a value, unless told otherwise.
    pub const DEFAULT_LENGTH: usize = 1_000;

    /// The policy that settings ask for.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let words = |key| -> Vec<String> {
            let words = config.text(key).split(',').map(str::trim);
            let given = words.filter(|word| !word.is_empty());
            given.map(str::to_owned).collect()
        };
        // An allow list that is given and empty lets nothing through.
        let allowed = "telemetry.allowed_attributes";
        Self {
            redact_payloads: config.flag("telemetry.redact_payloads"),
            allowed_attributes: config.is_set(allowed).then(|| words(allowed)),
            blocked_attributes: words("telemetry.blocked_attributes"),
            patterns: lines(config.text("telemetry.redact_patterns")),
            max_attribute_length: config
                .count("telemetry.max_attribute_length")
                .unwrap_or(Self::DEFAULT_LENGTH),
            sanitize_sql: config.flag("telemetry.sanitize_sql"),
            ..Self::default()
        }
    }

    /// The same policy with another action where a rule applies. Unless told otherwise, blocked
    /// and not allowed keys are dropped, and everything else is masked.
    #[must_use]
    pub fn with_action(mut self, rule: Rule, action: Action) -> Self {
        self.actions.insert(rule, action);
        self
    }

    /// The same policy with a secret key for [`Action::Hash`]. Without one, what should be hashed
    /// is masked: a hash that anyone can compute hides nothing that can be guessed.
    #[must_use]
    pub fn with_hash_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.hash_key = Some(key.into());
        self
    }

    /// The same policy with another redactor, asked after those it has.
    #[must_use]
    pub fn with_redactor(mut self, redactor: impl CustomRedactor + 'static) -> Self {
        self.redactors.push(Arc::new(redactor));
        self
    }

    pub(super) fn action(&self, rule: Rule) -> Action {
        let default = match rule {
            Rule::Blocked | Rule::NotAllowed => Action::Drop,
            _ => Action::Mask,
        };
        self.actions.get(&rule).copied().unwrap_or(default)
    }

    pub(super) fn hash_key(&self) -> Option<&[u8]> {
        self.hash_key.as_deref()
    }

    pub(super) fn redactors(&self) -> &[Arc<dyn CustomRedactor>] {
        &self.redactors
    }
}

/// The patterns of a setting, one a line.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let given = text.lines().map(str::trim).filter(|line| !line.is_empty());
    given.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Redactor;
    use super::*;
    use crate::config::Environment;

    fn config(toml: &str, variables: &[(&str, &str)]) -> Config {
        let file = ("longshore.toml".to_owned(), toml.to_owned());
        let environment = Environment::from_pairs(variables.iter().copied());
        Config::load(&[file], &environment, &[]).unwrap()
    }

    #[test]
    fn the_keys_of_the_table_make_the_policy() {
        let config = config(
            "[tracing.security]\nredact_payloads = false\nallowed_attributes = ['http.method', 'job.type']\n\
             blocked_attributes = ['user.email']\nmax_attribute_length = 50\nsanitize_sql = false\n\
             [telemetry]\nredact_patterns = ['CUST-\\d{2,6}', 'b']",
            &[],
        );
        assert_eq!(config.warnings(), []);
        let policy = RedactionPolicy::from_config(&config);
        assert!(!policy.redact_payloads && !policy.sanitize_sql);
        let allowed = vec!["http.method".to_owned(), "job.type".to_owned()];
        assert_eq!(policy.allowed_attributes, Some(allowed));
        assert_eq!(policy.blocked_attributes, ["user.email"]);
        assert_eq!(policy.patterns, [r"CUST-\d{2,6}", "b"]);
        assert_eq!(policy.max_attribute_length, 50);
    }

    #[test]
    fn an_allow_list_is_there_only_if_it_is_given() {
        let unset = RedactionPolicy::from_config(&config("", &[]));
        assert_eq!(unset.allowed_attributes, None);
        let empty = config("[telemetry]\nallowed_attributes = []", &[]);
        let empty = RedactionPolicy::from_config(&empty);
        assert_eq!(empty.allowed_attributes, Some(Vec::new()));
    }

    #[test]
    fn a_wrong_pattern_warns_and_is_kept_so_that_it_hides_everything() {
        let variable = ("LONGSHORE_TELEMETRY_REDACT_PATTERNS", "fine\nK-[0-9");
        let config = config("", &[variable]);
        let warning = config.warnings()[0].to_string();
        assert!(
            warning.contains("$LONGSHORE_TELEMETRY_REDACT_PATTERNS"),
            "{warning}"
        );
        assert!(
            warning.contains("`K-[0-9` is not a regular expression"),
            "{warning}"
        );
        let (redactor, _) = Redactor::new(&RedactionPolicy::from_config(&config));
        assert_eq!(redactor.text("anything"), "[REDACTED:pattern]");
    }

    #[test]
    fn the_standard_limit_of_length_is_understood() {
        let variables = [("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12")];
        let policy = RedactionPolicy::from_config(&config("", &variables));
        assert_eq!(policy.max_attribute_length, 12);
    }
}
