//! What a limit is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{Kind, QueueName};

/// What a limit is for, as text `queue:mail`, `kind:send_mail`, `tenant:acme` or `tenants`.
///
/// ```
/// use longshore_core::limit::Scope;
/// let scope: Scope = "tenant:acme".parse()?;
/// assert_eq!(scope, Scope::Tenant("acme".to_owned()));
/// # Ok::<(), longshore_core::limit::InvalidScope>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// The jobs of a queue.
    Queue(QueueName),
    /// The jobs of a kind, in whatever queue.
    Kind(Kind),
    /// The jobs of a tenant.
    Tenant(String),
    /// The jobs of each tenant that has no limit of its own: the limit is for each, not for all.
    EveryTenant,
}

/// A text that names nothing a limit could be for.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` names nothing that has limits: write queue:NAME, kind:NAME, tenant:NAME or tenants")]
pub struct InvalidScope(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(queue) => write!(f, "queue:{queue}"),
            Self::Kind(kind) => write!(f, "kind:{kind}"),
            Self::Tenant(tenant) => write!(f, "tenant:{tenant}"),
            Self::EveryTenant => f.write_str("tenants"),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let wrong = || InvalidScope(text.chars().take(200).collect());
        if text == "tenants" {
            return Ok(Self::EveryTenant);
        }
        let (what, name) = text.split_once(':').ok_or_else(wrong)?;
        match what {
            "queue" => name.parse().map(Self::Queue).map_err(|_name| wrong()),
            "kind" => name.parse().map(Self::Kind).map_err(|_name| wrong()),
            "tenant" if !name.is_empty() => Ok(Self::Tenant(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(text: String) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}
